"""Depth, pointmaps and cameras: units, invalid values, headers that lie."""

import json

import numpy as np
import pytest

from model_zoo.io.arrays import write_npz
from model_zoo.io.depth import (
    Camera,
    assumed_camera,
    decode_pointmap,
    encode_pointmap,
    load_camera,
    load_depth,
    load_pointmap,
    unproject,
)
from model_zoo.io.errors import BadInput
from tests.model_zoo.io.makers import encoded, npy

SIZE = (96, 64)
CAMERA = Camera(100.0, 110.0, 48.0, 32.0, 96, 64, 0.001)


def depth() -> np.ndarray:
    return np.linspace(1, 2, 64 * 96, dtype=np.float32).reshape(64, 96)


def test_the_point_at_the_principal_point_lies_straight_ahead() -> None:
    points = unproject(depth(), CAMERA)
    assert points.dtype == np.float32 and np.allclose(points[32, 48], [0, 0, depth()[32, 48]])
    assert points[32, 60, 0] > 0 and points[50, 48, 1] > 0


def test_png_and_arrays_give_the_same_points() -> None:
    millimetres = np.round(depth() * 1000).astype(np.uint16)
    metres = millimetres.astype(np.float32) * np.float32(0.001)
    files = [
        encoded(millimetres),
        npy(metres),
        npy(metres.astype(">f8")),
        npy(np.asfortranarray(metres)),
        write_npz({"depth": metres}),
    ]
    first, *others = (load_depth(data, CAMERA, SIZE) for data in files)
    assert all(np.allclose(first.points, other.points, atol=1e-6) for other in others)
    assert first.warnings == []


def test_depth_without_a_unit_is_taken_as_millimetres_with_a_warning() -> None:
    camera = Camera(100.0, 100.0, 48.0, 32.0, 96, 64)
    loaded = load_depth(encoded(np.full((64, 96), 1500, np.uint16)), camera, SIZE)
    assert np.allclose(loaded.points[..., 2], 1.5)
    assert loaded.warnings[0] == "no depth unit is given: millimetres are assumed"


def test_depth_that_is_no_measurement_is_masked_out_and_counted() -> None:
    values = depth()
    values[0, :4] = [np.nan, np.inf, -np.inf, -1]
    loaded = load_depth(npy(values), CAMERA, SIZE)
    assert np.isnan(loaded.points[0, :4]).all() and np.isfinite(loaded.points).sum() == 3 * (6144 - 4)
    assert loaded.warnings == ["4 depth values that are negative or not finite were masked out"]


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (npy(np.zeros((64, 96), np.float32)), "no valid depth"),
        (npy(np.ones((96, 64), np.float32)), "the shape is 96 x 64, not 64 x 96"),
        (encoded(np.ones((64, 96, 3), np.uint8)), "one channel"),
        (encoded(np.ones((64, 96), np.uint8), "JPEG"), "lossy"),
        (npy(depth())[:300], "truncated"),
        (b"not a depth file at all", "expected a 16-bit PNG"),
        (npy(np.ones((64, 96), np.complex64)), "not accepted"),
    ],
)
def test_a_file_that_holds_no_depth_is_refused(data: bytes, match: str) -> None:
    with pytest.raises(BadInput, match=match):
        load_depth(data, CAMERA, SIZE)


def test_a_pointmap_survives_writing_and_reading_bit_for_bit() -> None:
    points = unproject(depth(), CAMERA)
    points[3, 4] = np.nan
    data = encode_pointmap(points, CAMERA)
    again, camera = decode_pointmap(data)
    assert np.array_equal(again, points, equal_nan=True) and again.dtype == np.float32
    assert camera == Camera(100.0, 110.0, 48.0, 32.0, 96, 64)
    assert data == encode_pointmap(points.copy(), CAMERA)
    assert decode_pointmap(encode_pointmap(points))[1] is None


def test_points_behind_the_camera_are_masked_out_or_warned_of() -> None:
    points = unproject(depth(), CAMERA)
    few, most = points.copy(), points * [1, 1, -1]
    few[:2, :, 2] *= -1
    assert np.isnan(load_pointmap(encode_pointmap(few), SIZE).points[:2]).all()
    assert "axis convention" in load_pointmap(encode_pointmap(most), SIZE).warnings[0]


def test_a_pointmap_without_a_valid_point_is_refused() -> None:
    with pytest.raises(BadInput, match="no valid point"):
        load_pointmap(encode_pointmap(np.full((64, 96, 3), np.nan)), SIZE)


def test_camera_json_is_read_with_its_unit_and_with_a_matrix() -> None:
    assert load_camera(json.dumps(CAMERA.to_json()).encode(), SIZE) == CAMERA
    matrix = load_camera(json.dumps({"K": CAMERA.matrix().tolist()}).encode(), SIZE)
    assert (matrix.fx, matrix.cy, matrix.width) == (100.0, 32.0, 96)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"fx": -1}, "fx"),
        ({"fy": "100"}, "fy"),
        ({"cx": 1e9}, "cx"),
        ({"fx": 0.8}, "fx"),
        ({"width": 1.5}, "width"),
        ({"cy": None}, "cy"),
        ({"depth_scale": 1000}, "depth_scale"),
    ],
)
def test_a_bad_camera_field_is_named(change: dict, field: str) -> None:
    fields = {"fx": 100, "fy": 100, "cx": 48, "cy": 32, "width": 96, "height": 64, **change}
    with pytest.raises(BadInput, match=f'"{field}"'):
        load_camera(json.dumps(fields).encode(), SIZE)


def test_a_camera_of_another_image_is_refused() -> None:
    with pytest.raises(BadInput, match="96x64 but the image is 640x480"):
        load_camera(json.dumps(CAMERA.to_json()).encode(), (640, 480))


def test_the_assumed_camera_sees_sixty_degrees() -> None:
    camera = assumed_camera((640, 480))
    assert np.degrees(2 * np.arctan(320 / camera.fx)) == pytest.approx(60)
