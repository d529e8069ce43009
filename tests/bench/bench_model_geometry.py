"""The exact savings of geometry sampling on CPU: shapes at full width, 2 candidates x 2 guided steps, fp32.

The plain path is that of the released code: it runs the layout stream too, though shapes alone are wanted. Each saving
is then switched off alone. Limit: all savings are at least 1.4 times faster than the plain path with equal shapes
(arithmetic limit 1.56).
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

BLOCKS = 1
ROUNDS = 4
CONDITION = 7528
LIMIT = 1.4


def timed(call: Callable[[], dict[str, Tensor]]) -> tuple[float, Tensor]:
    """Seconds of a call, and the shape latents."""
    began = time.perf_counter()
    out = call()["shape"]
    return time.perf_counter() - began, out


@torch.inference_mode()
def main() -> int:
    torch.manual_seed(0)
    config = replace(full().transformer, blocks=BLOCKS)
    net = GeometryTransformer(config).eval()
    cond = torch.randn(1, CONDITION, config.cond_width)
    noise = {n: torch.randn(2, *shape) for n, shape in config.latent_shapes.items()}

    def run(savings: Savings, layout: bool = False) -> Callable[[], dict[str, Tensor]]:
        # Both steps lie in the guided half: tau = 0 and 1/4 of the warped grid.
        kept = noise if layout else {"shape": noise["shape"]}
        return lambda: sample(net, cond, kept, steps=2, rescale=3.0, strength=7.0, savings=savings)

    assert flow.time_grid(2, 3.0)[1] <= flow.GUIDED_UNTIL
    # In turns, so that a slow minute of the machine strikes both; the fastest of each counts.
    pairs = [(timed(run(PLAIN, layout=True)), timed(run(Savings()))) for _ in range(ROUNDS)]
    plain, saved = (min(seconds for seconds, _ in side) for side in zip(*pairs, strict=True))
    (_, wanted), (_, got) = pairs[0]
    error = float((got - wanted).abs().max() / wanted.abs().max())
    print(f"{BLOCKS} blocks, {torch.get_num_threads()} threads: plain {plain:.1f} s, saved {saved:.1f} s")
    print(f"  with the layout stream: {timed(run(Savings(), layout=True))[0] / saved:.2f} x")
    for each in fields(Savings):
        seconds, _ = timed(run(replace(Savings(), **{each.name: False})))
        print(f"  without {each.name}: {seconds:.1f} s = {seconds / saved:.2f} x")
    print(
        f"{plain / saved:.2f} times faster (at least {LIMIT}, arithmetic limit 1.56), largest error {error:.1e}"
    )
    return 0 if plain / saved >= LIMIT and error <= 1e-5 else 1


if __name__ == "__main__":
    sys.exit(main())
