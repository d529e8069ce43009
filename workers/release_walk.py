"""Reads what a snapshot copied out: objects, their candidates and their rows side by side, in tables of some objects."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import IO, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv

BLOCK_BYTES = 2**18  # up to 32 of them are read ahead
OBJECTS_AT_ONCE = 1000


class Chunk(NamedTuple):
    """Some objects, ascending, with all of their candidates. `rows()`: all of their rows, to ask for before the next."""

    objects: pa.Table
    candidates: pa.Table
    rows: Callable[[], pa.Table]


class Orphan(Exception):
    """A row or candidate of an object that is not there; `number` is the object's."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def tables(
    file: IO[bytes], types: dict[str, pa.DataType], wait: Callable[[], object] = lambda: None
) -> Iterator[pa.Table]:
    """The CSV of a COPY with a header, block by block: an unquoted nothing is null, t and f are true and false.
    `wait` returns once the file is written."""
    wait()
    file.seek(0)
    reader = pacsv.open_csv(
        pa.PythonFile(file, mode="r"),
        pacsv.ReadOptions(block_size=BLOCK_BYTES),
        pacsv.ParseOptions(newlines_in_values=True),
        pacsv.ConvertOptions(
            column_types=types,
            include_columns=list(types),
            null_values=[""],
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
            true_values=["t"],
            false_values=["f"],
        ),
    )
    for batch in reader:
        yield pa.Table.from_batches([batch])


def walk(
    objects: Iterator[pa.Table], candidates: Iterator[pa.Table], rows: Iterator[pa.Table]
) -> Iterator[Chunk]:
    """All three are ordered by object. Orphan when a candidate or row has none."""
    theirs, found = _UpTo(candidates), _UpTo(rows)
    for table in objects:
        for start in range(0, len(table), OBJECTS_AT_ONCE):
            some = table.slice(start, OBJECTS_AT_ONCE)
            numbers = some["id"].to_numpy()
            yield Chunk(some, theirs.take(numbers), partial(found.take, numbers))
    for stream in (theirs, found):
        if (rest := stream.peek()) is not None:
            raise Orphan(rest["object_id"][0].as_py())


def _all_there(objects: np.ndarray, wanted: np.ndarray) -> None:
    missing = ~np.isin(wanted, objects)
    if missing.any():
        raise Orphan(int(wanted[missing.argmax()]))


class _UpTo:
    """Hands out tables that are ordered by object_id, up to an object."""

    def __init__(self, parts: Iterator[pa.Table]) -> None:
        self._parts = parts
        self._kept: pa.Table | None = None

    def peek(self) -> pa.Table | None:
        """The next rows, None at the end."""
        while self._kept is None or len(self._kept) == 0:
            self._kept = next(self._parts, None)
            if self._kept is None:
                return None
        return self._kept

    def take(self, objects: np.ndarray) -> pa.Table:
        """All rows up to the last of these objects, each of which has some."""
        taken: list[pa.Table] = []
        while (table := self.peek()) is not None:
            count = int(np.searchsorted(table["object_id"].to_numpy(), objects[-1], side="right"))
            taken.append(table.slice(0, count))
            self._kept = table.slice(count)
            if len(self._kept):
                break
        rows = pa.concat_tables(taken).combine_chunks()
        _all_there(objects, rows["object_id"].to_numpy())
        return rows
