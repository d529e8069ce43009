"""Layout latents <-> poses: the released scale-shift-invariant convention and the stored one (sam3d_model.md section 9).

Model frame: z-up unit cube, row vectors, PyTorch3D camera (x left, y up, z forward).
Stored: p_cam = R diag(s) p_glb + t, column vectors, y-up GLB, OpenCV camera (x right, y down, z forward).
"""

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from model_zoo.io import frames

ROTATION_MEAN = (
    -0.06366084883674913, 0.008438224692279752, 0.00017084786438302483,
    0.0007126610473540038, -0.0030916726538816417, 0.5166093753457688,
)  # fmt: skip
ROTATION_STD = (
    0.6656971967514863, 0.6787012271867754, 0.30345010594844524,
    0.4394504420678794, 0.39817973931717104, 0.6176286868761914,
)  # fmt: skip


class ModelPose(NamedTuple):
    """p_cam = (p_obj * scale) @ rotation + translation, PyTorch3D camera. Shapes (B,3,3), (B,3), (B,3)."""

    rotation: Tensor
    translation: Tensor
    scale: Tensor


class StoredPose(NamedTuple):
    """p_cam = R diag(s) p_glb + t. Shapes (B,3,3), (B,3), (B,3)."""

    R: Tensor
    t: Tensor
    s: Tensor


def rotation_of(r6: Tensor) -> Tensor:
    """Normalised 6D code (..., 6) -> matrix (..., 3, 3) with the Gram-Schmidt vectors as columns."""
    a = r6 * r6.new_tensor(ROTATION_STD) + r6.new_tensor(ROTATION_MEAN)
    b1 = torch.nn.functional.normalize(a[..., :3], dim=-1)
    b2 = a[..., 3:] - (b1 * a[..., 3:]).sum(-1, keepdim=True) * b1
    b2 = torch.nn.functional.normalize(b2, dim=-1)
    return torch.stack([b1, b2, torch.linalg.cross(b1, b2)], -1)


def code_of(rotation: Tensor) -> Tensor:
    """Matrix (..., 3, 3) -> normalised 6D code (..., 6): the inverse of `rotation_of`."""
    a = torch.cat([rotation[..., 0], rotation[..., 1]], -1)
    return (a - a.new_tensor(ROTATION_MEAN)) / a.new_tensor(ROTATION_STD)


def quaternion_of(rotation: Tensor) -> Tensor:
    """Matrix (..., 3, 3) -> quaternion (..., 4) as (w, x, y, z), w >= 0; the best-conditioned of the four branches."""
    m = rotation
    m00, m11, m22 = m[..., 0, 0], m[..., 1, 1], m[..., 2, 2]
    magnitude = torch.stack(
        [1 + m00 + m11 + m22, 1 + m00 - m11 - m22, 1 - m00 + m11 - m22, 1 - m00 - m11 + m22], -1
    ).clamp_min(0).sqrt()  # fmt: skip
    a, b, c = m[..., 2, 1] - m[..., 1, 2], m[..., 0, 2] - m[..., 2, 0], m[..., 1, 0] - m[..., 0, 1]
    d, e, f = m[..., 1, 0] + m[..., 0, 1], m[..., 0, 2] + m[..., 2, 0], m[..., 2, 1] + m[..., 1, 2]
    w, x, y, z = (magnitude**2).unbind(-1)
    rows = torch.stack(
        [torch.stack(r, -1) for r in ([w, a, b, c], [a, x, d, e], [b, d, y, f], [c, e, f, z])], -2
    ) / (2 * magnitude[..., None].clamp_min(0.1))  # fmt: skip
    best = magnitude.argmax(-1)[..., None, None].expand(*magnitude.shape[:-1], 1, 4)
    quaternion = rows.gather(-2, best)[..., 0, :]
    return torch.where(quaternion[..., :1] < 0, -quaternion, quaternion)


def matrix_of(quaternion: Tensor) -> Tensor:
    """Quaternion (..., 4) as (w, x, y, z) -> matrix (..., 3, 3)."""
    w, x, y, z = quaternion.unbind(-1)
    k = 2 / (quaternion**2).sum(-1)
    rows = [
        [1 - k * (y * y + z * z), k * (x * y - z * w), k * (x * z + y * w)],
        [k * (x * y + z * w), 1 - k * (x * x + z * z), k * (y * z - x * w)],
        [k * (x * z - y * w), k * (y * z + x * w), 1 - k * (x * x + y * y)],
    ]
    return torch.stack([torch.stack(r, -1) for r in rows], -2)


def decode(latents: Mapping[str, Tensor], scene_scale: Tensor, scene_shift: Tensor) -> ModelPose:
    """Layout latents (B,1,c) and the pointmap's scale and shift (B,3) -> pose in the pointmap's units."""
    rotation = matrix_of(quaternion_of(rotation_of(latents["6drotation_normalized"][:, 0])))
    unit = scene_scale.mean(-1, keepdim=True)  # the released scale is one number, three times
    translation = latents["translation"][:, 0] * unit + scene_shift
    scale = (latents["scale"][:, 0].exp() * unit).mean(-1, keepdim=True).expand(-1, 3)
    return ModelPose(rotation, translation, scale)


def encode(pose: ModelPose, scene_scale: Tensor, scene_shift: Tensor) -> dict[str, Tensor]:
    """Training targets of a pose: name -> (B, 1, c); the inverse of `decode`. translation_scale is unused: zero."""
    unit = scene_scale.mean(-1, keepdim=True)
    return {
        "6drotation_normalized": code_of(pose.rotation)[:, None],
        "translation": ((pose.translation - scene_shift) / unit)[:, None],
        "scale": (pose.scale / unit).log()[:, None],
        "translation_scale": torch.zeros_like(unit)[:, None],
    }


def to_stored(pose: ModelPose) -> StoredPose:
    """Model pose of the unit cube -> stored pose of the same cube delivered as a y-up GLB."""
    camera = pose.scale.new_tensor(frames.between("pytorch3d", "opencv"))
    axes = pose.scale.new_tensor(frames.between("gltf", "model"))
    R = camera @ pose.rotation.transpose(-1, -2) @ axes
    return StoredPose(R, pose.translation @ camera.T, pose.scale @ axes.abs())


def from_stored(pose: StoredPose, centre: Tensor, extent: Tensor) -> ModelPose:
    """Stored pose of a mesh with bounding-box centre (B,3) and longest side (B,1) -> model pose of its unit cube."""
    camera = pose.s.new_tensor(frames.between("opencv", "pytorch3d"))
    axes = pose.s.new_tensor(frames.between("gltf", "model"))
    rotation = (camera @ pose.R @ axes.T).transpose(-1, -2)
    moved = pose.t + (pose.R @ (pose.s * centre)[..., None])[..., 0]
    return ModelPose(rotation, moved @ camera.T, pose.s * extent @ axes.abs().T)
