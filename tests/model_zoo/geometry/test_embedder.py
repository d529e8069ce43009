"""The condition embedder: one backbone pass for both stages, dropped views, holes in the pointmap."""

from dataclasses import replace

import pytest
import torch

from model_zoo.geometry.embedder import ConditionEmbedder, share_backbones
from model_zoo.geometry.recipes import tiny

FIRST = tiny().embedder
SECOND = replace(FIRST, has_points=False, prenorm=True)


def embedder(config, seed=0):
    torch.manual_seed(seed)
    net = ConditionEmbedder(config)
    net.initialise()
    return net.eval()


@pytest.fixture
def views():
    generator = torch.Generator().manual_seed(1)
    names = {"image": 3, "rgb_image": 3, "mask": 1, "rgb_image_mask": 1, "pointmap": 3, "rgb_pointmap": 3}
    return {n: torch.rand(2, c, 48, 48, generator=generator) for n, c in names.items()}


@torch.no_grad()
def test_one_backbone_pass_serves_both_stages(views):
    first, second = embedder(FIRST), embedder(SECOND, seed=2)
    for ours, theirs in zip(first.module_list[:2], second.module_list, strict=True):
        theirs.load_state_dict(ours.state_dict())
    apart = first(views), second(views)
    assert share_backbones(first, second) == 2
    hidden = first.encode(views)
    together = first(views, hidden=hidden), second(views, hidden=hidden)
    for a, b in zip(apart, together, strict=True):
        assert (a - b).abs().max() <= 1e-5 * a.abs().max()


@torch.no_grad()
def test_equal_backbones_of_images_and_masks_become_one_under_both_names(views):
    net = embedder(FIRST)
    net.module_list[1].load_state_dict(net.module_list[0].state_dict())
    names, apart = set(net.state_dict()), net(views)
    assert share_backbones(net) == 1
    assert set(net.state_dict()) == names
    assert (net(views) - apart).abs().max() <= 1e-5 * apart.abs().max()


def test_different_backbones_stay_apart():
    assert share_backbones(embedder(FIRST), embedder(SECOND, seed=2)) == 4


@torch.no_grad()
def test_the_second_stage_keeps_registers_and_sees_no_points(views):
    patches = (SECOND.image_size // SECOND.patch) ** 2
    assert embedder(SECOND)(views).shape[1] == 4 * (1 + SECOND.registers + patches)


@torch.no_grad()
def test_a_dropped_view_is_zero_in_its_place_and_leaves_the_others_alone(views):
    net = embedder(FIRST)
    whole, dropped = net(views), net(views, drop=("rgb_image",))
    length = 1 + (FIRST.image_size // FIRST.patch) ** 2
    assert not dropped[:, length : 2 * length].any()
    assert torch.equal(dropped[:, :length], whole[:, :length])
    assert torch.equal(dropped[:, 2 * length :], whole[:, 2 * length :])


@torch.no_grad()
def test_a_pointmap_without_any_point_gives_finite_tokens(views):
    views["pointmap"] = torch.full_like(views["pointmap"], float("nan"))
    views["rgb_pointmap"][:, 0] = float("inf")
    assert embedder(FIRST)(views).isfinite().all()
