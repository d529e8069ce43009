"""What every release says of itself: README.md (the card, with figures and pictures) and croissant.json."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from model_zoo.io import card, croissant
from workers.release_rows import SCHEMAS

TITLES = {
    "sft": "MITL-3DO and Art-3DO: samples",
    "dpo": "MITL-3DO and Art-3DO: preference pairs",
}
ABOUT = {
    "sft": "Accepted reconstructions of photographed objects: photo, mask, pointmap, mesh, pose and rating.",
    "dpo": "Preference pairs: for one photographed object, the mesh that was chosen and one that was rejected.",
}
MEANINGS = {
    **card.MEANINGS,
    "id": "of the row; no other row of this release or of those it builds on has it",
    "prompt": "key of the photographed object: its members are KEY.image.jpg (or .png), KEY.mask.png, ...",
    "object_key": "key of the photographed object: its members are KEY.image.jpg (or .png), KEY.mask.png, ...",
    "candidate_key": "key of the mesh: its members are KEY.mesh.glb and KEY.json",
    "split": "by the photo and its near-duplicates: none is on both sides, in this release or a later one",
    "cluster": "number that near-duplicate photos share; null: not looked at yet",
    "r": "rating in [0, 1] of the chosen mesh; 1 for an approved artist's; null where the batch asks for none",
    "alpha": "bar that a rating of the row's batch must reach, so that r >= alpha_k picks a stricter set",
    "weight": "probability that chosen is better than rejected, given all answers about the two",
    "data_set": "art3do where an artist made the (chosen) mesh, else mitl3do",
    "aesthetic": "true for an unhidden object in a bright, contrasty, colourful and sharp photo",
    "brightness": "of the photo",
    "contrast": "of the photo",
    "colourfulness": "of the photo",
    "sharpness": "of the photo",
    "batch": "batch in which the row was collected",
    "proposer": "what made the mesh",
    "checkpoint": "weights with which it was made",
    "seed": "with which it was made",
    "licence": "of the photo",
    "attribution": "whom to name for the photo",
    "consent": "what those shown in the photo agreed to, as given; empty: unknown",
    "provenance": "JSON: batch, assignment, people, the release that this one builds on, and for each mesh its candidate,"
    " proposer, checkpoint with the hash of its weights, job and seed",
    "mask_shard": "tar file below shards/ of member KEY.mask.png",
    "pointmap_shard": "tar file below shards/ of member KEY.pointmap.npz; null where there is none",
    "mesh_shard": "tar file below shards/ of member KEY.mesh.glb",
    "chosen_shard": "tar file below shards/ of member KEY.mesh.glb of the chosen mesh",
    "rejected_shard": "tar file below shards/ of member KEY.mesh.glb of the rejected mesh",
}
NOTES = (
    "Licence, attribution and consent are those of each photo and mesh: columns, and JSON members beside the files. A photo"
    " that was removed on request is in no later release; `index/removed.parquet` of an increment names the rows to drop.",
    "Poses apply to the GLB as delivered (y-up) in the OpenCV camera (x right, y down, z forward), metres where the"
    " pointmap is metric: p_cam = R diag(s) p_glb + t. Pointmaps are float32 (H, W, 3), NaN where there is no point.",
)
MANY = 3


def render(manifest: dict[str, Any], stats: dict[str, Any], pictures: dict[str, str]) -> str:
    """Markdown, the same for the same release."""
    kind = manifest["kind"]
    return card.render(
        TITLES[kind],
        ABOUT[kind],
        _facts(manifest),
        SCHEMAS[kind],
        stats=stats,
        pictures=pictures,
        notes=NOTES,
        meanings=MEANINGS,
        path="RELEASE",
    )


def _facts(manifest: dict[str, Any]) -> dict[str, object]:
    counts, filters = manifest["counts"], manifest["filters"]
    included = {True: "included", False: "left out"}
    facts: dict[str, object] = {
        "rows": f"{counts['rows']} of {counts['objects']} objects and {counts['candidates']} candidates",
        "as of": manifest["as_of"],
        "from people": counts.get("people", 0),
        "from simulated annotators": f"{counts.get('simulated', 0)} ({included[filters['include_simulated']]})",
        "collection": filters["collection"] or "shape and texture, mixed",
        "batches": ", ".join(manifest["batches"]),
        "lowest rating let through": filters["min_rating"],
        "train, validation": f"{counts.get('train', 0)}, {counts.get('validation', 0)}",
        "high aesthetics": f"{counts.get('aesthetic', 0)}{' (nothing else)' if filters['aesthetic'] else ''}",
        "layouts on fallback depth": included[filters["include_fallback_layout"]],
    }
    if manifest["kind"] == "dpo":
        facts["rejected meshes"] = "of our own models only" if filters["own_negatives"] else "of any proposer"
    if lineage := manifest.get("lineage"):
        reasons = {
            name.removeprefix("removed: "): n for name, n in counts.items() if name.startswith("removed: ")
        }
        why = "".join(f"; {name}: {count}" for name, count in reasons.items())
        facts["builds on"] = (
            f"{lineage['base']['id']} (sha256 {lineage['base']['hash']}): adds {lineage['added']} rows and takes back"
            f' {lineage["removed"]}{why}. Read together: DataSet("RELEASE", base=[...])'
        )
    return facts


def metadata(manifest: dict[str, Any], stats: dict[str, Any]) -> str:
    """croissant.json of the files that the manifest lists."""
    kind = manifest["kind"]
    licences = {name for column in ("licence", "mesh_licence") for name in stats["counts"].get(column, {})}
    named = sorted(licences - {"unknown"})
    facts = croissant.describe(
        manifest,
        SCHEMAS[kind],
        name=f"{kind}-{manifest['filters']['collection'] or 'mixed'}",
        description=ABOUT[kind],
        licence=", ".join(named) if 0 < len(named) <= MANY else "see the columns of the licences, row by row",
        published=manifest["as_of"][:10],
        meanings=MEANINGS,
    )
    return croissant.text(facts)


def statistics(folder: Path, schema: pa.Schema) -> dict[str, Any]:
    """Counts of an index, in constant memory."""
    wanted = [name for name in (*card.COUNTED, *card.MEASURED) if name in schema.names]

    def batches() -> Iterator[pa.RecordBatch]:
        for part in sorted((folder / "index").glob("part-*.parquet")):
            with pq.ParquetFile(part) as index:
                yield from index.iter_batches(columns=wanted)

    return card.statistics(batches())
