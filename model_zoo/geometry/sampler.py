"""Sampling the geometry latents: Euler over the warped time grid, without work whose result is known (section 17).

Every saving is exact. Each can be switched off, which gives the path that the formulas describe: tests compare the
two, `make bench-model` times them.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from model_zoo import flow
from model_zoo.geometry.transformer import STREAMS, GeometryTransformer, KeysValues, Latents, Modulation


@dataclass(frozen=True)
class Savings:
    """What a sampler does not compute again."""

    keys_values: bool = True  # the condition's keys and values: once per object, for all candidates and steps
    unconditional: bool = True  # cross-attention to a zero condition is one constant per block
    batched: bool = True  # both passes of a guided step run as one batch, where one does not fill the device
    modulation: bool = True  # time MLPs and modulations: once for the grid


# Shape tokens of one pass up to which the other one joins it. One full-size candidate gains a fifth by it on an H200;
# more lose by the copies, there and on CPU (LOG.md).
JOINED_TOKENS = 4096
PLAIN = Savings(keys_values=False, unconditional=False, batched=False, modulation=False)


class VelocityField:
    """Guided velocities v = (1 + s) v_c - s v_u for K candidates of each of B objects, on a fixed time grid."""

    def __init__(
        self,
        net: GeometryTransformer,
        cond: Tensor,
        streams: tuple[str, ...],
        *,
        strength: float,
        d: float,
        savings: Savings,
    ) -> None:
        self.net, self.cond, self.streams, self.strength, self.savings = net, cond, streams, strength, savings
        self.d = torch.tensor([d * flow.TIME_SCALE], device=cond.device)
        self.kv = net.keys_values(cond, streams) if savings.keys_values else None
        self.modulations: dict[float, Modulation] = {}

    def prepare(self, grid: Tensor) -> None:
        """Make the modulations of all steps in one go."""
        taus = grid[:-1].tolist()
        if not self.savings.modulation:
            return
        t = torch.tensor(taus, device=self.cond.device) * flow.TIME_SCALE
        blocks = self.net.modulation(t, self.d)
        self.modulations = {tau: [m[i : i + 1] for m in blocks] for i, tau in enumerate(taus)}

    def __call__(self, x: Latents, tau: float) -> Latents:
        """Velocities at latents x: name -> (B*K, tokens, channels); guided while tau <= 1/2."""
        guided = self.strength != 0 and tau <= flow.GUIDED_UNTIL
        modulation = self.modulations.get(tau) or self.net.modulation(self._time(tau), self.d)
        rows, tokens = x["shape"].shape[:2]
        if not guided:
            return self.net.run(x, modulation, self._keys_values(rows))
        joined = self.savings.batched and rows * tokens <= JOINED_TOKENS
        if joined and self.savings.unconditional:
            twice = {n: torch.cat([v, v]) for n, v in x.items()}
            both = self.net.run(twice, modulation, self._keys_values(rows), rows)
            return {n: flow.guided(*v.chunk(2), self.strength) for n, v in both.items()}
        v = self.net.run(x, modulation, self._keys_values(rows))
        u = self.net.run(x, modulation, self._null(rows))
        return {n: flow.guided(v[n], u[n], self.strength) for n in v}

    def _time(self, tau: float) -> Tensor:
        return torch.tensor([tau * flow.TIME_SCALE], device=self.cond.device)

    def _repeated(self, rows: int) -> Tensor:
        return self.cond.repeat_interleave(rows // len(self.cond), 0)

    def _keys_values(self, rows: int) -> KeysValues:
        return self.kv or self.net.keys_values(self._repeated(rows), self.streams)

    def _null(self, rows: int) -> KeysValues | None:
        if self.savings.unconditional:
            return None
        return self.net.keys_values(torch.zeros_like(self._repeated(rows)), self.streams)


def sample(
    net: GeometryTransformer, cond: Tensor, noise: Mapping[str, Tensor], *, steps: int, rescale: float = 3.0,
    strength: float = 0.0, d: float = 0.0, savings: Savings = Savings(),
) -> Latents:  # fmt: skip
    """Latents, name -> (B*K, tokens, channels), from noise of that shape and conditions (B, Lc, Cc) (section 7).

    An object's K candidates are consecutive rows and share its condition. Noise without layout latents gives shapes
    alone, exactly those that would come with a layout. strength: guidance s (the paper's w is 1 + s); d: the step
    size of a distilled model, 1 / steps, with strength 0. The same noise gives the same latents on one device.
    """
    streams = STREAMS if len(noise) > 1 else STREAMS[:1]
    grid = flow.time_grid(steps, rescale)
    field = VelocityField(net, cond, streams, strength=strength, d=d, savings=savings)
    field.prepare(grid)
    return flow.euler(field, dict(noise), grid)[-1]
