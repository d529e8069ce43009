"""The card (README.md) of a data set or release: what it holds, in figures and pictures, and the lines that load it.

`statistics` counts the index in constant memory; `render` is a pure function of plain dicts: the same facts give the
same text, without a clock or a path.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

COUNTED = (
    "split", "data_set", "category", "licence", "mesh_licence", "consent", "role", "simulated", "aesthetic",
    "pointmap_source", "proposer",
)  # fmt: skip
SHARES = [0, 0.1, 0.25, 0.5, 0.75, 0.9, 1]
# Column: edges of its histogram.
MEASURED = {
    "r": [0, 0.2, 0.4, 0.6, 0.8, 0.9, 1],
    "weight": [0, 0.25, 0.5, 0.75, 1],
    "visible": SHARES,
    "occluded": SHARES,
    "mask_share": [0, 0.002, 0.01, 0.05, 0.2, 1],
    "triangles": [0, 100, 1_000, 10_000, 50_000, 100_000, 1_000_000],
}
LENGTHS = [0, 2**15, 2**16, 2**17, 2**18, 2**19, 2**20, 2**22]
SHOWN = 20
MEANINGS = {
    "id": "key of the sample: its members are KEY.image.jpg, KEY.mask.png, KEY.json, ... in the shard",
    "shard": "tar file below shards/ that holds the sample and its shape",
    "offset": "first byte of the sample in the shard, tar headers included",
    "length": "bytes of the whole sample, tar headers and padding included: one read gets all members",
    "sha256": "of those bytes",
    "shape_id": "key of the sample's shape: mesh.glb, occupancy.png, json, in the same shard",
    "shape_offset": "first byte of the shape in the shard",
    "shape_length": "bytes of the whole shape",
    "shape_sha256": "of those bytes",
    "split": "by the hashes of photo and mesh and by their near twins: nothing is on both sides; none belongs to neither",
    "r": "rating in [0, 1]; 1 for an approved artist's mesh; null where nobody rated",
    "category": "what the object is",
    "licence": "of the photo (of the mesh where there is no photo)",
    "attribution": "whom to name for it",
    "mesh_licence": "of the mesh",
    "mesh_attribution": "whom to name for the mesh",
    "mesh_sha256": "of the mesh file as it came",
    "photo_sha256": "of the photo as it came; null where there is none",
    "provenance": "JSON: how the row came to be",
    "image_shard": "tar file below shards/ of member KEY.image.jpg (or .png); likewise mask, pointmap, meshes",
    "image_offset": "first byte of the member itself",
    "image_length": "bytes of the member",
    "image_sha256": "of the member",
    "R": "rotation, 3 x 3 by rows: p_cam = R diag(s) p_glb + t; null where the pose is unknown",
    "t": "translation, in the pointmap's units",
    "s": "scale, three numbers",
    "simulated": "true where a simulation, not a person, answered",
    "pointmap_source": "sensor, render, model or fallback (a geometric guess)",
    "annotators": "account numbers of the people (or simulations) behind the row",
    "weight": "weight of the pair in training",
    "prompt": "key of the photographed object",
    "chosen": "key of the preferred mesh",
    "rejected": "key of the mesh that it was preferred to",
    "view": "number of the view",
    "opening": "angle that the longer side of the picture sees, in degrees",
    "distance": "from the camera to the centre of the mesh, in its longest sides",
    "mask_share": "part of the picture that the mask covers",
    "visible": "visible part of the object's own pixels",
    "occluded": "part of the object's outline that something nearer hides",
    "supported": "part of the object's lowest tenth before which the background is nearer: it stands on something",
    "draws": "how many meshes and rotations were tried until one was kept",
    "role": "whether the target is hidden in part (target) or the other one is (occluder)",
    "other_sha256": "of the other mesh in the picture",
    "other_licence": "of the other mesh",
    "other_attribution": "whom to name for it",
    "instance": "the object of the photo in whose place it stands",
    "triangles": "of the mesh",
    "volume": "share of the shape's voxels that are full",
    "normal_spread": "how much the normals vary: 0 for a sheet, 2/3 for a ball",
    "stray_area": "share of the surface that lies off the main structure",
    "stray_extent": "by how much the longest side would shrink without that",
    "see_through": "share of the surface that is transparent, which the pictures do not show",
}
LOAD = {
    "this project's loader (exact shuffle, filters, ranks, resume)": """\
from model_zoo.data.reader import DataSet
data = DataSet("{path}", where="split == 'train'")
sample = data.sample(0)
print(len(data), sample.rgb().shape)""",
    "datasets (the index)": """\
from datasets import load_dataset
rows = load_dataset("parquet", data_files="{path}/index/part-*.parquet", split="train")
print(rows[0])""",
    "webdataset (the shards, in order)": """\
import glob, webdataset
members = webdataset.WebDataset(sorted(glob.glob("{path}/shards/*.tar")), shardshuffle=False)
print(next(iter(members)).keys())""",
    "nothing but Python": """\
import glob, tarfile
with tarfile.open(sorted(glob.glob("{path}/shards/*.tar"))[0]) as shard:
    print(shard.next().name)""",
}


def statistics(index: Iterable[pa.RecordBatch | pa.Table]) -> dict[str, Any]:
    """Counts of an index: {"rows", "counts": {column: {value: rows}}, "histograms": {column: {edges, counts, unknown}}}.

    Columns that an index lacks are left out. Give it batches (pyarrow.parquet.ParquetFile.iter_batches).
    """
    rows, counts, sizes = 0, {}, {}
    for batch in index:
        rows += batch.num_rows
        for name in COUNTED:
            if name in batch.schema.names:
                for pair in pc.value_counts(batch.column(name)).to_pylist():
                    counts.setdefault(name, Counter())[_word(pair["values"])] += pair["counts"]
        for name, edges in {**MEASURED, "length": LENGTHS}.items():
            if name in batch.schema.names:
                seen = sizes.setdefault(
                    name, {"edges": edges, "counts": [0] * (len(edges) - 1), "unknown": 0}
                )
                _measure(batch.column(name), seen)
    ordered = {name: dict(sorted(c.items(), key=lambda kv: (-kv[1], kv[0]))) for name, c in counts.items()}
    return {"rows": rows, "counts": ordered, "histograms": sizes}


def _word(value: Any) -> str:
    if value is None or value == "":
        return "unknown"
    return {True: "yes", False: "no"}.get(value, str(value)) if isinstance(value, bool) else str(value)


def _measure(column: pa.Array | pa.ChunkedArray, seen: dict[str, Any]) -> None:
    """Add a column's values to a histogram; the last bin includes its right edge and all beyond."""
    seen["unknown"] += column.null_count
    values = column.drop_null()
    for number, low in enumerate(seen["edges"][:-1]):
        inside = pc.greater_equal(values, low)
        if number + 2 < len(seen["edges"]):
            inside = pc.and_(inside, pc.less(values, seen["edges"][number + 1]))
        seen["counts"][number] += pc.sum(inside).as_py() or 0


def render(
    title: str,
    about: str,
    facts: Mapping[str, object],
    schema: pa.Schema,
    *,
    stats: Mapping[str, Any] | None = None,
    pictures: Mapping[str, str] | None = None,
    refused: Mapping[str, int] | None = None,
    notes: Sequence[str] = (),
    meanings: Mapping[str, str] = MEANINGS,
    path: str = "DATA",
) -> str:
    """Markdown of a card.

    facts: line by line under the first sentence. schema: of the index. stats: of `statistics`. pictures: relative path
    to caption. refused: reason to count. notes: paragraphs on licence, consent and what is simulated or rendered.
    meanings: what columns mean. path: what stands for the folder in the lines that load it.
    """
    parts = [
        f"# {_line(title)}",
        about,
        "\n".join(f"- {name}: {_line(value)}" for name, value in facts.items()),
    ]
    if pictures:
        parts += ["## Pictures", *(f"![{_cell(text)}]({name})\n\n{text}" for name, text in pictures.items())]
    if notes:
        parts += ["## Licence, consent, and what is not a photograph", *notes]
    if stats:
        parts += ["## Figures", *_figures(stats)]
    if refused:
        parts += [
            "## Refused",
            _table(("reason", "how many"), sorted(refused.items(), key=lambda kv: (-kv[1], kv[0]))),
        ]
    parts += ["## Load it"]
    for name, lines in LOAD.items():
        parts += [f"With {name}:", f"```python\n{lines.format(path=path)}\n```"]
    columns = [(field.name, str(field.type), meanings.get(field.name, "")) for field in schema]
    parts += ["## Columns of index/", _table(("column", "type", "meaning"), columns)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _figures(stats: Mapping[str, Any]) -> list[str]:
    parts = [f"{stats['rows']} rows."]
    for name, counts in stats["counts"].items():
        shown = list(counts.items())[:SHOWN]
        if len(counts) > SHOWN:
            shown.append((f"{len(counts) - SHOWN} others", sum(list(counts.values())[SHOWN:])))
        parts.append(_table((name, "rows"), shown))
    for name, found in stats["histograms"].items():
        if not any(found["counts"]):
            continue
        bins = zip(found["edges"], found["edges"][1:], found["counts"], strict=False)
        lines = [(f"{low:,} to {high:,}", count) for low, high, count in bins]
        lines += [("unknown", found["unknown"])] if found["unknown"] else []
        parts.append(_table((name, "rows"), lines))
    return parts


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(_cell(value) for value in line) + " |" for line in lines)


def _line(value: object) -> str:
    """One line that starts no heading and no tag."""
    return " ".join(str(value).split()).replace("<", "&lt;")


def _cell(value: object) -> str:
    return _line(value).replace("|", "\\|")
