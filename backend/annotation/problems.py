"""What people report about objects while they work, and settling it. Sent twice, stored once."""

from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from backend.accounts.access import ApiError, record
from backend.accounts.models import User
from backend.annotation import payload
from backend.annotation.models import Problem, Task
from backend.catalog.models import TargetObject


def report(
    user: User, object_id: int, *, batch: int, stage: str, kind: str, note: str, key: UUID, place: list[float] | None
) -> Problem:
    """Store what somebody has seen; the same key again is the same report. ApiError 404, 400 or 409."""
    target = TargetObject.objects.select_related("image").filter(pk=object_id).first()
    if target is None or not Task.objects.filter(object_id=object_id, batch_id=batch).exists():
        raise ApiError(404, "not_found", _("There is no such object in this batch."))
    if place and not (0 <= place[0] <= target.image.width and 0 <= place[1] <= target.image.height):
        raise ApiError(400, "invalid", _("The place lies outside the photo."), {"place": [_("outside the photo")]})
    fields = {"object_id": object_id, "batch_id": batch, "stage": stage, "kind": kind, "note": note, "place": place}
    try:
        with transaction.atomic():
            row = Problem.objects.create(user=user, key=key, **fields)
            record(user, "problem", f"object:{object_id}", kind=kind)
            return row
    except IntegrityError:
        row = Problem.objects.get(key=key)
    if row.user_id != user.pk or row.object_id != object_id:
        raise ApiError(409, "conflict", _("This key was used for another report."))
    return row


def unsettled(batch_id: int) -> QuerySet[Problem]:
    """Reports of a batch that nobody has settled yet."""
    return Problem.objects.filter(batch_id=batch_id, settled_at=None).select_related("object", "user")


def settle(user: User, problem_id: int) -> Problem:
    """Put a report away; a second time changes nothing."""
    with transaction.atomic():
        moved = Problem.objects.filter(pk=problem_id, settled_at=None).update(settled_by=user, settled_at=timezone.now())
        if moved:
            record(user, "settle", f"problem:{problem_id}")
    row = Problem.objects.select_related("object", "user").filter(pk=problem_id).first()
    if row is None:
        raise ApiError(404, "not_found", _("There is no such report."))
    return row


def describe(row: Problem) -> dict[str, Any]:
    """A report for those who run the batch."""
    return {
        "id": row.pk,
        "kind": row.kind,
        "stage": row.stage,
        "note": row.note,
        "place": row.place,
        "user": row.user.username,
        "at": row.at,
        "settled_at": row.settled_at,
        "object": {
            "id": row.object_id,
            "name": row.object.name,
            "category": row.object.category,
            "photo_url": f"{payload.API}/images/{row.object.image_id}/photo/",
        },
    }
