"""Mixture-of-transformers velocity field over shape and layout tokens (sam3d_model.md section 6; released names).

Shapes: B batch, C width, H heads, L tokens of a stream. Time arrives already multiplied by 1000.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model_zoo.geometry.attention import attention

SHAPE = "shape"
LAYOUT = "6drotation_normalized"  # the layout stream is named after its first token
LAYOUT_LATENTS = ("6drotation_normalized", "translation", "scale", "translation_scale")
STREAMS = (SHAPE, LAYOUT)

Latents = dict[str, Tensor]
KeysValues = list[dict[str, tuple[Tensor, Tensor]]]
Modulation = list[Tensor]  # per block (1 or B*K, 6, C): shift, scale, gate of the attention, then of the MLP


@dataclass(frozen=True)
class TransformerConfig:
    """Sizes of the velocity field: two streams of `blocks` blocks, width `width`, on a grid^3 shape latent (section 6)."""

    width: int
    blocks: int
    heads: int
    cond_width: int
    grid: int  # shape tokens = grid^3
    shape_channels: int = 8
    mlp_ratio: int = 4
    frequencies: int = 256
    layout_tokens: int = 4  # one token per layout latent as released, or 1 for all of them as in the paper

    def __post_init__(self) -> None:
        if self.layout_tokens not in (1, 4):
            raise ValueError(f"layout_tokens is 1 or 4, not {self.layout_tokens}")

    @property
    def latent_shapes(self) -> dict[str, tuple[int, int]]:
        """Tokens and channels of each latent, in sorted name order (the order in which noise is drawn)."""
        return {
            "6drotation_normalized": (1, 6),
            "scale": (1, 3),
            "shape": (self.grid**3, self.shape_channels),
            "translation": (1, 3),
            "translation_scale": (1, 1),
        }


def position_code(coords: Tensor, width: int, reach: int) -> Tensor:
    """Fixed codes (N, width) of voxels (N, 3) in 0..reach-1: per axis [sin || cos], zeros up to the width (section 6.2)."""
    bands = width // 6
    omega = 1.0 / 10000 ** (torch.arange(bands, dtype=torch.float64) / bands)
    phase = torch.arange(reach, dtype=torch.float64)[:, None] * omega
    table = torch.cat([phase.sin(), phase.cos()], -1).float().to(coords.device)
    return F.pad(table[coords].flatten(1), (0, width - 6 * bands))


def grid_position(grid: int, width: int) -> Tensor:
    """Position codes (grid^3, width) of a full grid, z fastest."""
    axes = torch.meshgrid(*[torch.arange(grid)] * 3, indexing="ij")
    return position_code(torch.stack(axes, -1).reshape(-1, 3), width, grid)


def time_code(t: Tensor, width: int) -> Tensor:
    """[cos || sin] code (B, width) of scaled times (B,) (section 6.1)."""
    half = width // 2
    rates = torch.exp(-math.log(10000) * torch.arange(half, device=t.device, dtype=torch.float32) / half)
    phase = t.float()[:, None] * rates
    return torch.cat([phase.cos(), phase.sin()], -1)


class TimeEmbedder(nn.Module):
    """Two-layer MLP on the cosine code of a scaled time or step size: (B,) -> (B, C)."""

    def __init__(self, width: int, frequencies: int) -> None:
        super().__init__()
        self.frequencies = frequencies
        self.mlp = nn.Sequential(nn.Linear(frequencies, width), nn.SiLU(), nn.Linear(width, width))

    def forward(self, t: Tensor) -> Tensor:
        return self.mlp(time_code(t, self.frequencies))


class HeadRMSNorm(nn.Module):
    """x / max(||x||, 1e-12) * gamma[head] * sqrt(head width), on (B, L, H, C/H)."""

    def __init__(self, heads: int, width: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(heads, width))

    def forward(self, x: Tensor) -> Tensor:
        norm = torch.linalg.vector_norm(x, dim=-1, keepdim=True, dtype=torch.float32).clamp_min(1e-12)
        return x * (x.shape[-1] ** 0.5 / norm).to(x.dtype) * self.gamma.to(x.dtype)


def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Plain attention on (B, L, H, D), giving (B, L, H*D)."""
    out = attention(q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2))
    return out.transpose(1, 2).flatten(2)


class SelfAttention(nn.Module):
    """Per-stream weights; shape sees shape, layout sees layout || shape (section 6.3 a-c)."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.to_qkv = nn.ModuleDict({s: nn.Linear(width, 3 * width) for s in STREAMS})
        self.q_rms_norm = nn.ModuleDict({s: HeadRMSNorm(heads, width // heads) for s in STREAMS})
        self.k_rms_norm = nn.ModuleDict({s: HeadRMSNorm(heads, width // heads) for s in STREAMS})
        self.to_out = nn.ModuleDict({s: nn.Linear(width, width) for s in STREAMS})

    def _project(self, stream: str, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        q, k, v = self.to_qkv[stream](x).unflatten(-1, (3, self.heads, -1)).unbind(2)
        q, k = self.q_rms_norm[stream](q), self.k_rms_norm[stream](k)
        return q, k, v

    def forward(self, x: Latents) -> Latents:
        q, k, v = self._project(SHAPE, x[SHAPE])
        out = {SHAPE: self.to_out[SHAPE](attend(q, k, v))}
        if LAYOUT in x:
            ql, kl, vl = self._project(LAYOUT, x[LAYOUT])
            # Layout must not pull the shape stream: its gradient stops at the shape's keys and values.
            keys, values = torch.cat([kl, k.detach()], 1), torch.cat([vl, v.detach()], 1)
            out[LAYOUT] = self.to_out[LAYOUT](attend(ql, keys, values))
        return out


class CrossAttention(nn.Module):
    """Queries from one stream, keys and values from the condition; no norm, no gate."""

    def __init__(self, width: int, cond_width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.to_q = nn.Linear(width, width)
        self.to_kv = nn.Linear(cond_width, 2 * width)
        self.to_out = nn.Linear(width, width)

    def keys_values(self, cond: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values (B, Lc, H, D) of a condition (B, Lc, Cc), to be computed once per object."""
        k, v = self.to_kv(cond).unflatten(-1, (2, self.heads, -1)).unbind(2)
        return k, v

    def forward(self, x: Tensor, kv: tuple[Tensor, Tensor]) -> Tensor:
        """x (B*K, L, C) against B conditions: K noise draws of one object share its keys (queries do not interact)."""
        objects = kv[0].shape[0]
        q = self.to_q(x)
        folded = q.reshape(objects, -1, q.shape[-1]).unflatten(-1, (self.heads, -1))
        return self.to_out(attend(folded, *kv).reshape(q.shape))

    def unconditional(self) -> Tensor:
        """(C,): with a zero condition all keys and values equal their biases, so the output is one constant (section 6)."""
        return self.to_out(self.to_kv.bias.chunk(2)[1])


class FeedForward(nn.Module):
    """Linear, tanh-GELU, Linear."""

    def __init__(self, width: int, ratio: int) -> None:
        super().__init__()
        self.mlp = nn.Sequential(
            nn.Linear(width, ratio * width), nn.GELU("tanh"), nn.Linear(ratio * width, width)
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.mlp(x)


def modulated(x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    """LN(x) (1 + scale) + shift on (..., L, C), the norm without parameters, eps 1e-6 (section 6.3)."""
    return torch.addcmul(shift, F.layer_norm(x, x.shape[-1:], eps=1e-6), 1 + scale)


class Block(nn.Module):
    """Self-attention, cross-attention and MLP for both streams under one shared modulation (section 6.3)."""

    def __init__(self, c: TransformerConfig) -> None:
        super().__init__()
        self.norm2 = nn.ModuleDict({s: nn.LayerNorm(c.width, eps=1e-6) for s in STREAMS})
        self.self_attn = SelfAttention(c.width, c.heads)
        self.cross_attn = nn.ModuleDict({s: CrossAttention(c.width, c.cond_width, c.heads) for s in STREAMS})
        self.mlp = nn.ModuleDict({s: FeedForward(c.width, c.mlp_ratio) for s in STREAMS})
        self.adaLN_modulation = nn.Sequential(nn.SiLU(), nn.Linear(c.width, 6 * c.width))

    def forward(
        self, h: Latents, modulation: Tensor, kv: dict[str, tuple[Tensor, Tensor]] | None, conditional: int
    ) -> Latents:
        """h: stream -> (rows, L, C), the first `conditional` rows with a condition; modulation (1 or rows, 6, C)."""
        sh1, sc1, g1, sh2, sc2, g2 = modulation[:, :, None].unbind(1)
        attended = self.self_attn({s: modulated(x, sh1, sc1) for s, x in h.items()})
        out = {}
        for s, x in h.items():
            x = self._crossed(s, torch.addcmul(x, g1, attended[s]), kv, conditional)
            out[s] = torch.addcmul(x, g2, self.mlp[s](modulated(x, sh2, sc2)))
        return out

    def _crossed(
        self, s: str, x: Tensor, kv: dict[str, tuple[Tensor, Tensor]] | None, conditional: int
    ) -> Tensor:
        cross = self.cross_attn[s]
        if kv is None:
            return x + cross.unconditional()
        if conditional == len(x):
            return x + cross(self.norm2[s](x), kv[s])
        seen, unseen = x[:conditional], x[conditional:]
        return torch.cat([seen + cross(self.norm2[s](seen), kv[s]), unseen + cross.unconditional()])


class LatentMapping(nn.Module):
    """Linear in and out of one latent, with its position code (fixed for the shape grid, learnt for layout)."""

    def __init__(self, channels: int, width: int, position: Tensor | None) -> None:
        super().__init__()
        self.input_layer = nn.Linear(channels, width)
        self.out_layer = nn.Linear(width, channels)
        if position is None:
            self.pos_emb = nn.Parameter(torch.zeros(1, width))
        else:
            self.register_buffer("pos_emb", position)

    def embed(self, x: Tensor) -> Tensor:
        """Latent (B, L, c) -> tokens (B, L, C)."""
        return self.input_layer(x.to(self.input_layer.weight.dtype)) + self.pos_emb

    def read(self, h: Tensor) -> Tensor:
        """Tokens (B, L, C) -> velocity (B, L, c) in the type of the last layer."""
        return self.out_layer(F.layer_norm(h.float(), h.shape[-1:], eps=1e-5).to(self.out_layer.weight.dtype))


class GeometryTransformer(nn.Module):
    """Velocity field v(x_tau, c, tau, d) on the five latents."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.config = c = config
        self.t_embedder = TimeEmbedder(c.width, c.frequencies)
        self.d_embedder = TimeEmbedder(c.width, c.frequencies)
        channels = {name: width for name, (_, width) in c.latent_shapes.items()}
        if c.layout_tokens == 1:
            channels = {SHAPE: channels[SHAPE], LAYOUT: sum(channels[n] for n in LAYOUT_LATENTS)}
        self.latent_mapping = nn.ModuleDict(
            {
                n: LatentMapping(w, c.width, grid_position(c.grid, c.width) if n == SHAPE else None)
                for n, w in channels.items()
            }
        )
        self.blocks = nn.ModuleList(Block(c) for _ in range(c.blocks))

    def initialise(self) -> None:
        """Start of training: zero modulation and outputs (DiT), zero last step-size layer (training.md 1.6)."""
        for block in self.blocks:
            nn.init.zeros_(block.adaLN_modulation[1].weight)
            nn.init.zeros_(block.adaLN_modulation[1].bias)
        for mapping in self.latent_mapping.values():
            nn.init.zeros_(mapping.out_layer.weight)
            nn.init.zeros_(mapping.out_layer.bias)
        nn.init.zeros_(self.d_embedder.mlp[2].weight)
        nn.init.zeros_(self.d_embedder.mlp[2].bias)
        for name, mapping in self.latent_mapping.items():
            if name != SHAPE:
                nn.init.normal_(mapping.pos_emb, std=0.5)

    def keys_values(self, cond: Tensor, streams: Sequence[str] = STREAMS) -> KeysValues:
        """Cross-attention keys and values of every block for conditions (B, Lc, Cc): once per object, not per step."""
        cond = cond.to(self.dtype)
        return [{s: b.cross_attn[s].keys_values(cond) for s in streams} for b in self.blocks]

    @property
    def dtype(self) -> torch.dtype:
        """What the blocks compute in; the first and last layers and the time MLPs may stay in fp32 (`halved`)."""
        return self.blocks[0].norm2[SHAPE].weight.dtype

    def modulation(self, t: Tensor, d: Tensor | None) -> Modulation:
        """Shifts, scales and gates of every block at times t and step sizes d, (1,) or (B*K,), scaled by 1000.

        They depend on nothing else, so a sampler makes them for its whole time grid at once. d None leaves the
        step-size embedding out; d = 0 does not (section 16, trap 1).
        """
        emb = self.t_embedder(t)
        if d is not None:
            emb = emb + self.d_embedder(d)
        emb = emb.to(self.dtype)
        return [b.adaLN_modulation(emb).unflatten(-1, (6, -1)) for b in self.blocks]

    def forward(
        self, latents: Mapping[str, Tensor], t: Tensor, d: Tensor | None, kv: KeysValues | None
    ) -> Latents:
        """Velocities with the latents' shapes.

        latents: name -> (B*K, tokens, channels); without layout latents the layout stream is skipped (exact for shape).
        t, d: as in `modulation`. kv: from `keys_values` for B conditions, K consecutive rows each; None = unconditional.
        """
        return self.run(latents, self.modulation(t, d), kv)

    def run(
        self,
        latents: Mapping[str, Tensor],
        modulation: Modulation,
        kv: KeysValues | None,
        conditional: int | None = None,
    ) -> Latents:
        """As `forward`, with the modulation made ahead; rows from `conditional` on run without a condition."""
        h = self.tokens(latents)
        rows = len(h[SHAPE]) if conditional is None else conditional
        for i, block in enumerate(self.blocks):
            h = block(h, modulation[i], None if kv is None else kv[i], rows)
        return self.read(h)

    def tokens(self, latents: Mapping[str, Tensor]) -> Latents:
        """Latents as the tokens of their stream, layout in the released token order."""
        h = {SHAPE: self.latent_mapping[SHAPE].embed(latents[SHAPE])}
        if LAYOUT in latents:
            h[LAYOUT] = self._layout_tokens([latents[n] for n in LAYOUT_LATENTS])
        kind = h[SHAPE].device.type
        # Under autocast the residual stream too is in half precision: casts at every norm cost more than they save.
        dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else self.dtype
        return {s: x.to(dtype) for s, x in h.items()}

    def _layout_tokens(self, parts: list[Tensor]) -> Tensor:
        if self.config.layout_tokens == 1:
            return self.latent_mapping[LAYOUT].embed(torch.cat(parts, -1))
        mappings = [self.latent_mapping[n] for n in LAYOUT_LATENTS]
        return torch.cat([m.embed(x) for m, x in zip(mappings, parts, strict=True)], 1)

    def read(self, h: Latents) -> Latents:
        """Stream tokens back to one tensor per latent."""
        out = {SHAPE: self.latent_mapping[SHAPE].read(h[SHAPE])}
        if LAYOUT not in h:
            return out
        if self.config.layout_tokens == 1:
            widths = [self.config.latent_shapes[n][1] for n in LAYOUT_LATENTS]
            parts = self.latent_mapping[LAYOUT].read(h[LAYOUT]).split(widths, -1)
            return out | dict(zip(LAYOUT_LATENTS, parts, strict=True))
        return out | {
            n: self.latent_mapping[n].read(h[LAYOUT][:, i : i + 1]) for i, n in enumerate(LAYOUT_LATENTS)
        }

    def halved(self, dtype: torch.dtype = torch.bfloat16) -> "GeometryTransformer":
        """The blocks in half precision, in place; latents, times and their first and last layers stay in fp32."""
        self.blocks.to(dtype)
        return self

    def compiled(self, backend: str = "inductor") -> "GeometryTransformer":
        """Every block through torch.compile, in place: one graph for all of them, names unchanged."""
        for block in self.blocks:
            block.compile(backend=backend)
        return self
