"""A disk cache of what lies in a bucket: whole shards or spans of them, within a budget of bytes, shared by processes.

A file has its name only when all of it is there. Bytes are reserved under a lock before they are fetched, so that the
folder never holds more than the budget, and what was used least recently goes first. Nothing is locked while reading.
"""

import fcntl
import hashlib
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from model_zoo.data.places import Place
from model_zoo.io.errors import BadInput, safe_text

STRIPES = 64
SLACK = 0.05  # of the budget is freed beyond need, so that the folder is not listed for every file
PIECE = 16 * 2**20
FRESH = 60.0  # seconds within which a use is not written down again


def made(folder: Path) -> Path:
    """A folder for a cache, made unless it is there. Raises BadInput."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(
            f"the cache folder {safe_text(folder, 200)} cannot be made: {error.strerror}", "bad_cache"
        ) from None
    return folder


class Cache:
    """A folder of at most `budget` bytes. Any number of threads and processes may share it."""

    def __init__(self, folder: Path, budget: int) -> None:
        self.folder, self.budget = made(folder), budget

    def path(self, key: str, length: int, fetch: Iterator[bytes]) -> Path | None:
        """The file of a key, fetched (an iterator of `length` bytes in all) unless it is there; None when it cannot fit."""
        path = self._name(key)
        if self._used(path, length):
            return path
        if length > self.budget:
            return None
        with self._lock(f"stripe-{int(path.name[:8], 16) % STRIPES}"):
            if self._used(path, length):  # another process was quicker
                return path
            part = path.with_suffix(".part")
            try:
                if not self._reserve(part, length):
                    return None
                with part.open("r+b") as file:
                    for data in fetch:
                        file.write(data)
                    if file.tell() != length:
                        raise BadInput(
                            f"{key} came with {file.tell()} bytes instead of {length}", "short_shard"
                        )
                with self._lock("budget"):  # whoever counts must find it under one name or the other
                    part.replace(path)
            except BaseException:
                part.unlink(missing_ok=True)
                raise
        return path

    def forget(self, key: str) -> None:
        """Delete the file of a key."""
        self._name(key).unlink(missing_ok=True)

    def _name(self, key: str) -> Path:
        digest = hashlib.sha256(key.encode()).hexdigest()
        return self.folder / digest[:2] / digest

    def _used(self, path: Path, length: int) -> bool:
        """Whether the file is there, whole; noted as used now."""
        try:
            stat = path.stat()
        except FileNotFoundError:
            return False
        if stat.st_size != length:
            return False
        now = time.time()
        if now - stat.st_mtime > FRESH:
            with suppress(FileNotFoundError):
                os.utime(path, (now, now))
        return True

    def _reserve(self, part: Path, length: int) -> bool:
        """Make room and take it on the disk: the empty file already has its length. False when others hold all of the budget."""
        with self._lock("budget"):
            total_file = self.folder / "total"
            try:
                total = int(total_file.read_text())
            except (OSError, ValueError):
                total = self.budget  # unknown: count
            if total + length > self.budget:
                total = self._evict(self.budget - length)
                if total + length > self.budget:
                    total_file.write_text(str(total))
                    return False
            part.parent.mkdir(exist_ok=True)
            with part.open("wb") as file:
                os.posix_fallocate(file.fileno(), 0, length)
            total_file.write_text(str(total + length))
        return True

    def _evict(self, most: int) -> int:
        """Delete the least recently used until at most `most` bytes (less some slack) are left; the bytes left."""
        found, total = [], 0
        for folder in self.folder.iterdir():
            if not folder.is_dir():
                continue
            for entry in os.scandir(folder):
                with suppress(FileNotFoundError):
                    stat = entry.stat()
                    if entry.name.endswith(".part") and self._abandoned(entry.name):
                        os.unlink(entry.path)
                        continue
                    total += stat.st_size
                    if not entry.name.endswith(".part"):
                        found.append((stat.st_mtime, entry.path, stat.st_size))
        if total <= most:
            return total
        for _, path, size in sorted(found):
            os.unlink(path)
            total -= size
            if total <= most - SLACK * self.budget:
                break
        return total

    def _abandoned(self, name: str) -> bool:
        """Whether nobody is fetching this half file: its process was killed."""
        try:
            with self._lock(f"stripe-{int(name[:8], 16) % STRIPES}", wait=False):
                return True
        except BlockingIOError:
            return False

    @contextmanager
    def _lock(self, name: str, *, wait: bool = True) -> Iterator[None]:
        with (self.folder / f"{name}.lock").open("ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            yield


class Cached:
    """A place whose ranges come through a cache: as whole files (`whole`) or span by span. `identity` names its content."""

    def __init__(self, place: Place, cache: Cache, identity: str, *, whole: bool) -> None:
        self.place, self.cache, self.identity, self.whole = place, cache, identity, whole
        self.name = place.name
        self._sizes: dict[str, int] = {}

    def names(self, prefix: str) -> list[str]:
        """Names that begin with a prefix, sorted."""
        return self.place.names(prefix)

    def size(self, name: str) -> int:
        """Bytes of a file."""
        if name not in self._sizes:
            self._sizes[name] = self.place.size(name)
        return self._sizes[name]

    def read(self, name: str) -> bytes:
        """A small file, not kept."""
        return self.place.read(name)

    def read_at(self, name: str, offset: int, length: int) -> bytes:
        """Exactly `length` bytes of a file from `offset`; past a cache that fails (a full disk, a folder that is gone)."""
        kept = None
        with suppress(OSError):
            kept = self._through_cache(name, offset, length)
        return self.place.read_at(name, offset, length) if kept is None else kept

    def _through_cache(self, name: str, offset: int, length: int) -> bytes | None:
        """Those bytes by way of the cache; None where it cannot hold them."""
        for _ in range(3):  # a file may be evicted between being found and being opened
            start, whole = (0, self.size(name)) if self.whole else (offset, length)
            path = self.cache.path(
                f"{self.identity}/{name}/{start}/{whole}", whole, self._pieces(name, start, whole)
            )
            if path is None:
                return None
            with suppress(FileNotFoundError), path.open("rb", buffering=0) as file:
                data = os.pread(file.fileno(), length, offset - start)
                return data if len(data) == length else None
        return None

    def read_again(self, name: str, offset: int, length: int) -> bytes:
        """The same bytes past the cache, whose file is deleted: it was found to be broken."""
        start, whole = (0, self.size(name)) if self.whole else (offset, length)
        with suppress(OSError):
            self.cache.forget(f"{self.identity}/{name}/{start}/{whole}")
        return self.place.read_at(name, offset, length)

    def _pieces(self, name: str, start: int, length: int) -> Iterator[bytes]:
        for at in range(start, start + length, PIECE):
            yield self.place.read_at(name, at, min(PIECE, start + length - at))
