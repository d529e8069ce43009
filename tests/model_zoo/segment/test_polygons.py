"""Polygons of a mask: few, simple, and the mask again when filled."""

import numpy as np
import pytest

from model_zoo.demo import photographs
from model_zoo.io.segmentations import rasterise_polygons
from model_zoo.segment.polygons import polygons_of
from model_zoo.segment.simulate import iou
from tests.model_zoo.segment.pictures import disc

SIZE = (300, 200)
DISC = disc(SIZE, (120, 100), 70)
RING = DISC & ~disc(SIZE, (110, 95), 30)


def back(mask: np.ndarray) -> float:
    """IoU of a mask with what its polygons fill."""
    return iou(rasterise_polygons(polygons_of(mask), mask.shape[::-1]), mask)


@pytest.mark.parametrize(
    "mask",
    [
        DISC,
        RING,
        RING & ~disc(SIZE, (150, 130), 12),
        RING | disc(SIZE, (110, 95), 12) | disc(SIZE, (270, 40), 20),
        np.ones((40, 60), bool),
        np.eye(40, dtype=bool) | np.eye(40, k=1, dtype=bool),
        disc((2000, 1500), (1000, 700), 600),
    ],
    ids=["disc", "ring", "two holes", "island in a hole", "everything", "thin", "large"],
)
def test_the_polygons_fill_the_mask_again(mask):
    assert back(mask) >= 0.98


def test_masks_of_real_photographs_come_back():
    masks = [mask for photo in photographs() for mask in photo.masks.values()]
    assert len(masks) >= 3 and min(back(mask) for mask in masks) >= 0.98


def test_a_smooth_outline_has_few_corners():
    assert len(polygons_of(DISC)) == 1 and len(polygons_of(DISC)[0]) // 2 < 60


def test_a_hole_belongs_to_its_polygon():
    assert len(polygons_of(RING)) == 1


def test_no_more_than_the_limit_and_no_specks():
    many = np.zeros((200, 200), bool)
    many[::4, ::4] = True
    assert len(polygons_of(many)) <= 200
    speck = DISC.copy()
    speck[0, 0] = True
    assert len(polygons_of(speck)) == 1


def test_an_empty_mask_has_none():
    assert polygons_of(np.zeros((20, 30), bool)) == []
