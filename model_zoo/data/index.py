"""The index of a data set in memory: Arrow columns and numpy places, a fixed number of bytes a row, never row objects.

Two layouts are read. Built sets have one span per sample (shard, offset, length, sha256: whole tar entries) and one of
its shape (shape_offset, ...). Releases have one place per member (NAME_shard, NAME_offset, NAME_length, NAME_sha256).
"""

import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from model_zoo.data.places import Folder, Place
from model_zoo.data.where import parse
from model_zoo.io.errors import BadInput, safe_text

SAMPLE, SHAPE = "sample", "shape"
IDS = ("id", "sample_id", "pair_id")
DIGEST = pa.binary(32)
# Two hex digits as they lie in memory -> the byte they mean.
BYTES = np.zeros(2**16, np.uint8)
BYTES[np.frombuffer("".join(f"{n:02x}" for n in range(256)).encode(), np.uint16)] = np.arange(256)


class Span(NamedTuple):
    """Bytes of a shard: its number in `Index.shards`, where they begin, how many, and their sha256 (32 bytes)."""

    shard: int
    offset: int
    length: int
    sha256: bytes | None


@dataclass
class Spans:
    """Spans of all rows; shard is -1 where a row has none."""

    shards: NDArray[np.int32]
    offsets: NDArray[np.int64]
    lengths: NDArray[np.int64]
    sha256: pa.Array | None

    def at(self, row: int) -> Span | None:
        """The span of a row."""
        shard = int(self.shards[row])
        if shard < 0:
            return None
        digest = None if self.sha256 is None else self.sha256[row].as_py()
        return Span(shard, int(self.offsets[row]), int(self.lengths[row]), digest)


@dataclass
class Index:
    """facts: what is known of the rows. spans: by name. shards: (number of the place, file name)."""

    facts: pa.Table
    spans: dict[str, Spans]
    shards: list[tuple[int, str]]


def open_index(
    places: Sequence[Place],
    *,
    where: str | pc.Expression | None,
    columns: Sequence[str] | None,
    digests: bool,
    kept: Path | None,
) -> Index:
    """The rows of a chain of places, the oldest first: each one's removed.parquet takes rows of those before it away.

    columns: the facts to hold, None for all. digests: hold the sha256 of spans. kept: an Arrow file that is written from
    the rows unless it is there, and mapped into memory: so they take no memory of their own and open at once; where it
    cannot be written they stay in memory.
    Raises BadInput.
    """
    if kept is not None and kept.exists():
        return _index(_mapped(kept))
    tables: dict[int, pa.Table] = {}
    for number, place in enumerate(places):
        gone = _removed(place)
        if gone is not None:
            tables = {earlier: _without(table, gone) for earlier, table in tables.items()}
        table = _read(place, where, columns, digests)
        if table is not None:
            tables[number] = table
        elif gone is None:
            raise BadInput(f"{place.name} is not a data set: there is no index/part-*.parquet", "no_index")
    if not tables:
        raise BadInput(f"{places[-1].name} adds no row to what it builds on, which is not given", "no_index")
    numbered = [
        table.append_column("_place", pa.array(np.full(len(table), number, np.int32)))
        for number, table in tables.items()
    ]
    try:
        table = pa.concat_tables(numbered, promote_options="default")
    except pa.ArrowInvalid as error:
        raise BadInput(
            f"the releases of this chain have other columns: {_line(error)}", "bad_index"
        ) from None
    table = table.unify_dictionaries().combine_chunks()
    if kept is not None:
        table = _kept(table, kept)
    return _index(table)


def _read(
    place: Place, where: str | pc.Expression | None, columns: Sequence[str] | None, digests: bool
) -> pa.Table | None:
    parts = [name for name in place.names("index/") if name.startswith("index/part-")]
    tables = []
    for part in parts:
        file = str(place.root / part) if isinstance(place, Folder) else pa.BufferReader(place.read(part))
        try:
            schema = pq.read_schema(file)
            tables.append(_part(file, schema, where, columns, digests))
        except (pa.ArrowException, OSError) as error:
            if where is not None and isinstance(error, pa.ArrowNotImplementedError | pa.ArrowTypeError):
                raise BadInput(
                    f'the filter "{safe_text(where, 120)}" compares a column with a value of another kind, or takes one'
                    " for true or false that is neither",
                    "bad_filter",
                ) from None
            raise BadInput(f"{place.name}/{part} cannot be read: {_line(error)}", "bad_index") from None
    return pa.concat_tables(tables, promote_options="default") if tables else None


def _part(
    file: Any,
    schema: pa.Schema,
    where: str | pc.Expression | None,
    columns: Sequence[str] | None,
    digests: bool,
) -> pa.Table:
    names = schema.names
    pointers = [name for name in _pointers(names) if digests or not name.endswith("sha256")]
    facts = [name for name in names if name not in _pointers(names)]
    if columns is not None:
        if missing := [name for name in columns if name not in names]:
            raise BadInput(
                f'the index has no column "{safe_text(missing[0])}" (it has {", ".join(facts)})', "bad_column"
            )
        facts = [name for name in facts if name in columns or name in IDS]
    if not pointers:
        raise BadInput(
            "the index names no bytes: neither shard and offset nor NAME_shard and NAME_offset", "bad_index"
        )
    strings = {f.name for f in schema if pa.types.is_string(f.type) or pa.types.is_large_string(f.type)}
    repeated = [n for n in strings - set(IDS) - {"provenance"} if not n.endswith("sha256")]
    if isinstance(where, str):
        where = parse(where, names)
    table = pq.read_table(
        file, columns=[*facts, *pointers], filters=where, memory_map=True, read_dictionary=repeated
    )
    for name in pointers:
        if name.endswith("sha256"):
            table = table.set_column(table.column_names.index(name), name, _packed(table[name]))
    return table


def _pointers(names: Sequence[str]) -> list[str]:
    """The columns that say where bytes lie."""
    found = [n.removesuffix("_offset") for n in names if n.endswith("_offset")]
    parts = [f"{prefix}_{part}" for prefix in found for part in ("shard", "offset", "length", "sha256")]
    parts += ["shard", "offset", "length", "sha256"]
    return [name for name in names if name in parts]


def _packed(column: pa.ChunkedArray) -> pa.Array:
    """Hex digests as 32 bytes each; null where there is none or it is no digest."""
    text = whole(column)
    wrong = pc.fill_null(pc.not_equal(pc.binary_length(text), 64), True)
    if some := pc.any(wrong).as_py():
        text = pc.if_else(wrong, pa.scalar("0" * 64, text.type), text)
    start = np.frombuffer(text.buffers()[1], np.int32)[text.offset] if len(text) else 0
    pairs = np.frombuffer(text.buffers()[2] or b"", np.uint16, len(text) * 32, start)
    made = pa.FixedSizeBinaryArray.from_buffers(DIGEST, len(text), [None, pa.py_buffer(BYTES[pairs])])
    return pc.if_else(wrong, pa.scalar(None, DIGEST), made) if some else made


def _removed(place: Place) -> pa.Array | None:
    if "index/removed.parquet" not in place.names("index/removed"):
        return None
    try:
        return pq.read_table(pa.BufferReader(place.read("index/removed.parquet")), columns=["id"])["id"]
    except (pa.ArrowException, OSError) as error:
        raise BadInput(
            f"{place.name}/index/removed.parquet cannot be read: {_line(error)}", "bad_index"
        ) from None


def _without(table: pa.Table, gone: pa.ChunkedArray) -> pa.Table:
    if "id" not in table.column_names:
        raise BadInput("the rows of a release of this chain have no ids", "bad_index")
    return table.filter(pc.invert(pc.is_in(table["id"], value_set=gone.combine_chunks())))


def _kept(table: pa.Table, path: Path) -> pa.Table:
    """The rows written to a file and mapped from there; as they are in memory where it cannot be written."""
    try:
        with tempfile.TemporaryDirectory(dir=path.parent, suffix=".part") as folder:
            part = f"{folder}/index"
            with pa.OSFile(part, "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
                writer.write_table(table)
            os.replace(part, path)
    except OSError:
        return table
    return _mapped(path)


def _mapped(path: Path) -> pa.Table:
    try:
        return pa.ipc.open_file(pa.memory_map(str(path))).read_all()
    except (pa.ArrowException, OSError) as error:
        raise BadInput(
            f"the kept index {path.name} cannot be read, delete it: {_line(error)}", "bad_index"
        ) from None


def _index(table: pa.Table) -> Index:
    names = table.column_names
    pointers = _pointers(names)
    places = _numbers(table["_place"], np.int32)
    shards: dict[tuple[int, str], int] = {}
    codes: dict[str, NDArray[np.int32]] = {}
    for name in pointers:
        if name == "shard" or name.endswith("_shard"):
            codes[name] = _codes(table[name], places, shards)
    spans = {}
    for name in (n for n in pointers if n == "offset" or n.endswith("_offset")):
        prefix = name.removesuffix("offset")
        digest = table[f"{prefix}sha256"] if f"{prefix}sha256" in pointers else None
        spans[prefix.rstrip("_") or SAMPLE] = Spans(
            codes.get(f"{prefix}shard", codes.get("shard")),
            _numbers(table[name], np.int64),
            _numbers(table[f"{prefix}length"], np.int64),
            None if digest is None else whole(digest),
        )
    return Index(table.select([n for n in names if n not in pointers and n != "_place"]), spans, list(shards))


def _numbers(column: pa.ChunkedArray, kind: type) -> NDArray[Any]:
    found = whole(column)
    found = found.fill_null(0) if found.null_count else found
    return found.to_numpy(zero_copy_only=False).astype(kind, copy=False)


def whole(column: pa.ChunkedArray) -> pa.Array:
    """A column in one piece, not copied where it is one already."""
    if column.num_chunks == 1:
        return column.chunk(0)
    return pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)


def _codes(
    column: pa.ChunkedArray, places: NDArray[np.int32], shards: dict[tuple[int, str], int]
) -> NDArray[np.int32]:
    """Numbers in `shards` (which grows) of a column of shard names; a name cannot lead out of the folder of shards."""
    column = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
    encoded = whole(column.unify_dictionaries())
    names = [Path(str(name)).name for name in encoded.dictionary.to_pylist()]
    local = _numbers(pa.chunked_array([encoded.indices.fill_null(-1)]), np.int32)
    out = np.full(len(local), -1, np.int32)
    for place in np.unique(places).tolist():
        here = (places == place) & (local >= 0)
        used = np.unique(local[here])
        lookup = np.full(len(names) + 1, -1, np.int32)
        for number in used.tolist():
            lookup[number] = shards.setdefault((place, names[number]), len(shards))
        out[here] = lookup[local[here]]
    return out


def _line(error: Exception) -> str:
    return safe_text(str(error).splitlines()[0] if str(error) else type(error).__name__, 200)
