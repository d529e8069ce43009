"""The cache: within its budget for any number of processes, half files never used, the least recently used goes first."""

import multiprocessing
import os
import resource
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from model_zoo.data.cache import Cache, Cached
from model_zoo.data.places import Folder
from model_zoo.data.reader import DataSet
from model_zoo.io.errors import BadInput
from tests.model_zoo.built import plain_set

KB = 1000


def held(folder: Path) -> int:
    """Bytes in the cache; a half file that is renamed while we look counts once."""
    sizes = {}
    for path in folder.glob("??/*"):
        with suppress(FileNotFoundError):
            sizes[path.stem] = path.stat().st_size
    return sum(sizes.values())


def content(key: str, length: int) -> bytes:
    return (key.encode() * (length // len(key) + 1))[:length]


def get(cache: Cache, key: str, length: int = KB) -> bytes:
    path = cache.path(key, length, iter([content(key, length)]))
    assert path is not None
    return path.read_bytes()


def test_what_is_there_is_not_fetched_again(tmp_path: Path) -> None:
    cache = Cache(tmp_path, 10 * KB)
    assert get(cache, "a") == content("a", KB)

    def never() -> Iterator[bytes]:
        raise AssertionError("fetched twice")
        yield b""

    assert cache.path("a", KB, never()).read_bytes() == content("a", KB)


def test_the_least_recently_used_goes_first(tmp_path: Path) -> None:
    cache = Cache(tmp_path, 5 * KB)
    for age, key in enumerate("abcde"):
        get(cache, key)
        os.utime(cache._name(key), (0, 1000 + age))
    get(cache, "a")  # used now
    get(cache, "f")
    assert not cache._name("b").exists() and cache._name("a").exists() and cache._name("f").exists()
    assert held(tmp_path) <= 5 * KB


def test_what_cannot_fit_is_not_kept(tmp_path: Path) -> None:
    assert Cache(tmp_path, KB).path("a", 2 * KB, iter([b""])) is None and held(tmp_path) == 0


def test_a_fetch_that_fails_leaves_nothing(tmp_path: Path) -> None:
    cache = Cache(tmp_path, 10 * KB)

    def fails() -> Iterator[bytes]:
        yield b"half"
        raise BadInput("the connection is gone", "s3")

    with pytest.raises(BadInput):
        cache.path("a", KB, fails())
    with pytest.raises(BadInput, match="4 bytes instead of 1000"):
        cache.path("a", KB, iter([b"half"]))
    assert held(tmp_path) == 0 and get(cache, "a") == content("a", KB)


def _stall(folder: str, ready: "multiprocessing.synchronize.Event") -> None:
    def slow() -> Iterator[bytes]:
        yield b"half"
        ready.set()
        time.sleep(60)

    Cache(Path(folder), 10 * KB).path("a", 4 * KB, slow())


def test_a_killed_process_leaves_a_half_file_that_nobody_uses(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    ready = context.Event()
    child = context.Process(target=_stall, args=(str(tmp_path), ready))
    child.start()
    assert ready.wait(20)
    cache = Cache(tmp_path, 10 * KB)
    assert held(tmp_path) == 4 * KB  # its bytes are reserved
    for key in "bcdefgh":
        get(cache, key)
    assert held(tmp_path) <= 10 * KB and list(tmp_path.glob("??/*.part"))  # somebody is at it: not touched
    os.kill(child.pid, signal.SIGKILL)
    child.join()
    assert get(cache, "a", 4 * KB) == content("a", 4 * KB)
    (tmp_path / "00").mkdir(exist_ok=True)
    (tmp_path / "00" / ("0" * 64 + ".part")).write_bytes(bytes(3 * KB))  # of one killed before
    for key in "mnopqrstuv":
        get(cache, key)
    assert not list(tmp_path.glob("??/*.part")) and held(tmp_path) <= 10 * KB


def _busy(folder: str, seed: int, failed: "multiprocessing.sharedctypes.Synchronized[int]") -> None:
    cache = Cache(Path(folder), 20 * KB)
    for n in range(150):
        key = f"k{(n * (7 + seed)) % 40}"
        length = KB + 100 * ((n * (7 + seed)) % 40)
        for _ in range(5):
            path = cache.path(key, length, iter([content(key, length)]))
            try:
                data = None if path is None else path.read_bytes()
            except FileNotFoundError:  # evicted between being found and being opened, as Cached expects
                continue
            if data is not None and data != content(key, length):
                failed.value += 1
            break


def test_two_processes_share_a_budget(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    failed = context.Value("i", 0)
    children = [context.Process(target=_busy, args=(str(tmp_path), n, failed)) for n in range(2)]
    for child in children:
        child.start()
    cache, most = Cache(tmp_path, 20 * KB), 0
    while any(child.is_alive() for child in children):
        with cache._lock("budget"):  # nothing is reserved or evicted while we count
            most = max(most, held(tmp_path))
    assert all(child.exitcode == 0 for child in children) and failed.value == 0
    assert 0 < most <= 20 * KB and not list(tmp_path.glob("??/*.part"))


@pytest.mark.parametrize("whole", [True, False])
def test_ranges_come_through_the_cache(tmp_path: Path, whole: bool) -> None:
    (tmp_path / "place/shards").mkdir(parents=True)
    data = os.urandom(50 * KB)
    (tmp_path / "place/shards/a.tar").write_bytes(data)
    reads: list[tuple[int, int]] = []

    class Counted(Folder):
        def read_at(self, name: str, offset: int, length: int) -> bytes:
            reads.append((offset, length))
            return super().read_at(name, offset, length)

    cached = Cached(Counted(tmp_path / "place"), Cache(tmp_path / "cache", 100 * KB), "x", whole=whole)
    threads = [
        threading.Thread(target=lambda: [cached.read_at("shards/a.tar", 5 * KB, KB) for _ in range(5)])
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert cached.read_at("shards/a.tar", 5 * KB, KB) == data[5 * KB : 6 * KB]
    assert reads == [(0, 50 * KB) if whole else (5 * KB, KB)]
    assert cached.read_at("shards/a.tar", 49 * KB, KB) == data[-KB:] and len(reads) == (1 if whole else 2)
    with pytest.raises(BadInput, match="ends before"):
        cached.read_at("shards/a.tar", 49 * KB, 2 * KB)
    small = Cached(Counted(tmp_path / "place"), Cache(tmp_path / "small", 10), "x", whole=whole)
    assert small.read_at("shards/a.tar", 0, KB) == data[:KB]


@contextmanager
def full_disk(free: int = 100) -> Iterator[None]:
    """No file of this process grows beyond `free` bytes: writing fails as on a full disk."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (free, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


@pytest.mark.parametrize("whole", [True, False])
def test_a_cache_that_fails_is_passed_by(tmp_path: Path, whole: bool) -> None:
    (tmp_path / "place/shards").mkdir(parents=True)
    data = os.urandom(5 * KB)
    (tmp_path / "place/shards/a.tar").write_bytes(data)
    cached = Cached(Folder(tmp_path / "place"), Cache(tmp_path / "cache", 100 * KB), "x", whole=whole)
    with full_disk():
        assert cached.read_at("shards/a.tar", KB, KB) == data[KB : 2 * KB]
        assert not list((tmp_path / "cache").glob("??/*"))
    assert cached.read_at("shards/a.tar", KB, KB) == data[KB : 2 * KB] and held(tmp_path / "cache")
    shutil.rmtree(tmp_path / "cache")
    assert cached.read_at("shards/a.tar", 2 * KB, KB) == data[2 * KB : 3 * KB]
    (tmp_path / "cache").write_text("no folder any more")
    assert cached.read_again("shards/a.tar", KB, KB) == data[KB : 2 * KB]
    with pytest.raises(BadInput, match="ends before"):
        cached.read_at("shards/a.tar", 5 * KB, KB)
    with pytest.raises(BadInput, match="b.tar of place cannot be read"):
        cached.read_at("shards/b.tar", 0, KB)


def test_an_index_that_cannot_be_kept_stays_in_memory(tmp_path: Path) -> None:
    place = plain_set(tmp_path / "set", 8)
    with full_disk():
        data = DataSet(place, cache=tmp_path / "cache")
    assert data.facts.equals(DataSet(place).facts) and not list((tmp_path / "cache").iterdir())
    assert len(data.sample(3).members) == 2


def test_a_folder_that_cannot_be_made_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", tmp_path / "file/below"):
        with pytest.raises(BadInput, match="the cache folder .* cannot be made"):
            Cache(folder, KB)
        with pytest.raises(BadInput, match="the cache folder .* cannot be made"):
            DataSet(plain_set(tmp_path / f"set-{folder.name}", 4), cache=folder)
