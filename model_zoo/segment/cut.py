"""From beliefs about superpixels to a mask: minimum cut, the parts that were meant, a smooth edge at full size."""

from __future__ import annotations

import numpy as np
from PIL import Image
from scipy import ndimage, sparse
from scipy.sparse import csgraph

from model_zoo.segment.features import Hints, beyond
from model_zoo.segment.regions import Regions

UNIT = 1000  # the flow is in whole numbers
SURE = 10_000_000


def cut(regions: Regions, hints: Hints, p: np.ndarray) -> np.ndarray:
    """The object's superpixels (bool N): beliefs p (N) against the length and faintness of the outline."""
    odds = np.log((p + 0.01) / (1 - p + 0.01)) * regions.area / 10 * UNIT
    odds[beyond(regions, hints)] = odds[hints.negative] = -SURE
    odds[hints.positive] = SURE
    number, inside = len(p), odds > 0
    source, sink, nodes = number, number + 1, np.arange(number)
    seams = np.round(regions.seam * regions.length * UNIT) + 1
    first, second = regions.pairs.T
    start = np.concatenate([first, second, np.full(inside.sum(), source), nodes[~inside]])
    end = np.concatenate([second, first, nodes[inside], np.full((~inside).sum(), sink)])
    room = np.concatenate([seams, seams, odds[inside], -odds[~inside]])
    shape = (number + 2, number + 2)
    graph = sparse.csr_matrix((np.round(room).astype(np.int32), (start, end)), shape=shape)
    left = graph - csgraph.maximum_flow(graph, source, sink).flow
    left.eliminate_zeros()
    reached = csgraph.breadth_first_order(left, source, return_predecessors=False)
    found = np.zeros(number + 2, bool)
    found[reached] = True
    return found[:number]


def meant(regions: Regions, hints: Hints, found: np.ndarray) -> np.ndarray:
    """Mask (h,w) of found superpixels (bool N): the clicked parts, else those not small; holes filled unless clicked."""
    mask = found[regions.labels]
    parts, number = ndimage.label(mask)
    if not number:
        return mask
    sizes = np.bincount(parts.ravel())
    sizes[0] = 0
    clicked = np.unique(parts[np.isin(regions.labels, hints.positive)])
    chosen = clicked if len(hints.positive) else np.nonzero(sizes >= 0.15 * sizes.max())[0]
    mask = np.isin(parts, chosen[chosen > 0])
    holes, number = ndimage.label(ndimage.binary_fill_holes(mask) & ~mask)
    kept = np.unique(holes[np.isin(regions.labels, hints.negative)])
    small = np.bincount(holes.ravel()) < 0.02 * mask.sum()
    small[kept] = False
    small[0] = False
    return mask | small[holes]


def enlarge(mask: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A working mask (h,w) at another size (width, height), its edge smoothed."""
    soft = ndimage.gaussian_filter(mask.astype(np.float32), 0.8)
    return np.asarray(Image.fromarray(soft).resize(size, Image.Resampling.BICUBIC)) > 0.5
