"""The order of an epoch as a function of position: exact shuffles that need no list, so that any position is O(1).

A permutation of [0, size) is a Feistel network over Z_a x Z_b with a * b >= size (Black and Rogaway 2002, "Ciphers
with arbitrary finite domains"), walked until the value falls inside.
"""

import math

import numpy as np
from numpy.typing import NDArray

from model_zoo.build.kinds import chance

Integers = NDArray[np.int64]
ROUNDS = 8
AT_ONCE = 4096


def permuted(positions: Integers, size: int, seed: int, *words: object) -> Integers:
    """Values of a permutation of [0, size) at these positions; which permutation, seed and words decide."""
    keys = chance(seed, "order", *words).integers(0, 2**63, ROUNDS, dtype=np.uint64)
    a = math.isqrt(size - 1) + 1 if size else 1
    b = -(-size // a) or 1
    values = np.asarray(positions).astype(np.uint64)
    outside = np.ones(values.shape, bool)
    while outside.any():
        values[outside] = _rounds(values[outside], np.uint64(a), np.uint64(b), keys)
        outside = values >= size
    return values.astype(np.int64)


def _rounds(
    values: NDArray[np.uint64], a: np.uint64, b: np.uint64, keys: NDArray[np.uint64]
) -> NDArray[np.uint64]:
    left, right = values // b, values % b
    for number, key in enumerate(keys):
        if number % 2 == 0:
            left = (left + _mixed(right, key) % a) % a
        else:
            right = (right + _mixed(left, key) % b) % b
    return left * b + right


def _mixed(x: NDArray[np.uint64], key: np.uint64) -> NDArray[np.uint64]:
    """The finaliser of SplitMix64 (Steele, Lea and Flood 2014): 64 well-mixed bits."""
    x = x + key
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


class Plain:
    """The order of the index."""

    def __init__(self, size: int) -> None:
        self.size = size

    def rows(self, positions: Integers, epoch: int) -> Integers:
        """Rows at these positions of an epoch."""
        return np.asarray(positions, np.int64)


class Shuffled:
    """A permutation of all rows, another one in every epoch."""

    def __init__(self, size: int, seed: int) -> None:
        self.size, self.seed = size, seed

    def rows(self, positions: Integers, epoch: int) -> Integers:
        """Rows at these positions of an epoch."""
        return permuted(positions, self.size, self.seed, "rows", epoch)


class Windowed:
    """Shard after shard in a shuffled order, rows shuffled within windows of that sequence: for storage that is slow at
    random reads. Positions of one window lie in few shards. Needs 8 bytes a row where the index is not in shard order.
    """

    def __init__(self, shards: NDArray[np.int32], offsets: Integers, seed: int, window: int) -> None:
        """shards, offsets (N,): where each row lies."""
        self.size, self.seed, self.window = len(shards), seed, window
        shards = np.maximum(shards, 0)  # -1: a row without bytes, wherever
        order = (shards[1:] > shards[:-1]) | ((shards[1:] == shards[:-1]) & (offsets[1:] >= offsets[:-1]))
        self.by_shard = None if order.all() else np.lexsort((offsets, shards))
        self.counts = np.bincount(shards)
        self.starts = np.cumsum(self.counts) - self.counts
        self._epoch = -1

    def rows(self, positions: Integers, epoch: int) -> Integers:
        """Rows at these positions of an epoch."""
        if epoch != self._epoch:
            self._shards = permuted(np.arange(len(self.counts)), len(self.counts), self.seed, "shards", epoch)
            self._ends = np.cumsum(self.counts[self._shards])
            self._epoch = epoch
        positions = np.asarray(positions, np.int64)
        places = positions.copy()
        for window in np.unique(positions // self.window):
            here = positions // self.window == window
            start = int(window) * self.window
            size = min(self.window, self.size - start)
            places[here] = start + permuted(positions[here] - start, size, self.seed, "window", epoch, window)
        slot = np.searchsorted(self._ends, places, side="right")
        shard = self._shards[slot]
        sequence = self.starts[shard] + places - (self._ends[slot] - self.counts[shard])
        return sequence if self.by_shard is None else self.by_shard[sequence]
