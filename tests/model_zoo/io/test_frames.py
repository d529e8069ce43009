"""Frames: every way there and back, composition, and that points, poses and quaternions tell the same story."""

from itertools import product

import numpy as np
import pytest

from model_zoo.io import frames
from model_zoo.io.errors import BadInput

WAYS = [*product(frames.TO_OPENCV, repeat=2), *product(frames.TO_GLTF, repeat=2)]
DRAWS = range(50)


def rotation(dice):
    return frames.rotation_from_quaternion(dice.normal(size=4))


@pytest.mark.parametrize(("source", "target"), WAYS)
def test_every_way_is_a_turn_that_its_way_back_undoes(source, target):
    M = frames.between(source, target)
    assert np.linalg.det(M) == pytest.approx(1) and np.array_equal(
        M @ frames.between(target, source), np.eye(3)
    )
    cloud = np.random.default_rng(0).normal(size=(4, 5, 3))
    assert np.array_equal(frames.points(frames.points(cloud, source, target), target, source), cloud)


@pytest.mark.parametrize("known", [frames.TO_OPENCV, frames.TO_GLTF])
def test_two_ways_in_a_row_are_the_direct_one(known):
    for a, b, c in product(known, repeat=3):
        assert np.array_equal(frames.between(b, c) @ frames.between(a, b), frames.between(a, c))


@pytest.mark.parametrize(
    ("source", "target", "there"),
    [
        ("opengl", "opencv", [1, -2, -3]),
        ("pytorch3d", "opencv", [-1, -2, 3]),
        ("pytorch3d", "opengl", [-1, 2, -3]),
        ("model", "gltf", [1, 3, -2]),
        ("gltf", "model", [1, -3, 2]),
    ],
)
def test_axes_go_where_the_conventions_say(source, target, there):
    assert frames.points([1, 2, 3], source, target).tolist() == there


@pytest.mark.parametrize(("source", "target"), [("opencv", "gltf"), ("blender", "opencv")])
def test_a_camera_does_not_become_a_mesh_frame(source, target):
    with pytest.raises(ValueError, match="no way from frame"):
        frames.between(source, target)


def test_a_pose_in_other_frames_moves_the_same_points_to_the_same_places():
    dice = np.random.default_rng(1)
    for camera, mesh in product(product(frames.TO_OPENCV, repeat=2), product(frames.TO_GLTF, repeat=2)):
        R, t, s, cloud = (
            rotation(dice),
            dice.normal(size=3),
            dice.uniform(0.5, 2, 3),
            dice.normal(size=(9, 3)),
        )
        R2, t2, s2 = frames.pose(R, t, s, camera=camera, mesh=mesh)
        moved = (frames.points(cloud, *mesh) * s2) @ R2.T + t2
        assert np.allclose(moved, frames.points((cloud * s) @ R.T + t, *camera))
        assert np.linalg.det(R2) == pytest.approx(1)
        back = frames.pose(R2, t2, s2, camera=camera[::-1], mesh=mesh[::-1])
        assert all(np.allclose(a, b) for a, b in zip(back, (R, t, s), strict=True))


def test_many_poses_at_once_are_the_same_as_one_by_one():
    dice = np.random.default_rng(2)
    given = [
        np.stack([rotation(dice) for _ in range(5)]),
        dice.normal(size=(5, 3)),
        dice.uniform(1, 2, (5, 3)),
    ]
    ways = {"camera": ("pytorch3d", "opencv"), "mesh": ("model", "gltf")}
    together = frames.pose(*given, **ways)
    for i in DRAWS[:5]:
        alone = frames.pose(*[part[i] for part in given], **ways)
        assert all(np.allclose(a[i], b) for a, b in zip(together, alone, strict=True))


def test_quaternions_multiply_and_return_like_their_matrices():
    dice = np.random.default_rng(3)
    for _ in DRAWS:
        a, b = (q / np.linalg.norm(q) for q in dice.normal(size=(2, 4)))
        A, B = frames.rotation_from_quaternion(a), frames.rotation_from_quaternion(b)
        assert np.allclose(frames.rotation_from_quaternion(frames.product(a, b)), A @ B)
        assert np.linalg.det(A) == pytest.approx(1) and np.allclose(A @ A.T, np.eye(3))
        assert np.allclose(frames.quaternion_from_rotation(A), a * np.sign(a[0]))


@pytest.mark.parametrize(("source", "target"), WAYS)
def test_a_splat_keeps_its_shape_in_every_frame(source, target):
    dice, M = np.random.default_rng(4), frames.between(source, target)
    q, sizes = dice.normal(size=(6, 4)), dice.uniform(0.1, 1, (6, 3))
    there = frames.quaternions(q, source, target)
    for before, after, size in zip(q, there, sizes, strict=True):
        R, R2 = frames.rotation_from_quaternion(before), frames.rotation_from_quaternion(after)
        assert np.allclose(R2 @ np.diag(size**2) @ R2.T, M @ R @ np.diag(size**2) @ R.T @ M.T)
    back = frames.quaternions(there, target, source)
    assert np.allclose(abs((back * q).sum(-1)), (q**2).sum(-1))


def test_the_zero_quaternion_is_refused():
    with pytest.raises(BadInput, match="no direction"):
        frames.rotation_from_quaternion([0, 0, 0, 0])
