"""ZIP archives: hostile entries are refused before any is read, and bytes are counted."""

import io
import stat
import struct
import zipfile
from pathlib import Path

import pytest

from model_zoo.io.archives import Limits, open_archive, safe_members
from model_zoo.io.errors import BadInput
from tests.model_zoo.io.makers import zipped


def test_the_files_come_in_order_with_their_bytes(tmp_path: Path) -> None:
    data = zipped({"b/two.txt": b"2" * 5000, "a.txt": b"1", "__MACOSX/._a.txt": b"x", ".DS_Store": b"x"})
    (tmp_path / "x.zip").write_bytes(data)
    for source in (data, tmp_path / "x.zip"):
        assert [(m.name, m.read()) for m in open_archive(source).members] == [
            ("b/two.txt", b"2" * 5000),
            ("a.txt", b"1"),
        ]
    assert [name for name, _ in safe_members(data)] == ["b/two.txt", "a.txt"]


@pytest.mark.parametrize("name", ["../x", "a/../../x", "/etc/x", "C:/x", "a\\..\\x", "a\\b"])
def test_a_name_that_leads_outside_is_refused_by_name(name: str) -> None:
    with pytest.raises(BadInput, match="the archive entry"):
        open_archive(zipped({"ok.txt": b"", name: b"x"}))


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR, stat.S_IFSOCK])
def test_links_and_special_files_are_refused(kind: int) -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        entry = zipfile.ZipInfo("link")
        entry.external_attr = (kind | 0o777) << 16
        archive.writestr(entry, "/etc/passwd")
    with pytest.raises(BadInput, match="link or a special file"):
        open_archive(stream.getvalue())


def test_a_name_that_comes_twice_is_refused_and_one_that_differs_in_case_is_warned_of() -> None:
    with pytest.warns(UserWarning, match="Duplicate"):
        twice = zipped([("a.txt", b"1"), ("a.txt", b"2")])
    with pytest.raises(BadInput, match='two entries named "a.txt"'):
        open_archive(twice)
    archive = open_archive(zipped({"a.txt": b"1", "A.txt": b"2"}))
    assert [m.read() for m in archive.members] == [b"1", b"2"] and "differ only in case" in archive.warnings[
        0
    ]


def test_bombs_are_refused_by_ratio_by_size_and_by_number() -> None:
    with pytest.raises(BadInput, match="200 times"):
        open_archive(zipped({"zeros": bytes(2**22)}))
    with pytest.raises(BadInput, match="more than 1 MB"):
        open_archive(zipped({"a": bytes(2**21)}), Limits(entry_bytes=2**20))
    with pytest.raises(BadInput, match="unpacks to more than 0 MB"):
        open_archive(zipped({"a": b"x" * 600, "b": b"y" * 600}), Limits(total_bytes=1000))
    with pytest.raises(BadInput, match="too many entries: 11"):
        open_archive(zipped({str(n): b"" for n in range(11)}), Limits(entries=10))


def edited(data: bytes, offset: int, value: int, form: str = "<L") -> bytes:
    """The archive with a number of its last central directory entry changed."""
    at = data.rindex(b"PK\x01\x02") + offset
    return data[:at] + struct.pack(form, value) + data[at + struct.calcsize(form) :]


def test_a_stream_longer_than_its_header_says_is_not_unpacked() -> None:
    data = zipped({"a.obj": b"v 0 0 0\n" * 1000})
    (member,) = open_archive(edited(data, 24, 10)).members
    with pytest.raises(BadInput, match="more than its header says"):
        member.read()


def test_a_wrong_checksum_is_refused() -> None:
    (member,) = open_archive(edited(zipped({"a": b"hello"}), 16, 1)).members
    with pytest.raises(BadInput, match="checksum"):
        member.read()


def test_entries_that_share_bytes_are_refused() -> None:
    data = zipped({"a": b"x" * 100, "b": b"x" * 100}, zipfile.ZIP_STORED)
    with pytest.raises(BadInput, match="overlaps"):
        open_archive(edited(data, 42, 0))


@pytest.mark.parametrize("flag", [0x1, 0x41])
def test_encrypted_entries_are_refused(flag: int) -> None:
    with pytest.raises(BadInput, match="encrypted"):
        open_archive(edited(zipped({"a": b"x"}), 8, flag, "<H"))


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_unusual_packing_is_refused(method: int) -> None:
    with pytest.raises(BadInput, match="unusual way"):
        open_archive(zipped({"a": b"x" * 1000}, method))


@pytest.mark.parametrize("data", [b"", b"PK", b"PK\x03\x04" + bytes(60), b"\x1f\x8b" + bytes(50), b"hello"])
def test_what_is_no_archive_is_refused(data: bytes) -> None:
    with pytest.raises(BadInput):
        open_archive(data)


def test_an_archive_cut_anywhere_is_refused_or_read_whole() -> None:
    data = zipped({"a": b"x" * 100, "b": b"y"})
    for cut in range(0, len(data), 7):
        with pytest.raises(BadInput):
            [member.read() for member in open_archive(data[:cut]).members]
