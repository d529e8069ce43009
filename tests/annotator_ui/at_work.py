"""Something to see on every page: work of each stage, sent back and under review, art cases, problems, releases, training."""

import uuid
from types import SimpleNamespace
from typing import Any

import trimesh

from backend import storage
from backend.annotation import services as queue
from backend.annotation.intake import enqueue
from backend.annotation.models import Anchor, Assignment, Problem, Rating, Review, Task
from backend.art3do import services as art3do
from backend.art3do.models import ArtSubmission
from backend.catalog.models import Batch
from backend.datasets.models import Release
from backend.models import Job, Upload
from backend.training.models import Checkpoint, Evaluation, TrainingRun
from tests.annotator_ui import aligning, desk
from workers.art import check_job

ENDED = {"lease_until": "2026-01-01T00:00Z", "finished_at": "2026-01-01T00:00Z", "active_ms": 41_000}


def everywhere(people: SimpleNamespace) -> SimpleNamespace:
    """{batch, case, user}: the batch, leo, and leo's art assignment with a version that is refused after one that came back."""
    batch = desk.make_batch(asks_review=True, allows_neither=True)
    desk.make_practice()
    first = batch.candidates.order_by("seed").first()
    assert first is not None
    enqueue(batch, [desk.store_target(7, drawn=False)])
    _task(batch, 8, "align")
    aligning.submitted(_task(batch, 9, "align"), people.ada)
    _rated(batch, people.ada)
    _found_again(batch, people)
    Anchor.objects.create(batch=batch, candidate=first, r=0.8, note="좋은 예")
    for kind in ("problem", "outside_taxonomy"):
        Problem.objects.create(
            object=first.object,
            batch=batch,
            user=people.ada,
            kind=kind,
            stage="select",
            note="마스크가 다릅니다",
            key=uuid.uuid4(),
        )
    Job.objects.create(
        kind="propose",
        key="broken",
        queue="gpu",
        group=f"propose:{batch.pk}:{first.object_id}",
        state="failed",
        error="고장",
    )
    case = _art(batch, people)
    _trained(batch)
    return SimpleNamespace(batch=batch, case=case, user=people.leo)


def _task(batch: Batch, number: int, stage: str, *, state: str = "open", **fields: Any) -> Task:
    """A task on one more object with candidates."""
    target = desk.store_target(number)
    candidate = desk.store_candidates(batch, target)[0]
    fields |= {"candidate": candidate} if stage == "align" else {}
    return Task.objects.create(batch=batch, object=target, stage=stage, state=state, **fields)


def _answered(task: Task, user: Any, state: str = "submitted", **fields: Any) -> Assignment:
    candidates = list(task.object.candidates.order_by("seed"))
    return Assignment.objects.create(
        task=task, user=user, batch=task.batch, stage=task.stage, state=state,
        survivor=candidates[0], bracket=[each.pk for each in candidates], **ENDED, **fields,
    )  # fmt: skip


def _rated(batch: Batch, by: Any) -> None:
    """A rating under review."""
    row = _answered(_task(batch, 10, "compare", state="done", n_done=1), by)
    Rating.objects.create(assignment=row, candidate=row.survivor, r=0.9, reasons=["occlusion"])


def _found_again(batch: Batch, people: SimpleNamespace) -> None:
    """What leo put aside, and what came back to him."""
    _answered(_task(batch, 11, "compare"), people.leo, "postponed", reason="나중에")
    old = _task(batch, 12, "compare", state="done", n_done=1)
    Review.objects.create(
        assignment=_answered(old, people.leo), reviewer=people.rev, verdict="return", note="다시 보십시오"
    )
    Task.objects.create(
        batch=batch, object=old.object, stage="compare", state="open", round=2, note="다시 보십시오"
    )


def _art(batch: Batch, people: SimpleNamespace) -> Assignment:
    """Three cases: one free, one of art's under review, and leo's, which came back and was sent again."""
    for number in (13, 14, 15):
        _task(batch, number, "compare", state="escalated", reason="occlusion", note="가려져 있습니다")
    art3do.curate(batch, name="hard", by=people.leo)
    sent(people.art, claimed(people.art), ball())
    own = claimed(people.leo)
    back = sent(people.leo, own, ball())
    art3do.pin(people.leo, back, key=uuid.uuid4(), text="여기가 두껍습니다", point=[0, 0, 1])
    sent(people.leo, own, ball())  # replaces the one before
    art3do.judge(people.rev, own.submissions.latest("version").pk, verdict="return", note="더 얇게")
    sent(people.leo, own, b"not a mesh")
    return own


def empty_hands(user: Any) -> None:
    """Give back what a page has leased, so that the next one finds work of its own stage."""
    for row in Assignment.objects.filter(user=user, state="leased").exclude(stage="art"):
        queue.end(user, row.pk, row.fence, state=Assignment.State.RELEASED)


def claimed(user: Any) -> Assignment:
    """An art case in a person's hands."""
    return Assignment.objects.get(pk=queue.claim_art(user))


def ball() -> bytes:
    """A GLB with a hole and a speck, so that the report has something to say."""
    mesh = trimesh.creation.icosphere(subdivisions=3, radius=0.5)
    mesh.update_faces([number > 1 for number in range(len(mesh.faces))])
    speck = trimesh.creation.icosphere(subdivisions=1, radius=0.004).apply_translation([0.6, 0, 0])
    return bytes(trimesh.util.concatenate([mesh, speck]).export(file_type="glb"))


def sent(user: Any, case: Assignment, data: bytes) -> ArtSubmission:
    """A mesh that was sent and checked, as the worker does it."""
    blob = storage.put(data, "application/octet-stream")
    upload = Upload.objects.create(user=user, filename="cup.glb", size=blob.size, state="stored", blob=blob)
    row = art3do.submit(user, case.pk, fence=case.fence, key=uuid.uuid4(), upload=upload)
    assert row.job is not None
    check_job(row.job)
    Job.objects.filter(pk=row.job_id).update(state="done")
    row.refresh_from_db()
    return row


def _trained(batch: Batch) -> None:
    """Releases of both kinds, a run of every end, a checkpoint with its card and its evaluation."""
    for kind, state in (("sft", "frozen"), ("dpo", "frozen"), ("sft", "building"), ("sft", "failed")):
        row = Release.objects.create(kind=kind, rows=2, counts={"rows": 2, "simulated": 1}, sha256="12" * 32)
        row.batches.add(batch)
        Release.objects.filter(pk=row.pk).update(state=state)
    blob = storage.put(b"weights", "application/octet-stream")
    for stage in ("pretrain", "midtrain", "sft", "dpo", "distill"):
        run = TrainingRun.objects.create(stage=stage, state="done", log=[{"step": 1, "loss": 0.5}])
    made = Checkpoint.objects.create(
        name="cup-1", run=run, weights=blob, config={"depth": 2}, card={"rows": 2, "model": "geometry"}
    )
    Evaluation.objects.create(checkpoint=made, metrics={"iou": 0.5, "against": {"iou": 0.4}})
