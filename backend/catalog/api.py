"""HTTP of the catalog: batches, and the photos, masks and points that pages show."""

from itertools import pairwise
from typing import Any

from django.contrib.postgres.aggregates import ArrayAgg
from django.db import IntegrityError, transaction
from django.db.models import Count, Q, QuerySet
from django.http import HttpResponseBase
from django.shortcuts import get_object_or_404
from django.utils.translation import gettext as _
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from backend import storage
from backend.accounts.access import EVERYONE, ApiError, Role, endpoint, record, valid
from backend.catalog import services
from backend.catalog.models import Batch, Image, TargetObject
from backend.models import Blob, Job
from backend.paging import page
from backend.serving import serve

KEEPERS = frozenset({Role.RESEARCHER, Role.REVIEWER})
ADMINS = frozenset({Role.ADMIN})
SENDERS = frozenset({Role.ARTIST, Role.ADMIN})
BATCH_FIELDS = (
    "id",
    "name",
    "kind",
    "state",
    "priority",
    "n_candidates",
    "alpha",
    "overlap",
    "asks_rating",
    "asks_alignment",
    "asks_review",
    "allows_neither",
    "protocol",
    "judges",
    "checks_masks",
    "taxonomy",
    "scale",
    "shows_gold",
    "instructions",
    "instructions_version",
    "created_at",
)


class LevelIn(serializers.Serializer):
    """One level of a batch's rating scale."""

    r = serializers.FloatField(min_value=0, max_value=1)
    label = serializers.CharField(max_length=80)


class BatchIn(serializers.Serializer):
    """A new batch."""

    name = serializers.SlugField(max_length=60)
    n_candidates = serializers.IntegerField(min_value=2, max_value=50, required=False)
    alpha = serializers.FloatField(min_value=0, max_value=1, required=False)
    overlap = serializers.IntegerField(min_value=1, max_value=20, required=False)
    priority = serializers.IntegerField(min_value=-1000, max_value=1000, required=False)
    asks_rating = serializers.BooleanField(required=False)
    asks_alignment = serializers.BooleanField(required=False)
    asks_review = serializers.BooleanField(required=False)
    allows_neither = serializers.BooleanField(required=False)
    protocol = serializers.ChoiceField(choices=Batch.Protocol.choices, required=False)
    judges = serializers.ChoiceField(choices=Batch.Judges.choices, required=False)
    checks_masks = serializers.BooleanField(required=False)
    taxonomy = serializers.ListField(child=serializers.CharField(max_length=100), max_length=5000, required=False)
    scale = LevelIn(many=True, required=False)
    shows_gold = serializers.BooleanField(required=False)
    instructions = serializers.CharField(required=False, allow_blank=True, max_length=20000)

    def validate_scale(self, levels: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Levels rise and there are two to nine of them (one key each), or none."""
        if levels and (not 2 <= len(levels) <= 9 or any(a["r"] >= b["r"] for a, b in pairwise(levels))):
            raise serializers.ValidationError(_("a scale has 2 to 9 levels with rising r, or none"))
        return [dict(level) for level in levels]


class BatchChange(serializers.Serializer):
    """What may change while people work: nothing that would make earlier answers mean something else."""

    state = serializers.ChoiceField(choices=Batch.State.choices, required=False)
    priority = serializers.IntegerField(min_value=-1000, max_value=1000, required=False)
    alpha = serializers.FloatField(min_value=0, max_value=1, required=False)
    n_candidates = serializers.IntegerField(min_value=2, max_value=50, required=False)
    asks_review = serializers.BooleanField(required=False)
    allows_neither = serializers.BooleanField(required=False)
    checks_masks = serializers.BooleanField(required=False)
    taxonomy = serializers.ListField(child=serializers.CharField(max_length=100), max_length=5000, required=False)
    shows_gold = serializers.BooleanField(required=False)
    instructions = serializers.CharField(required=False, allow_blank=True, max_length=20000)


@endpoint("GET", "POST", roles=KEEPERS, writers=ADMINS, request=BatchIn)
def batches(request: Request) -> Response:
    """List batches with their counts, or make one."""
    if request.method == "GET":
        reply = page(request, Batch.objects.all(), describe)
        counts = count([row["id"] for row in reply.data["results"]])
        for row in reply.data["results"]:
            row["counts"] = counts[row["id"]]
        return reply
    fields = valid(BatchIn, request)
    try:
        with transaction.atomic():
            made = services.create_batch(by=request.user, **fields)
            record(request.user, "create", f"batch {made.pk}", name=made.name)
    except IntegrityError:
        raise ApiError(
            409, "name_taken", _("There is a batch of this name."), {"name": [_("taken")]}
        ) from None
    return Response(_with_counts(made), status=201)


@endpoint("GET", "PATCH", roles=KEEPERS, writers=ADMINS, request=BatchChange)
def batch(request: Request, pk: int) -> Response:
    """One batch with its counts; change its state, bar, priority or instructions."""
    found = get_object_or_404(Batch, pk=pk)
    if request.method == "PATCH":
        fields = valid(BatchChange, request)
        with transaction.atomic():
            record(request.user, "change", f"batch {pk}", **fields)
            if "instructions" in fields:
                services.write_instructions(found, fields.pop("instructions"), by=request.user)
            Batch.objects.filter(pk=pk).update(**fields)
        found.refresh_from_db()
    return Response(_with_counts(found))


@endpoint("GET", roles=KEEPERS)
def batch_objects(request: Request, pk: int) -> Response:
    """The objects of a batch with what is ready, how their proposal jobs stand, and the state of each stage."""
    found = get_object_or_404(Batch, pk=pk)
    rows = TargetObject.objects.filter(pk__in=found.tasks.values("object_id")).select_related("image")
    reply = page(request, rows, describe_object, order="id")
    _add_progress(found, reply.data["results"])
    return reply


@endpoint("GET", roles=EVERYONE, response=bytes)
def photo(request: Request, pk: int) -> HttpResponseBase:
    """The photo, upright and without private metadata (JPEG or PNG)."""
    found = get_object_or_404(Image.objects.select_related("display"), pk=pk)
    blob = _there(found).display
    return _blob(request, blob, blob.media_type)


@endpoint("GET", roles=EVERYONE, response=bytes)
def mask(request: Request, pk: int) -> HttpResponseBase:
    """The object's mask as PNG, white inside."""
    found = get_object_or_404(
        TargetObject.objects.select_related("mask", "image"), pk=pk, mask__isnull=False
    )
    _there(found.image)
    return _blob(request, found.mask, services.PNG)


@endpoint("GET", roles=EVERYONE, response=bytes)
def points(request: Request, pk: int) -> HttpResponseBase:
    """The object's surroundings as float32 little-endian N x 6: x y z (OpenCV camera) and r g b (0..1), N <= 60,000."""
    found = get_object_or_404(TargetObject.objects.select_related("image"), pk=pk)
    pointmap = services.best_pointmap(_there(found.image))
    if pointmap is None or pointmap.points_id is None:
        raise ApiError(404, "not_found", _("This photo has no points yet."))
    return _blob(request, pointmap.points, services.RAW)


def describe(row: Batch) -> dict[str, Any]:
    """A batch as pages see it, without its counts."""
    return {name: getattr(row, name) for name in BATCH_FIELDS}


def describe_object(row: TargetObject) -> dict[str, Any]:
    """An object as the batch page sees it, without its progress."""
    return {
        "id": row.pk,
        "name": row.name,
        "category": row.category,
        "image_id": row.image_id,
        "removed": row.image.removed_at is not None,
        "photo_url": f"/api/v1/images/{row.image_id}/photo/",
        "mask_url": f"/api/v1/objects/{row.pk}/mask.png" if row.mask_id else None,
    }


def count(batch_ids: list[int]) -> dict[int, dict[str, Any]]:
    """Counts of several batches in three grouped statements: objects, candidates, tasks by state and stage, samples.

    The rows counted belong to apps above this one; they are reached by relation name.
    """
    made: dict[int, dict[str, Any]] = {
        pk: {
            "objects": 0,
            "candidates": 0,
            "samples": 0,
            "waiting": 0,
            "open": 0,
            "done": 0,
            "escalated": 0,
            "stages": {},
        }
        for pk in batch_ids
    }
    rows: QuerySet[Any, Any] = Batch.objects.filter(pk__in=batch_ids)
    current = Q(samples__isnull=False, samples__withdrawn_at=None)
    for relation, which in (("candidates", None), ("samples", current)):
        for pk, n in rows.values_list("pk").annotate(n=Count(relation, filter=which)):
            made[pk][relation] = n
    for pk, stage, state, n in rows.values_list("pk", "tasks__stage", "tasks__state").annotate(
        n=Count("tasks")
    ):
        if stage:
            made[pk]["stages"].setdefault(stage, {})[state] = n
            made[pk][state] = made[pk].get(state, 0) + n
    for pk, n in rows.values_list("pk").annotate(n=Count("tasks__object", distinct=True)):
        made[pk]["objects"] = n
    return made


def _with_counts(row: Batch) -> dict[str, Any]:
    return {**describe(row), "counts": count([row.pk])[row.pk]}


def _add_progress(found: Batch, rows: list[dict[str, Any]]) -> None:
    """Three grouped statements for a whole page of objects."""
    by_id = {row["id"]: row for row in rows}
    for row in rows:
        row |= {"candidates_ready": 0, "stage_states": {}, "jobs": dict.fromkeys(Job.State.values, 0)}
        row |= {"failed_jobs": [], "rejected": ""}
    ready = found.candidates.filter(object__in=by_id, state="ready")
    for pk, n in ready.values_list("object").annotate(n=Count("id")):
        by_id[pk]["candidates_ready"] = n
    tasks = found.tasks.filter(object__in=by_id).order_by("round")
    for pk, stage, state, reason in tasks.values_list("object", "stage", "state", "reason"):
        by_id[pk]["stage_states"][stage] = state
        by_id[pk]["rejected"] = reason if (stage, state) == ("select", "cancelled") else by_id[pk]["rejected"]
    groups = {f"propose:{found.pk}:{pk}": row for pk, row in by_id.items()}
    jobs_of = Job.objects.filter(group__in=groups).values_list("group", "state")
    for group, state, ids in jobs_of.annotate(ids=ArrayAgg("id")):
        groups[group]["jobs"][state] = len(ids)
        if state == Job.State.FAILED:
            groups[group]["failed_jobs"] = sorted(ids)


def _there(image: Image) -> Image:
    """The photo, unless it was removed on request: nothing of it is shown any more, to nobody."""
    if image.removed_at:
        raise ApiError(410, "removed", _("This photo was removed on request."))
    return image


def _blob(request: Request, blob: Blob, media_type: str) -> HttpResponseBase:
    return serve(
        request, storage.blob_name(blob.sha256), size=blob.size, etag=blob.sha256[:32], media_type=media_type
    )
