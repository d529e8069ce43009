"""The colour that Gaussian splats give to points of a surface, evaluated there directly: no pictures are rendered.

Each point is looked at along its normal, orthographically; the nearest splats are composited front to back
(sam3d_model.md section 17 in place of 100 views and 2500 steps).
"""

import numpy as np
import torch
from scipy.spatial import cKDTree
from torch import Tensor

from model_zoo.geometry.pose import matrix_of
from model_zoo.io import frames
from model_zoo.io.errors import BadInput
from model_zoo.texture.gaussians import Gaussians

DC = 0.28209479177387814  # of SH degree 0: rgb = 0.5 + DC * features_dc
NEIGHBOURS = 16
CHUNK = 65_536
LEAST = 1e-3  # of the composited weights: below, the nearest splat decides


def rgb_of(features_dc: Tensor) -> Tensor:
    """Colours (...,3) of SH coefficients, not negative."""
    return (0.5 + DC * features_dc).clamp_min(0)


def colours_at(points: np.ndarray, normals: np.ndarray, splats: Gaussians) -> np.ndarray:
    """Colours (N,3) in 0..1 at points (N,3) with unit normals (N,3) of the GLB's frame; splats in the object frame.

    Raises BadInput when there are no splats or one is not finite.
    """
    values = Gaussians(*(part.detach().float().cpu() for part in splats))
    if not len(values.xyz):
        raise BadInput("there are no Gaussians to take colours from", "no_colours")
    if not all(torch.isfinite(part).all() for part in values):
        raise BadInput("the Gaussians hold values that are not finite", "bad_features")
    at, out = (frames.points(a, "gltf", "model") for a in (points, normals))
    count = min(NEIGHBOURS, len(values.xyz))
    tree = cKDTree(values.xyz.numpy())
    result = np.empty((len(points), 3))
    for start in range(0, len(points), CHUNK):
        part = slice(start, start + CHUNK)
        near = tree.query(at[part], k=count, workers=-1)[1].reshape(-1, count)
        where, normal = (torch.from_numpy(a[part].astype(np.float32)) for a in (at, out))
        result[part] = _composited(where, normal, torch.from_numpy(near), values).numpy()
    return result


def _composited(points: Tensor, normals: Tensor, near: Tensor, splats: Gaussians) -> Tensor:
    """Colours (N,3) at points (N,3) of the splats `near` (N,k), nearest first, seen against the normals."""
    offset = points[:, None] - splats.xyz[near]
    turn = matrix_of(splats.rotation)[near].transpose(-1, -2)
    # In each splat's own axes, in standard deviations.
    here = (turn @ offset[..., None])[..., 0] / splats.scaling[near]
    along = (turn @ normals[:, None, :, None])[..., 0] / splats.scaling[near]
    cosine = (here * along).sum(-1)
    distance = (here * here).sum(-1) - cosine**2 / (along * along).sum(-1)
    alpha = (splats.opacity[near][..., 0] * torch.exp(-0.5 * distance)).clamp_max(0.99)
    order = (offset * normals[:, None]).sum(-1).argsort(1)  # the outermost lies least far behind the point
    alpha, colour = (
        alpha.gather(1, order),
        rgb_of(splats.features_dc[near].gather(1, order[..., None].expand(-1, -1, 3))),
    )
    left = torch.cumprod(1 - alpha, 1)
    weight = alpha * torch.cat([torch.ones_like(left[:, :1]), left[:, :-1]], 1)
    total = weight.sum(1, keepdim=True)
    mixed = (weight[..., None] * colour).sum(1) / total.clamp_min(1e-9)
    return torch.where(total > LEAST, mixed, rgb_of(splats.features_dc[near[:, 0]])).clamp(0, 1)
