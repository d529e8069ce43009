"""The loader on samples of 241 KB (64 KB latent, two JPEG of 518 px, two mask PNG, JSON; spec/training.md 2c), beside
webdataset and plain sequential tar reading of the same shards in the same run.

Goals (issue «The data sets»): undecoded >= 3,000 samples a second, or 90 % of a cold read of the same bytes; resume
within 1 s on a million rows. Decoding is told apart. Rates of wall time and of CPU time of this process; the figures of
a loaded machine are pessimistic, so a missed goal is told and fails nothing. "Cold" drops the shards from the page cache
with posix_fadvise; what the disk's own cache holds stays. The bucket is moto over loopback: information only.
"""

import argparse
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterable
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import boto3
import numpy as np
import pyarrow.parquet as pq
import webdataset
from PIL import Image

from model_zoo.data.reader import DataSet, Sample
from model_zoo.data.stream import Stream
from model_zoo.io.images import encode_png
from tests import processes
from tests.buckets import KEYS
from tests.model_zoo.built import Entry, write_set

SIDE = 518
GOAL, COLD_SHARE, RESUME = 3000, 0.9, 1.0
ROWS = 1_000_000


class Rate(NamedTuple):
    """Samples, seconds of wall time and of CPU time."""

    count: int
    wall: float
    cpu: float

    def line(self, name: str, size: float) -> str:
        """One line of the table."""
        per_wall, per_cpu = self.count / self.wall, self.count / max(self.cpu, 1e-9)
        return f"{name:58}{per_wall:10,.0f}{per_cpu:12,.0f}{per_wall * size / 1e6:10,.0f}"


def measured(items: Callable[[], Iterable[Any]]) -> Rate:
    """How fast something gives its items."""
    wall, cpu = time.perf_counter(), time.process_time()
    count = sum(1 for _ in items())
    return Rate(count, time.perf_counter() - wall, time.process_time() - cpu)


def members(rng: np.random.Generator) -> dict[str, bytes]:
    """One sample of the size that spec/training.md 2c gives."""
    y, x = np.mgrid[:SIDE, :SIDE] / SIDE
    out: dict[str, bytes] = {"latent.bin": rng.normal(size=32_768).astype(np.float16).tobytes()}
    for name in ("image", "crop"):
        waves = sum(
            np.sin(rng.uniform(3, 40) * x + rng.uniform(3, 40) * y + rng.uniform(0, 6)) for _ in range(6)
        )
        grey = 128 + 14 * waves[..., None] * rng.uniform(0.5, 1, 3) + rng.normal(0, 9.5, (SIDE, SIDE, 3))
        buffer = io.BytesIO()
        Image.fromarray(np.clip(grey, 0, 255).astype(np.uint8)).save(buffer, "JPEG", quality=90)
        out[f"{name}.jpg"] = buffer.getvalue()
        radius = 0.2 + 0.05 * np.sin(8 * np.arctan2(y - 0.5, x - 0.5) + rng.uniform(0, 6))
        out[f"{'mask' if name == 'image' else 'inner'}.png"] = encode_png(np.hypot(x - 0.5, y - 0.5) < radius)
    out["json"] = json.dumps({"R": rng.normal(size=9).tolist(), "t": [0, 0, 1], "s": [1, 1, 1]}).encode()
    return out


def made(folder: Path, count: int) -> Path:
    """A built set of `count` samples in shards of 256 MB; 64 different ones, each with a number of its own."""
    rng = np.random.default_rng(0)
    kinds = [members(rng) for _ in range(64)]

    def entry(n: int) -> Entry:
        own = kinds[n % 64] | {"latent.bin": n.to_bytes(8, "little") + kinds[n % 64]["latent.bin"][8:]}
        return f"k{n:07d}", own, f"m{n // 24:07d}", {"json": b"{}\n"}, {"split": "train", "r": n / count}

    return write_set(folder, [entry(n) for n in range(count)], shard_bytes=256 * 2**20)


def forget(folder: Path) -> None:
    """Drop the shards from the page cache."""
    for path in (folder / "shards").iterdir():
        with path.open("rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def plain_tar(folder: Path) -> Iterable[bytes]:
    """Every member's bytes, by tarfile, one item a sample."""
    for path in sorted((folder / "shards").iterdir()):
        with tarfile.open(path, "r|") as shard:
            for info in shard:
                if info.isfile():
                    shard.extractfile(info).read()  # type: ignore[union-attr]
                    if info.name.endswith("mask.png"):
                        yield b""


def raw_bytes(folder: Path, size: float) -> Iterable[None]:
    """The shards read through in pieces of 4 MB; as many items as samples' bytes go by."""
    seen = 0
    for path in sorted((folder / "shards").iterdir()):
        with path.open("rb", buffering=0) as file:
            while data := file.read(2**22):
                seen += len(data)
    yield from range(int(seen / size))  # type: ignore[misc]


def decoded(sample: Sample) -> int:
    """Both pictures and masks."""
    return sum(sample.rgb(n).size for n in ("image", "crop")) + sum(
        sample.mask(n).size for n in ("mask", "inner")
    )


def pillow_only(sample: Sample) -> int:
    """The same by Pillow alone, without the checks of model_zoo.io.images."""
    return sum(np.asarray(Image.open(io.BytesIO(sample[n]))).size for n in ("image", "crop", "mask", "inner"))


def resumes(folder: Path, home: Path) -> dict[str, tuple[float, float]]:
    """Seconds (wall, CPU) from nothing to the first sample after a resume in the middle of a million rows, by kind of index."""
    copy = home / "million"
    (copy / "index").mkdir(parents=True)
    (copy / "shards").symlink_to((folder / "shards").resolve())
    shutil.copy(folder / "manifest.json", copy)
    table = pq.read_table(folder / "index/part-00000.parquet")
    pq.write_table(
        table.take(np.arange(ROWS) % len(table)), copy / "index/part-00000.parquet", row_group_size=5000
    )
    seconds = {}
    for name, how in (
        ("parquet, all columns", {}),
        ("parquet, no columns", {"columns": []}),
        ("kept index (cache=), no columns", {"columns": [], "cache": home / "kept"}),
    ):
        for order in ("shuffle", "shards"):
            stream = Stream(DataSet(copy, **how), order=order)
            stream.seek(2, 654_321)
            next(iter(stream))
            state = stream.state_dict()
            began, cpu = time.perf_counter(), time.process_time()
            again = Stream(DataSet(copy, **how), order=order, window=1000)
            again.load_state_dict(state)
            next(iter(again))
            seconds[f"{name}, order {order}"] = time.perf_counter() - began, time.process_time() - cpu
    return seconds


def bucket(folder: Path, home: Path, size: float) -> list[str]:
    """Rates from moto's server, cold and through the cache."""
    port = processes.free_port()
    url = f"http://127.0.0.1:{port}"
    os.environ.update(KEYS)
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with (home / "moto.log").open("wb") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
    try:
        processes.wait_for(lambda: processes.answers(url), seconds=60, child=server, log="moto")
        small = made(home / "small", 200)
        client = boto3.client("s3", endpoint_url=url)
        client.create_bucket(Bucket="bench")
        for path in small.rglob("*"):
            if path.is_file():
                client.upload_file(str(path), "bench", f"set/{path.relative_to(small)}")
        lines = []
        for name, how, order in (
            ("spans, shuffled", {}, "shuffle"),
            ("in windows of 100, large reads", {}, "shards"),
            ("whole shards into the cache", {"cache": home / "c", "whole_shards": True}, "shards"),
            ("from that cache, shuffled", {"cache": home / "c", "whole_shards": True}, "shuffle"),
        ):
            data = DataSet("s3://bench/set", endpoint=url, **how)
            rate = measured(lambda d=data, o=order: Stream(d, order=o, window=100, threads=8, ahead=32))
            lines.append(rate.line(f"bucket (moto): {name}", size))
        return lines
    finally:
        processes.stop(server)


def main() -> int:
    """Print the figures; always 0, for time is the machine's."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=4000)
    samples = parser.parse_args().samples
    home = Path(tempfile.mkdtemp(prefix="maquette-loader-"))
    try:
        folder = made(home / "set", samples)
        spans = DataSet(folder).spans["sample"]
        size = float(spans.lengths.mean())
        print(f"{samples} samples of {size / 1000:.0f} KB in {len(DataSet(folder).shards)} shards\n")
        print(f"{'':58}{'samples/s':>10}{'per cpu-s':>12}{'MB/s':>10}")
        list(raw_bytes(folder, size))  # warm

        def ours(**how: Any) -> Callable[[], Iterable[Any]]:
            check = how.pop("check", True)
            return lambda: Stream(DataSet(folder, check=check), **how)

        rates: dict[str, Rate] = {}
        for name, items in (
            ("warm: plain read of the files", lambda: raw_bytes(folder, size)),
            ("warm: tarfile, sequential", lambda: plain_tar(folder)),
            ("warm: webdataset 1.0.2, sequential, undecoded", lambda: wds(folder)),
            ("warm: ours, shuffled, sha256 checked (default)", ours()),
            ("warm: ours, shuffled, not checked", ours(check=False)),
            ("warm: ours, shuffled, checked, no threads", ours(threads=0)),
            ("warm: ours, shard by shard in windows of 1,000, checked", ours(order="shards")),
        ):
            rates[name] = measured(items)
            print(rates[name].line(name, size), flush=True)
        for name, items in (
            ("cold: plain read of the files", lambda: raw_bytes(folder, size)),
            ("cold: ours, shuffled, checked", ours()),
            ("cold: ours, shard by shard in windows of 1,000, checked", ours(order="shards")),
        ):
            forget(folder)
            rates[name] = measured(items)
            print(rates[name].line(name, size), flush=True)
        few = 400
        for name, then in (
            ("decoded: model_zoo.io.images (2 JPEG, 2 PNG)", decoded),
            ("decoded: Pillow alone", pillow_only),
        ):
            rate = measured(lambda t=then: islice(Stream(DataSet(folder), then=t), few))
            print(rate.line(name, size), flush=True)
        print("\n".join(bucket(folder, home, size)), flush=True)
        warm, plain = (
            rates["warm: ours, shuffled, sha256 checked (default)"],
            rates["cold: plain read of the files"],
        )
        cold = max(r.count / r.wall for n, r in rates.items() if n.startswith("cold: ours"))
        share = cold / (plain.count / plain.wall)
        reached = max(warm.count / warm.wall, warm.count / warm.cpu) >= GOAL or share >= COLD_SHARE
        print(f"\nundecoded, warm, checked: {warm.count / warm.wall:,.0f} a second, {warm.count / warm.cpu:,.0f} a CPU second"
              f" (goal {GOAL:,}); cold: {share:.0%} of a plain read (goal {COLD_SHARE:.0%}):"
              f" {'reached' if reached else 'not reached on this machine'}")  # fmt: skip
        for name, (wall, cpu) in resumes(folder, home).items():
            told = "reached" if min(wall, cpu) <= RESUME else "not reached"
            print(
                f"resume in {ROWS:,} rows, {name:48}{wall:6.2f} s, {cpu:5.2f} CPU s (goal {RESUME:.0f} s: {told})"
            )
        return 0
    finally:
        shutil.rmtree(home, ignore_errors=True)


def wds(folder: Path) -> Iterable[Any]:
    """webdataset's samples; shapes are samples to it, and are not counted."""
    shards = sorted(str(path) for path in (folder / "shards").iterdir())
    return (s for s in webdataset.WebDataset(shards, shardshuffle=False) if "image.jpg" in s)


if __name__ == "__main__":
    sys.exit(main())
