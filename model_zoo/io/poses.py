"""The stored pose and every border between it and other conventions; the frames themselves are in frames.py.

Stored: p_cam = R diag(s) p_glb + t, column vectors, OpenCV camera (x right, y down, z forward), mesh as the GLB
delivers it (y-up). The model's own frame is a z-up unit cube with row vectors and a PyTorch3D camera
(x left, y up, z forward): sam3d_model.md section 9.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from model_zoo.io import frames
from model_zoo.io.errors import BadInput
from model_zoo.io.frames import quaternion_from_rotation, rotation_from_quaternion
from model_zoo.io.records import parse_json

__all__ = [
    "Pose",
    "glb_to_object",
    "object_to_glb",
    "opengl_to_opencv",
    "pose_from_model",
    "pose_from_opengl",
    "pose_from_pytorch3d",
    "pose_to_model",
    "pytorch3d_to_opencv",
    "quaternion_from_rotation",
    "rotation_from_quaternion",
]

Array = NDArray[np.float64]

ROTATION_TOLERANCE = 1e-3
LARGEST = 1e6
SMALLEST_SCALE = 1e-9


@dataclass(frozen=True, eq=False)
class Pose:
    """Placement of a GLB in the camera: R (3,3) rotation, t (3,) and s (3,) > 0 in the pointmap's units.

    Raises BadInput when R is not a rotation (to 1e-3), a number is not finite, or a scale is not positive.
    """

    R: Array
    t: Array
    s: Array

    def __post_init__(self) -> None:
        rotation = _rotation(_numbers(self.R, (3, 3), "R"))
        translation = _numbers(self.t, (3,), "t")
        scale = _numbers(self.s, (3,), "s")
        if (scale <= 0).any():
            raise BadInput("pose: the scale s must be positive", "bad_pose")
        if (scale < SMALLEST_SCALE).any() or (scale > LARGEST).any() or (abs(translation) > LARGEST).any():
            raise BadInput("pose: t or s is out of range", "bad_pose")
        for name, value in (("R", rotation), ("t", translation), ("s", scale)):
            value.flags.writeable = False
            object.__setattr__(self, name, value)

    def apply(self, points: ArrayLike) -> Array:
        """Points (N,3) of the GLB to points (N,3) in the OpenCV camera."""
        return (np.asarray(points, np.float64) * self.s) @ self.R.T + self.t

    def matrix(self) -> Array:
        """The same as a 4x4 matrix for column vectors."""
        result = np.eye(4)
        result[:3, :3] = self.R * self.s
        result[:3, 3] = self.t
        return result

    def to_json(self) -> dict[str, Any]:
        """{"R": 3x3 list, "t": 3 numbers, "s": 3 numbers}."""
        return {"R": self.R.tolist(), "t": self.t.tolist(), "s": self.s.tolist()}

    @classmethod
    def from_json(cls, value: bytes | str | dict[str, Any]) -> "Pose":
        """Read {"R", "t", "s"}; s (or "scale") may be one number or three. Raises BadInput naming the field."""
        fields = parse_json(value) if isinstance(value, bytes | str) else value
        if not isinstance(fields, dict):
            raise BadInput('pose: expected an object with "R", "t" and "s"', "bad_pose")
        scale: Any = fields.get("s", fields.get("scale"))
        for name, part in (("R", fields.get("R")), ("t", fields.get("t")), ("s", scale)):
            if part is None:
                raise BadInput(f'pose: the field "{name}" is missing', "bad_pose")
        scales: Any = [scale] * 3 if isinstance(scale, int | float) else scale
        return cls(fields["R"], fields["t"], scales)


def _numbers(value: Any, shape: tuple[int, ...], name: str) -> Array:
    if not _all_numbers(value):
        raise BadInput(f"pose: {name} must hold numbers only", "bad_pose")
    try:
        array = np.array(value, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        raise BadInput(f"pose: {name} must hold numbers only", "bad_pose") from None
    if array.shape != shape:
        raise BadInput(f"pose: {name} must have shape {shape}, not {array.shape}", "bad_pose")
    if not np.isfinite(array).all():
        raise BadInput(f"pose: {name} holds a number that is not finite", "bad_pose")
    return array


def _all_numbers(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return len(value) <= 3 and all(_all_numbers(v) for v in value)
    return isinstance(value, np.ndarray | int | float | np.number) and not isinstance(value, bool)


def _rotation(matrix: Array) -> Array:
    """The nearest exact rotation; refuses a matrix further than the tolerance from one."""
    if abs(matrix).max() > 2:
        raise BadInput("pose: R is not a rotation (a number in it is larger than 1)", "bad_pose")
    if np.linalg.det(matrix) <= 0:
        raise BadInput("pose: R is not a rotation (its determinant is not +1; a mirror?)", "bad_pose")
    if abs(matrix @ matrix.T - np.eye(3)).max() > ROTATION_TOLERANCE:
        raise BadInput("pose: R is not a rotation (its rows are not orthonormal)", "bad_pose")
    if abs(matrix @ matrix.T - np.eye(3)).max() < 1e-9:
        return matrix
    left, _, right = np.linalg.svd(matrix)
    return np.ascontiguousarray(left @ right)


def opengl_to_opencv(points: ArrayLike) -> Array:
    """Camera points (..., 3) from glTF/OpenGL axes (x right, y up, z backward) to OpenCV. Its own inverse."""
    return frames.points(points, "opengl", "opencv")


def pytorch3d_to_opencv(points: ArrayLike) -> Array:
    """Camera points (..., 3) from PyTorch3D axes (x left, y up, z forward) to OpenCV. Its own inverse."""
    return frames.points(points, "pytorch3d", "opencv")


def object_to_glb(points: ArrayLike) -> Array:
    """Points (..., 3) of the model's z-up object frame to the y-up GLB: (x, z, -y)."""
    return frames.points(points, "model", "gltf")


def glb_to_object(points: ArrayLike) -> Array:
    """Points (..., 3) of a y-up GLB to the model's z-up object frame: (x, -z, y)."""
    return frames.points(points, "gltf", "model")


def pose_from_opengl(pose: Pose) -> Pose:
    """The stored pose of one whose camera has glTF/OpenGL axes. Its own inverse."""
    return Pose(*frames.pose(pose.R, pose.t, pose.s, camera=("opengl", "opencv")))


def pose_from_pytorch3d(pose: Pose) -> Pose:
    """The stored pose of one whose camera has PyTorch3D axes (mesh still the y-up GLB). Its own inverse."""
    return Pose(*frames.pose(pose.R, pose.t, pose.s, camera=("pytorch3d", "opencv")))


def pose_from_model(rotation: ArrayLike, translation: ArrayLike, scale: ArrayLike) -> Pose:
    """The stored pose of the model's p_cam = (p_object * s) @ R + t (row vectors, z-up, PyTorch3D camera).

    rotation (3,3), translation (3,), scale (3,), in the pointmap's units (sam3d_model.md 9.4).
    """
    columns = np.asarray(rotation, np.float64).T
    ways = {"camera": ("pytorch3d", "opencv"), "mesh": ("model", "gltf")}
    return Pose(*frames.pose(columns, translation, scale, **ways))


def pose_to_model(pose: Pose) -> tuple[Array, Array, Array]:
    """The model's (R (3,3) for row vectors, t (3,), s (3,)) of a stored pose: inverse of pose_from_model."""
    ways = {"camera": ("opencv", "pytorch3d"), "mesh": ("gltf", "model")}
    columns, t, s = frames.pose(pose.R, pose.t, pose.s, **ways)
    return columns.T, t, s
