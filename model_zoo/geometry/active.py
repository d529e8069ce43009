"""Occupancy logits to the active voxels that the second stage fills (sam3d_model.md section 8)."""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from model_zoo.io.errors import BadInput

MOST_VOXELS = 42_000


class Active(NamedTuple):
    """One object's active voxels, pruned and held to the cap (section 8)."""

    coords: Tensor  # (N, 3) int64, lexicographic
    factor: int  # 2 where the object was halved to fit; its decoded scale is to be multiplied by it


def active_voxels(logits: Tensor, *, most: int = MOST_VOXELS, seed: int = 0) -> list[Active]:
    """Active voxels of each of B objects from logits (B, 1, G, G, G). Raises BadInput where an object has none."""
    found = []
    for solid in logits[:, 0] > 0:
        coords = prune(solid.nonzero())
        if not len(coords):
            raise BadInput("the model found no solid voxel for this object", "empty_shape")
        found.append(cap(coords, most=most, seed=seed))
    return found


def prune(coords: Tensor) -> Tensor:
    """Without the voxels (N, 3) whose whole 3x3x3 neighbourhood is occupied; outside counts as empty."""
    if not len(coords):
        return coords
    at = (coords - coords.amin(0)).long().unbind(1)
    empty = torch.ones([int(axis.max()) + 1 for axis in at], device=coords.device)
    empty[at] = 0
    exposed = F.max_pool3d(F.pad(empty, (1,) * 6, value=1.0)[None, None], 3, stride=1)[0, 0]
    return coords[exposed[at] > 0]


def cap(coords: Tensor, *, most: int = MOST_VOXELS, seed: int = 0) -> Active:
    """At most `most` voxels (N, 3): as they are, or halved about the middle of their bounding box, then drawn at random."""
    if len(coords) <= most:
        return Active(coords, 1)
    low, high = coords.amin(0).double(), coords.amax(0).double()
    size = (high - low + 1) / 2
    start = low + (high - low + 1 - size) / 2
    halved = (coords - low) / (high - low).clamp_min(1) * (size - 1) + start
    halved = torch.clamp(halved.round(), start.trunc(), (start + size - 1).trunc()).to(coords.dtype)
    halved = torch.unique(halved, dim=0)
    if len(halved) > most:
        draw = torch.randperm(len(halved), generator=torch.Generator().manual_seed(seed))[:most]
        halved = halved[draw.sort().values.to(halved.device)]
    return Active(halved, 2)
