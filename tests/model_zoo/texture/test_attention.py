"""Windowed attention equals attention under a full mask, whatever the order and the sizes of the windows."""

import torch
from torch.nn import functional as F

from model_zoo.texture.attention import WindowAttention
from tests.model_zoo.texture.grids import scattered


def masked(net, x, cells):
    """The same layer over all tokens, with a mask of equal cells."""
    q, k, v = net.to_qkv(x).unflatten(-1, (3, net.heads, -1)).unbind(1)
    q, k = net.q_rms_norm(q), net.k_rms_norm(k)
    mask = (cells[:, None] == cells[None]).all(-1)
    out = F.scaled_dot_product_attention(*(y.transpose(0, 1) for y in (q, k, v)), attn_mask=mask)
    return net.to_out(out.transpose(0, 1).flatten(1))


def test_shifted_windows_equal_a_dense_mask():
    voxels = scattered()
    x = torch.randn(len(voxels), 24)
    for shift in (0, 2):
        net = WindowAttention(24, 3, norm=False)
        cells = torch.cat([voxels.coords[:, :1], (voxels.coords[:, 1:] + shift) // 4], 1)
        torch.testing.assert_close(net(x, voxels.windows(4, shift)), masked(net, x, cells))


def test_whole_objects_see_themselves_only():
    voxels, net = scattered(3), WindowAttention(24, 3, norm=True)
    x = torch.randn(len(voxels), 24)
    torch.testing.assert_close(net(x, voxels.whole), masked(net, x, voxels.coords[:, :1]))
    assert scattered(1).whole.order is None  # one object: no row has to move
