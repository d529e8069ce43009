"""Photographs: upright, RGB, limited, and nothing private left."""

import io
import struct

import numpy as np
import pytest
from PIL import Image, ImageOps

from model_zoo.io.containers import read_container
from model_zoo.io.errors import BadInput, safe_text
from model_zoo.io.images import encode_jpeg, encode_png, load_image
from tests.model_zoo.io.makers import encoded, photo, png_chunk, png_header


def with_exif(orientation: int, form: str) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x013B] = "Somebody"
    return encoded(photo(), form, exif=exif, **({"quality": 95} if form == "JPEG" else {}))


@pytest.mark.parametrize("form", ["JPEG", "PNG"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_exif_orientation_is_applied_as_pillow_applies_it(orientation: int, form: str) -> None:
    data = with_exif(orientation, form)
    upright = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    assert np.array_equal(load_image(data).rgb, np.asarray(upright))


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
def test_the_decoder_never_sees_metadata(form: str) -> None:
    data = with_exif(1, form)
    assert b"Somebody" in data
    assert b"Somebody" not in read_container(data).data


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.9, 0.99])
def test_a_file_cut_short_is_refused(form: str, share: float) -> None:
    data = encoded(photo(), form)
    with pytest.raises(BadInput, match="truncated|corrupt"):
        load_image(data[: int(len(data) * share)])


@pytest.mark.parametrize(
    "size", [(100_000, 100_000), (20_000, 20_000), (0, 5), (1, 8000), (8, 8), (17_000, 1000)]
)
def test_a_size_out_of_range_is_refused_from_the_header(size: tuple[int, int]) -> None:
    with pytest.raises(BadInput, match="pixels|aspect|small|large"):
        load_image(png_header(*size))


def test_no_byte_of_a_png_can_flip_unseen() -> None:
    data = bytearray(encoded(photo()))
    for at in range(8, len(data), 997):
        broken = bytes(data[:at]) + bytes([data[at] ^ 0x40]) + bytes(data[at + 1 :])
        with pytest.raises(BadInput):
            load_image(broken)


def test_random_damage_to_a_jpeg_never_gives_more_than_bad_input() -> None:
    data, dice = encoded(photo(), "JPEG", quality=90), np.random.default_rng(0)
    for _ in range(100):
        broken = bytearray(data)
        for at in dice.integers(2, len(data), 5):
            broken[at] = dice.integers(256)
        try:
            load_image(bytes(broken))
        except BadInput as error:
            assert "\n" not in str(error)


def test_sixteen_bit_grey_is_scaled_not_clipped() -> None:
    wide = (np.linspace(0, 65_535, 64 * 96).reshape(64, 96)).astype(np.uint16)
    loaded = load_image(encoded(wide))
    assert loaded.rgb.min() == 0 and loaded.rgb.max() == 255 and abs(loaded.rgb.mean() - 127) < 2
    assert "16 bits per channel were reduced to 8" in loaded.warnings


def test_alpha_is_kept_apart_only_when_something_is_transparent() -> None:
    rgba = np.dstack([photo(), np.full((64, 96), 255, np.uint8)])
    assert load_image(encoded(rgba)).alpha is None
    rgba[:10, :, 3] = 0
    alpha = load_image(encoded(rgba)).alpha
    assert alpha is not None and (alpha == 0).sum() == 960


def test_a_profile_that_unpacks_to_gigabytes_is_not_unpacked() -> None:
    data = encoded(photo())
    bomb = png_chunk(b"iCCP", b"x\0\0" + __import__("zlib").compress(bytes(20_000_000)))
    loaded = load_image(data[:33] + bomb + data[33:])
    assert loaded.warnings == ["the colour profile is unusable and was ignored"]


def test_a_webp_canvas_is_judged_before_it_is_decoded() -> None:
    data = bytearray(
        encoded(np.dstack([photo(), photo()[..., :1]]), "WEBP", lossless=True, exif=b"Exif\0\0II*\0")
    )
    assert data[12:16] == b"VP8X"
    data[24:30] = struct.pack("<I", 16_382)[:3] * 2
    with pytest.raises(BadInput, match="too large"):
        load_image(bytes(data))


def test_encoders_are_deterministic_and_lossless_where_they_say_so() -> None:
    picture = photo()
    assert encode_jpeg(picture) == encode_jpeg(picture.copy())
    assert np.array_equal(load_image(encode_png(picture)).rgb, picture)
    assert abs(load_image(encode_jpeg(picture)).rgb.astype(int) - picture).mean() < 4
    assert b"Exif" not in encode_jpeg(picture) and b"tEXt" not in encode_png(picture)


def test_messages_are_one_printable_line() -> None:
    message = str(BadInput("a\nb\x00\u202e" + "x" * 1000))
    assert message.isprintable() and len(message) <= 500
    assert safe_text("\x1b[31m") == "\\x1b[31m"
