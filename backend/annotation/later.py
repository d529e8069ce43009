"""Work that is found again: put aside and taken up, in hand, or sent back by a reviewer."""

from collections.abc import Iterable
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.utils.translation import gettext as _

from backend.accounts.access import ApiError, record
from backend.accounts.models import User
from backend.annotation import payload, services
from backend.annotation.models import Assignment, Review, Task
from backend.catalog.models import Batch
from backend.words import word

MOST = 50


def postpone(user: User, assignment_id: int, fence: int, reason: str) -> None:
    """Give the lease back and keep what is there: bracket, answers, draft. Others may take the task meanwhile."""
    services.end(user, assignment_id, fence, state=Assignment.State.POSTPONED, reason=reason)


def resume(user: User, assignment_id: int) -> None:
    """Lease postponed work again under a new fence. ApiError 409 says why it cannot be."""
    try:
        with transaction.atomic():
            _resume(user, assignment_id)
    except IntegrityError:
        raise _other_active() from None


def _resume(user: User, assignment_id: int) -> None:
    rows = Assignment.objects.select_for_update(of=("self",)).select_related("batch")
    row = rows.filter(pk=assignment_id, user=user).first()
    if row is None:
        raise ApiError(404, "not_found", _("You have no such assignment."))
    if row.state == Assignment.State.LEASED:
        return
    if row.state != Assignment.State.POSTPONED:
        raise ApiError(409, "not_postponed", _("This assignment is %(state)s.") % {"state": word(row.state)})
    if row.batch.state != Batch.State.OPEN:
        raise ApiError(409, "batch_not_open", _("The batch %(batch)s is %(state)s right now.") % {"batch": row.batch.name, "state": word(row.batch.state)})
    active = Assignment.objects.filter(user=user, batch=row.batch_id, prefetch=False, state=Assignment.State.LEASED)
    if active.exclude(stage=Task.Stage.ART).exists():
        raise _other_active()
    if not _room().filter(pk=row.task_id).update(n_leased=F("n_leased") + 1):
        raise ApiError(409, "no_room", _("Somebody else has done this object, or is working on it."))
    Assignment.objects.filter(pk=row.pk).update(
        state=Assignment.State.LEASED, prefetch=False, fence=F("fence") + 1, lease_until=services.lease_end(), finished_at=None
    )
    record(user, "resumed", f"assignment:{row.pk}")


def take(user: User, task_id: int) -> int:
    """Lease one certain task, as one that was sent back. ApiError 404 or 409."""
    task = Task.objects.filter(pk=task_id).exclude(stage=Task.Stage.ART).first()
    if task is None:
        raise ApiError(404, "not_found", _("There is no such task."))
    # What was leased ahead for an earlier page must not stand in the way.
    ahead = Assignment.objects.filter(user=user, batch=task.batch_id, prefetch=True, state=Assignment.State.LEASED)
    for row in ahead:
        services.end(user, row.pk, row.fence, state=Assignment.State.RELEASED)
    found = services.claim(user, stages=[task.stage], batch=task.batch_id, task=task_id)
    if found is None:
        raise ApiError(409, "no_room", _("Somebody else has done this object, or is working on it."))
    if not Assignment.objects.filter(pk=found, task=task_id).exists():
        raise _other_active()
    return found


def _room() -> QuerySet[Task]:
    return Task.objects.filter(state=Task.State.OPEN, needed__gt=F("n_leased") + F("n_done"))


def _other_active() -> ApiError:
    return ApiError(409, "other_active", _("Finish or put aside the object that you have in hand in this batch first."))


def work(user: User) -> dict[str, list[dict[str, Any]]]:
    """What the first page offers before new work: in hand, put aside, and sent back with the reviewer's words."""
    own = Assignment.objects.filter(user=user).select_related("batch", "task__object")
    live = own.filter(state=Assignment.State.LEASED, prefetch=False).order_by("-id")
    aside = own.filter(state=Assignment.State.POSTPONED, task__state=Task.State.OPEN)
    # The reverse name of art3do's submissions, which this app may not import.
    art = live.filter(stage=Task.Stage.ART)
    sent_back = art.filter(submissions__state="returned").exclude(submissions__state__in=["checking", "in_review", "approved"])
    returned_art = {row.pk: row for row in sent_back.distinct()[:MOST]}
    in_hand = [row for row in live[:MOST] if row.pk not in returned_art]
    return {
        "live": [_of_assignment(row) for row in in_hand],
        "postponed": [_of_assignment(row) for row in aside.order_by("-finished_at")[:MOST]],
        "returned": [*_returned(user), *(_of_assignment(row) for row in returned_art.values())],
    }


def _returned(user: User) -> Iterable[dict[str, Any]]:
    """Open tasks whose round before was this person's and was sent back."""
    mine = Review.objects.filter(
        verdict=Review.Verdict.RETURN,
        assignment__user=user,
        assignment__task__batch=OuterRef("batch"),
        assignment__task__object=OuterRef("object"),
        assignment__task__stage=OuterRef("stage"),
        assignment__task__round=OuterRef("round") - 1,
    )
    own = Assignment.objects.filter(task=OuterRef("pk"), user=user)
    # Leased ahead for an earlier page: still this person's to take.
    ahead = own.filter(state=Assignment.State.LEASED, prefetch=True)
    taken = own.exclude(state__in=[Assignment.State.RELEASED, Assignment.State.EXPIRED]).exclude(
        state=Assignment.State.LEASED, prefetch=True
    )
    room = Q(needed__gt=F("n_leased") + F("n_done")) | Exists(ahead)
    open_tasks = Task.objects.filter(state=Task.State.OPEN, round__gt=1, batch__state=Batch.State.OPEN)
    rows = open_tasks.filter(room, Exists(mine), ~Exists(taken))
    for task in rows.select_related("batch", "object").order_by("-id")[:MOST]:
        yield {"assignment": None, "reason": "", "at": task.created_at, **_of_task(task, task.batch)}


def _of_assignment(row: Assignment) -> dict[str, Any]:
    at = row.finished_at or row.created_at
    return {"assignment": row.pk, "reason": row.reason, "at": at, **_of_task(row.task, row.batch)}


def _of_task(task: Task, batch: Batch) -> dict[str, Any]:
    return {
        "task": task.pk,
        "stage": task.stage,
        "note": task.note,
        "batch": {"id": batch.pk, "name": batch.name},
        "object": {
            "id": task.object_id,
            "category": task.object.category,
            "photo_url": f"{payload.API}/images/{task.object.image_id}/photo/",
        },
    }
