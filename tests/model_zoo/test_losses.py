"""Losses against closed forms."""

import math

import pytest
import torch

from model_zoo import losses


def test_velocity_error_is_a_mean_over_elements():
    assert losses.velocity_error(torch.full((2, 3, 4), 2.0), torch.zeros(2, 3, 4)).tolist() == [4.0, 4.0]


def test_flow_matching_weighs_modalities():
    predicted = {"shape": torch.ones(2, 1, 1), "scale": torch.full((2, 1, 1), 2.0)}
    target = {n: torch.zeros_like(v) for n, v in predicted.items()}
    total, parts = losses.flow_matching(predicted, target, {"shape": 1.0, "scale": 0.1, "translation": 1.0})
    assert float(total) == pytest.approx(1.4) and set(parts) == {"shape", "scale"}


def test_rows_without_a_pose_teach_no_layout():
    predicted = {"shape": torch.zeros(2, 1, 1), "scale": torch.ones(2, 1, 1)}
    target = {n: torch.zeros_like(v) for n, v in predicted.items()}
    total, _ = losses.flow_matching(
        predicted, target, {"shape": 1.0, "scale": 1.0}, {"scale": torch.tensor([1.0, 0.0])}
    )
    assert float(total) == pytest.approx(0.5)


def test_dpo_starts_at_log_two():
    e = torch.rand(5)
    result = losses.flow_dpo(e, e, e, e, beta=500.0)
    assert float(result.loss) == pytest.approx(math.log(2)) and float(result.delta) == 0


def test_dpo_equals_its_formula():
    w, wr, l, lr = (torch.tensor([v]) for v in (0.8, 1.0, 1.3, 1.2))
    result = losses.flow_dpo(w, wr, l, lr, beta=4.0)
    assert float(result.delta) == pytest.approx(-0.3)
    assert float(result.loss) == pytest.approx(-math.log(1 / (1 + math.exp(-0.6))))
    assert float(result.accuracy) == 1


def test_dpo_gradient_lowers_the_winner_and_raises_the_loser():
    w, l = torch.tensor([1.0], requires_grad=True), torch.tensor([1.0], requires_grad=True)
    losses.flow_dpo(w, torch.ones(1), l, torch.ones(1), beta=2.0).loss.backward()
    assert w.grad.item() == pytest.approx(0.5) and l.grad.item() == pytest.approx(-0.5)


def test_dpo_listens_to_each_pair_as_far_as_it_is_sure():
    w, l = (torch.tensor(values, requires_grad=True) for values in ([1.0, 1.0, 1.0], [1.0, 1.0, 1.0]))
    ones, sure = torch.ones(3), torch.tensor([0.9, 0.6, 0.6])
    result = losses.flow_dpo(w, ones, l, ones, beta=2.0, weights=sure)
    result.loss.backward()
    assert w.grad.tolist() == pytest.approx((0.5 * sure / sure.sum()).tolist())
    same = losses.flow_dpo(w * 0.7, ones, l, ones, beta=2.0, weights=torch.full((3,), 0.75)).loss.detach()
    plain = losses.flow_dpo(w * 0.7, ones, l, ones, beta=2.0).loss.detach()
    assert float(same) == pytest.approx(float(plain))


def test_codec_loss_has_no_divergence_at_the_prior():
    zeros = torch.zeros(1, 8, 2, 2, 2)
    loss, kl = losses.occupancy_vae(torch.zeros(1, 1, 4, 4, 4), torch.ones(1, 1, 4, 4, 4), zeros, zeros, 1.0)
    assert float(kl) == 0 and float(loss) == pytest.approx(math.log(2))
