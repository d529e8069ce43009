"""What is seen of photos when they come in and afterwards: near-duplicates, measures, high aesthetics."""

import io
from pathlib import Path

import pytest
from django.core.management import call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from PIL import Image as Picture

from backend.catalog.models import Batch, Image, TargetObject
from workers import importing, looking

pytestmark = pytest.mark.django_db


def bring(folder: Path) -> importing.Report:
    """Import the photos of a folder with the masks beside them."""
    return importing.import_images(folder, Batch.objects.get_or_create(name="photos")[0])


@pytest.fixture
def photos(test_data: Path, tmp_path: Path) -> Path:
    """The mug with two masks, and the same photo smaller, darker and recompressed."""
    for name in ("mug.jpg", "mug.mask_mug.png", "mug.mask_kettle.png"):
        with Picture.open(test_data / "dev/images" / name) as given:
            kind = Picture.Resampling.NEAREST if "mask" in name else Picture.Resampling.BOX
            given.resize((480, round(480 * given.height / given.width)), kind).save(tmp_path / name)
    picture = Picture.open(tmp_path / "mug.jpg")
    dark = picture.resize((picture.width // 2, picture.height // 2)).point(lambda value: value * 0.8)
    dark.save(tmp_path / "again.jpg", quality=40)
    return tmp_path


def test_a_photo_that_comes_again_smaller_and_darker_joins_the_first(photos: Path) -> None:
    bring(photos)
    again, mug = Image.objects.order_by("name")
    assert {again.cluster, mug.cluster} == {min(again.pk, mug.pk)} and again.side == mug.side != ""
    assert again.signature is not None and (again.signature ^ mug.signature).bit_count() <= 6


def test_objects_of_a_bright_sharp_colourful_photo_are_of_high_aesthetics(photos: Path) -> None:
    bring(photos)
    assert set(Image.objects.get(name="mug").looks) == {
        "brightness",
        "contrast",
        "colourfulness",
        "sharpness",
    }
    made = TargetObject.objects.filter(mask__isnull=False)
    assert list(made.values_list("aesthetic", flat=True)) == [True, True]
    assert made.first().looks["hidden"] is None, "the depth of this photo is guessed"


def test_what_came_in_before_is_looked_at_by_the_command(photos: Path) -> None:
    bring(photos)
    before = list(Image.objects.order_by("pk").values_list("signature", "cluster", "looks"))
    wiped = {"signature": None, "cluster": None, "side": None, "looks": None}
    Image.objects.update(**wiped)
    TargetObject.objects.update(looks=None, aesthetic=False)
    said = io.StringIO()
    call_command("look_at_photos", stdout=said)
    assert "2 photos in 1 clusters" in said.getvalue()
    after = list(Image.objects.order_by("pk").values_list("signature", "cluster", "looks"))
    for (was, cluster, looks), (now, same, measured) in zip(before, after):
        assert cluster == same and (was ^ now).bit_count() <= 2
        assert measured == pytest.approx(looks, rel=0.05)
    assert TargetObject.objects.filter(aesthetic=True).count() == 2
    assert looking.look_at_pending() is None


def test_what_cannot_be_read_is_noted_once(photos: Path) -> None:
    bring(photos)
    blob = Image.objects.first().blob
    broken = blob.__class__.objects.create(sha256="0" * 64, size=1, media_type="image/jpeg")
    image = Image.objects.create(blob=broken, display=broken, width=1, height=1, name="lost")
    assert looking.look_at_pending() is not None
    image.refresh_from_db()
    assert (image.looks, image.signature, image.cluster) == ({}, None, None)
    assert looking.look_at_pending() is None


def test_a_near_duplicate_of_a_removed_photo_comes_with_a_warning(photos: Path) -> None:
    again = (photos / "again.jpg").read_bytes()
    (photos / "again.jpg").unlink()
    bring(photos)
    Image.objects.update(removed_at=timezone.now(), removed_reason="asked by the owner")
    (photos / "again.jpg").write_bytes(again)
    report = bring(photos)
    assert report.refused == [
        {
            "name": "mug",
            "reason": f"this photo was removed on {timezone.now().date()} and stays out: asked by the owner",
        }
    ]
    assert any("nearly the same as mug, which was removed" in row["warning"] for row in report.warnings)


def test_looking_costs_the_same_number_of_queries_for_many(photos: Path) -> None:
    bring(photos)
    counts = []
    for n in (1, 2):
        Image.objects.update(looks=None)
        TargetObject.objects.update(looks=None)
        with CaptureQueriesContext(connection) as made:
            looking.look_at(list(Image.objects.order_by("-name")[:n]))
        counts.append(len(made))
    assert counts[0] == counts[1]
