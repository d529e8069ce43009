"""Masks of Stage 1: what was drawn becomes an object's mask, what was confirmed stays; then candidates are asked for."""

from typing import Any

import numpy as np
from django.db import transaction
from django.utils.translation import gettext as _

from backend import jobs
from backend.accounts.access import record
from backend.annotation.intake import drawn
from backend.annotation.models import Assignment
from backend.annotation.reviews import reopen
from backend.catalog import services
from backend.catalog.models import TargetObject
from backend.models import Job
from backend.proposals import services as proposals
from model_zoo.io.errors import BadInput
from model_zoo.io.images import check_mask, encode_png
from model_zoo.io.segmentations import rasterise_polygons
from workers.looking import look_at


def store_mask_job(job: Job) -> dict[str, Any]:
    """The work of a `store_mask` job. A drawing that is no object goes back to the queue with the reason."""
    rows = Assignment.objects.select_related("task__object__image", "task__batch", "user")
    assignment = rows.get(pk=job.args["assignment"])
    drawing, category = assignment.draft or {}, str((assignment.draft or {}).get("category") or "")
    notes: list[str] = []
    if drawing.get("polygons") is None:
        target = assignment.task.object
        if category:
            TargetObject.objects.filter(pk=target.pk).update(category=category[:100])
        drawn(assignment.task, target)
    else:
        target, notes = _store(assignment, drawing["polygons"], category)
    try:
        proposals.propose(assignment.task.batch, [target.pk], by=assignment.user)
    except proposals.NoProposers as failure:
        notes.append(_("no candidates were asked for: %(failure)s") % {"failure": failure})
    return {"object": target.pk, "warnings": notes}


def _store(assignment: Assignment, polygons: Any, category: str) -> tuple[TargetObject, list[str]]:
    """The object of a drawing: the one that waited for its mask, or a new one beside that whose mask was redrawn."""
    asked = assignment.task.object
    try:
        mask = rasterise_polygons(polygons, (asked.image.width, asked.image.height))
        notes = check_mask(mask).warnings
    except BadInput as refusal:
        reopen(assignment, refusal.message)
        raise jobs.UserError(refusal.message) from None
    facts = {"mask": encode_png(mask), "area": int(mask.sum()), "box": box_of(mask), "by": assignment.user}
    with transaction.atomic():
        if asked.mask_id is None:
            target = asked
            stored = services.draw_mask(target, category=category, **facts)
            target.refresh_from_db()
            if not stored and target.mask_id is None:
                raise jobs.UserError(_("this photo has an object with exactly this mask already"))
        else:
            # Candidates, answers and releases of other batches stand on the old mask: it stays as it is.
            target, _new = services.store_object(
                asked.image, name=asked.name, category=category or asked.category, **facts
            )
            record(assignment.user, "redraw_mask", f"object:{target.pk}", instead_of=asked.pk)
        drawn(assignment.task, target)
    look_at([target.image])
    return target, list(notes)


def box_of(mask: np.ndarray) -> list[int]:
    """x0, y0, x1, y1 (one past the end) of a mask that is not empty."""
    rows, columns = np.nonzero(mask)
    return [int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1]
