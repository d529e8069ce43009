"""The command line: stages end in checkpoints, the same seed in the same bytes, bad input in one line."""

import json

import pytest

from model_zoo import checkpoint
from model_zoo.train.__main__ import main


def train(stage, data, out, *more):
    return main(
        [stage, "--data", str(data), "--out", str(out), "--batch", "2", "--draws", "1", *map(str, more)]
    )


@pytest.mark.parametrize(
    ("stage", "release"), [("sft", "sft"), ("midtrain", "sft"), ("distill", "sft"), ("dpo", "dpo")]
)
def test_a_stage_gives_a_checkpoint_with_its_history(stage, release, start, tmp_path, request):
    data = request.getfixturevalue(release)
    assert train(stage, data, tmp_path, "--init", start, "--steps", 2) == 0
    card = checkpoint.load(tmp_path / "checkpoint").card
    assert card["stage"] == stage and card["parents"][0]["stage"] == "pretrain"
    assert card["data"][0]["id"] == f"{release}-test" and card["simulated"] is True
    assert json.loads((tmp_path / "log.jsonl").read_text().splitlines()[-1])["step"] == 2


def test_the_same_seed_gives_the_same_bytes(start, sft, tmp_path):
    for name in "ab":
        assert train("sft", sft, tmp_path / name, "--init", start, "--steps", 2, "--seed", 5) == 0
    a, b = ((tmp_path / n / "checkpoint" / "weights.safetensors").read_bytes() for n in "ab")
    assert a == b


def test_pretraining_starts_from_nothing_on_a_release(sft, tmp_path):
    assert train("pretrain", sft, tmp_path, "--steps", 2, "--codec-steps", 2) == 0
    found = checkpoint.load(tmp_path / "checkpoint")
    assert found.card["parents"] == [] and "codec_iou" in found.card["last_figures"]


def refusal(capsys, *arguments):
    code = main([str(a) for a in arguments])
    text = capsys.readouterr().err.strip()
    assert code == 1 and text.startswith("error: ") and "\n" not in text
    return text


def test_other_models_arrive_later(tmp_path, capsys):
    said = refusal(capsys, "sft", "--model", "texture", "--data", "x", "--out", tmp_path)
    assert "later version" in said


def test_a_stage_that_continues_needs_a_checkpoint(sft, tmp_path, capsys):
    assert "--init" in refusal(capsys, "sft", "--data", sft, "--out", tmp_path)


def test_the_wrong_kind_of_release_is_refused(start, sft, tmp_path, capsys):
    said = refusal(capsys, "dpo", "--data", sft, "--out", tmp_path, "--init", start)
    assert "kind 'sft'" in said


def test_a_release_without_training_rows_is_refused(start, tmp_path, capsys):
    from tests.model_zoo.releases import sft_release

    data = sft_release(tmp_path / "r", 1, split="validation")
    assert "no rows of split train" in refusal(
        capsys, "sft", "--data", data, "--out", tmp_path / "o", "--init", start
    )


def test_a_recipe_that_does_not_match_is_refused(start, sft, tmp_path, capsys):
    said = refusal(capsys, "sft", "--recipe", "small", "--data", sft, "--out", tmp_path, "--init", start)
    assert "recipe 'tiny'" in said


def test_usage_errors_end_with_two(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["sft", "--data", "x", "--out", "y", "--steps", "0"])
    assert stop.value.code == 2
