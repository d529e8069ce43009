"""The fallback pointmap: a ground, upright objects, and a source that says it is a guess."""

from pathlib import Path

import numpy as np
import pytest

from model_zoo.io.errors import BadInput
from model_zoo.proposers.placing import camera_of
from model_zoo.proposers.pointmap import estimate_pointmap, load_moge

RGB = np.zeros((120, 160, 3), np.uint8)


def mask(top, bottom, left=60, right=90):
    picture = np.zeros((120, 160), bool)
    picture[top:bottom, left:right] = True
    return picture


def test_it_is_finite_named_fallback_and_made_by_its_camera():
    estimate = estimate_pointmap(RGB, [mask(30, 80)])
    assert estimate.source == "fallback" and np.isfinite(estimate.points).all()
    assert np.allclose(camera_of(estimate.points), estimate.K, atol=0.05)


def test_an_object_stands_upright_in_front_of_what_is_behind_it():
    low = mask(30, 100)
    z = estimate_pointmap(RGB, [low]).points[..., 2]
    assert np.ptp(z[low]) == 0 and z[0, 0] > 2 * z[low][0] and z[119, 0] < z[low][0]


def test_an_object_lower_in_the_picture_is_nearer():
    near, far = mask(60, 110, 100, 140), mask(30, 80, 10, 40)
    z = estimate_pointmap(RGB, [far, near]).points[..., 2]
    assert z[near].mean() < z[far].mean()


def test_a_known_camera_is_kept():
    K = np.array([[200.0, 0, 70], [0, 210, 50], [0, 0, 1]])
    assert np.allclose(camera_of(estimate_pointmap(RGB, [mask(30, 80)], K).points), K, atol=0.05)


def test_a_missing_moge_is_refused_in_words(tmp_path):
    with pytest.raises(BadInput, match="MoGe cannot be used"):
        load_moge(Path(tmp_path / "weights.pt"))
