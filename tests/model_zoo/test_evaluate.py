"""Evaluation: figures, comparison, JSON, refusals."""

import json

import numpy as np
import pytest
import torch

from model_zoo import evaluate
from model_zoo.examples import Example
from model_zoo.loader import Samples
from tests.model_zoo.built import rendered_set


class Known:
    """Three examples with known grids and pictures of one brightness each."""

    def __len__(self):
        return 3

    def __getitem__(self, index):
        grid = torch.zeros(1, 4, 4, 4)
        grid[0, : index + 1] = 1
        views = {
            "image": torch.full((3, 16, 16), index / 3),
            "mask": torch.ones(1, 16, 16),
            "pointmap": torch.zeros(3, 16, 16),
        }
        return Example(views, grid, {}, {})


def test_a_perfect_prediction_scores_one():
    known = Known()
    perfect = [evaluate.Prediction(known[i].occupancy[0].numpy() > 0.5, None) for i in range(3)]
    figures = evaluate.summary(evaluate.score(perfect, known, range(3)))
    assert figures == {"f1": 1.0, "viou": 1.0, "chamfer": 0.0}


def test_retrieval_finds_the_picture_that_looks_alike():
    found = list(evaluate.retrieve(Known(), Known(), range(3)))
    assert [int(p.occupancy.sum()) for p in found] == [16, 32, 48]


def test_a_checkpoint_is_scored_beside_another(start, sft, tmp_path, capsys):
    arguments = [str(start), "--data", str(sft), "--against", str(start), "--limit", "2", "--steps", "2"]
    assert evaluate.main([*arguments, "--out", str(tmp_path / "m.json")]) == 0
    report = json.loads((tmp_path / "m.json").read_text())
    mine, other = report["results"].values()
    assert mine["f1"] == other["f1"] and report["simulated"] and report["split"] == "all"
    assert "rotation_degrees" in mine and "truth from a simulation" in capsys.readouterr().out


def test_a_built_set_is_scored_on_the_rows_that_pass_a_filter(start, tmp_path):
    data = rendered_set(tmp_path / "set", count=3, split="validation")
    arguments = [str(start), "--data", str(data), "--where", "r >= 0.7", "--steps", "1"]
    assert evaluate.main([*arguments, "--out", str(tmp_path / "m.json")]) == 0
    report = json.loads((tmp_path / "m.json").read_text())
    assert report["examples"] == 1 and report["split"] == "validation" and report["simulated"]
    figures = next(iter(report["results"].values()))
    assert "rotation_degrees" in figures and "translation" not in figures


def test_pairs_are_scored_against_a_reference(start, dpo, tmp_path):
    arguments = [
        str(start),
        "--data",
        str(dpo),
        "--against",
        str(start),
        "--limit",
        "1",
        "--out",
        str(tmp_path / "m"),
    ]
    assert evaluate.main(arguments) == 0
    assert json.loads((tmp_path / "m").read_text())["results"]["checkpoint"]["pair_margin"] == pytest.approx(
        0, abs=1e-5
    )


@pytest.mark.parametrize(
    ("more", "said"),
    [(["--data", "nowhere"], "is not a release"), (["--against", "nowhere"], "not a checkpoint")],
)
def test_bad_input_is_one_line(start, sft, capsys, more, said):
    assert evaluate.main([str(start), "--data", str(sft), "--limit", "1", "--steps", "1", *more]) == 1
    text = capsys.readouterr().err.strip().splitlines()[-1]
    assert text.startswith("error: ") and said in text


def test_sampling_follows_its_seed(start, sft):
    model, samples = (
        evaluate.checkpoint.load(start).model,
        Samples(sft, evaluate.checkpoint.load(start).model.config),
    )
    a, b = (
        next(iter(evaluate.predict(model, samples, [0], seed=3, steps=2, strength=1.0))) for _ in range(2)
    )
    assert np.array_equal(a.occupancy, b.occupancy)
