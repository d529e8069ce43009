"""HTTP of reviews: what waits, one answer with its before and after, and the verdict."""

from typing import Any

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from backend.accounts.access import Role, endpoint
from backend.annotation import reviews
from backend.annotation.api import Finite, Measured, PoseIn
from backend.annotation.models import Task
from backend.paging import page


class FixIn(PoseIn, Measured):
    active_ms = serializers.IntegerField(min_value=0, max_value=2**31 - 1, default=0)


class ReviewIn(serializers.Serializer):
    verdict = serializers.ChoiceField(choices=("accept", "fix", "return"))
    note = serializers.CharField(max_length=2000, allow_blank=True, default="")
    pose = FixIn(required=False)
    r = Finite(min_value=0, max_value=1, required=False)


@endpoint("GET", roles={Role.REVIEWER})
def review_list(request: Request) -> Response:
    """Submitted alignments and ratings that no reviewer has judged yet, oldest first."""
    stage = request.query_params.get("stage") or Task.Stage.ALIGN
    rows = reviews.pending(request.user, stage, request.query_params.get("batch"))
    return page(request, rows, reviews.describe, order="id")


@endpoint("GET", "POST", roles={Role.REVIEWER}, request=ReviewIn)
def review(request: Request, pk: int) -> Response:
    """GET: an answer under review. POST: accept it, fix it (with your own pose or rating), or send it back."""
    if request.method == "GET":
        return Response(reviews.detail(pk))
    parsed = ReviewIn(data=request.data)
    parsed.is_valid(raise_exception=True)
    data: dict[str, Any] = dict(parsed.validated_data)
    row = reviews.judge(request.user, pk, **data)
    return Response({"assignment_id": pk, "verdict": row.verdict})
