"""Verbs of Stage 2.5: curate hard cases into an Art-3DO batch, take artists' meshes, have them repaired, judge them.

Meshes are parsed by workers/art.py; nothing here reads a user's bytes.
"""

import uuid
from collections import defaultdict
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import Exists, F, Max, OuterRef
from django.db.models.functions import Coalesce
from django.utils import timezone
from django.utils.translation import gettext as _

from backend import jobs, storage
from backend.accounts.access import ApiError, record
from backend.annotation import services as queue
from backend.annotation.models import Assignment, Rating, Task
from backend.art3do.models import ArtSubmission, MeshReport, Pin
from backend.catalog.models import Batch, Mesh
from backend.catalog.services import create_batch
from backend.models import Upload
from backend.proposals.models import Candidate, Proposer
from backend.proposals.services import publish
from backend.words import word

State = ArtSubmission.State
MOST_PINS = 200
# What model_zoo.report.repairs can do, named here because this side does not import it; a test holds them together.
FIXES = (
    "to_metres", "turn_y_up", "merge_vertices", "remove_degenerate", "remove_duplicates", "remove_floaters",
    "fill_small_holes", "orient_normals", "flip_inside_out", "decimate", "shrink_textures",
)  # fmt: skip


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
        raise ApiError(409, "nothing_to_curate", _("No escalated object of this batch waits for an artist."))
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
        raise ApiError(
            409, "name_taken", _("There is a batch of this name."), {"name": [_("taken")]}
        ) from None
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
    assignment = _own(user, assignment_id)
    job_key = f"check_submission:{assignment_id}:{key}"
    known = _known(assignment, job_key)
    if known is not None:
        return known
    _check_held(assignment, fence)
    return _next_version(assignment, upload, job_key)


@transaction.atomic
def repair(user: Any, submission_id: int, *, fixes: Sequence[str], key: UUID) -> ArtSubmission:
    """Have a worker repair a version and check the result as the next version; the same key again gives that one."""
    source = ArtSubmission.objects.filter(pk=submission_id, assignment__user=user).first()
    if source is None:
        raise ApiError(404, "not_found", _("You have no such submission."))
    assignment = _own(user, source.assignment_id)
    job_key = f"repair_submission:{submission_id}:{key}"
    known = _known(assignment, job_key)
    if known is not None:
        return known
    _check_held(assignment, assignment.fence)
    if source.state == State.CHECKING:
        raise ApiError(409, "checking", _("This version is still being checked."))
    row = _next_version(assignment, source.upload, job_key, repaired_from=source, fixes=sorted(set(fixes)))
    record(user, "art_repair", f"submission:{row.pk}", source=source.pk, fixes=row.fixes)
    return row


def keep_repaired(row: ArtSubmission, upload: Upload) -> None:
    """The repaired file takes the place of the one that it was made from. Repeatable."""
    ArtSubmission.objects.filter(pk=row.pk, state=State.CHECKING).update(upload=upload)


def _own(user: Any, assignment_id: int) -> Assignment:
    rows = Assignment.objects.select_for_update(of=("self",)).filter(user=user, stage=Task.Stage.ART)
    assignment = rows.filter(pk=assignment_id).first()
    if assignment is None:
        raise ApiError(404, "not_found", _("You have no such assignment."))
    return assignment


def _known(assignment: Assignment, job_key: str) -> ArtSubmission | None:
    rows = ArtSubmission.objects.select_related("job").filter(assignment=assignment)
    return rows.filter(job__key=job_key).first()


def _check_held(assignment: Assignment, fence: int) -> None:
    if assignment.state == Assignment.State.SUBMITTED:
        raise ApiError(409, "already_submitted", _("This case is finished."))
    if assignment.state != Assignment.State.LEASED or assignment.fence != fence:
        raise queue.lease_lost()


def _next_version(assignment: Assignment, upload: Upload, job_key: str, **fields: Any) -> ArtSubmission:
    """The next version of a case, and the job that its kind of key names."""
    last = ArtSubmission.objects.filter(task=assignment.task_id).aggregate(top=Max("version"))["top"] or 0
    row = ArtSubmission.objects.create(
        task_id=assignment.task_id, assignment=assignment, version=last + 1, upload=upload, **fields
    )
    kind = job_key.partition(":")[0]
    row.job = jobs.send(kind, key=job_key, args={"submission": row.pk}, by=assignment.user)
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
    findings: list[dict[str, Any]],
    figures: dict[str, Any],
    mesh: Mesh | None,
    pictures: Sequence[str] = (),
) -> None:
    """Store what the check found: the submission goes to review, or is refused with what to mend. Once."""
    moved = ArtSubmission.objects.filter(pk=submission.pk, state=State.CHECKING)
    if not moved.update(state=State.IN_REVIEW if ok else State.REFUSED, mesh=mesh):
        return
    MeshReport.objects.create(
        submission=submission, ok=ok, findings=findings, figures=figures, pictures=list(pictures)
    )
    if ok:
        older = ArtSubmission.objects.filter(assignment=submission.assignment_id, state=State.IN_REVIEW)
        older.filter(version__lt=submission.version).update(
            state=State.RETURNED,
            note=f"replaced by version {submission.version}",  # the pages say it in the reader's language
        )


@transaction.atomic
def judge(
    reviewer: Any, submission_id: int, *, verdict: str, note: str, pins: Sequence[dict[str, Any]] = ()
) -> ArtSubmission:
    """Approve a submission, which makes it a candidate and ends the case, or return it with a note and pins.

    Repeatable: the same verdict again changes and pins nothing.
    """
    rows = ArtSubmission.objects.select_for_update(of=("self",)).select_related(
        "assignment", "task__batch", "mesh"
    )
    row = rows.filter(pk=submission_id).first()
    if row is None:
        raise ApiError(404, "not_found", _("There is no such submission."))
    if row.assignment.user_id == reviewer.pk:
        raise ApiError(403, "own_work", _("Somebody else reviews your own meshes."))
    wanted = State.APPROVED if verdict == "approve" else State.RETURNED
    if row.state == wanted:
        return row
    if row.state != State.IN_REVIEW:
        raise ApiError(
            409, "not_in_review", _("This submission is %(state)s.") % {"state": word(row.state)}
        )
    ArtSubmission.objects.filter(pk=row.pk).update(state=wanted, note=note)
    row.state, row.note = wanted, note
    for each in pins:
        pin(reviewer, row, key=uuid.uuid4(), **each)
    if wanted == State.APPROVED:
        _accept(row)
    else:
        # The lease stays with the artist, or was taken back: either way the case is open again, with the note on it.
        Task.objects.filter(pk=row.task_id).update(note=note)
        _renew(row.assignment_id)
    record(reviewer, f"art_{verdict}", f"submission:{row.pk}")
    return row


def pin(by: Any, submission: ArtSubmission, *, key: UUID, text: str, point: list[float] | None = None) -> Pin:
    """Pin a remark to a submission; the same key again gives the stored one."""
    known = Pin.objects.filter(key=key).first()
    if known is None:
        if submission.pins.count() >= MOST_PINS:
            raise ApiError(
                409, "too_many_pins", _("A version carries at most %(n)s pins.") % {"n": MOST_PINS}
            )
        try:
            with transaction.atomic():
                known = Pin.objects.create(submission=submission, by=by, key=key, text=text, point=point)
        except IntegrityError:  # the same pin at the same moment
            known = Pin.objects.get(key=key)
    if (known.submission_id, known.by_id) != (submission.pk, by.pk):
        raise ApiError(409, "key_used", _("This key was used for another pin."))
    return known


def _accept(row: ArtSubmission) -> None:
    """The mesh becomes a candidate on the pose that the check placed it with, and its alignment opens."""
    figures = row.report.figures
    proposer, _new = Proposer.objects.get_or_create(
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
