"""HTTP of Fit: sends the pose on screen to a worker that refines it. The answer is a job to watch; nothing is stored."""

from typing import Any

from django.utils.translation import gettext as _
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from backend import jobs
from backend.accounts.access import ApiError, Role, endpoint
from backend.accounts.api import describe_job
from backend.annotation.api import WORKERS, PoseIn
from backend.annotation.models import Assignment, Task
from backend.annotation.services import lease_lost
from backend.catalog.models import Pointmap


class FitIn(serializers.Serializer):
    fence = serializers.IntegerField(min_value=1, required=False)
    key = serializers.UUIDField()
    pose = PoseIn()


@endpoint("POST", roles=WORKERS, request=FitIn)
def fit(request: Request, pk: int) -> Response:
    """Refine a pose of your own live alignment, or of one that you review. 202 with the job; the same key, the same job."""
    parsed = FitIn(data=request.data)
    parsed.is_valid(raise_exception=True)
    data: dict[str, Any] = dict(parsed.validated_data)
    assignment = _held(request.user, pk, data.get("fence"))
    if not Pointmap.objects.filter(image__targets__tasks=assignment.task_id).exists():
        raise ApiError(409, "no_pointmap", _("This image has no pointmap to align on."))
    candidate = assignment.task.candidate
    assert candidate is not None
    start = {"R": candidate.R, "t": candidate.t, "s": candidate.s}
    job = jobs.send(
        "fit",
        key=f"fit:{pk}:{request.user.pk}:{data['key']}",
        args={"assignment": pk, "pose": data["pose"], "start": start},
        by=request.user,
    )
    return Response({"job": describe_job(job)}, status=202)


def _held(user: Any, pk: int, fence: int | None) -> Assignment:
    """The alignment that the person works on: leased with this fence, or submitted and under review."""
    rows = Assignment.objects.select_related("task__candidate").filter(
        pk=pk, stage=Task.Stage.ALIGN, task__candidate__isnull=False
    )
    row = rows.first()
    if row is None:
        raise ApiError(404, "not_found", _("There is no such alignment."))
    if row.user_id == user.pk:
        if row.state == Assignment.State.LEASED and row.fence == fence:
            return row
        raise lease_lost()
    if row.state == Assignment.State.SUBMITTED and user.role in {Role.REVIEWER, Role.ADMIN}:
        return row
    raise ApiError(404, "not_found", _("There is no such alignment."))
