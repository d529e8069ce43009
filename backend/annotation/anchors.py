"""Anchors: rated candidates that show beside a batch's scale what a rating means; admins choose them. HTTP and verbs.

Apart from api.py because they belong to a batch's configuration, not to the queue.
"""

from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Prefetch, QuerySet
from django.http import HttpResponse
from django.shortcuts import get_object_or_404
from django.utils.translation import gettext as _
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from backend.accounts.access import ApiError, Role, endpoint, record
from backend.annotation import payload
from backend.annotation.models import Anchor, Rating
from backend.catalog.models import Batch
from backend.proposals.models import Candidate

ADMINS = frozenset({Role.ADMIN})
OFFERED = 200
MOST = 12


class AnchorIn(serializers.Serializer):
    """A candidate of the batch by its opaque key, what it is an example of, and a word about it."""

    candidate = serializers.UUIDField()
    r = serializers.FloatField(min_value=0, max_value=1)
    note = serializers.CharField(max_length=200, allow_blank=True, default="")


def rated(batch: Batch) -> list[dict[str, Any]]:
    """The batch's newest rated candidates, each once with its newest rating, worst first."""
    newest = Rating.objects.filter(assignment__batch=batch).order_by("-id")
    found: dict[int, Rating] = {}
    for row in newest.select_related("candidate__object__image")[:OFFERED]:
        found.setdefault(row.candidate_id, row)
    return sorted((_shown(row.candidate, row.r) for row in found.values()), key=lambda each: each["r"])


def _shown(candidate: Candidate, r: float, note: str = "") -> dict[str, Any]:
    target = candidate.object
    row = {
        "r": r, "note": note, "key": candidate.key, "turntable_id": candidate.turntable_id, "image": target.image_id,
        "box": target.box, "width": target.image.width, "height": target.image.height,
    }  # fmt: skip
    return {"candidate": str(candidate.key), **payload.anchor(row)}


def _chosen(batch: Batch) -> QuerySet[Anchor]:
    shown = Prefetch("candidate", Candidate.objects.select_related("object__image"))
    return Anchor.objects.filter(batch=batch).prefetch_related(shown).order_by("r", "id")


@endpoint("GET", "POST", roles=ADMINS, request=AnchorIn)
def anchors(request: Request, pk: int) -> Response:
    """A batch's anchors and the rated candidates to choose from, or one more anchor."""
    batch = get_object_or_404(Batch, pk=pk)
    if request.method == "GET":
        chosen = [{"id": row.pk, **_shown(row.candidate, row.r, row.note)} for row in _chosen(batch)]
        return Response({"anchors": chosen, "rated": rated(batch)})
    given = AnchorIn(data=request.data)
    given.is_valid(raise_exception=True)
    row = choose(batch, by=request.user, **given.validated_data)
    return Response({"id": row.pk, "r": row.r, "note": row.note}, status=201)


def choose(batch: Batch, *, candidate: Any, r: float, note: str = "", by: Any = None) -> Anchor:
    """Make a candidate of the batch (by its opaque key) an anchor. ApiError when it is none, or one already."""
    found = Candidate.objects.filter(batch=batch, key=candidate).first()
    if found is None:
        message = _("This batch has no such candidate.")
        raise ApiError(400, "invalid", message, {"candidate": [message]})
    try:
        with transaction.atomic():
            Batch.objects.select_for_update().get(pk=batch.pk)
            if Anchor.objects.filter(batch=batch).count() >= MOST:
                raise ApiError(409, "enough", _("A batch has at most %(n)s anchors.") % {"n": MOST})
            row = Anchor.objects.create(batch=batch, candidate=found, r=r, note=note)
            record(by, "anchor", f"batch:{batch.pk}", r=r)
    except IntegrityError:
        raise ApiError(409, "conflict", _("This candidate is an anchor already.")) from None
    return row


@endpoint("DELETE", roles=ADMINS)
def anchor(request: Request, pk: int) -> HttpResponse:
    """Take an anchor away; asking twice does no harm."""
    with transaction.atomic():
        row = Anchor.objects.filter(pk=pk).first()
        if row is not None:
            row.delete()
            record(request.user, "anchor_removed", f"batch:{row.batch_id}", r=row.r)
    return HttpResponse(status=204)
