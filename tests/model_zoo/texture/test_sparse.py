"""Sparse operations equal their dense forms, give their gradients and take memory linear in voxels."""

import pytest
import torch
from torch.nn import functional as F
from torch.profiler import profile

from model_zoo.texture.sparse import SparseConv, Voxels, pool
from tests.model_zoo.texture.grids import scattered, shell


def dense(x, voxels, conv):
    """The same convolution on the full grid."""
    coords = tuple(voxels.coords.T)
    weight = conv.conv["weight"].permute(0, 4, 1, 2, 3)
    shape = [int(n) + 1 for n in voxels.coords.amax(0)]
    grid = torch.zeros(*shape, x.shape[1], dtype=x.dtype).index_put(coords, x).permute(0, 4, 1, 2, 3)
    out = F.conv3d(grid, weight, conv.conv["bias"], padding=weight.shape[-1] // 2)
    return out.permute(0, 2, 3, 4, 1)[coords]


@pytest.mark.parametrize("kernel", [1, 3])
@pytest.mark.parametrize("copied", [False, True])
def test_convolution_and_its_gradients_equal_the_dense_ones(kernel, copied):
    torch.manual_seed(0)
    coarse, conv = scattered(), SparseConv(5, 7, kernel).double()
    x = torch.randn(len(coarse), 5, dtype=torch.float64, requires_grad=True)
    voxels = coarse.children if copied else coarse
    parent = torch.arange(len(coarse)).repeat_interleave(8) if copied else None
    ours = conv(x, voxels, parent)
    theirs = dense(x[parent] if copied else x, voxels, conv)
    torch.testing.assert_close(ours, theirs)
    pull = torch.randn_like(ours)
    for a, b in zip(*(torch.autograd.grad(y, [x, *conv.parameters()], pull) for y in (ours, theirs))):
        torch.testing.assert_close(a, b)


def test_the_order_of_the_voxels_does_not_matter():
    voxels, conv = scattered(), SparseConv(4, 4, 3)
    x, mixed = torch.randn(len(voxels), 4), torch.randperm(len(voxels))
    torch.testing.assert_close(conv(x, voxels)[mixed], conv(x[mixed], Voxels(voxels.coords[mixed])))


def test_neighbours_of_one_object_never_come_from_another():
    touching = Voxels(torch.tensor([[0, 3, 3, 3], [1, 0, 0, 0], [1, 3, 3, 3]]))
    assert len(touching.neighbours.out) == 3


def test_pooling_divides_by_one_more_than_the_children_and_sorts_the_parents():
    voxels = scattered()
    x = torch.randn(len(voxels), 3)
    pooling = voxels.pooling
    pooled, coords = pool(x, pooling), pooling.voxels.coords
    for row, parent in zip(pooled, coords, strict=True):
        halves = torch.cat([voxels.coords[:, :1], voxels.coords[:, 1:] // 2], 1)
        mine = x[(halves == parent).all(1)]
        torch.testing.assert_close(row, mine.sum(0) / (len(mine) + 1))
    assert coords.tolist() == sorted(coords.tolist())
    assert torch.equal(coords[pooling.parent][:, 1:], voxels.coords[:, 1:] // 2)


def test_every_voxel_has_eight_children_z_fastest():
    fine = Voxels(torch.tensor([[0, 1, 2, 3], [0, 0, 0, 0]])).children.coords
    assert fine[:3].tolist() == [[0, 2, 4, 6], [0, 2, 4, 7], [0, 2, 5, 6]]
    assert fine[8:].tolist() == [[0, x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)]


def test_tables_are_built_once():
    voxels = scattered()
    assert voxels.neighbours is voxels.neighbours
    assert voxels.pooling.voxels.neighbours is voxels.pooling.voxels.neighbours
    assert voxels.children is voxels.children
    assert voxels.windows(4, 2) is voxels.windows(4, 2)


def test_memory_grows_with_the_voxels_not_with_the_grid():
    def allocated(voxels):
        conv, x = SparseConv(16, 16, 3), torch.randn(len(voxels), 16)
        with torch.no_grad(), profile(profile_memory=True) as measured:
            conv(x, voxels)
        events = measured.key_averages()
        return sum(max(0, e.self_cpu_memory_usage) for e in events) / len(voxels)

    assert allocated(shell(40)) < 1.2 * allocated(shell(20))


def test_bf16_sums_are_kept_in_full_precision():
    voxels, conv = shell(12), SparseConv(32, 8, 3)
    x = torch.randn(len(voxels), 32)
    with torch.autocast("cpu", torch.bfloat16):
        half = conv(x, voxels)
    assert half.dtype == torch.bfloat16
    assert (half.float() - conv(x, voxels)).abs().max() < 0.03
