"""HTTP of the art cases: curate, list, submit a mesh, read its report, repair, pin, judge, fetch the starter files."""

import math
from typing import Any

from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.http import HttpResponseBase, StreamingHttpResponse
from django.shortcuts import get_object_or_404
from django.utils.translation import gettext as _
from rest_framework import serializers
from rest_framework.parsers import JSONParser, MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response

from backend import storage
from backend.accounts.access import ApiError, Role, endpoint
from backend.accounts.api import describe_job
from backend.annotation.models import Assignment, Task
from backend.art3do import payload, services
from backend.art3do.models import ArtSubmission
from backend.art3do.payload import describe, describe_pin
from backend.art3do.starter import starter as starter_zip
from backend.catalog.models import Batch, TargetObject
from backend.catalog.services import GLB, PNG
from backend.models import Blob, Upload
from backend.paging import page
from backend.serving import serve
from backend.uploads import MEDIA_TYPE

JUDGES = frozenset({Role.REVIEWER})
SEERS = frozenset({Role.ARTIST, Role.REVIEWER})


def finite(value: float) -> None:
    """A coordinate is a number."""
    if not math.isfinite(value):
        raise serializers.ValidationError(_("Not a finite number."))


class CurateIn(serializers.Serializer):
    name = serializers.SlugField(max_length=60)
    tasks = serializers.ListField(
        child=serializers.IntegerField(min_value=1), required=False, max_length=10_000
    )
    reasons = serializers.ListField(child=serializers.CharField(max_length=40), required=False, max_length=50)
    count = serializers.IntegerField(min_value=1, max_value=10_000, required=False)


class SubmissionIn(serializers.Serializer):
    fence = serializers.IntegerField(min_value=1)
    key = serializers.UUIDField()
    file = serializers.FileField(required=False, allow_empty_file=True)
    upload = serializers.UUIDField(required=False)


class RemarkIn(serializers.Serializer):
    text = serializers.CharField(max_length=2000)
    point = serializers.ListField(
        child=serializers.FloatField(validators=[finite]), min_length=3, max_length=3, allow_null=True, default=None
    )  # fmt: skip


class PinIn(serializers.Serializer):
    key = serializers.UUIDField()
    text = serializers.CharField(max_length=2000)
    point = serializers.ListField(
        child=serializers.FloatField(validators=[finite]), min_length=3, max_length=3, allow_null=True, default=None
    )  # fmt: skip


class RepairIn(serializers.Serializer):
    key = serializers.UUIDField()
    fixes = serializers.ListField(
        child=serializers.ChoiceField(choices=services.FIXES), min_length=1, max_length=20
    )


class VerdictIn(serializers.Serializer):
    verdict = serializers.ChoiceField(choices=("approve", "return"))
    note = serializers.CharField(max_length=2000, allow_blank=True, default="")
    pins = serializers.ListField(child=RemarkIn(), max_length=50, default=list)

    def validate(self, fields: dict[str, Any]) -> dict[str, Any]:
        """Pins say what to mend, so they come with a return."""
        if fields["pins"] and fields["verdict"] != "return":
            raise serializers.ValidationError({"pins": [_("Only a return carries pins.")]})
        return fields


@endpoint("POST", roles=(Role.ADMIN,), request=CurateIn)
def curate(request: Request, pk: int) -> Response:
    """Make an Art-3DO batch from this batch's escalated objects: given ones, or some of each reason."""
    source = get_object_or_404(Batch, pk=pk)
    parsed = CurateIn(data=request.data)
    parsed.is_valid(raise_exception=True)
    made, cases = services.curate(source, by=request.user, **parsed.validated_data)
    return Response({"id": made.pk, "name": made.name, "cases": cases}, status=201)


@endpoint("GET", roles=(Role.ARTIST,))
def tasks(request: Request) -> Response:
    """Art cases: an artist's own and those that are free, each with why it failed; all of them for an admin."""
    rows = (
        Task.objects.filter(stage=Task.Stage.ART)
        .select_related("batch", "object")
        .prefetch_related("submissions", payload.pinned("submissions__pins"))
    )
    if request.user.role == Role.ARTIST:
        mine = Assignment.objects.filter(
            task=OuterRef("pk"), user=request.user, state__in=["leased", "submitted"]
        )
        free = Q(state=Task.State.OPEN, needed__gt=F("n_leased") + F("n_done"), batch__state=Batch.State.OPEN)
        rows = rows.filter(free | Exists(mine))
    shown: list[Task] = []

    def seen(row: Task) -> dict[str, Any]:
        shown.append(row)
        return payload.describe_task(row)

    reply = page(request, rows, seen)
    reasons = payload.why(shown)
    last = {row.pk: payload.returned(row) for row in shown}
    own = Assignment.objects.filter(
        user=request.user,
        task__in=[row["id"] for row in reply.data["results"]],
        state__in=["leased", "submitted"],
    )
    by_task = {row.task_id: {"id": row.pk, "fence": row.fence, "state": row.state} for row in own}
    for row in reply.data["results"]:
        row["assignment"] = by_task.get(row["id"])
        row["why"] = reasons[row["id"]]
        # What was said to another artist is between those two.
        row["returned"] = last[row["id"]] if row["assignment"] or request.user.role != Role.ARTIST else None
    return reply


@endpoint("GET", roles=SEERS)
def case(request: Request, pk: int) -> Response:
    """The case of an art assignment: why it failed, what was last returned, and all its versions with their pins."""
    rows = Assignment.objects.filter(stage=Task.Stage.ART)
    if request.user.role == Role.ARTIST:
        rows = rows.filter(user=request.user)
    return Response(payload.case(get_object_or_404(rows, pk=pk)))


@endpoint("POST", roles=(Role.ARTIST,), request=SubmissionIn, parsers=[MultiPartParser, JSONParser])
def submit(request: Request, pk: int) -> Response:
    """Send a mesh (GLB, OBJ, PLY, STL, glTF or OBJ in a ZIP) for the case you hold; a worker checks it at once."""
    parsed = SubmissionIn(data=request.data)
    parsed.is_valid(raise_exception=True)
    fields = dict(parsed.validated_data)
    if ("file" in fields) == ("upload" in fields):
        raise ApiError(
            400, "invalid", _("Send either a file or the id of an upload."), {"file": [_("required")]}
        )
    get_object_or_404(Assignment, pk=pk, user=request.user, stage=Task.Stage.ART)
    row = services.submit(
        request.user, pk, fence=fields["fence"], key=fields["key"], upload=_upload(request, fields)
    )
    job = describe_job(row.job) if row.job else None
    return Response({"submission": describe(payload.submissions().get(pk=row.pk)), "job": job}, status=202)


@endpoint("GET", roles=SEERS)
def submissions(request: Request) -> Response:
    """Submissions by state, newest first; an artist sees the own ones only."""
    rows = _visible(request)
    state = request.query_params.get("state", "")
    if state:
        if state not in ArtSubmission.State.values:
            raise ApiError(
                400,
                "invalid",
                _("There is no state %(state)r.") % {"state": state},
                {"state": [_("unknown")]},
            )
        rows = rows.filter(state=state)
    return page(request, rows, describe)


@endpoint("GET", roles=SEERS)
def submission(request: Request, pk: int) -> Response:
    """One submission with its report, the reviewer's note and pins, its place in the photo, and the other versions."""
    return Response(payload.detail(get_object_or_404(_visible(request), pk=pk)))


@endpoint("GET", roles=SEERS, response=bytes)
def picture(request: Request, pk: int, number: int) -> HttpResponseBase:
    """A picture of the report, as its finding names it."""
    report = getattr(get_object_or_404(_visible(request), pk=pk), "report", None)
    if report is None or number >= len(report.pictures):
        raise ApiError(404, "not_found", _("There is no such picture."))
    blob = get_object_or_404(Blob, pk=report.pictures[number])
    return serve(
        request, storage.blob_name(blob.sha256), size=blob.size, etag=blob.sha256[:32], media_type=PNG
    )


@endpoint("POST", roles=(Role.ARTIST,), request=RepairIn)
def repair(request: Request, pk: int) -> Response:
    """Have safe repairs made on a version of yours: the result is the next version, checked again."""
    parsed = RepairIn(data=request.data)
    parsed.is_valid(raise_exception=True)
    row = services.repair(request.user, pk, **parsed.validated_data)
    job = describe_job(row.job) if row.job else None
    return Response({"submission": describe(payload.submissions().get(pk=row.pk)), "job": job}, status=202)


@endpoint("POST", roles=SEERS, request=PinIn)
def pins(request: Request, pk: int) -> Response:
    """Pin a remark to a version, at a point of its mesh or on the whole; its artist answers the same way."""
    parsed = PinIn(data=request.data)
    parsed.is_valid(raise_exception=True)
    found = get_object_or_404(_visible(request), pk=pk)
    return Response(describe_pin(services.pin(request.user, found, **parsed.validated_data)), status=201)


@endpoint("GET", roles=SEERS, response=bytes)
def model(request: Request, pk: int) -> HttpResponseBase:
    """The submitted mesh as GLB, once it passed the check."""
    found = get_object_or_404(_visible(request), pk=pk, mesh__isnull=False)
    blob = found.mesh.blob
    return serve(
        request, storage.blob_name(blob.sha256), size=blob.size, etag=blob.sha256[:32], media_type=GLB
    )


@endpoint("POST", roles=JUDGES, request=VerdictIn)
def verdict(request: Request, pk: int) -> Response:
    """Approve a submission or send it back with a note and pins."""
    parsed = VerdictIn(data=request.data)
    parsed.is_valid(raise_exception=True)
    services.judge(request.user, pk, **parsed.validated_data)
    return Response(describe(payload.submissions().get(pk=pk)))


@endpoint("GET", roles=SEERS, response=bytes)
def starter(request: Request, pk: int) -> HttpResponseBase:
    """A ZIP to start from: photo, mask, pointmap, camera, and the best candidate with its pose."""
    there = TargetObject.objects.filter(image__removed_at=None)
    target = get_object_or_404(there.select_related("image__display", "mask"), pk=pk)
    reply = StreamingHttpResponse(starter_zip(target), content_type="application/zip")
    reply["Content-Disposition"] = f'attachment; filename="object-{pk}.zip"'
    return reply


def _visible(request: Request) -> QuerySet[ArtSubmission]:
    rows = payload.submissions()
    return rows.filter(assignment__user=request.user) if request.user.role == Role.ARTIST else rows


def _upload(request: Request, fields: dict[str, Any]) -> Upload:
    """The finished upload that this request names, or one made of the file in it."""
    if "file" in fields:
        file = fields["file"]
        blob = storage.put(file, MEDIA_TYPE)
        return Upload.objects.create(
            user=request.user, filename=str(file.name)[:300], size=blob.size, sha256=blob.sha256,
            state=Upload.State.STORED, blob=blob,
        )  # fmt: skip
    found = Upload.objects.filter(pk=fields["upload"], user=request.user, state=Upload.State.STORED).first()
    if found is None:
        raise ApiError(
            400,
            "invalid",
            _("There is no finalised upload of yours with this id."),
            {"upload": [_("unknown")]},
        )
    return found
