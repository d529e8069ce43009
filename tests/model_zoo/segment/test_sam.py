"""The SAM adapter on a real, tiny pair of ONNX models with SAM's interface."""

import json
import sys

import numpy as np
import pytest
from onnx import load, save

from model_zoo.io.errors import BadInput
from model_zoo.segment.interface import Prompt
from model_zoo.segment.sam import SamSegmenter, choose, fitted
from model_zoo.segment.simulate import iou
from tests.model_zoo.segment.pictures import disc, painted, write_sam

SIZE = (200, 120)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_sam(tmp_path_factory.mktemp("weights") / "sam")


@pytest.fixture(scope="module")
def segmenter(folder):
    return SamSegmenter(folder)


@pytest.fixture(scope="module")
def truth():
    return disc(SIZE, (140, 60), 40)


@pytest.fixture(scope="module")
def state(segmenter, truth):
    return segmenter.prepare(painted(truth))


def test_a_click_is_scaled_to_the_padded_picture_and_the_mask_back(segmenter, state, truth):
    found = segmenter.segment(state, Prompt(positive=((170.0, 60.0),)))
    assert found.mask.shape == truth.shape and iou(found.mask, truth) > 0.85
    assert iou(segmenter.segment(state, Prompt(positive=((20.0, 110.0),))).mask, ~truth) > 0.9


def test_an_upright_photo_is_scaled_by_its_height(segmenter):
    truth = disc((90, 210), (45, 150), 35)
    found = segmenter.segment(segmenter.prepare(painted(truth)), Prompt(positive=((45.0, 150.0),)))
    assert iou(found.mask, truth) > 0.8  # the tiny model sees 16 cells a side


def test_labels_say_in_out_corner_and_nothing(segmenter, state):
    score = lambda **given: round(segmenter.segment(state, Prompt(**given)).score, 2)  # noqa: E731
    click, box = ((140.0, 60.0),), (100.0, 20.0, 180.0, 100.0)
    assert score(positive=click * 3, negative=click) == 0.2  # 1 + 1 + 1 + 0 - 1
    assert score(box=box) == 0.5  # 2 + 3
    assert score(positive=click, box=box) == 0.6


def test_a_mask_to_correct_is_handed_on_in_its_place(segmenter, state, truth):
    prompt = Prompt(positive=((10.0, 10.0),), previous=truth)
    assert segmenter.segment(state, prompt).mask[truth].mean() > 0.9


def test_a_photo_larger_than_the_decoder_is_asked_for_gets_its_mask_at_full_size(
    segmenter, monkeypatch, truth
):
    monkeypatch.setattr("model_zoo.segment.sam.LARGEST", 100)
    found = segmenter.segment(segmenter.prepare(painted(truth)), Prompt(positive=((140.0, 60.0),)))
    assert found.mask.shape == truth.shape and iou(found.mask, truth) > 0.85


def test_of_four_masks_the_first_is_for_several_points_only():
    scores = np.array([0.9, 0.2, 0.8, 0.5])
    assert (choose(scores, 2), choose(scores, 3), choose(scores[1:], 2)) == (2, 0, 1)
    assert fitted((1000, 333), 64) == (64, 21)


@pytest.mark.parametrize("name", ["encoder.onnx", "decoder.onnx"])
def test_a_missing_or_broken_file_is_named(folder, tmp_path, name):
    for kept in ("encoder.onnx", "decoder.onnx"):
        (tmp_path / kept).write_bytes((folder / kept).read_bytes())
    (tmp_path / name).unlink()
    with pytest.raises(BadInput, match=f"no file .*{name}"):
        SamSegmenter(tmp_path)
    (tmp_path / name).write_bytes(b"not a model")
    with pytest.raises(BadInput, match=f"{name} is not a usable ONNX model"):
        SamSegmenter(tmp_path)


def test_a_decoder_of_another_kind_is_told_what_it_lacks(folder, tmp_path):
    write_sam(tmp_path)
    model = load(tmp_path / "decoder.onnx")
    model.graph.output[1].name = "scores"
    model.graph.node[-1].output[0] = "scores"
    save(model, tmp_path / "decoder.onnx")
    with pytest.raises(BadInput, match="lacks iou_predictions"):
        SamSegmenter(tmp_path)


def test_a_config_that_does_not_fit_the_encoder_gives_one_line(tmp_path, truth):
    write_sam(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({"input_size": 128}))
    with pytest.raises(BadInput, match=r"encoder\.onnx does not take"):
        SamSegmenter(tmp_path).prepare(painted(truth))
    (tmp_path / "config.json").write_text('{"input_size": "large"}')
    with pytest.raises(BadInput, match=r"config\.json: expected"):
        SamSegmenter(tmp_path)


def test_without_onnxruntime_one_line_says_what_to_install(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(BadInput, match="Install the package onnxruntime"):
        SamSegmenter(folder)
