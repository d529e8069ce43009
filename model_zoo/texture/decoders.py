"""Structured latents to Gaussians and to the cube features of a mesh (sam3d_model.md section 11; released names).

Shapes: N voxels, C trunk width, n Gaussians per voxel.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model_zoo.geometry.transformer import FeedForward, position_code
from model_zoo.texture.attention import WindowAttention
from model_zoo.texture.gaussians import Gaussians
from model_zoo.texture.sparse import SparseConv, Voxels, Windows

CUBE_FEATURES = 101  # sdf 8, deformation 24, weights 21, colour and normal 48
PARTS = {
    "xyz": 3,
    "features_dc": 3,
    "scaling": 3,
    "rotation": 4,
    "opacity": 1,
}  # of a Gaussian, released order
REACH = 1.5  # Gaussians stay within this many half voxels of the middle of theirs
LEAST_SCALE, START_SCALE, START_OPACITY, ROTATION_RATE = 0.0009, 0.004, 0.1, 0.1
NORM_GROUPS = 32


@dataclass(frozen=True)
class TrunkConfig:
    """Sizes that the decoders and the encoder share; `window` is in voxels (section 11)."""

    width: int
    blocks: int
    heads: int
    window: int
    resolution: int
    channels: int = 8
    mlp_ratio: int = 4


class TrunkBlock(nn.Module):
    """Pre-norm attention in windows and MLP, no modulation."""

    def __init__(self, c: TrunkConfig) -> None:
        super().__init__()
        self.attn = WindowAttention(c.width, c.heads, norm=False)
        self.mlp = FeedForward(c.width, c.mlp_ratio)

    def forward(self, x: Tensor, windows: Windows) -> Tensor:
        x = x + self.attn(F.layer_norm(x, x.shape[-1:], eps=1e-6), windows)
        return x + self.mlp(F.layer_norm(x, x.shape[-1:], eps=1e-6))


def trunk_layers(c: TrunkConfig, width_in: int) -> tuple[nn.Linear, nn.ModuleList]:
    """The layers that decoders and encoder share in kind, named input_layer and blocks in each."""
    return nn.Linear(width_in, c.width), nn.ModuleList(TrunkBlock(c) for _ in range(c.blocks))


def run_trunk(x: Tensor, voxels: Voxels, c: TrunkConfig, layers: tuple[nn.Linear, nn.ModuleList]) -> Tensor:
    """(N, .) -> (N, C): position codes, then windows that shift by half their size in every other block."""
    h = layers[0](x) + position_code(voxels.coords[:, 1:], c.width, c.resolution)
    kind, own = h.device.type, layers[1][0].attn.to_qkv.weight.dtype
    h = h.to(torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else own)
    for i, block in enumerate(layers[1]):
        h = block(h, voxels.windows(c.window, c.window // 2 * (i % 2)))
    return h


def spread_offsets(count: int) -> Tensor:
    """Where the Gaussians of a voxel start, before tanh: atanh((2 h - 1) / REACH) of Hammersley points h, (count, 3)."""
    points = [[i / count, _radical_inverse(i, 2), _radical_inverse(i, 3)] for i in range(count)]
    return torch.tensor([[math.atanh((2 * h - 1) / REACH) for h in p] for p in points])


def _radical_inverse(i: int, base: int) -> float:
    value, digit = 0.0, 1 / base
    while i:
        value += (i % base) * digit
        i, digit = i // base, digit / base
    return value


class GaussianDecoder(nn.Module):
    """(N, channels) -> (N, 14 n): `count` = n raw Gaussians per voxel."""

    def __init__(self, config: TrunkConfig, count: int) -> None:
        super().__init__()
        self.config = config
        self.input_layer, self.blocks = trunk_layers(config, config.channels)
        self.out_layer = nn.Linear(config.width, sum(PARTS.values()) * count)
        self.register_buffer("offset_perturbation", spread_offsets(count))

    def forward(self, x: Tensor, voxels: Voxels) -> Tensor:
        h = run_trunk(x, voxels, self.config, (self.input_layer, self.blocks)).float()
        return self.out_layer(F.layer_norm(h, h.shape[-1:], eps=1e-5)).float()

    def halved(self, dtype: torch.dtype = torch.bfloat16) -> "GaussianDecoder":
        """All but the first and last layer in half precision, in place."""
        self.blocks.to(dtype)
        return self

    def parts(self, raw: Tensor) -> dict[str, Tensor]:
        """(N, 14 n) -> name -> (N, n, k), rotations already at their own rate."""
        count = len(self.offset_perturbation)
        split = raw.split([k * count for k in PARTS.values()], 1)
        named = {n: x.unflatten(1, (count, -1)) for n, x in zip(PARTS, split, strict=True)}
        named["rotation"] = named["rotation"] * ROTATION_RATE
        return named

    def activated(self, raw: Tensor, voxels: Voxels) -> Gaussians:
        """(N, 14 n) -> N * n Gaussians, those of a voxel together."""
        parts, resolution = self.parts(raw), self.config.resolution
        middle = (voxels.coords[:, None, 1:].to(raw.dtype) + 0.5) / resolution - 0.5
        offset = torch.tanh(parts["xyz"] + self.offset_perturbation) / resolution * 0.5 * REACH
        bias = START_SCALE + math.log(-math.expm1(-START_SCALE))
        scaling = torch.sqrt(F.softplus(parts["scaling"] + bias) ** 2 + LEAST_SCALE**2)
        identity = raw.new_tensor([1.0, 0.0, 0.0, 0.0])
        whole = (
            middle + offset,
            parts["features_dc"],
            scaling,
            F.normalize(parts["rotation"] + identity, dim=-1),
            torch.sigmoid(parts["opacity"] + math.log(START_OPACITY / (1 - START_OPACITY))),
        )
        return Gaussians(*[x.flatten(0, 1) for x in whole])


def group_norm(x: Tensor, norm: nn.GroupNorm, voxels: Voxels) -> Tensor:
    """GroupNorm over all voxels of each object, in fp32: (N, C) -> (N, C)."""
    parts = []
    for part in x.split(voxels.objects):
        groups = part.float().unflatten(1, (norm.num_groups, -1))
        var, mean = torch.var_mean(groups, (0, 2), correction=0)
        each = norm.num_channels // norm.num_groups
        scale = norm.weight * (var + norm.eps).rsqrt().repeat_interleave(each)
        parts.append(torch.addcmul(norm.bias - mean.repeat_interleave(each) * scale, part.float(), scale))
    return torch.cat(parts) if len(parts) > 1 else parts[0]


class UpBlock(nn.Module):
    """Every voxel into eight, two convolutions beside a linear skip; copies of the parents are never built."""

    def __init__(self, width_in: int, width_out: int) -> None:
        super().__init__()
        self.act_layers = nn.ModuleList([nn.GroupNorm(NORM_GROUPS, width_in)])
        self.out_layers = nn.ModuleList(
            [
                SparseConv(width_in, width_out, 3),
                nn.GroupNorm(NORM_GROUPS, width_out),
                nn.SiLU(),
                SparseConv(width_out, width_out, 3),
            ]
        )
        self.skip_connection = SparseConv(width_in, width_out, 1)

    def forward(self, x: Tensor, voxels: Voxels) -> Tensor:
        """(N, Cin) on the voxels -> (8 N, Cout) on their children."""
        fine, (conv1, norm, act, conv2) = voxels.children, self.out_layers
        parent = torch.arange(len(voxels), device=x.device).repeat_interleave(8)
        y = conv1(act(group_norm(x, self.act_layers[0], voxels)).to(x.dtype), fine, parent)
        y = conv2(act(group_norm(y, norm, fine)).to(x.dtype), fine)
        return (y.unflatten(0, (-1, 8)) + self.skip_connection(x, voxels)[:, None]).flatten(0, 1)


class MeshDecoder(nn.Module):
    """(N, channels) -> features (64 N, 101) of the cubes on a grid four times as fine, and those cubes."""

    def __init__(self, config: TrunkConfig) -> None:
        super().__init__()
        self.config = config
        widths = (config.width, config.width // 4, config.width // 8)
        self.input_layer, self.blocks = trunk_layers(config, config.channels)
        self.upsample = nn.ModuleList(UpBlock(a, b) for a, b in zip(widths, widths[1:], strict=False))
        self.out_layer = nn.Linear(widths[-1], CUBE_FEATURES)

    def forward(self, x: Tensor, voxels: Voxels) -> tuple[Voxels, Tensor]:
        h = run_trunk(x, voxels, self.config, (self.input_layer, self.blocks))
        for block in self.upsample:
            h, voxels = block(h, voxels), voxels.children
        return voxels, self.out_layer(h.to(self.out_layer.weight.dtype)).float()

    def halved(self, dtype: torch.dtype = torch.bfloat16) -> "MeshDecoder":
        """All but the first and last layer in half precision, in place."""
        self.blocks.to(dtype)
        self.upsample.to(dtype)
        return self
