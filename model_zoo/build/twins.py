"""Near twins among many: groups of alike mesh signatures, and of photos by a 64-bit perceptual hash.

Neither compares all pairs: a split without leakage needs the groups of a million rows in minutes and modest memory.
"""

import itertools
from collections.abc import Iterator

import numpy as np
from PIL import Image
from scipy.fft import dctn
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

# Meshes are twins up to here. On 43 real meshes: another format, axes, unit, mirror image 0.000 to 0.015; other face order
# at most 0.03; subdivided 0.02; half the triangles: median 0.007, nine in ten 0.02 (low-poly models, whose shape that
# changes, up to 0.7). Distinct ones: two food cans 0.10, the rest from 0.12; of 522 generated meshes none across families.
SHAPE_DISTANCE = 0.04
# Photos are twins up to here. Of 31 real photos and frames: recompressed to quality 20, resized to half and to 160
# pixels, a fifth brighter, all at once: at most 6 bits; 1 % cut off each side: at most 8, 2 %: 12. Distinct photos and
# frames a second apart of one video: at least 12 (two views of one room), 22 within a video, so that none merges.
PHOTO_DISTANCE = 6
HASH_SIDE = 32
BANDS, BAND_BITS = 4, 16
EDGES = 2_000_000  # pairs held at once
CHUNK = 4096


class _Groups:
    """Union-find over N rows, many edges at a time."""

    def __init__(self, count: int) -> None:
        self.labels = np.arange(count)
        self._ends: list[tuple[np.ndarray, np.ndarray]] = []
        self._held = 0

    def join(self, one: np.ndarray, other: np.ndarray) -> None:
        self._ends.append((one, other))
        self._held += len(one)
        if self._held > EDGES:
            self._merge()

    def _merge(self) -> None:
        one, other = (self.labels[np.concatenate(ends)] for ends in zip(*self._ends, strict=True))
        count = len(self.labels)
        graph = coo_matrix((np.ones(len(one), bool), (one, other)), (count, count))
        self.labels = connected_components(graph, directed=False)[1][self.labels]
        self._ends, self._held = [], 0

    def numbered(self, row: np.ndarray) -> np.ndarray:
        """The group int64 of each of `row`, groups numbered in the order of their first appearance."""
        if self._ends:
            self._merge()
        _, first, group = np.unique(self.labels[row.ravel()], return_index=True, return_inverse=True)
        return np.argsort(np.argsort(first))[group.ravel()]


def clusters(signatures: np.ndarray, threshold: float = SHAPE_DISTANCE) -> np.ndarray:
    """Groups int (N,) of signatures float32 (N,K) linked by Euclidean distances of at most `threshold`.

    Groups are numbered in the order of their first rows. Equal rows are compared once.
    """
    if not len(signatures):
        return np.zeros(0, np.int64)
    unique, row = np.unique(signatures, axis=0, return_inverse=True)
    tree, groups = cKDTree(unique), _Groups(len(unique))
    for start in range(0, len(unique), CHUNK):
        near = tree.query_ball_point(unique[start : start + CHUNK], threshold)
        sizes = np.fromiter(map(len, near), int, len(near))
        groups.join(np.repeat(np.arange(start, start + len(near)), sizes), np.concatenate(near).astype(int))
    return groups.numbered(row)


def photo_signature(rgb: np.ndarray) -> np.uint64:
    """A 64-bit perceptual hash of a photo, uint8 (H,W,3): alike for the same photo resized, recompressed, brightened.

    Signs against their median of the 64 lowest frequencies that vary both across and down, of the grey picture at
    32 x 32 (a discrete cosine transform; Zauner 2010). Distances are numbers of differing bits.
    """
    grey = Image.fromarray(rgb).convert("L").resize((HASH_SIDE, HASH_SIDE), Image.Resampling.BOX)
    waves = dctn(np.asarray(grey, np.float64), norm="ortho")[1:9, 1:9].ravel()
    return np.packbits(waves > np.median(waves)).view(">u8")[0].astype(np.uint64)


def photo_clusters(hashes: np.ndarray, distance: int = PHOTO_DISTANCE) -> np.ndarray:
    """Groups int (N,) of photo hashes uint64 (N,) linked by at most `distance` (0 to 11) differing bits.

    Hashes within d bits of each other have, in one of four bands of 16 bits, at most d // 4 differing ones
    (pigeonhole), so that only pairs that nearly agree in a band are compared. Groups are numbered as in `clusters`.
    """
    if not 0 <= distance < 3 * BANDS:
        raise ValueError(f"a distance of {distance} bits: 0 to {3 * BANDS - 1} can be searched")
    if not len(hashes):
        return np.zeros(0, np.int64)
    unique, row = np.unique(hashes.astype(np.uint64), return_inverse=True)
    groups = _Groups(len(unique))
    for band in range(BANDS):
        part = ((unique >> np.uint64(band * BAND_BITS)) & np.uint64(0xFFFF)).astype(np.int64)
        order = np.argsort(part, kind="stable")
        counts = np.bincount(part, minlength=1 << BAND_BITS)
        starts = np.cumsum(counts) - counts
        for flip in _flips(distance // BANDS):
            for one, rank in _candidates(counts[part ^ flip]):
                other = order[starts[part[one] ^ flip] + rank]
                near = (one < other) & (np.bitwise_count(unique[one] ^ unique[other]) <= distance)
                groups.join(one[near], other[near])
    return groups.numbered(row)


def _candidates(sizes: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Every (row, 0 .. sizes[row] - 1), about EDGES of them at a time."""
    ends = np.cumsum(sizes)
    cuts = np.searchsorted(ends, np.arange(EDGES, ends[-1], EDGES), "right")
    for start, stop in itertools.pairwise(np.unique([0, *cuts, len(sizes)])):
        part = sizes[start:stop]
        rank = np.arange(part.sum()) - np.repeat(np.cumsum(part) - part, part)
        yield np.repeat(np.arange(start, stop), part), rank


def _flips(most: int) -> list[int]:
    """Every pattern of up to `most` bits of a band."""
    found = {0}
    for _ in range(most):
        found |= {pattern ^ (1 << bit) for pattern in found for bit in range(BAND_BITS)}
    return sorted(found)
