"""Attention on (B, H, L, D), by the fused kernel or, where that one is slow, by two matrix products."""

from torch import Tensor
from torch.nn import functional as F


def attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """softmax(q k^T / sqrt(D)) v, shapes (B, H, L, D)."""
    if q.device.type == "cpu" and q.requires_grad and q.shape[-2] <= 512:
        # The fused kernel's backward is up to nine times slower than this on CPU in bf16 (LOG.md); equal in fp32.
        return ((q * q.shape[-1] ** -0.5) @ k.transpose(-1, -2)).softmax(-1).to(v.dtype) @ v
    return F.scaled_dot_product_attention(q, k, v)
