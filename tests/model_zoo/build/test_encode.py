"""Members as bytes: what is written is read back, by others too, and the same values are the same bytes."""

import io

import numpy as np
import pytest
from PIL import Image

from model_zoo.build import encode
from model_zoo.io.errors import BadInput


def test_depth_is_read_back_within_its_steps_and_holes_stay_holes() -> None:
    depth = np.random.default_rng(0).uniform(0.7, 21.0, (37, 53)).astype(np.float32)
    depth[5:9, 10:30] = np.nan
    data, span = encode.depth_png(depth)
    back = encode.read_depth_png(data, **span)
    assert np.array_equal(np.isnan(back), np.isnan(depth))
    there = np.isfinite(depth)
    assert np.abs(back / depth - 1)[there].max() < 3e-5


def test_a_picture_without_depth_is_one_of_holes() -> None:
    data, span = encode.depth_png(np.full((4, 6), np.nan, np.float32))
    assert np.isnan(encode.read_depth_png(data, **span)).all()


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (9, 1), (64, 33)])
def test_normals_are_a_plain_png(size: tuple[int, int]) -> None:
    normals = np.random.default_rng(0).normal(size=(*size, 3)).astype(np.float32)
    normals /= np.linalg.norm(normals, axis=2, keepdims=True)
    with Image.open(io.BytesIO(encode.normals_png(normals))) as picture:
        picture.verify()
    with Image.open(io.BytesIO(encode.normals_png(normals))) as picture:
        assert picture.mode == "RGB"
        assert np.abs(np.asarray(picture) / 127.5 - 1 - normals).max() < 0.005


def test_a_normal_of_zero_is_middle_grey() -> None:
    with Image.open(io.BytesIO(encode.normals_png(np.zeros((2, 2, 3), np.float32)))) as picture:
        assert (np.asarray(picture) == 128).all()


def test_masks_and_occupancies_are_read_back() -> None:
    grid = np.random.default_rng(0).random((16, 16, 16)) < 0.3
    assert np.array_equal(encode.read_occupancy(encode.occupancy_bytes(grid)), grid)
    with Image.open(io.BytesIO(encode.mask_png(grid[0]))) as picture:
        assert picture.mode == "1" and np.array_equal(np.asarray(picture), grid[0])


def test_another_picture_is_no_occupancy_and_no_depth() -> None:
    flat = encode.mask_png(np.zeros((4, 12), bool))
    with pytest.raises(BadInput):
        encode.read_occupancy(flat)
    with pytest.raises(BadInput):
        encode.read_depth_png(encode.normals_png(np.zeros((4, 4, 3), np.float32)), 1.0, 2.0)


def test_the_same_facts_are_the_same_bytes() -> None:
    assert encode.facts(b=1, a=[0.5]) == encode.facts(a=[0.5], b=1) == b'{"a": [0.5], "b": 1}\n'
