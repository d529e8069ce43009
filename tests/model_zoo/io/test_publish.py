"""What leaves the house is the picture and nothing else."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from model_zoo.io.images import load_image
from model_zoo.io.publish import published


def jpeg(*, progressive: bool = False, **options: object) -> bytes:
    """A small photo with a comment and, if asked, EXIF."""
    ramp = np.tile(np.arange(64, dtype=np.uint8), (48, 1))
    stream = io.BytesIO()
    Image.fromarray(np.dstack([ramp, ramp[:, ::-1], ramp])).save(
        stream, "JPEG", progressive=progressive, comment=b"<script>private</script>", **options
    )
    return stream.getvalue()


@pytest.mark.parametrize("progressive", [False, True])
def test_an_upright_jpeg_keeps_its_pixels_exactly_and_loses_its_comment(progressive: bool) -> None:
    data = jpeg(progressive=progressive)
    clean, media_type = published(data, load_image(data))
    assert media_type == "image/jpeg"
    assert b"private" not in clean
    assert np.array_equal(load_image(clean).rgb, load_image(data).rgb)


def test_a_turned_jpeg_comes_out_upright_without_exif() -> None:
    exif = Image.Exif()
    exif[0x0112], exif[0x013B] = 6, "somebody"
    data = jpeg(exif=exif)
    clean, _ = published(data, load_image(data))
    assert Image.open(io.BytesIO(clean)).size == (48, 64)
    assert b"somebody" not in clean


def test_bytes_behind_the_end_are_left_behind() -> None:
    data = jpeg() + b"PK\x03\x04 a hidden archive"
    assert published(data, load_image(data)) == published(jpeg(), load_image(jpeg()))


def test_a_comment_between_the_scans_and_a_thumbnail_are_left_behind() -> None:
    data = jpeg(progressive=True)
    scan = data.rindex(b"\xff\xda")
    comment = b"\xff\xfe\x00\x0aSomebody"
    thumbnail = b"\xff\xe0\x00\x14JFXX\x00\x10thumbnail\xff\xff\xff"[:22]
    data = data[:2] + thumbnail + data[2:scan] + comment + data[scan:]
    clean, _ = published(data, load_image(data))
    assert b"Somebody" not in clean and b"thumbnail" not in clean
    assert np.array_equal(load_image(clean).rgb, load_image(jpeg(progressive=True)).rgb)


def test_cmyk_is_published_as_rgb() -> None:
    stream = io.BytesIO()
    Image.effect_noise((64, 64), 80).convert("CMYK").save(stream, "JPEG")
    clean, _ = published(stream.getvalue(), load_image(stream.getvalue()))
    assert Image.open(io.BytesIO(clean)).mode == "RGB"


def test_a_png_stays_lossless() -> None:
    stream = io.BytesIO()
    Image.effect_noise((64, 64), 80).convert("RGB").save(stream, "PNG")
    clean, media_type = published(stream.getvalue(), load_image(stream.getvalue()))
    assert media_type == "image/png"
    assert np.array_equal(load_image(clean).rgb, load_image(stream.getvalue()).rgb)


def test_real_photos_come_out_pixel_for_pixel(test_data: Path) -> None:
    for path in sorted((test_data / "dev/images").glob("*.jpg"))[:6]:
        data = path.read_bytes()
        clean, _ = published(data, load_image(data))
        assert np.array_equal(load_image(clean).rgb, load_image(data).rgb), path.name
        assert len(clean) <= len(data)
