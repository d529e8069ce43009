"""HTTP of what arrives: uploads, whole or in parts, and the imports of photos and meshes."""

import hashlib
from typing import Any
from uuid import UUID

from django.db import transaction
from django.shortcuts import get_object_or_404
from django.utils.translation import gettext as _
from rest_framework import serializers
from rest_framework.parsers import BaseParser, JSONParser, MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response

from backend import jobs, storage, uploads
from backend.accounts.access import ApiError, Role, endpoint, record, valid
from backend.accounts.api import describe_job
from backend.catalog.models import Batch
from backend.models import Blob, Upload
from backend.words import word

ADMINS = frozenset({Role.ADMIN})
SENDERS = frozenset({Role.ARTIST, Role.ADMIN})


class UploadIn(serializers.Serializer):
    """An upload that is announced."""

    filename = serializers.CharField(max_length=300)
    size = serializers.IntegerField(min_value=1, max_value=2**53)
    sha256 = serializers.RegexField(r"^[0-9a-fA-F]{64}$", required=False)
    in_parts = serializers.BooleanField(required=False, default=False)
    key = serializers.UUIDField(required=False)


class FinaliseIn(serializers.Serializer):
    """The hash that the client computed, when it did not announce it."""

    sha256 = serializers.RegexField(r"^[0-9a-fA-F]{64}$", required=False)


class ImagesIn(serializers.Serializer):
    """Photos to import: a file (multipart) or the id of a finalised upload, and the batch they go to."""

    file = serializers.FileField(required=False, allow_empty_file=False)
    upload = serializers.UUIDField(required=False)
    batch = serializers.IntegerField(min_value=1, max_value=2**62)
    licence = serializers.CharField(required=False, allow_blank=True, max_length=100, default="")
    attribution = serializers.CharField(required=False, allow_blank=True, max_length=2000, default="")
    consent = serializers.CharField(required=False, allow_blank=True, max_length=200, default="")


class MeshesIn(serializers.Serializer):
    """Meshes for the library: a file (multipart) or the id of a finalised upload."""

    file = serializers.FileField(required=False, allow_empty_file=False)
    upload = serializers.UUIDField(required=False)
    category = serializers.CharField(required=False, allow_blank=True, max_length=100, default="")
    licence = serializers.CharField(required=False, allow_blank=True, max_length=100, default="")
    attribution = serializers.CharField(required=False, allow_blank=True, max_length=2000, default="")


class AnyBytes(BaseParser):
    """Hands the raw body on as a stream, whatever its type says."""

    media_type = "*/*"

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> Any:
        """The stream itself: nothing is read here."""
        return stream


@endpoint("POST", roles=ADMINS, request=ImagesIn, parsers=[MultiPartParser, JSONParser])
def import_images(request: Request) -> Response:
    """Import a photo, or a ZIP of photos with sidecars, into a batch. The job's result is the report."""
    fields = valid(ImagesIn, request)
    target = Batch.objects.filter(pk=fields["batch"]).first()
    if target is None:
        raise ApiError(400, "invalid", _("There is no batch with this id."), {"batch": [_("unknown")]})
    return _import(request, "import_images", fields, batch=target.pk, consent=fields["consent"])


@endpoint("POST", roles=ADMINS, request=MeshesIn, parsers=[MultiPartParser, JSONParser])
def import_meshes(request: Request) -> Response:
    """Import meshes (GLB, OBJ, PLY, STL, glTF or OBJ in a ZIP) into the library."""
    fields = valid(MeshesIn, request)
    return _import(request, "import_meshes", fields, category=fields["category"])


@endpoint("POST", roles=SENDERS, request=UploadIn)
def begin_upload(request: Request) -> Response:
    """Announce a file; the answer says where to send its bytes."""
    fields = valid(UploadIn, request)
    fields["sha256"] = fields.get("sha256", "").lower()
    try:
        made = uploads.begin(request.user, **fields)
    except uploads.Refused as refusal:
        raise ApiError(409, "key_used", str(refusal)) from None
    if made.in_parts:
        return Response({**describe_upload(made), "method": "parts"}, status=201)
    link = uploads.link(made)
    if link:
        return Response(
            {"id": made.pk, "method": "post", "url": link["url"], "fields": link["fields"]}, status=201
        )
    return Response(
        {"id": made.pk, "method": "put", "url": f"/api/v1/uploads/{made.pk}/file/", "fields": {}}, status=201
    )


@endpoint("GET", roles=SENDERS)
def upload(request: Request, pk: UUID) -> Response:
    """An upload of yours: its state, and which parts have arrived, so that a broken one can be carried on."""
    return Response(describe_upload(get_object_or_404(Upload, pk=pk, user=request.user)))


@endpoint("PUT", roles=SENDERS, request=bytes, parsers=[AnyBytes])
def upload_part(request: Request, pk: UUID, number: int) -> Response:
    """Take one part of an upload that was announced in parts; once answered it is stored, and it may be repeated."""
    found = _open_upload(request, pk)
    try:
        uploads.receive_part(found, number, request.stream)
    except uploads.Refused as refusal:
        raise ApiError(400, "part_refused", str(refusal)) from None
    return Response({"id": found.pk, "number": number, "stored": True})


@endpoint("PUT", roles=SENDERS, request=bytes, parsers=[AnyBytes])
def upload_file(request: Request, pk: UUID) -> Response:
    """Take the bytes of an announced upload (local store)."""
    found = _open_upload(request, pk)
    if found.in_parts:
        raise ApiError(409, "in_parts", _("This upload was announced in parts."))
    uploads.receive(found, request.stream)
    return Response({"id": found.pk, "state": found.state})


@endpoint("POST", roles=SENDERS, request=FinaliseIn)
def finalise_upload(request: Request, pk: UUID) -> Response:
    """Check size and hash of what arrived; from then on the upload can be imported or submitted."""
    found = get_object_or_404(Upload, pk=pk, user=request.user)
    fields = valid(FinaliseIn, request)
    try:
        found = uploads.finalise(found, fields.get("sha256", ""))
    except uploads.Refused as refusal:
        raise ApiError(400, "upload_refused", str(refusal)) from None
    return Response({"id": found.pk, "state": found.state})


def describe_upload(row: Upload) -> dict[str, Any]:
    """An upload with its parts; each names where to PUT its bytes while they are missing."""
    parts = uploads.parts(row)
    for part in parts:
        part["url"] = part["url"] or f"/api/v1/uploads/{row.pk}/parts/{part['number']}/"
    return {
        "id": row.pk,
        "filename": row.filename,
        "size": row.size,
        "state": row.state,
        "part_size": uploads.PART_BYTES if row.in_parts else None,
        "parts": parts,
    }


def _open_upload(request: Request, pk: UUID) -> Upload:
    found = get_object_or_404(Upload, pk=pk, user=request.user)
    if found.state != Upload.State.OPEN:
        raise ApiError(409, "already_finalised", _("This upload is %(state)s.") % {"state": word(found.state)})
    return found


def _import(request: Request, kind: str, fields: dict[str, Any], **args: Any) -> Response:
    blob, filename = _source(request, fields)
    args |= {
        "blob": blob.pk,
        "filename": filename,
        "licence": fields["licence"],
        "attribution": fields["attribution"],
    }
    # The same file for the same place with the same name is the same work, however often it is sent.
    same = hashlib.sha256(repr(sorted(args.items())).encode()).hexdigest()
    with transaction.atomic():
        job = jobs.send(kind, key=f"{kind}:{same}", args=args, by=request.user)
        jobs.retry(job)
        record(request.user, kind, f"job {job.pk}", filename=filename)
    job.refresh_from_db()
    return Response(describe_job(job), status=202)


def _source(request: Request, fields: dict[str, Any]) -> tuple[Blob, str]:
    """The blob to import: the file in this request, or a finalised upload."""
    if ("file" in fields) == ("upload" in fields):
        raise ApiError(
            400, "invalid", _("Send either a file or the id of an upload."), {"file": [_("required")]}
        )
    if "file" in fields:
        return storage.put(fields["file"], uploads.MEDIA_TYPE), str(fields["file"].name)[:300]
    try:
        return uploads.blob_of(request.user, fields["upload"])
    except uploads.Refused as refusal:
        raise ApiError(400, "invalid", str(refusal), {"upload": [str(refusal)]}) from None
