"""What the demo's people find on every page: a few of its objects worked by simulated annotators and a simulated artist.

Their answers are marked as simulation wherever they show; releases leave them out. Nothing else of the demo is made up.
"""

import random
import time
import uuid
from collections.abc import Sequence
from typing import Any

from django.core.management.base import CommandError
from django.db.models import QuerySet

from backend import storage
from backend.accounts.models import User
from backend.annotation import anchors
from backend.annotation import services as queue
from backend.annotation.models import Assignment, Rating, Task
from backend.art3do import services as art
from backend.catalog import services as catalog
from backend.catalog.models import Batch, Truth
from backend.models import Upload
from backend.proposals.models import Candidate
from backend.uploads import MEDIA_TYPE
from model_zoo.finish.gold import corrupted
from model_zoo.io.meshes import export_glb, load_mesh
from workers.simulation import ApiClient, Knowledge, Simulated, accounts

HANDED_ON, COMPARED, ALIGNED = 2, 5, 2
PATIENCE = 1800.0
NOISE = 0.1
NOTE = "Handed on by a simulated annotator, so that the demo has a case for artists."
ART = """Make the object that is outlined in the photo as **one mesh**: the whole object, its back too.

- Start from the starter files: photo, mask, camera, points and the closest candidate.
- Real size in metres, y up, one closed surface without loose pieces.
- Send a first version early: the mesh report says within seconds what is wrong, and mends what is safe to mend.
"""


def play(batch: Batch, tasks: Sequence[Task], url: str) -> None:
    """Work these tasks of objects with known truth: brackets and ratings, alignments, art cases, anchors."""
    knowledge, [token] = Knowledge(), accounts(1)
    someone = Simulated(ApiClient(url, token), knowledge, batch.pk, NOISE, random.Random(0))
    # The artists get what no candidate comes near to.
    hardest = sorted(tasks, key=lambda task: max(knowledge.quality(task.object_id, str(row.key)) for row in _candidates(task)))
    for place, task in enumerate(hardest):
        work = _take(someone, task.pk)
        if work is None:
            continue
        if place < HANDED_ON:
            someone.send(work, "escalate", {"reason": "complex geometry", "note": NOTE})
        else:
            someone.answer(work)
    chosen = batch.tasks.filter(stage=Task.Stage.ALIGN, state=Task.State.OPEN, object__truth__isnull=False)
    for task in chosen.order_by("id")[:ALIGNED]:
        if work := _take(someone, task.pk):
            someone.answer(work)
    cases, _ = art.curate(batch, name=f"{batch.name}-art")
    catalog.write_instructions(cases, ART)
    _submit(cases.tasks.order_by("sort_key")[0])
    _anchor(batch, knowledge)


def ready(batch: Batch, count: int = HANDED_ON + COMPARED) -> list[Task]:
    """The first tasks of objects with known truth that can be compared. CommandError when their candidates do not come."""
    rows: QuerySet[Task] = batch.tasks.filter(stage=Task.Stage.COMPARE, object__truth__isnull=False, n_leased=0, n_done=0)
    deadline = time.monotonic() + PATIENCE
    while len(found := list(rows.filter(state=Task.State.OPEN).order_by("sort_key")[:count])) < count:
        if time.monotonic() > deadline:
            raise CommandError("the candidates of the demo's scenes do not come: see the page of the batch")
        time.sleep(1)
    return found


def _candidates(task: Task) -> QuerySet[Candidate]:
    return Candidate.objects.filter(batch=task.batch_id, object=task.object_id, state=Candidate.State.READY)


def _take(someone: Simulated, task: int) -> dict[str, Any] | None:
    """The task's assignment, None where a person was faster."""
    status, work = someone.client.post("next/", {"task": task})
    if status not in {200, 409}:
        raise CommandError(f"next/ answered {status}: {work.get('error', {}).get('message', '')}")
    return work if status == 200 else None


def _submit(task: Task) -> None:
    """A simulated artist's mesh for a case: the true one with loose pieces beside it, so that its report has findings."""
    artist, _ = User.objects.get_or_create(
        username="simulated-artist", defaults={"simulated": True, "role": User.Role.ARTIST}
    )
    pk = queue.claim_art(artist, task_id=task.pk)
    truth = Truth.objects.select_related("mesh__blob").get(object=task.object_id)
    glb = export_glb(corrupted(load_mesh(storage.read(truth.mesh.blob)).mesh, "floaters", task.object_id))
    blob = storage.put(glb, MEDIA_TYPE)
    upload = Upload.objects.create(
        user=artist, filename="first_version.glb", size=blob.size, sha256=blob.sha256, state=Upload.State.STORED, blob=blob
    )
    fence = Assignment.objects.values_list("fence", flat=True).get(pk=pk)
    art.submit(artist, pk, fence=fence, key=uuid.uuid4(), upload=upload)


def _anchor(batch: Batch, knowledge: Knowledge) -> None:
    """Examples for both ends of the scale: the worst and the best candidate of the object whose candidates differ most."""
    graded: dict[int, list[tuple[float, Candidate]]] = {}
    objects = Rating.objects.filter(assignment__batch=batch, candidate__object__truth__isnull=False).values("candidate__object")
    for row in Candidate.objects.filter(batch=batch, object__in=objects, state=Candidate.State.READY).select_related("object"):
        graded.setdefault(row.object_id, []).append((knowledge.quality(row.object_id, str(row.key)), row))
    widest = max(graded.values(), key=lambda rows: max(q for q, _ in rows) - min(q for q, _ in rows))
    examples = []
    for level in (batch.scale[0], batch.scale[-1]):
        best = min(widest, key=lambda row: abs(row[0] - level["r"]))
        widest.remove(best)
        anchors.choose(batch, candidate=best[1].key, r=level["r"])
        examples.append((best[1], level["label"]))
    catalog.write_instructions(batch, batch.instructions + _table(examples))


def _table(examples: Sequence[tuple[Candidate, str]]) -> str:
    """Markdown: photo, mesh and word for each example."""
    lines = ["\n## Examples\n", "| photo | mesh | rating |", "| --- | --- | --- |"]
    for row, label in examples:
        photo, mesh = f"/api/v1/images/{row.object.image_id}/photo/", f"/api/v1/candidates/{row.key}/thumbnail.png"
        lines.append(f"| ![{row.object.category}]({photo}) | ![mesh]({mesh}) | {label} |")
    return "\n".join(lines) + "\n"
