"""How a photo looks and how much of an object it shows: measures for the high-aesthetics subset (paper A.1, «AES»).

The paper names minimal occlusion, high brightness, contrast, colourfulness, sharpness and an aesthetic score, without
numbers. The score needs a trained predictor and is left out. The bars were set by looking at real photos: see `Bars`.
"""

from dataclasses import dataclass

import numpy as np
from PIL import Image
from scipy import ndimage

SIDE = 512  # longest side that photos are measured at: sharpness depends on it
NEARER = 0.05  # a neighbour that much nearer than the object hides it
REACH = 3  # pixels between the two sides of a contour, at SIDE


@dataclass(frozen=True)
class Bars:
    """What an object of high aesthetics reaches, set on 22 dev photos and 11 colour frames of depth cameras.

    brightness: dim rooms and undergrowth lie at 0.23 to 0.29, pleasant photos at 0.34 to 0.71; contrast: shaded
    undergrowth 0.11 and 0.12, evenly lit scenes from 0.147; colourfulness: a grey street 21 and 23, the others from 24.5;
    sharpness: every photo blurred by a Gaussian of one pixel lies below 175, as they are above 290. cut, pieces, hidden:
    a car that drives into the picture 0.14 cut; a dog behind a trunk and a fence 0.34 and 0.49 in pieces; boxes behind
    others 0.18 to 0.41 hidden, free-standing ones up to 0.03.
    """

    brightness: tuple[float, float] = (0.32, 0.80)
    contrast: float = 0.14
    colourfulness: float = 24.0
    sharpness: float = 250.0
    cut: float = 0.01
    pieces: float = 0.05
    hidden: float = 0.10


def of_photo(rgb: np.ndarray) -> dict[str, float]:
    """Measures of a photo, uint8 (H,W,3), at most SIDE pixels long.

    brightness and contrast: mean and standard deviation of the luma, 0..1; colourfulness: M of Hasler and Süsstrunk
    2003 (0 grey, 45 averagely, 109 extremely colourful); sharpness: variance of the Laplacian of the luma in 0..255
    (Pech-Pacheco 2000).
    """
    picture = Image.fromarray(rgb)
    picture.thumbnail((SIDE, SIDE), Image.Resampling.BOX)
    grey = np.asarray(picture.convert("L"), np.float32)
    red, green, blue = np.asarray(picture, np.float32).transpose(2, 0, 1)
    opponents = np.stack([red - green, (red + green) / 2 - blue])
    spread, middle = np.sqrt(opponents.var((1, 2)).sum()), np.sqrt((opponents.mean((1, 2)) ** 2).sum())
    found = {
        "brightness": grey.mean() / 255,
        "contrast": grey.std() / 255,
        "colourfulness": spread + 0.3 * middle,
        "sharpness": ndimage.laplace(grey, mode="nearest").var(),
    }
    return {name: round(float(value), 4) for name, value in found.items()}


def of_object(mask: np.ndarray, depth: np.ndarray | None = None) -> dict[str, float | None]:
    """How much of an object, bool (H,W), its photo may not show; depth (H,W) in any unit, NaN unknown.

    cut: share of the contour that lies on the border of the photo; pieces: share of the area outside the largest
    connected part; hidden: share of the contour whose other side is nearer by NEARER, among those with depth on both
    sides (the occlusion test of paper B.2.2); None without depth.
    """
    step = max(1, round(max(mask.shape) / SIDE))
    mask = mask[::step, ::step]
    if not mask.any():
        return {"cut": 0.0, "pieces": 0.0, "hidden": None}
    contour = mask & ~ndimage.binary_erosion(mask, border_value=0)
    border = np.zeros_like(mask)
    border[[0, -1], :] = border[:, [0, -1]] = True
    labels, _count = ndimage.label(mask, np.ones((3, 3)))
    largest = np.bincount(labels[mask]).max()
    return {
        "cut": round(float((contour & border).sum() / contour.sum()), 4),
        "pieces": round(float(1 - largest / mask.sum()), 4),
        "hidden": None if depth is None else _hidden(mask, depth[::step, ::step]),
    }


def _hidden(mask: np.ndarray, depth: np.ndarray) -> float | None:
    """Depths REACH / 2 inside and outside the contour, each the nearest known pixel of its side."""
    inside = mask & ndimage.binary_erosion(mask, iterations=REACH // 2 + 1)
    outside = ~ndimage.binary_dilation(mask, iterations=REACH // 2 + 1)
    known = np.isfinite(depth)
    if not (inside & known).any() or not (outside & known).any():
        return None
    contour = np.argwhere(mask & ~ndimage.binary_erosion(mask, border_value=1))
    sides = []
    for side in (inside & known, outside & known):
        distance, (rows, columns) = ndimage.distance_transform_edt(~side, return_indices=True)
        at = tuple(contour.T)
        near = distance[at] <= 2 * REACH
        sides.append(np.where(near, depth[rows[at], columns[at]], np.nan))
    both = np.isfinite(sides[0]) & np.isfinite(sides[1])
    if not both.any():
        return None
    return round(float((sides[1][both] < (1 - NEARER) * sides[0][both]).mean()), 4)


def aesthetic(photo: dict[str, float], thing: dict[str, float | None], bars: Bars = Bars()) -> bool:
    """Whether an object of these measures belongs to the high-aesthetics subset; hidden counts where it is known."""
    low, high = bars.brightness
    return (
        low <= photo["brightness"] <= high
        and all(photo[name] >= getattr(bars, name) for name in ("contrast", "colourfulness", "sharpness"))
        and all((thing[name] or 0.0) <= getattr(bars, name) for name in ("cut", "pieces", "hidden"))
    )
