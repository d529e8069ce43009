"""Verbs of Stage 2.5: curate hard cases into an Art-3DO batch, take artists' meshes, judge them.

Meshes are parsed by workers/art.py; nothing here reads a user's bytes.
"""

import json
import zipfile
from collections import defaultdict
from collections.abc import Iterator
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import Exists, F, Max, OuterRef
from django.db.models.functions import Coalesce
from django.utils import timezone

from backend import jobs, storage
from backend.accounts.access import ApiError, record
from backend.annotation import services as queue
from backend.annotation.models import Assignment, Rating, Task
from backend.art3do.models import ArtSubmission, MeshReport
from backend.catalog.models import Batch, Mesh, TargetObject
from backend.catalog.services import best_pointmap, create_batch
from backend.models import Blob, Upload
from backend.proposals.models import Candidate, Proposer
from backend.proposals.services import publish

State = ArtSubmission.State
ZIP_DATE = (1980, 1, 1, 0, 0, 0)


def curate(
    source: Batch, *, name: str, tasks: list[int] | None = None, reasons: list[str] | None = None,
    count: int | None = None, by: Any = None,
) -> tuple[Batch, int]:  # fmt: skip
    """An Art-3DO batch from escalated objects of `source`: the given tasks, or up to `count`, evenly over the reasons.

    Objects that are an art case already are left out. Returns the batch and how many cases it got.
    """
    known = Task.objects.filter(object_id=OuterRef("object_id"), stage=Task.Stage.ART).exclude(
        state="cancelled"
    )
    rows = (
        source.tasks.filter(state=Task.State.ESCALATED).exclude(stage=Task.Stage.ART).exclude(Exists(known))
    )
    if tasks is not None:
        rows = rows.filter(pk__in=tasks)
    if reasons is not None:
        rows = rows.filter(reason__in=reasons)
    chosen = evenly(list(rows.order_by("-priority", "sort_key", "id")), count)
    if not chosen:
        raise ApiError(409, "nothing_to_curate", "No escalated object of this batch waits for an artist.")
    try:
        with transaction.atomic():
            batch = create_batch(
                name=name, kind=Batch.Kind.ART, alpha=source.alpha, asks_alignment=source.asks_alignment,
                asks_review=source.asks_review, instructions=source.instructions, by=by,
            )  # fmt: skip
            best = best_candidates([task.object_id for task in chosen])
            Task.objects.bulk_create(
                Task(
                    batch=batch,
                    object_id=task.object_id,
                    stage=Task.Stage.ART,
                    state=Task.State.OPEN,
                    candidate=best.get(task.object_id),
                    reason=task.reason,
                    note=task.note,
                    sort_key=place,
                )  # fmt: skip
                for place, task in enumerate(chosen)
            )
            record(by, "curate", f"batch:{batch.pk}", source=source.name, cases=len(chosen))
    except IntegrityError:
        raise ApiError(409, "name_taken", "There is a batch of this name.", {"name": ["taken"]}) from None
    return batch, len(chosen)


def evenly(tasks: list[Task], count: int | None) -> list[Task]:
    """Up to `count` tasks, one object once, taken in turn from each reason so that no kind of difficulty drowns the others."""
    by_reason: dict[str, list[Task]] = defaultdict(list)
    for task in {task.object_id: task for task in reversed(tasks)}.values():
        by_reason[task.reason].append(task)
    turns = [list(reversed(group)) for _, group in sorted(by_reason.items())]
    picked = [
        group[turn] for turn in range(max(map(len, turns), default=0)) for group in turns if turn < len(group)
    ]
    return picked if count is None else picked[:count]


def best_candidates(object_ids: list[int]) -> dict[int, Candidate]:
    """For each object the candidate that people rated highest, else the proposers' own best."""
    found: dict[int, Candidate] = {}
    ready = Candidate.objects.filter(object__in=object_ids, state=Candidate.State.READY).exclude(
        proposer__kind="artist"
    )
    for candidate in ready.order_by("score", "-id"):
        found[candidate.object_id] = candidate
    rated = Rating.objects.filter(candidate__object__in=object_ids).select_related("candidate")
    rated = rated.annotate(counts=Coalesce("assignment__review__r", "r"))
    for rating in rated.order_by("counts", "-id"):
        found[rating.candidate.object_id] = rating.candidate
    return found


@transaction.atomic
def submit(user: Any, assignment_id: int, *, fence: int, key: UUID, upload: Upload) -> ArtSubmission:
    """Take a mesh for an art task and have a worker check it; the same key again gives the stored submission."""
    rows = Assignment.objects.select_for_update(of=("self",)).filter(user=user, stage=Task.Stage.ART)
    assignment = rows.filter(pk=assignment_id).first()
    if assignment is None:
        raise ApiError(404, "not_found", "You have no such assignment.")
    job_key = f"check_submission:{assignment_id}:{key}"
    known = (
        ArtSubmission.objects.select_related("job").filter(assignment=assignment, job__key=job_key).first()
    )
    if known is not None:
        return known
    if assignment.state == Assignment.State.SUBMITTED:
        raise ApiError(409, "already_submitted", "This case is finished.")
    if assignment.state != Assignment.State.LEASED or assignment.fence != fence:
        raise queue.lease_lost()
    last = ArtSubmission.objects.filter(task=assignment.task_id).aggregate(top=Max("version"))["top"] or 0
    row = ArtSubmission.objects.create(
        task_id=assignment.task_id, assignment=assignment, version=last + 1, upload=upload
    )
    row.job = jobs.send("check_submission", key=job_key, args={"submission": row.pk}, by=user)
    row.save(update_fields=["job"])
    _renew(assignment.pk)
    return row


def _renew(assignment_id: int) -> None:
    rows = Assignment.objects.filter(pk=assignment_id, state=Assignment.State.LEASED)
    rows.update(lease_until=timezone.now() + queue.ART_LEASE)


@transaction.atomic
def conclude(
    submission: ArtSubmission,
    *,
    ok: bool,
    findings: list[dict[str, str]],
    figures: dict[str, Any],
    mesh: Mesh | None,
) -> None:
    """Store what the check found: the submission goes to review, or is refused with what to mend. Once."""
    moved = ArtSubmission.objects.filter(pk=submission.pk, state=State.CHECKING)
    if not moved.update(state=State.IN_REVIEW if ok else State.REFUSED, mesh=mesh):
        return
    MeshReport.objects.create(submission=submission, ok=ok, findings=findings, figures=figures)
    if ok:
        older = ArtSubmission.objects.filter(assignment=submission.assignment_id, state=State.IN_REVIEW)
        older.filter(version__lt=submission.version).update(
            state=State.RETURNED, note=f"replaced by version {submission.version}"
        )


@transaction.atomic
def judge(reviewer: Any, submission_id: int, *, verdict: str, note: str) -> ArtSubmission:
    """Approve a submission, which makes it a candidate and ends the case, or return it with a note. Repeatable."""
    rows = ArtSubmission.objects.select_for_update(of=("self",)).select_related(
        "assignment", "task__batch", "mesh"
    )
    row = rows.filter(pk=submission_id).first()
    if row is None:
        raise ApiError(404, "not_found", "There is no such submission.")
    if row.assignment.user_id == reviewer.pk:
        raise ApiError(403, "own_work", "Somebody else reviews your own meshes.")
    wanted = State.APPROVED if verdict == "approve" else State.RETURNED
    if row.state == wanted:
        return row
    if row.state != State.IN_REVIEW:
        raise ApiError(409, "not_in_review", f"This submission is {row.state.replace('_', ' ')}.")
    ArtSubmission.objects.filter(pk=row.pk).update(state=wanted, note=note)
    row.state, row.note = wanted, note
    if wanted == State.APPROVED:
        _accept(row)
    else:
        # The lease stays with the artist, or was taken back: either way the case is open again, with the note on it.
        Task.objects.filter(pk=row.task_id).update(note=note)
        _renew(row.assignment_id)
    record(reviewer, f"art_{verdict}", f"submission:{row.pk}")
    return row


def _accept(row: ArtSubmission) -> None:
    """The mesh becomes a candidate on the pose that the check placed it with, and its alignment opens."""
    figures = row.report.figures
    proposer, _ = Proposer.objects.get_or_create(
        name="artist", defaults={"kind": Proposer.Kind.ARTIST, "active": False, "share": 0}
    )
    candidate, new = Candidate.objects.get_or_create(
        batch=row.task.batch, object_id=row.task.object_id, proposer=proposer, seed=row.version,
        defaults={
            "job": row.job, "mesh": row.mesh, "viewer_id": figures["viewer"], "thumbnail_id": figures["thumbnail"],
            "pointmap_source": figures["pointmap_source"], **figures["placement"],
        },
    )  # fmt: skip
    if new:
        publish(candidate.key, storage.read(figures["viewer"]), storage.read(figures["thumbnail"]))
    others = Assignment.objects.filter(task=row.task_id, state=Assignment.State.LEASED).exclude(
        pk=row.assignment_id
    )
    others.update(
        state=Assignment.State.RELEASED, finished_at=timezone.now(), reason="solved by another artist"
    )
    Assignment.objects.filter(pk=row.assignment_id).update(
        state=Assignment.State.SUBMITTED, survivor=candidate, finished_at=timezone.now()
    )
    Task.objects.filter(pk=row.task_id).update(
        n_leased=0, n_done=F("needed"), state=Task.State.DONE, candidate=candidate
    )
    if row.task.batch.asks_alignment:
        queue.open_align(row.task.batch_id, row.task.object_id, candidate.pk)


class _Pipe:
    """A file that zipfile writes to and that gives the bytes on."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def write(self, data: bytes) -> int:
        self._parts.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        """Nothing is held back."""

    def take(self) -> bytes:
        """What was written since the last call."""
        data, self._parts = b"".join(self._parts), []
        return data


def starter(target: TargetObject) -> Iterator[bytes]:
    """A ZIP for the artist's own tool, streamed: photo, mask, pointmap with camera, and the best candidate so far."""
    pointmap = best_pointmap(target.image)
    candidate = best_candidates([target.pk]).get(target.pk)
    parts: list[tuple[str, Blob | None]] = [("photo.jpg", target.image.display), ("mask.png", target.mask)]
    parts.append(("pointmap.npz", pointmap.blob if pointmap else None))
    parts.append(("candidate.glb", candidate.mesh.blob if candidate else None))
    pipe: Any = _Pipe()
    with zipfile.ZipFile(pipe, "w") as archive:
        for name, blob in parts:
            if blob is None:
                continue
            with archive.open(zipfile.ZipInfo(name, ZIP_DATE), "w", force_zip64=True) as member:
                for chunk in storage.stream(blob):
                    member.write(chunk)
                    yield pipe.take()
        archive.writestr(zipfile.ZipInfo("camera.json", ZIP_DATE), _camera(pointmap, candidate))
    yield pipe.take()


def _camera(pointmap: Any, candidate: Candidate | None) -> str:
    """Intrinsics of the photo, and the pose p_cam = R diag(s) p_glb + t of candidate.glb in that camera (OpenCV)."""
    pose = {"R": candidate.R, "t": candidate.t, "s": candidate.s} if candidate else None
    facts = {
        "camera": pointmap.camera if pointmap else None,
        "pointmap_source": pointmap.source if pointmap else None,
    }
    return json.dumps({**facts, "candidate_pose": pose}, indent=1) + "\n"
