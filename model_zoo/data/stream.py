"""The stream: samples of a data set in a shuffled order, shared by ranks and workers, exact to the sample after a resume.

Every row has one position in an epoch, whoever reads it. Positions are dealt out in blocks of `batch`: block q belongs
to rank q mod world, and of that rank's blocks the b-th to worker b mod workers. So what all readers together have read
is a range of positions, and a state taken at the end of a step may be continued by other numbers of ranks and workers.
"""

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from copy import copy
from dataclasses import dataclass
from itertools import islice
from typing import Any, Generic, TypeVar

import numpy as np

from model_zoo.data.order import AT_ONCE, Plain, Shuffled, Windowed
from model_zoo.data.reader import DataSet, Problem, Sample
from model_zoo.io.errors import BadInput, safe_text

T = TypeVar("T")
U = TypeVar("U")
ORDERS = ("shuffle", "shards", "index")
TAILS = ("keep", "drop", "pad")
READ_BYTES = 2**24  # that one read of the order "shards" asks for
LISTED = 100


@dataclass(frozen=True)
class Share:
    """Which part of the blocks a reader has: its rank of `world`, and in it its worker of `workers`; `batch` rows a block."""

    rank: int = 0
    world: int = 1
    worker: int = 0
    workers: int = 1
    batch: int = 1


class Report:
    """What was left out and why: `problems` (the first LISTED), `counts` by shard and code."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self.counts: Counter[tuple[str, str]] = Counter()

    def add(self, problem: Problem) -> None:
        """Note one."""
        self.counts[problem.shard, problem.code] += 1
        if len(self.problems) < LISTED:
            self.problems.append(problem)

    def __str__(self) -> str:
        lines = [f"{self.counts.total()} samples were left out"]
        for (shard, code), count in self.counts.most_common():
            told = [p for p in self.problems if (p.shard, p.code) == (shard, code)]
            ids = ", ".join(p.id for p in told[:5]) + (", ..." if count > len(told[:5]) else "")
            lines.append(f"{shard}: {count} ({code}): {ids}" + (f": {told[0].reason}" if told else ""))
        return "\n".join(lines)


class Stream(Generic[T]):
    """Iterating gives the rest of the epoch: samples, or what `then` makes of each.

    A row whose bytes are missing or broken, or of which `then` raises BadInput, is left out and reported: `report`, and
    on_problem(problem) as it happens; strict raises BadInput instead.
    """

    def __init__(
        self,
        data: DataSet,
        *,
        seed: int = 0,
        order: str = "shuffle",
        tail: str = "keep",
        share: Share = Share(),
        then: Callable[[Sample], T] | None = None,
        threads: int = 2,
        ahead: int = 16,
        window: int = 1000,
        shapes: bool = False,
        strict: bool = False,
        on_problem: Callable[[Problem], None] | None = None,
    ) -> None:
        """order: "shuffle" (all rows, exactly), "shards" (shard by shard, shuffled in windows of `window` rows, in large
        reads: for cold object storage; two windows of bytes are in memory), "index" (as it is).

        tail: "keep" gives every row once and the last ranks less; "drop" leaves out, "pad" repeats the first rows of the
        order, so that every rank has the same number of whole blocks. `then` is called in the reading threads, `ahead`
        samples in advance (threads=0: neither). shapes: read shapes along with samples.
        """
        if order not in ORDERS or tail not in TAILS:
            raise BadInput(
                f"order is one of {', '.join(ORDERS)}; tail one of {', '.join(TAILS)}", "bad_option"
            )
        self.data, self.seed, self.order, self.tail = data, seed, order, tail
        self.share, self.then = share, then
        self.threads, self.ahead, self.window, self.shapes = threads, ahead, window, shapes
        self.strict, self.on_problem = strict, on_problem
        self.epoch = self.position = self.done = 0
        self.report = Report()
        first = data.spans[data.first[0]]
        self._order: Plain | Shuffled | Windowed = (
            Shuffled(len(data), seed)
            if order == "shuffle"
            else Windowed(first.shards, first.offsets, seed, window)
            if order == "shards"
            else Plain(len(data))
        )

    def shared(self, share: Share) -> "Stream[T]":
        """The same stream for another reader, from where all of them stand; it leaves reporting to who reads its blocks."""
        state = self.state_dict()
        other = copy(self)
        other.share, other.report, other.strict, other.on_problem = share, Report(), False, None
        other.seek(state["epoch"], state["position"])
        return other

    def end(self) -> int:
        """The position at which the epoch ends, seen from the present one."""
        size, step = len(self.data), self.share.world * self.share.batch
        left = size - self.position
        if self.tail == "drop":
            return self.position + left // step * step
        return self.position + -(-left // step) * step if self.tail == "pad" else size

    def seek(self, epoch: int, position: int) -> None:
        """Go to a position of an epoch: what all readers together have read is [0, position)."""
        self.epoch, self.position, self.done = epoch, position, 0

    def state_dict(self) -> dict[str, Any]:
        """Where all readers stand, when each has read as much as this one."""
        share = self.share
        blocks, inside = divmod(self.done, share.batch)
        readers = [share.world, share.workers, share.batch]
        return {
            "data": self.data.identity, "rows": len(self.data), "seed": self.seed, "order": self.order,
            "window": self.window if self.order == "shards" else 0, "epoch": self.epoch,
            "position": self.position + blocks * share.batch * share.world * share.workers, "inside": inside,
            "readers": readers,
        }  # fmt: skip

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a state: the next sample is the one that would have come.

        Raises BadInput for what is no state, for the state of other data, seed or order; and for one taken inside a block
        by another number of readers than now.
        """
        if not isinstance(state, Mapping):
            raise BadInput("the state of a stream is a dict, as state_dict() gives it", "bad_state")
        mine = self.state_dict()
        for name in ("data", "rows", "seed", "order", "window"):
            if state.get(name) != mine[name]:
                raise BadInput(
                    f"the state is of another stream: {name} is {state.get(name)!r}, here {mine[name]!r}",
                    "bad_state",
                )
        for name in ("epoch", "position", "inside"):
            if type(state.get(name)) is not int or state[name] < 0:
                raise BadInput(
                    f"the state of a stream has a whole number as {name}, this one {safe_text(repr(state.get(name)))}",
                    "bad_state",
                )
        if state["inside"] and state.get("readers") != mine["readers"]:
            raise BadInput(
                "the state was taken inside a batch: only the same number of ranks and workers and the same batch can"
                " continue it",
                "bad_state",
            )
        self.seek(state["epoch"], state["position"])
        self.done = state["inside"]

    def __iter__(self) -> Iterator[T]:
        for _, found in self._results():
            if not isinstance(found, Problem):
                yield found

    def blocks(self) -> Iterator[tuple[list[T], list[Problem]]]:
        """The rest of the epoch in this reader's blocks: what was read of each, and what was left out of it."""
        good: list[T] = []
        bad: list[Problem] = []
        for last, found in self._results():
            (bad if isinstance(found, Problem) else good).append(found)  # type: ignore[arg-type]
            if last:
                yield good, bad
                good, bad = [], []

    def _results(self) -> Iterator[tuple[bool, T | Problem]]:
        """(whether it is the last of its block, result) in order; the position is moved on before each is given."""
        epoch, start = self.epoch, self.done
        with ThreadPoolExecutor(max(1, self.threads)) as pool:
            depth = self.ahead if self.threads else 0
            numbers = self._numbers(self.position, start, self.end())
            if self.order == "shards":
                results = self._windows(pool, numbers, epoch)
                if self.then is not None:
                    results = _ahead(pool, self._made, results, depth)
            else:
                results = _ahead(
                    pool, lambda found: (found[0], self._loaded(found[2])), self._rows(numbers, epoch), depth
                )
            try:
                for (count, last), found in results:
                    self.done = count + 1
                    if isinstance(found, Problem):
                        self.note(found)
                    yield last, found
            finally:
                pool.shutdown(wait=False, cancel_futures=True)
        self.seek(epoch + 1, 0)

    def note(self, problem: Problem) -> None:
        """Report a row that is left out; raises BadInput where the stream is strict."""
        self.report.add(problem)
        if self.on_problem is not None:
            self.on_problem(problem)
        if self.strict:
            raise BadInput(f"{problem.shard}, sample {problem.id}: {problem.reason}", problem.code)

    def _numbers(
        self, start: int, done: int, end: int
    ) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Own counts, their positions and whether each ends its block, from `done` on, in pieces."""
        share = self.share
        while True:
            counts = np.arange(done, done + AT_ONCE)
            block, inside = np.divmod(counts, share.batch)
            block = (share.worker + block * share.workers) * share.world + share.rank
            positions = start + block * share.batch + inside
            last = (inside == share.batch - 1) | (positions == end - 1)
            here = positions < end
            if here.any():
                yield counts[here], positions[here], last[here]
            if not here[-1]:
                return
            done += AT_ONCE

    def _rows(self, numbers: Iterable[Any], epoch: int) -> Iterator[tuple[tuple[int, bool], int, int]]:
        """((own count, last of its block), position, row)."""
        size = len(self.data)
        for counts, positions, last in numbers:
            rows = self._order.rows(positions % size, epoch)
            yield from zip(
                zip(counts.tolist(), last.tolist(), strict=True),
                positions.tolist(),
                rows.tolist(),
                strict=True,
            )

    def _loaded(self, row: int) -> T | Problem:
        return self._applied(self.data.load([row], shapes=self.shapes)[0])

    def _made(self, found: tuple[tuple[int, bool], Sample | Problem]) -> tuple[tuple[int, bool], T | Problem]:
        return found[0], self._applied(found[1])

    def _applied(self, found: Sample | Problem) -> T | Problem:
        if self.then is None or isinstance(found, Problem):
            return found  # type: ignore[return-value]
        try:
            return self.then(found)
        except BadInput as error:
            return Problem(found.shard, found.id, error.code, error.message)

    def _windows(
        self, pool: ThreadPoolExecutor, numbers: Iterable[Any], epoch: int
    ) -> Iterator[tuple[tuple[int, bool], Sample | Problem]]:
        """Samples window by window, each read in large pieces while the one before is given out."""
        rows = self._rows(numbers, epoch)

        def begin(group: list[Any]) -> tuple[list[Any], dict[int, tuple[Future[Any], int]]]:
            return group, self._pieces(pool, [row for _, _, row in group])

        waiting: tuple[list[Any], dict[int, tuple[Future[Any], int]]] | None = None
        for group in self._grouped(rows):
            current, waiting = waiting, begin(group)
            yield from _given(current)
        yield from _given(waiting)

    def _grouped(self, rows: Iterator[Any]) -> Iterator[list[Any]]:
        group: list[Any] = []
        for item in rows:
            if group and item[1] // self.window != group[0][1] // self.window:
                yield group
                group = []
            group.append(item)
        if group:
            yield group

    def _pieces(self, pool: ThreadPoolExecutor, rows: list[int]) -> dict[int, tuple[Future[Any], int]]:
        """Row to the read that brings it and its number there."""
        spans = self.data.spans[self.data.first[0]]
        piece: list[int] = []
        found: dict[int, tuple[Future[Any], int]] = {}

        def ask() -> None:
            future = pool.submit(self.data.load, list(piece), shapes=self.shapes)
            found.update({row: (future, number) for number, row in enumerate(piece)})
            piece.clear()

        size = 0
        for row in sorted(rows, key=lambda r: (spans.shards[r], spans.offsets[r])):
            if piece and (size > READ_BYTES or spans.shards[row] != spans.shards[piece[-1]]):
                ask()
                size = 0
            piece.append(row)
            size += int(spans.lengths[row])
        if piece:
            ask()
        return found


def _given(window: Any) -> Iterator[tuple[tuple[int, bool], Sample | Problem]]:
    if window is None:
        return
    group, reads = window
    for number, _, row in group:
        future, place = reads[row]
        yield number, future.result()[place]


def _ahead(pool: ThreadPoolExecutor, call: Callable[[T], U], items: Iterator[T], depth: int) -> Iterator[U]:
    """call(item) of every item in order, `depth` of them begun in advance in the pool (0: none)."""
    if depth == 0:
        yield from map(call, items)
        return
    waiting = deque(pool.submit(call, item) for item in islice(items, depth))
    for item in items:
        yield waiting.popleft().result()
        waiting.append(pool.submit(call, item))
    while waiting:
        yield waiting.popleft().result()
