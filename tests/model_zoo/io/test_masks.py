"""Masks: pictures, polygons and run lengths mean the same pixels, and what is no object is refused."""

import io
import json

import numpy as np
import pytest
from PIL import Image

from model_zoo.io.errors import BadInput
from model_zoo.io.images import decode_rle, encode_png, load_mask, rasterise_polygons
from tests.model_zoo.io.makers import disc, encoded, photo

SIZE = (96, 64)


def counts_of(mask: np.ndarray) -> list[int]:
    flat = mask.T.ravel()
    edges = np.flatnonzero(np.diff(flat)) + 1
    counts = np.diff([0, *edges, flat.size]).tolist()
    return [0, *counts] if flat[0] else counts


def compressed(counts: list[int]) -> str:
    """COCO's compressed string (maskApi.c, rleToString)."""
    text = ""
    for index, count in enumerate(counts):
        value = count - counts[index - 2] if index > 2 else count
        more = True
        while more:
            bits = value & 31
            value >>= 5
            more = value != (-1 if bits & 16 else 0)
            text += chr((bits | (32 if more else 0)) + 48)
    return text


@pytest.mark.parametrize("array", [disc(), disc().astype(np.uint8), disc().astype(np.uint8) * 255])
def test_a_mask_of_any_two_values_is_read_alike(array: np.ndarray) -> None:
    data = encode_png(array) if array.dtype == bool else encoded(array)
    loaded = load_mask(data, SIZE)
    assert np.array_equal(loaded.mask, disc()) and loaded.warnings == []


def test_run_lengths_are_read_plain_and_compressed() -> None:
    counts = counts_of(disc())
    for form in (counts, compressed(counts)):
        assert np.array_equal(decode_rle({"size": [64, 96], "counts": form}, SIZE), disc())


def test_a_file_of_run_lengths_is_a_mask() -> None:
    data = json.dumps({"segmentation": {"size": [64, 96], "counts": counts_of(disc())}}).encode()
    assert np.array_equal(load_mask(data, SIZE).mask, disc())


def test_a_palette_mask_means_its_colours_not_its_numbers() -> None:
    image = Image.fromarray((~disc()).astype(np.uint8)).convert("P")
    image.putpalette([255, 255, 255, 0, 0, 0])
    stream = io.BytesIO()
    image.save(stream, "PNG")
    assert np.array_equal(load_mask(stream.getvalue(), SIZE).mask, disc())


@pytest.mark.parametrize(
    "counts", [[10, 20], [-5, 6149], [0.5, 6143.5], "~~~", "0" * 9, [10**30], None, "P" * 20]
)
def test_run_lengths_that_do_not_fit_are_refused(counts: object) -> None:
    with pytest.raises(BadInput, match="RLE"):
        decode_rle({"size": [64, 96], "counts": counts}, SIZE)


def test_a_polygon_covers_the_pixels_whose_centre_is_in_it() -> None:
    mask = rasterise_polygons([[10, 10, 20, 10, 20, 30, 10, 30]], SIZE)
    assert mask.sum() == 200 and mask[10:30, 10:20].all()


def test_a_polygon_reaching_out_of_the_image_is_clipped() -> None:
    mask = rasterise_polygons([[-10, -10, 20, -10, 20, 30, -10, 30]], SIZE)
    assert mask.sum() == 600 and mask[:30, :20].all()


def test_a_round_polygon_is_the_disc_it_was_traced_from() -> None:
    angle = np.linspace(0, 2 * np.pi, 200, endpoint=False)
    polygon = np.stack([40.5 + 16 * np.cos(angle), 30.5 + 16 * np.sin(angle)], axis=1)
    both = rasterise_polygons([polygon.ravel().tolist()], SIZE) ^ disc()
    assert both.sum() < 10


def test_bad_polygons_are_left_out_with_their_reason_or_refused() -> None:
    good, bad = [10, 10, 20, 10, 20, 30, 10, 30], [1, 1, 2, 2]
    loaded = load_mask(json.dumps([good, bad]).encode(), SIZE)
    assert loaded.warnings == ["polygon 2 has fewer than three points: left out"]
    with pytest.raises(BadInput, match="polygon 1 has fewer"):
        rasterise_polygons([bad], SIZE)


def test_a_mask_of_another_size_is_refused_with_both_sizes() -> None:
    with pytest.raises(BadInput, match="64x96 but the image is 96x64; the sides are swapped"):
        load_mask(encoded(disc().T.copy()), SIZE)


@pytest.mark.parametrize(
    ("mask", "match"),
    [
        (np.zeros((64, 96), bool), "empty"),
        (np.arange(6144).reshape(64, 96) == 7, "too small"),
        (np.random.default_rng(0).random((64, 96)) < 0.4, "no coherent object"),
    ],
)
def test_what_cannot_be_one_object_is_refused(mask: np.ndarray, match: str) -> None:
    with pytest.raises(BadInput, match=match):
        load_mask(encode_png(mask), SIZE)


def test_a_full_mask_and_an_inverted_one_are_warned_of() -> None:
    assert "no background" in load_mask(encode_png(np.ones((64, 96), bool)), SIZE).warnings[0]
    assert "inverted" in load_mask(encode_png(~disc()), SIZE).warnings[0]


def test_colours_in_a_mask_count_as_object_with_a_warning() -> None:
    red = np.zeros((64, 96, 3), np.uint8)
    red[disc(), 0] = 200
    loaded = load_mask(encoded(red), SIZE)
    assert np.array_equal(loaded.mask, disc()) and "colour mask" in loaded.warnings[0]
    assert photo().shape == red.shape
