"""The command line: stages end in checkpoints, the same seed in the same bytes, bad input in one line."""

import json

import pytest

from model_zoo import checkpoint
from model_zoo.data.reader import DataSet
from model_zoo.train.__main__ import main
from tests.model_zoo.built import rendered_set


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


@pytest.mark.parametrize(
    ("stage", "variant", "more"),
    [("pretrain", "iso3do", ["--codec-steps", 1]), ("midtrain", "rp3do-osr", ["--init"])],
)
def test_a_stage_reads_the_filtered_rows_of_a_built_set(stage, variant, more, start, tmp_path):
    data = rendered_set(tmp_path / "set", variant, 3)
    more = [*more, start] if more == ["--init"] else more
    assert train(stage, data, tmp_path / "out", "--steps", 1, "--where", "r < 0.65", *more) == 0
    note = checkpoint.load(tmp_path / "out/checkpoint").card["data"][0]
    assert note["id"] == f"{variant}-test" and note["rows"] == 2 and note["where"] == "r < 0.65"


def test_a_row_that_cannot_be_read_is_left_out_and_told(start, tmp_path, capsys):
    data = rendered_set(tmp_path / "set", "rp3do-osr", 4)
    found = DataSet(data)
    span = found.spans["sample"].at(2)
    shard = data / "shards" / found.shards[span.shard][1]
    content = bytearray(shard.read_bytes())
    content[span.offset + 900] ^= 1
    shard.write_bytes(bytes(content))
    assert train("midtrain", data, tmp_path / "out", "--steps", 2, "--init", start) == 0
    told = [line for line in capsys.readouterr().err.splitlines() if line.startswith("left out")]
    assert len(told) == 1 and "example 2" in told[0] and shard.name in told[0]


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


def test_a_filter_that_cannot_be_used_is_refused(start, sft, tmp_path, capsys):
    for where, said in (("quality > 1", "no column"), ("simulated == false", "that pass simulated == false")):
        assert said in refusal(
            capsys, "sft", "--data", sft, "--where", where, "--out", tmp_path, "--init", start
        )


def test_a_recipe_that_does_not_match_is_refused(start, sft, tmp_path, capsys):
    said = refusal(capsys, "sft", "--recipe", "small", "--data", sft, "--out", tmp_path, "--init", start)
    assert "recipe 'tiny'" in said


def test_usage_errors_end_with_two(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["sft", "--data", "x", "--out", "y", "--steps", "0"])
    assert stop.value.code == 2
