"""The blob store: bytes by sha256 in a local folder or any S3, and static files with hashed ES modules.

Nothing is overwritten: the same bytes have the same name, and other bytes another one. Only `erase` deletes a blob.
"""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import IO, Any, Protocol
from uuid import UUID

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError
from django.conf import settings
from whitenoise.storage import CompressedManifestStaticFilesStorage

from backend.models import Blob

CHUNK = 1024 * 1024
IMMUTABLE = "public, max-age=31536000, immutable"


class ModuleStaticFilesStorage(CompressedManifestStaticFilesStorage):
    """Hashed static files whose ES `import` paths are rewritten too, so unbundled modules cache for ever."""

    support_js_module_import_aggregation = True


class StorageError(Exception):
    """The bytes are not there, or are not what they claim to be."""


class Store(Protocol):
    """What the rest of the engine needs of a place for bytes. `name` is a path inside the store."""

    def write(self, name: str, source: IO[bytes], media_type: str) -> None: ...
    def open(self, name: str, start: int = 0, length: int | None = None) -> Iterator[bytes]: ...
    def size(self, name: str) -> int | None: ...
    def remove(self, name: str) -> None: ...
    def link(self, name: str, *, media_type: str, filename: str = "", seconds: int = 3600) -> str | None: ...
    def upload_link(self, name: str, *, size: int, seconds: int = 3600) -> dict[str, Any] | None: ...
    def begin_parts(self, name: str) -> str: ...
    def write_part(self, name: str, ticket: str, number: int, source: IO[bytes]) -> None: ...
    def part_link(self, name: str, ticket: str, number: int, seconds: int = 3600) -> str | None: ...
    def parts(self, name: str, ticket: str) -> dict[int, int]: ...
    def join_parts(self, name: str, ticket: str) -> None: ...
    def drop_parts(self, name: str, ticket: str) -> None: ...


class LocalStore:
    """Blobs in a folder; bytes are served by Django, so there are no links."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def _path(self, name: str) -> Path:
        return self.root / name

    def write(self, name: str, source: IO[bytes], media_type: str) -> None:
        """Store all of `source` under `name`, durable before it is visible."""
        path = self._path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as part:
            shutil.copyfileobj(source, part, CHUNK)
            part.flush()
            os.fsync(part.fileno())
        os.chmod(part.name, 0o644)
        os.replace(part.name, path)

    def open(self, name: str, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        """Stream bytes from `start`; StorageError when there are none."""
        try:
            file = self._path(name).open("rb")
        except FileNotFoundError:
            raise StorageError(f"{name} is not in the store") from None
        with file:
            file.seek(start)
            left = length if length is not None else self._path(name).stat().st_size - start
            while left > 0 and (chunk := file.read(min(CHUNK, left))):
                left -= len(chunk)
                yield chunk

    def size(self, name: str) -> int | None:
        """Bytes stored under a name, None when there are none."""
        path = self._path(name)
        return path.stat().st_size if path.is_file() else None

    def remove(self, name: str) -> None:
        """Forget an unfinished upload, or what a person asked to have erased."""
        self._path(name).unlink(missing_ok=True)

    def link(self, name: str, *, media_type: str, filename: str = "", seconds: int = 3600) -> str | None:
        """No direct link: the web server streams the file."""
        return None

    def upload_link(self, name: str, *, size: int, seconds: int = 3600) -> dict[str, Any] | None:
        """No direct link: the client sends the bytes to the API."""
        return None

    def begin_parts(self, name: str) -> str:
        """Parts lie in a folder beside the name; no ticket is needed to write them."""
        return ""

    def write_part(self, name: str, ticket: str, number: int, source: IO[bytes]) -> None:
        """Store one part of a file, durable before it is listed; the same number again replaces it."""
        self.write(f"{name}.parts/{number}", source, "")

    def part_link(self, name: str, ticket: str, number: int, seconds: int = 3600) -> str | None:
        """No direct link: the client sends the part to the API."""
        return None

    def parts(self, name: str, ticket: str) -> dict[int, int]:
        """Sizes of the parts that are stored, by number."""
        folder = self._path(f"{name}.parts")
        # What is still being written has a temporary name.
        return {int(path.name): path.stat().st_size for path in folder.glob("*") if path.name.isdecimal()}

    def join_parts(self, name: str, ticket: str) -> None:
        """The parts in order become the file; durable before they are gone."""
        numbers = sorted(self.parts(name, ticket))
        chunks = (chunk for number in numbers for chunk in self.open(f"{name}.parts/{number}"))
        self.write(name, _Chained(chunks), "")  # type: ignore[arg-type]
        self.drop_parts(name, ticket)

    def drop_parts(self, name: str, ticket: str) -> None:
        """Forget the parts."""
        shutil.rmtree(self._path(f"{name}.parts"), ignore_errors=True)


class _Chained:
    """Chunks of bytes as a stream to copy from."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self.chunks = chunks

    def read(self, size: int = CHUNK) -> bytes:
        return next(self.chunks, b"")


class S3Store:
    """Blobs in a bucket of any S3; large ones go up in parts, downloads by presigned link."""

    def __init__(self, bucket: str, endpoint: str) -> None:
        self.bucket = bucket
        self.client = boto3.client(
            "s3",
            endpoint_url=endpoint or None,
            config=Config(signature_version="s3v4", s3={"addressing_style": "path"}, max_pool_connections=32),
        )

    def ensure_bucket(self) -> None:
        """Create the bucket of a development server when it is missing."""
        try:
            self.client.head_bucket(Bucket=self.bucket)
        except ClientError:
            self.client.create_bucket(Bucket=self.bucket)

    def write(self, name: str, source: IO[bytes], media_type: str) -> None:
        """Store all of `source`; boto3 splits it into parts when it is large."""
        self.client.upload_fileobj(
            source, self.bucket, name, ExtraArgs={"ContentType": media_type, "CacheControl": IMMUTABLE}
        )

    def open(self, name: str, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        """Stream bytes from `start`; StorageError when there are none."""
        last = "" if length is None else str(start + length - 1)
        if length == 0 or self.size(name) == 0:
            return
        try:
            reply = self.client.get_object(Bucket=self.bucket, Key=name, Range=f"bytes={start}-{last}")
        except ClientError as failure:
            raise StorageError(f"{name} is not in the store: {failure}") from None
        yield from reply["Body"].iter_chunks(CHUNK)

    def size(self, name: str) -> int | None:
        """Bytes stored under a name, None when there are none."""
        try:
            return int(self.client.head_object(Bucket=self.bucket, Key=name)["ContentLength"])
        except ClientError as failure:
            if failure.response["Error"]["Code"] in {"404", "NoSuchKey", "NotFound"}:
                return None
            raise

    def remove(self, name: str) -> None:
        """Forget an unfinished upload, or what a person asked to have erased."""
        self.client.delete_object(Bucket=self.bucket, Key=name)

    def link(self, name: str, *, media_type: str, filename: str = "", seconds: int = 3600) -> str | None:
        """Presigned download link, made per response and never stored."""
        params = {"Bucket": self.bucket, "Key": name, "ResponseContentType": media_type}
        if filename:
            params["ResponseContentDisposition"] = f'attachment; filename="{filename}"'
        return str(self.client.generate_presigned_url("get_object", Params=params, ExpiresIn=seconds))

    def upload_link(self, name: str, *, size: int, seconds: int = 3600) -> dict[str, Any] | None:
        """Presigned POST with the announced size as limit; the server checks again at finalise."""
        return dict(
            self.client.generate_presigned_post(
                self.bucket, name, Conditions=[["content-length-range", 0, size]], ExpiresIn=seconds
            )
        )

    def begin_parts(self, name: str) -> str:
        """Open a multipart upload; its id is the ticket that its parts are written with."""
        made = self.client.create_multipart_upload(Bucket=self.bucket, Key=name, CacheControl=IMMUTABLE)
        return str(made["UploadId"])

    def write_part(self, name: str, ticket: str, number: int, source: IO[bytes]) -> None:
        """Send one part through the web server, for clients that cannot reach the bucket."""
        self.client.upload_part(
            Bucket=self.bucket, Key=name, UploadId=ticket, PartNumber=number, Body=source.read()
        )

    def part_link(self, name: str, ticket: str, number: int, seconds: int = 3600) -> str | None:
        """Presigned PUT for one part; its size is checked before the parts are joined."""
        params = {"Bucket": self.bucket, "Key": name, "UploadId": ticket, "PartNumber": number}
        return str(self.client.generate_presigned_url("upload_part", Params=params, ExpiresIn=seconds))

    def parts(self, name: str, ticket: str) -> dict[int, int]:
        """Sizes of the parts that are stored, by number."""
        return {number: part["Size"] for number, part in self._listed(name, ticket).items()}

    def join_parts(self, name: str, ticket: str) -> None:
        """The parts in order become the object."""
        parts = [
            {"PartNumber": number, "ETag": part["ETag"]}
            for number, part in sorted(self._listed(name, ticket).items())
        ]
        self.client.complete_multipart_upload(
            Bucket=self.bucket, Key=name, UploadId=ticket, MultipartUpload={"Parts": parts}
        )

    def drop_parts(self, name: str, ticket: str) -> None:
        """Abort the multipart upload; one that has ended already is no error."""
        try:
            self.client.abort_multipart_upload(Bucket=self.bucket, Key=name, UploadId=ticket)
        except ClientError as failure:
            if failure.response["Error"]["Code"] != "NoSuchUpload":
                raise

    def _listed(self, name: str, ticket: str) -> dict[int, dict[str, Any]]:
        pages = self.client.get_paginator("list_parts").paginate(
            Bucket=self.bucket, Key=name, UploadId=ticket
        )
        try:
            return {part["PartNumber"]: part for page in pages for part in page.get("Parts", [])}
        except ClientError as failure:
            if failure.response["Error"]["Code"] == "NoSuchUpload":
                return {}
            raise


@lru_cache(maxsize=1)
def store() -> Store:
    """The configured store: S3 when a bucket is named, else the local folder."""
    if settings.S3_BUCKET:
        s3 = S3Store(settings.S3_BUCKET, settings.S3_ENDPOINT_URL)
        if settings.S3_ENDPOINT_URL:
            s3.ensure_bucket()
        return s3
    return LocalStore(settings.BLOB_ROOT)


def blob_name(sha256: str) -> str:
    """Where a blob lies in the store."""
    return f"blobs/{sha256[:2]}/{sha256[2:4]}/{sha256}"


def incoming_name(upload: UUID) -> str:
    """Where an upload lies until it is finalised."""
    return f"incoming/{upload}"


def view_name(key: UUID, suffix: str) -> str:
    """Opaque name of a copy that annotators fetch: it says nothing about what made it."""
    return f"view/{key}{suffix}"


def put(source: bytes | Path | IO[bytes], media_type: str) -> Blob:
    """Store bytes by their hash and return the row; bytes already there are not written again."""
    if isinstance(source, bytes):
        with tempfile.SpooledTemporaryFile() as file:
            file.write(source)
            file.seek(0)
            return _put_file(file, media_type)
    if isinstance(source, Path):
        with source.open("rb") as file:
            return _put_file(file, media_type)
    return _put_file(source, media_type)


def _put_file(file: Any, media_type: str) -> Blob:
    digest, size = hashlib.sha256(), 0
    while chunk := file.read(CHUNK):
        digest.update(chunk)
        size += len(chunk)
    sha256 = digest.hexdigest()
    name = blob_name(sha256)
    if store().size(name) != size:
        file.seek(0)
        store().write(name, file, media_type)
    blob, _ = Blob.objects.get_or_create(sha256=sha256, defaults={"size": size, "media_type": media_type})
    return blob


def erase(sha256: str) -> bool:
    """Delete a blob's bytes for good; its row stays. False when they were not there. For removals on request only."""
    name = blob_name(sha256)
    if store().size(name) is None:
        return False
    store().remove(name)
    return True


def read(blob: Blob | str) -> bytes:
    """All bytes of a blob; for small things (photos, masks, single meshes)."""
    return b"".join(stream(blob))


def stream(blob: Blob | str, start: int = 0, length: int | None = None) -> Iterator[bytes]:
    """Bytes of a blob in chunks."""
    sha256 = blob if isinstance(blob, str) else blob.sha256
    return store().open(blob_name(sha256), start, length)


def fetch(blob: Blob, folder: Path, name: str = "") -> Path:
    """A local file with the blob's bytes, checked against its hash; a file that is there already is kept."""
    path = folder / (name or blob.sha256)
    if path.is_file() and path.stat().st_size == blob.size:
        return path
    folder.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256()
    with tempfile.NamedTemporaryFile(dir=folder, delete=False) as part:
        for chunk in stream(blob):
            digest.update(chunk)
            part.write(chunk)
    if digest.hexdigest() != blob.sha256:
        os.unlink(part.name)
        raise StorageError(f"blob {blob.sha256[:12]} is damaged in the store")
    os.replace(part.name, path)
    return path
