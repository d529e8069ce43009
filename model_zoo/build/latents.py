"""Latents of shapes by a checkpoint's encoders: the one file of the builds that needs torch; nothing here imports it.

A program that is given an encoder imports this module and hands `encoder(folder)` to the builders as `Room.encode`.
"""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from model_zoo import checkpoint
from model_zoo.build.kinds import Encode, Shape, TargetView
from model_zoo.build.occupancy import solid
from model_zoo.geometry.active import cap, prune
from model_zoo.geometry.model import GeometryModel
from model_zoo.geometry.occupancy import to_tokens
from model_zoo.io.arrays import write_npz
from model_zoo.io.errors import BadInput
from model_zoo.texture.encoder import seen, visible_features
from model_zoo.texture.model import TextureModel

BATCH = 8  # views that the backbone sees at once


def encoder(folder: Path) -> Encode:
    """What turns a shape and its target views into `latent.npz` and `slat.npz`, as far as the checkpoint goes.

    `folder` is a geometry checkpoint (structure latent), a texture checkpoint (structured latents: image backbone and
    encoder), or holds both as `geometry` and `texture`. Raises BadInput when there is none, or one without its encoder.
    """
    found = {
        kind: folder / kind for kind in checkpoint.KINDS if (folder / kind / checkpoint.CONFIG).is_file()
    }
    if not found:
        found = {checkpoint.kind_in(folder): folder}
    parts: list[Callable[[Shape, Sequence[TargetView]], dict[str, bytes]]] = []
    for kind, place in found.items():
        model = checkpoint.load(place, kind).model
        if isinstance(model.encoder, checkpoint.Absent):
            raise BadInput(f"{place.name} has no encoder: it was made without", "absent_part")
        parts.append(partial(structure if kind == "geometry" else structured, model))

    def encode(shape: Shape, views: Sequence[TargetView]) -> dict[str, bytes]:
        return {name: data for part in parts for name, data in part(shape, views).items()}

    return encode


@torch.no_grad()
def structure(model: GeometryModel, shape: Shape, views: Sequence[TargetView] = ()) -> dict[str, bytes]:
    """latent.npz: mean and logvar of the occupancy, fp16 (g^3, 8) each, z fastest (geometry.occupancy.to_tokens).

    The model's own grid, solid or its surface's voxels alone as the model was trained.
    """
    grid = torch.from_numpy(_grid(shape, model.config.resolution))
    if not model.config.solid:
        coords = prune(grid.nonzero())
        grid = torch.zeros_like(grid)
        grid[tuple(coords.T)] = True
    mean, logvar = (to_tokens(part)[0] for part in model.encoder(grid[None, None].float()))
    return {"latent.npz": write_npz({"mean": _half(mean), "logvar": _half(logvar)})}


@torch.no_grad()
def structured(model: TextureModel, shape: Shape, views: Sequence[TargetView]) -> dict[str, bytes]:
    """slat.npz of the active voxels: coords uint8 (N,3), mean and logvar fp16 (N,8), views uint8 (N,) that see each.

    A voxel's features are the mean over the views that see it (the Depth-VAE rule, paper C.6); without views none.
    """
    if not views:
        return {}
    resolution = model.config.flow.resolution
    coords = cap(prune(torch.from_numpy(_grid(shape, resolution)).nonzero())).coords
    x, y, z = ((coords + 0.5) / resolution - 0.5).double().unbind(1)
    points = torch.stack([x, z, -y], 1)  # from the model's z-up axes to the mesh's
    total, weight = 0, torch.zeros(len(coords))
    for start in range(0, len(views), BATCH):
        part = views[start : start + BATCH]
        places, depths = (
            torch.stack(side) for side in zip(*[_project(points, v) for v in part], strict=True)
        )
        surface = torch.from_numpy(np.stack([v.depth for v in part]))
        visible = seen(places, depths, surface, tolerance=2 / resolution)
        count = visible.sum(0).float()
        total = total + visible_features(_maps(model, part), places, visible) * count[:, None]
        weight += count
    mean, logvar = model.encode(coords, total / weight.clamp_min(1)[:, None])
    values = {"coords": coords.byte().numpy(), "views": weight.byte().numpy()}
    return {"slat.npz": write_npz({**values, "mean": _half(mean), "logvar": _half(logvar)})}


def _grid(shape: Shape, resolution: int) -> np.ndarray:
    return shape.occupancy if len(shape.occupancy) == resolution else solid(shape.mesh, resolution)


def _project(points: Tensor, view: TargetView) -> tuple[Tensor, Tensor]:
    """Places (N,2) in [-1, 1] of a view's picture, x right and y down, and depths (N,) of canonical points (N,3)."""
    at = (points.numpy() @ view.R.T + view.t) @ view.K.T
    height, width = view.depth.shape
    pixel = at[:, :2] / at[:, 2:]
    places = (2 * pixel + 1) / [width, height] - 1
    return torch.from_numpy(places).float(), torch.from_numpy(at[:, 2]).float()


def _maps(model: TextureModel, views: Sequence[TargetView]) -> Tensor:
    """Feature maps (V, C, side, side) of the views' pictures: the image backbone's patch tokens."""
    image = model.embedder.module_list[0]
    rgb = torch.from_numpy(np.stack([v.rgb for v in views])).permute(0, 3, 1, 2).float() / 255
    side = image.size // model.config.embedder.patch
    return image(rgb)[:, -side * side :].transpose(1, 2).unflatten(2, (side, side)).float()


def _half(values: Tensor) -> np.ndarray:
    return values.half().numpy()
