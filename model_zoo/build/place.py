"""Where a build is written: a folder, or below a prefix of an S3 bucket. A file is there whole or not at all."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Protocol

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from model_zoo.io.errors import BadInput, safe_text

S3 = "s3://"
MISSING = {"404", "NoSuchKey", "NotFound", "NoSuchBucket"}


class Place(Protocol):
    """Files by relative names with slashes."""

    def names(self, prefix: str = "") -> list[str]:
        """Names that begin with a prefix, sorted."""

    def exists(self, name: str) -> bool: ...

    def read(self, name: str) -> bytes:
        """A small file's bytes. Raises BadInput."""

    def put(self, name: str, path: Path) -> None:
        """Take over a finished file of the scratch folder; it appears under its name in one step."""

    def fetch(self, name: str, path: Path) -> None:
        """Copy a file to a local path."""

    def scratch(self) -> AbstractContextManager[Path]:
        """An empty folder for files on their way in; gone afterwards."""

    def tidy(self) -> None:
        """Delete what killed processes left behind; only when nobody writes here any more."""


def place_of(out: str, endpoint: str = "") -> Place:
    """The place that --out names. The endpoint of an S3 is an argument, or boto3's own AWS_ENDPOINT_URL."""
    return Bucket(out, endpoint) if out.startswith(S3) else Folder(Path(out))


class Folder:
    """A folder; it is made when the first file comes."""

    def __init__(self, root: Path) -> None:
        self.root = root
        if root.exists() and not root.is_dir():
            raise BadInput(f"{root} is a file, not a folder", "bad_place")

    def names(self, prefix: str = "") -> list[str]:
        """Names that begin with a prefix, sorted."""
        start = self.root / prefix.rpartition("/")[0]
        found = (path.relative_to(self.root).as_posix() for path in start.rglob("*") if path.is_file())
        return sorted(name for name in found if name.startswith(prefix))

    def exists(self, name: str) -> bool:
        """Whether there is a file of this name."""
        return (self.root / name).is_file()

    def read(self, name: str) -> bytes:
        """A small file's bytes. Raises BadInput."""
        try:
            return (self.root / name).read_bytes()
        except OSError as error:
            raise BadInput(f"cannot read {self.root / name}: {error.strerror}", "unreadable") from None

    def put(self, name: str, path: Path) -> None:
        """Rename a file of the scratch folder to its place."""
        target = self.root / name
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            path.replace(target)
        except OSError as error:
            raise BadInput(f"cannot write {target}: {error.strerror}", "unwritable") from None

    def fetch(self, name: str, path: Path) -> None:
        """Copy a file to a local path."""
        shutil.copyfile(self.root / name, path)

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """A folder on the same disk, so that `put` is one step. What a killed process left in it is in nobody's way."""
        try:
            (self.root / "tmp").mkdir(parents=True, exist_ok=True)
            folder = tempfile.mkdtemp(dir=self.root / "tmp")
        except OSError as error:
            raise BadInput(f"cannot write to {self.root}: {error.strerror}", "unwritable") from None
        try:
            yield Path(folder)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def tidy(self) -> None:
        """Delete what killed processes left behind; only when nobody writes here any more."""
        shutil.rmtree(self.root / "tmp", ignore_errors=True)


class Bucket:
    """Below s3://BUCKET/PREFIX."""

    def __init__(self, out: str, endpoint: str = "") -> None:
        self.bucket, _, prefix = out.removeprefix(S3).partition("/")
        self.prefix = prefix.strip("/")
        if not self.bucket or not self.prefix:
            raise BadInput(f"{safe_text(out)} names no bucket and prefix: s3://BUCKET/PREFIX", "bad_place")
        self.client = boto3.client(
            "s3",
            endpoint_url=endpoint or None,
            config=Config(signature_version="s3v4", s3={"addressing_style": "path"}),
        )

    def _key(self, name: str) -> str:
        return f"{self.prefix}/{name}"

    @contextmanager
    def _asked(self, what: str) -> Iterator[None]:
        try:
            yield
        except (BotoCoreError, ClientError) as error:
            raise BadInput(
                f"cannot use s3://{self.bucket}/{self.prefix} ({what}): {safe_text(error, 200)}", "s3"
            ) from None

    def names(self, prefix: str = "") -> list[str]:
        """Names that begin with a prefix, sorted as S3 gives them."""
        return list(self.sizes(prefix))

    def sizes(self, prefix: str = "") -> dict[str, int]:
        """Name to bytes of everything that begins with a prefix."""
        with self._asked("list"):
            pages = self.client.get_paginator("list_objects_v2").paginate(
                Bucket=self.bucket, Prefix=self._key(prefix)
            )
            rows = [row for page in pages for row in page.get("Contents", [])]
        return {row["Key"].removeprefix(f"{self.prefix}/"): row["Size"] for row in rows}

    def exists(self, name: str) -> bool:
        """Whether there is an object of this name."""
        try:
            self.client.head_object(Bucket=self.bucket, Key=self._key(name))
        except ClientError as error:
            if error.response["Error"]["Code"] in MISSING:
                return False
            raise BadInput(f"cannot use s3://{self.bucket}: {safe_text(error, 200)}", "s3") from None
        except BotoCoreError as error:
            raise BadInput(f"cannot use s3://{self.bucket}: {safe_text(error, 200)}", "s3") from None
        return True

    def read(self, name: str) -> bytes:
        """An object's bytes. Raises BadInput."""
        with self._asked(f"read {safe_text(name)}"):
            reply = self.client.get_object(Bucket=self.bucket, Key=self._key(name))
            return bytes(reply["Body"].read())

    def put(self, name: str, path: Path) -> None:
        """Upload a file; S3 shows an object only when all of it is there."""
        with self._asked(f"write {safe_text(name)}"):
            self.client.upload_file(str(path), self.bucket, self._key(name))

    def fetch(self, name: str, path: Path) -> None:
        """Copy an object to a local path."""
        with self._asked(f"read {safe_text(name)}"):
            self.client.download_file(self.bucket, self._key(name), str(path))

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """A temporary folder of this machine."""
        with tempfile.TemporaryDirectory(prefix="maquette-build-") as folder:
            yield Path(folder)

    def tidy(self) -> None:
        """Nothing is ever left in a bucket."""
