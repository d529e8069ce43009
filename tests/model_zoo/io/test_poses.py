"""The stored pose and its borders, against the parity tensors and against each other."""

from pathlib import Path

import numpy as np
import pytest

from model_zoo.io.errors import BadInput
from model_zoo.io.poses import (
    Pose,
    glb_to_object,
    object_to_glb,
    opengl_to_opencv,
    pose_from_model,
    pose_from_opengl,
    pose_from_pytorch3d,
    pose_to_model,
    pytorch3d_to_opencv,
    quaternion_from_rotation,
    rotation_from_quaternion,
)


def a_pose(seed: int = 0) -> Pose:
    dice = np.random.default_rng(seed)
    return Pose(rotation_from_quaternion(dice.normal(size=4)), dice.normal(size=3), dice.uniform(0.5, 2, 3))


def test_the_stored_pose_is_the_models_pose_across_every_border(test_data: Path) -> None:
    parity = test_data.parent / "parity" / "ref" / "pose.safetensors"
    if not parity.is_file():
        pytest.skip(f"no parity tensors at {parity}")
    from safetensors.numpy import load_file

    ref = load_file(parity)
    rotation = rotation_from_quaternion(ref["out.rotation"][0])
    pose = pose_from_model(rotation, ref["out.translation"][0], ref["out.scale"][0])
    got = pose.apply(object_to_glb(ref["in.points_local"]))
    assert np.abs(got - pytorch3d_to_opencv(ref["out.points_camera"])).max() < 1e-6
    assert np.allclose(
        quaternion_from_rotation(ref["out.R_quat_to_matrix"][0]), ref["out.rotation"][0], atol=1e-6
    )


def test_the_models_own_formula_gives_the_same_points_with_three_scales() -> None:
    dice = np.random.default_rng(1)
    rows, t, s = rotation_from_quaternion(dice.normal(size=4)), dice.normal(size=3), dice.uniform(0.5, 2, 3)
    points = dice.normal(size=(20, 3))
    in_camera = pytorch3d_to_opencv((points * s) @ rows + t)
    assert np.allclose(pose_from_model(rows, t, s).apply(object_to_glb(points)), in_camera)


@pytest.mark.parametrize("seed", range(5))
def test_going_to_the_model_and_back_changes_nothing(seed: int) -> None:
    pose = a_pose(seed)
    again = pose_from_model(*pose_to_model(pose))
    assert np.allclose(again.matrix(), pose.matrix())


@pytest.mark.parametrize(
    ("border", "points"), [(pose_from_opengl, opengl_to_opencv), (pose_from_pytorch3d, pytorch3d_to_opencv)]
)
def test_a_border_of_poses_is_the_same_border_of_points(border, points) -> None:
    pose, cloud = a_pose(), np.random.default_rng(2).normal(size=(9, 3))
    assert np.allclose(border(pose).apply(cloud), points(pose.apply(cloud)))
    assert np.allclose(border(border(pose)).matrix(), pose.matrix())


def test_axes_go_where_the_conventions_say() -> None:
    assert opengl_to_opencv([1, 2, 3]).tolist() == [1, -2, -3]
    assert pytorch3d_to_opencv([1, 2, 3]).tolist() == [-1, -2, 3]
    assert object_to_glb([1, 2, 3]).tolist() == [1, 3, -2]
    assert glb_to_object(object_to_glb([1, 2, 3])).tolist() == [1, 2, 3]


@pytest.mark.parametrize("seed", range(5))
def test_quaternions_and_matrices_agree_even_at_half_turns(seed: int) -> None:
    q = np.random.default_rng(seed).normal(size=4)
    q[0] = 0 if seed == 0 else q[0]
    rotation = rotation_from_quaternion(q)
    assert np.allclose(rotation_from_quaternion(quaternion_from_rotation(rotation)), rotation)


def test_json_goes_round() -> None:
    pose = a_pose()
    again = Pose.from_json(pose.to_json())
    assert np.allclose(again.matrix(), pose.matrix(), atol=1e-12)
    assert Pose.from_json({"R": np.eye(3).tolist(), "t": [0, 0, 1], "scale": 2}).s.tolist() == [2, 2, 2]


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"s": -1}, "positive"),
        ({"s": 0}, "positive"),
        ({"R": np.diag([1, 1, -1]).tolist()}, "not a rotation"),
        ({"R": (1.5 * np.eye(3)).tolist()}, "not a rotation"),
        ({"R": (1e300 * np.eye(3)).tolist()}, "not a rotation"),
        ({"R": [[1, 0], [0, 1]]}, "shape"),
        ({"R": [["1", 0, 0], [0, 1, 0], [0, 0, 1]]}, "numbers"),
        ({"t": None}, '"t" is missing'),
        ({"t": [0, 0, float("nan")]}, "finite"),
        ({"t": [0, 0, 1e300]}, "out of range"),
        ({"t": [True, 0, 0]}, "numbers"),
    ],
)
def test_a_bad_pose_is_refused_with_its_reason(change: dict, match: str) -> None:
    with pytest.raises(BadInput, match=match):
        Pose.from_json({"R": np.eye(3).tolist(), "t": [0, 0, 1], "s": 1, **change})
