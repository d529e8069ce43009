"""`python -m model_zoo.library --out DIR` writes the mesh library as GLB files and a manifest."""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from model_zoo.io.meshes import export_glb
from model_zoo.library import LICENCE, families, make

ATTRIBUTION = "Maquette parametric mesh library"


def write(out: Path, *, each: int, categories: Sequence[str] = ()) -> list[dict[str, object]]:
    """Writes `each` meshes of every category (or of those named) and manifest.jsonl; returns the rows."""
    out.mkdir(parents=True, exist_ok=True)
    rows = []
    for category, number in tqdm(
        [(c, n) for c in categories or families() for n in range(1, each + 1)], unit="mesh"
    ):
        mesh = make(category, number)
        data = export_glb(mesh)
        path = out / f"{category}_{number:02d}.glb"
        path.write_bytes(data)
        rows.append(
            {
                "path": path.name,
                "category": category,
                "licence": LICENCE,
                "attribution": ATTRIBUTION,
                "sha256": hashlib.sha256(data).hexdigest(),
                "triangles": len(mesh.faces),
            }
        )
    (out / "manifest.jsonl").write_text("".join(json.dumps(row, sort_keys=True) + "\n" for row in rows))
    return rows


def main() -> int:
    """Command line; 0 on success, 1 with one line when the folder cannot be written."""
    parser = argparse.ArgumentParser(prog="python -m model_zoo.library", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder for the GLB files and manifest.jsonl")
    parser.add_argument("--each", type=int, default=1, help="meshes per category (default 1)")
    parser.add_argument(
        "--category",
        action="append",
        choices=list(families()),
        metavar="NAME",
        help="only this one; repeatable",
    )
    options = parser.parse_args()
    if options.each < 1:
        parser.error("--each must be at least 1")
    try:
        rows = write(options.out, each=options.each, categories=options.category or ())
    except OSError as error:
        print(f"cannot write the library: {error}", file=sys.stderr)
        return 1
    print(f"{len(rows)} meshes in {options.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
