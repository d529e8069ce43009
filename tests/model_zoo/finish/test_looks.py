"""Measures of photos and objects, on real photos and on pictures whose measures are known."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageFilter

from model_zoo.finish import looks
from model_zoo.io.images import load_image, load_mask
from model_zoo.io.scenes import Scene, scan

FREE = {"cut": 0.0, "pieces": 0.0, "hidden": None}


def test_plain_pictures_measure_what_they_are() -> None:
    grey = np.full((100, 120, 3), 128, np.uint8)
    assert looks.of_photo(grey) == {
        "brightness": pytest.approx(128 / 255, abs=1e-4), "contrast": 0, "colourfulness": 0, "sharpness": 0,
    }  # fmt: skip
    board = np.zeros((100, 120, 3), np.uint8)
    board[::2, ::2] = board[1::2, 1::2] = 255
    found = looks.of_photo(board)
    assert found["contrast"] == pytest.approx(0.5, abs=0.01) and found["sharpness"] > 200_000
    red = grey.copy()
    red[..., 1:] = 0
    # Hasler and Süsstrunk: no spread, 0.3 times the length of the mean of (R - G, (R + G) / 2 - B).
    assert looks.of_photo(red)["colourfulness"] == pytest.approx(0.3 * np.hypot(128, 64), abs=0.01)


def test_size_matters_little() -> None:
    photo = np.asarray(Image.effect_noise((1600, 1200), 80).convert("RGB"))
    assert max(Image.fromarray(photo).size) > looks.SIDE
    half = np.asarray(Image.fromarray(photo).resize((800, 600), Image.Resampling.BOX))
    assert looks.of_photo(photo)["brightness"] == pytest.approx(looks.of_photo(half)["brightness"], abs=0.01)


@pytest.mark.parametrize("name", ["coffee", "davis_camel_00000", "kodak_03", "mug", "truck"])
def test_a_pleasant_photo_loses_its_place_when_it_is_blurred_darkened_greyed_or_flattened(
    test_data: Path, name: str
) -> None:
    photo = Image.fromarray(load_image((test_data / f"dev/images/{name}.jpg").read_bytes()).rgb)
    photo.thumbnail((looks.SIDE, looks.SIDE), Image.Resampling.BOX)

    def fine(picture: Image.Image) -> bool:
        return looks.aesthetic(looks.of_photo(np.asarray(picture)), FREE)

    assert fine(photo)
    assert not fine(photo.filter(ImageFilter.GaussianBlur(1)))
    assert not fine(ImageEnhance.Brightness(photo).enhance(0.4))
    assert not fine(ImageEnhance.Color(photo).enhance(0.1))
    assert not fine(ImageEnhance.Contrast(photo).enhance(0.4))


def test_a_car_that_drives_into_the_picture_is_cut_and_a_dog_behind_a_tree_in_pieces(test_data: Path) -> None:
    def seen(name: str, mask: str) -> dict[str, float | None]:
        return looks.of_object(
            load_mask((test_data / f"dev/images/{name}.mask_{mask}.png").read_bytes()).mask
        )

    photo = {"brightness": 0.5, "contrast": 0.3, "colourfulness": 60.0, "sharpness": 900.0}
    car, dog, camel = seen("davis_drift-straight_00030", "drift"), seen("davis_libby_00030", "libby"), seen("davis_camel_00000", "camel")  # fmt: skip
    assert car["cut"] > 0.1 and dog["pieces"] > 0.3 and camel["cut"] == 0
    assert [looks.aesthetic(photo, thing) for thing in (car, dog, camel)] == [False, False, True]


def test_what_stands_behind_something_nearer_is_hidden(test_data: Path) -> None:
    scene = next(each for each in scan(test_data / "dev/rgbd/ycb_table_1") if isinstance(each, Scene))
    depth = scene.pointmap.points[..., 2]
    found = {name: looks.of_object(mask, depth)["hidden"] for name, mask in scene.masks.items()}
    assert found["cracker_box"] > 0.2 > looks.Bars.hidden > found["mustard_bottle"]


def test_an_object_without_pixels_or_depth_breaks_nothing() -> None:
    assert looks.of_object(np.zeros((8, 8), bool)) == FREE
    whole = np.ones((8, 8), bool)
    assert looks.of_object(whole, np.full((8, 8), np.nan))["hidden"] is None
    assert looks.of_object(whole)["cut"] == 1
