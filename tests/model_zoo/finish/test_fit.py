"""Fitting: poses come closer to the truth, never farther, within two seconds."""

import time

import numpy as np
import pytest

from model_zoo.finish.fit import fit, iou, similarity
from model_zoo.io.poses import Pose
from model_zoo.library import make
from model_zoo.render import intrinsics, render, view_rotation

SIZE = (200, 160)
K = intrinsics(50, SIZE)
MESH = make("teapot", 2)
TRUTH = Pose(R=view_rotation(30, 25), t=np.array([0.03, 0.05, 0.9]), s=np.full(3, 1.3))


@pytest.fixture(scope="module")
def view():
    return render(MESH, TRUTH, K, SIZE)


def test_it_recovers_a_disturbed_pose_within_its_time(view):
    start = Pose(R=view_rotation(42, 18), t=TRUTH.t + [0.03, -0.02, 0.08], s=TRUTH.s * 1.15)
    began = time.monotonic()
    found = fit(MESH, start, view.points(K), view.mask, K)
    assert time.monotonic() - began < 4.0
    assert found.iou > iou(MESH, start, K, view.mask) and found.iou > 0.93
    assert np.linalg.norm(found.pose.t - TRUTH.t) < 0.03


def test_it_does_not_leave_a_true_pose(view):
    found = fit(MESH, TRUTH, view.points(K), view.mask, K)
    assert found.iou > 0.95 and np.allclose(found.pose.t, TRUTH.t, atol=0.01)


def test_the_overlap_of_the_true_pose_is_complete_and_of_a_distant_one_empty(view):
    assert iou(MESH, TRUTH, K, view.mask) > 0.97
    assert iou(MESH, Pose(TRUTH.R, TRUTH.t + [3, 0, 0], TRUTH.s), K, view.mask) == 0


@pytest.mark.parametrize("turn", [True, False])
def test_similarity_gives_back_a_known_motion(turn):
    source = np.random.default_rng(0).normal(size=(50, 3))
    R = view_rotation(20, 10) @ view_rotation(0, 0).T if turn else np.eye(3)
    scale, found, t = similarity(source, 1.4 * source @ R.T + [1, 2, 3], turn=turn)
    assert np.isclose(scale, 1.4) and np.allclose(found, R) and np.allclose(t, [1, 2, 3])


def test_a_card_of_one_depth_says_nothing_about_the_rotation(view):
    flat = view.points(K) * (0.9 / view.depth)[..., None]
    found = fit(MESH, TRUTH, flat, view.mask, K)
    assert np.allclose(found.pose.R, TRUTH.R) and found.iou > 0.9
