"""Superpixels of a picture and what the built-in segmenter asks of them: likeness, geodesics, diffusion."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image
from scipy import ndimage, sparse
from scipy.sparse import csgraph
from scipy.sparse.linalg import SuperLU, splu
from skimage.color import rgb2lab
from skimage.segmentation import slic

LONGEST = 384  # pixels of the working copy's longer side
NARROW, WIDE = 4.0, 9.0  # widths of the two colour kernels, in units of CIE Lab
DIFFUSIONS = (0.003, 0.03)  # how soon a walk through the picture ends: far, near
FURTHEST = np.array([[40.0], [10.0]])  # geodesic distances are cut off here
CHANNELS = np.array([0.8, 1.3, 1.3])  # lightness tells objects apart less than hue: shadows


@dataclass(frozen=True)
class Regions:
    """N superpixels of a working copy: their graph and, N by N, how alike they look.

    labels (h,w) int; centre (N,2) x, y and area (N) in working pixels; looks (N,5) colour and texture; pairs (E,2)
    of neighbours with the strength of the seam between them (0 strong edge .. 1 none) and its length; scale is
    working pixels per given pixel.
    """

    scale: float
    labels: np.ndarray
    area: np.ndarray
    centre: np.ndarray
    looks: np.ndarray
    apart: np.ndarray
    alike: tuple[np.ndarray, np.ndarray]
    pairs: np.ndarray
    seam: np.ndarray
    length: np.ndarray
    ways: tuple[sparse.csr_matrix, sparse.csr_matrix]
    mixing: sparse.csr_matrix
    walks: tuple[SuperLU, ...]

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of the working copy."""
        return self.labels.shape[1], self.labels.shape[0]

    def at(self, points: np.ndarray) -> np.ndarray:
        """Superpixels (distinct) at points (n,2) of the given picture."""
        limit = np.array(self.size) - 1
        x, y = np.clip((np.reshape(points, (-1, 2)) * self.scale).astype(int), 0, limit).T
        return np.unique(self.labels[y, x])

    def mean(self, picture: np.ndarray) -> np.ndarray:
        """Mean (N) of a picture (h,w) over each superpixel."""
        return np.bincount(self.labels.ravel(), picture.ravel(), len(self.area)) / self.area

    def density(self, kernel: int, weight: np.ndarray) -> np.ndarray:
        """Log of how common each superpixel's looks (N) are among superpixels of this weight (N), itself left out."""
        common = self.alike[kernel] @ weight.astype(np.float32) - 0.95 * weight
        return np.log(np.maximum(common, 0) / max(weight.sum(), 1e-6) + 1e-4)

    def geodesics(self, seeds: np.ndarray) -> np.ndarray:
        """Distances (2,N) to the nearest seed (bool N) over edges: their sum on the way, and about their highest."""
        if not seeds.any():
            return np.broadcast_to(FURTHEST, (2, len(seeds))).copy()
        sources = np.nonzero(seeds)[0]
        walked, highest = (csgraph.dijkstra(way, indices=sources, min_only=True) for way in self.ways)
        return np.minimum([walked, highest**0.25], FURTHEST)

    def diffusion(self, weight: np.ndarray) -> list[np.ndarray]:
        """Log of where random walks from this weight (N) spend their time, far and near."""
        start = weight / max(weight.sum(), 1e-6)
        return [np.log(np.maximum(walk.solve(start), 0) + 1e-9) for walk in self.walks]


def regions_of(rgb: np.ndarray, count: int) -> Regions:
    """About `count` superpixels of a picture (H,W,3 uint8) on a working copy of at most 384 pixels a side."""
    height, width = rgb.shape[:2]
    scale = min(1.0, LONGEST / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    lab = rgb2lab(np.asarray(Image.fromarray(rgb).resize(size, Image.Resampling.BOX))).astype(np.float32)
    soft = ndimage.gaussian_filter(lab, (0.7, 0.7, 0))
    labels = slic(soft, n_segments=count, compactness=6, max_num_iter=5, convert2lab=False, start_label=0)
    flat, number = labels.ravel(), int(labels.max()) + 1
    area = np.bincount(flat, minlength=number).astype(float)
    rows, columns = np.mgrid[: size[1], : size[0]] + 0.5
    channels = [*np.moveaxis(lab * CHANNELS, 2, 0), *_texture(lab[..., 0])]
    means = [np.bincount(flat, value.ravel(), number) / area for value in (columns, rows, *channels)]
    looks = np.stack(means[2:], axis=1).astype(np.float32)
    pairs, contrast, length = _seams(labels, ndimage.gaussian_filter(lab, (1, 1, 0)), number)
    edge = 0.5 * contrast + 0.5 * np.linalg.norm(looks[pairs[:, 0]] - looks[pairs[:, 1]], axis=1)
    edge /= max(edge.mean(), 1e-3) if len(edge) else 1.0
    seam = np.exp(-(edge**2))
    apart = between(looks)
    way, mixing = _graph(pairs, edge + 0.05, number), _graph(pairs, seam * length, number)
    return Regions(
        scale=scale,
        labels=labels,
        area=area,
        centre=np.stack(means[:2], axis=1).astype(np.float32),
        looks=looks,
        apart=apart,
        alike=(np.exp(apart / (-2 * NARROW**2)), np.exp(apart / (-2 * WIDE**2))),
        pairs=pairs,
        seam=seam,
        length=length,
        ways=(way, way.power(4)),
        mixing=(sparse.diags_array(1 / (np.asarray(mixing.sum(1)).ravel() + 1e-6)) @ mixing).tocsr(),
        walks=_walks(_graph(pairs, (seam**1.5 + 1e-3) * length, number)),
    )


def between(points: np.ndarray) -> np.ndarray:
    """Squared distances (N,N) between points (N,k)."""
    square = (points**2).sum(1)
    return np.maximum(square[:, None] + square[None] - 2 * points @ points.T, 0)


def _texture(light: np.ndarray) -> list[np.ndarray]:
    """Strength of fine and coarser grain of a lightness picture (h,w)."""
    grain = [(light - ndimage.gaussian_filter(light, width), width) for width in (1.0, 2.5)]
    return [np.sqrt(ndimage.gaussian_filter(high**2, 2 * width)) for high, width in grain]


def _seams(labels: np.ndarray, lab: np.ndarray, number: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Neighbouring superpixels (E,2), mean colour step across their seam (over 3 pixels), and its length in pixels."""
    keys, steps = [], []
    for axis in (0, 1):
        place = np.arange(labels.shape[axis])
        here, there = labels.take(place[:-1], axis), labels.take(place[1:], axis)
        before = lab.take(np.maximum(place[:-1] - 1, 0), axis)
        after = lab.take(np.minimum(place[:-1] + 2, place[-1]), axis)
        on = here != there
        low, high = np.minimum(here, there)[on], np.maximum(here, there)[on]
        keys.append(low.astype(np.int64) * number + high)
        steps.append(np.linalg.norm((after - before)[on] * CHANNELS, axis=-1))
    unique, place, length = np.unique(np.concatenate(keys), return_inverse=True, return_counts=True)
    contrast = np.bincount(place, np.concatenate(steps), len(unique)) / length
    return np.stack([unique // number, unique % number], axis=1), contrast, length.astype(float)


def _graph(pairs: np.ndarray, weight: np.ndarray, number: int) -> sparse.csr_matrix:
    ends = (np.concatenate([pairs[:, 0], pairs[:, 1]]), np.concatenate([pairs[:, 1], pairs[:, 0]]))
    return sparse.csr_matrix((np.concatenate([weight, weight]), ends), shape=(number, number))


def _walks(graph: sparse.csr_matrix) -> tuple[SuperLU, ...]:
    degree = np.asarray(graph.sum(1)).ravel() + 1e-3
    laplacian = sparse.diags_array(degree) - graph
    return tuple(splu((laplacian + end * sparse.diags_array(degree)).tocsc()) for end in DIFFUSIONS)
