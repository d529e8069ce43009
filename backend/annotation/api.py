"""HTTP of the queue and its answers: parse, call the service, reply."""

import math
from typing import Any

from django.http import HttpResponse
from django.utils.translation import gettext as _
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from backend.accounts.access import ApiError, Role, endpoint
from backend.annotation import answers, later, payload, practice, progress, routing, services
from backend.annotation.models import Assignment, Comparison, Task

WORKERS = {Role.ANNOTATOR, Role.REVIEWER}


class Next(serializers.Serializer):
    stage = serializers.ChoiceField(choices=Task.Stage.choices, required=False)
    batch = serializers.IntegerField(required=False, min_value=1)
    task = serializers.IntegerField(required=False, min_value=1)
    prefetch = serializers.BooleanField(default=False)


def share(**options: Any) -> serializers.FloatField:
    """A number in [0, 1]."""
    return serializers.FloatField(min_value=0, max_value=1, **options)


class Fenced(serializers.Serializer):
    fence = serializers.IntegerField(min_value=1)
    active_ms = serializers.IntegerField(min_value=0, max_value=2**31 - 1, default=0)


class ComparisonIn(Fenced):
    seq = serializers.IntegerField(min_value=1, max_value=1000)
    answer = serializers.ChoiceField(choices=[c for c in Comparison.Answer.choices if c[0] != "undo"])
    key = serializers.UUIDField()
    reasons = serializers.ListField(child=serializers.CharField(max_length=40), max_length=10, default=list)
    picked = serializers.ListField(child=serializers.UUIDField(), max_length=50, default=list)
    coverage = serializers.ListField(child=share(), min_length=2, max_length=2, required=False)


class UndoIn(Fenced):
    seq = serializers.IntegerField(min_value=1, max_value=1000)
    key = serializers.UUIDField()


class RatingIn(Fenced):
    r = share()
    coverage = share(required=False, allow_null=True)
    reasons = serializers.ListField(child=serializers.CharField(max_length=40), max_length=10, default=list)
    key = serializers.UUIDField()


class Finite(serializers.FloatField):
    """A number; «nan» and «inf» are none."""

    def to_internal_value(self, data: Any) -> float:
        """The number, or a refusal of the field."""
        value = float(super().to_internal_value(data))
        if not math.isfinite(value):
            self.fail("invalid")
        return value


class PoseIn(serializers.Serializer):
    """R row-major, det +1; t in the pointmap's units; s three positive numbers."""

    R = serializers.ListField(child=Finite(), min_length=9, max_length=9)
    t = serializers.ListField(child=Finite(min_value=-1e6, max_value=1e6), min_length=3, max_length=3)
    s = serializers.ListField(child=Finite(min_value=1e-6, max_value=1e6), min_length=3, max_length=3)

    def validate_R(self, R: list[float]) -> list[float]:
        """Refuse what is not a rotation: rows orthonormal, no mirror."""
        rows = [R[0:3], R[3:6], R[6:9]]
        for i in range(3):
            for j in range(i, 3):
                dot = sum(a * b for a, b in zip(rows[i], rows[j], strict=True))
                if not math.isfinite(dot) or abs(dot - (i == j)) > 1e-3:
                    raise serializers.ValidationError(_("R is not a rotation: its rows are not orthonormal"))
        a, b, c = rows
        if (
            a[0] * (b[1] * c[2] - b[2] * c[1])
            - a[1] * (b[0] * c[2] - b[2] * c[0])
            + a[2] * (b[0] * c[1] - b[1] * c[0])
            < 0
        ):
            raise serializers.ValidationError(_("R is not a rotation: it mirrors"))
        return R


class Measured(serializers.Serializer):
    """What the page measured of a pose: mask IoU, and mean |z - z of the pointmap| / z."""

    iou = Finite(min_value=0, max_value=1, required=False, allow_null=True, default=None)
    depth_residual = Finite(min_value=0, max_value=1e6, required=False, allow_null=True, default=None)


class AlignmentIn(Fenced, PoseIn, Measured):
    version = serializers.IntegerField(min_value=0, default=0)
    key = serializers.UUIDField()


class MaskIn(Fenced):
    polygons = serializers.ListField(
        child=serializers.ListField(
            child=serializers.FloatField(min_value=-1e5, max_value=1e5), min_length=6, max_length=20000
        ),
        min_length=1,
        max_length=200,
    )
    category = serializers.CharField(max_length=100, allow_blank=True, default="")
    outside = serializers.BooleanField(default=False)
    key = serializers.UUIDField()


class EndIn(Fenced):
    reason = serializers.CharField(max_length=60, allow_blank=True, default="")


class EscalateIn(Fenced):
    reason = serializers.ChoiceField(choices=routing.REASONS)
    note = serializers.CharField(max_length=2000, allow_blank=True, default="")


class DraftIn(Fenced):
    draft = serializers.JSONField()


def _checked(serializer: type[serializers.Serializer], request: Request) -> dict[str, Any]:
    parsed = serializer(data=request.data)
    parsed.is_valid(raise_exception=True)
    return dict(parsed.validated_data)


@endpoint("POST", roles={*WORKERS, Role.ARTIST}, request=Next)
def next_assignment(request: Request) -> Response | HttpResponse:
    """Lease the next task (your live lease first). 204 when there is nothing to do."""
    data = _checked(Next, request)
    art = data.get("stage") == Task.Stage.ART or (request.user.role == Role.ARTIST and "stage" not in data)
    if art:
        if request.user.role not in {Role.ARTIST, Role.ADMIN}:
            raise ApiError(403, "not_allowed", _("Art tasks are for artists."))
        found = services.claim_art(request.user, task_id=data.get("task"))
    elif request.user.role == Role.ARTIST:
        raise ApiError(403, "not_allowed", _("An artist's tasks are art tasks."))
    elif data.get("stage", Task.Stage.COMPARE) == Task.Stage.COMPARE and practice.is_due(request.user):
        raise practice.practice_first()
    elif "task" in data:
        found = later.take(request.user, data["task"])
    else:
        stages = [data["stage"]] if "stage" in data else services.STAGES
        found = services.claim(
            request.user, stages=stages, batch=data.get("batch"), prefetch=data["prefetch"]
        )
    if found is None:
        return HttpResponse(status=204)
    return Response(payload.assignment(found))


@endpoint("GET", roles={*WORKERS, Role.ARTIST})
def assignment(request: Request, pk: int) -> Response:
    """One of your own assignments, as its page needs it."""
    try:
        return Response(payload.assignment(pk, user_id=request.user.pk))
    except Assignment.DoesNotExist:
        raise ApiError(404, "not_found", _("You have no such assignment.")) from None


def _compared(pk: int, outcome: answers.Outcome) -> Response:
    row = outcome.assignment
    if row.state == Assignment.State.SUBMITTED:
        body: dict[str, Any] = {"id": pk, "state": row.state, "fence": row.fence, "stage": row.stage}
    else:
        body = {
            "id": pk,
            "state": row.state,
            "fence": row.fence,
            "stage": row.stage,
            "compare": payload.compare(row),
        }
    return Response({"assignment": body, "replayed": outcome.replayed})


@endpoint("POST", roles=WORKERS, request=ComparisonIn)
def compare(request: Request, pk: int) -> Response:
    """Answer the pair that is shown; idempotent by key."""
    return _compared(pk, answers.compare(request.user, pk, **_checked(ComparisonIn, request)))


@endpoint("POST", roles=WORKERS, request=UndoIn)
def undo(request: Request, pk: int) -> Response:
    """Take back the last comparison of an unfinished bracket."""
    data = _checked(UndoIn, request)
    return _compared(pk, answers.compare(request.user, pk, answer=Comparison.Answer.UNDO, **data))


def _submitted(outcome: answers.Outcome) -> Response:
    return Response(
        {"id": outcome.assignment.pk, "state": outcome.assignment.state, "replayed": outcome.replayed}
    )


@endpoint("POST", roles=WORKERS, request=RatingIn)
def rate(request: Request, pk: int) -> Response:
    """Rate the survivor in [0, 1]; completes the assignment."""
    return _submitted(answers.rate(request.user, pk, **_checked(RatingIn, request)))


@endpoint("POST", roles=WORKERS, request=AlignmentIn)
def align(request: Request, pk: int) -> Response:
    """Submit the pose of the chosen mesh; completes the assignment."""
    return _submitted(answers.align(request.user, pk, **_checked(AlignmentIn, request)))


@endpoint("POST", roles=WORKERS, request=MaskIn)
def draw(request: Request, pk: int) -> Response:
    """Submit a drawn mask as polygons in pixels of the upright photo; completes the assignment."""
    return _submitted(answers.draw(request.user, pk, **_checked(MaskIn, request)))


@endpoint("POST", roles={*WORKERS, Role.ARTIST}, request=Fenced)
def heartbeat(request: Request, pk: int) -> Response:
    """Keep the lease while the page is open and visible."""
    return Response({"lease_until": services.heartbeat(request.user, pk, _checked(Fenced, request)["fence"])})


@endpoint("POST", roles={*WORKERS, Role.ARTIST}, request=EndIn)
def release(request: Request, pk: int) -> Response:
    """Give the task back untouched."""
    data = _checked(EndIn, request)
    services.end(request.user, pk, data["fence"], state=Assignment.State.RELEASED, reason=data["reason"])
    return Response({"id": pk, "state": Assignment.State.RELEASED})


@endpoint("POST", roles=WORKERS, request=EndIn)
def skip(request: Request, pk: int) -> Response:
    """Give the task back and never see it again; a reason is asked for."""
    data = _checked(EndIn, request)
    if not data["reason"]:
        raise ApiError(400, "invalid", _("Say why you skip this object."), {"reason": [_("required")]})
    services.end(request.user, pk, data["fence"], state=Assignment.State.SKIPPED, reason=data["reason"])
    return Response({"id": pk, "state": Assignment.State.SKIPPED})


@endpoint("POST", roles=WORKERS, request=EscalateIn)
def escalate(request: Request, pk: int) -> Response:
    """No candidate can do: hand the object on to the artists' queue with the kind of difficulty."""
    data = _checked(EscalateIn, request)
    services.end(
        request.user,
        pk,
        data["fence"],
        state=Assignment.State.ESCALATED,
        reason=data["reason"],
        note=data["note"],
    )
    return Response({"id": pk, "state": Assignment.State.ESCALATED})


@endpoint("PUT", roles={*WORKERS, Role.ARTIST}, request=DraftIn)
def draft(request: Request, pk: int) -> Response:
    """Keep unfinished work on the server."""
    data = _checked(DraftIn, request)
    services.save_draft(request.user, pk, data["fence"], data["draft"])
    return Response({"id": pk, "saved": True})


@endpoint("GET", roles={*WORKERS, Role.ARTIST, Role.RESEARCHER})
def progress_view(request: Request) -> Response:
    """Your own figures; reviewers and admins also see batches and people."""
    data: dict[str, Any] = {"own": progress.own(request.user, request.query_params.get("tz") or "UTC")}
    if request.user.role in {Role.REVIEWER, Role.ADMIN, Role.RESEARCHER}:
        data["batches"] = progress.batches()
    if request.user.role in {Role.REVIEWER, Role.ADMIN}:
        data["people"] = progress.people()
    return Response(data)
