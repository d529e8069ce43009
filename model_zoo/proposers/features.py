"""What a view of an object looks like, as short vectors: outline, shading edges and colour. No learned weights."""

from __future__ import annotations

import numpy as np
from PIL import Image
from skimage.color import rgb2lab

SIDE = 64
OUTLINE = 32  # the outline is compared on OUTLINE x OUTLINE cells
COLOURS = 5  # colour is compared on COLOURS x COLOURS cells
CELL, BINS = 8, 9  # edges: histograms of BINS directions in cells of CELL pixels


def describe(rgb: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Describes rgb uint8 (H,W,3) inside mask bool (H,W), cropped to a square around the mask.

    Returns the outline (1024,) in 0..1, edges (576,) of unit length, colour (100,): Lab / 100 and its weight per cell.
    """
    colour, cover = _square(rgb, mask)
    outline = _pooled(cover[..., None], OUTLINE)[..., 0]
    grey = colour.mean(2) * cover + 127 * (1 - cover)
    weight = _pooled(cover[..., None], COLOURS)
    cells = rgb2lab(_pooled(colour * cover[..., None], COLOURS) / np.maximum(weight, 1e-3) / 255) / 100
    return (
        outline.ravel().astype(np.float32),
        _edges(grey).astype(np.float32),
        np.concatenate([cells, weight], -1).ravel().astype(np.float32),
    )


def _edges(grey: np.ndarray) -> np.ndarray:
    """Histograms of unsigned gradient directions per cell (Dalal and Triggs 2005), each normed, all of unit length."""
    dy, dx = np.gradient(grey)
    strength = np.hypot(dx, dy)
    direction = (np.arctan2(dy, dx) / np.pi % 1 * BINS).astype(int) % BINS
    row, column = np.indices(grey.shape) // CELL
    cell = row * (SIDE // CELL) + column
    counts = np.bincount(
        (cell * BINS + direction).ravel(), strength.ravel(), minlength=(SIDE // CELL) ** 2 * BINS
    )
    counts = counts.reshape(-1, BINS)
    counts = (counts / np.sqrt((counts**2).sum(1, keepdims=True) + 1e2)).ravel()
    counts -= counts.mean()
    return counts / max(np.linalg.norm(counts), 1e-6)


def _square(rgb: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Colour (64,64,3) and cover (64,64) in 0..1 of the square around the mask, its proportions kept."""
    rows, columns = np.nonzero(mask)
    side = max(np.ptp(rows), np.ptp(columns)) + 1
    left = (columns.min() + columns.max() + 1 - side) / 2
    top = (rows.min() + rows.max() + 1 - side) / 2
    box = (left, top, left + side, top + side)
    # Shrink in two steps: a crop at full size, then area averaging.
    crop = tuple(int(round(v)) for v in box)
    colour = Image.fromarray(rgb * mask[..., None]).crop(crop).resize((SIDE, SIDE), Image.Resampling.BOX)
    cover = Image.fromarray(mask.astype(np.uint8) * 255).crop(crop).resize((SIDE, SIDE), Image.Resampling.BOX)
    share = np.asarray(cover, float) / 255
    return np.asarray(colour, float) / np.maximum(share, 1e-2)[..., None] * (share > 0.02)[..., None], share


def _pooled(values: np.ndarray, cells: int) -> np.ndarray:
    """Means (cells,cells,C) of values (64,64,C)."""
    edges = np.linspace(0, SIDE, cells + 1).astype(int)[:-1]
    sums = np.add.reduceat(np.add.reduceat(values, edges, 0), edges, 1)
    counts = np.diff(np.append(edges, SIDE))
    return sums / (counts[:, None, None] * counts[None, :, None])


def similarity_to(
    query: tuple[np.ndarray, np.ndarray, np.ndarray],
    outlines: np.ndarray,
    edges: np.ndarray,
    colours: np.ndarray,
) -> np.ndarray:
    """Likeness (N,) in about 0..1.4 of N described views to the query: outline IoU + 0.45 edges + 0.25 colour."""
    outline, edge, colour = query
    both = outlines @ outline
    iou = both / np.maximum(outlines.sum(1) + outline.sum() - both, 1e-6)
    cells, other = colour.reshape(-1, 4), colours.reshape(len(colours), -1, 4)
    weight = np.minimum(cells[:, 3], other[:, :, 3])
    # Lightness depends on the light of the photo; a and b say more.
    gap = np.linalg.norm((other[:, :, :3] - cells[:, :3]) * [0.4, 1.0, 1.0], axis=2)
    distance = (gap * weight).sum(1) / np.maximum(weight.sum(1), 1e-6)
    return iou + 0.45 * (edges @ edge) + 0.25 * np.exp(-6 * distance)
