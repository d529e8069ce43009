"""What a release's index says: columns and rows, as tables of Arrow. Pure functions of what
backend.datasets.services.Snapshot copies out and of the places that workers/release_members.py wrote the members to."""

from collections import Counter
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from workers.release_facts import keys, origin, provenance

Types = dict[str, pa.DataType]
PLACE: Types = {"shard": pa.string(), "offset": pa.int64(), "length": pa.int64(), "sha256": pa.string()}
OBJECT_MEMBERS = ("image", "mask", "pointmap")

# What is copied out of the database, by column; arrays come as text.
OBJECTS: Types = {
    "id": pa.int64(), "category": pa.string(), "licence": pa.string(), "attribution": pa.string(), "consent": pa.string(),
    "cluster": pa.int64(), "split": pa.string(), "aesthetic": pa.bool_(), "brightness": pa.float64(),
    "contrast": pa.float64(), "colourfulness": pa.float64(), "sharpness": pa.float64(), "image": pa.string(),
    "image_size": pa.int64(), "image_type": pa.string(), "mask": pa.string(), "mask_size": pa.int64(),
    "pointmap_id": pa.int64(), "pointmap": pa.string(), "pointmap_size": pa.int64(), "pointmap_source": pa.string(),
    "metric": pa.bool_(), "camera": pa.string(), "width": pa.int64(), "height": pa.int64(), "original": pa.string(),
}  # fmt: skip
CANDIDATES: Types = {
    "id": pa.int64(), "object_id": pa.int64(), "seed": pa.int64(), "proposer": pa.string(), "checkpoint": pa.string(),
    "mesh": pa.string(), "mesh_size": pa.int64(), "licence": pa.string(), "attribution": pa.string(),
    "data_set": pa.string(), "job": pa.int64(), "weights": pa.string(), "triangles": pa.int64(),
    "R": pa.string(), "t": pa.string(), "s": pa.string(), "pointmap_source": pa.string(),
}  # fmt: skip
_ROWS: Types = {
    "number": pa.int64(), "object_id": pa.int64(), "r": pa.float64(), "alpha": pa.float64(), "simulated": pa.bool_(),
    "batch": pa.string(), "person": pa.int64(), "assignment": pa.int64(), "created": pa.float64(),
}  # fmt: skip
ROWS: dict[str, Types] = {
    "sft": {
        **_ROWS, "candidate_id": pa.int64(), "R": pa.string(), "t": pa.string(), "s": pa.string(),
        "placed_on": pa.string(), "placed_pointmap": pa.int64(), "alignment": pa.int64(), "aligner": pa.int64(),
    },
    "dpo": {**_ROWS, "chosen_id": pa.int64(), "rejected_id": pa.int64(), "weight": pa.float64()},
}  # fmt: skip
REMOVED: Types = {"id": pa.int64(), "reason": pa.string()}


def _places(*names: str) -> Types:
    return {f"{name}_{part}": kind for name in names for part, kind in PLACE.items()}


_ORIGIN: Types = {"proposer": pa.string(), "checkpoint": pa.string(), "seed": pa.int64()}
_MESH: Types = {"licence": pa.string(), "attribution": pa.string()}
_FLOATS = pa.list_(pa.float64())
_COMMON: Types = {
    "r": pa.float64(),
    "alpha": pa.float64(),
    "category": pa.string(),
    "split": pa.string(),
    "cluster": pa.int64(),
    "data_set": pa.string(),
    "aesthetic": pa.bool_(),
    "brightness": pa.float64(),
    "contrast": pa.float64(),
    "colourfulness": pa.float64(),
    "sharpness": pa.float64(),
    "simulated": pa.bool_(),
    "pointmap_source": pa.string(),
    "annotators": pa.list_(pa.int64()),
    "batch": pa.string(),
    "licence": pa.string(),
    "attribution": pa.string(),
    "consent": pa.string(),
    "provenance": pa.string(),
}
OF_OBJECT = (
    "category", "split", "cluster", "aesthetic", "brightness", "contrast", "colourfulness", "sharpness", "pointmap_source",
    "licence", "attribution", "consent", *_places(*OBJECT_MEMBERS),
)  # fmt: skip
MESHES = {"sft": ("mesh",), "dpo": ("chosen", "rejected")}
SCHEMAS = {
    "sft": pa.schema(
        {
            "id": pa.string(), "sample_id": pa.int64(), "object_key": pa.string(), "candidate_key": pa.string(),
            **_places(*OBJECT_MEMBERS, "mesh"), "R": _FLOATS, "t": _FLOATS, "s": _FLOATS, **_ORIGIN,
            **{f"mesh_{name}": kind for name, kind in _MESH.items()}, **_COMMON,
        }
    ),
    "dpo": pa.schema(
        {
            "id": pa.string(), "pair_id": pa.int64(), "prompt": pa.string(), "chosen": pa.string(),
            "rejected": pa.string(), **_places(*OBJECT_MEMBERS, "chosen", "rejected"), "weight": pa.float64(),
            **{f"{side}_{name}": kind for side in MESHES["dpo"] for name, kind in {**_ORIGIN, **_MESH}.items()}, **_COMMON,
        }
    ),
}  # fmt: skip
# Columns in which nearly every row has a value of its own.
UNIQUE = {
    "id", "sample_id", "pair_id", "candidate_key", "rejected", "rejected_sha256", "provenance",
    *(name for schema in SCHEMAS.values() for name in schema.names if name.endswith("_offset")),
}  # fmt: skip
GONE = pa.schema({"id": pa.string(), "reason": pa.string()})
ID_LETTER = {"sft": "s", "dpo": "p"}


def removed_rows(kind: str, found: pa.Table) -> pa.Table:
    """Rows of index/removed.parquet."""
    return pa.table([keys(ID_LETTER[kind], found["id"]), found["reason"]], schema=GONE)


@dataclass
class RowMaker:
    """Rows of one release; counts what goes by. `fallback`: also give layouts that were placed on fallback depth.
    `base`: the uid of the release that this one builds on."""

    kind: str
    fallback: bool
    base: str | None = None
    counts: Counter[str] = field(default_factory=Counter)
    created: float = 0

    def table(self, found: pa.Table, objects: pa.Table, candidates: pa.Table) -> pa.Table:
        """Index rows of some objects. `objects` and `candidates` have the places of their members; all of `found`'s are
        in them."""
        target = objects.take(positions(objects["id"], found["object_id"]))
        candidates = candidates.append_column("origin", origin(candidates))
        columns = {name: target[name] for name in OF_OBJECT}
        columns |= {name: found[name] for name in ("r", "alpha", "simulated", "batch")}
        columns["annotators"] = people = annotators(found)
        columns["id"] = keys(ID_LETTER[self.kind], found["number"])
        columns |= (
            self._sample(found, people, target, candidates)
            if self.kind == "sft"
            else self._pair(found, people, candidates)
        )
        self.created = max(self.created, pc.max(found["created"]).as_py() or 0)
        for name in ("split", "data_set"):
            self._count(columns[name])
        self._count(pc.if_else(found["simulated"], "simulated", "people"))
        self.counts["aesthetic"] += pc.sum(target["aesthetic"]).as_py() or 0
        schema = SCHEMAS[self.kind]
        return pa.table([columns[name] for name in schema.names], schema=schema)

    def _count(self, values: pa.ChunkedArray) -> None:
        for row in pc.value_counts(values).to_pylist():
            self.counts[row["values"]] += row["counts"]

    def _sample(
        self, found: pa.Table, people: pa.Array, target: pa.Table, candidates: pa.Table
    ) -> dict[str, pa.ChunkedArray]:
        mesh = candidates.take(positions(candidates["id"], found["candidate_id"]))
        return {
            "sample_id": found["number"],
            "object_key": keys("o", found["object_id"]),
            "candidate_key": keys("c", found["candidate_id"]),
            **{f"mesh_{name}": mesh[f"mesh_{name}"] for name in PLACE},
            **{name: mesh[name] for name in _ORIGIN},
            **{f"mesh_{name}": mesh[name] for name in _MESH},
            **self._layout(found, target),
            "data_set": mesh["data_set"],
            "provenance": provenance(found, people, self.base, mesh=mesh["origin"]),
        }

    def _layout(self, found: pa.Table, target: pa.Table) -> dict[str, pa.ChunkedArray]:
        """The pose, or nulls: nobody aligned it, it stands on fallback depth, or on another pointmap than the member."""
        withheld = pc.and_(pc.equal(found["placed_on"], "fallback"), not self.fallback)
        same = pc.fill_null(pc.equal(found["placed_pointmap"], target["pointmap_id"]), False)
        names = ("without_layout", "fallback_layouts_withheld", "other_pointmap_layouts_withheld")
        conditions = (pc.is_null(found["R"]), withheld, pc.invert(same))
        what = pc.case_when(pc.make_struct(*conditions, field_names=names), *names, "layouts")
        self._count(what)
        given = pc.equal(what, "layouts")
        return {name: floats(pc.if_else(given, found[name], pa.scalar(None, pa.string()))) for name in "Rts"}

    def _pair(self, found: pa.Table, people: pa.Array, candidates: pa.Table) -> dict[str, pa.ChunkedArray]:
        made = {
            "pair_id": found["number"],
            "prompt": keys("o", found["object_id"]),
            "weight": found["weight"],
        }
        origins = {}
        for side in MESHES["dpo"]:
            mesh = candidates.take(positions(candidates["id"], found[f"{side}_id"]))
            made[side] = keys("c", found[f"{side}_id"])
            made |= {f"{side}_{name}": mesh[f"mesh_{name}"] for name in PLACE}
            made |= {f"{side}_{name}": mesh[name] for name in (*_ORIGIN, *_MESH)}
            origins[side] = mesh["origin"]
            if side == "chosen":
                made["data_set"] = mesh["data_set"]
        return {**made, "provenance": provenance(found, people, self.base, **origins)}


def positions(ids: pa.ChunkedArray, wanted: pa.ChunkedArray) -> np.ndarray:
    """Where each wanted number stands in `ids`, in which it is; KeyError names one that is not."""
    have, want = ids.to_numpy(), wanted.to_numpy()
    order = np.argsort(have, kind="stable")
    found = order[np.minimum(np.searchsorted(have, want, sorter=order), len(have) - 1)] if len(have) else want
    if len(have) == 0 or (wrong := have[found] != want).any():
        raise KeyError(int(want[0] if len(have) == 0 else want[wrong.argmax()]))
    return found


def annotators(found: pa.Table) -> pa.Array:
    """The people behind each row, ascending: who compared, and who aligned when that was somebody else."""
    person = found["person"].to_numpy()
    if "aligner" not in found.column_names:
        return pa.ListArray.from_arrays(np.arange(len(person) + 1, dtype=np.int32), person)
    aligner = pc.coalesce(found["aligner"], found["person"]).to_numpy()
    both = np.sort(np.stack([person, aligner], axis=1), axis=1)
    kept = np.stack([np.ones(len(person), bool), person != aligner], axis=1)
    ends = np.concatenate([[0], np.cumsum(kept.sum(axis=1))]).astype(np.int32)
    return pa.ListArray.from_arrays(ends, both[kept])


def floats(text: pa.ChunkedArray) -> pa.ChunkedArray:
    """Arrays as PostgreSQL writes them ("{1,2}") -> lists of float64."""
    return pc.cast(pc.split_pattern(pc.utf8_trim(text, "{}"), ","), _FLOATS)
