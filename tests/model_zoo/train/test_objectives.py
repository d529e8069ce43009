"""Objectives: mirror symmetry, overfitting one batch, preference margins, the shortcut's start."""

import copy

import pytest
import torch

from model_zoo import checkpoint, losses
from model_zoo.examples import collate
from model_zoo.geometry import pose
from model_zoo.geometry.recipes import tiny
from model_zoo.loader import Pairs, Samples
from model_zoo.train import objectives


@pytest.fixture
def model(start):
    return checkpoint.load(start).model


@pytest.fixture(scope="module")
def batch(sft):
    samples = Samples(sft, tiny())
    return collate([samples[i] for i in range(2)])


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_mirroring_twice_changes_nothing(batch):
    flip = torch.tensor([True, False])
    back = objectives.mirrored(objectives.mirrored(batch, flip), flip)
    assert torch.equal(back.occupancy, batch.occupancy)
    assert torch.allclose(
        back.layout["6drotation_normalized"], batch.layout["6drotation_normalized"], atol=1e-4
    )
    assert all(
        torch.equal(a.nan_to_num(), b.nan_to_num()) for a, b in zip(back.views.values(), batch.views.values())
    )


def test_a_mirrored_pose_is_a_rotation_of_the_mirrored_object(batch):
    both = torch.tensor([True, True])
    before = pose.rotation_of(batch.layout["6drotation_normalized"])[:, 0]
    after = pose.rotation_of(objectives.mirrored(batch, both).layout["6drotation_normalized"])[:, 0]
    across = torch.diag(torch.tensor([-1.0, 1, 1]))
    point = torch.tensor([[0.3, -0.2, 0.4]])
    assert torch.allclose((point @ across) @ after, (point @ before) @ across, atol=1e-4)


def test_augmentation_follows_its_seed(batch):
    a, b = objectives.augmented(batch, generator(3)), objectives.augmented(batch, generator(3))
    assert torch.equal(a.views["image"], b.views["image"]) and torch.equal(a.occupancy, b.occupancy)


def test_flow_matching_overfits_one_batch(model, batch):
    optimiser = torch.optim.AdamW(list(model.transformer.parameters()), lr=2e-3)

    def loss():
        return objectives.flow_matching(
            model, batch, generator(1), weights=losses.FLOW_WEIGHTS, draws=2, drop=0.0, drop_pointmap=0.0
        )[0]

    first = float(loss().detach())
    for _ in range(25):
        optimiser.zero_grad()
        value = loss()
        value.backward()
        optimiser.step()
    assert float(value.detach()) < 0.6 * first


def test_the_codec_overfits_one_batch(model, batch):
    optimiser = torch.optim.AdamW([*model.encoder.parameters(), *model.decoder.parameters()], lr=5e-3)
    seen = []
    for _ in range(20):
        optimiser.zero_grad()
        value, _ = objectives.occupancy_codec(model, batch.occupancy, generator(), 1e-4)
        value.backward()
        optimiser.step()
        seen.append(float(value.detach()))
    assert seen[-1] < 0.6 * seen[0]


def test_dpo_moves_the_margin_towards_the_chosen(model, dpo):
    pairs, reference = Pairs(dpo, tiny()), copy.deepcopy(model).requires_grad_(False)
    batch = collate([pairs[i] for i in range(2)])
    optimiser = torch.optim.AdamW(model.transformer.parameters(), lr=3e-4)
    deltas = []
    for _ in range(8):
        optimiser.zero_grad()
        value, figures = objectives.preference(
            model, reference, batch, generator(), beta=500.0, draws=2, anchor=0.0
        )
        value.backward()
        optimiser.step()
        deltas.append(float(figures["delta"]))
    assert deltas[0] == pytest.approx(0, abs=1e-5) and deltas[-1] < -1e-4


def test_a_zero_step_embedder_leaves_every_step_size_as_before(start):
    torch.manual_seed(0)
    model = checkpoint.fresh("tiny")
    x = {n: torch.randn(1, *s) for n, s in model.config.transformer.latent_shapes.items()}
    with torch.no_grad():
        plain = model.transformer(x, torch.tensor([400.0]), None, None)
        jump = model.transformer(x, torch.tensor([400.0]), torch.tensor([250.0]), None)
    assert all(torch.equal(plain[n], jump[n]) for n in x)


def test_the_shortcut_loss_reaches_the_step_embedder(model, batch):
    teacher = copy.deepcopy(model).requires_grad_(False)
    value, _ = objectives.shortcut(
        model, teacher, batch, generator(), weights=losses.FLOW_WEIGHTS, strength=1.0
    )
    value.backward()
    assert model.transformer.d_embedder.mlp[2].weight.grad.abs().sum() > 0
