"""Release shards: deterministic tar files in WebDataset layout, and a parquet index written with constant memory.

Same samples in the same order give the same bytes: USTAR headers with time 0, owner 0 and mode 644, fixed shard
names, parquet without a time of writing.
"""

import hashlib
import os
import re
import tarfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from model_zoo.io.errors import BadInput, safe_text

BLOCK = 512
RECORD = 10_240
ROWS_PER_GROUP = 5_000
KEY = re.compile(r"[A-Za-z0-9_-]{1,60}")
MEMBER = re.compile(r"[A-Za-z0-9_]+(\.[A-Za-z0-9_]+)*")


class ShardWriter:
    """Writes samples to PREFIX-000000.tar (or number `first`), -000001.tar, ... A shard appears under its name only
    when it is complete.

    Use as a context manager, or call close(). `shards` then lists {"name", "bytes", "sha256", "samples"} in order.
    """

    def __init__(
        self, folder: Path | str, max_bytes: int = 512 * 2**20, prefix: str = "shard", first: int = 0
    ) -> None:
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.max_bytes, self.prefix, self.first = max_bytes, prefix, first
        self.shards: list[dict[str, Any]] = []
        self._file: BinaryIO | None = None
        self._hash = hashlib.sha256()
        self._span: Any = None
        self._at = self._samples = 0

    @property
    def name(self) -> str:
        """File name of the shard being written."""
        return f"{self.prefix}-{self.first + len(self.shards):06d}.tar"

    def write(self, key: str, members: Mapping[str, bytes], span: Any = None) -> list[dict[str, Any]]:
        """Append one sample; members by extension ("image.jpg"). Rows {key, member, shard, offset, length, sha256}.

        offset and length are those of the member's bytes in the shard. `span`: a hashlib object that is fed the sample
        as it stands in the shard (see `span_of`). Raises BadInput for a bad key or member name.
        """
        if not KEY.fullmatch(key):
            raise BadInput(
                f'the sample key "{safe_text(key)}" must be 1 to 60 letters, digits, - or _', "bad_key"
            )
        end = self._at + sum(BLOCK + _padded(len(data)) for data in members.values()) + 2 * BLOCK
        if end + -end % RECORD > self.max_bytes and self._samples:
            self._finish_shard()
        if self._file is None:
            self._file = (self.folder / (self.name + ".part")).open("wb")
        self._span = span
        rows = [self._write_member(key, member, data) for member, data in sorted(members.items())]
        self._span = None
        self._samples += 1
        return rows

    def _write_member(self, key: str, member: str, data: bytes) -> dict[str, Any]:
        if not MEMBER.fullmatch(member) or len(member) > 36:
            raise BadInput(
                f'the member name "{safe_text(member)}" is not an extension such as image.jpg', "bad_key"
            )
        entry = tarfile.TarInfo(f"{key}.{member}")
        entry.size = len(data)
        self._put(entry.tobuf(tarfile.USTAR_FORMAT))
        offset = self._at
        self._put(data)
        self._put(bytes(_padded(len(data)) - len(data)))
        digest = hashlib.sha256(data).hexdigest()
        return {
            "key": key,
            "member": member,
            "shard": self.name,
            "offset": offset,
            "length": len(data),
            "sha256": digest,
        }

    def _put(self, data: bytes) -> None:
        assert self._file is not None
        self._file.write(data)
        self._hash.update(data)
        if self._span is not None:
            self._span.update(data)
        self._at += len(data)

    def _finish_shard(self) -> None:
        if self._file is None:
            return
        self._put(bytes(2 * BLOCK))
        self._put(bytes(-self._at % RECORD))
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        (self.folder / (self.name + ".part")).replace(self.folder / self.name)
        self.shards.append(
            {"name": self.name, "bytes": self._at, "sha256": self._hash.hexdigest(), "samples": self._samples}
        )
        self._file, self._hash = None, hashlib.sha256()
        self._at = self._samples = 0

    def close(self) -> list[dict[str, Any]]:
        """Finish the last shard; the list of shards."""
        self._finish_shard()
        return self.shards

    def __enter__(self) -> "ShardWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        elif self._file is not None:
            self._file.close()
            (self.folder / (self.name + ".part")).unlink(missing_ok=True)


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


class IndexWriter:
    """A parquet file written group by group: memory for one group of rows, the same bytes for the same rows."""

    def __init__(self, path: Path | str, schema: pa.Schema, rows_per_group: int = ROWS_PER_GROUP) -> None:
        self.path, self.schema, self.rows_per_group = Path(path), schema, rows_per_group
        self.rows = 0
        self._part = self.path.with_name(self.path.name + ".part")
        self._writer = pq.ParquetWriter(
            self._part,
            schema,
            compression="zstd",
            compression_level=3,
            version="2.6",
            data_page_version="1.0",
            use_dictionary=True,
            write_statistics=True,
        )
        self._pending: list[Mapping[str, Any]] = []

    def write(self, row: Mapping[str, Any]) -> None:
        """Append one row with the fields of the schema."""
        self._pending.append(row)
        if len(self._pending) >= self.rows_per_group:
            self._flush()

    def write_rows(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Append many rows."""
        for row in rows:
            self.write(row)

    def _flush(self) -> None:
        if self._pending:
            self._writer.write_batch(
                pa.RecordBatch.from_pylist(self._pending, schema=self.schema),
                row_group_size=self.rows_per_group,
            )
            self.rows += len(self._pending)
            self._pending = []

    def close(self) -> int:
        """Finish the file, which appears under its name only now; the number of rows."""
        self._flush()
        self._writer.close()
        self._part.replace(self.path)
        return self.rows

    def __enter__(self) -> "IndexWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self._writer.close()
            self._part.unlink(missing_ok=True)


def file_sha256(path: Path | str) -> str:
    """Hex sha256 of a file, read in pieces."""
    with Path(path).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
