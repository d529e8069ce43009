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
from model_zoo.geometry import pose as layout_pose
from model_zoo.geometry import sampler
from model_zoo.geometry.preprocess import Views, prepare_photo
from model_zoo.geometry.voxels import to_mesh
from model_zoo.io.errors import BadInput
from model_zoo.io.poses import Pose

BATCH = 8  # shapes sampled at once, until memory says otherwise
Item, Made = TypeVar("Item"), TypeVar("Made")


@dataclass(frozen=True)
class Sampling:
    """How a model is sampled: steps and guidance s (the paper's w is 1 + s) of each stage.

    `shortcut`: few steps of a distilled geometry model, told their size d = 1 / steps, without guidance.
    """

    steps: int = 12
    strength: float = 1.0
    shortcut: bool = False

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise BadInput("a sampler needs at least one step")

    @property
    def geometry(self) -> dict[str, float]:
        """What `sampler.sample` is given."""
        if self.shortcut:
            return {"steps": self.steps, "strength": 0.0, "d": 1 / self.steps}
        return {"steps": self.steps, "strength": self.strength}


RELEASED = Sampling(steps=25, strength=7.0)  # sam3d_model.md section 2
DISTILLED = Sampling(steps=4, shortcut=True)


class Candidate(NamedTuple):
    """One sample: its seed, a y-up mesh in the unit cube, and the pose that the layout tokens give it."""

    seed: int
    mesh: trimesh.Trimesh
    pose: Pose


class Sam3D:
    """The geometry model of a checkpoint folder on a device, its blocks in `dtype`.

    One seed gives one candidate, whatever it is made together with (to rounding), and the same one on every run of one
    device. Raises BadInput where a folder is no checkpoint of its stage.
    """

    def __init__(
        self,
        geometry: Path,
        *,
        device: str = "cpu",
        dtype: torch.dtype = torch.float32,
        batch: int = BATCH,
    ) -> None:
        found = checkpoint.load(geometry)
        self.geometry, self.device, self.batch = found.model.to(device), device, batch
        if dtype != torch.float32:
            self.geometry.embedder.to(dtype)
            self.geometry.transformer.halved(dtype)
        self.sampling, self.name = _own_sampling(found), geometry.name

    @torch.no_grad()
    def candidates(
        self,
        photo: tuple[np.ndarray, np.ndarray, np.ndarray],
        seeds: Sequence[int],
        sampling: Sampling | None = None,
    ) -> Iterator[Candidate]:
        """A candidate for each seed, left out where the model found nothing solid or no possible pose.

        photo: rgb uint8 (H,W,3), mask bool (H,W), pointmap float32 (H,W,3) in the OpenCV camera, NaN invalid. Poses are
        in the pointmap's units. Raises BadInput for an empty mask, and when memory does not even do for one candidate.
        """
        ready = prepare_photo(*photo, self.geometry.config.embedder.image_size)
        views = {n: v[None].to(self.device) for n, v in ready.views.items()}
        (cond,) = in_batches([views], 1, lambda one: [self.geometry.embedder(one[0])])
        how = (sampling or self.sampling).geometry

        def shapes(batch: Sequence[int]) -> list[tuple[int, Tensor, Pose | None]]:
            return self._shapes(cond, ready, batch, how)

        for seed, logits, pose in in_batches(seeds, self.batch, shapes):
            try:
                mesh = to_mesh(logits.numpy())
            except BadInput:
                continue
            if pose is not None:
                yield Candidate(seed, mesh, pose)

    def _shapes(
        self, cond: Tensor, ready: Views, seeds: Sequence[int], how: dict[str, float]
    ) -> list[tuple[int, Tensor, Pose | None]]:
        """Seed, occupancy logits (G, G, G) on the CPU and pose of each seed, sampled as one batch."""
        latents = sampler.sample(self.geometry.transformer, cond, self._noise(seeds), **how)
        logits = self.geometry.decode_shape(latents["shape"])[:, 0].float().cpu()
        layout = {n: v.cpu().double() for n, v in latents.items()}
        count = len(seeds)
        decoded = layout_pose.decode(layout, ready.scale.expand(count, 3), ready.shift.expand(count, 3))
        poses = [_pose(*parts) for parts in zip(*layout_pose.to_stored(decoded), strict=True)]
        return list(zip(seeds, logits, poses, strict=True))

    def _noise(self, seeds: Sequence[int]) -> dict[str, Tensor]:
        """Start latents, each row from its own seed, drawn on the CPU so that every device starts alike."""
        shapes = self.geometry.config.transformer.latent_shapes
        rows = [flow.draw_noise(shapes, 1, torch.Generator().manual_seed(seed)) for seed in seeds]
        return {n: torch.cat([row[n] for row in rows]).to(self.device) for n in shapes}


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
