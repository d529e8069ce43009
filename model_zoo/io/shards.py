"""Shards of releases and data sets: deterministic tar files in WebDataset layout; their index is in index_writer.py.

Same samples in the same order give the same bytes: USTAR headers with time 0, owner 0 and mode 644, fixed shard names.
"""

import errno
import fcntl
import hashlib
import mmap
import os
import re
import tarfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

from model_zoo.io.errors import BadInput, safe_text

BLOCK = 512
RECORD = 10_240
BUFFER = 4 * 2**20
PIECE = 256 * 2**10  # what a core's cache holds while it is read and hashed
ALIGNED = 4096  # what writing past the page cache asks of offsets and lengths
LARGEST = 8 * 2**30  # what the size field of a USTAR header can say
KEY = re.compile(r"[A-Za-z0-9_-]{1,60}")
MEMBER = re.compile(r"[A-Za-z0-9_]+(\.[A-Za-z0-9_]+)*")
# A header but for name, size and checksum, which counts its own bytes as blanks.
_EMPTY = tarfile.TarInfo().tobuf(tarfile.USTAR_FORMAT)
_NOTHING = bytes(BLOCK)
_EMPTY_SUM = sum(_EMPTY) - sum(_EMPTY[124:135]) - sum(_EMPTY[148:156]) + 8 * ord(" ")


@dataclass(frozen=True, slots=True)
class Stored:
    """A member whose bytes lie elsewhere under a known hash: the path of a file, or what gives them in chunks."""

    sha256: str
    length: int
    source: str | Callable[[], Iterable[bytes]]


class DamagedMember(BadInput):
    """A stored member that is not what its hash says; `key` and `member` name it."""

    def __init__(self, key: str, member: str) -> None:
        super().__init__(f"{key}.{member} is not what its sha256 says", "hash_mismatch")
        self.key, self.member = key, member


def header(name: str, size: int) -> bytes:
    """The USTAR header of a plain file, the same bytes as tarfile's with time 0, owner 0 and mode 644."""
    if size >= LARGEST:
        raise BadInput(f"{safe_text(name)} is too large for a shard ({size} bytes; limit 8 GiB)", "too_large")
    text, digits = name.encode("ascii"), b"%011o" % size
    block = bytearray(_EMPTY)
    block[: len(text)] = text
    block[124:135] = digits
    block[148:155] = b"%06o\0" % (_EMPTY_SUM + sum(text) + sum(digits))
    return bytes(block)


class ShardWriter:
    """Writes samples to PREFIX-000000.tar (or number `first`), -000001.tar, ... A shard appears under its name only
    when it is complete.

    Use as a context manager, or call close(). `shards` then lists {"name", "bytes", "sha256", "samples"} in order.
    The shard's own hash and its writing go on in threads beside the caller, who reads and hashes the members.
    """

    def __init__(
        self, folder: Path | str, max_bytes: int = 512 * 2**20, prefix: str = "shard", first: int = 0
    ) -> None:
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.max_bytes, self.prefix, self.first = max_bytes, prefix, first
        self.shards: list[dict[str, Any]] = []
        self._number, self._samples = first, 0
        self._pool = ThreadPoolExecutor(2, thread_name_prefix="shard")
        self._out: _Output | None = None
        self._sealing: Future[dict[str, Any]] | None = None

    @property
    def name(self) -> str:
        """File name of the shard being written."""
        return f"{self.prefix}-{self._number:06d}.tar"

    def write(
        self, key: str, members: Mapping[str, bytes | Stored], span: Any = None
    ) -> list[dict[str, Any]]:
        """Append one sample; members by extension ("image.jpg"). Rows {key, member, shard, offset, length, sha256}.

        offset and length are those of the member's bytes in the shard. `span`: a hashlib object that is fed the sample
        as it stands in the shard (see `span_of`). Raises BadInput for a bad key or member name, DamagedMember for stored
        bytes that do not match their hash; after that the shard cannot be finished.
        """
        if not KEY.fullmatch(key):
            raise BadInput(
                f'the sample key "{safe_text(key)}" must be 1 to 60 letters, digits, - or _', "bad_key"
            )
        size = sum(BLOCK + _padded(_length(data)) for data in members.values()) + 2 * BLOCK
        if self._out is not None:
            end = self._out.at + size
            if end + -end % RECORD > self.max_bytes:
                self._finish_shard(self._out)
        if self._out is None:
            self._out = _Output(self.folder / (self.name + ".part"), self._pool)
        self._out.span = span
        rows = [self._write_member(self._out, key, *item) for item in sorted(members.items())]
        self._samples += 1
        return rows

    def _write_member(self, out: "_Output", key: str, member: str, data: bytes | Stored) -> dict[str, Any]:
        if not MEMBER.fullmatch(member) or len(member) > 36:
            raise BadInput(
                f'the member name "{safe_text(member)}" is not an extension such as image.jpg', "bad_key"
            )
        length = _length(data)
        out.put(header(f"{key}.{member}", length))
        offset = out.at
        if isinstance(data, Stored):
            digest = out.put_stored(data)
            if digest != data.sha256:
                raise DamagedMember(key, member)
        else:
            digest = hashlib.sha256(data).hexdigest()
            out.put(data)
        out.put(_NOTHING[: -length % BLOCK])
        return {
            "key": key,
            "member": member,
            "shard": self.name,
            "offset": offset,
            "length": length,
            "sha256": digest,
        }

    def _finish_shard(self, out: "_Output") -> None:
        out.span = None
        out.put(bytes(2 * BLOCK))
        out.put(bytes(-out.at % RECORD))
        digest = out.finish()
        facts = {"name": self.name, "bytes": out.at, "sha256": digest, "samples": self._samples}
        self._sealed()
        self._sealing = self._pool.submit(_seal, out.file, self.folder, facts)
        self._number, self._samples, self._out = self._number + 1, 0, None

    def _sealed(self) -> None:
        if self._sealing is not None:
            self.shards.append(self._sealing.result())
            self._sealing = None

    def close(self) -> list[dict[str, Any]]:
        """Finish the last shard; the list of shards."""
        if self._out is not None:
            self._finish_shard(self._out)
        self._sealed()
        self._pool.shutdown()
        return self.shards

    def __enter__(self) -> "ShardWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
            return
        self._pool.shutdown()
        with suppress(Exception):  # the first failure is the one to hear of
            self._sealed()
        if self._out is not None:
            self._out.file.close()
            (self.folder / (self.name + ".part")).unlink(missing_ok=True)


class _Output:
    """A file on its way to the disk: bytes are gathered in one buffer while a thread writes and hashes the other.

    `at`: bytes so far. `span`: a hashlib object that is fed what is put, or None.
    """

    def __init__(self, path: Path, pool: ThreadPoolExecutor) -> None:
        self.file, self.at, self.span = _create(path), 0, None
        self._pool, self._hash = pool, hashlib.sha256()
        self._buffer, self._spare, self._filled = _memory(), _memory(), 0
        self._flushing: Future[None] | None = None

    def put(self, data: bytes) -> None:
        """Append bytes."""
        start, length = 0, len(data)
        while start < length:
            part = min(length - start, BUFFER - self._filled)
            self._buffer[self._filled : self._filled + part] = (
                data if part == length else data[start : start + part]
            )
            self._took(part)
            start += part

    def put_stored(self, data: Stored) -> str:
        """Append stored bytes; their sha256, or "" when they are not as many as they should be."""
        digest, left = hashlib.sha256(), data.length
        if isinstance(data.source, str):
            file = os.open(data.source, os.O_RDONLY)
            try:
                while left:
                    with memoryview(self._buffer)[self._filled : self._filled + min(left, PIECE)] as room:
                        got = os.readv(file, [room])
                        digest.update(room[:got])
                    if not got:
                        return ""
                    self._took(got)
                    left -= got
                return "" if os.read(file, 1) else digest.hexdigest()
            finally:
                os.close(file)
        for chunk in data.source():
            left -= len(chunk)
            if left < 0:
                return ""
            digest.update(chunk)
            self.put(chunk)
        return "" if left else digest.hexdigest()

    def _took(self, count: int) -> None:
        if self.span is not None:
            with memoryview(self._buffer)[self._filled : self._filled + count] as new:
                self.span.update(new)
        self._filled += count
        self.at += count
        if self._filled == BUFFER:
            self._flush()

    def _flush(self) -> None:
        self._flushed()
        self._flushing = self._pool.submit(_append, self.file, self._hash, self._buffer, self._filled)
        self._buffer, self._spare, self._filled = self._spare, self._buffer, 0

    def _flushed(self) -> None:
        if self._flushing is not None:
            self._flushing.result()
            self._flushing = None

    def finish(self) -> str:
        """Write what is left; the sha256 of the file."""
        self._flush()
        self._flushed()
        return self._hash.hexdigest()


def _memory() -> mmap.mmap:
    """A buffer that begins on a page, as writing past the page cache asks; not shared with processes forked later."""
    return mmap.mmap(-1, BUFFER, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)


def _create(path: Path) -> BinaryIO:
    """A new file that is written past the page cache where the file system can: half the work of writing, and what others
    have cached stays."""
    flags = os.O_CREAT | os.O_WRONLY | os.O_TRUNC
    try:
        handle = os.open(path, flags | os.O_DIRECT, 0o666)
    except OSError as failure:
        if failure.errno != errno.EINVAL:
            raise
        handle = os.open(path, flags, 0o666)
    return os.fdopen(handle, "wb", buffering=0)


def _append(file: BinaryIO, digest: Any, buffer: mmap.mmap, length: int) -> None:
    with memoryview(buffer) as view:
        _write(file, view[: length - length % ALIGNED])
        if length % ALIGNED:
            _through_cache(file)
            _write(file, view[length - length % ALIGNED : length])
        digest.update(view[:length])


def _write(file: BinaryIO, view: memoryview) -> None:
    while view:
        try:
            view = view[file.write(view) :]
        except OSError as failure:
            if failure.errno != errno.EINVAL or not _through_cache(file):
                raise


def _through_cache(file: BinaryIO) -> bool:
    """Write the rest of a file through the page cache; False when it was written so already."""
    flags = fcntl.fcntl(file, fcntl.F_GETFL)
    fcntl.fcntl(file, fcntl.F_SETFL, flags & ~os.O_DIRECT)
    return bool(flags & os.O_DIRECT)


def _seal(file: BinaryIO, folder: Path, facts: dict[str, Any]) -> dict[str, Any]:
    os.fsync(file.fileno())
    file.close()
    (folder / (facts["name"] + ".part")).replace(folder / facts["name"])
    return facts


def _length(data: bytes | Stored) -> int:
    return data.length if isinstance(data, Stored) else len(data)


@dataclass(frozen=True, slots=True)
class Member:
    """One member of a shard as it lies there; `text`: its bytes when it is a JSON member, else none."""

    name: str
    offset: int
    length: int
    sha256: str
    text: bytes


class ShardReader:
    """Reads a shard once from end to end: iterate over its members, then `sha256` is that of the whole file.

    Takes what ShardWriter writes (plain files, names of at most 100 characters); raises BadInput for anything else.
    """

    def __init__(self, path: Path | str) -> None:
        self.path, self.sha256 = Path(path), ""
        self._at = 0

    def __iter__(self) -> Iterator[Member]:
        digest = hashlib.sha256()
        with self.path.open("rb", buffering=0) as file, ThreadPoolExecutor(1) as pool:
            self._file, self._pool, self._digest = file, pool, digest
            self._ahead = pool.submit(file.read, BUFFER)
            self._left = memoryview(b"")
            self._at = 0
            while (block := self._exactly(BLOCK)).strip(b"\0"):
                yield self._member(block)
            while self._some(BUFFER):
                pass
        self.sha256 = digest.hexdigest()

    def _some(self, limit: int) -> memoryview:
        """The next bytes, at most `limit`; none at the end."""
        if not self._left:
            data = self._ahead.result()
            if data:
                self._pool.submit(self._digest.update, data)
                self._ahead = self._pool.submit(self._file.read, BUFFER)
            self._left = memoryview(data)
        taken, self._left = self._left[:limit], self._left[limit:]
        self._at += len(taken)
        return taken

    def _exactly(self, count: int) -> bytes:
        parts = []
        while count:
            part = self._some(count)
            if not part:
                raise BadInput(f"the shard {safe_text(self.path.name)} ends in the middle", "short_shard")
            parts.append(part)
            count -= len(part)
        return b"".join(parts)

    def _member(self, block: bytes) -> Member:
        try:
            name, size = block[:100].rstrip(b"\0").decode("ascii"), int(block[124:135], 8)
            if header(name, size) != block:
                raise ValueError
        except (ValueError, IndexError):
            raise BadInput(
                f"{safe_text(self.path.name)}: no header of a plain file at byte {self._at - BLOCK}",
                "bad_shard",
            ) from None
        offset, left = self._at, size
        digest, text = hashlib.sha256(), []
        while left:
            part = self._some(left)
            if not part:
                raise BadInput(f"the shard {safe_text(self.path.name)} ends in the middle", "short_shard")
            digest.update(part)
            left -= len(part)
            if name.endswith(".json") and size <= BUFFER:
                text.append(part)
        self._exactly(-size % BLOCK)
        return Member(name, offset, size, digest.hexdigest(), b"".join(text))


def _padded(length: int) -> int:
    return length + -length % BLOCK


def span_of(rows: list[dict[str, Any]]) -> tuple[int, int]:
    """(offset, length) of a whole sample in its shard, headers and padding included, from the rows of its members."""
    start = rows[0]["offset"] - BLOCK
    return start, rows[-1]["offset"] + _padded(rows[-1]["length"]) - start


def read_member(path: Path | str, offset: int, length: int, sha256: str | None = None) -> bytes:
    """Bytes of one member by its place in a shard. Raises BadInput when the shard is short or the hash differs."""
    with Path(path).open("rb") as stream:
        stream.seek(offset)
        data = stream.read(length)
    if len(data) != length:
        raise BadInput(
            f"the shard {safe_text(Path(path).name)} ends before byte {offset + length}", "short_shard"
        )
    if sha256 is not None and hashlib.sha256(data).hexdigest() != sha256:
        raise BadInput(
            f"the bytes at {offset} of {safe_text(Path(path).name)} do not match their sha256",
            "hash_mismatch",
        )
    return data


def file_sha256(path: Path | str) -> str:
    """Hex sha256 of a file, read in pieces."""
    with Path(path).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
