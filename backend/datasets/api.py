"""HTTP of releases: freeze, list, compare, download, verify."""

from typing import Any

from django.http import HttpResponseBase
from django.shortcuts import get_object_or_404
from django.utils.translation import gettext as _
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from backend import storage
from backend.accounts.access import ApiError, Role, endpoint, record, valid
from backend.accounts.api import describe_job
from backend.catalog.models import Batch, Image
from backend.datasets import removal, services
from backend.datasets.models import Release, ReleaseFile
from backend.paging import page
from backend.serving import serve

READERS = frozenset({Role.RESEARCHER})
ADMINS = frozenset({Role.ADMIN})
MEDIA_TYPES = {
    "tar": "application/x-tar",
    "parquet": "application/vnd.apache.parquet",
    "json": "application/json",
}


class ReleaseIn(serializers.Serializer):
    kind = serializers.ChoiceField(choices=Release.Kind.choices)
    batches = serializers.ListField(
        child=serializers.IntegerField(min_value=1), max_length=1000, default=list
    )
    include_simulated = serializers.BooleanField(default=False)
    include_fallback_layout = serializers.BooleanField(default=False)
    min_rating = serializers.FloatField(min_value=0, max_value=1, default=0)
    collection = serializers.ChoiceField(choices=Batch.Judges.choices, required=False)
    own_negatives = serializers.BooleanField(default=True)
    aesthetic = serializers.BooleanField(default=False)
    base = serializers.IntegerField(min_value=1, allow_null=True, default=None)


@endpoint("GET", "POST", roles=READERS, request=ReleaseIn)
def releases(request: Request) -> Response:
    """List releases, newest first, or freeze a new one on a worker."""
    if request.method == "GET":
        rows = Release.objects.select_related("job", "created_by").prefetch_related("batches")
        reply = page(request, rows, describe)
        _add_removed(reply.data["results"])
        return reply
    parsed = ReleaseIn(data=request.data)
    parsed.is_valid(raise_exception=True)
    fields = dict(parsed.validated_data)
    wanted = set(fields.pop("batches"))
    found = list(Batch.objects.filter(pk__in=wanted).order_by("id"))
    if missing := sorted(wanted - {batch.pk for batch in found}):
        raise ApiError(
            400, "invalid", _("There is no batch %(pk)s.") % {"pk": missing[0]}, {"batches": [_("unknown")]}
        )
    base = fields.pop("base")
    if base is not None:
        fields["base"] = Release.objects.filter(pk=base).first()
        if fields["base"] is None:
            raise ApiError(
                400, "invalid", _("There is no release %(pk)s.") % {"pk": base}, {"base": [_("unknown")]}
            )
    made = services.begin(batches=found, by=request.user, **fields)
    job = services.order(made, by=request.user)
    return Response({"release": describe(made), "job": describe_job(job)}, status=202)


@endpoint("GET", roles=READERS)
def release(request: Request, pk: int) -> Response:
    """One release, with what it builds on and the lines that load it from the folder into which its files were
    downloaded."""
    rows = Release.objects.select_related("job", "created_by").prefetch_related("batches")
    found = get_object_or_404(rows, pk=pk)
    folder = found.location or f"{found.kind}-{found.sha256[:16]}"
    described = {**describe(found), "lineage": services.lineage(found)}
    _add_removed([described])
    return Response({**described, "load": services.loading_lines(folder) if found.rows else None})


@endpoint("GET", roles=READERS)
def files(request: Request, pk: int) -> Response:
    """The files of a release in the store; empty for one that a command wrote to a folder or bucket."""
    found = get_object_or_404(Release, pk=pk)
    rows = ReleaseFile.objects.filter(release=found).select_related("blob")
    return page(request, rows, describe_file, order="id")


@endpoint("GET", roles=READERS, response=bytes)
def download(request: Request, pk: int, name: str) -> HttpResponseBase:
    """The bytes of one file of a release; ranges are served."""
    found = get_object_or_404(ReleaseFile.objects.select_related("blob"), release=pk, name=name)
    return serve(
        request,
        storage.blob_name(found.blob.sha256),
        size=found.blob.size,
        etag=found.blob.sha256[:32],
        media_type=MEDIA_TYPES.get(name.rsplit(".", 1)[-1], "application/octet-stream"),
        filename=name.rsplit("/", 1)[-1],
    )


@endpoint("GET", roles=READERS)
def compare(request: Request, pk: int, other: int) -> Response:
    """What this release added to, and dropped from, another of its kind."""
    mine, theirs = (
        get_object_or_404(Release, pk=number, state=Release.State.FROZEN) for number in (pk, other)
    )
    return Response(services.difference(mine, theirs))


class RemovalIn(serializers.Serializer):
    """Why a photo is removed, and whether its bytes are to be deleted."""

    reason = serializers.CharField(max_length=2000)
    erase = serializers.BooleanField(default=False)


@endpoint("POST", roles=ADMINS, request=RemovalIn)
def remove_image(request: Request, pk: int) -> Response:
    """Remove a photo on request: its tasks end and no later release holds it. Names the releases that hold it now."""
    fields = valid(RemovalIn, request)
    found = get_object_or_404(Image, pk=pk)
    return Response(removal.remove(found, by=request.user, **fields).to_json())


@endpoint("POST", roles=READERS)
def verify(request: Request, pk: int) -> Response:
    """Hash every file again and check every row, on a worker."""
    found = get_object_or_404(Release, pk=pk, state=Release.State.FROZEN)
    job = services.check_again(found, by=request.user)
    record(request.user, "verify", f"release:{found.pk}")
    return Response(describe_job(job), status=202)


def describe(row: Release) -> dict[str, Any]:
    """A release as the pages show it."""
    return {
        "id": row.pk,
        "uid": str(row.uid),
        "kind": row.kind,
        "state": row.state,
        "batches": [{"id": batch.pk, "name": batch.name} for batch in row.batches.all()],
        "include_simulated": row.include_simulated,
        "include_fallback_layout": row.include_fallback_layout,
        "min_rating": row.min_rating,
        "collection": row.collection,
        "own_negatives": row.own_negatives,
        "aesthetic": row.aesthetic,
        "base": row.base_id,
        "rows": row.rows,
        "counts": row.counts,
        "sha256": row.sha256,
        "location": row.location,
        "created_by": row.created_by.username if row.created_by else None,
        "created_at": row.created_at,
        "job": describe_job(row.job) if row.job else None,
    }


def _add_removed(rows: list[dict[str, Any]]) -> None:
    """How many removed photos each of these releases holds, in one statement."""
    held = removal.removed_in([row["id"] for row in rows])
    for row in rows:
        row["removed_images"] = held.get(row["id"], 0)


def describe_file(row: ReleaseFile) -> dict[str, Any]:
    """A file of a release and where to fetch it."""
    return {
        "name": row.name,
        "size": row.blob.size,
        "sha256": row.blob.sha256,
        "url": f"/api/v1/releases/{row.release_id}/files/{row.name}",
    }
