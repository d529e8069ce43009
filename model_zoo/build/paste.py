"""Pastes a rendered picture into a photo: linear light, soft edges, the photo's own tones, sharpness and grain."""

from collections.abc import Sequence

import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree

from model_zoo.build.light import Look
from model_zoo.raster import Picture
from model_zoo.raster_parts import TO_LINEAR, to_srgb

SHARPEST = 0.35  # pixels: the standard deviation that a rendered edge has of itself
STRONGEST = 0.7  # the share of the light that a contact shadow takes where things touch
FOOT = 0.25  # of an object's height: what is low enough to cast a contact shadow
REACH = 0.25  # of an object's size: how far a contact shadow goes
GRID = 160  # samples along the longer side of the window in which a contact shadow is worked out


def paste(
    photo: np.ndarray,
    picture: Picture,
    look: Look,
    chance: np.random.Generator,
    *,
    at: tuple[int, int] = (0, 0),
    hidden: np.ndarray | None = None,
    shadow: np.ndarray | None = None,
) -> np.ndarray:
    """The photo uint8 (H,W,3) with the picture in it, whose pixel (0, 0) lies at `at` (x, y) of the photo.

    The picture (h,w) may hang over the photo's edges. hidden bool (h,w): what the photo's own things hide of it.
    shadow float (H,W): the share of the light that the pasted object leaves to the photo (contact_shadow). Pixels that
    neither touches stay as they are.
    """
    result = photo.copy()
    if shadow is not None:
        where = shadow < 1
        result[where] = to_srgb(TO_LINEAR[photo[where]] * shadow[where, None])
    cut = _window(picture.alpha, at, photo.shape[:2])
    if cut is None:
        return result
    left, top, right, bottom = cut
    here = np.s_[top - at[1] : bottom - at[1], left - at[0] : right - at[0]]
    layer = np.empty((bottom - top, right - left, 4), np.float32)
    layer[..., 3] = picture.alpha[here] / np.float32(255)
    layer[..., :3] = TO_LINEAR[look.toned(picture.rgb[here])] * layer[..., 3:]
    spread = np.sqrt(max(look.blur**2 - SHARPEST**2, 0))
    if spread > 0.2:
        layer = ndimage.gaussian_filter(layer, (spread, spread, 0), mode="nearest")
    if hidden is not None:
        seen = 1 - hidden[here].astype(np.float32)
        layer *= ndimage.gaussian_filter(seen, max(look.blur, SHARPEST), mode="nearest")[..., None]
    there = np.s_[top:bottom, left:right]
    y, x = np.nonzero(layer[..., 3] > 1e-3)
    colour, alpha = layer[y, x, :3], layer[y, x, 3:]
    mixed = to_srgb(colour + (1 - alpha) * TO_LINEAR[result[there][y, x]])
    if look.grain > 0.3:
        noise = chance.normal(0, look.grain, len(y))[:, None] + chance.normal(0, look.grain / 3, (len(y), 3))
        mixed = np.clip(np.rint(mixed + alpha * noise), 0, 255)
    result[there][y, x] = mixed
    return result


def _window(
    alpha: np.ndarray, at: tuple[int, int], shape: tuple[int, ...]
) -> tuple[int, int, int, int] | None:
    """Left, top, right, bottom in the photo of what is not empty, inside both photo and picture."""
    rows, columns = np.flatnonzero(alpha.any(1)), np.flatnonzero(alpha.any(0))
    if not len(rows):
        return None
    margin = 8  # for the blur
    left = max(columns[0] - margin, 0, -at[0]) + at[0]
    top = max(rows[0] - margin, 0, -at[1]) + at[1]
    right = min(columns[-1] + 1 + margin, alpha.shape[1], shape[1] - at[0]) + at[0]
    bottom = min(rows[-1] + 1 + margin, alpha.shape[0], shape[0] - at[1]) + at[1]
    return (left, top, right, bottom) if left < right and top < bottom else None


def contact_shadow(
    scene: np.ndarray,
    thing: np.ndarray,
    *,
    down: Sequence[float] = (0.0, 1.0, 0.0),
    strongest: float = STRONGEST,
) -> np.ndarray:
    """The share of light float32 (H,W), 1 away from it, that an object standing in a scene leaves to its surroundings.

    scene: points (H,W,3) without the object, NaN where unknown; thing: points (N,3) of the object's surface; down: the
    way things fall, in the same camera. Scene points lose light by how near they are to the object's foot (its lowest
    quarter), up to REACH of its size; what lies above the foot, or far behind it, loses none.
    """
    shade = np.ones(scene.shape[:2], np.float32)
    thing = thing[np.isfinite(thing).all(1)]
    if len(thing) < 8:
        return shade
    way = np.asarray(down, float) / np.linalg.norm(down)
    fall = thing @ way
    low, high = np.percentile(fall, (1, 99))
    size = float(np.linalg.norm(np.percentile(thing, 98, axis=0) - np.percentile(thing, 2, axis=0)))
    foot = thing[fall > high - FOOT * (high - low)]
    reach = REACH * size
    if not reach > 0:
        return shade
    centre = foot.mean(0)
    radius = float(np.linalg.norm(foot - centre, axis=1).max()) + reach
    with np.errstate(invalid="ignore"):
        near = np.einsum("hwi,hwi->hw", scene - centre, scene - centre) < radius**2
        near &= scene @ way > high - FOOT * (high - low)
    rows, columns = np.flatnonzero(near.any(1)), np.flatnonzero(near.any(0))
    if not len(rows):
        return shade
    part = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    stride = max(-(-max(near[part].shape) // GRID), 1)
    coarse, wanted = scene[part][::stride, ::stride], near[part][::stride, ::stride]
    foot = foot[:: max(len(foot) // 4000, 1)]
    apart, _ = cKDTree(foot).query(coarse[wanted], distance_upper_bound=reach)
    loss = np.zeros(wanted.shape, np.float32)
    loss[wanted] = strongest * np.maximum(1 - apart / reach, 0) ** 2
    loss = ndimage.gaussian_filter(loss, 1.0)
    height, width = near[part].shape
    grid = np.meshgrid(np.arange(height) / stride, np.arange(width) / stride, indexing="ij")
    shade[part] -= ndimage.map_coordinates(loss, grid, order=1, mode="nearest").astype(np.float32)
    return shade
