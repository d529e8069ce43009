"""Proposing: one job asks one proposer for candidates of one object, finishes them, and leaves out look-alikes.

The proposers themselves are pure code in model_zoo; here they get what they need from the store.
"""

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
import trimesh
from django.conf import settings
from django.db.models import F
from django.utils import timezone
from django.utils.translation import gettext as _
from PIL import Image as Picture

from backend import jobs, storage
from backend.annotation.services import open_tasks
from backend.catalog import services as catalog
from backend.catalog.models import Batch, Mesh, TargetObject
from backend.models import Job
from backend.proposals import services
from backend.proposals.models import Candidate
from backend.proposals.models import Proposer as ProposerRow
from backend.training.models import Checkpoint
from backend.training.services import folder_of
from model_zoo.finish.dedupe import occupancy, same_shape
from model_zoo.io.depth import decode_pointmap
from model_zoo.io.errors import BadInput
from model_zoo.io.images import load_image, load_mask
from model_zoo.io.meshes import load_mesh
from model_zoo.io.poses import Pose
from model_zoo.pipeline import Sam3D, best_device, free_memory
from model_zoo.proposers.command import CommandProposer
from model_zoo.proposers.inflation import Inflation
from model_zoo.proposers.interface import ObjectInput, Proposal, Proposer
from model_zoo.proposers.retrieval import Index, Retrieval
from model_zoo.proposers.sam3d import SHIPPED, Sam3DProposer
from workers.finishing import Finished, finish

LONGEST_SIDE = 768
CALLS = 3
WITHOUT_WEIGHTS = (ProposerRow.Kind.INFLATION, ProposerRow.Kind.RETRIEVAL)
SEEDS_PER_CALL = 100


class Shelf:
    """What this process keeps loaded: a proposer of each kind that has no weights, and one model in all."""

    def __init__(self) -> None:
        self.kept: dict[str, tuple[Any, Proposer]] = {}
        self.spoiled = False  # an error of the device stays with the process that met it

    def get(self, kind: str, key: Any, make: Callable[[], Proposer]) -> Proposer:
        """The kept proposer when its key is still the same, else a new one in its place; a former model is let go first."""
        place = kind if kind in WITHOUT_WEIGHTS else "model"
        if place not in self.kept or self.kept[place][0] != (kind, key):
            self.drop(place)
            self.kept[place] = ((kind, key), make())
        return self.kept[place][1]

    def drop(self, place: str) -> None:
        """Let go of what is kept in a place, and of the memory that it held on the device."""
        if self.kept.pop(place, None) is not None:
            free_memory()


shelf = Shelf()


def propose_job(job: Job) -> dict[str, Any]:
    """The work of a `propose` job: fill up to its share, or to N when it is the object's last job."""
    row = ProposerRow.objects.get(pk=job.args["proposer"])
    target = TargetObject.objects.select_related("image__display", "mask").get(pk=job.args["object"])
    count = {"made": 0, "alike": 0, "unfit": 0}
    models = set()
    try:
        given, source = load_object(target)
        proposer = proposer_of(row)
        textured = Batch.objects.filter(pk=job.args["batch"], judges=Batch.Judges.TEXTURE).exists()
        for seed, proposal in _proposals(job, proposer, given):
            ended = _take(job, seed, proposal, source, textured=textured)
            count[ended] += 1
            models |= {proposal.model} - {""}
            jobs.report(
                job, min(0.9, count["made"] / job.args["count"]), _("%(n)s candidates") % {"n": count["made"]}
            )
    except BadInput as refusal:
        raise jobs.UserError(f"{row.name}: {refusal.message}") from None
    except torch.AcceleratorError:
        shelf.spoiled = True
        raise
    return {**count, "models": sorted(models)}


def _take(job: Job, seed: int, proposal: Proposal, source: str, *, textured: bool) -> str:
    """Finish and store one proposal; what became of it: made, alike (another has this shape), unfit (no surface)."""
    try:
        if _seen_before(job, proposal.mesh):
            return "alike"
        finished = finish(proposal.mesh, textured=textured)
    except BadInput:
        return "unfit"
    _store(job, seed, proposal, finished, source)
    return "made"


def settle(job_id: int) -> bool:
    """Open the object for comparison when this was its last job and two candidates are there."""
    job = Job.objects.filter(pk=job_id, state__in=[Job.State.DONE, Job.State.FAILED]).first()
    return job is not None and open_tasks(job.args["batch"], job.args["object"])


def dying() -> list[int]:
    """Proposal jobs whose worker died and that have no attempts left: `jobs.reap` is about to fail them."""
    lost = Job.objects.filter(state=Job.State.RUNNING, lease_until__lt=timezone.now(), kind="propose")
    return list(lost.filter(attempts__gte=F("max_attempts")).values_list("pk", flat=True))


def _proposals(job: Job, proposer: Proposer, given: ObjectInput) -> Iterator[tuple[int, Proposal]]:
    """Proposals with their seeds until the job has enough; further calls, with further seeds, make up for look-alikes."""
    stored = set(
        Candidate.objects.filter(
            batch=job.args["batch"], object=job.args["object"], proposer=job.args["proposer"]
        ).values_list("seed", flat=True)
    )
    for number in range(CALLS):
        missing = services.missing_for(job)
        if not missing:
            return
        first = job.args["seed"] + number * SEEDS_PER_CALL
        # Asking for more than is missing leaves room for look-alikes without a call of its own.
        found = proposer.propose(given, seed=first, count=max(job.args["count"] * (number + 1), missing))
        for place, proposal in enumerate(found):
            seed = first + place if proposal.seed is None else proposal.seed
            if seed not in stored and services.missing_for(job):
                yield seed, proposal


def _store(job: Job, seed: int, proposal: Proposal, finished: Finished, source: str) -> Candidate:
    told = Mesh.objects.get(pk=number_of(proposal.library)) if proposal.library else None
    mesh, _new = catalog.store_mesh(
        finished.glb,
        source=Mesh.Source.PROPOSER,
        triangles=len(finished.mesh.faces),
        extents=[float(side) for side in finished.mesh.extents],
        licence=told.licence if told else "",
        attribution=told.attribution if told else "",
    )
    return services.store_candidate(
        job,
        seed=seed,
        mesh=mesh,
        viewer=finished.viewer,
        thumbnail=finished.thumbnail,
        turntable=finished.turntable,
        pose=pose_json(proposal.pose),
        pointmap_source=source,
        score=proposal.score,
        seconds=proposal.seconds,
    )


def _seen_before(job: Job, mesh: trimesh.Trimesh) -> bool:
    """Whether a ready candidate of the object has this shape already (voxel IoU > 0.95)."""
    others = Candidate.objects.filter(
        batch=job.args["batch"], object=job.args["object"], state=Candidate.State.READY
    )
    mine = occupancy(mesh)
    return any(
        same_shape(mine, _occupancy_of(sha256)) for sha256 in others.values_list("mesh__blob", flat=True)
    )


@lru_cache(maxsize=256)
def _occupancy_of(sha256: str) -> np.ndarray:
    return occupancy(load_mesh(storage.read(sha256)).mesh)


def pose_json(pose: Pose) -> dict[str, list[float]]:
    """R row by row, t and s, as rows of the database keep a pose."""
    return {"R": pose.R.ravel().tolist(), "t": pose.t.tolist(), "s": pose.s.tolist()}


def load_object(target: TargetObject) -> tuple[ObjectInput, str]:
    """Photo, mask and pointmap of an object for a proposer, and the source of its pointmap. Raises BadInput."""
    pointmap = catalog.best_pointmap(target.image)
    if pointmap is None or target.mask is None:
        raise BadInput(_("the object has no mask or no pointmap"), "incomplete")
    rgb = load_image(storage.read(target.image.display)).rgb
    mask = load_mask(storage.read(target.mask)).mask
    points, _camera = decode_pointmap(storage.read(pointmap.blob))
    return ObjectInput(*smaller(rgb, mask, points), category=target.category), str(pointmap.source)


def smaller(
    rgb: np.ndarray, mask: np.ndarray, points: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Photo, mask and pointmap with the longer side at most 768 pixels; points stay where they are in space."""
    step = -(-max(mask.shape) // LONGEST_SIDE)
    if step == 1:
        return rgb, mask, points
    mask, points = mask[::step, ::step], points[::step, ::step]
    size = (mask.shape[1], mask.shape[0])
    return np.asarray(Picture.fromarray(rgb).resize(size, Picture.Resampling.BOX)), mask, points


def proposer_of(row: ProposerRow) -> Proposer:
    """The loaded proposer of a row. Raises BadInput when what it needs is missing."""
    if row.kind == ProposerRow.Kind.INFLATION:
        return shelf.get(row.kind, row.pk, Inflation)
    if row.kind == ProposerRow.Kind.RETRIEVAL:
        ids = library_ids()
        return shelf.get(row.kind, (row.pk, tuple(ids)), lambda: Retrieval(library_index(ids), library_mesh))
    if row.kind == ProposerRow.Kind.COMMAND:
        return shelf.get(row.kind, row.pk, lambda: command_of(row))
    checkpoint = Checkpoint.objects.select_related("texture").filter(proposer=row).first()
    if checkpoint is None and row.kind == ProposerRow.Kind.SAM3D:
        raise BadInput(
            _("no checkpoint belongs to this proposer: add_proposer sam3d names one"), "no_checkpoint"
        )
    folder = folder_of(checkpoint) if checkpoint else SHIPPED
    texture = folder_of(checkpoint.texture) if checkpoint and checkpoint.texture else None
    device, dtype = best_device()

    def load() -> Sam3DProposer:
        return Sam3DProposer(Sam3D(folder, texture, device=device, dtype=dtype), name=row.name)

    return shelf.get(row.kind, (row.pk, str(folder), str(texture)), load)


def command_of(row: ProposerRow) -> CommandProposer:
    """The external command that a row is named after. Raises BadInput where this worker has none of the name."""
    words = settings.ADAPTERS.get(row.name)
    if words is None:
        variable = f"MAQUETTE_ADAPTER_{row.name.upper().replace('-', '_')}"
        raise BadInput(
            _("it is not set up on this worker: %(variable)s is empty") % {"variable": variable}, "off"
        )
    return CommandProposer(
        words, environment=settings.ADAPTER_ENVIRONMENT, seconds=settings.ADAPTER_SECONDS, name=row.name
    )


def library_ids() -> list[str]:
    """Names that the retrieval index knows the library's meshes by: category_PK."""
    rows = (
        Mesh.objects.filter(source=Mesh.Source.LIBRARY).order_by("pk").values_list("pk", "category", "name")
    )
    ids = [f"{category or name}_{pk}".replace("\n", " ") for pk, category, name in rows]
    if not ids:
        raise BadInput(_("the mesh library is empty: import_meshes fills it"), "empty_library")
    return ids


def library_mesh(mesh_id: str) -> trimesh.Trimesh:
    """The library mesh that the index knows by this name."""
    return _library_mesh(number_of(mesh_id))


def number_of(mesh_id: str) -> int:
    """The primary key in a name of the retrieval index."""
    return int(mesh_id.rsplit("_", 1)[1])


@lru_cache(maxsize=64)
def _library_mesh(pk: int) -> trimesh.Trimesh:
    return load_mesh(storage.read(Mesh.objects.select_related("blob").get(pk=pk).blob)).mesh


def library_index(ids: list[str]) -> Index:
    """The index of these meshes, kept on disk; only meshes that it does not know yet are described."""
    path = settings.HOME / "cache" / "retrieval.npz"
    path.parent.mkdir(parents=True, exist_ok=True)
    with _locked(path.with_suffix(".lock")):
        index = _cached(path)
        known = set(index.mesh_ids) if index else set()
        fresh = [mesh_id for mesh_id in ids if mesh_id not in known]
        if index is None or not known <= set(ids):
            index, fresh = None, ids
        if fresh:
            added = Index.build((mesh_id, library_mesh(mesh_id)) for mesh_id in fresh)
            index = joined(index, added) if index else added
            part = path.with_suffix(".part")
            index.save(part)
            os.replace(part, path)
        assert index is not None
        return index


def joined(first: Index, second: Index) -> Index:
    """One index over the meshes of two."""
    owner = np.concatenate([first.owner, second.owner + len(first.mesh_ids)])
    columns = [
        np.concatenate([getattr(first, name), getattr(second, name)])
        for name in ("angle", "outlines", "edges", "colours")
    ]
    return Index(first.mesh_ids + second.mesh_ids, owner, *columns)


def _cached(path: Path) -> Index | None:
    try:
        return Index.load(path)
    except (OSError, BadInput, KeyError, TypeError):
        return None


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Two workers of one machine do not describe the library twice."""
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
