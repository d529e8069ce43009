"""The second stage's parts of `model_zoo.parity`: structured latents, their decoders and tables."""

import torch
from torch import nn

from model_zoo import flow
from model_zoo.extract.flexicubes import extract_surface
from model_zoo.geometry import active
from model_zoo.geometry.embedder import ConditionEmbedder, EmbedderConfig
from model_zoo.geometry.transformer import grid_position, position_code, time_code
from model_zoo.parity_load import Tensors, loaded
from model_zoo.texture.decoders import GaussianDecoder, MeshDecoder, TrunkConfig, spread_offsets
from model_zoo.texture.flow_transformer import SlatFlow, SlatFlowConfig
from model_zoo.texture.recipes import NO_POINTS, full
from model_zoo.texture.sparse import Voxels

FLOW_TIME = 412.5
SAMPLERS = {"cfg1": (5, 1.0, 1.0), "cfg5_r3": (5, 3.0, 5.0)}  # steps, rescale, guidance strength
PARITY_EMBEDDER = EmbedderConfig(
    width=48, dino_width=48, dino_blocks=2, dino_heads=3, image_size=56, patch=14, registers=4, **NO_POINTS
)
PARITY_FLOW = SlatFlowConfig(width=48, blocks=3, heads=4, cond_width=48, io_width=16, resolution=16)
PARITY_TRUNK = TrunkConfig(width=256, blocks=3, heads=4, window=4, resolution=16)


def _flow(weights: Tensors | None) -> SlatFlow:
    wide = weights is not None and len(weights["t_embedder.mlp.2.bias"]) == full().flow.width
    return loaded(SlatFlow(full().flow if wide else PARITY_FLOW), weights)


def _trunk(weights: Tensors | None) -> TrunkConfig:
    wide = weights is not None and len(weights["input_layer.bias"]) == full().trunk.width
    return full().trunk if wide else PARITY_TRUNK


def slat_embedder(x: Tensors, weights: Tensors | None) -> Tensors:
    """Condition tokens of the second stage and the image backbone's, before its last norm (section 5)."""
    wide = weights is not None and weights["idx_emb"].shape[1] == full().embedder.width
    net = loaded(ConditionEmbedder(full().embedder if wide else PARITY_EMBEDDER), weights)
    views = {n: x[f"in.{n}"] for names in net.config.views for n in names}
    return {"out.tokens": net(views), "mid.dino_image": net.module_list[0](views["image"])}


def slat_flow(x: Tensors, weights: Tensors | None) -> Tensors:
    """Cases a and a_uncond at t = 412.5, and what every block of case a gives."""
    net, voxels, mid = _flow(weights), Voxels(x["in.coords"]), {}
    modulation = net.modulation(torch.tensor([FLOW_TIME]))
    out = {"out.a_uncond": net(x["in.x"][0], voxels, modulation, None)[None]}
    for name in ("input_blocks", "blocks", "out_blocks"):
        _watch(name, getattr(net, name), mid)
    out["out.a"] = net(x["in.x"][0], voxels, modulation, net.keys_values(x["in.cond"]))[None]
    return out | mid | {"mid.input_blocks1.coords": voxels.pooling.voxels.coords.int()}


def _watch(name: str, blocks: nn.ModuleList, into: Tensors) -> None:
    for at, block in enumerate(blocks):
        block.register_forward_hook(lambda m, i, o, key=f"mid.{name}{at}": into.__setitem__(key, o))


def slat_sampler(x: Tensors, weights: Tensors | None) -> Tensors:
    """Two samplings of the second stage with slat_flow's weights, and their times (sections 7 and 10)."""
    net, voxels, out = _flow(weights), Voxels(x["in.coords"]), {}
    kv = net.keys_values(x["in.cond"])

    def field(z: Tensors, tau: float, conditional: bool) -> Tensors:
        modulation = net.modulation(torch.tensor([tau * flow.TIME_SCALE]))
        return {"slat": net(z["slat"], voxels, modulation, kv if conditional else None)}

    for name, (steps, rescale, strength) in SAMPLERS.items():
        grid = flow.time_grid(steps, rescale)
        guided = flow.guided_field(field, strength)
        out[f"out.{name}"] = flow.euler(guided, {"slat": x["in.noise"][0]}, grid)[-1]["slat"][None]
        out[f"out.{name}.t_seq"] = grid.float()
    return out


def _gaussians(x: Tensors, weights: Tensors | None, count: int) -> Tensors:
    net, voxels = loaded(GaussianDecoder(_trunk(weights), count), weights), Voxels(x["in.coords"])
    raw = net(x["in.feats"], voxels)
    splats = net.activated(raw, voxels)
    parts = {n: v.flatten(0, 1) for n, v in net.parts(raw).items()}
    return {
        "mid.raw": raw,
        "out.xyz01": splats.xyz + 0.5,
        "out.get_xyz": splats.xyz,
        "out.features_dc": splats.features_dc[:, None],
        "out.get_scaling": splats.scaling,
        "out.get_rotation": splats.rotation,
        "out.get_opacity": splats.opacity,
        **{f"out.{n}_raw": parts[n] for n in ("scaling", "rotation", "opacity")},
    }


def slat_decoder_gs32(x: Tensors, weights: Tensors | None) -> Tensors:
    """32 Gaussians a voxel, raw and activated (section 11)."""
    return _gaussians(x, weights, 32)


def slat_decoder_gs4(x: Tensors, weights: Tensors | None) -> Tensors:
    """4 Gaussians a voxel, raw and activated (section 11)."""
    return _gaussians(x, weights, 4)


def slat_decoder_mesh(x: Tensors, weights: Tensors | None) -> Tensors:
    """Features of the fine cubes and the surface that they hold (section 11)."""
    net, mid = loaded(MeshDecoder(_trunk(weights)), weights), {}
    _watch("up", net.upsample, mid)
    fine, features = net(x["in.feats"], Voxels(x["in.coords"]))
    surface = extract_surface(fine.coords[:, 1:], features, 4 * net.config.resolution)
    return mid | {
        "mid.coords": fine.coords.int(),
        "mid.raw": features,
        "out.vertices": surface.vertices,
        "out.faces": surface.faces,
        "out.vertex_attrs": surface.attributes,
    }


def coords(x: Tensors, weights: Tensors | None) -> Tensors:
    """The same voxels pruned, and held to 300; the object's column is put back."""
    capped = active.cap(x["in.coords"][:, 1:], most=300)
    whole = {"pruned_1": active.prune(x["in.coords"][:, 1:]), "downsampled_max300": capped.coords}
    first = x["in.coords"][:1, :1]
    out = {f"out.{n}": torch.cat([first.expand(len(c), 1), c], 1).int() for n, c in whole.items()}
    return out | {"out.factor": torch.tensor([capped.factor])}


def tables(x: Tensors, weights: Tensors | None) -> Tensors:
    """Position and time codes and the Gaussians' offsets: what is fixed and not learnt (sections 6 and 11)."""
    reach = int(x["in.coords"].max()) + 1
    return {
        **{f"out.ape_{w}": position_code(x["in.coords"].long(), w, reach) for w in (1024, 768)},
        **{f"out.offset_perturbation_{n}": spread_offsets(n) for n in (32, 4)},
        "out.shape_pos_emb_1024": grid_position(16, 1024)[x["in.rows"]],
        "out.timestep_256": time_code(x["in.t"], 256),
    }


TEXTURE_PARTS = {
    "slat_embedder": slat_embedder, "slat_flow": slat_flow, "slat_sampler": slat_sampler, "slat_decoder_gs32": slat_decoder_gs32,
    "slat_decoder_gs4": slat_decoder_gs4, "slat_decoder_mesh": slat_decoder_mesh, "coords": coords,
    "tables": tables,
}  # fmt: skip
