"""Small releases for the training tests, written by the code that writes real ones."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from model_zoo.geometry.recipes import tiny
from model_zoo.geometry.voxels import voxelise
from model_zoo.io.depth import encode_pointmap
from model_zoo.io.glb_writer import export_glb
from model_zoo.io.images import encode_jpeg, encode_png
from model_zoo.io.shards import ShardWriter
from model_zoo.library import make
from model_zoo.synthetic import SceneConfig, Shape, compose

SHAPES = ("apple", "chair", "mug")


def targets(count):
    """Composed objects with their shapes: [(Target, Shape)]."""
    shapes = [Shape(m, voxelise(m, tiny().resolution, solid=True), n) for n in SHAPES for m in [make(n, 0)]]
    found, seed = [], 0
    while len(found) < count:
        scene = compose(shapes, SceneConfig(picture=96), np.random.default_rng(seed))
        found += [(t, shapes[t.shape]) for t in scene]
        seed += 1
    return found[:count]


def members(target):
    return {
        "image.jpg": encode_jpeg(target.rgb),
        "mask.png": encode_png(target.mask.astype(np.uint8) * 255),
        "pointmap.npz": encode_pointmap(target.pointmap),
    }


def places(rows, names=None):
    out = {}
    for row in rows:
        name = (names or {}).get(row["member"], row["member"].split(".")[0])
        out |= {
            f"{name}_shard": row["shard"],
            f"{name}_offset": row["offset"],
            f"{name}_length": row["length"],
        }
    return out


def finish(folder, kind, rows):
    (folder / "index").mkdir()
    pq.write_table(pa.Table.from_pylist(rows), folder / "index" / "part-00000.parquet")
    manifest = {"id": f"{kind}-test", "kind": kind, "hash": "0" * 64}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


def sft_release(folder, count=4, pose=True, split="train"):
    """An SFT release of `count` samples."""
    rows = []
    with ShardWriter(folder / "shards") as shards:
        for i, (target, shape) in enumerate(targets(count)):
            row = {"sample_id": i, "object_key": f"o{i}", "candidate_key": f"c{i}", "r": 0.75}
            row |= {"split": split, "simulated": True, "mesh_licence": "CC0-1.0", "mesh_attribution": "somebody"}
            row |= places(shards.write(f"o{i}", members(target)))
            row |= places(shards.write(f"c{i}", {"mesh.glb": export_glb(shape.mesh)}))
            row |= (
                dict(zip("Rts", (v.ravel().tolist() for v in (target.pose.R, target.pose.t, target.pose.s))))
                if pose
                else dict.fromkeys("Rts")
            )
            rows.append(row)
    return finish(folder, "sft", rows)


def dpo_release(folder, count=4):
    """A DPO release: the true shape was chosen over another object's."""
    rows = []
    with ShardWriter(folder / "shards") as shards:
        for i, (target, shape) in enumerate(targets(count)):
            other = make(next(n for n in SHAPES if n != shape.family), 0)
            row = {"pair_id": i, "prompt": f"o{i}", "chosen": f"w{i}", "rejected": f"l{i}"}
            row |= {"split": "train", "simulated": True, "weight": 0.75}
            row |= places(shards.write(f"o{i}", members(target)))
            row |= places(shards.write(f"w{i}", {"mesh.glb": export_glb(shape.mesh)}), {"mesh.glb": "chosen"})
            row |= places(shards.write(f"l{i}", {"mesh.glb": export_glb(other)}), {"mesh.glb": "rejected"})
            rows.append(row)
    return finish(folder, "dpo", rows)
