"""Occupancy codec: 3D convolutional decoder and encoder between voxels and the shape latent (sam3d_model.md section 8)."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F


@dataclass(frozen=True)
class OccupancyConfig:
    """Sizes of the codec between occupancy and shape latent (section 8)."""

    channels: tuple[int, ...]  # from the latent's resolution up to the voxels'
    latent: int = 8
    res_blocks: int = 2
    middle_blocks: int = 2

    @property
    def upscale(self) -> int:
        """Voxels along one cell of the latent grid."""
        return 2 ** (len(self.channels) - 1)


class ChannelNorm(nn.LayerNorm):
    """LayerNorm over the channels of (B, C, D, H, W), affine, eps 1e-5, computed in fp32."""

    def forward(self, x: Tensor) -> Tensor:
        x32, weight, bias = x.float().movedim(1, -1), self.weight.float(), self.bias.float()
        y = F.layer_norm(x32, self.normalized_shape, weight, bias, self.eps)
        return y.movedim(-1, 1).to(x.dtype)


class ResBlock(nn.Module):
    """x + conv(silu(norm(conv(silu(norm(x)))))) with 3^3 kernels, (B, C, D, H, W) kept."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm1 = ChannelNorm(channels)
        self.norm2 = ChannelNorm(channels)
        self.conv1 = nn.Conv3d(channels, channels, 3, padding=1)
        self.conv2 = nn.Conv3d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv2(F.silu(self.norm2(self.conv1(F.silu(self.norm1(x))))))


def voxel_shuffle(x: Tensor) -> Tensor:
    """(B, 8C, D, H, W) -> (B, C, 2D, 2H, 2W); channel ((c*2+a)*2+b)*2+c' goes to voxel (2d+a, 2h+b, 2w+c')."""
    x = x.unflatten(1, (-1, 2, 2, 2)).permute(0, 1, 5, 2, 6, 3, 7, 4)
    return x.flatten(6).flatten(4, 5).flatten(2, 3)


class Upsample(nn.Module):
    """(B, C, D, H, W) -> (B, out, 2D, 2H, 2W): a convolution to 8 x out channels, shuffled into voxels."""

    def __init__(self, channels: int, out: int) -> None:
        super().__init__()
        self.conv = nn.Conv3d(channels, out * 8, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return voxel_shuffle(self.conv(x))


class Downsample(nn.Module):
    """(B, C, D, H, W) -> (B, out, D/2, H/2, W/2) by a convolution of stride 2."""

    def __init__(self, channels: int, out: int) -> None:
        super().__init__()
        self.conv = nn.Conv3d(channels, out, 2, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x)


def _head(channels: int, out: int) -> nn.Sequential:
    return nn.Sequential(ChannelNorm(channels), nn.SiLU(), nn.Conv3d(channels, out, 3, padding=1))


class OccupancyDecoder(nn.Module):
    """Latent grid (B, 8, g, g, g) -> occupancy logits (B, 1, G, G, G); a voxel is full where its logit > 0."""

    def __init__(self, config: OccupancyConfig) -> None:
        super().__init__()
        ch = config.channels
        self.input_layer = nn.Conv3d(config.latent, ch[0], 3, padding=1)
        self.middle_block = nn.Sequential(*[ResBlock(ch[0]) for _ in range(config.middle_blocks)])
        blocks: list[nn.Module] = []
        for i, c in enumerate(ch):
            blocks += [ResBlock(c) for _ in range(config.res_blocks)]
            if i + 1 < len(ch):
                blocks.append(Upsample(c, ch[i + 1]))
        self.blocks = nn.ModuleList(blocks)
        self.out_layer = _head(ch[-1], 1)

    def forward(self, z: Tensor) -> Tensor:
        h = self.middle_block(self.input_layer(z))
        for block in self.blocks:
            h = block(h)
        return self.out_layer(h)


class OccupancyEncoder(nn.Module):
    """Occupancy (B, 1, G, G, G) -> posterior mean and log-variance, each (B, 8, g, g, g)."""

    def __init__(self, config: OccupancyConfig) -> None:
        super().__init__()
        ch = config.channels[::-1]
        self.input_layer = nn.Conv3d(1, ch[0], 3, padding=1)
        blocks: list[nn.Module] = []
        for i, c in enumerate(ch):
            blocks += [ResBlock(c) for _ in range(config.res_blocks)]
            if i + 1 < len(ch):
                blocks.append(Downsample(c, ch[i + 1]))
        self.blocks = nn.ModuleList(blocks)
        self.middle_block = nn.Sequential(*[ResBlock(ch[-1]) for _ in range(config.middle_blocks)])
        self.out_layer = _head(ch[-1], 2 * config.latent)

    def forward(self, occupancy: Tensor) -> tuple[Tensor, Tensor]:
        h = self.input_layer(occupancy)
        for block in self.blocks:
            h = block(h)
        mean, logvar = self.out_layer(self.middle_block(h)).chunk(2, 1)
        return mean, logvar


def to_tokens(grid: Tensor) -> Tensor:
    """(B, 8, g, g, g) -> (B, g^3, 8), z fastest."""
    return grid.flatten(2).transpose(1, 2)


def to_grid(tokens: Tensor) -> Tensor:
    """(B, g^3, 8) -> (B, 8, g, g, g)."""
    side = round(tokens.shape[1] ** (1 / 3))
    return tokens.transpose(1, 2).unflatten(2, (side, side, side))


def rescale_latent(encoder: OccupancyEncoder, decoder: OccupancyDecoder, std: Tensor) -> None:
    """Fold per-channel latent scales (8,) into both networks so that the latent has unit size; exact, no new constants."""
    with torch.no_grad():
        last, first, n = encoder.out_layer[2], decoder.input_layer, len(std)
        last.weight[:n] /= std.view(-1, 1, 1, 1, 1)
        last.bias[:n] /= std
        last.bias[n:] -= 2 * std.log()
        first.weight *= std.view(1, -1, 1, 1, 1)
