"""Review of submitted alignments and ratings: accept, fix, or send back as a new round."""

from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Prefetch, QuerySet

from backend.accounts.access import ApiError, record
from backend.accounts.models import User
from backend.annotation import answers, payload
from backend.annotation.models import Alignment, Assignment, Review, Task


def pending(stage: str, batch: str | None) -> QuerySet[Assignment]:
    """Submitted assignments without a verdict, in batches that ask for review (or in one named batch)."""
    if stage not in {Task.Stage.ALIGN, Task.Stage.COMPARE}:
        raise ApiError(400, "invalid", "stage is align or compare", {"stage": ["unknown"]})
    rows = Assignment.objects.filter(stage=stage, state=Assignment.State.SUBMITTED, review__isnull=True)
    if batch:
        if not batch.isdigit():
            raise ApiError(400, "invalid", "batch is a number", {"batch": ["not a number"]})
        rows = rows.filter(batch_id=int(batch))
    else:
        rows = rows.filter(batch__asks_review=True)
    poses = Prefetch("alignments", queryset=Alignment.objects.select_related("pointmap").order_by("version"))
    return rows.select_related("task__object__image", "survivor", "user", "rating", "batch").prefetch_related(
        poses
    )


def describe(row: Assignment) -> dict[str, Any]:
    """One row of the review list; who answered is shown, which model proposed is not."""
    target = row.task.object
    poses = list(row.alignments.all())
    rating = getattr(row, "rating", None)
    return {
        "assignment_id": row.pk,
        "stage": row.stage,
        "batch": row.batch.name,
        "batch_id": row.batch_id,
        "user": row.user.username,
        "at": row.finished_at,
        "object": {
            "id": target.pk,
            "category": target.category,
            "width": target.image.width,
            "height": target.image.height,
            "photo_url": f"{payload.API}/images/{target.image_id}/photo/",
            "mask_url": f"{payload.API}/objects/{target.pk}/mask.png" if target.mask_id else None,
            "camera": poses[-1].pointmap.camera if poses else None,
            "points_url": f"{payload.API}/objects/{target.pk}/points.bin" if poses else None,
        },
        "candidate": payload.candidate(row.survivor) if row.survivor else None,
        "pose": {"R": poses[-1].R, "t": poses[-1].t, "s": poses[-1].s} if poses else None,
        "iou": poses[-1].iou if poses else None,
        "version": poses[-1].version if poses else 0,
        "r": rating.r if rating else None,
        "alpha": row.batch.alpha,
    }


def judge(
    reviewer: User, assignment_id: int, *, verdict: str, note: str, pose: dict[str, Any] | None
) -> Review:
    """Store a verdict once. «fix» adds the reviewer's pose as a new version; «return» opens a new round of the task."""
    with transaction.atomic():
        rows = Assignment.objects.select_for_update().filter(
            pk=assignment_id, state=Assignment.State.SUBMITTED
        )
        assignment = rows.exclude(stage__in=[Task.Stage.ART, Task.Stage.SELECT]).first()
        if assignment is None:
            raise ApiError(404, "not_found", "There is no submitted assignment of this number to review.")
        if assignment.user_id == reviewer.pk:
            raise ApiError(403, "own_work", "Somebody else reviews your own answers.")
        known = Review.objects.filter(assignment=assignment).first()
        if known is not None:
            if known.reviewer_id == reviewer.pk and known.verdict == verdict:
                return known
            raise ApiError(409, "already_reviewed", "This assignment has a verdict already.")
        if verdict == Review.Verdict.FIX:
            if pose is None:
                raise ApiError(400, "invalid", "A fix needs your pose.", {"pose": ["required"]})
            answers.repose(reviewer, assignment, pose["R"], pose["t"], pose["s"])
        try:
            with transaction.atomic():
                row = Review.objects.create(
                    assignment=assignment, reviewer=reviewer, verdict=verdict, note=note
                )
        except IntegrityError:
            raise ApiError(409, "already_reviewed", "This assignment has a verdict already.") from None
        if verdict == Review.Verdict.RETURN:
            reopen(assignment, note)
        record(reviewer, f"review_{verdict}", f"assignment:{assignment_id}")
        return row


def reopen(assignment: Assignment, note: str) -> None:
    """A returned answer leaves its task as it was and opens the next round, with the reviewer's words."""
    old = Task.objects.get(pk=assignment.task_id)
    Task.objects.bulk_create(
        [
            Task(
                batch_id=old.batch_id,
                object_id=old.object_id,
                stage=old.stage,
                round=old.round + 1,
                state=Task.State.OPEN,
                candidate_id=old.candidate_id,
                priority=old.priority + 1,
                sort_key=old.sort_key,
                note=note,
            )
        ],
        ignore_conflicts=True,
    )
