"""Training examples and their batching: what every data source gives to every stage."""

import sys
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import count
from typing import NamedTuple, Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor

from model_zoo.io.errors import BadInput

LAYOUT = ("6drotation_normalized", "translation", "scale", "translation_scale")
AHEAD = 2


class Example(NamedTuple):
    """One sample, or a batch of them with a leading axis.

    views: the six views of `geometry.preprocess` (uint8 or float); occupancy (1, G, G, G) of 0 and 1;
    layout: name -> (1, c); layout_weight: name -> (), 0 where that part of the pose is unknown or must not be learnt.
    """

    views: dict[str, Tensor]
    occupancy: Tensor
    layout: dict[str, Tensor]
    layout_weight: dict[str, Tensor]


class Pair(NamedTuple):
    """One preference pair, or a batch: the views of the photo, both occupancies (1, G, G, G), and weight (): the
    probability that chosen is better."""

    views: dict[str, Tensor]
    chosen: Tensor
    rejected: Tensor
    weight: Tensor


Item = TypeVar("Item", Example, Pair)


class Source(Protocol[Item]):
    """Anything with numbered examples."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Item: ...


def collate(items: Sequence[Item]) -> Item:
    """Stacks examples into one batch."""
    first = items[0]
    stacked = []
    for field, value in zip(first._fields, first, strict=True):
        if isinstance(value, dict):
            stacked.append({n: torch.stack([getattr(i, field)[n] for i in items]) for n in value})
        else:
            stacked.append(torch.stack([getattr(i, field) for i in items]))
    return type(first)(*stacked)


def batches(
    source: Source[Item], size: int, seed: int, start: int = 0, *, threads: int = 2
) -> Iterator[Item]:
    """Endless shuffled batches; batch number `start` onwards of the same order, so that a run can resume.

    Threads read AHEAD batches in advance. An example that raises BadInput makes its batch smaller and is told on stderr
    once; BadInput is raised when a batch has none left.
    """
    if not len(source):
        raise BadInput("the data holds no training example")
    length, told = len(source), Told()
    with ThreadPoolExecutor(threads) as pool:
        waiting: deque[list[tuple[int, Future[Item]]]] = deque()
        for step in count(start):
            # Position p of an endless stream is entry p % length of the permutation of epoch p // length.
            rows = [_shuffled(p, length, seed) for p in range(step * size, (step + 1) * size)]
            waiting.append([(row, pool.submit(source.__getitem__, row)) for row in rows])
            if len(waiting) > AHEAD:
                yield collate(told.good(waiting.popleft()))


class Told:
    """Passes on what can be read and says once of each other example, of the first LISTED at most, what is wrong."""

    LISTED = 20

    def __init__(self) -> None:
        self.rows: set[int] = set()

    def good(self, futures: Sequence[tuple[int, Future[Item]]]) -> list[Item]:
        """The examples that could be read. Raises BadInput when there is none."""
        found, error = [], BadInput("the batch is empty")
        for row, future in futures:
            try:
                found.append(future.result())
            except BadInput as problem:
                error = problem
                self.note(row, problem)
        if not found:
            raise error
        return found

    def note(self, row: int, problem: BadInput) -> None:
        """Say that an example is left out, unless that was said before."""
        if row not in self.rows and len(self.rows) <= self.LISTED:
            self.rows.add(row)
            more = "; further ones are left out without a word" if len(self.rows) > self.LISTED else ""
            print(f"left out: example {row}: {problem.message}{more}", file=sys.stderr)


_ORDERS: dict[tuple[int, int, int], np.ndarray] = {}


def _shuffled(position: int, length: int, seed: int) -> int:
    epoch = position // length
    key = (seed, epoch, length)
    if key not in _ORDERS:
        _ORDERS.clear()
        _ORDERS[key] = np.random.default_rng([seed, epoch]).permutation(length)
    return int(_ORDERS[key][position % length])


class Joined:
    """Several sources as one, in order."""

    def __init__(self, sources: Sequence[Source[Item]]) -> None:
        self.sources = sources
        self.ends = np.cumsum([len(s) for s in sources])

    def __len__(self) -> int:
        return int(self.ends[-1]) if len(self.ends) else 0

    def __getitem__(self, index: int) -> Item:
        which = int(np.searchsorted(self.ends, index, side="right"))
        return self.sources[which][index - (int(self.ends[which - 1]) if which else 0)]
