"""Flow maths against closed forms."""

import pytest
import torch

from model_zoo import flow


def test_the_path_runs_from_noise_to_data():
    x0, x1 = torch.zeros(2, 3, 1), torch.ones(2, 3, 1)
    assert flow.interpolate(x0, x1, torch.tensor([0.0, 0.25]))[:, 0, 0].tolist() == [0.0, 0.25]
    assert torch.equal(flow.velocity(x0, x1), x1)


@pytest.mark.parametrize(("index", "value"), [(1, 0.0137), (2, 0.0282), (18, 0.4615), (19, 0.5135)])
def test_the_warped_grid_has_the_published_times(index, value):
    assert float(flow.time_grid(25, 3.0)[index]) == pytest.approx(value, abs=5e-4)


def test_guidance_at_strength_zero_is_the_conditional_field():
    assert float(flow.guided(torch.tensor(2.0), torch.tensor(5.0), 0.0)) == 2.0
    assert float(flow.guided(torch.tensor(2.0), torch.tensor(1.0), 7.0)) == 9.0


def test_guidance_stops_after_the_interval_and_saves_calls():
    calls = []

    def field(x, tau, conditional):
        calls.append((tau, conditional))
        return {"shape": torch.ones(1) * (3 if conditional else 1)}

    guided = flow.guided_field(field, 2.0)
    assert float(guided({}, 0.5)["shape"]) == 7 and float(guided({}, 0.51)["shape"]) == 3
    assert len(calls) == 3


def test_the_default_schedule_makes_44_calls():
    calls = []

    def field(x, tau, conditional):
        calls.append(tau)
        return {n: torch.zeros_like(v) for n, v in x.items()}

    flow.euler(flow.guided_field(field, 7.0), {"shape": torch.zeros(1)}, flow.time_grid(25, 3.0))
    assert len(calls) == 44


def test_euler_is_exact_for_a_straight_path():
    x0, x1 = torch.randn(1, 4, 2), torch.randn(1, 4, 2)
    states = flow.euler(lambda x, tau: {"shape": x1 - x0}, {"shape": x0}, flow.time_grid(7, 3.0))
    assert torch.allclose(states[-1]["shape"], x1, atol=1e-5)


def test_noise_is_drawn_in_sorted_order_and_by_seed():
    shapes = {"b": (1, 2), "a": (2, 1)}
    first = flow.draw_noise(shapes, 3, torch.Generator().manual_seed(4))
    again = flow.draw_noise(dict(sorted(shapes.items())), 3, torch.Generator().manual_seed(4))
    assert list(first) == ["a", "b"] and all(torch.equal(first[n], again[n]) for n in first)


def test_times_lie_near_noise():
    tau = flow.logit_normal_times(4000, torch.Generator().manual_seed(0))
    assert tau.min() > 0 and tau.max() < 1
    assert float(tau.median()) == pytest.approx(0.269, abs=0.02)


def test_the_shortcut_target_of_a_linear_field_is_exact():
    tau, d = torch.tensor([0.25]), torch.tensor([0.25])
    x = {"shape": torch.ones(1, 1, 1)}
    target = flow.shortcut_target(
        lambda z, at, step: {"shape": at.view(-1, 1, 1) * torch.ones(1, 1, 1)}, x, tau, d
    )
    assert float(target["shape"]) == pytest.approx((0.25 + 0.5) / 2)
