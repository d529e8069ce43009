"""Training examples and their batching: what every data source gives to every stage."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor

from model_zoo.io.errors import BadInput


class Example(NamedTuple):
    """One sample, or a batch of them with a leading axis.

    views: the six views of `geometry.preprocess` (uint8 or float); occupancy (1, G, G, G) of 0 and 1;
    layout: name -> (1, c); layout_weight (): 0 where the pose is unknown and must not be learnt.
    """

    views: dict[str, Tensor]
    occupancy: Tensor
    layout: dict[str, Tensor]
    layout_weight: Tensor


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


def batches(source: Source[Item], size: int, seed: int, start: int = 0) -> Iterator[Item]:
    """Endless shuffled batches; batch number `start` onwards of the same order, so that a run can resume."""
    if not len(source):
        raise BadInput("the data holds no training example")
    step, length = start, len(source)
    while True:
        # Position p of an endless stream is entry p % length of the permutation of epoch p // length.
        positions = range(step * size, (step + 1) * size)
        yield collate([source[_shuffled(p, length, seed)] for p in positions])
        step += 1


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
