"""The full model on one GPU: sampling, a training step, peak memory. Without a GPU one line says that nothing ran.

Limits are for one H200 (790 TFLOP/s in bf16): 8 candidates of one object in 25 steps <= 6.5 s in all, in 4 steps
<= 1 s, a training step of the geometry transformer at >= 40 % of that rate. They are judged on that card alone.
"""

import argparse
import sys
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

from model_zoo import flow
from model_zoo.geometry.model import GeometryModel
from model_zoo.geometry.occupancy import to_grid
from model_zoo.geometry.recipes import RECIPES, GeometryConfig
from model_zoo.geometry.sampler import PLAIN, Savings, sample
from model_zoo.geometry.transformer import TransformerConfig
from model_zoo.losses import FLOW_WEIGHTS, flow_matching

PEAK = 790e12  # FLOP/s: what a large bf16 product reaches on an H200
CANDIDATES = 8


def flops(c: TransformerConfig, condition: int) -> float:
    """FLOP of one forward pass of one sample, condition keys and values of both streams included (training.md 2a)."""
    n, w = c.grid**3, c.width
    tokens = n + c.layout_tokens
    linear = 2 * tokens * w * w * (3 + 1 + 1 + 1 + 2 * c.mlp_ratio)
    attention = 4 * n * n * w + 4 * tokens * condition * w
    return c.blocks * (linear + attention + 2 * 2 * condition * c.cond_width * 2 * w)


def timed(device: torch.device, call: Callable[[], object], repeats: int) -> tuple[float, float]:
    """Median seconds of a call that ran once before, and the peak memory in GB."""
    call()
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
    seconds = []
    for _ in range(repeats):
        began = time.perf_counter()
        call()
        if device.type == "cuda":
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - began)
    peak = torch.cuda.max_memory_allocated() / 1e9 if device.type == "cuda" else 0.0
    return sorted(seconds)[len(seconds) // 2], peak


def built(config: GeometryConfig, device: torch.device) -> GeometryModel:
    """A model with random weights, made on the device itself."""
    torch.manual_seed(0)
    with device:
        return GeometryModel(config).eval()


def views_of(config: GeometryConfig, device: torch.device) -> dict[str, Tensor]:
    side = config.embedder.image_size
    generator = torch.Generator().manual_seed(0)
    channels = {"image": 3, "rgb_image": 3, "mask": 1, "rgb_image_mask": 1, "pointmap": 3, "rgb_pointmap": 3}
    return {n: torch.rand(1, c, side, side, generator=generator).to(device) for n, c in channels.items()}


@torch.inference_mode()
def sampling(config: GeometryConfig, device: torch.device, compiled: bool, repeats: int) -> dict[str, float]:
    """Seconds from six views on the device to occupancy logits of 8 candidates, by number of steps."""
    model = built(config, device)
    model.embedder.to(torch.bfloat16)
    model.transformer.halved()
    model.decoder.to(torch.bfloat16)
    if compiled:
        model.transformer.compiled()
    views = views_of(config, device)
    noise = flow.draw_noise(config.transformer.latent_shapes, CANDIDATES, torch.Generator().manual_seed(0))
    noise = {n: x.to(device) for n, x in noise.items()}

    def run(
        steps: int, strength: float, d: float, savings: Savings = Savings(), layout: bool = True
    ) -> Tensor:
        kept = noise if layout else {"shape": noise["shape"]}
        cond = model.embedder(views)
        how = {"steps": steps, "strength": strength, "d": d, "savings": savings}
        shape = sample(model.transformer, cond, kept, **how)["shape"]
        return model.decoder(to_grid(shape).to(torch.bfloat16))

    found: dict[str, float] = {}
    cases: dict[str, Callable[[], Tensor]] = {
        "25 steps": lambda: run(25, 7.0, 0.0),
        "25 steps, shapes alone": lambda: run(25, 7.0, 0.0, layout=False),
        "4 steps": lambda: run(4, 0.0, 0.25),
        "image encoding": lambda: model.embedder(views),
        "keys and values": lambda: model.transformer.keys_values(model.embedder(views)),
        "occupancy of 8": lambda: model.decoder(to_grid(noise["shape"]).to(torch.bfloat16)),
        "25 steps, plain path": lambda: run(25, 7.0, 0.0, PLAIN),
    }
    for name, call in cases.items():
        found[name], peak = timed(device, call, 1 if "plain" in name else repeats)
        print(f"  {name}: {found[name]:.3f} s, peak {peak:.1f} GB", flush=True)
    return found


def training(config: GeometryConfig, device: torch.device, batch: int, compiled: bool, repeats: int) -> float:
    """Share of the peak rate that a whole step (forward, backward, AdamW) of the transformer reaches."""
    c = config.transformer
    model = built(config, device)
    net = model.transformer.train()
    if compiled:
        net.compiled()
    optimiser = torch.optim.AdamW(net.parameters(), lr=1e-5, fused=True)
    with torch.no_grad(), torch.autocast(device.type, torch.bfloat16):
        cond = model.embedder(views_of(config, device)).expand(batch, -1, -1)
    clean = {n: torch.randn(batch, *s, device=device) for n, s in c.latent_shapes.items()}

    def step() -> None:
        noise = {n: torch.randn_like(x) for n, x in clean.items()}
        tau = torch.rand(batch, device=device)
        with torch.autocast(device.type, torch.bfloat16):
            mixed = {n: flow.interpolate(noise[n], clean[n], tau) for n in clean}
            d = torch.zeros(1, device=device)
            got = net(mixed, tau * flow.TIME_SCALE, d, net.keys_values(cond))
            loss, _ = flow_matching(got, {n: clean[n] - noise[n] for n in clean}, FLOW_WEIGHTS)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimiser.step()

    seconds, peak = timed(device, step, repeats)
    share = 3 * flops(c, cond.shape[1]) * batch / seconds / PEAK
    print(
        f"  batch {batch}: {seconds:.3f} s, {batch / seconds:.1f} samples/s, {share:.1%} of 790 TFLOP/s, peak {peak:.1f} GB"
    )
    return share


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--recipe", default="full", choices=sorted(RECIPES))
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--eager", action="store_true", help="without torch.compile")
    args = parser.parse_args()
    device, config = torch.device(args.device), RECIPES[args.recipe]()
    if device.type == "cuda" and not torch.cuda.is_available():
        print("no GPU here: nothing was measured")
        return 0
    card = torch.cuda.get_device_name() if device.type == "cuda" else "CPU"
    print(f"{card}, torch {torch.__version__}, {args.recipe}, compiled: {not args.eager}")
    print(f"geometry, {CANDIDATES} candidates of one object, bf16:")
    found = sampling(config, device, not args.eager, args.repeats)
    if device.type == "cuda":
        torch.cuda.empty_cache()
    print("training step of the geometry transformer, bf16 autocast, fp32 weights:")
    share = training(config, device, args.batch, not args.eager, args.repeats)
    within = found["25 steps"] <= 6.5 and found["4 steps"] <= 1.0 and share >= 0.4
    return 0 if within or "H200" not in card else 1


if __name__ == "__main__":
    sys.exit(main())
