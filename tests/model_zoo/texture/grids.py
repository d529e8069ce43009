"""Small sets of active voxels for the tests of this folder."""

import torch

from model_zoo.texture.sparse import Voxels


def scattered(objects: int = 2, side: int = 8, share: float = 0.3, seed: int = 0) -> Voxels:
    """Random voxels of a few objects, in lexicographic order."""
    draw = torch.rand(objects, side, side, side, generator=torch.Generator().manual_seed(seed))
    return Voxels((draw < share).nonzero())


def shell(side: int) -> Voxels:
    """One hollow ball about `side` wide."""
    axes = torch.meshgrid(*[torch.arange(side) - side / 2 + 0.5] * 3, indexing="ij")
    coords = ((torch.stack(axes).norm(dim=0) - side / 2 + 1.5).abs() < 1).nonzero()
    return Voxels(torch.cat([coords.new_zeros(len(coords), 1), coords], 1))
