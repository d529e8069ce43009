"""The transformer at `tiny` size: streams, caching, candidates, gradients."""

import pytest
import torch

from model_zoo import flow
from model_zoo.geometry.recipes import tiny
from model_zoo.geometry.transformer import GeometryTransformer, grid_position


@pytest.fixture(scope="module")
def net():
    torch.manual_seed(0)
    return GeometryTransformer(tiny().transformer).eval()


def noise(net, batch, seed=0):
    return flow.draw_noise(net.config.latent_shapes, batch, torch.Generator().manual_seed(seed))


def test_shape_does_not_see_the_layout_stream(net):
    x, kv = noise(net, 1), net.keys_values(torch.randn(1, 5, 128))
    with torch.no_grad():
        both = net(x, torch.tensor([300.0]), None, kv)
        alone = net({"shape": x["shape"]}, torch.tensor([300.0]), None, kv)
    assert torch.allclose(both["shape"], alone["shape"], atol=1e-6)


def test_zero_condition_equals_leaving_the_condition_out(net):
    x, kv = noise(net, 1), net.keys_values(torch.zeros(1, 7, 128))
    with torch.no_grad():
        zeroed, skipped = net(x, torch.tensor([300.0]), None, kv), net(x, torch.tensor([300.0]), None, None)
    assert all((zeroed[n] - skipped[n]).abs().max() < 1e-5 for n in x)


def test_candidates_of_one_object_share_its_keys_and_values(net):
    x, cond = noise(net, 6), torch.randn(2, 5, 128)
    with torch.no_grad():
        shared = net(x, torch.tensor([300.0]), None, net.keys_values(cond))
        repeated = net(x, torch.tensor([300.0]), None, net.keys_values(cond.repeat_interleave(3, 0)))
    assert all(torch.allclose(shared[n], repeated[n], atol=1e-5) for n in x)


def test_layout_loss_leaves_the_shape_keys_alone(net):
    x, kv = noise(net, 1), net.keys_values(torch.randn(1, 5, 128))
    net.zero_grad()
    net(x, torch.tensor([300.0]), None, kv)["translation"].sum().backward()
    assert net.latent_mapping["shape"].input_layer.weight.grad is None
    assert net.latent_mapping["translation"].input_layer.weight.grad.abs().sum() > 0


def test_position_codes_pad_with_zeros_and_differ_between_voxels():
    codes = grid_position(4, 128)
    assert codes.shape == (64, 128) and codes[:, 126:].abs().sum() == 0
    assert len(torch.unique(codes, dim=0)) == 64
