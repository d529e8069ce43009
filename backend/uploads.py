"""Bytes on their way in: begin, receive (whole or in parts), finalise. They become a blob only after size, hash and
first bytes were checked.

What the bytes are is decided by the worker that parses them, never by the name.
"""

import hashlib
import tempfile
from typing import IO, Any
from uuid import UUID

from django.conf import settings
from django.core.files.uploadhandler import TemporaryFileUploadHandler
from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _
from rest_framework.exceptions import APIException

from backend import storage
from backend.models import Blob, Upload

ENVELOPE_BYTES = 64 * 1024  # what multipart adds around a file
MEDIA_TYPE = "application/octet-stream"
HEAD_BYTES = 512
PART_BYTES = 8 * 1024 * 1024
# JPEG, PNG, WebP, GLB, ZIP, PLY; OBJ, ASCII STL and JSON are text.
MAGIC = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"RIFF", b"glTF", b"PK\x03\x04", b"PK\x05\x06", b"ply")
NEVER = (b"<", b"%pdf", b"#!", b"gif8")
FBX = (b"Kaydara FBX Binary", b"; FBX")


class TooLarge(APIException):
    """More bytes than this server takes, or than were announced."""

    status_code = 413


class Refused(Exception):
    """The bytes are not the ones that were announced; the message is for the person who sent them."""


class LimitedUploadHandler(TemporaryFileUploadHandler):
    """Django's upload to a temporary file, refused by the announced length before a byte is written."""

    def handle_raw_input(
        self, input_data: Any, META: Any, content_length: int, *args: Any, **kwargs: Any
    ) -> None:
        check_length(content_length, envelope=ENVELOPE_BYTES)


class _Limited:
    """A stream that refuses to give more than `limit` bytes."""

    def __init__(self, source: Any, limit: int) -> None:
        self.source, self.left = source, limit

    def read(self, size: int = storage.CHUNK) -> bytes:
        chunk: bytes = self.source.read(size if size and size > 0 else storage.CHUNK)
        self.left -= len(chunk)
        if self.left < 0:
            raise TooLarge(_("More bytes came than were announced."))
        return chunk


def check_length(size: int, *, envelope: int = 0) -> None:
    """TooLarge when this many bytes are over the limit."""
    if size > settings.UPLOAD_MAX_BYTES + envelope:
        raise TooLarge(
            _("The file is larger than %(limit)s bytes, the limit of this server.")
            % {"limit": settings.UPLOAD_MAX_BYTES}
        )


def begin(
    user: Any, *, filename: str, size: int, sha256: str = "", in_parts: bool = False, key: UUID | None = None
) -> Upload:
    """Announce an upload; the same key again gives the row that was made. TooLarge, or Refused for a used key."""
    check_length(size)
    fields = {"filename": filename[:300], "size": size, "sha256": sha256, "in_parts": in_parts}
    known = Upload.objects.filter(user=user, key=key).first() if key else None
    if known is None:
        try:
            with transaction.atomic():
                known = Upload.objects.create(user=user, key=key, **fields)
        except IntegrityError:  # the same announcement at the same moment
            known = Upload.objects.get(user=user, key=key)
    if any(getattr(known, name) != value for name, value in fields.items()):
        raise Refused(_("This key announced another file."))
    if in_parts and not known.ticket:
        ticket = storage.store().begin_parts(storage.incoming_name(known.pk))
        Upload.objects.filter(pk=known.pk, ticket="").update(ticket=ticket)
        known.refresh_from_db()
    return known


def link(upload: Upload) -> dict[str, Any] | None:
    """On S3 the presigned POST that takes all bytes of an upload, None on the local store."""
    return storage.store().upload_link(storage.incoming_name(upload.pk), size=upload.size)


def part_size(upload: Upload, number: int) -> int | None:
    """Bytes that part `number` (from 1) must have; None when the upload has no such part."""
    if not upload.in_parts or not 1 <= number <= -(-upload.size // PART_BYTES):
        return None
    return min(PART_BYTES, upload.size - (number - 1) * PART_BYTES)


def parts(upload: Upload) -> list[dict[str, Any]]:
    """Every part of an open upload: number, size, whether it is stored whole, and on S3 where to put it."""
    if not upload.in_parts or upload.state != Upload.State.OPEN:
        return []
    name, store = storage.incoming_name(upload.pk), storage.store()
    whole, there = store.size(name) is not None, store.parts(name, upload.ticket)
    rows: list[dict[str, Any]] = []
    while size := part_size(upload, len(rows) + 1):
        number = len(rows) + 1
        stored = whole or there.get(number) == size
        url = None if stored else store.part_link(name, upload.ticket, number)
        rows.append({"number": number, "size": size, "stored": stored, "url": url})
    return rows


def receive_part(upload: Upload, number: int, source: Any) -> None:
    """Take one part through the web server; a part that is not whole is not kept. TooLarge, Refused."""
    size = part_size(upload, number)
    if size is None:
        raise Refused(_("This upload has no part %(number)s.") % {"number": number})
    with tempfile.SpooledTemporaryFile(max_size=PART_BYTES) as file:
        limited = _Limited(source, size)
        while chunk := limited.read():
            file.write(chunk)
        if limited.left:
            raise Refused(
                _("Part %(number)s has %(size)s bytes, %(arrived)s arrived. Send it again.")
                % {"number": number, "size": size, "arrived": size - limited.left}
            )
        file.seek(0)
        storage.store().write_part(storage.incoming_name(upload.pk), upload.ticket, number, file)


def receive(upload: Upload, source: Any) -> None:
    """Take the bytes of an open upload through the web server (local store). TooLarge beyond the announced size."""
    name = storage.incoming_name(upload.pk)
    storage.store().write(name, _Limited(source, upload.size), MEDIA_TYPE)  # type: ignore[arg-type]


def finalise(upload: Upload, sha256: str = "") -> Upload:
    """Check size, hash and first bytes of what arrived and make it a blob. Safe to call twice. Raises Refused."""
    if upload.state != Upload.State.OPEN:
        return upload
    name = storage.incoming_name(upload.pk)
    arrived = storage.store().size(name)
    if upload.in_parts and arrived is None:
        _join(upload, name)
        arrived = storage.store().size(name)
    if arrived is None:
        raise Refused(_("No bytes have arrived for this upload."))
    if arrived != upload.size:
        _refuse(
            upload,
            _("%(arrived)s bytes arrived, %(size)s were announced.")
            % {"arrived": arrived, "size": upload.size},
        )
    with tempfile.TemporaryFile() as file:
        digest = _copy(name, file)
        if any(digest != wanted for wanted in (upload.sha256, sha256.lower()) if wanted):
            _refuse(upload, _("The sha256 of what arrived is not the announced one."))
        file.seek(0)
        head = file.read(HEAD_BYTES)
        if head.lstrip().startswith(FBX):
            _refuse(upload, _("This is an FBX file, which is not read here: export GLB and send that."))
        if not looks_taken(head, upload.size):
            _refuse(upload, _("This is not a photo, mesh, archive or list that is taken here."))
        file.seek(0)
        blob = storage.put(file, MEDIA_TYPE)
    Upload.objects.filter(pk=upload.pk, state=Upload.State.OPEN).update(state=Upload.State.STORED, blob=blob)
    storage.store().remove(name)
    upload.refresh_from_db()
    return upload


def looks_taken(head: bytes, size: int) -> bool:
    """Whether a file's first bytes are those of a kind that some door takes; the worker's parser has the last word."""
    binary_stl = len(head) >= 84 and size == 84 + 50 * int.from_bytes(head[80:84], "little")
    text = b"\0" not in head and not head.lstrip().lower().startswith(NEVER)
    return head.startswith(MAGIC) or binary_stl or text


def blob_of(user: Any, upload_id: Any) -> tuple[Blob, str]:
    """Blob and file name of a person's finalised upload. Raises Refused when it is not there or not finalised."""
    upload = Upload.objects.select_related("blob").filter(pk=upload_id, user=user).first()
    if upload is None or upload.blob is None:
        raise Refused(_("There is no finalised upload of yours with this id."))
    return upload.blob, upload.filename


def _join(upload: Upload, name: str) -> None:
    """Make the parts one file. Raises Refused, and leaves the upload open, while some are missing."""
    with transaction.atomic():
        # Two finalises at once must not join what the other is clearing away.
        Upload.objects.select_for_update().get(pk=upload.pk)
        missing = [part["number"] for part in parts(upload) if not part["stored"]]
        if missing:
            raise Refused(
                _("Parts %(parts)s have not arrived whole. Send them again.")
                % {"parts": ", ".join(map(str, missing[:20]))}
            )
        if storage.store().size(name) is None:
            storage.store().join_parts(name, upload.ticket)


def _refuse(upload: Upload, why: str) -> None:
    Upload.objects.filter(pk=upload.pk, state=Upload.State.OPEN).update(state=Upload.State.REFUSED)
    storage.store().remove(storage.incoming_name(upload.pk))
    if upload.in_parts:
        storage.store().drop_parts(storage.incoming_name(upload.pk), upload.ticket)
    raise Refused(why)


def _copy(name: str, file: IO[bytes]) -> str:
    digest = hashlib.sha256()
    for chunk in storage.store().open(name):
        digest.update(chunk)
        file.write(chunk)
    return digest.hexdigest()
