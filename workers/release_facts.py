"""JSON texts of a release, built column by column: the facts beside each member, and where a row came from.

The same facts give the same text. Values are those of backend.datasets.sql, arrays as PostgreSQL writes them ("{1,2}").
"""

import json

import pyarrow as pa
import pyarrow.compute as pc

DIGITS = 9


def object_key(number: int) -> str:
    """Name of an object's members in the shards."""
    return f"o{number:0{DIGITS}d}"


def candidate_key(number: int) -> str:
    """Name of a candidate's members in the shards."""
    return f"c{number:0{DIGITS}d}"


def keys(letter: str, numbers: pa.ChunkedArray) -> pa.ChunkedArray:
    """The same for a column of numbers."""
    padded = pc.utf8_lpad(pc.cast(numbers, pa.string()), DIGITS, "0")
    return pc.binary_join_element_wise(letter, padded, "")


def object_facts(objects: pa.Table) -> pa.ChunkedArray:
    """OBJECTKEY.json: what the members are, and what they hash to."""
    return json_objects(
        key=_quoted(keys("o", objects["id"])),
        **{name: text(objects[name]) for name in ("category", "licence", "attribution", "consent")},
        **{name: number(objects[name]) for name in ("width", "height")},
        **{
            f"{name}_sha256": _quoted(objects[column])
            for name, column in (
                ("image", "image"),
                ("original", "original"),
                ("mask", "mask"),
                ("pointmap",) * 2,
            )
        },
        pointmap_source=text(objects["pointmap_source"]),
        metric=number(objects["metric"]),
        camera=_or_null(objects["camera"]),
    )


def candidate_facts(candidates: pa.Table, *, with_fallback: bool) -> pa.ChunkedArray:
    """CANDIDATEKEY.json: who made it from which seed, and the pose it was proposed with (null where withheld)."""
    withheld = pc.and_(pc.equal(candidates["pointmap_source"], "fallback"), not with_fallback)
    pose = json_objects(**{name: array(candidates[name]) for name in "Rts"})
    return json_objects(
        key=_quoted(keys("c", candidates["id"])),
        object_key=_quoted(keys("o", candidates["object_id"])),
        **{
            name: text(candidates[name])
            for name in ("proposer", "checkpoint", "pointmap_source", "licence", "attribution")
        },
        **{name: number(candidates[name]) for name in ("seed", "triangles")},
        mesh_sha256=_quoted(candidates["mesh"]),
        proposed_pose=pc.if_else(withheld, "null", pose),
    )


def origin(candidates: pa.Table) -> pa.ChunkedArray:
    """Who made a candidate: proposer, checkpoint with the hash of its weights, job and seed."""
    return json_objects(
        candidate=_quoted(keys("c", candidates["id"])),
        proposer=text(candidates["proposer"]),
        checkpoint=text(candidates["checkpoint"]),
        weights_sha256=_quoted(candidates["weights"]),
        job=number(candidates["job"]),
        seed=number(candidates["seed"]),
    )


def provenance(
    rows: pa.Table, annotators: pa.ListArray, base: str | None, **meshes: pa.ChunkedArray
) -> pa.ChunkedArray:
    """Where rows came from: batch, assignment, alignment, people, the release that theirs builds on, and the origin of
    each mesh."""
    people = pc.binary_join(pc.cast(annotators, pa.list_(pa.string())), ", ")
    numbers = (name for name in ("assignment", "alignment") if name in rows.column_names)
    return json_objects(
        batch=text(rows["batch"]),
        **{name: number(rows[name]) for name in numbers},
        annotators=pc.binary_join_element_wise("[", people, "]", ""),
        base=json.dumps(base),
        **meshes,
    )


def json_objects(**columns: pa.ChunkedArray | str) -> pa.ChunkedArray:
    """One JSON object per row of columns that are JSON texts."""
    pieces: list[pa.ChunkedArray | str] = []
    for name, column in columns.items():
        pieces += [f', "{name}": ' if pieces else f'{{"{name}": ', column]
    return pc.binary_join_element_wise(*pieces, "}", "")


def text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Strings as JSON; each distinct one is escaped once."""
    coded = column.combine_chunks().dictionary_encode()
    escaped = [json.dumps(value, ensure_ascii=False) for value in coded.dictionary.to_pylist()]
    return _or_null(pa.chunked_array([pa.array(escaped, pa.string()).take(coded.indices)]))


def number(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Numbers and truth values as JSON."""
    return _or_null(pc.cast(column, pa.string()))


def array(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Arrays of numbers as JSON."""
    return _or_null(pc.binary_join_element_wise("[", pc.utf8_trim(column, "{}"), "]", ""))


def _quoted(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Keys and hashes, in which nothing has to be escaped."""
    return _or_null(pc.binary_join_element_wise('"', column, '"', ""))


def _or_null(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.fill_null(column, "null")
