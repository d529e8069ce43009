"""Runs one part of the network on given tensors, to compare with the reference: names and sizes of the parity folder.

python -m model_zoo.parity PART --inputs IN.safetensors --out OUT.safetensors [--weights W.safetensors]
"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from model_zoo import flow
from model_zoo.geometry import pose, preprocess
from model_zoo.geometry.embedder import VIEWS, ConditionEmbedder, EmbedderConfig
from model_zoo.geometry.occupancy import OccupancyConfig, OccupancyDecoder, OccupancyEncoder
from model_zoo.geometry.recipes import full
from model_zoo.geometry.transformer import GeometryTransformer, TransformerConfig
from model_zoo.io.errors import BadInput
from model_zoo.parity_load import Tensors, loaded
from model_zoo.parity_texture import TEXTURE_PARTS

SAMPLERS = {  # steps, rescale, guidance strength, d
    "cfg7": (6, 3.0, 7.0, 0.0),
    "nocfg": (4, 1.0, 0.0, 0.0),
    "distill": (4, 3.0, 0.0, 0.25),
}
PARITY_EMBEDDER = EmbedderConfig(
    width=48, dino_width=48, dino_blocks=2, dino_heads=3, image_size=56, patch=14, registers=4,
    point_width=32, point_heads=16, point_size=32, point_window=8,
)  # fmt: skip
PARITY_TRANSFORMER = TransformerConfig(width=48, blocks=3, heads=4, cond_width=48, grid=4)
PARITY_OCCUPANCY = OccupancyConfig(channels=(24, 16, 8))


def _transformer(weights: Tensors | None) -> GeometryTransformer:
    wide = weights is not None and len(weights["t_embedder.mlp.2.bias"]) == full().transformer.width
    return loaded(GeometryTransformer(full().transformer if wide else PARITY_TRANSFORMER), weights)


def ss_flow(x: Tensors, weights: Tensors | None) -> Tensors:
    """Cases a, a_uncond, b and c_nod, and the hidden states after every block of case a."""
    net, out = _transformer(weights), {}
    latents = {k.removeprefix("in.latent."): v for k, v in x.items() if k.startswith("in.latent.")}
    for case in sorted({k.split(".")[1] for k in x if k.endswith(".t") and k.count(".") == 2}):
        hidden: list[Tensors] = []
        handles = [b.register_forward_hook(lambda m, i, o, h=hidden: h.append(o)) for b in net.blocks]
        # The reference multiplies the condition by 0; leaving the tokens out altogether is exact.
        kv = None if case.endswith("uncond") else net.keys_values(x["in.cond"])
        v = net(latents, x[f"in.{case}.t"], x.get(f"in.{case}.d"), kv)
        for handle in handles:
            handle.remove()
        out |= {f"out.{case}.{n}": value for n, value in v.items()}
        if case == "a":
            out |= {f"mid.block{i}.{s}": h for i, state in enumerate(hidden) for s, h in state.items()}
    return out


def ss_sampler(x: Tensors, weights: Tensors | None) -> Tensors:
    """Three samplings of the first stage with ss_flow's weights: every state, the last one, times and d (section 7)."""
    net, out = _transformer(weights), {}
    noise = {k.removeprefix("in.noise."): v for k, v in x.items() if k.startswith("in.noise.")}
    kv = net.keys_values(x["in.cond"])
    for name, (steps, rescale, strength, d) in SAMPLERS.items():
        grid, scaled_d = flow.time_grid(steps, rescale), torch.tensor([d * flow.TIME_SCALE])

        def field(z: Tensors, tau: float, conditional: bool, d: Tensor = scaled_d) -> Tensors:
            return net(z, torch.tensor([tau * flow.TIME_SCALE]), d, kv if conditional else None)

        states = flow.euler(flow.guided_field(field, strength), noise, grid)
        out |= {f"out.{name}.final.{n}": v for n, v in states[-1].items()}
        out |= {f"out.{name}.traj.{n}": torch.stack([s[n] for s in states]) for n in noise}
        out |= {f"out.{name}.t_seq": grid, f"out.{name}.d": torch.tensor([d])}
    return out


def ss_embedder(x: Tensors, weights: Tensors | None) -> Tensors:
    """Condition tokens of the first stage, whole and without pointmaps, and what its embedders give (section 5)."""
    wide = weights is not None and weights["idx_emb"].shape[1] == full().embedder.width
    net = loaded(ConditionEmbedder(full().embedder if wide else PARITY_EMBEDDER), weights)
    views = {n: x[f"in.{n}"] for names in VIEWS for n in names}
    image = net.module_list[0](views["image"])
    out = {
        "out.tokens": net(views),
        "out.tokens_drop_pm": net(views, torch.zeros(len(views["image"]))),
        "mid.dino_image": image,
        "mid.dino_mask": net.module_list[1](views["mask"]),
        "mid.pointmap": net.module_list[2](views["pointmap"]),
        "mid.proj_image": net.projection_nets[0](image),
    }
    if "in.image_77x91" in x:
        out["out.dino_77x91"] = net.module_list[0](x["in.image_77x91"])
    return out


def _codec(weights: Tensors | None) -> OccupancyConfig:
    wide = weights is not None and any(v.shape[0] == full().occupancy.channels[0] for v in weights.values())
    return full().occupancy if wide else PARITY_OCCUPANCY


def ss_decoder(x: Tensors, weights: Tensors | None) -> Tensors:
    """Occupancy logits of latent grids (section 8)."""
    return {"out.logits": loaded(OccupancyDecoder(_codec(weights)), weights)(x["in.z"])}


def ss_encoder(x: Tensors, weights: Tensors | None) -> Tensors:
    """Posterior mean and log-variance of occupancy grids (section 8)."""
    mean, logvar = loaded(OccupancyEncoder(_codec(weights)), weights)(x["in.occ"])
    return {"out.mean": mean, "out.logvar": logvar}


def time_grid(x: Tensors, weights: Tensors | None) -> Tensors:
    """The warped time grids of 25 steps (section 7)."""
    return {f"out.ss_25_rescale{r}": flow.time_grid(25, r) for r in (1, 3)}


def pose_(x: Tensors, weights: Tensors | None) -> Tensors:
    """The pose of layout latents, and points of the object placed by it (section 9)."""
    latents = {k.removeprefix("in."): v for k, v in x.items()}
    decoded = pose.decode(latents, x["in.scene_scale"], x["in.scene_shift"])
    placed = (x["in.points_local"] * decoded.scale) @ decoded.rotation[0] + decoded.translation
    return {
        "out.R_quat_to_matrix": decoded.rotation,
        "out.rotation": pose.quaternion_of(pose.rotation_of(latents["6drotation_normalized"][:, 0])),
        "out.translation": decoded.translation,
        "out.scale": decoded.scale,
        "out.points_camera": placed,
    }


def _preprocess(x: Tensors, size: int, stage: str) -> Tensors:
    points = x.get("in.pointmap", torch.full_like(x["in.rgb"], float("nan")))
    ready = preprocess.prepare(x["in.rgb"], x["in.mask"], points, size)
    out = {f"out.{n}": v for n, v in ready.views.items() if stage == "ss" or "pointmap" not in n}
    if stage == "ss":
        for prefix in ("", "rgb_"):
            out |= {f"out.{prefix}pointmap_scale": ready.scale, f"out.{prefix}pointmap_shift": ready.shift}
    return out


PARTS: dict[str, Callable[[Tensors, Tensors | None], Tensors]] = {
    "ss_flow": ss_flow, "ss_sampler": ss_sampler, "ss_embedder": ss_embedder, "ss_decoder": ss_decoder,
    "ss_encoder": ss_encoder, "time_grid": time_grid, "pose": pose_, **TEXTURE_PARTS,
}  # fmt: skip
SIZED = {"preprocess_ss": "ss", "preprocess_slat": "slat"}


def run(part: str, inputs: Path, weights: Path | None) -> Tensors:
    """The outputs of a part. Raises BadInput for an unreadable file or a missing tensor."""
    try:
        x = load_file(inputs)
        with safe_open(inputs, "pt") as file:
            metadata = file.metadata() or {}
        w = load_file(weights) if weights else None
    except (OSError, SafetensorError) as error:
        raise BadInput(f"cannot read tensors: {error}") from error
    try:
        with torch.no_grad():
            if part in SIZED:
                return _preprocess(x, int(metadata.get("size", 518)), SIZED[part])
            return PARTS[part](x, w)
    except KeyError as error:
        raise BadInput(f"tensor {error} is missing for part {part}") from error


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m model_zoo.parity", description=__doc__.splitlines()[0])
    parser.add_argument("part", choices=sorted([*PARTS, *SIZED]))
    parser.add_argument("--inputs", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--weights", type=Path)
    args = parser.parse_args(argv)
    try:
        out = run(args.part, args.inputs, args.weights)
    except BadInput as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    save_file({n: v.detach().clone().contiguous() for n, v in out.items()}, args.out)
    print(f"{len(out)} tensors written to {args.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
