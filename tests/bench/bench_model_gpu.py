"""The full model on one GPU: sampling, a training step, peak memory. Without a GPU one line says that nothing ran.

Limits are for one H200 (790 TFLOP/s in bf16): 8 candidates of one object in 25 steps <= 6.5 s in all, in 4 steps
<= 1 s, a training step of the geometry transformer at >= 40 % of that rate. They are judged on that card alone.
"""

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import fields, replace

import torch
from torch import Tensor, nn

from model_zoo import flow
from model_zoo.extract.flexicubes import extract_surface
from model_zoo.extract.tables import CORNERS
from model_zoo.geometry.model import GeometryModel
from model_zoo.geometry.recipes import RECIPES, GeometryConfig
from model_zoo.geometry.sampler import PLAIN, Savings, sample
from model_zoo.geometry.transformer import TransformerConfig
from model_zoo.losses import FLOW_WEIGHTS, flow_matching
from model_zoo.texture.attention import WindowAttention
from model_zoo.texture.model import TextureModel, joined
from model_zoo.texture.recipes import RECIPES as TEXTURE_RECIPES
from model_zoo.texture.sparse import Voxels

PEAK = 790e12  # FLOP/s: what a large bf16 product reaches on an H200


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


def views_of(side: int, device: torch.device) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    channels = {"image": 3, "rgb_image": 3, "mask": 1, "rgb_image_mask": 1, "pointmap": 3, "rgb_pointmap": 3}
    return {n: torch.rand(1, c, side, side, generator=generator).to(device) for n, c in channels.items()}


@torch.inference_mode()
def sampling(
    config: GeometryConfig, device: torch.device, candidates: int, *, half: bool, compiled: bool, repeats: int
) -> dict[str, float]:
    """Seconds from six views on the device to occupancy logits of the candidates, by number of steps."""
    model = built(config, device)
    if half:
        model.halved()
    if compiled:
        model.transformer.compiled()
    views = views_of(config.embedder.image_size, device)
    noise = flow.draw_noise(config.transformer.latent_shapes, candidates, torch.Generator().manual_seed(0))
    noise = {n: x.to(device) for n, x in noise.items()}

    def run(
        steps: int, strength: float, d: float, savings: Savings = Savings(), layout: bool = True
    ) -> Tensor:
        kept = noise if layout else {"shape": noise["shape"]}
        cond = model.embedder(views)
        how = {"steps": steps, "strength": strength, "d": d, "savings": savings}
        shape = sample(model.transformer, cond, kept, **how)["shape"]
        return model.decode_shape(shape)

    cases: dict[str, Callable[[], object]] = {
        "25 steps": lambda: run(25, 7.0, 0.0),
        "4 steps": lambda: run(4, 0.0, 0.25),
        "image encoding": lambda: model.embedder(views),
        "keys and values": lambda: model.transformer.keys_values(model.embedder(views)),
        "occupancy of all": lambda: model.decode_shape(noise["shape"]),
        "4 guided steps": lambda: run(4, 7.0, 0.0),
        "  shapes alone": lambda: run(4, 7.0, 0.0, layout=False),
    }
    for field in fields(Savings):
        without = replace(Savings(), **{field.name: False})
        cases[f"  without {field.name}"] = lambda without=without: run(4, 7.0, 0.0, without)
    cases["  plain path"] = lambda: run(4, 7.0, 0.0, PLAIN)
    found: dict[str, float] = {}
    for name, call in cases.items():
        found[name], peak = timed(device, call, repeats)
        print(f"  {name}: {found[name]:.4f} s, peak {peak:.1f} GB", flush=True)
    return found


def shell(resolution: int, device: torch.device) -> Tensor:
    """Voxels (N, 3) of a spherical shell that nearly fills the grid: about 26,000 on 64^3."""
    axis = torch.arange(resolution, device=device) - (resolution - 1) / 2
    distance = torch.stack(torch.meshgrid(axis, axis, axis, indexing="ij")).norm(dim=0)
    return ((distance - 0.455 * resolution).abs() < 0.0195 * resolution).nonzero()


def ball(cubes: Tensor, features: Tensor, resolution: int) -> Tensor:
    """The features with the distances of a ball inside the shell, as random weights know no surface."""
    places = cubes[:, None] + torch.tensor(CORNERS, device=cubes.device)
    distance = (places / resolution - 0.5).norm(dim=-1) - 0.455
    return torch.cat([distance, features[:, 8:]], 1)


def masked(voxels: Voxels, window: int) -> Tensor:
    """(N, N) bool: which voxels share a window."""
    cell = torch.unique(voxels.coords[:, 1:] // window, dim=0, return_inverse=True)[1]
    return cell[:, None] == cell


def dense(layer: WindowAttention, x: Tensor, mask: Tensor) -> Tensor:
    """What a window attention computes, by one attention over all voxels under a mask."""
    q, k, v = layer.to_qkv(x).unflatten(-1, (3, layer.heads, -1)).permute(1, 2, 0, 3)[:, None]
    out = nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=mask)
    return layer.to_out(out[0].transpose(0, 1).flatten(1))


@torch.inference_mode()
def texture(device: torch.device, recipe: str, repeats: int) -> None:
    """Seconds of the second stage and its decoders for one object of about 26,000 voxels at `full`."""
    torch.manual_seed(0)
    with device:
        model = TextureModel(TEXTURE_RECIPES[recipe]()).eval()
    model.halved()
    config, side = model.config, model.config.flow.resolution
    coords, views = shell(side, device), views_of(config.embedder.image_size, device)
    latents = torch.randn(len(coords), config.flow.channels, device=device)
    cubes, features = model.mesh(coords, latents)
    surface = ball(cubes, features, 4 * side)
    kv = model.transformer.keys_values(model.embedder(views))
    hidden, layer = model.embedder.encode(views), model.mesh_decoder.blocks[0].attn
    h = torch.randn(len(coords), config.trunk.width, device=device, dtype=torch.bfloat16)
    modulation, voxels = model.transformer.modulation(torch.tensor([500.0], device=device)), joined([coords])
    cases: dict[str, Callable[[], object]] = {
        "latents, 25 steps": lambda: model.sample(views, [coords], seed=0),
        "one step": lambda: model.transformer(latents, voxels, modulation, kv),
        "  tables built anew": lambda: model.transformer(latents, joined([coords]), modulation, kv),
        "  without a condition": lambda: model.transformer(latents, voxels, modulation, None),
        "  attending to zeros": lambda: model.transformer(latents, voxels, modulation, nothing),
        "condition, pictures encoded again": lambda: model.embedder(views),
        "  from the first stage's encoding": lambda: model.embedder(views, hidden=hidden),
        "attention in windows": lambda: layer(h, voxels.windows(config.trunk.window, 0)),
        "  by a dense mask": lambda: dense(layer, h, masked(voxels, config.trunk.window)),
        "32 Gaussians a voxel": lambda: model.gaussians(coords, latents),
        "4 Gaussians a voxel": lambda: model.gaussians(coords, latents, light=True),
        "mesh features": lambda: model.mesh(coords, latents),
        "surface by FlexiCubes": lambda: extract_surface(cubes, surface, 4 * side),
    }
    nothing = model.transformer.keys_values(torch.zeros_like(model.embedder(views)))
    print(f"  {len(coords)} voxels, {len(cubes)} cubes")
    for name, call in cases.items():
        seconds, peak = timed(device, call, repeats)
        print(f"  {name}: {seconds:.4f} s, peak {peak:.1f} GB", flush=True)


def training(config: GeometryConfig, device: torch.device, batch: int, compiled: bool, repeats: int) -> float:
    """Share of the peak rate that a whole step (forward, backward, AdamW) of the transformer reaches."""
    c = config.transformer
    model = built(config, device)
    net = model.transformer.train()
    if compiled:
        net.compiled()
    optimiser = torch.optim.AdamW(net.parameters(), lr=1e-5, fused=True)
    with torch.no_grad(), torch.autocast(device.type, torch.bfloat16):
        cond = model.embedder(views_of(config.embedder.image_size, device)).expand(batch, -1, -1)
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
    parser.add_argument("--candidates", type=int, default=8)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--only", choices=["geometry", "training", "texture"])
    parser.add_argument("--fp32", action="store_true", help="sampling in fp32 instead of bf16")
    parser.add_argument("--eager", action="store_true", help="without torch.compile")
    args = parser.parse_args()
    device, config = torch.device(args.device), RECIPES[args.recipe]()
    if device.type == "cuda" and not torch.cuda.is_available():
        print("no GPU here: nothing was measured")
        return 0
    card = torch.cuda.get_device_name() if device.type == "cuda" else "CPU"
    print(f"{card}, torch {torch.__version__}, {args.recipe}, compiled: {not args.eager}")
    within = True
    if args.only in (None, "geometry"):
        print(f"geometry, {args.candidates} candidates of one object, {'fp32' if args.fp32 else 'bf16'}:")
        found = sampling(
            config, device, args.candidates, half=not args.fp32, compiled=not args.eager, repeats=args.repeats
        )
        within = found["25 steps"] <= 6.5 and found["4 steps"] <= 1.0
    if args.only in (None, "training"):
        print("training step of the geometry transformer, bf16 autocast, fp32 weights:")
        within &= training(config, device, args.batch, not args.eager, args.repeats) >= 0.4
    if args.only in (None, "texture"):
        print("texture and refinement of one object, bf16:")
        texture(device, args.recipe, args.repeats)
    return 0 if within or "H200" not in card else 1


if __name__ == "__main__":
    sys.exit(main())
