"""A mask as the few-cornered polygons that the mask API takes and `rasterise_polygons` turns back into it."""

from __future__ import annotations

import numpy as np
from scipy import ndimage
from scipy.spatial import KDTree
from skimage.measure import approximate_polygon, find_contours

from model_zoo.io.segmentations import rasterise_polygons

FAITHFUL = 0.985  # least IoU of the mask and what its polygons give back
TOLERANCES = (
    2.0,
    1.0,
    0.6,
    0.3,
    0.0,
)  # pixels a corner may be cut by, in a photo of up to 1000 pixels a side
LEAST_SHARE = 0.001  # of the mask: smaller parts and holes are dropped


def polygons_of(mask: np.ndarray, limit: int = 200) -> list[list[float]]:
    """[[x0, y0, x1, y1, ...], ...] in pixels, (0,0) at the top left corner, for a mask (H,W) bool; largest first.

    A hole is part of its polygon, joined to the outline by a seam that is walked both ways.
    """
    parts = _largest(mask, limit)
    size = (mask.shape[1], mask.shape[0])
    polygons: list[list[float]] = []
    for tolerance in np.array(TOLERANCES) * max(1.0, max(size) / 1000) if parts else ():
        polygons = [_polygon(part, corner, tolerance) for part, corner in parts]
        polygons = [polygon for polygon in polygons if len(polygon) >= 6]
        if polygons and _iou(rasterise_polygons(polygons, size), mask) >= FAITHFUL:
            break
    return polygons


def _largest(mask: np.ndarray, limit: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Connected parts that are not specks, largest first: a mask of each alone and its corner x, y in the photo."""
    labels, _ = ndimage.label(mask)
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    boxes = ndimage.find_objects(labels)
    order = [number for number in np.argsort(-sizes, kind="stable")[:limit] if sizes[number]]
    order = [number for number in order if sizes[number] >= LEAST_SHARE * mask.sum()]
    return [
        (labels[boxes[n - 1]] == n, np.array([boxes[n - 1][1].start, boxes[n - 1][0].start])) for n in order
    ]


def _polygon(part: np.ndarray, corner: np.ndarray, tolerance: float) -> list[float]:
    """One connected part (h,w), its holes joined in, as coordinates of the photo."""
    filled = ndimage.binary_fill_holes(part)
    assert filled is not None
    outline = _contour(filled, tolerance)
    holes, _ = ndimage.label(filled & ~part)
    for number, size in enumerate(np.bincount(holes.ravel())[1:], 1):
        if size >= LEAST_SHARE * part.sum():
            outline = _joined(outline, _contour(holes == number, tolerance))
    return [float(value) for value in (outline + corner).round(2).ravel()]


def _contour(region: np.ndarray, tolerance: float) -> np.ndarray:
    """Corners (n,2) x, y of the outline of a region (h,w) without holes, not closed."""
    found = max(find_contours(np.pad(region, 1).astype(np.float32), 0.5), key=len)
    # A row and a column of padding, and pixel centres lie at halves.
    points = approximate_polygon(found, tolerance)[:-1, ::-1] - 0.5
    return points if len(points) >= 3 else found[:-1, ::-1] - 0.5


def _joined(outline: np.ndarray, hole: np.ndarray) -> np.ndarray:
    """The outline with a way to the nearest corner of a hole, around it and back."""
    distances, nearest = KDTree(outline).query(hole)
    start = int(distances.argmin())
    leave = int(nearest[start])
    around = np.roll(hole, -start, axis=0)
    return np.concatenate([outline[: leave + 1], around, around[:1], outline[leave:]])


def _iou(first: np.ndarray, second: np.ndarray) -> float:
    return float((first & second).sum() / max((first | second).sum(), 1))
