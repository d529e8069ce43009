"""Fitting: poses come closer to the truth, never farther, within two seconds."""

import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import trimesh
from scipy.spatial.transform import Rotation

from model_zoo.demo.scenes import scenes
from model_zoo.finish.fit import fit, iou
from model_zoo.io.errors import BadInput
from model_zoo.io.poses import Pose
from model_zoo.library import make
from model_zoo.render import intrinsics, render, render_scene, view_rotation
from tests.model_zoo.finish.disturbed import (
    Known,
    composed,
    cropped,
    disturbed,
    hides_its_turn,
    is_symmetric,
    outcome,
    photographed,
)

SIZE = (200, 160)
K = intrinsics(50, SIZE)
MESH = make("teapot", 2)
TRUTH = Pose(R=view_rotation(30, 25), t=np.array([0.03, 0.05, 0.9]), s=np.full(3, 1.3))


@pytest.fixture(scope="module")
def view():
    return render(MESH, TRUTH, K, SIZE)


def degrees(pose, truth=TRUTH):
    return np.degrees(Rotation.from_matrix(pose.R @ truth.R.T).magnitude())


def test_it_recovers_a_disturbed_pose_within_its_time(view):
    start = Pose(R=view_rotation(42, 18), t=TRUTH.t + [0.03, -0.02, 0.08], s=TRUTH.s * 1.15)
    began = time.monotonic()
    found = fit(MESH, start, view.points(K), view.mask, K)
    assert time.monotonic() - began < 4.0
    assert found.iou > iou(MESH, start, K, view.mask) and found.iou > 0.96
    assert np.linalg.norm(found.pose.t - TRUTH.t) < 0.005 and degrees(found.pose) < 1


def test_it_does_not_leave_a_true_pose(view):
    found = fit(MESH, TRUTH, view.points(K), view.mask, K)
    assert found.iou > 0.97 and np.allclose(found.pose.t, TRUTH.t, atol=0.003) and degrees(found.pose) < 0.5


def test_the_overlap_of_the_true_pose_is_complete_and_of_a_distant_one_empty(view):
    assert iou(MESH, TRUTH, K, view.mask) > 0.97
    assert iou(MESH, Pose(TRUTH.R, TRUTH.t + [3, 0, 0], TRUTH.s), K, view.mask) == 0


def test_a_card_of_one_depth_says_nothing_about_the_rotation(view):
    flat = view.points(K) * (0.9 / view.depth)[..., None]
    start = Pose(TRUTH.R, TRUTH.t + [0.05, 0.02, 0.1], TRUTH.s * 1.2)
    found = fit(MESH, start, flat, view.mask, K)
    assert np.allclose(found.pose.R, TRUTH.R) and found.iou > 0.9


def test_the_axes_keep_their_ratio():
    truth = Pose(TRUTH.R, TRUTH.t, [1.3, 1.0, 1.5])
    view = render(MESH, truth, K, SIZE)
    start = Pose(
        truth.R @ view_rotation(10, 0) @ view_rotation(0, 0).T, truth.t + [0, 0, 0.05], truth.s * 1.1
    )
    found = fit(MESH, start, view.points(K), view.mask, K)
    assert np.allclose(found.pose.s / found.pose.s[0], truth.s / truth.s[0])
    assert np.allclose(found.pose.s, truth.s, rtol=0.02)


def test_what_stands_in_front_does_not_squeeze_the_mesh():
    wall = Pose(np.eye(3), np.array([0.143, 0.0, 0.5]), np.array([0.2, 0.6, 0.02]))
    view = render_scene([(MESH, TRUTH), (trimesh.creation.box((1, 1, 1)), wall)], K, SIZE)
    mask = view.instance == 0
    assert mask.sum() < 0.8 * render(MESH, TRUTH, K, SIZE).mask.sum()
    start = Pose(view_rotation(22, 20), TRUTH.t + [-0.03, 0.02, 0.05], TRUTH.s / 1.1)
    found = fit(MESH, start, view.points(K), mask, K)
    assert np.allclose(found.pose.s, TRUTH.s, rtol=0.03) and degrees(found.pose) < 3
    assert np.linalg.norm(found.pose.t - TRUTH.t) < 0.01


def test_the_edge_of_the_picture_does_not_squeeze_the_mesh(view):
    known = cropped(Known("teapot", MESH, TRUTH, view.points(K), view.mask, K))
    ends = [outcome(known, disturbed(known, np.random.default_rng(seed))) for seed in range(3)]
    assert all(end.good for end in ends)


def test_a_turn_that_nothing_speaks_for_stays_as_the_person_had_it():
    mesh = make("goblet", 1)
    view = render(mesh, TRUTH, K, SIZE)
    turned = Pose(TRUTH.R @ Rotation.from_euler("y", 70, degrees=True).as_matrix(), TRUTH.t * 1.05, TRUTH.s)
    found = fit(mesh, turned, view.points(K), view.mask, K)
    assert found.iou > 0.95 and degrees(found.pose, turned) < 3


def test_a_pose_that_misses_the_object_is_brought_back(view):
    start = Pose(view_rotation(35, 22), TRUTH.t + [2.0, -1.0, 3.0], TRUTH.s * 3)
    found = fit(MESH, start, view.points(K), view.mask, K)
    assert found.iou > 0.95 and degrees(found.pose) < 3


def test_another_start_wins_when_it_ends_better(view):
    astray = Pose(view_rotation(160, 60), TRUTH.t, TRUTH.s)
    near = Pose(view_rotation(25, 20), TRUTH.t, TRUTH.s)
    # On a busy machine the search would end early.
    found = fit(MESH, astray, view.points(K), view.mask, K, others=[near], seconds=60)
    assert degrees(found.pose) < 1


def test_a_fine_mesh_takes_no_longer(view):
    fine = MESH.subdivide().subdivide().subdivide()
    assert len(fine.faces) > 250_000
    began = time.process_time()
    found = fit(fine, Pose(view_rotation(40, 20), TRUTH.t * 1.05, TRUTH.s), view.points(K), view.mask, K)
    assert time.process_time() - began < 2.0 and degrees(found.pose) < 1


def test_an_empty_mask_is_refused(view):
    with pytest.raises(BadInput, match="mask is empty"):
        fit(MESH, TRUTH, view.points(K), np.zeros_like(view.mask), K)


def test_four_of_five_disturbed_objects_of_composed_scenes_end_at_the_truth():
    objects = [known for scene in scenes(6, seed=31) for known in composed(scene)]
    telling = [known for known in objects if not is_symmetric(known)]
    assert len(telling) >= 6
    ends = [outcome(known, disturbed(known, np.random.default_rng(i))) for i, known in enumerate(telling)]
    assert np.mean([end.good for end in ends]) >= 0.8
    assert np.median([end.seconds for end in ends]) < 2


def test_real_objects_end_a_centimetre_and_three_degrees_from_their_fitted_poses(test_data: Path):
    for known in photographed(test_data / "dev" / "rgbd"):
        turn, way, _ = outcome(known, disturbed(known, np.random.default_rng(5))).errors
        assert way * known.diameter < 0.01, known.name
        assert turn < 3 or hides_its_turn(known), known.name


def test_symmetric_is_what_looks_the_same_after_a_turn(view):
    goblet = make("goblet", 1)
    teapot = Known("teapot", MESH, TRUTH, view.points(K), view.mask, K)
    assert is_symmetric(replace(teapot, mesh=goblet)) and not is_symmetric(teapot)
