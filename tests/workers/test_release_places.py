"""Where releases are put: whole or not at all, in a folder, a bucket or the store, and never over another one."""

from pathlib import Path
from typing import Any

import pytest

from backend import storage
from backend.catalog.models import Image
from backend.datasets import removal, services
from backend.datasets.models import Release
from backend.jobs import UserError
from backend.models import Blob
from tests.backend.datasets.rows import job_here
from tests.workers.test_releasing import loop, quiet, release
from workers import releasing
from workers.release_check import check
from workers.release_places import materialise

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_release_in_a_bucket_comes_back_whole(tmp_path: Path, bucket: Any) -> None:
    world = loop()
    made = release(world, "s3://maquette/releases/first")
    assert made.location == "s3://maquette/releases/first"
    assert check(materialise(made, tmp_path / "fetched")).sha256 == made.sha256
    missing = world.batch.candidates.last().mesh.blob_id
    bucket.remove(storage.blob_name(missing))
    with pytest.raises(
        UserError, match=f"mesh of candidate .* is missing from the store .blob {missing[:12]}"
    ):
        release(world, tmp_path / "out", "dpo")
    with pytest.raises(UserError, match="not empty"):
        release(world, "s3://maquette/releases/first")


def listed(bucket: Any, prefix: str) -> list[str]:
    return [
        row["Key"]
        for row in bucket.client.list_objects_v2(Bucket="maquette", Prefix=prefix).get("Contents", [])
    ]


def test_of_two_releases_at_one_prefix_the_second_is_refused(
    bucket: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world, write, late = loop(), storage.S3Store.write, []

    def meanwhile(self: Any, name: str, *args: Any) -> None:
        if name.startswith("releases/one/") and not late:  # the first one is under way
            late.append(name)
            with pytest.raises(UserError, match="another release is being written"):
                release(world, "s3://maquette/releases/one", "dpo", own_negatives=False)
        write(self, name, *args)

    monkeypatch.setattr(storage.S3Store, "write", meanwhile)
    made = release(world, "s3://maquette/releases/one")
    assert late and Release.objects.get() == made
    assert listed(bucket, "releases/one.claim") == []
    assert "releases/one/manifest.json" in listed(bucket, "releases/one/")


def take_out_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    """A photo is removed after everything was written and before it is sealed."""
    build = releasing.build

    def late(*args: Any) -> dict[str, Any]:
        manifest = build(*args)
        removal.remove(Image.objects.order_by("pk").first(), reason="asked")
        return manifest

    monkeypatch.setattr(releasing, "build", late)


@pytest.mark.parametrize("place", ["folder", "bucket", "store"])
def test_of_a_release_that_lost_a_photo_meanwhile_nothing_is_left(
    tmp_path: Path,
    bucket: Any,
    place: str,
) -> None:
    world = loop()
    made = services.begin(kind="sft", batches=[world.batch])
    job = job_here(made)
    with (
        pytest.MonkeyPatch.context() as patched,
        pytest.raises(UserError, match="was removed while the release was written"),
    ):
        take_out_meanwhile(patched)
        if place == "store":
            releasing.release_job(job)
        else:
            releasing.release_to(
                made, str(tmp_path / "out") if place == "folder" else "s3://maquette/out", quiet
            )
    assert not (tmp_path / "out").exists() and listed(bucket, "out") == []
    tars = Blob.objects.filter(media_type="application/x-tar")
    assert [bucket.size(storage.blob_name(tar.sha256)) for tar in tars] == [None] * len(tars)
    assert len(tars) == (place == "store") and Release.samples.through.objects.count() == 0
    if place == "store":  # tried again it is frozen without the photo
        releasing.release_job(job)
        assert check(materialise(Release.objects.get(), tmp_path / "fetched")).rows == 2
