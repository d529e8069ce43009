"""Drawn masks: polygons of a select assignment become the object's mask, and the object waits for candidates."""

from typing import Any

import numpy as np
from django.db import transaction
from django.utils.translation import gettext as _

from backend import jobs
from backend.annotation.intake import drawn
from backend.annotation.models import Assignment
from backend.annotation.reviews import reopen
from backend.catalog import services
from backend.models import Job
from backend.proposals import services as proposals
from model_zoo.io.errors import BadInput
from model_zoo.io.images import check_mask, encode_png
from model_zoo.io.segmentations import rasterise_polygons


def store_mask_job(job: Job) -> dict[str, Any]:
    """The work of a `store_mask` job. A drawing that is no object goes back to the queue with the reason."""
    rows = Assignment.objects.select_related("task__object__image", "task__batch", "user")
    assignment = rows.get(pk=job.args["assignment"])
    drawing, target = assignment.draft or {}, assignment.task.object
    try:
        mask = rasterise_polygons(drawing.get("polygons"), (target.image.width, target.image.height))
        notes = check_mask(mask).warnings
    except BadInput as refusal:
        reopen(assignment, refusal.message)
        raise jobs.UserError(refusal.message) from None
    with transaction.atomic():
        stored = services.draw_mask(
            target,
            mask=encode_png(mask),
            area=int(mask.sum()),
            box=box_of(mask),
            category=str(drawing.get("category") or ""),
            by=assignment.user,
        )
        target.refresh_from_db()
        if not stored and target.mask_id is None:
            raise jobs.UserError(_("this photo has an object with exactly this mask already"))
        drawn(assignment.task)
    try:
        proposals.propose(assignment.task.batch, [target.pk], by=assignment.user)
    except proposals.NoProposers as failure:
        notes.append(_("no candidates were asked for: %(failure)s") % {"failure": failure})
    return {"object": target.pk, "warnings": notes}


def box_of(mask: np.ndarray) -> list[int]:
    """x0, y0, x1, y1 (one past the end) of a mask that is not empty."""
    rows, columns = np.nonzero(mask)
    return [int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1]
