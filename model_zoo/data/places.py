"""Where a data set is read from: a folder, or below a prefix of an S3 bucket; whole small files and ranges of large ones."""

import os
from collections import OrderedDict
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from model_zoo.data.locks import ThreadLock
from model_zoo.io.errors import BadInput, safe_text

S3 = "s3://"
OPEN_FILES = 64


class Place(Protocol):
    """Files by relative names with slashes. Every method raises BadInput for what is not there."""

    name: str

    def names(self, prefix: str) -> list[str]:
        """Names that begin with a prefix, sorted."""

    def size(self, name: str) -> int:
        """Bytes of a file."""

    def read(self, name: str) -> bytes:
        """A small file."""

    def read_at(self, name: str, offset: int, length: int) -> bytes:
        """Exactly `length` bytes of a file from `offset`."""


def open_place(where: str | Path, endpoint: str = "") -> Place:
    """A folder, or s3://BUCKET/PREFIX at an endpoint (default: boto3's own, as AWS_ENDPOINT_URL names it)."""
    return Bucket(str(where), endpoint) if str(where).startswith(S3) else Folder(Path(where))


def short(name: str, end: int) -> BadInput:
    """The error for a file that lacks bytes."""
    return BadInput(f"{safe_text(name)} ends before byte {end}", "short_shard")


class Folder:
    """Files below a folder; the last used stay open."""

    def __init__(self, root: Path) -> None:
        self.root, self.name = root, root.resolve().name
        self._open: OrderedDict[str, BinaryIO] = OrderedDict()
        self._lock = ThreadLock()

    def __getstate__(self) -> dict[str, Any]:
        return {"root": self.root}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["root"])  # type: ignore[misc]

    def names(self, prefix: str) -> list[str]:
        """Names that begin with a prefix, sorted."""
        start = self.root / prefix.rpartition("/")[0]
        found = (path.relative_to(self.root).as_posix() for path in start.rglob("*") if path.is_file())
        return sorted(name for name in found if name.startswith(prefix))

    def size(self, name: str) -> int:
        """Bytes of a file."""
        return os.fstat(self._file(name).fileno()).st_size

    def read(self, name: str) -> bytes:
        """A small file."""
        try:
            return (self.root / name).read_bytes()
        except OSError as error:
            raise self._wrong(name, error) from None

    def read_at(self, name: str, offset: int, length: int) -> bytes:
        """Exactly `length` bytes of a file from `offset`."""
        file = self._file(name)  # held here, so that it stays open while it is read
        try:
            data = os.pread(file.fileno(), length, offset)
            while 0 < len(data) < length and (
                more := os.pread(file.fileno(), length - len(data), offset + len(data))
            ):
                data += more
        except OSError as error:
            raise self._wrong(name, error) from None
        if len(data) != length:
            raise short(name, offset + length)
        return data

    def _file(self, name: str) -> BinaryIO:
        with self._lock:
            file = self._open.get(name)
            if file is None:
                try:
                    file = self._open[name] = (self.root / name).open("rb", buffering=0)  # type: ignore[assignment]
                except OSError as error:
                    raise self._wrong(name, error) from None
                if len(self._open) > OPEN_FILES:
                    self._open.popitem(last=False)  # closed when the last reader lets go of it
            else:
                self._open.move_to_end(name)
        return file

    def _wrong(self, name: str, error: OSError) -> BadInput:
        return BadInput(f"{safe_text(name)} of {self.name} cannot be read: {error.strerror}", "missing_file")


class Bucket:
    """Below s3://BUCKET/PREFIX; the client retries what fails in passing."""

    def __init__(self, where: str, endpoint: str = "") -> None:
        self.where, self.endpoint = where, endpoint
        self.bucket, _, prefix = where.removeprefix(S3).partition("/")
        self.prefix = prefix.strip("/")
        if not self.bucket:
            raise BadInput(f"{safe_text(where)} names no bucket: s3://BUCKET/PREFIX", "bad_place")
        self.name = self.prefix.rpartition("/")[2] or self.bucket
        self._client: Any = None
        self._process = 0
        self._lock = ThreadLock()

    def __getstate__(self) -> dict[str, Any]:
        return {"where": self.where, "endpoint": self.endpoint}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["where"], state["endpoint"])  # type: ignore[misc]

    @property
    def client(self) -> Any:
        """A client of this process: connections must not be shared after a fork."""
        with self._lock:
            if self._process != os.getpid():
                config = Config(
                    signature_version="s3v4", s3={"addressing_style": "path"}, max_pool_connections=32,
                    retries={"mode": "standard", "max_attempts": 5},
                )  # fmt: skip
                self._client = boto3.session.Session().client(
                    "s3", endpoint_url=self.endpoint or None, config=config
                )
                self._process = os.getpid()
        return self._client

    def _key(self, name: str) -> str:
        return f"{self.prefix}/{name}" if self.prefix else name

    def _asked(self, call: str, name: str, **how: Any) -> Any:
        try:
            return getattr(self.client, call)(Bucket=self.bucket, Key=self._key(name), **how)
        except ClientError as error:
            code = error.response.get("Error", {}).get("Code", "")
            if code in ("InvalidRange", "416"):
                raise BadInput(
                    f"{safe_text(name)} ends before the bytes that the index names", "short_shard"
                ) from None
            missing = code in ("404", "NoSuchKey", "NotFound", "NoSuchBucket")
            raise self._wrong(
                name, "not there" if missing else error, "missing_file" if missing else "s3"
            ) from None
        except BotoCoreError as error:
            raise self._wrong(name, error, "s3") from None

    def _wrong(self, name: str, error: object, code: str) -> BadInput:
        return BadInput(f"{safe_text(name)} of {safe_text(self.where)}: {safe_text(error, 200)}", code)

    def names(self, prefix: str) -> list[str]:
        """Names that begin with a prefix, sorted."""
        try:
            pages = self.client.get_paginator("list_objects_v2").paginate(
                Bucket=self.bucket, Prefix=self._key(prefix)
            )
            keys = [row["Key"] for page in pages for row in page.get("Contents", [])]
        except (ClientError, BotoCoreError) as error:
            raise self._wrong(prefix, error, "s3") from None
        return sorted(key[len(self.prefix) :].lstrip("/") for key in keys)

    def size(self, name: str) -> int:
        """Bytes of an object."""
        return int(self._asked("head_object", name)["ContentLength"])

    def read(self, name: str) -> bytes:
        """A small object."""
        return self._body(self._asked("get_object", name), name)

    def read_at(self, name: str, offset: int, length: int) -> bytes:
        """Exactly `length` bytes of an object from `offset`, in one request."""
        if length == 0:
            return b""
        data = self._body(
            self._asked("get_object", name, Range=f"bytes={offset}-{offset + length - 1}"), name
        )
        if len(data) != length:
            raise short(name, offset + length)
        return data

    def _body(self, reply: Any, name: str) -> bytes:
        try:
            return bytes(reply["Body"].read())
        except (BotoCoreError, OSError) as error:
            raise self._wrong(name, error, "s3") from None
