"""Contact sheets: many small pictures on one page, to be looked at."""

import math
from collections.abc import Sequence

import numpy as np
from PIL import Image

PAPER = (32, 32, 32)


def contact_sheet(
    pictures: Sequence[np.ndarray], *, columns: int = 10, side: int = 192, gap: int = 2
) -> np.ndarray:
    """uint8 (H,W,3): the pictures uint8 (h,w,3) in rows of `columns`, each fitted into a square of `side` pixels."""
    rows = max(math.ceil(len(pictures) / columns), 1)
    step = side + gap
    sheet = Image.new("RGB", (columns * step + gap, rows * step + gap), PAPER)
    for number, picture in enumerate(pictures):
        image = Image.fromarray(picture)
        image.thumbnail((side, side), Image.Resampling.LANCZOS)
        x, y = number % columns * step + gap, number // columns * step + gap
        sheet.paste(image, (x + (side - image.width) // 2, y + (side - image.height) // 2))
    return np.asarray(sheet)


def outlined(
    picture: np.ndarray, mask: np.ndarray, colour: tuple[int, int, int] = (255, 60, 60)
) -> np.ndarray:
    """The picture uint8 (H,W,3) with the mask bool (H,W) shown by its two pixels wide outline."""
    inside = mask.copy()
    for _ in range(2):
        core = (
            inside[1:-1, 1:-1] & inside[:-2, 1:-1] & inside[2:, 1:-1] & inside[1:-1, :-2] & inside[1:-1, 2:]
        )
        inside = np.pad(core, 1)
    result = picture.copy()
    result[mask & ~inside] = colour
    return result
