"""Imports read from a bucket as from a folder, over real HTTP."""

import io
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from backend import storage
from backend.catalog.models import Image, Mesh, TargetObject

pytestmark = pytest.mark.django_db
PHOTO = ("mug.jpg", "mug.mask_mug.png")


def fill(store: storage.S3Store, folder: Path, names: tuple[str, ...], prefix: str) -> None:
    for name in names:
        store.client.upload_file(str(folder / name), store.bucket, prefix + name)


def run(command: str, source: str, *options: str) -> None:
    call_command(command, source, *options, stdout=io.StringIO())


def test_photos_come_from_a_prefix_with_their_masks(bucket: storage.S3Store, test_data: Path) -> None:
    fill(bucket, test_data / "dev/images", PHOTO, "in/photos/")
    fill(bucket, test_data / "dev/images", ("coffee.jpg",), "in/photos-not-these/")
    run("import_images", f"s3://{bucket.bucket}/in/photos", "--batch", "photos")
    assert (Image.objects.count(), TargetObject.objects.get().name) == (1, "mug")
    assert storage.read(Image.objects.get().blob) == (test_data / "dev/images/mug.jpg").read_bytes()


def test_one_mesh_comes_by_its_key(bucket: storage.S3Store, test_data: Path) -> None:
    fill(bucket, test_data / "dev/meshes", ("plate_8in.glb",), "in/meshes/")
    run("import_meshes", f"s3://{bucket.bucket}/in/meshes/plate_8in.glb")
    assert Mesh.objects.get().name == "plate_8in"


@pytest.mark.parametrize("source", ["maquette/nothing", "no-such-bucket/photos"])
def test_what_is_not_in_the_bucket_is_one_line(bucket: storage.S3Store, source: str) -> None:
    with pytest.raises(CommandError) as failure:
        run("import_images", f"s3://{source}", "--batch", "photos")
    assert "\n" not in str(failure.value)
