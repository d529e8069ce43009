"""Where a build is written: a place of model_zoo.data.places that also takes files, each there whole or not at all."""

import errno
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Protocol

from botocore.exceptions import BotoCoreError, ClientError

from model_zoo.data import places
from model_zoo.data.places import S3
from model_zoo.io.errors import BadInput, safe_text

TMP = ".build-tmp"  # of a folder; no name that somebody else would give
HELD = "held"  # lies in every scratch folder, locked by the process that works there
TRIES = 100  # to make a folder that another process tidies away at that moment


class Place(places.Place, Protocol):
    """Files by relative names with slashes. Every method raises BadInput."""

    def exists(self, name: str) -> bool:
        """Whether there is a file of this name."""

    def put(self, name: str, path: Path) -> None:
        """Take over a finished file of the scratch folder; it appears under its name in one step."""

    def fetch(self, name: str, path: Path) -> None:
        """Copy a file to a local path."""

    def scratch(self) -> AbstractContextManager[Path]:
        """An empty folder for files on their way in; gone afterwards."""

    def tidy(self) -> None:
        """Delete what killed processes left behind; what is being written stays."""

    def within(self, source: str) -> bool:
        """Whether it is the folder or prefix that --from names, or lies below it."""


def place_of(out: str, endpoint: str = "") -> Place:
    """The place that --out names: a folder, or s3://BUCKET/PREFIX at an endpoint (default: boto3's own)."""
    return Bucket(out, endpoint) if out.startswith(S3) else Folder(Path(out))


class Folder(places.Folder):
    """A folder; it is made when the first file comes."""

    def __init__(self, root: Path) -> None:
        if root.exists() and not root.is_dir():
            raise BadInput(f"{root} is a file, not a folder", "bad_place")
        super().__init__(root)

    def exists(self, name: str) -> bool:
        """Whether there is a file of this name."""
        return (self.root / name).is_file()

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
        try:
            shutil.copyfile(self.root / name, path)
        except OSError as error:
            raise self._wrong(name, error) from None

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """A folder on the same disk, so that `put` is one step. What a killed process left in it is in nobody's way."""
        try:
            folder, held = self._hold()
        except OSError as error:
            raise BadInput(f"cannot write to {self.root}: {error.strerror}", "unwritable") from None
        try:
            yield folder / "files"
        finally:
            self._drop(folder)
            os.close(held)

    def _hold(self) -> tuple[Path, int]:
        """A new scratch folder with an empty folder `files` in it, and its lock, which ends with this process."""
        for left in reversed(range(TRIES)):
            try:
                (self.root / TMP).mkdir(parents=True, exist_ok=True)
                folder = Path(tempfile.mkdtemp(dir=self.root / TMP))
                held = os.open(folder / HELD, os.O_CREAT | os.O_RDWR)
            except (FileNotFoundError, FileExistsError):
                if left:
                    continue
                raise
            with suppress(OSError):  # a disk without locks, where `tidy` deletes nothing
                fcntl.flock(held, fcntl.LOCK_SH)
            with suppress(FileNotFoundError):
                (folder / "files").mkdir()
                return folder, held
            os.close(held)
        raise FileNotFoundError(errno.ENOENT, "its scratch folder goes away again and again")

    @staticmethod
    def _drop(folder: Path) -> None:
        """Delete a scratch folder, its lock last: so `tidy` knows it for one if this is cut short."""
        shutil.rmtree(folder / "files", ignore_errors=True)
        shutil.rmtree(folder, ignore_errors=True)

    def tidy(self) -> None:
        """Delete what killed processes left behind; what is being written stays."""
        with suppress(FileNotFoundError):
            for folder in list((self.root / TMP).iterdir()):
                with suppress(OSError), (folder / HELD).open("r+b") as file:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    self._drop(folder)
        with suppress(OSError):
            (self.root / TMP).rmdir()

    def within(self, source: str) -> bool:
        """Whether it is the folder that --from names, or lies below it."""
        return not source.startswith(S3) and self.root.resolve().is_relative_to(Path(source).resolve())


class Bucket(places.Bucket):
    """Below s3://BUCKET/PREFIX."""

    def __init__(self, where: str, endpoint: str = "") -> None:
        super().__init__(where, endpoint)
        if not self.prefix:
            raise BadInput(f"{safe_text(where)} names no prefix: s3://BUCKET/PREFIX", "bad_place")

    def exists(self, name: str) -> bool:
        """Whether there is an object of this name."""
        try:
            self.size(name)
        except BadInput as error:
            if error.code == "missing_file":
                return False
            raise
        return True

    def put(self, name: str, path: Path) -> None:
        """Upload a file; S3 shows an object only when all of it is there."""
        try:
            self.client.upload_file(str(path), self.bucket, self._key(name))
        except (BotoCoreError, ClientError, OSError) as error:
            raise self._wrong(name, error, "s3") from None

    def fetch(self, name: str, path: Path) -> None:
        """Copy an object to a local path."""
        try:
            self.client.download_file(self.bucket, self._key(name), str(path))
        except (BotoCoreError, ClientError, OSError) as error:
            raise self._wrong(name, error, "missing_file") from None

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """A temporary folder of this machine."""
        with tempfile.TemporaryDirectory(prefix="maquette-build-") as folder:
            yield Path(folder)

    def tidy(self) -> None:
        """Nothing is ever left in a bucket."""

    def within(self, source: str) -> bool:
        """Whether it is the prefix that --from names, or lies below it."""
        here, there = (f"{where.removeprefix(S3).strip('/')}/" for where in (self.where, source))
        return source.startswith(S3) and here.startswith(there)
