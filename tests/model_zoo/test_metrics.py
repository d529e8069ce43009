"""Figures of merit on shapes with known answers."""

import numpy as np
import pytest

from model_zoo import metrics


def test_voxel_scores_of_half_an_overlap():
    a, b = np.zeros((4, 4, 4), bool), np.zeros((4, 4, 4), bool)
    a[0], b[0], b[1] = True, True, True
    assert metrics.voxel_scores(a, b) == pytest.approx((2 / 3, 0.5))


def test_equal_and_empty_grids_agree():
    empty = np.zeros((4, 4, 4), bool)
    assert metrics.voxel_scores(empty, empty) == (1.0, 1.0)
    assert metrics.chamfer(metrics.surface_points(empty), metrics.surface_points(~empty)) == pytest.approx(
        3**0.5
    )


def test_surface_leaves_out_the_interior():
    assert len(metrics.surface_points(np.ones((4, 4, 4), bool))) == 64 - 8


def test_chamfer_of_a_shift_is_its_length():
    points = np.array([[0.0, 0, 0]])
    assert metrics.chamfer(points, points + [0.3, 0, 0]) == pytest.approx(0.3)


def test_rotation_angle():
    quarter = np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])
    assert metrics.rotation_degrees(np.eye(3), quarter) == pytest.approx(90)


def test_mask_iou():
    assert metrics.mask_iou(np.array([True, True]), np.array([True, False])) == 0.5
