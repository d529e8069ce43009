"""`python -m model_zoo.demo --out DIR` writes the demo batch in the layouts that import_images reads.

images/STEM.* with STEM.mask_NAME.png; scenes/NAME/ with color.png, depth.png, pointmap.npz, camera.json,
mask_NAME.png, objects.json and mesh_NAME.glb; manifest.jsonl with licence and attribution of every file.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from pathlib import Path

import numpy as np
from tqdm import tqdm

from model_zoo.demo import ComposedScene, Photograph, photographs, scenes
from model_zoo.demo.scenes import DEPTH_UNIT
from model_zoo.io.depth import encode_pointmap
from model_zoo.io.errors import BadInput
from model_zoo.io.images import encode_png
from model_zoo.io.meshes import export_glb

OURS = {"licence": "CC0-1.0", "attribution": "Maquette demo scenes"}


def photograph_files(photo: Photograph) -> dict[str, bytes]:
    """Path -> bytes of one photograph and its masks."""
    files = {f"images/{photo.name}{photo.suffix}": photo.data}
    return files | {
        f"images/{photo.name}.mask_{name}.png": encode_png(mask) for name, mask in photo.masks.items()
    }


def scene_files(scene: ComposedScene) -> dict[str, bytes]:
    """Path -> bytes of one scene's folder."""
    depth = np.round(scene.points[..., 2] / DEPTH_UNIT).astype(np.uint16)
    files = {
        "color.png": encode_png(scene.rgb),
        "depth.png": encode_png(depth),
        "pointmap.npz": encode_pointmap(scene.points, scene.camera),
        "camera.json": _json(scene.camera.to_json()),
        "objects.json": _json(
            {"objects": [_placed(o.name, o.category, o.pose.to_json()) for o in scene.objects]}
        ),
    }
    files |= {f"mask_{name}.png": encode_png(mask) for name, mask in scene.masks.items()}
    files |= {f"mesh_{o.name}.glb": export_glb(o.mesh) for o in scene.objects}
    return {f"scenes/{scene.name}/{path}": data for path, data in files.items()}


def write(out: Path, *, count: int = 10, seed: int = 0) -> list[dict[str, object]]:
    """Writes photographs, `count` scenes and manifest.jsonl into the folder; returns the manifest's rows."""
    rows: list[dict[str, object]] = []
    for photo in photographs():
        terms = {"licence": photo.licence, "attribution": photo.attribution}
        for path, data in photograph_files(photo).items():
            is_photo = "mask_" not in path
            rows.append(
                _store(
                    out,
                    path,
                    data,
                    terms if is_photo else {"licence": "CC0-1.0", "attribution": "drawn for Maquette"},
                )
            )
    for scene in tqdm(scenes(count, seed), total=count, unit="scene", disable=not count):
        rows += [_store(out, path, data, OURS) for path, data in scene_files(scene).items()]
    (out / "manifest.jsonl").write_text("".join(json.dumps(row, sort_keys=True) + "\n" for row in rows))
    return rows


def _placed(name: str, category: str, pose: dict[str, list]) -> dict[str, object]:
    return {
        "instance": name,
        "category": category,
        "mesh": f"mesh_{name}.glb",
        "R": pose["R"],
        "t": pose["t"],
        "scale": pose["s"][0],
    }


def _store(out: Path, path: str, data: bytes, terms: dict[str, str]) -> dict[str, object]:
    target = out / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(data)
    return {"path": path, "sha256": hashlib.sha256(data).hexdigest(), **terms}


def _json(value: object) -> bytes:
    return (json.dumps(value, indent=1) + "\n").encode()


def main() -> int:
    """Command line; 0 on success, 1 with one line when a photograph is missing or the folder cannot be written."""
    parser = argparse.ArgumentParser(prog="python -m model_zoo.demo", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder to write into")
    parser.add_argument("--scenes", type=int, default=10, help="composed scenes (default 10)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the composed scenes (default 0)")
    options = parser.parse_args()
    try:
        rows = write(options.out, count=options.scenes, seed=options.seed)
    except (OSError, BadInput) as error:
        print(f"cannot write the demo batch: {error}", file=sys.stderr)
        return 1
    print(f"{len(rows)} files in {options.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
