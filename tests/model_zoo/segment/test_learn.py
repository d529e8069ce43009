"""The fit of the built-in segmenter: its stages are those that the segmenter runs, and a small fit finds objects."""

import json

import numpy as np
import pytest

from model_zoo.io.images import encode_jpeg, encode_png
from model_zoo.segment import learn
from model_zoo.segment.builtin import Builtin, load_models
from model_zoo.segment.interface import Prompt
from model_zoo.segment.simulate import iou
from tests.model_zoo.segment.pictures import disc, painted

PLACES = [(60, 50), (110, 60), (70, 80), (120, 90), (90, 60), (60, 75)]


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    for number, place in enumerate(PLACES):
        mask = disc((180, 130), place, 25 + 3 * number)
        (folder / f"p{number}x.jpg").write_bytes(encode_jpeg(painted(mask, number)))
        (folder / f"p{number}x.mask_disc.png").write_bytes(encode_png(mask))
    patch = pytest.MonkeyPatch()
    patch.setattr("sys.argv", ["learn", str(folder), "--out", str(folder / "w.json"), "--composed", "0"])
    patch.setattr(learn, "CLICKS", 2)
    patch.setattr(learn, "BOX_CLICKS", 1)
    assert learn.main() == 0
    patch.undo()
    return load_models(folder / "w.json")


def test_the_shipped_weights_have_the_shapes_of_a_fresh_fit(fitted):
    shipped = load_models()
    assert {name: len(model) for name, model in fitted.items()} == {n: len(m) for n, m in shipped.items()}
    assert all(np.isfinite(model).all() for model in shipped.values())


def test_a_fresh_fit_finds_an_object_it_has_not_seen(fitted):
    truth = disc((180, 130), (80, 70), 35)
    segmenter = Builtin(fitted)
    state = segmenter.prepare(painted(truth, 9))
    assert iou(segmenter.segment(state, Prompt(positive=((80.0, 70.0),))).mask, truth) > 0.85
    assert iou(segmenter.segment(state, Prompt(box=(46.0, 36.0, 114.0, 104.0))).mask, truth) > 0.85


def test_photographs_in_folders_and_side_by_side_are_found(tmp_path):
    mask = disc((64, 48), (30, 20), 12)
    (tmp_path / "scene_1").mkdir()
    for photo, name in (("a_00030.jpg", "a_00030.mask_x.png"), ("scene_1/color.jpg", "scene_1/mask_y.png")):
        (tmp_path / photo).write_bytes(encode_jpeg(painted(mask)))
        (tmp_path / name).write_bytes(encode_png(mask))
    assert sorted(group for group, _, _ in learn.photographs(tmp_path)) == ["a", "scene"]
    assert (
        json.dumps([rgb.shape for _, rgb, _ in learn.photographs(tmp_path)]) == "[[48, 64, 3], [48, 64, 3]]"
    )
