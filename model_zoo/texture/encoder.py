"""Encoder of structured latents by the Depth-VAE rule: a voxel learns from the views that see it (paper C.6).

No reference exists. Shapes: V views, N voxels, C feature channels. What the paper leaves open is our choice: the
depth buffer has one pixel per voxel width, the tolerance is two voxels of a 64^3 grid.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model_zoo.texture.decoders import TrunkConfig, run_trunk, trunk_layers
from model_zoo.texture.sparse import Voxels

BUFFER = 64
TOLERANCE = 1 / 32


def seen(
    places: Tensor, depths: Tensor, surface: Tensor | None = None, *,
    buffer: int = BUFFER, tolerance: float = TOLERANCE,
) -> Tensor:  # fmt: skip
    """Which voxels each view sees, bool (V, N): nearer than the surface in their pixel plus a tolerance.

    places: (V, N, 2) in [-1, 1], x right and y down; outside is unseen. depths: (V, N) in the unit of the tolerance.
    surface: depth maps (V, H, W) where the true surface is known, else the nearest voxel of a pixel stands for it.
    """
    inside = (places.abs() <= 1).all(-1) & depths.isfinite()
    if surface is not None:
        at = F.grid_sample(surface[:, None], places[:, None], mode="nearest", align_corners=False)
        return inside & (at[:, 0, 0] > depths - tolerance)
    pixel = ((places + 1) / 2 * buffer).long().clamp(0, buffer - 1)
    pixel = torch.where(inside, pixel[..., 1] * buffer + pixel[..., 0], buffer * buffer)
    nearest = depths.new_full((len(depths), buffer * buffer + 1), float("inf"))
    nearest.scatter_reduce_(1, pixel, depths, "amin")
    return inside & (nearest.gather(1, pixel) > depths - tolerance)


def visible_features(maps: Tensor, places: Tensor, visible: Tensor) -> Tensor:
    """Mean over the views that see a voxel of their feature map there; (N, C), zeros for a voxel that none sees.

    maps: (V, C, H, W), places: (V, N, 2) as in `seen`, visible: bool (V, N).
    """
    total = maps.new_zeros(places.shape[1], maps.shape[1])
    for view, place, sees in zip(maps, places, visible, strict=True):
        at = place[sees]
        found = F.grid_sample(view[None], at[None, None], align_corners=False)[0, :, 0].T
        total = total.index_add(0, sees.nonzero()[:, 0], found.to(total.dtype))
    return total / visible.sum(0).clamp_min(1)[:, None]


def kl_per_voxel(mean: Tensor, logvar: Tensor, voxels: Voxels) -> Tensor:
    """KL(q || N(0, 1)) of each object divided by its active voxels, averaged over objects: large ones weigh no more."""
    each = 0.5 * (mean.square() + logvar.exp() - logvar - 1).sum(1)
    return torch.stack([part.mean() for part in each.split(voxels.objects)]).mean()


class SlatEncoder(nn.Module):
    """Voxel features (N, C) -> posterior mean and logvar (N, channels) each; mirrors the decoders' trunk and names."""

    def __init__(self, config: TrunkConfig, feature_width: int) -> None:
        super().__init__()
        self.config = config
        self.input_layer, self.blocks = trunk_layers(config, feature_width)
        self.out_layer = nn.Linear(config.width, 2 * config.channels)

    def forward(self, features: Tensor, voxels: Voxels) -> tuple[Tensor, Tensor]:
        h = run_trunk(features, voxels, self.config, (self.input_layer, self.blocks)).float()
        mean, logvar = self.out_layer(F.layer_norm(h, h.shape[-1:], eps=1e-5)).float().chunk(2, 1)
        return mean, logvar
