"""Attention inside windows of active voxels: exact, without masks or padding (sam3d_model.md sections 10 and 11)."""

import torch
from torch import Tensor, nn

from model_zoo.geometry.attention import attention
from model_zoo.geometry.transformer import HeadRMSNorm
from model_zoo.texture.sparse import Windows


def attend_windows(q: Tensor, k: Tensor, v: Tensor, groups: list[tuple[int, int]]) -> Tensor:
    """Attention of (N, H, D) rows lying window by window, giving (N, H * D); one batch per window length."""
    out, start = [], 0
    for windows, length in groups:
        stop = start + windows * length
        batch = [x[start:stop].unflatten(0, (windows, length)).transpose(1, 2) for x in (q, k, v)]
        out.append(attention(*batch).transpose(1, 2).flatten(2).flatten(0, 1))
        start = stop
    return torch.cat(out)


class WindowAttention(nn.Module):
    """Self-attention of voxels with all voxels of their window, (N, C) -> (N, C); released names."""

    def __init__(self, width: int, heads: int, *, norm: bool) -> None:
        super().__init__()
        self.heads = heads
        self.to_qkv = nn.Linear(width, 3 * width)
        self.to_out = nn.Linear(width, width)
        self.q_rms_norm = HeadRMSNorm(heads, width // heads) if norm else nn.Identity()
        self.k_rms_norm = HeadRMSNorm(heads, width // heads) if norm else nn.Identity()

    def forward(self, x: Tensor, windows: Windows) -> Tensor:
        if windows.order is not None:
            x = x.index_select(0, windows.order)
        q, k, v = self.to_qkv(x).unflatten(-1, (3, self.heads, -1)).unbind(1)
        out = self.to_out(attend_windows(self.q_rms_norm(q), self.k_rms_norm(k), v, windows.groups))
        return out if windows.inverse is None else out.index_select(0, windows.inverse)
