"""Condition embedder: image, mask and pointmap, cropped and full, to one token sequence (sam3d_model.md section 5)."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model_zoo.geometry.attention import attention

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # ImageNet; masks too are normalised by it
GROUPS = {"image": 0, "rgb_image": 1, "mask": 0, "rgb_image_mask": 1, "pointmap": 0, "rgb_pointmap": 1}
VIEWS = (("image", "rgb_image"), ("mask", "rgb_image_mask"), ("pointmap", "rgb_pointmap"))  # by embedder


@dataclass(frozen=True)
class EmbedderConfig:
    """Sizes of one stage's condition embedder; image_size, patch and the point sizes are in pixels (section 5)."""

    width: int  # of the condition tokens
    dino_width: int
    dino_blocks: int
    dino_heads: int
    image_size: int
    patch: int
    registers: int
    point_width: int
    point_heads: int
    point_size: int
    point_window: int
    projection_multiplier: float = 4.0
    has_points: bool = True  # the second stage sees no pointmap
    prenorm: bool = False  # the second stage reads the backbone before its last norm, registers included

    @property
    def views(self) -> tuple[tuple[str, str], ...]:
        """Names of the crop and the full view, one pair per embedder, in token order."""
        return VIEWS if self.has_points else VIEWS[:2]

    @property
    def projection_hidden(self) -> int:
        """Hidden width of the gated projections: two thirds of 2 x multiplier x width, up to a multiple of 256."""
        return -(-int(2 * int(self.projection_multiplier * self.width) / 3) // 256) * 256


class ViTAttention(nn.Module):
    """Self-attention of all tokens, (B, L, C) -> (B, L, C), DINOv2's and timm's names."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        return self.proj(attention(q, k, v).transpose(1, 2).flatten(2))


class ViTMlp(nn.Module):
    """Linear, exact GELU, Linear on the last axis; ratio is hidden over outer width."""

    def __init__(self, width: int, ratio: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, ratio * width)
        self.fc2 = nn.Linear(ratio * width, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(F.gelu(self.fc1(x)))


class LayerScale(nn.Module):
    """One learnt factor per channel."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gamma


class ViTBlock(nn.Module):
    """Pre-norm transformer block; DINOv2 has LayerScale, the pointmap block has none."""

    def __init__(self, width: int, heads: int, ratio: int, layer_scale: bool) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=1e-6)
        self.attn = ViTAttention(width, heads)
        self.norm2 = nn.LayerNorm(width, eps=1e-6)
        self.mlp = ViTMlp(width, ratio)
        self.ls1 = LayerScale(width) if layer_scale else nn.Identity()
        self.ls2 = LayerScale(width) if layer_scale else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.ls1(self.attn(self.norm1(x)))
        return x + self.ls2(self.mlp(self.norm2(x)))


class PatchEmbed(nn.Module):
    """Pictures (B, 3, S, S) -> one token per patch of `patch` pixels a side, row by row, (B, (S / patch)^2, C)."""

    def __init__(self, patch: int, width: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, width, patch, patch)

    def forward(self, x: Tensor) -> Tensor:
        return self.proj(x).flatten(2).transpose(1, 2)


class Dino(nn.Module):
    """DINOv2 vision transformer with registers under its hub names: (B, 3, S, S) -> hidden (B, 1 + R + P, width).

    Token order: class, R registers, P patches. `normed` and `prenorm` read what a stage conditions on off the same pass.
    """

    def __init__(self, c: EmbedderConfig) -> None:
        super().__init__()
        width = c.dino_width
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + (c.image_size // c.patch) ** 2, width))
        self.register_tokens = nn.Parameter(torch.zeros(1, c.registers, width))
        self.mask_token = nn.Parameter(torch.zeros(1, width), requires_grad=False)  # DINO's own training only
        self.patch_embed = PatchEmbed(c.patch, width)
        self.blocks = nn.ModuleList(ViTBlock(width, c.dino_heads, 4, True) for _ in range(c.dino_blocks))
        self.norm = nn.LayerNorm(width, eps=1e-6)

    def forward(self, x: Tensor) -> Tensor:
        """Hidden tokens of normalised pictures after the last block, before any norm."""
        tokens = torch.cat([self.cls_token.expand(len(x), -1, -1), self.patch_embed(x)], 1) + self.pos_embed
        registers = self.register_tokens.expand(len(x), -1, -1)
        h = torch.cat([tokens[:, :1], registers, tokens[:, 1:]], 1)
        for block in self.blocks:
            h = block(h)
        return h

    def normed(self, h: Tensor) -> Tensor:
        """First stage: the final affine norm, registers dropped, (B, 1 + P, width)."""
        h = self.norm(h)
        return torch.cat([h[:, :1], h[:, 1 + self.register_tokens.shape[1] :]], 1)

    def prenorm(self, h: Tensor) -> Tensor:
        """Second stage: a norm without parameters (eps 1e-5), registers kept, (B, 1 + R + P, width)."""
        return F.layer_norm(h, h.shape[-1:], eps=1e-5)


class ImageEmbedder(nn.Module):
    """Resize, normalise and run the backbone; one-channel masks are repeated to three."""

    def __init__(self, c: EmbedderConfig) -> None:
        super().__init__()
        self.size, self.is_prenorm = c.image_size, c.prenorm
        self.backbone = Dino(c)

    def hidden(self, x: Tensor) -> Tensor:
        """Pictures (B, 3 or 1, H, W) in 0..1 -> the backbone's hidden tokens, the same for both stages."""
        if x.shape[-2:] != (self.size, self.size):
            x = F.interpolate(x, (self.size, self.size), mode="bilinear", align_corners=False)
        mean, std = x.new_tensor(MEAN).view(1, 3, 1, 1), x.new_tensor(STD).view(1, 3, 1, 1)
        x = (x.expand(-1, 3, -1, -1) - mean) / std
        return self.backbone(x.to(self.backbone.cls_token.dtype))

    def read(self, h: Tensor) -> Tensor:
        """Hidden tokens as this stage conditions on them."""
        return self.backbone.prenorm(h) if self.is_prenorm else self.backbone.normed(h)

    def forward(self, x: Tensor) -> Tensor:
        return self.read(self.hidden(x))


class PointmapEmbedder(nn.Module):
    """One token per window of a pointmap (B, 3, H, W), NaN = no point there."""

    def __init__(self, c: EmbedderConfig) -> None:
        super().__init__()
        width, self.size, self.window = c.point_width, c.point_size, c.point_window
        side = c.point_size // c.point_window
        self.invalid_xyz_token = nn.Parameter(torch.zeros(width))
        self.pos_embed = nn.Parameter(torch.zeros(1, width, side, side))
        self.pos_embed_window = nn.Parameter(torch.zeros(1, 1 + c.point_window**2, width))
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.point_proj = nn.Linear(3, width)
        self.blocks = nn.ModuleList([ViTBlock(width, c.point_heads, 2, False)])

    def forward(self, points: Tensor) -> Tensor:
        points = F.interpolate(points, (self.size, self.size), mode="nearest").permute(0, 2, 3, 1)
        points = points.to(self.cls_token.dtype)
        valid = points.isfinite().all(-1, keepdim=True)
        x = self.point_proj(torch.where(valid, points, torch.zeros_like(points)))
        x = torch.where(valid, x, self.invalid_xyz_token.to(x.dtype))
        batch, side, w = len(x), self.size // self.window, self.window
        x = x.reshape(batch, side, w, side, w, -1).transpose(2, 3).reshape(batch * side * side, w * w, -1)
        x = torch.cat([self.cls_token.expand(len(x), -1, -1), x], 1) + self.pos_embed_window
        for block in self.blocks:
            x = block(x)
        return x[:, 0].reshape(batch, side * side, -1) + self.pos_embed.flatten(2).transpose(1, 2)


class GatedProjection(nn.Module):
    """w2(silu(w1 x) * w3 x), no biases."""

    def __init__(self, width_in: int, hidden: int, width_out: int) -> None:
        super().__init__()
        self.w1 = nn.Linear(width_in, hidden, bias=False)
        self.w2 = nn.Linear(hidden, width_out, bias=False)
        self.w3 = nn.Linear(width_in, hidden, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.w2(F.silu(self.w1(x)) * self.w3(x))


class ConditionEmbedder(nn.Module):
    """Tokens of the six views in the released order, each with its group code (0 crop, 1 full view)."""

    def __init__(self, config: EmbedderConfig) -> None:
        super().__init__()
        self.config = c = config
        self.idx_emb = nn.Parameter(torch.zeros(3, c.width))
        self.module_list = nn.ModuleList([ImageEmbedder(c), ImageEmbedder(c)])
        widths = [c.dino_width, c.dino_width]
        if c.has_points:
            self.module_list.append(PointmapEmbedder(c))
            widths.append(c.point_width)
        self.projection_nets = nn.ModuleList(
            nn.Sequential(nn.LayerNorm(w, eps=1e-5), GatedProjection(w, c.projection_hidden, c.width))
            for w in widths
        )

    def initialise(self) -> None:
        """Small random position codes: a fresh embedder has no pretrained DINO to start from."""
        for name, p in self.named_parameters():
            if name.rsplit(".", 1)[-1] in (
                "pos_embed",
                "pos_embed_window",
                "cls_token",
                "register_tokens",
                "idx_emb",
            ):
                nn.init.normal_(p, std=0.2 if "idx" in name else 0.1)

    def encode(self, views: Mapping[str, Tensor]) -> list[Tensor]:
        """Hidden backbone tokens of the images and of the masks, (2B, 1 + R + P, width) each, crops before full views.

        Both stages see the same four pictures: with equal backbones one call serves both embedders' `forward`.
        """
        pictures = [torch.cat([views[n].expand(-1, 3, -1, -1) for n in names]) for names in VIEWS[:2]]
        image, mask = self.module_list[0], self.module_list[1]
        if image.backbone is mask.backbone:
            return list(image.hidden(torch.cat(pictures)).chunk(2))
        return [image.hidden(pictures[0]), mask.hidden(pictures[1])]

    def forward(
        self,
        views: Mapping[str, Tensor],
        keep_pointmap: Tensor | None = None,
        *,
        drop: Collection[str] = (),
        hidden: Sequence[Tensor] | None = None,
    ) -> Tensor:
        """(B, tokens, width). Views: images (B,3,.,.) and masks (B,1,.,.) in 0..1, pointmaps (B,3,.,.) with NaN.

        keep_pointmap (B,) of 0 or 1 multiplies both pointmap streams (training drops them with p = 0.1), drop names
        views to leave out of all rows: their tokens become 0 and stay in place. hidden: from `encode`.
        """
        hidden = self.encode(views) if hidden is None else hidden
        streams = []
        for i, names in enumerate(self.config.views):
            embedder = self.module_list[i]
            tokens = embedder.read(hidden[i]) if i < 2 else embedder(torch.cat([views[n] for n in names]))
            for name, part in zip(names, self.projection_nets[i](tokens).chunk(2), strict=True):
                part = part + self.idx_emb[GROUPS[name]]
                if i == 2 and keep_pointmap is not None:
                    part = part * keep_pointmap.view(-1, 1, 1).to(part.dtype)
                streams.append(part * 0 if name in drop else part)
        return torch.cat(streams, 1)


def share_backbones(*embedders: ConditionEmbedder) -> int:
    """Let image embedders whose backbones hold equal weights run one of them; returns how many are left.

    The released files hold four copies of one backbone. State dicts keep all their names.
    """
    distinct: list[Dino] = []
    for embedder in embedders:
        for module in embedder.module_list[:2]:
            twin = next((d for d in distinct if _equal(d, module.backbone)), None)
            if twin is None:
                distinct.append(module.backbone)
            else:
                module.backbone = twin
    return len(distinct)


def _equal(first: Dino, second: Dino) -> bool:
    mine, other = first.state_dict(), second.state_dict()
    return all(torch.equal(mine[n], other[n]) if mine[n].shape == other[n].shape else False for n in mine)
