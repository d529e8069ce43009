"""The stream: every row once over all readers, the exact next sample after a resume, broken rows left out and reported."""

import json
import shutil
import threading
import time
from collections import Counter
from itertools import islice
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from model_zoo.data.reader import DataSet, Sample
from model_zoo.data.stream import Share, Stream
from model_zoo.io.errors import BadInput
from tests.model_zoo.built import plain_set
from tests.model_zoo.releases import sft_release

ROWS = 103


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return plain_set(tmp_path_factory.mktemp("plain") / "set", ROWS, size=500)


@pytest.fixture
def data(plain: Path) -> DataSet:
    return DataSet(plain)


def name(sample: Sample) -> str:
    assert sample.id == f"k{int.from_bytes(sample['data'][:4], 'little'):05d}"
    return sample.id


def shares(world: int, workers: int, batch: int) -> list[Share]:
    return [Share(rank, world, worker, workers, batch) for rank in range(world) for worker in range(workers)]


@pytest.mark.parametrize("order", ["shuffle", "shards", "index"])
@pytest.mark.parametrize(
    ("world", "workers", "batch"), [(1, 1, 1), (2, 1, 4), (2, 3, 5), (3, 2, 1), (4, 4, 10)]
)
def test_every_row_comes_once_over_all_readers(data, order, world, workers, batch) -> None:
    got = Counter(
        sample
        for share in shares(world, workers, batch)
        for sample in Stream(data, order=order, share=share, then=name, window=20)
    )
    assert len(got) == ROWS and set(got.values()) == {1}


@pytest.mark.parametrize(("tail", "each"), [("drop", 24), ("pad", 32)])
def test_the_tail_makes_ranks_equal(data: DataSet, tail: str, each: int) -> None:
    read = [list(Stream(data, tail=tail, share=Share(rank, 4, batch=8), then=name)) for rank in range(4)]
    assert {len(r) for r in read} == {each}
    assert len({i for r in read for i in r}) == (96 if tail == "drop" else ROWS)


@pytest.mark.parametrize("order", ["shuffle", "shards", "index"])
def test_a_filter_that_lets_nothing_through_gives_an_empty_epoch(plain: Path, order: str) -> None:
    for tail in ("keep", "drop", "pad"):
        stream = Stream(DataSet(plain, where="r > 2"), order=order, tail=tail, share=Share(1, 2, batch=4))
        assert list(stream) == [] and stream.epoch == 1


def test_epochs_differ_and_follow_each_other(data: DataSet) -> None:
    stream = Stream(data, then=name)
    first, second = list(stream), list(stream)
    assert first != second and sorted(first) == sorted(second) and stream.epoch == 2
    again = Stream(data, then=name)
    again.seek(1, 0)
    assert list(again) == second and list(Stream(data, seed=1, then=name)) != first


@pytest.mark.parametrize("order", ["shuffle", "shards", "index"])
@pytest.mark.parametrize("threads", [0, 2])
def test_a_resume_continues_with_the_exact_next_sample(data: DataSet, order: str, threads: int) -> None:
    def made(**how: object) -> Stream:
        return Stream(data, order=order, then=name, window=30, **how)

    whole = [*made(), *islice(_from(made(), 1), 50)]
    stream, state = made(threads=threads), {}
    got = []
    for stop in (1, 40, ROWS, 7):  # stops within and at the end of an epoch, each time by another object
        for sample in islice(stream, stop):
            got.append(sample)
        state = json.loads(json.dumps(stream.state_dict()))
        stream = made(threads=threads)
        stream.load_state_dict(state)
    got += islice(stream, 30)
    assert got == whole[: len(got)] and len(got) > ROWS + 7


def _from(stream: Stream, epoch: int) -> Stream:
    stream.seek(epoch, 0)
    return stream


def test_other_numbers_of_readers_continue_where_all_stood(data: DataSet) -> None:
    """Two ranks of two workers read three batches each; one rank, then three, read the rest: every row once."""
    seen: list[str] = []
    states = []
    for rank in range(2):
        for worker in range(2):
            stream = Stream(data, share=Share(rank, 2, worker, 2, batch=4), then=name)
            seen += islice(stream, 12)
            states.append(stream.state_dict())
    assert len(set(seen)) == 48 and all(state == states[0] for state in states)
    alone = Stream(data, then=name)
    alone.load_state_dict(states[0])
    assert set(islice(alone, 1)).isdisjoint(seen)
    rest: list[str] = []
    for share in shares(3, 2, 7):
        stream = Stream(data, share=share, then=name)
        stream.load_state_dict(states[0])
        rest += stream
    assert sorted(seen + rest) == sorted(Stream(data, then=name))


def test_a_state_of_something_else_is_refused_in_one_line(data: DataSet, plain: Path) -> None:
    state = Stream(data).state_dict()
    for other, said in (
        (Stream(data, seed=1), "seed is 0, here 1"),
        (Stream(data, order="shards"), "order is 'shuffle'"),
        (Stream(DataSet(plain, where="r > 0.5")), "data is"),
    ):
        with pytest.raises(BadInput, match=said):
            other.load_state_dict(state)
    inside = Stream(data, share=Share(batch=4), then=name)
    next(iter(inside))
    with pytest.raises(BadInput, match="inside a batch"):
        Stream(data, share=Share(batch=5)).load_state_dict(inside.state_dict())
    same = Stream(data, share=Share(batch=4), then=name)
    same.load_state_dict(inside.state_dict())
    assert next(iter(same)) == next(iter(inside))
    with pytest.raises(BadInput, match="order is one of"):
        Stream(data, order="random")


@pytest.mark.parametrize("name", ["data", "rows", "seed", "order", "window", "epoch", "position", "inside"])
@pytest.mark.parametrize("value", [None, -5, "7", 1.5, [1]])
def test_what_is_no_state_is_refused_in_one_line(data: DataSet, name: str, value: object) -> None:
    stream = Stream(data)
    state = stream.state_dict()
    for wrong in (state | {name: value}, {key: v for key, v in state.items() if key != name}, value):
        with pytest.raises(BadInput) as stop:
            stream.load_state_dict(wrong)
        assert stop.value.code == "bad_state" and "\n" not in stop.value.message
    inside = {**state, "inside": 1}
    del inside["readers"]
    with pytest.raises(BadInput, match="inside a batch"):
        stream.load_state_dict(inside)
    assert stream.state_dict() == state


@pytest.fixture
def damaged(plain: Path, tmp_path: Path) -> DataSet:
    """One shard is gone, one is cut, one sample has a flipped bit."""
    shutil.copytree(plain, tmp_path / "set")
    shards = sorted((tmp_path / "set/shards").iterdir())
    assert len(shards) >= 3
    shards[0].unlink()
    shards[1].write_bytes(shards[1].read_bytes()[:30_000])
    data = DataSet(tmp_path / "set")
    last = data.spans["sample"].at(ROWS - 1)
    content = bytearray(shards[-1].read_bytes())
    content[last.offset + 700] ^= 4
    shards[-1].write_bytes(bytes(content))
    return data


@pytest.mark.parametrize("order", ["shuffle", "shards"])
def test_broken_shards_and_samples_are_left_out_and_reported(damaged: DataSet, order: str) -> None:
    told = []
    stream = Stream(damaged, order=order, then=name, on_problem=told.append)
    good = list(stream)
    codes = Counter(code for _, code in stream.report.counts.elements())
    assert len(good) + len(told) == ROWS == len(good) + codes.total() and len(set(good)) == len(good)
    assert set(codes) == {"missing_file", "short_shard", "hash_mismatch"} and codes["hash_mismatch"] == 1
    text = str(stream.report)
    assert text.startswith(f"{len(told)} samples were left out") and "iso3do-000000.tar" in text
    assert f"k{ROWS - 1:05d}" in text and "do not match their sha256" in text
    positions = Stream(damaged, order=order, then=name)
    list(islice(positions, 20))
    resumed = Stream(damaged, order=order, then=name)
    resumed.load_state_dict(positions.state_dict())
    assert list(resumed) == good[20:]


@pytest.mark.parametrize("whole", [True, False])
def test_a_member_is_reported_under_its_own_shard(tmp_path: Path, whole: bool) -> None:
    """A mesh lies in another shard than its image; it is cut off, or its bytes are no mesh."""
    place = sft_release(tmp_path / "set", 1)
    (shard,) = (place / "shards").iterdir()
    other = shard.with_name("shard-000001.tar")
    path = place / "index/part-00000.parquet"
    [row] = pq.read_table(path).to_pylist()
    pq.write_table(pa.Table.from_pylist([row | {"mesh_shard": other.name}]), path)
    other.write_bytes(bytes(row["mesh_offset"] + row["mesh_length"]) if whole else b"cut off")
    stream = Stream(DataSet(place), then=lambda sample: (sample.rgb(), sample.mesh()))
    assert list(stream) == [] and [shard for shard, _ in stream.report.counts] == [other.name]
    other.unlink()
    shutil.copy(shard, other)
    assert len(list(Stream(DataSet(place), then=lambda sample: sample.mesh(), strict=True))) == 1


def test_strict_stops_at_the_first(damaged: DataSet) -> None:
    with pytest.raises(BadInput, match="sample k"):
        list(Stream(damaged, strict=True))


def test_the_list_of_problems_is_bounded(data: DataSet) -> None:
    def refuse(sample: Sample) -> None:
        raise BadInput("nothing is good enough", "picky")

    stream = Stream(data, then=refuse)
    assert [*stream, *stream] == [] and stream.report.counts.total() == 2 * ROWS
    assert len(stream.report.problems) == 100 and "picky" in str(stream.report)


def test_another_error_of_the_callers_code_is_not_swallowed(data: DataSet) -> None:
    with pytest.raises(ZeroDivisionError):
        list(Stream(data, then=lambda sample: 1 / 0))


def test_leaving_in_the_middle_ends_the_threads(data: DataSet) -> None:
    before = threading.active_count()
    for _ in Stream(data, ahead=4):
        break
    assert threading.active_count() == before


def test_a_shape_shared_by_samples_is_read_with_them(data: DataSet, monkeypatch: pytest.MonkeyPatch) -> None:
    reads: list[int] = []
    place = data._places[0]
    plain_read = place.read_at
    monkeypatch.setattr(
        place, "read_at", lambda n, o, length: reads.append(length) or plain_read(n, o, length)
    )
    shapes = [dict(s.shape) for s in Stream(data, order="shards", window=ROWS, shapes=True)]
    assert len(shapes) == ROWS and len(reads) == len(data.shards)


def test_a_large_index_resumes_within_a_second(plain: Path, tmp_path: Path) -> None:
    """200,000 rows that point at the same few samples: open, load the state, first sample. bench_data_loader has a million."""
    shutil.copytree(plain, tmp_path / "set")
    path = tmp_path / "set/index/part-00000.parquet"
    pq.write_table(pq.read_table(path).take(np.arange(200_000) % ROWS), path)

    def opened() -> Stream:
        return Stream(DataSet(tmp_path / "set", columns=[], cache=tmp_path / "cache"))

    stream = opened()
    stream.seek(3, 123_456)
    list(islice(stream, 5))
    state = stream.state_dict()
    following = [sample.id for sample in islice(stream, 5)]
    began = time.process_time()
    again = opened()
    again.load_state_dict(state)
    assert [sample.id for sample in islice(again, 5)] == following
    assert time.process_time() - began < 1
