"""The README.md inside every release: what it holds, what was left out, what its columns mean, how to load it."""

from typing import Any

import pyarrow as pa

from backend.datasets.services import loading_lines

KINDS = {
    "sft": "accepted reconstructions: photo, mask, pointmap, mesh, pose and rating",
    "dpo": "preference pairs: for one object, the mesh that was chosen and one that was rejected",
}
MEANINGS = {
    "image_shard": "member OBJECTKEY.image.jpg (or .png): tar file below shards/, byte offset and length (likewise mask, pointmap, meshes)",
    "R": "layout p_cam = R diag(s) p_glb + t, row-major 3 x 3; null where nobody placed it, or on fallback depth",
    "r": "rating in [0, 1] by the annotator; 1 for an approved artist's mesh",
    "split": "by the photo's hash: one photo is never in both",
    "simulated": "true where an answer behind the row was simulated, not a person's",
    "pointmap_source": "sensor, render, model or fallback (a geometric guess)",
    "annotators": "account numbers of the people (or simulations) behind the row",
    "weight": "weight of the pair in training",
}


def render(manifest: dict[str, Any], schema: pa.Schema) -> str:
    """Markdown, the same for the same manifest."""
    kind, counts, filters = manifest["kind"], manifest["counts"], manifest["filters"]
    simulated = counts.get("simulated", 0)
    lines = loading_lines("RELEASE")
    columns = "\n".join(
        f"| {field.name} | {field.type} | {MEANINGS.get(field.name, '')} |" for field in schema
    )
    return f"""# Release {kind}

{KINDS[kind][0].upper()}{KINDS[kind][1:]}.

- {counts["rows"]} rows of {counts["objects"]} objects and {counts["candidates"]} candidates, as of {manifest["as_of"]}
- from people: {counts.get("people", 0)}; from simulated annotators: {simulated}{"" if filters["include_simulated"] else " (left out)"}
- batches: {", ".join(manifest["batches"])}; lowest rating let through: {filters["min_rating"]}
- layouts on fallback depth: {"included" if filters["include_fallback_layout"] else "left out"}
- train {counts.get("train", 0)}, validation {counts.get("validation", 0)}

Licence and attribution are those of each photo and mesh: columns and JSON members.

Poses apply to the GLB as delivered (y-up) in the OpenCV camera (x right, y down, z forward), metres where the pointmap
is metric. Pointmaps are float32 (H, W, 3), NaN where there is no point.

## Load it

```python
{lines["datasets"]}
```

```python
{lines["webdataset"]}
```

## Columns of index/

| column | type | meaning |
| --- | --- | --- |
{columns}
"""
