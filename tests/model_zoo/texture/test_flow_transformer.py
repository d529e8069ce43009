"""Every saving of the latent flow equals the plain path; candidates neither see nor disturb each other."""

import pytest
import torch

from model_zoo.texture.flow_transformer import SlatFlow
from model_zoo.texture.model import joined
from model_zoo.texture.recipes import tiny
from tests.model_zoo.texture.grids import scattered


@pytest.fixture(scope="module")
def net():
    torch.manual_seed(0)
    return SlatFlow(tiny().flow).eval()


@torch.no_grad()
def test_the_unconditional_pass_equals_attention_to_zeros(net):
    voxels = scattered(1)
    x, modulation = torch.randn(len(voxels), 8), net.modulation(torch.tensor([300.0]))
    zeros = net.keys_values(torch.zeros(1, 11, net.config.cond_width))
    torch.testing.assert_close(
        net(x, voxels, modulation, None), net(x, voxels, modulation, zeros), rtol=1e-5, atol=1e-5
    )


@torch.no_grad()
def test_modulations_of_a_grid_equal_those_of_each_time(net):
    times = torch.tensor([0.0, 250.0, 900.0])
    together = net.modulation(times)
    for i, t in enumerate(times):
        for many, one in zip(together, net.modulation(t[None]), strict=True):
            torch.testing.assert_close(many[i : i + 1], one, rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_candidates_in_one_batch_equal_candidates_alone(net):
    objects = [scattered(1, seed=s, share=0.1 * (s + 1)).coords[:, 1:] for s in range(3)]
    noise = [torch.randn(len(c), 8) for c in objects]
    kv, modulation = (
        net.keys_values(torch.randn(1, 11, net.config.cond_width)),
        net.modulation(torch.tensor([50.0])),
    )
    together = net(torch.cat(noise), joined(objects), modulation, kv)
    alone = torch.cat([net(x, joined([c]), modulation, kv) for x, c in zip(noise, objects, strict=True)])
    torch.testing.assert_close(together, alone, rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_objects_with_conditions_and_times_of_their_own_equal_objects_alone(net):
    objects = [scattered(1, seed=s).coords[:, 1:] for s in range(2)]
    noise, cond = [torch.randn(len(c), 8) for c in objects], torch.randn(2, 11, net.config.cond_width)
    times = torch.tensor([50.0, 700.0])
    together = net(torch.cat(noise), joined(objects), net.modulation(times), net.keys_values(cond))
    alone = [
        net(
            noise[i], joined([objects[i]]), net.modulation(times[i : i + 1]), net.keys_values(cond[i : i + 1])
        )
        for i in range(2)
    ]
    torch.testing.assert_close(together, torch.cat(alone), rtol=1e-5, atol=1e-5)
