"""Bytes on their way in: begin, receive, finalise. They become a blob only after size, hash and first bytes were checked.

What the bytes are is decided by the worker that parses them, never by the name.
"""

import hashlib
import tempfile
from typing import IO, Any

from django.conf import settings
from django.core.files.uploadhandler import TemporaryFileUploadHandler
from rest_framework.exceptions import APIException

from backend import storage
from backend.models import Blob, Upload

ENVELOPE_BYTES = 64 * 1024  # what multipart adds around a file
MEDIA_TYPE = "application/octet-stream"
HEAD_BYTES = 512
# JPEG, PNG, WebP, GLB, ZIP, PLY; OBJ, ASCII STL and JSON are text.
MAGIC = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"RIFF", b"glTF", b"PK\x03\x04", b"PK\x05\x06", b"ply")
NEVER = (b"<", b"%pdf", b"#!", b"gif8")


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
            raise TooLarge("More bytes came than were announced.")
        return chunk


def check_length(size: int, *, envelope: int = 0) -> None:
    """TooLarge when this many bytes are over the limit."""
    if size > settings.UPLOAD_MAX_BYTES + envelope:
        raise TooLarge(
            f"The file is larger than {settings.UPLOAD_MAX_BYTES} bytes, the limit of this server."
        )


def begin(user: Any, *, filename: str, size: int, sha256: str = "") -> tuple[Upload, dict[str, Any] | None]:
    """Announce an upload. Returns the row, and on S3 the presigned POST that takes the bytes."""
    check_length(size)
    upload = Upload.objects.create(user=user, filename=filename[:300], size=size, sha256=sha256)
    return upload, storage.store().upload_link(storage.incoming_name(upload.pk), size=size)


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
    if arrived is None:
        raise Refused("No bytes have arrived for this upload.")
    if arrived != upload.size:
        _refuse(upload, f"{arrived} bytes arrived, {upload.size} were announced.")
    with tempfile.TemporaryFile() as file:
        digest = _copy(name, file)
        if any(digest != wanted for wanted in (upload.sha256, sha256.lower()) if wanted):
            _refuse(upload, "The sha256 of what arrived is not the announced one.")
        file.seek(0)
        if not looks_taken(file.read(HEAD_BYTES), upload.size):
            _refuse(upload, "This is not a photo, mesh, archive or list that is taken here.")
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
        raise Refused("There is no finalised upload of yours with this id.")
    return upload.blob, upload.filename


def _refuse(upload: Upload, why: str) -> None:
    Upload.objects.filter(pk=upload.pk, state=Upload.State.OPEN).update(state=Upload.State.REFUSED)
    storage.store().remove(storage.incoming_name(upload.pk))
    raise Refused(why)


def _copy(name: str, file: IO[bytes]) -> str:
    digest = hashlib.sha256()
    for chunk in storage.store().open(name):
        digest.update(chunk)
        file.write(chunk)
    return digest.hexdigest()
