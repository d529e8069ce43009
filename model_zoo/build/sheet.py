"""Contact sheets: many small pictures on one page, to be looked at."""

from collections.abc import Sequence

import numpy as np
from PIL import Image

PAPER = (32, 32, 32)


def contact_sheet(
    pictures: Sequence[np.ndarray], *, columns: int = 10, side: int = 192, gap: int = 2
) -> np.ndarray:
    """uint8 (H,W,3): the pictures uint8 (h,w,3) in rows of `columns`, each fitted into a square of `side` pixels; a row
    is as high as its highest picture."""
    shown = [Image.fromarray(picture) for picture in pictures]
    for image in shown:
        image.thumbnail((side, side), Image.Resampling.LANCZOS)
    rows = [shown[at : at + columns] for at in range(0, len(shown), columns)]
    heights = [max(image.height for image in row) for row in rows]
    sheet = Image.new("RGB", (columns * (side + gap) + gap, sum(heights) + gap * (len(rows) + 1)), PAPER)
    top = gap
    for row, height in zip(rows, heights, strict=True):
        for number, image in enumerate(row):
            left = number * (side + gap) + gap
            sheet.paste(image, (left + (side - image.width) // 2, top + (height - image.height) // 2))
        top += height + gap
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
