"""The one training loop: optimiser, warm-up and decay, EMA, precision, clipping, log, save and resume.

A stage brings its batches and its loss. Every step draws from a generator seeded by (seed, step), so that a resumed run
continues exactly as if it had not stopped, and the same seed gives the same bytes on CPU.
"""

import json
import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from tqdm import tqdm

from model_zoo.io.errors import BadInput

Batch = TypeVar("Batch")
Loss = Callable[[Batch, torch.Generator], tuple[Tensor, Mapping[str, Tensor]]]
Batches = Callable[[int], Iterator[Batch]]  # from a step number on

METRICS = "log.jsonl"


@dataclass(frozen=True)
class LoopConfig:
    """How long and how fast. precision is the arithmetic of the forward pass; weights and moments stay fp32."""

    steps: int
    lr: float
    seed: int = 0
    warmup: int = 50
    final_lr: float = 0.1  # share of lr at the last step (cosine)
    ema: float = 0.999
    clip: float = 1.0
    precision: str = "fp32"
    device: str = "cpu"
    save_every: int = 500
    log_every: int = 10


def learning_rate(step: int, c: LoopConfig) -> float:
    """Linear warm-up, then cosine from lr to final_lr * lr."""
    warm = min(1.0, (step + 1) / max(c.warmup, 1))
    done = min(1.0, step / max(c.steps - 1, 1))
    return c.lr * warm * (c.final_lr + (1 - c.final_lr) * 0.5 * (1 + math.cos(math.pi * done)))


class Training:
    """Everything of a run that is saved and resumed: step, weights, their average, the optimiser's moments."""

    def __init__(self, parameters: Mapping[str, nn.Parameter], c: LoopConfig) -> None:
        self.parameters, self.config, self.step = dict(parameters), c, 0
        self.optimiser = torch.optim.AdamW(
            self.parameters.values(), lr=c.lr, betas=(0.9, 0.99), weight_decay=0.0
        )
        self.average = {n: p.detach().clone() for n, p in self.parameters.items()}

    def update(self, loss: Tensor) -> Tensor:
        """One optimiser step; returns the gradient norm before clipping. A loss that is not finite raises BadInput."""
        if not bool(loss.isfinite()):
            raise BadInput(f"the loss is not finite at step {self.step}: lower the learning rate")
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        norm = nn.utils.clip_grad_norm_(self.parameters.values(), self.config.clip)
        for group in self.optimiser.param_groups:
            group["lr"] = learning_rate(self.step, self.config)
        self.optimiser.step()
        self.step += 1
        keep = min(self.config.ema, self.step / (self.step + 9))  # young averages forget their start quickly
        names = list(self.parameters)
        values = [self.parameters[n].detach() for n in names]
        torch._foreach_lerp_([self.average[n] for n in names], values, 1 - keep)
        return norm

    def use_average(self) -> None:
        """Puts the averaged weights into the model."""
        with torch.no_grad():
            for name, parameter in self.parameters.items():
                parameter.copy_(self.average[name])

    def save(self, folder: Path) -> None:
        """Writes the state so that a crash in the middle leaves the previous one."""
        tensors = {f"weight.{n}": p.detach() for n, p in self.parameters.items()}
        tensors |= {f"average.{n}": v for n, v in self.average.items()}
        for name, parameter in self.parameters.items():
            for key in ("exp_avg", "exp_avg_sq"):
                if key in self.optimiser.state.get(parameter, {}):
                    tensors[f"{key}.{name}"] = self.optimiser.state[parameter][key]
        folder.mkdir(parents=True, exist_ok=True)
        partial = folder / "state.part"
        metadata = {"step": str(self.step), "steps": str(self.config.steps), "seed": str(self.config.seed)}
        save_file({n: v.cpu().contiguous() for n, v in tensors.items()}, partial, metadata)
        partial.replace(folder / "state.safetensors")

    def resume(self, folder: Path) -> bool:
        """Continues from `save`; False when there is nothing to continue. Raises BadInput for another run's state."""
        path = folder / "state.safetensors"
        if not path.exists():
            return False
        from_file = load_file(path)
        if {n for n in from_file if n.startswith("weight.")} != {f"weight.{n}" for n in self.parameters}:
            raise BadInput(f"{folder} holds the state of another model")
        self.step = _step_of(path)
        with torch.no_grad():
            for name, parameter in self.parameters.items():
                parameter.copy_(from_file[f"weight.{name}"])
                self.average[name].copy_(from_file[f"average.{name}"])
                if f"exp_avg.{name}" in from_file:
                    self.optimiser.state[parameter] = {
                        "step": torch.tensor(float(self.step)),
                        "exp_avg": from_file[f"exp_avg.{name}"].to(parameter.device),
                        "exp_avg_sq": from_file[f"exp_avg_sq.{name}"].to(parameter.device),
                    }
        return True


def _step_of(path: Path) -> int:
    with path.open("rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    return int(header["__metadata__"]["step"])


def fit(
    parameters: Mapping[str, nn.Parameter], batches: Batches, loss: Loss, c: LoopConfig, *,
    out: Path, stage: str, resume: bool = False, watch: Callable[[int], Mapping[str, float]] | None = None,
) -> dict[str, float]:  # fmt: skip
    """Trains in place and leaves the averaged weights in the model; returns the last logged figures.

    batches(step) yields from that step on. Figures go to OUT/log.jsonl, the state to OUT/state/STAGE.
    """
    run, folder = Training(parameters, c), out / "state" / stage
    if resume:
        run.resume(folder)
    out.mkdir(parents=True, exist_ok=True)
    last: dict[str, float] = {}
    stream = batches(run.step) if run.step < c.steps else iter(())
    kind, dtype = torch.device(c.device).type, torch.bfloat16
    with tqdm(total=c.steps, initial=run.step, desc=stage, disable=None) as bar:
        while run.step < c.steps:
            began = time.perf_counter()
            generator = torch.Generator().manual_seed(c.seed * 1_000_003 + run.step)
            with torch.autocast(kind, dtype, enabled=c.precision == "bf16"):
                value, figures = loss(next(stream), generator)
            norm = run.update(value)
            if run.step % c.log_every == 0 or run.step == c.steps:
                last = {
                    "loss": float(value.detach()),
                    "grad_norm": float(norm),
                    "lr": learning_rate(run.step - 1, c),
                }
                last |= {n: float(v.detach()) for n, v in figures.items()}
                if watch and run.step == c.steps:
                    last |= watch(run.step)
                seconds = time.perf_counter() - began
                _log(
                    out,
                    {"stage": stage, "step": run.step, "steps": c.steps, **last, "seconds_per_step": seconds},
                )
                bar.set_postfix(loss=f"{last['loss']:.4f}")
            if run.step % c.save_every == 0 or run.step == c.steps:
                run.save(folder)
            bar.update()
    run.use_average()
    return last


def _log(out: Path, row: Mapping[str, object]) -> None:
    rounded = {k: round(v, 7) if isinstance(v, float) else v for k, v in row.items()}
    with (out / METRICS).open("a") as file:
        file.write(json.dumps(rounded) + "\n")
