"""Batches of a stream for training: torch's DataLoader with workers, whose state is exact to the batch."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from torch import distributed
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from model_zoo.data.reader import Problem
from model_zoo.data.stream import Share, Stream
from model_zoo.examples import collate as stacked
from model_zoo.io.errors import BadInput


def share_of_process(batch: int) -> Share:
    """This process's share of the batches: its rank where torch.distributed runs, else all."""
    if distributed.is_available() and distributed.is_initialized():
        return Share(distributed.get_rank(), distributed.get_world_size(), batch=batch)
    return Share(batch=batch)


class Batches:
    """Iterating gives the rest of the epoch in collated batches of stream.share.batch rows; then the next epoch begins.

    state_dict() after a batch and load_state_dict() continue with the next one, whatever the workers had read ahead; any
    number of workers and ranks may continue, each with the same state. A row that was left out makes its batch smaller,
    and a batch of none but such rows does not come at all: `stream.report` tells. Ranks that must stay in step use a
    stream with strict=True and tail "drop" or "pad".
    """

    def __init__(
        self,
        stream: Stream,
        *,
        workers: int = 0,
        collate: Callable[[Sequence[Any]], Any] = stacked,
        prefetch: int = 2,
        pin_memory: bool = False,
    ) -> None:
        """workers: processes (0: this one with its threads), each reading `prefetch` batches ahead."""
        self.stream, self.workers, self.collate = stream, workers, collate
        self.prefetch, self.pin_memory = prefetch, pin_memory

    def __iter__(self) -> Iterator[Any]:
        stream = self.stream
        loader = DataLoader(
            _Blocks(stream, self.collate), batch_size=None, num_workers=self.workers, pin_memory=self.pin_memory,
            prefetch_factor=self.prefetch if self.workers else None,
        )  # fmt: skip
        epoch = stream.epoch
        for batch, problems in loader:
            stream.done += stream.share.batch
            for problem in problems:
                stream.note(problem)
            if batch is not None:
                yield batch
        stream.seek(epoch + 1, 0)

    def state_dict(self) -> dict[str, Any]:
        """Plain values that JSON can hold."""
        return self.stream.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a state. Raises BadInput for another stream's, and for one that a Stream has inside a batch."""
        if isinstance(state, Mapping) and state.get("inside"):
            raise BadInput(
                "the state was taken inside a batch: a Stream alone can continue it, Batches begin with a whole one",
                "bad_state",
            )
        self.stream.load_state_dict(state)


class _Blocks(IterableDataset):
    """A worker's blocks of a stream, collated, with the problems met in each."""

    def __init__(self, stream: Stream, collate: Callable[[Sequence[Any]], Any]) -> None:
        self.stream, self.collate = stream, collate

    def __iter__(self) -> Iterator[tuple[Any, list[Problem]]]:
        info, share = get_worker_info(), self.stream.share
        if info is not None:
            share = replace(share, worker=info.id, workers=info.num_workers)
        for good, bad in self.stream.shared(share).blocks():
            yield (self.collate(good) if good else None), bad
