"""The coordinate frames that meet here, by name, and the ways between them: points, rotations, poses, quaternions.

Cameras: "opencv" (x right, y down, z forward; ours), "opengl" (x right, y up, z backward; a glTF camera's too),
"pytorch3d" (x left, y up, z forward). Meshes: "gltf" (y-up, as a GLB delivers it; ours), "model" (the network's z-up
unit cube). All are right-handed; vectors are columns; quaternions are (w, x, y, z).
"""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from model_zoo.io.errors import BadInput

Array = NDArray[np.float64]
Ways = tuple[str, str]

TO_OPENCV = {
    "opencv": np.eye(3),
    "opengl": np.diag([1.0, -1.0, -1.0]),
    "pytorch3d": np.diag([-1.0, -1.0, 1.0]),
}
TO_GLTF = {
    "gltf": np.eye(3),
    "model": np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]]),  # (x, y, z) -> (x, z, -y)
}


def between(source: str, target: str) -> Array:
    """The rotation M (3,3) with x_target = M x_source, of two cameras or of two mesh frames. Raises ValueError."""
    for known in (TO_OPENCV, TO_GLTF):
        if source in known and target in known:
            return known[target].T @ known[source]
    raise ValueError(
        f"no way from frame {source!r} to {target!r}: cameras {list(TO_OPENCV)}, meshes {list(TO_GLTF)}"
    )


def points(x: ArrayLike, source: str, target: str) -> Array:
    """Points or directions (..., 3) of one frame in another."""
    return np.asarray(x, np.float64) @ between(source, target).T


def pose(
    R: ArrayLike,
    t: ArrayLike,
    s: ArrayLike,
    *,
    camera: Ways = ("opencv", "opencv"),
    mesh: Ways = ("gltf", "gltf"),
) -> tuple[Array, Array, Array]:
    """R (..., 3, 3), t (..., 3), s (..., 3) of p_camera = R diag(s) p_mesh + t, its camera and its mesh each taken
    from one frame to another; s goes with the mesh's axes."""
    C, M = between(*camera), between(*mesh)
    turned = C @ np.asarray(R, np.float64) @ M.T
    # The mesh frames differ by whole axes, so that a scale along one axis stays one along an axis.
    return turned, np.asarray(t, np.float64) @ C.T, np.asarray(s, np.float64) @ abs(M).T


def quaternions(q: ArrayLike, source: str, target: str) -> Array:
    """Orientations (..., 4) of splats or cameras of one frame in another: the axes are turned, the shape is not."""
    return turned(q, between(source, target))


def turned(q: ArrayLike, R: ArrayLike) -> Array:
    """Orientations (..., 4) after everything is turned by R (3,3), such as splats that a pose places in the camera."""
    return product(quaternion_from_rotation(R), q)


def product(a: ArrayLike, b: ArrayLike) -> Array:
    """The quaternion (..., 4) that turns by b first, then by a: R(ab) = R(a) R(b)."""
    aw, ax, ay, az = np.moveaxis(np.asarray(a, np.float64), -1, 0)
    bw, bx, by, bz = np.moveaxis(np.asarray(b, np.float64), -1, 0)
    parts = (
        aw * bw - ax * bx - ay * by - az * bz,
        aw * bx + ax * bw + ay * bz - az * by,
        aw * by - ax * bz + ay * bw + az * bx,
        aw * bz + ax * by - ay * bx + az * bw,
    )
    return np.stack(parts, -1)


def rotation_from_quaternion(quaternion: ArrayLike) -> Array:
    """Matrix (3,3) of a quaternion (4,), normalised first. Raises BadInput for the zero quaternion."""
    q = np.asarray(quaternion, np.float64).reshape(4)
    norm = float(np.linalg.norm(q))
    if not math.isfinite(norm) or norm < 1e-12:
        raise BadInput("pose: the quaternion has no direction", "bad_pose")
    w, x, y, z = q / norm
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )


def quaternion_from_rotation(rotation: ArrayLike) -> Array:
    """Quaternion (4,) with w >= 0 of a rotation matrix (3,3)."""
    m = np.asarray(rotation, np.float64)
    # The eigenvector form has no branch that loses precision near half turns.
    k = (
        np.array(
            [
                [m[0, 0] - m[1, 1] - m[2, 2], 0, 0, 0],
                [m[1, 0] + m[0, 1], m[1, 1] - m[0, 0] - m[2, 2], 0, 0],
                [m[2, 0] + m[0, 2], m[2, 1] + m[1, 2], m[2, 2] - m[0, 0] - m[1, 1], 0],
                [m[2, 1] - m[1, 2], m[0, 2] - m[2, 0], m[1, 0] - m[0, 1], m.trace()],
            ]
        )
        / 3.0
    )
    _, vectors = np.linalg.eigh(k)
    q = vectors[[3, 0, 1, 2], 3]
    return -q if q[0] < 0 else q
