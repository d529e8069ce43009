"""HTTP of training: checkpoints, promotion, runs, evaluations."""

from typing import Any

from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from django.utils.translation import gettext as _
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from backend import jobs
from backend.accounts.access import ApiError, Role, endpoint
from backend.accounts.api import describe_job
from backend.datasets.models import Release
from backend.paging import page
from backend.training import services
from backend.training.models import Checkpoint, Evaluation, TrainingRun

TRAINERS = frozenset({Role.RESEARCHER})


class RunIn(serializers.Serializer):
    stage = serializers.ChoiceField(choices=TrainingRun.Stage.choices)
    recipe = serializers.ChoiceField(choices=("tiny", "small", "full"), default="tiny")
    releases = serializers.ListField(
        child=serializers.IntegerField(min_value=1), max_length=100, default=list
    )
    synthetic = serializers.BooleanField(default=False)
    init = serializers.IntegerField(min_value=1, required=False, allow_null=True, default=None)
    steps = serializers.IntegerField(min_value=1, max_value=10_000_000, required=False)
    seed = serializers.IntegerField(min_value=0, max_value=2**31 - 1, required=False)


class EvaluationIn(serializers.Serializer):
    checkpoint = serializers.IntegerField(min_value=1)
    against = serializers.IntegerField(min_value=1, required=False, allow_null=True, default=None)
    release = serializers.IntegerField(min_value=1, required=False, allow_null=True, default=None)


@endpoint("GET", roles=TRAINERS)
def checkpoints(request: Request) -> Response:
    """List checkpoints, newest first; `promoted` marks the one that proposes."""
    return page(request, _checkpoints(), describe)


@endpoint("GET", roles=TRAINERS)
def checkpoint(request: Request, pk: int) -> Response:
    """One checkpoint with its card, configuration, run, releases and evaluations."""
    found = get_object_or_404(_checkpoints(), pk=pk)
    measured = found.evaluations.select_related("checkpoint", "against", "job").order_by("-id")[:20]
    return Response(
        {
            **describe(found),
            "card": found.card,
            "config": found.config,
            "weights": {"sha256": found.weights_id, "size": found.weights.size},
            "evaluations": [describe_evaluation(row) for row in measured],
        }
    )


@endpoint("POST", roles=TRAINERS)
def promote(request: Request, pk: int) -> Response:
    """Make this checkpoint the flow proposer; the one before rests."""
    services.promote(get_object_or_404(Checkpoint, pk=pk), by=request.user)
    return Response(describe(_checkpoints().get(pk=pk)))


@endpoint("POST", roles=TRAINERS)
def demote(request: Request) -> Response:
    """Go back to the checkpoint that was promoted before."""
    try:
        restored = services.demote(by=request.user)
    except jobs.UserError as failure:
        raise services.refused(failure) from None
    return Response(describe(_checkpoints().get(pk=restored.checkpoint_id)))


@endpoint("GET", "POST", roles=TRAINERS, request=RunIn)
def runs(request: Request) -> Response:
    """List training runs, newest first, or start one on a worker."""
    if request.method == "GET":
        return page(request, _runs().defer("log"), describe_run)
    fields = _checked(RunIn, request)
    options: dict[str, Any] = {name: fields[name] for name in ("steps", "seed") if name in fields}
    releases = list(Release.objects.filter(pk__in=fields["releases"]).order_by("id"))
    if missing := sorted(set(fields["releases"]) - {row.pk for row in releases}):
        raise ApiError(
            400,
            "invalid",
            _("There is no release %(pk)s.") % {"pk": missing[0]},
            {"releases": [_("unknown")]},
        )
    init = _known(Checkpoint, "init", fields["init"])
    try:
        made = services.start_run(
            stage=fields["stage"],
            recipe=fields["recipe"],
            releases=releases,
            synthetic=fields["synthetic"],
            init=init,
            options=options,
            by=request.user,
        )
    except jobs.UserError as failure:
        raise services.refused(failure) from None
    return Response(describe_run(_runs().get(pk=made.pk)), status=202)


@endpoint("GET", roles=TRAINERS)
def run(request: Request, pk: int) -> Response:
    """One training run with its metrics by step."""
    found = get_object_or_404(_runs(), pk=pk)
    return Response({**describe_run(found), "log": found.log, "options": found.options})


@endpoint("GET", "POST", roles=TRAINERS, request=EvaluationIn)
def evaluations(request: Request) -> Response:
    """List evaluations, newest first, or measure a checkpoint on a worker."""
    if request.method == "GET":
        return page(
            request, Evaluation.objects.select_related("checkpoint", "against", "job"), describe_evaluation
        )
    fields = _checked(EvaluationIn, request)
    try:
        made = services.start_evaluation(
            checkpoint=_known(Checkpoint, "checkpoint", fields["checkpoint"]),
            against=_known(Checkpoint, "against", fields["against"]),
            release=_known(Release, "release", fields["release"]),
            by=request.user,
        )
    except jobs.UserError as failure:
        raise services.refused(failure) from None
    return Response(describe_evaluation(made), status=202)


def describe(row: Checkpoint) -> dict[str, Any]:
    """A checkpoint as the list shows it."""
    return {
        "id": row.pk,
        "name": row.name,
        "model": row.config.get("model"),
        "recipe": row.config.get("recipe"),
        "parent": {"id": row.parent.pk, "name": row.parent.name} if row.parent else None,
        "run": {"id": row.run.pk, "stage": row.run.stage} if row.run else None,
        "releases": [release.pk for release in row.run.releases.all()] if row.run else [],
        "simulated_data": bool(row.card.get("simulated")),
        "promoted": bool(row.proposer and row.proposer.active),
        "proposer": row.proposer.name if row.proposer else None,
        "created_at": row.created_at,
    }


def describe_run(row: TrainingRun) -> dict[str, Any]:
    """A training run as the list shows it."""
    return {
        "id": row.pk,
        "stage": row.stage,
        "model": row.model,
        "recipe": row.recipe,
        "state": row.state,
        "error": row.error.split("\n", 1)[0],
        "init": {"id": row.init.pk, "name": row.init.name} if row.init else None,
        "releases": [release.pk for release in row.releases.all()],
        "checkpoints": [{"id": made.pk, "name": made.name} for made in row.checkpoints.all()],
        "job": describe_job(row.job) if row.job else None,
        "created_at": row.created_at,
    }


def describe_evaluation(row: Evaluation) -> dict[str, Any]:
    """An evaluation with its figures."""
    return {
        "id": row.pk,
        "checkpoint": {"id": row.checkpoint.pk, "name": row.checkpoint.name},
        "against": {"id": row.against.pk, "name": row.against.name} if row.against else None,
        "release": row.release_id,
        "metrics": row.metrics,
        "job": describe_job(row.job) if row.job else None,
        "created_at": row.created_at,
    }


def _checkpoints() -> QuerySet[Checkpoint]:
    rows = Checkpoint.objects.select_related("parent", "run", "proposer", "weights").defer("run__log")
    return rows.prefetch_related("run__releases")


def _runs() -> QuerySet[TrainingRun]:
    return TrainingRun.objects.select_related("job", "init").prefetch_related("releases", "checkpoints")


def _checked(serializer: type[serializers.Serializer], request: Request) -> dict[str, Any]:
    parsed = serializer(data=request.data)
    parsed.is_valid(raise_exception=True)
    return dict(parsed.validated_data)


def _known(model: Any, field: str, pk: int | None) -> Any:
    """The row of this number, None for none; 400 when there is no such row."""
    if pk is None:
        return None
    found = model.objects.filter(pk=pk).first()
    if found is None:
        message = _("There is no row %(pk)s for %(field)s.") % {"pk": pk, "field": field}
        raise ApiError(400, "invalid", message, {field: [_("unknown")]})
    return found
