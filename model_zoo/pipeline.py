"""Both stages as one: a photo with mask and pointmap in, posed meshes out. Candidates of an object share its condition."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
import torch
import trimesh
from torch import Tensor

from model_zoo import checkpoint, flow
from model_zoo.extract.export import surface_mesh, tidied, with_texture
from model_zoo.extract.flexicubes import extract_surface
from model_zoo.geometry import pose as layout_pose
from model_zoo.geometry import sampler
from model_zoo.geometry.active import active_voxels
from model_zoo.geometry.model import GeometryModel
from model_zoo.geometry.preprocess import Views, prepare_photo
from model_zoo.geometry.voxels import to_mesh
from model_zoo.io.errors import BadInput
from model_zoo.io.poses import Pose
from model_zoo.texture.model import TextureModel

SECOND_NOISE = 1 << 32  # added to a seed: both stages from one seed would begin with the same numbers
FINER = 4  # cubes of the mesh decoder along a voxel
FOR_ALL = {"out_of_memory", "absent_part"}  # what fails one candidate by these fails the others too
BATCH = 8  # shapes sampled at once, until memory says otherwise
Item, Made = TypeVar("Item"), TypeVar("Made")


@dataclass(frozen=True)
class Sampling:
    """How the stages are sampled: steps and guidance s (the paper's w is 1 + s) of each.

    `shortcut`: few steps of a distilled geometry model, told their size d = 1 / steps, without guidance. `baked`: pixels
    along the side of a texture that is baked from the second stage's splats, 0 to keep its vertex colours.
    """

    steps: int = 12
    strength: float = 1.0
    shortcut: bool = False
    texture_steps: int = 12
    texture_strength: float = 1.0
    baked: int = 0

    def __post_init__(self) -> None:
        if min(self.steps, self.texture_steps) < 1:
            raise BadInput("a sampler needs at least one step")

    @property
    def geometry(self) -> dict[str, float]:
        """What `sampler.sample` is given."""
        if self.shortcut:
            return {"steps": self.steps, "strength": 0.0, "d": 1 / self.steps}
        return {"steps": self.steps, "strength": self.strength}


RELEASED = Sampling(steps=25, strength=7.0, texture_steps=25)  # sam3d_model.md section 2
DISTILLED = Sampling(steps=4, shortcut=True)


class Candidate(NamedTuple):
    """One sample: its seed, a y-up mesh in the unit cube, and the pose that the layout tokens give it."""

    seed: int
    mesh: trimesh.Trimesh
    pose: Pose


class Shape(NamedTuple):
    """What the first stage gives: the seed, occupancy logits (G, G, G) on the CPU, and a pose if it is a possible one."""

    seed: int
    logits: Tensor
    pose: Pose | None


class Seen(NamedTuple):
    """An object as the network is shown it: its views with scale and shift, and the backbone's tokens (`encode`)."""

    ready: Views
    views: dict[str, Tensor]
    hidden: list[Tensor]


class Sam3D:
    """The geometry model of a checkpoint folder and, if given, the texture model of another, on a device, in `dtype`.

    One seed gives one candidate, whatever it is made together with (to rounding), and the same one on every run of one
    device. Without a second stage shapes are the surface of the occupancy and have no colours. Raises BadInput where a
    folder is no checkpoint of its stage or the two stages do not fit each other.
    """

    def __init__(
        self,
        geometry: Path,
        texture: Path | None = None,
        *,
        device: str = "cpu",
        dtype: torch.dtype = torch.float32,
        batch: int = BATCH,
    ) -> None:
        found = checkpoint.load(geometry)
        self.sampling, self.name = _own_sampling(found), geometry.name
        self.device, self.batch = device, batch
        self.geometry, self.texture = found.model, None
        if texture is not None:
            self.texture = checkpoint.load(texture, "texture", beside=found.model).model
            _check_fit(self.geometry, self.texture)
            self.name += f" {texture.name}"
        for model in filter(None, (self.geometry, self.texture)):
            # Halved first: whole, both may be more than the device holds.
            (model if dtype == torch.float32 else model.halved(dtype)).to(device)

    @torch.no_grad()
    def candidates(
        self,
        photo: tuple[np.ndarray, np.ndarray, np.ndarray],
        seeds: Sequence[int],
        sampling: Sampling | None = None,
    ) -> Iterator[Candidate]:
        """A candidate for each seed, left out where the model found nothing solid or no possible pose.

        photo: rgb uint8 (H,W,3), mask bool (H,W), pointmap float32 (H,W,3) in the OpenCV camera, NaN invalid. Poses are
        in the pointmap's units. Raises BadInput for an empty mask, when memory does not even do for one candidate, and
        with the last reason where no seed gives one.
        """
        how = sampling or self.sampling
        ready = prepare_photo(*photo, self.geometry.config.embedder.image_size)
        views = {n: v[None].to(self.device) for n, v in ready.views.items()}
        ((seen, cond),) = in_batches([Seen(ready, views, [])], 1, self._conditioned)
        shapes = in_batches(seeds, self.batch, lambda batch: self._shapes(seen, cond, batch, how))
        refusal, any_made = None, False
        for shape in shapes:
            try:
                (candidate,) = in_batches([shape], 1, lambda one: [self._finished(seen, one[0], how)])
            except BadInput as error:
                if error.code in FOR_ALL:
                    raise
                refusal = error
                continue
            any_made = True
            yield candidate
        if refusal is not None and not any_made:
            raise refusal

    def _conditioned(self, one: Sequence[Seen]) -> list[tuple[Seen, Tensor]]:
        """The object with its backbone tokens, which serve both stages, and the condition (1, Lc, C) of the first."""
        (seen,) = one
        hidden = self.geometry.embedder.encode(seen.views)
        return [(seen._replace(hidden=hidden), self.geometry.embedder(seen.views, hidden=hidden))]

    def _shapes(self, seen: Seen, cond: Tensor, seeds: Sequence[int], how: Sampling) -> list[Shape]:
        """What each seed gives in the first stage, sampled as one batch."""
        latents = sampler.sample(self.geometry.transformer, cond, self._noise(seeds), **how.geometry)
        logits = self.geometry.decode_shape(latents["shape"])[:, 0].cpu()
        layout = {n: v.cpu().double() for n, v in latents.items()}
        scale, shift = (v.expand(len(seeds), 3) for v in (seen.ready.scale, seen.ready.shift))
        stored = layout_pose.to_stored(layout_pose.decode(layout, scale, shift))
        return [Shape(*row) for row in zip(seeds, logits, map(_pose, *stored), strict=True)]

    def _finished(self, seen: Seen, shape: Shape, how: Sampling) -> Candidate:
        """A shape as a posed mesh. Raises BadInput where it has no solid voxel, no surface or no possible pose."""
        if shape.pose is None:
            raise BadInput("the model gave no possible pose", "bad_pose")
        if self.texture is None:
            return Candidate(shape.seed, to_mesh(shape.logits.numpy()), shape.pose)
        logits = shape.logits.to(self.device)[None, None]
        ((coords, factor),) = active_voxels(logits, seed=shape.seed)
        mesh = self._surface(seen, coords, shape.seed, how)
        return Candidate(shape.seed, mesh, Pose(shape.pose.R, shape.pose.t, shape.pose.s * factor))

    def _surface(self, seen: Seen, coords: Tensor, seed: int, how: Sampling) -> trimesh.Trimesh:
        """The second stage's mesh of active voxels (N, 3), tidied, with vertex colours or a baked texture."""
        steps = {"steps": how.texture_steps, "strength": how.texture_strength}
        hidden = seen.hidden if _share_a_backbone(self.geometry, self.texture) else None
        (feats,) = self.texture.sample(seen.views, [coords], seed=seed + SECOND_NOISE, hidden=hidden, **steps)
        fine, features = self.texture.mesh(coords, feats)
        surface = extract_surface(fine, features, FINER * self.geometry.config.resolution)
        mesh = tidied(surface_mesh(surface))
        if not how.baked:
            return mesh
        return with_texture(mesh, side=how.baked, splats=self.texture.gaussians(coords, feats))

    def _noise(self, seeds: Sequence[int]) -> dict[str, Tensor]:
        """Start latents, each row from its own seed, drawn on the CPU so that every device starts alike."""
        shapes = self.geometry.config.transformer.latent_shapes
        rows = [flow.draw_noise(shapes, 1, torch.Generator().manual_seed(seed)) for seed in seeds]
        return {n: torch.cat([row[n] for row in rows]).to(self.device) for n in shapes}


def _check_fit(geometry: GeometryModel, texture: TextureModel) -> None:
    sides = geometry.config.resolution, texture.config.flow.resolution
    if sides[0] != sides[1]:
        raise BadInput(
            f"the stages do not fit: {sides[0]} voxels a side in the first, {sides[1]} in the second"
        )


def _share_a_backbone(first: GeometryModel, second: TextureModel) -> bool:
    """Whether the tokens of one stage's image encoders are the other's too."""
    pairs = zip(first.embedder.module_list[:2], second.embedder.module_list[:2], strict=True)
    return all(one.backbone is other.backbone for one, other in pairs)


def _own_sampling(found: checkpoint.Checkpoint) -> Sampling:
    """How a checkpoint is sampled unless somebody says otherwise: distilled and full-size ones as they were made for."""
    if found.card.get("stage") == "distill":
        return DISTILLED
    return RELEASED if found.recipe == "full" else Sampling()


def _pose(R: Tensor, t: Tensor, s: Tensor) -> Pose | None:
    try:
        return Pose(R.numpy(), t.numpy(), s.numpy())
    except BadInput:
        return None


def stages(folder: Path, texture: Path | None = None) -> tuple[Path, Path | None]:
    """The two stages' checkpoint folders: those named, or `geometry` and `texture` in what `model_zoo.convert` made."""
    if not (folder / "geometry").is_dir():
        return folder, texture
    second = folder / "texture"
    return folder / "geometry", texture or (second if second.is_dir() else None)


def in_batches(
    items: Sequence[Item], size: int, work: Callable[[Sequence[Item]], Sequence[Made]]
) -> Iterator[Made]:
    """work() over the items, `size` at a time; where memory runs out the batch is halved and work goes on.

    Raises BadInput when memory does not do for one.
    """
    done = 0
    while done < len(items):
        batch = items[done : done + size]
        found = _within_memory(work, batch)
        if found is not None:
            yield from found
            done += len(batch)
        elif len(batch) == 1:
            raise BadInput("there is not enough memory for a single candidate", "out_of_memory")
        else:
            size = len(batch) // 2
            free_memory()


def _within_memory(
    work: Callable[[Sequence[Item]], Sequence[Made]], batch: Sequence[Item]
) -> Sequence[Made] | None:
    """work(batch), None when memory ran out; what it had made is let go with the error."""
    try:
        return work(batch)
    except (torch.OutOfMemoryError, MemoryError):
        return None
    except RuntimeError as error:
        if "DefaultCPUAllocator" in str(error):
            return None
        raise


def free_memory() -> None:
    """Give memory that nothing holds any more back to the device."""
    gc.collect()
    if torch.cuda.is_initialized():
        torch.cuda.empty_cache()


def best_device() -> tuple[str, torch.dtype]:
    """The device of this machine and what to compute in there: a GPU in bfloat16, else the CPU in float32."""
    return ("cuda", torch.bfloat16) if torch.cuda.is_available() else ("cpu", torch.float32)
