"""One photo and mask to one textured mesh, by a checkpoint.

python -m model_zoo.infer --image X --mask Y [--pointmap Z] --checkpoint DIR --out object.glb
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np

from model_zoo.io.depth import load_pointmap
from model_zoo.io.errors import BadInput
from model_zoo.io.glb_writer import export_glb
from model_zoo.io.images import load_image, load_mask
from model_zoo.proposers.flow import SHIPPED, FlowProposer, Sampling
from model_zoo.proposers.interface import ObjectInput
from model_zoo.proposers.pointmap import estimate_pointmap


def read_object(image: Path, mask: Path, pointmap: Path | None) -> tuple[ObjectInput, str]:
    """The object and where its pointmap came from: "given" or "fallback". Raises BadInput naming the file."""
    rgb = load_image(_bytes(image), name=image.name).rgb
    size = (rgb.shape[1], rgb.shape[0])
    inside = load_mask(_bytes(mask), size, name=mask.name).mask
    if not np.any(inside):
        raise BadInput(f"{mask.name}: the mask is empty")
    if pointmap is None:
        return ObjectInput(rgb, inside, estimate_pointmap(rgb, [inside]).points), "fallback"
    return ObjectInput(rgb, inside, load_pointmap(_bytes(pointmap), size).points), "given"


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BadInput(f"cannot read {path}: {error.strerror}") from error


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m model_zoo.infer", description=__doc__.splitlines()[0])
    parser.add_argument("--image", type=Path, required=True)
    parser.add_argument("--mask", type=Path, required=True)
    parser.add_argument("--pointmap", type=Path, help="NPY or NPZ, OpenCV camera; without it a guess is made")
    parser.add_argument("--checkpoint", type=Path, default=SHIPPED, help="default: the one that ships")
    parser.add_argument(
        "--out", type=Path, required=True, help="a .glb; the pose goes beside it as .pose.json"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--candidates", type=int, default=4, help="samples drawn; the best silhouette is kept"
    )
    parser.add_argument("--steps", type=int, default=Sampling().steps)
    parser.add_argument("--strength", type=float, default=Sampling().strength, help="guidance s; w = 1 + s")
    args = parser.parse_args(argv)
    try:
        obj, source = read_object(args.image, args.mask, args.pointmap)
        proposer = FlowProposer(args.checkpoint, Sampling(args.steps, args.strength))
        best = proposer.propose(obj, seed=args.seed, count=max(1, args.candidates))[0]
        args.out.parent.mkdir(parents=True, exist_ok=True)
        args.out.write_bytes(export_glb(best.mesh))
        note = {**best.pose.to_json(), "pointmap": source, "silhouette_iou": round(best.score, 4)}
        args.out.with_suffix(".pose.json").write_text(json.dumps(note, indent=1) + "\n")
    except BadInput as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"{args.out}: {len(best.mesh.faces)} triangles, silhouette IoU {best.score:.2f}, pointmap {source}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
