"""The exact savings of geometry sampling on CPU: shape stream at full width, 2 candidates x 2 guided steps, fp32.

Each saving is switched off alone, then all of them, beside the whole set in the same run. Limit: the whole set is at
least 1.4 times faster than the plain path with equal output (arithmetic limit 1.56).
"""

import sys
import time
from collections.abc import Callable
from dataclasses import fields, replace

import torch
from torch import Tensor

from model_zoo import flow
from model_zoo.geometry.recipes import full
from model_zoo.geometry.sampler import PLAIN, Savings, sample
from model_zoo.geometry.transformer import GeometryTransformer

BLOCKS = 2
CONDITION = 7528
LIMIT = 1.4


def timed(call: Callable[[], dict[str, Tensor]]) -> tuple[float, Tensor]:
    """Seconds of the faster of two calls, and the shape latents."""
    seconds = []
    for _ in range(2):
        began = time.perf_counter()
        out = call()["shape"]
        seconds.append(time.perf_counter() - began)
    return min(seconds), out


@torch.inference_mode()
def main() -> int:
    torch.manual_seed(0)
    config = replace(full().transformer, blocks=BLOCKS)
    net = GeometryTransformer(config).eval()
    cond = torch.randn(1, CONDITION, config.cond_width)
    noise = {"shape": torch.randn(2, *config.latent_shapes["shape"])}

    def run(savings: Savings) -> Callable[[], dict[str, Tensor]]:
        # Both steps lie in the guided half: tau = 0 and 1/4 of the warped grid.
        return lambda: sample(net, cond, noise, steps=2, rescale=3.0, strength=7.0, savings=savings)

    assert flow.time_grid(2, 3.0)[1] <= flow.GUIDED_UNTIL
    plain, wanted = timed(run(PLAIN))
    saved, got = timed(run(Savings()))
    error = float((got - wanted).abs().max() / wanted.abs().max())
    print(f"{BLOCKS} blocks, {torch.get_num_threads()} threads: plain {plain:.1f} s, saved {saved:.1f} s")
    for each in fields(Savings):
        seconds, _ = timed(run(replace(Savings(), **{each.name: False})))
        print(f"  without {each.name}: {seconds:.1f} s = {seconds / saved:.2f} x")
    print(
        f"{plain / saved:.2f} times faster (at least {LIMIT}, arithmetic limit 1.56), largest error {error:.1e}"
    )
    return 0 if plain / saved >= LIMIT and error <= 1e-5 else 1


if __name__ == "__main__":
    sys.exit(main())
