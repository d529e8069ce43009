"""The transformer at `tiny` size: streams, caching, candidates, gradients."""

from dataclasses import fields, replace

import pytest
import torch

from model_zoo import flow
from model_zoo.geometry.recipes import tiny
from model_zoo.geometry.sampler import PLAIN, Savings, sample
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


def sampled(net, savings, noises, cond):
    with torch.no_grad():
        return sample(net, cond, noises, steps=4, strength=2.0, savings=savings)


@pytest.mark.parametrize("saving", [*[f.name for f in fields(Savings)], "all"])
def test_every_saving_gives_what_the_plain_path_gives(net, saving):
    x, cond = noise(net, 4), torch.randn(2, 5, 128)
    savings = Savings() if saving == "all" else replace(Savings(), **{saving: False})
    plain, saved = sampled(net, PLAIN, x, cond), sampled(net, savings, x, cond)
    for name, value in plain.items():
        assert (saved[name] - value).abs().max() <= 1e-5 * value.abs().max()


def test_shapes_sampled_alone_are_those_that_come_with_a_layout(net):
    x, cond = noise(net, 2), torch.randn(1, 5, 128)
    both, alone = sampled(net, Savings(), x, cond), sampled(net, Savings(), {"shape": x["shape"]}, cond)
    assert set(alone) == {"shape"} and (alone["shape"] - both["shape"]).abs().max() <= 1e-5


def test_a_candidate_is_the_same_in_any_batch_and_on_every_run(net):
    x, cond = noise(net, 3), torch.randn(1, 5, 128)
    together, again = sampled(net, Savings(), x, cond), sampled(net, Savings(), x, cond)
    alone = sampled(net, Savings(), {n: v[1:2] for n, v in x.items()}, cond)
    assert all(torch.equal(together[n], again[n]) for n in x)
    assert all((together[n][1:2] - alone[n]).abs().max() <= 1e-5 for n in x)


def test_bf16_blocks_stay_near_fp32(net):
    half = GeometryTransformer(tiny().transformer).eval()
    half.load_state_dict(net.state_dict())
    x, cond = noise(net, 2), torch.randn(1, 5, 128)
    want, got = sampled(net, Savings(), x, cond), sampled(half.halved(), Savings(), x, cond)
    assert all(v.dtype == torch.float32 and (v - want[n]).abs().max() < 0.1 for n, v in got.items())


def test_compiled_blocks_give_the_same_under_the_same_names(net):
    graphs = GeometryTransformer(tiny().transformer).eval()
    graphs.load_state_dict(net.state_dict())
    x, cond = noise(net, 2), torch.randn(1, 5, 128)
    want = sampled(net, Savings(), x, cond)
    # The graphs of the real thing without its C++ or CUDA code, which takes a minute to build.
    got = sampled(graphs.compiled(backend="aot_eager"), Savings(), x, cond)
    assert set(graphs.state_dict()) == set(net.state_dict())
    assert all((got[n] - v).abs().max() <= 1e-5 * v.abs().max() for n, v in want.items())


def test_the_papers_single_layout_token_carries_all_layout_latents():
    torch.manual_seed(0)
    net = GeometryTransformer(replace(tiny().transformer, layout_tokens=1))
    hidden = []
    net.blocks[0].register_forward_hook(lambda module, given, out: hidden.append(out))
    x = noise(net, 2)
    out = net(x, torch.tensor([300.0]), None, None)
    assert {n: v.shape for n, v in out.items()} == {n: v.shape for n, v in x.items()}
    assert hidden[0]["6drotation_normalized"].shape[1] == 1
    out["scale"].sum().backward()
    assert net.latent_mapping["shape"].input_layer.weight.grad is None
