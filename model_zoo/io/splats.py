"""Gaussian splats as PLY, in the layout that splat viewers read (sam3d_model.md section 11).

Little-endian float32: x y z, nx ny nz (0), f_dc_0..2 (SH degree 0), opacity (logit), scale_0..2 (natural logarithm),
rot_0..3 (wxyz, of any length). The frame is whatever the caller's splats are in.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from model_zoo.io.errors import BadInput
from model_zoo.io.ply import read_vertices

Array = NDArray[np.float32]
NAMES = (
    "x", "y", "z", "nx", "ny", "nz", "f_dc_0", "f_dc_1", "f_dc_2", "opacity",
    "scale_0", "scale_1", "scale_2", "rot_0", "rot_1", "rot_2", "rot_3",
)  # fmt: skip
WRITTEN = tuple(name for name in NAMES if not name.startswith("n"))
LEAST_OPACITY = 1e-6  # kept off 0 and 1, whose logits are infinite


def encode_splats(xyz: Array, features_dc: Array, scaling: Array, rotation: Array, opacity: Array) -> bytes:
    """The file of activated splats: (N,3), (N,3), (N,3) > 0, (N,4) and (N,1) in 0..1.

    Raises BadInput when there are none or a value is not finite.
    """
    if not len(xyz):
        raise BadInput("there are no Gaussians to write", "no_geometry")
    share = np.clip(opacity.astype(np.float64), LEAST_OPACITY, 1 - LEAST_OPACITY)
    with np.errstate(divide="ignore", invalid="ignore"):
        columns = [
            xyz,
            np.zeros_like(xyz),
            features_dc,
            np.log(share / (1 - share)),
            np.log(scaling),
            rotation,
        ]
    rows = np.concatenate([np.asarray(column, "<f4") for column in columns], axis=1)
    if not np.isfinite(rows).all():
        raise BadInput("the Gaussians hold values that are not finite", "bad_vertex")
    lines = ["ply", "format binary_little_endian 1.0", f"element vertex {len(rows)}"]
    lines += [f"property float {name}" for name in NAMES]
    return ("\n".join([*lines, "end_header"]) + "\n").encode("ascii") + rows.tobytes()


def decode_splats(data: bytes) -> tuple[Array, Array, Array, Array, Array]:
    """(xyz, features_dc, scaling, rotation, opacity) of a file, activated, rotations of length 1. Raises BadInput."""
    columns = read_vertices(data)
    missing = [name for name in WRITTEN if name not in columns]
    if missing:
        raise BadInput(f"PLY: these are no Gaussian splats, {missing[0]} is missing", "not_splats")
    stacked = np.stack([_numbers(columns[name]) for name in WRITTEN], axis=1)
    if not len(stacked):
        raise BadInput("PLY: there are no Gaussians in the file", "no_geometry")
    if not np.isfinite(stacked).all():
        wrong = int(np.argmax(~np.isfinite(stacked).all(axis=1)))
        raise BadInput(f"PLY: splat {wrong} has a value that is not finite", "bad_vertex")
    xyz, colour, logit, size, turn = np.split(stacked, [3, 6, 7, 10], axis=1)
    length = np.linalg.norm(turn, axis=1, keepdims=True)
    if (length < 1e-12).any():
        raise BadInput(f"PLY: splat {int(np.argmin(length))} has a rotation of length 0", "bad_vertex")
    with np.errstate(over="ignore"):
        scaling, opacity = np.exp(size), 1 / (1 + np.exp(-logit))
    if not np.isfinite(scaling.astype(np.float32)).all():
        raise BadInput("PLY: a splat is larger than any number", "bad_vertex")
    parts = (xyz, colour, scaling, turn / length, opacity)
    made = [np.ascontiguousarray(part, np.float32) for part in parts]
    return made[0], made[1], made[2], made[3], made[4]


def _numbers(column: NDArray[Any]) -> NDArray[np.float64]:
    return column.astype(np.float64)
