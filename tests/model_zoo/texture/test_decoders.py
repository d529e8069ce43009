"""Decoders keep what their formulas promise; numbers are compared with the reference in the parity tests."""

import torch
from torch import nn

from model_zoo.texture.decoders import GaussianDecoder, MeshDecoder, UpBlock, group_norm, spread_offsets
from model_zoo.texture.recipes import tiny
from tests.model_zoo.texture.grids import scattered


@torch.no_grad()
def test_gaussians_start_inside_their_voxel_and_stay_near_it():
    voxels, net = scattered(1), GaussianDecoder(tiny().trunk, 4)
    start = net.activated(torch.zeros(len(voxels), 56), voxels)
    far = net.activated(torch.full((len(voxels), 56), 50.0), voxels)
    middle = ((voxels.coords[:, 1:] + 0.5) / 16 - 0.5).repeat_interleave(4, 0)
    assert ((start.xyz - middle).abs() <= 0.5 / 16 + 1e-6).all()
    assert ((far.xyz - middle).abs() <= 0.75 / 16 + 1e-6).all()
    torch.testing.assert_close(start.opacity, torch.full_like(start.opacity, 0.1))
    torch.testing.assert_close(start.rotation[0], torch.tensor([1.0, 0, 0, 0]))


def test_offsets_begin_with_the_corner_of_the_sequence():
    assert torch.equal(spread_offsets(1), torch.atanh(torch.full((1, 3), -1 / 1.5)))


@torch.no_grad()
def test_group_norm_of_a_batch_equals_that_of_each_object():
    voxels, norm = scattered(2), nn.GroupNorm(4, 8)
    nn.init.normal_(norm.weight)
    x = torch.randn(len(voxels), 8) * 3 + 5
    parts = [norm(part.T[None])[0].T for part in x.split(voxels.objects)]
    torch.testing.assert_close(group_norm(x, norm, voxels), torch.cat(parts), rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_upsampling_equals_copying_the_parents_first():
    torch.manual_seed(0)
    voxels, block = scattered(1, side=5), UpBlock(64, 32)
    x = torch.randn(len(voxels), 64)
    fine, (conv1, norm, act, conv2) = voxels.children, block.out_layers
    copied = x.repeat_interleave(8, 0)
    y = conv1(act(group_norm(copied, block.act_layers[0], fine)), fine)
    plain = conv2(act(group_norm(y, norm, fine)), fine) + block.skip_connection(copied, fine)
    torch.testing.assert_close(block(x, voxels), plain, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_the_mesh_decoder_gives_64_cubes_for_every_voxel():
    voxels, net = scattered(1, side=5), MeshDecoder(tiny().trunk)
    fine, features = net(torch.randn(len(voxels), 8), voxels)
    assert features.shape == (64 * len(voxels), 101)
    assert torch.equal(fine.coords[::64], torch.cat([voxels.coords[:, :1], 4 * voxels.coords[:, 1:]], 1))
