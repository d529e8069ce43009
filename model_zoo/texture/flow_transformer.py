"""Velocity field over structured latents on active voxels (sam3d_model.md section 10; released names).

Shapes: N voxels of all objects one after another, M their parents at half the resolution, C width.
Time arrives already multiplied by 1000.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model_zoo.geometry.transformer import (
    CrossAttention,
    FeedForward,
    TimeEmbedder,
    modulated,
    position_code,
)
from model_zoo.texture.attention import WindowAttention
from model_zoo.texture.sparse import SparseConv, Voxels, pool

Modulation = list[Tensor]
KeysValues = list[tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class SlatFlowConfig:
    """Sizes of the second stage's velocity field: io_width at full resolution, width at half of it (section 10)."""

    width: int
    blocks: int
    heads: int
    cond_width: int
    io_width: int
    resolution: int  # of the voxel grid; the blocks run at half of it
    channels: int = 8
    mlp_ratio: int = 4
    frequencies: int = 256


def _spread(modulation: Tensor, voxels: Voxels) -> Tensor:
    """One row per object -> one per voxel; a single row is left to broadcast."""
    if len(modulation) == 1:
        return modulation
    return modulation.repeat_interleave(torch.tensor(voxels.objects, device=modulation.device), 0)


class SparseResBlock(nn.Module):
    """Two modulated convolutions beside a linear skip; `down` pools first, `up` copies to the pooled children."""

    def __init__(self, width_in: int, width_out: int, emb_width: int, resample: str = "") -> None:
        super().__init__()
        self.resample = resample
        self.norm1 = nn.LayerNorm(width_in, eps=1e-6)
        self.conv1 = SparseConv(width_in, width_out, 3)
        self.conv2 = SparseConv(width_out, width_out, 3)
        self.emb_layers = nn.Sequential(nn.SiLU(), nn.Linear(emb_width, 2 * width_out))
        self.skip_connection = nn.Linear(width_in, width_out) if width_in != width_out else nn.Identity()

    def forward(self, x: Tensor, voxels: Voxels, modulation: Tensor) -> Tensor:
        """x at the resolution before resampling, voxels always the finer ones."""
        source = None
        if self.resample == "down":
            x, voxels = pool(x, voxels.pooling), voxels.pooling.voxels
        elif self.resample == "up":
            # Norm, activation and skip act on each row alone, so the copies are made after them.
            source = voxels.pooling.parent
        scale, shift = _spread(modulation, voxels).chunk(2, -1)
        y = self.conv1(F.silu(self.norm1(x)), voxels, source)
        y = self.conv2(F.silu(modulated(y, shift, scale)), voxels)
        skip = self.skip_connection(x)
        return y + (skip if source is None else skip.index_select(0, source))


class FlowBlock(nn.Module):
    """Self-attention over a whole object, cross-attention and MLP (section 6.3 with one stream)."""

    def __init__(self, c: SlatFlowConfig) -> None:
        super().__init__()
        self.norm2 = nn.LayerNorm(c.width, eps=1e-6)
        self.self_attn = WindowAttention(c.width, c.heads, norm=True)
        self.cross_attn = CrossAttention(c.width, c.cond_width, c.heads)
        self.mlp = FeedForward(c.width, c.mlp_ratio)
        self.adaLN_modulation = nn.Sequential(nn.SiLU(), nn.Linear(c.width, 6 * c.width))

    def _cross(self, x: Tensor, voxels: Voxels, kv: tuple[Tensor, Tensor] | None) -> Tensor:
        if kv is None:
            return self.cross_attn.unconditional()
        y, (k, v) = self.norm2(x), kv
        share = len(voxels.objects) // len(k)  # consecutive objects that look at one condition
        sizes = [sum(voxels.objects[i : i + share]) for i in range(0, len(voxels.objects), share)]
        parts = zip(y.split(sizes), k.split(1), v.split(1), strict=True)
        return torch.cat([self.cross_attn(part[None], (ki, vi))[0] for part, ki, vi in parts])

    def forward(
        self, x: Tensor, voxels: Voxels, modulation: Tensor, kv: tuple[Tensor, Tensor] | None
    ) -> Tensor:
        sh1, sc1, g1, sh2, sc2, g2 = _spread(modulation, voxels).chunk(6, -1)
        x = x + g1 * self.self_attn(modulated(x, sh1, sc1), voxels.whole)
        x = x + self._cross(x, voxels, kv)
        return x + g2 * self.mlp(modulated(x, sh2, sc2))


class SlatFlow(nn.Module):
    """Velocity field v(x_tau, c, tau) on the 8 features of every active voxel."""

    def __init__(self, config: SlatFlowConfig) -> None:
        super().__init__()
        self.config = c = config
        self.t_embedder = TimeEmbedder(c.width, c.frequencies)
        self.input_layer = nn.Linear(c.channels, c.io_width)
        self.input_blocks = nn.ModuleList(
            [
                SparseResBlock(c.io_width, c.io_width, c.width),
                SparseResBlock(c.io_width, c.width, c.width, "down"),
            ]
        )
        self.blocks = nn.ModuleList(FlowBlock(c) for _ in range(c.blocks))
        self.out_blocks = nn.ModuleList(
            [
                SparseResBlock(2 * c.width, c.io_width, c.width, "up"),
                SparseResBlock(2 * c.io_width, c.io_width, c.width),
            ]
        )
        self.out_layer = nn.Linear(c.io_width, c.channels)

    def initialise(self) -> None:
        """Start of training: zero modulation, zero last convolution of each block, zero output (DiT)."""
        for block in (*self.input_blocks, *self.out_blocks):
            nn.init.zeros_(block.conv2.conv["weight"])
        for layer in (self.out_layer, *[block.adaLN_modulation[1] for block in self.blocks]):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def keys_values(self, cond: Tensor) -> KeysValues:
        """Cross-attention keys and values of every block for conditions (B, Lc, Cc): once per photo, not per step."""
        cond = cond.to(self.dtype)
        return [block.cross_attn.keys_values(cond) for block in self.blocks]

    @property
    def dtype(self) -> torch.dtype:
        """What the blocks compute in; the first and last layer and the time MLP may stay in fp32 (`halved`)."""
        return self.blocks[0].norm2.weight.dtype

    def halved(self, dtype: torch.dtype = torch.bfloat16) -> "SlatFlow":
        """All blocks in half precision, in place; latents, times and their first and last layers stay in fp32."""
        for part in (self.input_blocks, self.blocks, self.out_blocks):
            part.to(dtype)
        return self

    def modulation(self, t: Tensor) -> Modulation:
        """Scales, shifts and gates of every block for scaled times (T,), each (T, .): once for a whole time grid."""
        emb = self.t_embedder(t).to(self.dtype)
        layers = [
            *[block.emb_layers for block in self.input_blocks],
            *[block.adaLN_modulation for block in self.blocks],
            *[block.emb_layers for block in self.out_blocks],
        ]
        return [layer(emb) for layer in layers]

    def forward(self, x: Tensor, voxels: Voxels, modulation: Modulation, kv: KeysValues | None) -> Tensor:
        """Velocities (N, channels) of x (N, channels).

        modulation: from `modulation` for one time, or for one per object.
        kv: from `keys_values` for B conditions, each of as many consecutive objects; None = unconditional.
        """
        steps, coarse = iter(modulation), voxels.pooling.voxels
        kind = x.device.type
        dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else self.dtype
        h = self.input_layer(x).to(dtype)
        skips = []
        for block in self.input_blocks:
            h = block(h, voxels, next(steps))
            skips.append(h)
        h = h + position_code(coarse.coords[:, 1:], self.config.width, self.config.resolution).to(h.dtype)
        for i, block in enumerate(self.blocks):
            h = block(h, coarse, next(steps), None if kv is None else kv[i])
        for block in self.out_blocks:
            h = block(torch.cat([h, skips.pop()], 1), voxels, next(steps))
        return self.out_layer(F.layer_norm(h.float(), h.shape[-1:], eps=1e-5))
