"""Segmenting: clicks or a box on the photo of a select assignment become polygons to refine; nothing is stored."""

import time
from functools import lru_cache
from pathlib import Path
from typing import Any

from django.conf import settings
from django.utils.translation import gettext as _

from backend import jobs, storage
from backend.annotation.models import Assignment
from backend.models import Job
from model_zoo.io.errors import BadInput
from model_zoo.io.images import load_image
from model_zoo.segment.builtin import Builtin
from model_zoo.segment.interface import Prompt, Segmenter
from model_zoo.segment.polygons import polygons_of
from model_zoo.segment.sam import SamSegmenter

KEPT = 4  # photos, prepared: the one in hand and the prefetched one of two people
MOST_CLICKS = 200


def segment_job(job: Job) -> dict[str, Any]:
    """The work of a `segment` job: {"polygons", "score", "seconds", "segmenter"}, in pixels of the upright photo.

    Without clicks and box the photo is only made ready, so that the first click finds it so.
    """
    assignment = Assignment.objects.select_related("task__object__image").get(pk=job.args["assignment"])
    started = time.monotonic()
    try:
        photo = prepared(assignment.task.object.image.display_id, settings.SAM_WEIGHTS)
        segmenter = segmenter_of(settings.SAM_WEIGHTS)
        if not any(job.args[name] for name in ("positive", "negative", "box")):
            return {"polygons": [], "seconds": round(time.monotonic() - started, 4), "segmenter": segmenter.name}
        found = segmenter.segment(photo, prompt_of(job.args))
        polygons = polygons_of(found.mask)
    except BadInput as refusal:
        raise jobs.UserError(refusal.message) from None
    if not polygons:
        raise jobs.UserError(
            _("nothing was found there: click elsewhere on the object, or draw a box around it")
        )
    return {
        "polygons": polygons,
        "score": round(found.score, 4),
        "seconds": round(time.monotonic() - started, 4),
        "segmenter": segmenter.name,
    }


def prompt_of(args: dict[str, Any]) -> Prompt:
    """The prompt of a job's arguments. Raises BadInput when they are not lists of numbers."""
    try:
        positive, negative = (
            [(float(x), float(y)) for x, y in args[name]] for name in ("positive", "negative")
        )
        x0, y0, x1, y1 = (float(value) for value in args["box"] or (0, 0, 0, 0))
    except (KeyError, TypeError, ValueError):
        raise BadInput(_("clicks are [x, y] and a box is [x0, y0, x1, y1]"), "bad_prompt") from None
    if len(positive) + len(negative) > MOST_CLICKS:
        raise BadInput(_("too many clicks (limit %(limit)s)") % {"limit": MOST_CLICKS}, "bad_prompt")
    return Prompt(tuple(positive), tuple(negative), (x0, y0, x1, y1) if args["box"] else None)


@lru_cache(maxsize=1)
def segmenter_of(weights: str) -> Segmenter:
    """SAM when its folder is configured, else the built-in one; loaded once in a process. Raises BadInput."""
    return SamSegmenter(Path(weights)) if weights else Builtin()


@lru_cache(maxsize=KEPT)
def prepared(sha256: str, weights: str) -> Any:
    """What all prompts on a photo share, by the hash of its display copy."""
    return segmenter_of(weights).prepare(load_image(storage.read(sha256)).rgb)
