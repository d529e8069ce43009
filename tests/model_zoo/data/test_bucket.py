"""Data sets in a bucket, against moto over HTTP: the same samples, ranges alone, through the cache, and its errors."""

from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest

from model_zoo.data.reader import DataSet, Problem
from model_zoo.data.stream import Stream
from model_zoo.geometry.recipes import tiny
from model_zoo.io.errors import BadInput
from model_zoo.loader import Samples
from tests.buckets import KEYS
from tests.model_zoo.built import plain_set, rendered_set

pytestmark = pytest.mark.django_db  # the server is started beside the test database


@pytest.fixture
def remote(
    bucket_server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Path, str, str]]:
    """A folder, the same data set in a bucket, and the bucket's endpoint."""
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    folder = plain_set(tmp_path / "set", 24, size=1000)
    client = boto3.client("s3", endpoint_url=bucket_server)
    client.create_bucket(Bucket="sets")
    for path in folder.rglob("*"):
        if path.is_file():
            client.upload_file(str(path), "sets", f"some/set/{path.relative_to(folder)}")
    yield folder, "s3://sets/some/set", bucket_server
    for row in client.list_objects_v2(Bucket="sets").get("Contents", []):
        client.delete_object(Bucket="sets", Key=row["Key"])


def test_the_same_samples_come_from_a_bucket(remote: tuple[Path, str, str]) -> None:
    folder, url, endpoint = remote
    where = "split == 'train' and r < 0.8"
    local, far = DataSet(folder, where=where), DataSet(url, endpoint=endpoint, where=where)
    assert len(far) == len(local) > 10 and far.name == "set" and far.identity == local.identity
    for order in ("shuffle", "shards"):
        here, there = (
            [(s.id, s["data"], s.shape["json"]) for s in Stream(d, order=order, shapes=True)]
            for d in (local, far)
        )
        assert here == there


def test_the_endpoint_comes_from_the_aws_environment(
    remote: tuple[Path, str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", remote[2])
    assert DataSet(remote[1]).sample(3).facts() == {"n": 3}


@pytest.mark.parametrize("whole", [True, False])
def test_a_second_epoch_comes_from_the_cache(
    remote: tuple[Path, str, str], tmp_path: Path, whole: bool
) -> None:
    _, url, endpoint = remote
    how = {"endpoint": endpoint, "cache": tmp_path / "cache", "cache_bytes": 10**6, "whole_shards": whole}
    ids = [s.id for s in Stream(DataSet(url, **how))]
    data = DataSet(url, **how)
    asked = []
    place = data._places[0].place  # type: ignore[attr-defined]
    place.read_at = lambda *a: asked.append(a)
    assert [s.id for s in Stream(data)] == ids and len(ids) == 24 and not asked
    files = list((tmp_path / "cache/shards").glob("??/*"))
    assert len(files) == (len(data.shards) if whole else 24)
    for path in files:  # a disk that forgets: the copies are broken, the bucket is not
        path.write_bytes(bytes(path.stat().st_size))
    assert [s.id for s in Stream(DataSet(url, **how), strict=True)] == ids


def test_training_reads_a_bucket_through_the_cache(
    bucket_server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {**KEYS, "AWS_ENDPOINT_URL": bucket_server}.items():
        monkeypatch.setenv(name, value)
    folder = rendered_set(tmp_path / "set", count=2)
    client = boto3.client("s3")
    client.create_bucket(Bucket="training")
    for path in folder.rglob("*"):
        if path.is_file():
            client.upload_file(str(path), "training", f"set/{path.relative_to(folder)}")
    near, far = Samples(folder, tiny()), Samples("s3://training/set", tiny(), cache=tmp_path / "cache")
    assert len(far) == 2 and (far[1].occupancy == near[1].occupancy).all()
    assert (far[1].views["image"] == near[1].views["image"]).all() and list(
        (tmp_path / "cache/shards").glob("??/*")
    )


def test_what_a_bucket_lacks_is_told_in_one_line(remote: tuple[Path, str, str], tmp_path: Path) -> None:
    _, url, endpoint = remote
    data = DataSet(url, endpoint=endpoint)
    client = boto3.client("s3", endpoint_url=endpoint)
    first = data.shards[0][1]
    client.delete_object(Bucket="sets", Key=f"some/set/shards/{first}")
    last = data.shards[-1][1]
    client.put_object(Bucket="sets", Key=f"some/set/shards/{last}", Body=b"short")
    problems = [f for f in data.load(range(24)) if isinstance(f, Problem)]
    assert {(p.shard, p.code) for p in problems} == {(first, "missing_file"), (last, "short_shard")}
    for wrong in ("s3://", "s3://none/at/all", "s3://sets/another"):
        with pytest.raises(BadInput) as stop:
            DataSet(wrong, endpoint=endpoint)
        assert "\n" not in stop.value.message
