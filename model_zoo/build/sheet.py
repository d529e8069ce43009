"""Contact sheets: many samples in one picture, to be looked at."""

from collections.abc import Sequence

import numpy as np
from PIL import Image
from scipy import ndimage

TILE = 160
OUTLINE = np.array([255, 64, 160], np.uint8)


def outlined(rgb: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """rgb uint8 (H,W,3) with the outline of a mask (H,W) drawn just outside of it."""
    width = max(1, round(max(mask.shape) / 160))
    ring = ndimage.binary_dilation(mask, iterations=width) & ~mask
    return np.where(ring[..., None], OUTLINE, rgb)


def contact_sheet(pictures: Sequence[np.ndarray], columns: int) -> np.ndarray:
    """Pictures uint8 (H,W,3) of any sizes, each fitted into a tile, row by row."""
    rows = -(-len(pictures) // columns)
    sheet = Image.new("RGB", (columns * TILE, rows * TILE), (24, 24, 24))
    for number, picture in enumerate(pictures):
        small = Image.fromarray(picture)
        small.thumbnail((TILE - 2, TILE - 2))
        x, y = number % columns * TILE, number // columns * TILE
        sheet.paste(small, (x + (TILE - small.width) // 2, y + (TILE - small.height) // 2))
    return np.asarray(sheet)
