"""The loop: schedule, averaging, resume, failure."""

import json

import pytest
import torch

from model_zoo.io.errors import BadInput
from model_zoo.loop import LoopConfig, fit, learning_rate


def line(steps, out, *, resume=False, stop=None, **changes):
    """Fits w to 3 on noisy targets; returns w."""
    torch.manual_seed(1)
    model = torch.nn.Linear(1, 1, bias=False)

    def batches(start):
        step = start
        while True:
            if step == stop:
                raise KeyboardInterrupt
            yield step
            step += 1

    def loss(step, generator):
        x = torch.randn(8, 1, generator=generator)
        return (model(x) - 3 * x).square().mean(), {"twice": torch.tensor(2.0 * step)}

    config = LoopConfig(steps=steps, lr=0.1, warmup=2, ema=0.5, save_every=5, log_every=5, **changes)
    fit(dict(model.named_parameters()), batches, loss, config, out=out, stage="line", resume=resume)
    return float(model.weight.detach())


def test_it_learns_and_logs(tmp_path):
    assert line(60, tmp_path) == pytest.approx(3, abs=0.3)
    rows = [json.loads(row) for row in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [r["step"] for r in rows][-1] == 60 and {"loss", "lr", "grad_norm", "twice"} <= set(rows[0])


def test_a_resumed_run_ends_exactly_like_one_that_never_stopped(tmp_path):
    whole = line(20, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        line(20, tmp_path / "cut", stop=12)
    assert line(20, tmp_path / "cut", resume=True) == whole


def test_resuming_a_finished_run_changes_nothing(tmp_path):
    assert line(10, tmp_path) == line(10, tmp_path, resume=True)


def test_the_learning_rate_warms_up_and_decays():
    c = LoopConfig(steps=100, lr=1.0, warmup=10, final_lr=0.1)
    assert learning_rate(0, c) == pytest.approx(0.1)
    assert learning_rate(99, c) == pytest.approx(0.1)
    assert max(learning_rate(s, c) for s in range(100)) > 0.95


def test_a_loss_that_explodes_stops_the_run(tmp_path):
    weight = torch.nn.Parameter(torch.zeros(1))
    with pytest.raises(BadInput, match="not finite"):
        fit(
            {"w": weight}, lambda s: iter([0, 0]), lambda b, g: (weight.sum() / 0, {}), LoopConfig(2, 0.1),
            out=tmp_path, stage="bad",
        )  # fmt: skip


def test_another_models_state_is_refused(tmp_path):
    line(5, tmp_path)
    weight = torch.nn.Parameter(torch.zeros(1))
    with pytest.raises(BadInput, match="another model"):
        fit(
            {"other": weight}, lambda s: iter([]), lambda b, g: (weight.sum(), {}), LoopConfig(9, 0.1),
            out=tmp_path, stage="line", resume=True,
        )  # fmt: skip
