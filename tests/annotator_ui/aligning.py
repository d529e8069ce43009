"""What the tests of alignment work on: objects of composed scenes with their true mesh as candidate, set off its place."""

import functools
import os
import re
import zipfile
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from playwright.sync_api import Page, expect

from backend import storage
from backend.annotation.models import Alignment, Assignment, Task
from backend.catalog import services as catalog
from backend.catalog.models import Batch, TargetObject
from backend.models import Job
from backend.proposals import services as proposals
from backend.proposals.models import Candidate, Proposer
from model_zoo.io.meshes import load_mesh
from tests.loop import bundle
from workers import importing
from workers.finishing import Finished, finish

PROJECT = Path(__file__).resolve().parents[2]
PICTURES = Path(os.environ.get("MAQUETTE_SCREENSHOTS") or PROJECT / "var" / "screenshots")
READY = "#veil[hidden]"


def scene_batch(folder: Path, *, seed: int = 3, name: str = "scene", **options: Any) -> Batch:
    """A batch of one composed scene with one object: two candidates of its true mesh, 15° and 40° off."""
    with zipfile.ZipFile(BytesIO(_bundle(seed))) as archive:
        archive.extractall(folder)
    batch = catalog.create_batch(name=name, instructions="Set it on its place.", **options)
    report = importing.import_images(folder, batch, exact=True)
    assert not report.refused, report.refused
    target = TargetObject.objects.get(tasks__batch=batch)
    for number, degrees in enumerate((15.0, 40.0)):
        _candidate(batch, target, number, degrees)
    return batch


@functools.cache
def _bundle(seed: int) -> bytes:
    return bundle(seed)


@functools.cache
def _finished(sha256: str) -> Finished:
    return finish(load_mesh(storage.read(sha256)).mesh)


def _candidate(batch: Batch, target: TargetObject, seed: int, degrees: float) -> Candidate:
    """The true mesh, turned about its upright axis, 10 % too large and 5 cm to the right."""
    proposer, _ = Proposer.objects.get_or_create(name="retrieval", defaults={"kind": "retrieval"})
    job = Job.objects.create(
        kind="propose", queue="gpu", key=f"made:{target.pk}:{seed}", state="done",
        args={"batch": batch.pk, "object": target.pk, "proposer": proposer.pk},
    )  # fmt: skip
    truth = target.truth
    done = _finished(truth.mesh.blob_id)
    mesh, _ = catalog.store_mesh(
        done.glb, source="proposer", triangles=len(done.mesh.faces), extents=[1, 1, 1]
    )
    a = np.radians(degrees)
    turn = np.array([[np.cos(a), 0, np.sin(a)], [0, 1, 0], [-np.sin(a), 0, np.cos(a)]])
    pose = {
        "R": (np.array(truth.R).reshape(3, 3) @ turn).ravel().tolist(),
        "t": [truth.t[0] + 0.05, *truth.t[1:]],
        "s": [1.1 * side for side in truth.s],
    }
    return proposals.store_candidate(
        job, seed=seed, mesh=mesh, viewer=done.viewer, thumbnail=done.thumbnail, pose=pose,
        pointmap_source="sensor", score=1.0 - seed, seconds=0.1,
    )  # fmt: skip


def open_align(batch: Batch) -> Task:
    """The alignment of the batch's first object on its first candidate, claimable; the rest waits."""
    candidate = batch.candidates.order_by("object_id", "seed").first()
    assert candidate is not None
    batch.tasks.update(state="cancelled")
    return Task.objects.create(
        batch=batch, object=candidate.object, stage="align", state="open", candidate=candidate
    )


def submitted(task: Task, user: Any, **pose: Any) -> Assignment:
    """A person's alignment of the task, by default as the candidate was proposed but on its place sideways."""
    candidate = task.candidate
    assert candidate is not None
    Task.objects.filter(pk=task.pk).update(state="done", n_done=1)
    work = Assignment.objects.create(
        task=task, user=user, batch=task.batch, stage="align", state="submitted", survivor=candidate,
        lease_until="2026-01-01T00:00Z", finished_at="2026-01-01T00:00Z", active_ms=83_000,
    )  # fmt: skip
    placed = {"R": candidate.R, "t": [candidate.t[0] - 0.05, *candidate.t[1:]], "s": candidate.s, **pose}
    Alignment.objects.create(
        assignment=work, candidate=candidate, pointmap=candidate.object.image.pointmaps.get(), by=user,
        iou=0.8, depth_residual=0.03, active_ms=83_000, **placed,
    )  # fmt: skip
    return work


def opened(page: Page, path: str = "/align/") -> Page:
    """The align page with its object on screen."""
    # The first page may be on its way to the work by itself.
    page.wait_for_load_state("networkidle")
    page.goto(path)
    page.wait_for_selector(READY, state="attached")
    expect(page.locator("#iou")).to_have_text(re.compile(r"^\d\.\d{3}$"))
    return page


def picture(page: Page, name: str) -> None:
    """A screenshot that is kept as a build artefact."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=PICTURES / f"{name}.png")


def value(page: Page, name: str) -> float:
    """A number of the pose grid."""
    return float(page.locator(f"[name={name}]").input_value())


def pose(page: Page) -> list[float]:
    """All nine numbers of the pose grid."""
    return [value(page, row + axis) for row in "trs" for axis in "xyz"]


def iou(page: Page) -> float:
    """The mask IoU on screen."""
    return float(page.locator("#iou").inner_text())


def findings(page: Page) -> list[str]:
    """Serious and critical findings of axe on the page: rule and place."""
    page.evaluate((PROJECT / "node_modules" / "axe-core" / "axe.min.js").read_text())
    found = page.evaluate("axe.run()")["violations"]
    serious = (each for each in found if each["impact"] in {"serious", "critical"})
    return [f"{each['id']}: {node['target']}" for each in serious for node in each["nodes"]]
