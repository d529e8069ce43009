"""What the tests of the compare page work on: objects with real candidates, made by workers.finishing from library meshes."""

import functools
import os
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, expect

from backend.annotation.intake import enqueue
from backend.annotation.services import open_tasks
from backend.catalog import services as catalog
from backend.catalog.models import Batch, TargetObject
from backend.models import Job
from backend.proposals import services as proposals
from backend.proposals.models import Candidate, Proposer
from model_zoo.library import families, make
from tests.annotator_ui import desk
from workers.finishing import Finished, finish

READY = "#veil[hidden]"
PROPOSERS = (("secret-flow-ckpt-77", "flow"), ("secret-retrieval", "retrieval"))
SEED = 7_310_043
SCORE = 0.736151


@functools.cache
def finished(number: int, textured: bool) -> Finished:
    """A finished library mesh; the same for every object, since finishing takes a second."""
    return finish(make(sorted(families())[number], 1), textured=textured)


def store_candidates(batch: Batch, target: TargetObject, n: int) -> list[Candidate]:
    """n candidates of an object, by two proposers in turn, placed where the photo has its ball."""
    made = []
    for number in range(n):
        name, kind = PROPOSERS[number % 2]
        proposer, _ = Proposer.objects.get_or_create(name=name, defaults={"kind": kind})
        job = Job.objects.create(
            kind="propose", queue="gpu", key=f"match:{target.pk}:{number}", state="done", group=f"match:{target.pk}",
            args={"batch": batch.pk, "object": target.pk, "proposer": proposer.pk},
        )  # fmt: skip
        done = finished(number, batch.judges == "texture")
        mesh, _ = catalog.store_mesh(done.glb, source="proposer", triangles=len(done.mesh.faces), extents=[1, 1, 1])
        size = 1.0 / float(done.mesh.extents.max())
        pose = {"R": [1, 0, 0, 0, -1, 0, 0, 0, -1], "t": [0, 0, desk.DEPTH], "s": [size] * 3}
        made.append(
            proposals.store_candidate(
                job, seed=SEED + number, mesh=mesh, viewer=done.viewer, thumbnail=done.thumbnail, turntable=done.turntable,
                pose=pose, pointmap_source="sensor", score=SCORE + number / 1000, seconds=0.1,
            )  # fmt: skip
        )
    return made


def make_batch(n: int, objects: int = 1, **options: Any) -> Batch:
    """A batch of objects with n candidates each, open for comparison."""
    batch = catalog.create_batch(name="match", **options)
    for number in range(objects):
        target = desk.store_target(number)
        enqueue(batch, [target])
        store_candidates(batch, target, n)
        assert open_tasks(batch.pk, target.pk)
    return batch


def opened(page: Page) -> Page:
    """The compare page with its object on screen."""
    if "/compare/" not in page.url:
        page.goto("/compare/")
    page.wait_for_selector(READY, state="attached", timeout=60_000)
    expect(page.locator("#viewports[aria-busy]")).to_have_count(0, timeout=30_000)
    return page


def picture(page: Page, name: str) -> Path:
    """Keep a screenshot of the page as a build artefact."""
    folder = Path(os.environ.get("MAQUETTE_SCREENSHOTS") or "var/screenshots")
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"compare-{name}.png"
    page.screenshot(path=path)
    return path
