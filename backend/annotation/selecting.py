"""HTTP of Stage 1 beside the drawn mask: segment by clicks, confirm or reject an imported mask, the taxonomy."""

from typing import Any

from django.shortcuts import get_object_or_404
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from backend import jobs
from backend.accounts.access import endpoint
from backend.accounts.api import describe_job
from backend.annotation import answers
from backend.annotation.api import WORKERS, Fenced
from backend.annotation.models import Assignment, Task
from backend.annotation.services import lease_lost
from backend.catalog.models import Batch


class PlaceField(serializers.ListField):
    """x, y in pixels of the upright photo."""

    child = serializers.FloatField(min_value=-1e5, max_value=1e5)

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(min_length=2, max_length=2, **kwargs)


class SegmentIn(Fenced):
    """Clicks on the object and beside it, and a box; none of them: only get the photo ready."""

    key = serializers.UUIDField()
    positive = serializers.ListField(child=PlaceField(), max_length=100, default=list)
    negative = serializers.ListField(child=PlaceField(), max_length=100, default=list)
    box = serializers.ListField(
        child=serializers.FloatField(min_value=-1e5, max_value=1e5),
        min_length=4, max_length=4, allow_null=True, default=None,
    )  # fmt: skip


class ConfirmIn(Fenced):
    category = serializers.CharField(max_length=100, allow_blank=True, default="")
    outside = serializers.BooleanField(default=False)
    key = serializers.UUIDField()


class RejectIn(Fenced):
    reason = serializers.ChoiceField(choices=answers.MASK_REASONS)
    key = serializers.UUIDField()


@endpoint("POST", roles=WORKERS, request=SegmentIn)
def segment(request: Request, pk: int) -> Response:
    """Have a worker outline what the clicks or the box mean. 202 with the job; nothing is stored on the object."""
    parsed = SegmentIn(data=request.data)
    parsed.is_valid(raise_exception=True)
    data = parsed.validated_data
    held = Assignment.objects.filter(
        pk=pk, user=request.user, fence=data["fence"], state=Assignment.State.LEASED, stage=Task.Stage.SELECT
    )
    if not held.exists():
        raise lease_lost()
    job = jobs.send(
        "segment",
        key=f"segment:{pk}:{data['key']}",
        args={"assignment": pk, **{name: data[name] for name in ("positive", "negative", "box")}},
        by=request.user,
    )
    return Response({"job": describe_job(job)}, status=202)


@endpoint("POST", roles=WORKERS, request=ConfirmIn)
def confirm_mask(request: Request, pk: int) -> Response:
    """The imported mask is good: the object goes on to its candidates."""
    parsed = ConfirmIn(data=request.data)
    parsed.is_valid(raise_exception=True)
    outcome = answers.draw(request.user, pk, polygons=None, **parsed.validated_data)
    return _submitted(outcome)


@endpoint("POST", roles=WORKERS, request=RejectIn)
def reject_mask(request: Request, pk: int) -> Response:
    """The imported mask is no object: its work in this batch ends, with the reason."""
    parsed = RejectIn(data=request.data)
    parsed.is_valid(raise_exception=True)
    return _submitted(answers.reject(request.user, pk, **parsed.validated_data))


@endpoint("GET", roles=WORKERS)
def taxonomy(request: Request, pk: int) -> Response:
    """The categories of a batch, for the type-ahead."""
    return Response({"categories": get_object_or_404(Batch, pk=pk).taxonomy})


def _submitted(outcome: answers.Outcome) -> Response:
    row = outcome.assignment
    return Response({"id": row.pk, "state": row.state, "replayed": outcome.replayed})
