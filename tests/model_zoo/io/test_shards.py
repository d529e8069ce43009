"""Shards and index: the same bytes for the same samples, readable by tar, webdataset and parquet, constant memory."""

import hashlib
import subprocess
import sys
import tarfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from model_zoo.io.errors import BadInput
from model_zoo.io.index_writer import IndexWriter
from model_zoo.io.shards import (
    BUFFER,
    DamagedMember,
    ShardReader,
    ShardWriter,
    Stored,
    file_sha256,
    header,
    read_member,
)

ROOT = Path(__file__).resolve().parents[3]
SCHEMA = pa.schema([("id", pa.string()), ("number", pa.int64()), ("score", pa.float64())])


def samples(count: int = 20) -> list[tuple[str, dict[str, bytes]]]:
    return [
        (f"{n:08d}", {"image.jpg": bytes([n]) * (1000 + n), "meta.json": b"{}" * n}) for n in range(count)
    ]


def written(folder: Path, max_bytes: int = 20_000) -> tuple[ShardWriter, list[dict]]:
    with ShardWriter(folder, max_bytes) as writer:
        rows = [row for key, members in samples() for row in writer.write(key, members)]
    return writer, rows


def test_every_row_finds_its_bytes_in_its_shard(tmp_path: Path) -> None:
    _, rows = written(tmp_path)
    wanted = {(key, member): data for key, members in samples() for member, data in members.items()}
    assert len(rows) == len(wanted) and len({row["shard"] for row in rows}) > 2
    for row in rows:
        data = read_member(tmp_path / row["shard"], row["offset"], row["length"], row["sha256"])
        assert data == wanted[row["key"], row["member"]]


def test_the_shards_are_plain_tar_files_with_neutral_headers(tmp_path: Path) -> None:
    writer, _ = written(tmp_path)
    for shard in writer.shards:
        with tarfile.open(tmp_path / shard["name"]) as archive:
            members = archive.getmembers()
        assert len(members) == 2 * shard["samples"]
        assert all((m.mtime, m.uid, m.gid, m.uname, m.mode) == (0, 0, 0, "", 0o644) for m in members)
        assert file_sha256(tmp_path / shard["name"]) == shard["sha256"]
        assert (tmp_path / shard["name"]).stat().st_size == shard["bytes"] <= 20_000


def test_writing_again_gives_the_same_bytes(tmp_path: Path) -> None:
    first, second = written(tmp_path / "a")[0], written(tmp_path / "b")[0]
    assert first.shards == second.shards and not list(tmp_path.rglob("*.part"))


def test_webdataset_groups_the_members_of_a_sample(tmp_path: Path) -> None:
    wds = pytest.importorskip("webdataset")
    written(tmp_path)
    paths = sorted(str(path) for path in tmp_path.glob("*.tar"))
    read = list(wds.WebDataset(paths, shardshuffle=False))
    assert [item["__key__"] for item in read] == [key for key, _ in samples()]
    assert read[3]["image.jpg"] == samples()[3][1]["image.jpg"]


def test_a_sample_larger_than_a_shard_gets_one_of_its_own(tmp_path: Path) -> None:
    with ShardWriter(tmp_path, 5_000) as writer:
        for key in "abc":
            writer.write(key, {"bin": bytes(9_000)})
    assert [shard["samples"] for shard in writer.shards] == [1, 1, 1]


@pytest.mark.parametrize(
    ("key", "member"),
    [("a.b", "jpg"), ("../a", "jpg"), ("", "jpg"), ("a", "../x"), ("a", ""), ("k" * 61, "x")],
)
def test_a_name_that_would_not_come_back_is_refused(tmp_path: Path, key: str, member: str) -> None:
    with ShardWriter(tmp_path) as writer, pytest.raises(BadInput):
        writer.write(key, {member: b""})


def test_a_failed_run_leaves_no_shard_that_looks_complete(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), ShardWriter(tmp_path) as writer:
        writer.write("a", {"x": b"1"})
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_a_changed_byte_is_found_by_its_hash(tmp_path: Path) -> None:
    _, rows = written(tmp_path)
    path = tmp_path / rows[0]["shard"]
    path.write_bytes(
        path.read_bytes().replace(b"\x00{}", b"\x00{]").replace(bytes([1]) * 50, bytes([9]) * 50)
    )
    row = next(row for row in rows if row["key"] == "00000001" and row["member"] == "image.jpg")
    with pytest.raises(BadInput, match="do not match their sha256"):
        read_member(path, row["offset"], row["length"], row["sha256"])
    with pytest.raises(BadInput, match="ends before"):
        read_member(path, 10**6, 10)


def stored(folder: Path, data: bytes) -> Stored:
    """A member that lies in a file named by its hash."""
    sha256 = hashlib.sha256(data).hexdigest()
    (folder / sha256).write_bytes(data)
    return Stored(sha256, len(data), str(folder / sha256))


@pytest.mark.parametrize("size", [0, 1, BUFFER - 512, BUFFER, 2 * BUFFER + 77])
def test_a_stored_member_gives_the_same_shard_as_its_bytes(tmp_path: Path, size: int) -> None:
    data = bytes(range(256)) * (size // 256) + bytes(size % 256)
    file = stored(tmp_path, data)
    chunks = Stored(file.sha256, size, lambda: (data[at : at + 70_000] for at in range(0, size, 70_000)))
    made = []
    for name, member in (("bytes", data), ("file", file), ("chunks", chunks)):
        with ShardWriter(tmp_path / name) as writer:
            writer.write("a", {"bin": member, "json": b"{}"})
        made.append(writer.shards)
    assert made[0] == made[1] == made[2]
    assert file_sha256(tmp_path / "file" / "shard-000000.tar") == made[0][0]["sha256"]


@pytest.mark.parametrize("found", [b"", b"rust", b"rusty iron", b"rusty nails"])
def test_a_stored_member_that_changed_is_refused_and_leaves_nothing(tmp_path: Path, found: bytes) -> None:
    member = stored(tmp_path, b"shiny nail")
    (tmp_path / member.sha256).write_bytes(found)
    chunked = Stored(member.sha256, member.length, lambda: iter([found]))
    for each in (member, chunked):
        with (
            pytest.raises(DamagedMember, match=r"a\.bin is not what"),
            ShardWriter(tmp_path / "out") as writer,
        ):
            writer.write("a", {"bin": each})
        assert list((tmp_path / "out").iterdir()) == []


def test_headers_are_those_of_tarfile() -> None:
    for name, size in (
        ("a.json", 0),
        ("o000000001.image.jpg", 12345),
        ("k" * 60 + "." + "m" * 36, 8 * 2**30 - 1),
    ):
        wanted = tarfile.TarInfo(name)
        wanted.size = size
        assert header(name, size) == wanted.tobuf(tarfile.USTAR_FORMAT)
    with pytest.raises(BadInput, match="too large"):
        header("a", 8 * 2**30)


def test_a_shard_is_read_back_in_one_pass(tmp_path: Path) -> None:
    writer, rows = written(tmp_path)
    read = []
    for shard in writer.shards:
        reader = ShardReader(tmp_path / shard["name"])
        read += [(shard["name"], member) for member in reader]
        assert reader.sha256 == shard["sha256"]
    assert [(name, m.name, m.offset, m.length, m.sha256) for name, m in read] == [
        (row["shard"], f"{row['key']}.{row['member']}", row["offset"], row["length"], row["sha256"])
        for row in rows
    ]
    assert {m.text for _, m in read if m.name == "00000003.meta.json"} == {b"{}" * 3}


@pytest.mark.parametrize("length", [300, 700, 1600])
def test_a_shard_that_is_cut_off_is_refused_by_name(tmp_path: Path, length: int) -> None:
    writer, _ = written(tmp_path)
    path = tmp_path / writer.shards[0]["name"]
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(BadInput, match="shard-000000.tar ends in the middle"):
        list(ShardReader(path))
    path.write_bytes(b"not a tar file".ljust(1024))
    with pytest.raises(BadInput, match="no header of a plain file at byte 0"):
        list(ShardReader(path))


def index_rows(count: int) -> list[dict]:
    return [
        {"id": hashlib.md5(str(n).encode()).hexdigest(), "number": n, "score": n / 7} for n in range(count)
    ]


def test_the_index_reads_back_and_is_the_same_every_time(tmp_path: Path) -> None:
    for name in ("a.parquet", "b.parquet"):
        with IndexWriter(tmp_path / name, SCHEMA, rows_per_group=300) as writer:
            writer.write_rows(index_rows(1000))
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()
    table = pq.read_table(tmp_path / "a.parquet")
    assert table.to_pylist() == index_rows(1000) and writer.rows == 1000
    assert pq.ParquetFile(tmp_path / "a.parquet").num_row_groups == 4


def test_the_index_is_the_same_however_its_rows_come_in(tmp_path: Path) -> None:
    table = pa.Table.from_pylist(index_rows(1000), schema=SCHEMA)
    for number, sizes in enumerate([[1000], [7, 293, 0, 600, 100], [301] * 3]):
        with IndexWriter(tmp_path / f"{number}.parquet", SCHEMA, rows_per_group=300) as writer:
            at = 0
            for size in sizes:
                writer.write_table(table.slice(at, size))
                at += size
            writer.write_rows(index_rows(1000)[at:])
    assert len({path.read_bytes() for path in tmp_path.iterdir()}) == 1
    groups = pq.ParquetFile(tmp_path / "0.parquet").metadata
    assert [groups.row_group(n).num_rows for n in range(groups.num_row_groups)] == [300, 300, 300, 100]


def test_a_hundred_thousand_rows_take_less_than_a_hundred_megabytes(tmp_path: Path) -> None:
    code = f"""
import resource
from tests.model_zoo.io.test_shards import SCHEMA, IndexWriter
start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
with IndexWriter({str(tmp_path / "x.parquet")!r}, SCHEMA) as writer:
    for n in range(100_000):
        writer.write({{"id": str(n) * 20, "number": n, "score": n / 7}})
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - start)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert int(done.stdout) < 100_000
