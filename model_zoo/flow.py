"""Rectified-flow maths on named latents: path, times, guidance, sampler. Pure tensors; tau = 0 noise, tau = 1 data."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

Latents = dict[str, Tensor]
Field = Callable[[Latents, float, bool], Latents]  # (x_tau, tau, conditional) -> velocity

TIME_SCALE = 1000.0  # the network is given 1000 tau and 1000 d
GUIDED_UNTIL = 0.5  # guidance acts for 0 <= tau <= 0.5, both ends included


def interpolate(x0: Tensor, x1: Tensor, tau: Tensor) -> Tensor:
    """x_tau = tau x1 + (1 - tau) x0 (SAM 3D, sigma_min = 0); tau (B,) broadcasts over the other axes."""
    tau = tau.view(-1, *[1] * (x1.dim() - 1))
    return tau * x1 + (1 - tau) * x0


def velocity(x0: Tensor, x1: Tensor) -> Tensor:
    """v* = x1 - x0, the derivative of the path."""
    return x1 - x0


def logit_normal_times(
    count: int, generator: torch.Generator, mean: float = -1.0, std: float = 1.0
) -> Tensor:
    """tau = sigmoid(mean + std z), shape (count,); mean -1 puts the mass near noise (training.md 1.2)."""
    return torch.sigmoid(mean + std * torch.randn(count, generator=generator))


def draw_noise(shapes: Mapping[str, tuple[int, int]], batch: int, generator: torch.Generator) -> Latents:
    """Standard normal latents (batch, tokens, channels), drawn one by one in sorted name order."""
    return {n: torch.randn(batch, *shapes[n], generator=generator) for n in sorted(shapes)}


def time_grid(steps: int, rescale: float) -> Tensor:
    """tau_i = u_i / (1 + (r - 1)(1 - u_i)), u_i = i / steps; float64 (steps + 1,), dense near noise for r > 1."""
    u = torch.arange(steps + 1, dtype=torch.float64) / steps
    return u / (1 + (rescale - 1) * (1 - u))


def guided(v_cond: Tensor, v_uncond: Tensor, strength: float) -> Tensor:
    """v = (1 + s) v_c - s v_u; the paper's w is 1 + s (training.md 1.3)."""
    return (1 + strength) * v_cond - strength * v_uncond


def guided_field(
    field: Field, strength: float, until: float = GUIDED_UNTIL
) -> Callable[[Latents, float], Latents]:
    """The field with classifier-free guidance on all latents while tau <= until, plain afterwards."""

    def combined(x: Latents, tau: float) -> Latents:
        v = field(x, tau, True)
        if strength == 0 or tau > until:
            return v
        u = field(x, tau, False)
        return {n: guided(v[n], u[n], strength) for n in v}

    return combined


def euler(field: Callable[[Latents, float], Latents], noise: Latents, grid: Tensor) -> list[Latents]:
    """Integrates dx/dtau = field from noise to data; the state after every step, the last one being the sample."""
    x, states = noise, []
    taus = grid.tolist()
    for now, then in zip(taus, taus[1:], strict=False):
        v = field(x, now)
        x = {n: x[n] + v[n] * (then - now) for n in x}
        states.append(x)
    return states


def shortcut_target(
    field: Callable[[Latents, Tensor, Tensor], Latents], x: Latents, tau: Tensor, d: Tensor
) -> Latents:
    """Mean velocity of two jumps of size d (B,), the target of one jump of 2d (paper Alg. 2, training.md 1.6).

    v1 = G(x, tau, d); x' = x + d v1; v2 = G(x', tau + d, d); target = (v1 + v2) / 2. No gradient.
    """
    with torch.no_grad():
        v1 = field(x, tau, d)
        halfway = {n: x[n] + d.view(-1, 1, 1) * v1[n] for n in x}
        v2 = field(halfway, tau + d, d)
        return {n: (v1[n] + v2[n]) / 2 for n in x}
