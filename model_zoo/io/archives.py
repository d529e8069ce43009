"""ZIP archives from untrusted people: every entry is judged before any is read, and bytes are counted while unpacking.

Nothing is ever written to disk and names are never used as paths.
"""

import io
import stat
import struct
import unicodedata
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from model_zoo.io.errors import BadInput, safe_text
from model_zoo.io.sniff import describe

LOCAL_HEADER = struct.Struct("<4s5H3L2H")
JUNK = ("__MACOSX/", ".DS_Store", "Thumbs.db", "desktop.ini")


@dataclass(frozen=True)
class Limits:
    """What an archive may hold, in entries and bytes. The ratio is judged on entries larger than a megabyte."""

    entries: int = 10_000
    entry_bytes: int = 256 * 2**20
    total_bytes: int = 4 * 2**30
    ratio: int = 200
    name_bytes: int = 1024


@dataclass(frozen=True)
class Member:
    """One file: name as stored (only ever compared with other names), label safe to show, size, and its reader."""

    name: str
    label: str
    size: int
    read: Callable[[], bytes]


@dataclass
class Archive:
    """The files of a checked archive, in its order, and what was doubtful."""

    members: list[Member]
    warnings: list[str] = field(default_factory=list)


def safe_members(data: bytes, limits: Limits | None = None) -> Iterator[tuple[str, Callable[[], bytes]]]:
    """(name safe to show, reader) of every file of a ZIP. Raises BadInput before the first when any entry is hostile."""
    for member in open_archive(data, limits).members:
        yield member.label, member.read


def open_archive(source: bytes | Path, limits: Limits | None = None) -> Archive:
    """Check every entry of a ZIP given as bytes or as a file. Raises BadInput naming the entry at fault."""
    limits = limits or Limits()
    stream: IO[bytes] = source.open("rb") if isinstance(source, Path) else io.BytesIO(source)
    head = stream.read(512)
    if not head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        stream.close()
        raise BadInput(f"not a ZIP archive: this is {describe(head)}", "not_an_archive")
    entries = _entries(stream, limits)
    archive = Archive([])
    _check_names(entries, archive.warnings, limits)
    _check_sizes(entries, limits)
    _check_overlap(entries)
    for entry in entries:
        if not entry.is_dir() and not _is_junk(entry.filename):
            label = safe_text(entry.filename, 255)
            archive.members.append(
                Member(entry.filename, label, entry.file_size, _reader(stream, entry, label))
            )
    return archive


def _entries(stream: IO[bytes], limits: Limits) -> list[zipfile.ZipInfo]:
    # The end record is looked at first: a directory of a million names must not be parsed to be refused.
    stream.seek(0, io.SEEK_END)
    size = stream.tell()
    stream.seek(max(0, size - 65_557))
    tail = stream.read()
    at = tail.rfind(b"PK\x05\x06")
    if at < 0 or at + 22 > len(tail):
        raise BadInput("the archive is corrupt or cut short: its directory is missing", "corrupt_archive")
    declared, directory_bytes = struct.unpack_from("<HL", tail, at + 10)
    if declared > limits.entries or (
        directory_bytes != 0xFFFFFFFF and directory_bytes > limits.entries * 400
    ):
        raise _too_many(declared, limits)
    try:
        with zipfile.ZipFile(stream) as archive:
            entries = archive.infolist()
    except (
        zipfile.BadZipFile,
        ValueError,
        OSError,
        struct.error,
        NotImplementedError,
        UnicodeDecodeError,
        OverflowError,
    ):
        raise BadInput("the archive is corrupt or cut short", "corrupt_archive") from None
    if len(entries) > limits.entries:
        raise _too_many(len(entries), limits)
    return entries


def _too_many(count: int, limits: Limits) -> BadInput:
    return BadInput(f"the archive has too many entries: {count} (limit {limits.entries})", "too_many_entries")


def _check_names(entries: list[zipfile.ZipInfo], notes: list[str], limits: Limits) -> None:
    seen: dict[str, str] = {}
    for entry in entries:
        name = entry.orig_filename
        fault = _name_fault(name, limits) or _kind_fault(entry)
        if fault:
            raise BadInput(f'the archive entry "{safe_text(name)}" {fault}', "hostile_archive")
        folded = unicodedata.normalize("NFC", name).casefold()
        if seen.get(folded) == name:
            raise BadInput(f'the archive has two entries named "{safe_text(name)}"', "hostile_archive")
        if folded in seen:
            notes.append(
                f'the names "{safe_text(seen[folded])}" and "{safe_text(name)}" differ only in case or accents; kept apart'
            )
        seen[folded] = name
        if not entry.flag_bits & 0x800 and not name.isascii():
            notes.append(f'the name "{safe_text(name)}" is not marked as UTF-8 and was read as cp437')
        elif safe_text(name, 10**6) != name:
            notes.append(
                f'the name "{safe_text(name)}" holds control or direction characters, which were escaped'
            )


def _name_fault(name: str, limits: Limits) -> str:
    if not name or "\0" in name:
        return "has an empty name or a NUL byte in it"
    if len(name.encode("utf-8", "surrogatepass")) > limits.name_bytes:
        return "has too long a name"
    if name.startswith("/") or "\\" in name or (len(name) > 1 and name[1] == ":" and name[0].isalpha()):
        return "has an absolute or backslash path"
    if ".." in name.split("/"):
        return "points outside the archive"
    return ""


def _kind_fault(entry: zipfile.ZipInfo) -> str:
    mode = entry.external_attr >> 16
    if entry.create_system == 3 and stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
        return "is a link or a special file"
    if stat.S_ISLNK(mode):
        return "is a link or a special file"
    if entry.flag_bits & 0x1:
        return "is encrypted"
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return "is packed in an unusual way (use plain ZIP, deflate)"
    return ""


def _check_sizes(entries: list[zipfile.ZipInfo], limits: Limits) -> None:
    for entry in entries:
        if entry.file_size > limits.entry_bytes:
            raise BadInput(
                f'the archive entry "{safe_text(entry.orig_filename)}" unpacks to more than '
                f"{limits.entry_bytes >> 20} MB",
                "archive_bomb",
            )
        if entry.file_size > 2**20 and entry.file_size > limits.ratio * max(entry.compress_size, 1):
            raise BadInput(
                f'the archive entry "{safe_text(entry.orig_filename)}" unpacks to more than '
                f"{limits.ratio} times its size (a bomb?)",
                "archive_bomb",
            )
    if sum(entry.file_size for entry in entries) > limits.total_bytes:
        raise BadInput(f"the archive unpacks to more than {limits.total_bytes >> 20} MB", "archive_bomb")


def _check_overlap(entries: list[zipfile.ZipInfo]) -> None:
    """Refuse entries that share packed bytes: how a small archive unpacks to petabytes."""
    end = 0
    for entry in sorted(entries, key=lambda e: e.header_offset):
        if entry.header_offset < end:
            raise BadInput(
                f'the archive entry "{safe_text(entry.orig_filename)}" overlaps another one',
                "hostile_archive",
            )
        end = entry.header_offset + LOCAL_HEADER.size + entry.compress_size


def _is_junk(name: str) -> bool:
    return (
        name.startswith(JUNK[0])
        or name.rsplit("/", 1)[-1] in JUNK[1:]
        or name.rsplit("/", 1)[-1].startswith("._")
    )


def _reader(stream: IO[bytes], entry: zipfile.ZipInfo, label: str) -> Callable[[], bytes]:
    def read() -> bytes:
        stream.seek(entry.header_offset)
        header = stream.read(LOCAL_HEADER.size)
        if len(header) < LOCAL_HEADER.size or not header.startswith(b"PK\x03\x04"):
            raise BadInput(f'the archive entry "{label}" is corrupt', "corrupt_archive")
        fields = LOCAL_HEADER.unpack(header)
        stream.seek(fields[9] + fields[10], io.SEEK_CUR)
        return _unpack(stream, entry, label)

    return read


def _unpack(stream: IO[bytes], entry: zipfile.ZipInfo, label: str) -> bytes:
    """Inflate by hand, so that never more than the declared size is held, whatever the stream would give."""
    packed = stream.read(entry.compress_size)
    if entry.compress_type == zipfile.ZIP_STORED:
        out = packed
    else:
        inflate = zlib.decompressobj(-15)
        try:
            out = inflate.decompress(packed, entry.file_size + 1)
        except zlib.error:
            raise BadInput(f'the archive entry "{label}" is corrupt', "corrupt_archive") from None
    if len(out) != entry.file_size:
        relation = "more" if len(out) > entry.file_size else "less"
        raise BadInput(
            f'the archive entry "{label}" unpacks to {relation} than its header says', "corrupt_archive"
        )
    if zlib.crc32(out) != entry.CRC:
        raise BadInput(
            f'the archive entry "{label}" is corrupt (its checksum does not match)', "corrupt_archive"
        )
    return out
