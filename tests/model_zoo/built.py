"""Small built data sets (Iso-3DO, RP-3DO) in the layout of model_zoo.build: spans of whole samples, shapes beside them."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from model_zoo.build import encode
from model_zoo.io.glb_writer import export_glb
from model_zoo.io.index_writer import IndexWriter
from model_zoo.io.shards import ShardWriter, file_sha256, span_of
from tests.model_zoo.releases import targets

SCHEMA = pa.schema(
    [("id", pa.string()), ("shard", pa.string()), ("offset", pa.int64()), ("length", pa.int64()), ("sha256", pa.string()),
     ("shape_id", pa.string()), ("shape_offset", pa.int64()), ("shape_length", pa.int64()), ("shape_sha256", pa.string()),
     ("split", pa.string()), ("r", pa.float64()), ("category", pa.string()), ("licence", pa.string()),
     ("triangles", pa.int64()), ("provenance", pa.string())]
)  # fmt: skip
Entry = tuple[str, dict[str, bytes], str, dict[str, bytes], dict[str, Any]]


def write_set(
    folder: Path,
    entries: list[Entry],
    variant: str = "iso3do",
    *,
    shard_bytes: int = 2**19,
    part_rows: int = 10**6,
) -> Path:
    """A data set of (key, members, shape key, shape members, columns)."""
    rows = []
    with ShardWriter(folder / "shards", shard_bytes, prefix=variant) as shards:
        shapes: dict[tuple[str, str], dict[str, Any]] = {}

        def put(key: str, members: dict[str, bytes]) -> dict[str, Any]:
            digest = hashlib.sha256()
            written = shards.write(key, members)
            offset, length = span_of(written)
            return {"shard": written[0]["shard"], "offset": offset, "length": length, "sha256": digest}

        for key, members, shape_key, shape_members, columns in entries:
            at = (shards.name, shape_key)
            if at not in shapes:
                place = put(shape_key, shape_members)
                shapes[place["shard"], shape_key] = place
            place = put(key, members)
            if (place["shard"], shape_key) not in shapes:  # the sample opened the next shard
                shapes[place["shard"], shape_key] = put(shape_key, shape_members)
            shape = shapes[place["shard"], shape_key]
            found = {f"shape_{n}": shape[n] for n in ("offset", "length")}
            rows.append({"id": key, **place, "shape_id": shape_key, **found, **columns})
    for row in rows:
        with (folder / "shards" / row["shard"]).open("rb") as shard:
            for prefix in ("", "shape_"):
                shard.seek(row[f"{prefix}offset"])
                row[f"{prefix}sha256"] = hashlib.sha256(shard.read(row[f"{prefix}length"])).hexdigest()
    (folder / "index").mkdir()
    for number, start in enumerate(range(0, len(rows), part_rows)):
        with IndexWriter(folder / "index" / f"part-{number:05d}.parquet", SCHEMA, 1000) as index:
            index.write_rows(rows[start : start + part_rows])
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    files = [
        {"name": str(path.relative_to(folder)), "size": path.stat().st_size, "sha256": file_sha256(path)}
        for path in paths
    ]
    manifest = {
        "format": "maquette-data/1",
        "kind": variant,
        "id": f"{variant}-test",
        "hash": "1" * 64,
        "files": files,
    }
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


def plain_set(folder: Path, count: int = 60, *, size: int = 3000, **how: Any) -> Path:
    """Rows of random bytes that no one decodes: member "data.bin" begins with the number of the row."""
    rng = np.random.default_rng(0)
    entries = [
        (f"k{n:05d}", {"data.bin": n.to_bytes(4, "little") + rng.bytes(size), "json": encode.facts(n=n)},
         f"m{n // 4:05d}", {"json": encode.facts(shape=n // 4)},
         {"split": "validation" if n % 10 == 0 else "train", "r": n / count, "category": ("mug", "chair")[n % 2],
          "licence": "CC0", "triangles": n, "provenance": "{}"})
        for n in range(count)
    ]  # fmt: skip
    return write_set(folder, entries, **{"shard_bytes": 60_000, **how})


def rendered_set(folder: Path, variant: str = "iso3do", count: int = 4, split: str = "train") -> Path:
    """Pictures of composed objects as a variant has them; the pose is that of the canonical mesh."""
    entries, grids = [], {}
    for n, (target, shape) in enumerate(targets(count)):
        low, high = shape.mesh.bounds
        centre, side = (low + high) / 2, float((high - low).max())
        mesh = shape.mesh.copy()
        mesh.apply_translation(-centre)
        mesh.apply_scale(1 / side)
        pose = target.pose
        stored = {
            "R": pose.R.tolist(),
            "t": (pose.R @ (pose.s * centre) + pose.t).tolist(),
            "s": (pose.s * side).tolist(),
        }
        depth, span = encode.depth_png(target.pointmap[..., 2])
        members = {"image.jpg": encode.jpeg(target.rgb), "mask.png": encode.mask_png(target.mask)}
        if variant != "rp3do-fo":
            members["depth.png"] = depth
        K = camera_of(target.pointmap)
        members["json"] = encode.facts(**stored, **span, K=K.tolist())
        if shape.family not in grids:
            coarse = shape.occupancy
            fine = (
                coarse.repeat(64 // len(coarse), 0).repeat(64 // len(coarse), 1).repeat(64 // len(coarse), 2)
            )
            grids[shape.family] = encode.occupancy_bytes(fine)
        key = f"m{hashlib.sha256(shape.family.encode()).hexdigest()[:16]}"
        shape_members = {
            "mesh.glb": export_glb(mesh),
            "occupancy.png": grids[shape.family],
            "json": encode.facts(side=side),
        }
        columns = {
            "split": split,
            "r": 0.5 + n / 10,
            "category": shape.family,
            "licence": "CC0",
            "provenance": "{}",
        }
        entries.append((f"{key}_v{n:02d}", members, key, shape_members, columns))
    return write_set(folder, entries, variant, shard_bytes=2**22)


def camera_of(points: np.ndarray) -> np.ndarray:
    """K (3,3) of a pointmap (H,W,3) that came from a pinhole with pixel centres at integers."""
    v, u = np.nonzero(np.isfinite(points).all(2))
    x, y, z = points[v, u].astype(np.float64).T
    (fx, cx), (fy, cy) = (np.polyfit(a / z, b, 1) for a, b in ((x, u), (y, v)))
    return np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]])
