"""Thumbnails: neutral, of a fixed size, showing the mesh."""

import numpy as np

from model_zoo.finish.thumbnail import thumbnail, turntable
from model_zoo.library import make


def test_the_picture_is_grey_and_shows_the_mesh():
    picture = thumbnail(make("apple", 1)).astype(int)
    assert picture.shape == (256, 256, 3)
    middle = picture[100:160, 100:160]
    assert (middle.max(-1) - middle.min(-1)).max() == 0 and middle.mean() < 230


def test_the_strip_holds_eight_different_views():
    strip = turntable(make("guitar", 1))
    assert strip.shape == (224, 1792, 3)
    tiles = [strip[:, 224 * i : 224 * (i + 1)].tobytes() for i in range(8)]
    assert len(set(tiles)) == 8


def test_colours_are_in_the_strip_only_where_they_are_judged():
    apple = make("apple", 1)
    colourful = [int(np.ptp(turntable(apple, textured=textured).astype(int), axis=-1).max()) for textured in (False, True)]
    # Only the background is not quite grey.
    assert colourful[0] <= 2 < 40 < colourful[1]
