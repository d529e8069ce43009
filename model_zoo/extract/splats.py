"""Gaussian splats between frames and files: posed, composed into scenes, written as PLY and read back.

A splat's pose is that of its object (sam3d_model.md section 9.4): p_cam = (p_obj * s) @ R(q) + t in row vectors, so in
column vectors the rotation is R(q)^T and the splat's own rotation becomes inverse(q) * q_splat.
"""

from collections.abc import Iterable

import torch
from torch import Tensor

from model_zoo.geometry.pose import ModelPose, matrix_of, quaternion_of
from model_zoo.io import frames
from model_zoo.io.errors import BadInput
from model_zoo.io.splats import decode_splats, encode_splats
from model_zoo.texture.gaussians import Gaussians

LEAST_KERNEL = 0.0009  # smallest standard deviation that the decoder makes, in the object frame
KERNEL_ROOM = 1.1  # in scenes none is smaller than this many times the scaled smallest


def posed(splats: Gaussians, pose: ModelPose) -> Gaussians:
    """Object-frame splats in the PyTorch3D camera (x left, y up, z forward), in the pose's units; one pose, batch of 1.

    Raises BadInput when the scale differs between axes: a splat's rotation and scales cannot follow that.
    """
    scale = pose.scale.reshape(-1)
    if len(scale) != 3 or not torch.allclose(scale, scale[:1].expand(3), rtol=1e-4):
        raise BadInput("splats are moved by one pose with the same scale on all axes", "bad_pose")
    rotation = pose.rotation.reshape(3, 3)
    xyz = (splats.xyz * scale) @ rotation + pose.translation.reshape(1, 3)
    return splats._replace(
        xyz=xyz, scaling=splats.scaling * scale, rotation=_turned(splats.rotation, rotation.transpose(0, 1))
    )


def to_opencv(splats: Gaussians) -> Gaussians:
    """Splats of the PyTorch3D camera in the OpenCV camera (x right, y down, z forward): half a turn about z."""
    turn = splats.xyz.new_tensor(frames.between("pytorch3d", "opencv"))
    return splats._replace(xyz=splats.xyz @ turn.T, rotation=_turned(splats.rotation, turn))


def composed(objects: Iterable[tuple[Gaussians, ModelPose]]) -> Gaussians:
    """One scene of several objects in the PyTorch3D camera, no splat thinner than 1.1 of its object's scaled least
    (section 12). Raises BadInput when there is no object."""
    parts = []
    for splats, pose in objects:
        moved = posed(splats, pose)
        floor = KERNEL_ROOM * LEAST_KERNEL * pose.scale.reshape(1, 3)
        parts.append(moved._replace(scaling=torch.maximum(moved.scaling, floor)))
    if not parts:
        raise BadInput("a scene needs at least one object", "empty_scene")
    return Gaussians(*(torch.cat(columns) for columns in zip(*parts)))


def export_ply(splats: Gaussians) -> bytes:
    """The PLY of splats in the frame they are in, as splat viewers read it: see model_zoo/io/splats.py."""
    return encode_splats(*(part.detach().float().cpu().numpy() for part in splats))


def import_ply(data: bytes) -> Gaussians:
    """Splats of a PLY of untrusted bytes: the inverse of `export_ply`, rotations normalised. Raises BadInput."""
    return Gaussians(*(torch.from_numpy(part) for part in decode_splats(data)))


def _turned(rotation: Tensor, by: Tensor) -> Tensor:
    """Quaternions (N,4) wxyz after a turn by a matrix (3,3) in column vectors."""
    return quaternion_of(by @ matrix_of(rotation))
