"""What a release's index says: columns, rows and the facts beside each member. Pure functions of the rows that
backend.datasets.services.Snapshot gives."""

import json
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

VALIDATION_SHARE = 10  # one photo in ten
SPLITS = ("train", "validation")
PLACE = (("shard", pa.string()), ("offset", pa.int64()), ("length", pa.int64()))


def _places(*names: str) -> list[tuple[str, pa.DataType]]:
    return [(f"{name}_{part}", kind) for name in names for part, kind in PLACE]


_COMMON = [
    ("category", pa.string()),
    ("split", pa.string()),
    ("simulated", pa.bool_()),
    ("pointmap_source", pa.string()),
    ("annotators", pa.list_(pa.int64())),
    ("licence", pa.string()),
    ("attribution", pa.string()),
    ("batch", pa.string()),
]
SCHEMAS = {
    "sft": pa.schema(
        [
            ("sample_id", pa.int64()),
            ("object_key", pa.string()),
            ("candidate_key", pa.string()),
            *_places("image", "mask", "pointmap", "mesh"),
            ("R", pa.list_(pa.float64())),
            ("t", pa.list_(pa.float64())),
            ("s", pa.list_(pa.float64())),
            ("r", pa.float64()),
            ("proposer", pa.string()),
            ("checkpoint", pa.string()),
            ("seed", pa.int64()),
            ("mesh_licence", pa.string()),
            *_COMMON,
        ]
    ),
    "dpo": pa.schema(
        [
            ("pair_id", pa.int64()),
            ("prompt", pa.string()),
            ("chosen", pa.string()),
            ("rejected", pa.string()),
            *_places("image", "mask", "pointmap", "chosen", "rejected"),
            ("weight", pa.float64()),
            ("r", pa.float64()),
            *((f"{side}_{name}", kind) for side in ("chosen", "rejected")
              for name, kind in (("proposer", pa.string()), ("checkpoint", pa.string()), ("seed", pa.int64()))),
            *_COMMON,
        ]
    ),
}  # fmt: skip


def object_key(number: int) -> str:
    """Name of an object's members in the shards."""
    return f"o{number:09d}"


def candidate_key(number: int) -> str:
    """Name of a candidate's members in the shards."""
    return f"c{number:09d}"


def split_of(image_sha256: str) -> str:
    """train or validation by the photo's hash, so that no photo is on both sides, in this release or a later one."""
    return SPLITS[int(image_sha256[:8], 16) % VALIDATION_SHARE == 0]


def facts_json(**facts: Any) -> bytes:
    """A JSON member: sorted, so that the same facts are the same bytes."""
    return (json.dumps(facts, sort_keys=True, ensure_ascii=False) + "\n").encode()


def object_facts(target: Any) -> bytes:
    """OBJECTKEY.json: what the members are, and what they hash to."""
    return facts_json(
        key=object_key(target.id),
        category=target.category,
        width=target.width,
        height=target.height,
        image_sha256=target.image,
        original_sha256=target.original,
        mask_sha256=target.mask,
        pointmap_sha256=target.pointmap,
        pointmap_source=target.pointmap_source,
        metric=target.metric,
        camera=target.camera,
        licence=target.licence,
        attribution=target.attribution,
    )


def candidate_facts(candidate: Any, *, with_pose: bool) -> bytes:
    """CANDIDATEKEY.json: who made it from which seed, and the pose it was proposed with (null where withheld)."""
    return facts_json(
        key=candidate_key(candidate.id),
        object_key=object_key(candidate.object_id),
        proposer=candidate.proposer,
        checkpoint=candidate.checkpoint,
        seed=candidate.seed,
        triangles=candidate.triangles,
        mesh_sha256=candidate.mesh,
        proposed_pose={"R": candidate.R, "t": candidate.t, "s": candidate.s} if with_pose else None,
        pointmap_source=candidate.pointmap_source,
        licence=candidate.licence,
        attribution=candidate.attribution,
    )


@dataclass
class RowMaker:
    """Rows of one release; counts what goes by. `fallback`: also give layouts that were placed on fallback depth."""

    kind: str
    fallback: bool
    counts: Counter[str] = field(default_factory=Counter)
    created: float = 0

    def rows(
        self,
        target: Any,
        places: dict[str, Any],
        candidates: dict[int, tuple[Any, dict[str, Any]]],
        found: list[Any],
    ) -> Any:
        """Index rows of one object. `places`: columns of the object's members; `candidates`: id to (row, mesh place)."""
        common = {
            **places,
            "category": target.category,
            "split": split_of(target.original),
            "pointmap_source": target.pointmap_source,
            "licence": target.licence,
            "attribution": target.attribution,
        }
        make = self._sample if self.kind == "sft" else self._pair
        for row in found:
            self.counts["simulated" if row.simulated else "people"] += 1
            self.counts[common["split"]] += 1
            self.created = max(self.created, row.created)
            yield {**common, "simulated": row.simulated, "batch": row.batch, **make(row, target, candidates)}

    def _sample(
        self, row: Any, target: Any, candidates: dict[int, tuple[Any, dict[str, Any]]]
    ) -> dict[str, Any]:
        candidate, place = candidates[row.candidate_id]
        pose = self._layout(row, target)
        return {
            "sample_id": row.id,
            "object_key": object_key(row.object_id),
            "candidate_key": candidate_key(row.candidate_id),
            **{f"mesh_{part}": value for part, value in place.items()},
            **pose,
            "r": row.r,
            "proposer": candidate.proposer,
            "checkpoint": candidate.checkpoint,
            "seed": candidate.seed,
            "mesh_licence": candidate.licence,
            "annotators": sorted({row.user_id, row.by_id} - {None}),
        }

    def _layout(self, row: Any, target: Any) -> dict[str, Any]:
        """The pose, or nulls: nobody aligned it, it stands on fallback depth, or on another pointmap than the member."""
        if row.R is None:
            self.counts["without_layout"] += 1
        elif row.pointmap_source == "fallback" and not self.fallback:
            self.counts["fallback_layouts_withheld"] += 1
        elif row.pointmap_id != target.pointmap_id:
            self.counts["other_pointmap_layouts_withheld"] += 1
        else:
            self.counts["layouts"] += 1
            return {"R": row.R, "t": row.t, "s": row.s}
        return {"R": None, "t": None, "s": None}

    def _pair(
        self, row: Any, target: Any, candidates: dict[int, tuple[Any, dict[str, Any]]]
    ) -> dict[str, Any]:
        made = {
            "pair_id": row.id,
            "prompt": object_key(row.object_id),
            "chosen": candidate_key(row.chosen_id),
            "rejected": candidate_key(row.rejected_id),
            "weight": row.weight,
            "r": row.r,
            "annotators": [row.user_id],
        }
        for side, number in (("chosen", row.chosen_id), ("rejected", row.rejected_id)):
            candidate, place = candidates[number]
            made |= {f"{side}_{part}": value for part, value in place.items()}
            made[f"{side}_proposer"] = candidate.proposer
            made[f"{side}_checkpoint"] = candidate.checkpoint
            made[f"{side}_seed"] = candidate.seed
        return made
