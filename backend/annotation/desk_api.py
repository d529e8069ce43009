"""HTTP of what surrounds the answers: work found again, problems, and the guided practice."""

from typing import Any

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from backend.accounts.access import Role, endpoint
from backend.accounts.api import describe_job
from backend.annotation import later, payload, practice, problems
from backend.annotation.api import WORKERS, EndIn
from backend.annotation.models import Assignment, Problem, Task
from backend.paging import page

RUNNERS = {Role.REVIEWER}


class ProblemIn(serializers.Serializer):
    key = serializers.UUIDField()
    batch = serializers.IntegerField(min_value=1, max_value=2**62)
    stage = serializers.ChoiceField(choices=Task.Stage.choices)
    kind = serializers.ChoiceField(choices=Problem.Kind.choices, default=Problem.Kind.PROBLEM)
    note = serializers.CharField(max_length=2000)
    place = serializers.ListField(
        child=serializers.FloatField(min_value=0, max_value=1e6), min_length=2, max_length=2, required=False, allow_null=True
    )


class PracticeIn(serializers.Serializer):
    answer = serializers.ChoiceField(choices=("left", "right"))
    active_ms = serializers.IntegerField(min_value=0, max_value=2**31 - 1, default=0)
    key = serializers.UUIDField()


def _checked(serializer: type[serializers.Serializer], request: Request) -> dict[str, Any]:
    parsed = serializer(data=request.data)
    parsed.is_valid(raise_exception=True)
    return dict(parsed.validated_data)


@endpoint("POST", roles=WORKERS, request=EndIn)
def postpone(request: Request, pk: int) -> Response:
    """Put the object aside; it is found again on the first page as it was left."""
    data = _checked(EndIn, request)
    later.postpone(request.user, pk, data["fence"], data["reason"])
    return Response({"id": pk, "state": Assignment.State.POSTPONED})


@endpoint("POST", roles=WORKERS)
def resume(request: Request, pk: int) -> Response:
    """Take postponed work up again."""
    later.resume(request.user, pk)
    return Response(payload.assignment(pk, user_id=request.user.pk))


@endpoint("GET", roles={*WORKERS, Role.ARTIST})
def work(request: Request) -> Response:
    """Your work in hand, put aside, and sent back."""
    return Response(later.work(request.user))


@endpoint("POST", roles={*WORKERS, Role.ARTIST}, request=ProblemIn)
def report_problem(request: Request, pk: int) -> Response:
    """Say what is wrong with an object; idempotent by key."""
    data = _checked(ProblemIn, request)
    row = problems.report(request.user, pk, place=data.pop("place", None), **data)
    return Response({"id": row.pk}, status=201)


@endpoint("GET", roles=RUNNERS)
def batch_problems(request: Request, pk: int) -> Response:
    """What was reported about objects of a batch and is not settled, newest first."""
    return page(request, problems.unsettled(pk), problems.describe)


@endpoint("POST", roles=RUNNERS)
def settle_problem(request: Request, pk: int) -> Response:
    """Put a report away."""
    return Response(problems.describe(problems.settle(request.user, pk)))


@endpoint("GET", "POST", roles=WORKERS, writers={Role.ADMIN})
def practice_list(request: Request) -> Response:
    """GET: the practice objects as you see them, and how far you are. POST: have the practice made (a job)."""
    if request.method == "POST":
        return Response(describe_job(practice.make(request.user)), status=202)
    return Response(practice.items(request.user))


@endpoint("POST", roles=WORKERS, request=PracticeIn)
def practice_answer(request: Request, pk: int) -> Response:
    """Answer a practice object: whether it was right, and why. The first answer counts."""
    data = _checked(PracticeIn, request)
    return Response(practice.answer(request.user, pk, answer=data["answer"], active_ms=data["active_ms"]))
