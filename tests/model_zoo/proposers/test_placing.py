"""Placing: the camera of a pointmap, and poses whose outline and depth agree with mask and pointmap."""

import numpy as np
import pytest

from model_zoo.io.errors import BadInput
from model_zoo.io.poses import Pose
from model_zoo.library import make
from model_zoo.proposers.placing import camera_of, object_depth, overlap, place, window_of
from model_zoo.render import RayTree, intrinsics, render, view_rotation

SIZE = (160, 120)
K = intrinsics(55, SIZE)


@pytest.fixture(scope="module")
def seen():
    pose = Pose(R=view_rotation(40, 20), t=np.array([0.2, 0.1, 2.0]), s=np.full(3, 5.0))
    mesh = make("mug", 3)
    return mesh, pose, render(mesh, pose, K, SIZE)


def test_the_camera_is_read_from_the_pointmap(seen):
    pointmap = render(make("table", 1), Pose(np.eye(3), np.array([0, 0, 3.0]), np.ones(3)), K, SIZE).points(K)
    assert np.allclose(camera_of(pointmap), K, atol=1e-2)


def test_a_pointmap_without_points_is_refused_in_words():
    with pytest.raises(BadInput, match="too few valid points"):
        camera_of(np.full((4, 4, 3), np.nan, np.float32))


def test_an_empty_mask_is_refused_in_words(seen):
    with pytest.raises(BadInput, match="mask is empty"):
        window_of(np.zeros(SIZE[::-1], bool), seen[2].points(K), K)


def test_placing_with_the_true_rotation_finds_the_true_pose(seen):
    mesh, pose, view = seen
    pointmap = view.points(K)
    window = window_of(view.mask, pointmap, K)
    found = place(RayTree(mesh), pose.R, window, object_depth(view.mask, pointmap))
    assert np.abs(found.t - pose.t).max() < 0.03 and abs(found.s[0] / pose.s[0] - 1) < 0.03
    assert overlap(render(mesh, found, K, SIZE).mask, view.mask) > 0.93


def test_a_mask_thinner_than_a_working_cell_is_not_lost(seen):
    line = np.zeros((400, 600), bool)
    line[200, 20:580] = True
    window = window_of(line, np.full((400, 600, 3), 2.0, np.float32), K)
    assert window.mask.sum() > 50
