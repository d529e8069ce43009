"""Review of submitted alignments and ratings: accept, fix, or send back as a new round."""

from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import OuterRef, QuerySet, Subquery
from django.utils.translation import gettext as _

from backend.accounts.access import ApiError, record
from backend.accounts.models import User
from backend.annotation import answers, payload, routing, services
from backend.annotation.models import Alignment, Assignment, Review, Task
from backend.catalog.models import Pointmap
from backend.proposals.models import Candidate

STAGES = (Task.Stage.ALIGN, Task.Stage.COMPARE)


def pending(reviewer: User, stage: str, batch: str | None) -> QuerySet[Assignment]:
    """Other people's alignments or ratings without a verdict, in batches that ask for review (or in one named batch)."""
    if stage not in STAGES:
        raise ApiError(400, "invalid", _("stage is align or compare"), {"stage": [_("unknown")]})
    rows = Assignment.objects.filter(stage=stage, state=Assignment.State.SUBMITTED, review__isnull=True)
    rows = rows.filter(task__object__image__removed_at=None)
    if stage == Task.Stage.COMPARE:
        rows = rows.filter(rating__isnull=False)
    if batch:
        if not batch.isdigit() or len(batch) > 18:
            raise ApiError(400, "invalid", _("batch is a number"), {"batch": [_("not a number")]})
        rows = rows.filter(batch_id=int(batch))
    else:
        rows = rows.filter(batch__asks_review=True)
    last = Alignment.objects.filter(assignment=OuterRef("pk")).order_by("-version")
    measured = {"iou": Subquery(last.values("iou")[:1]), "residual": Subquery(last.values("depth_residual")[:1])}
    rows = rows.exclude(user=reviewer).annotate(**measured)
    return rows.select_related("task__object", "user", "rating", "batch")


def describe(row: Assignment) -> dict[str, Any]:
    """One row of the review list; who answered is shown, which model proposed is not."""
    rating = getattr(row, "rating", None)
    return {
        "assignment_id": row.pk,
        "stage": row.stage,
        "round": row.task.round,
        "batch": row.batch.name,
        "batch_id": row.batch_id,
        "user": row.user.username,
        "at": row.finished_at,
        "object": {"id": row.task.object_id, "category": row.task.object.category},
        "iou": getattr(row, "iou", None),
        "depth_residual": getattr(row, "residual", None),
        "r": rating.r if rating else None,
        "alpha": row.batch.alpha,
    }


def detail(assignment_id: int) -> dict[str, Any]:
    """A submitted alignment or rating with all that its verdict needs: photo, mesh, poses before and after, history."""
    rows = Assignment.objects.select_related("task__object__image", "survivor", "user", "rating", "batch")
    row = rows.filter(pk=assignment_id, state=Assignment.State.SUBMITTED, stage__in=STAGES).first()
    if row is None:
        raise _missing()
    target, rating = row.task.object, getattr(row, "rating", None)
    poses = list(row.alignments.select_related("pointmap", "by").order_by("version"))
    last = poses[-1] if poses else None
    newest = Pointmap.objects.filter(image_id=target.image_id).order_by("-id").first()
    pointmap = last.pointmap if last else newest
    return {
        **describe(row),
        "iou": last.iou if last else None,
        "depth_residual": last.depth_residual if last else None,
        "active_ms": row.active_ms,
        "object": {
            "id": target.pk,
            "category": target.category,
            "width": target.image.width,
            "height": target.image.height,
            "photo_url": f"{payload.API}/images/{target.image_id}/photo/",
            "mask_url": f"{payload.API}/objects/{target.pk}/mask.png" if target.mask_id else None,
            "points_url": f"{payload.API}/objects/{target.pk}/points.bin" if newest and newest.points_id else None,
            "camera": pointmap.camera if pointmap else None,
        },
        "candidate": payload.candidate(row.survivor) if row.survivor else None,
        "others": _others(row),
        "versions": [_version(pose) for pose in poses],
        "reasons": rating.reasons if rating else [],
        "scale": row.batch.scale,
        "history": _history(row),
        "review": _verdict(Review.objects.select_related("reviewer").filter(assignment=row).first()),
    }


def _missing() -> ApiError:
    return ApiError(404, "not_found", _("There is no submitted assignment of this number to review."))


def _version(pose: Alignment) -> dict[str, Any]:
    return {
        "version": pose.version,
        "by": pose.by.username,
        "at": pose.at,
        "pose": {"R": pose.R, "t": pose.t, "s": pose.s},
        "iou": pose.iou,
        "depth_residual": pose.depth_residual,
        "active_ms": pose.active_ms,
    }


def _others(row: Assignment) -> list[dict[str, Any]]:
    """What else was in the bracket of a rating, in the order of showing."""
    cards = {each.pk: payload.candidate(each) for each in Candidate.objects.filter(pk__in=row.bracket)}
    return [cards[pk] for pk in row.bracket if pk in cards and pk != row.survivor_id]


def _history(row: Assignment) -> list[dict[str, Any]]:
    """Verdicts on earlier rounds of this object, oldest first."""
    earlier = Review.objects.select_related("reviewer", "assignment__user").filter(
        assignment__batch_id=row.batch_id,
        assignment__stage=row.stage,
        assignment__task__object_id=row.task.object_id,
        assignment__task__round__lt=row.task.round,
    )
    return [{**_verdict(each), "user": each.assignment.user.username} for each in earlier.order_by("id")]


def _verdict(review: Review | None) -> Any:
    if review is None:
        return None
    return {
        "verdict": review.verdict,
        "reviewer": review.reviewer.username,
        "note": review.note,
        "r": review.r,
        "at": review.at,
    }


@transaction.atomic
def judge(
    reviewer: User,
    assignment_id: int,
    *,
    verdict: str,
    note: str = "",
    pose: dict[str, Any] | None = None,
    r: float | None = None,
) -> Review:
    """Store a verdict once.

    «fix» adds the reviewer's pose as a new version, or the reviewer's r, which counts from then on; «return» opens a
    new round of the task. The object goes where its ratings then say.
    """
    rows = Assignment.objects.select_for_update(of=("self",)).select_related("batch")
    assignment = rows.filter(
        pk=assignment_id, state=Assignment.State.SUBMITTED, stage__in=STAGES
    ).first()
    if assignment is None:
        raise _missing()
    if assignment.user_id == reviewer.pk:
        raise ApiError(403, "own_work", _("Somebody else reviews your own answers."))
    rated = assignment.stage == Task.Stage.COMPARE
    r = r if rated and verdict == Review.Verdict.FIX else None
    last = assignment.alignments.order_by("-version").first()
    known = Review.objects.filter(assignment=assignment).first()
    if known is not None:
        same = (known.reviewer_id, known.verdict, known.r) == (reviewer.pk, verdict, r)
        if same and (pose is None or _is_at(last, pose)):
            return known
        raise _judged()
    if verdict == Review.Verdict.RETURN and not note.strip():
        raise ApiError(400, "invalid", _("Say what is to be done again."), {"note": [_("required")]})
    if verdict == Review.Verdict.FIX:
        _check_fix(assignment, last, pose, r)
    try:
        with transaction.atomic():
            row = Review.objects.create(
                assignment=assignment,
                reviewer=reviewer,
                verdict=verdict,
                note=note,
                r=r,
            )
    except IntegrityError:
        raise _judged() from None
    if verdict == Review.Verdict.FIX and not rated:
        assert last is not None and pose is not None
        answers.repose(reviewer, last, pose)
    if verdict == Review.Verdict.RETURN:
        reopen(assignment, note)
    if rated and verdict != Review.Verdict.ACCEPT:
        reroute(assignment)
    record(reviewer, f"review_{verdict}", f"assignment:{assignment_id}")
    return row


def _judged() -> ApiError:
    return ApiError(409, "already_reviewed", _("This assignment has a verdict already."))


def _is_at(last: Alignment | None, pose: dict[str, Any]) -> bool:
    return last is not None and (last.R, last.t, last.s) == (pose["R"], pose["t"], pose["s"])


def _check_fix(
    assignment: Assignment, last: Alignment | None, pose: dict[str, Any] | None, r: float | None
) -> None:
    if assignment.stage == Task.Stage.COMPARE:
        if not hasattr(assignment, "rating"):
            raise ApiError(409, "nothing_to_fix", _("This assignment has no rating."))
        if r is None:
            raise ApiError(400, "invalid", _("A fix needs your rating."), {"r": [_("required")]})
        return
    if last is None:
        raise ApiError(409, "nothing_to_fix", _("This assignment has no alignment."))
    if pose is None:
        raise ApiError(400, "invalid", _("A fix needs your pose."), {"pose": [_("required")]})


def reroute(assignment: Assignment) -> None:
    """Send the object of a finished compare task where its ratings say after a verdict: to Stage 3, or to the artists."""
    task = Task.objects.select_for_update().get(pk=assignment.task_id)
    if task.state not in {Task.State.DONE, Task.State.ESCALATED} or task.n_done < task.needed:
        return
    best = routing.best_rated(task.pk)
    if best is not None and best[1] >= assignment.batch.alpha:
        Task.objects.filter(pk=task.pk).update(state=Task.State.DONE, reason="")
        if assignment.batch.asks_alignment:
            services.open_align(task.batch_id, task.object_id, best[0])
        return
    services.close_align(task.batch_id, task.object_id)
    # With nothing left but answers that were sent back, the new round decides.
    state, reason = (Task.State.DONE, "") if best is None else (Task.State.ESCALATED, "below alpha")
    Task.objects.filter(pk=task.pk).exclude(state=state).update(state=state, reason=reason)


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
