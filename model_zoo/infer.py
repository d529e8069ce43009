"""One photo and mask to one textured mesh, by a checkpoint.

python -m model_zoo.infer --image X --mask Y [--pointmap Z] --checkpoint DIR [--texture DIR] --out object.glb
DIR may be what model_zoo.convert made, with both stages in it. Without a second stage the photo gives the colours.
"""

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from model_zoo.io.depth import load_pointmap
from model_zoo.io.errors import BadInput
from model_zoo.io.glb_writer import export_glb
from model_zoo.io.images import load_image, load_mask
from model_zoo.pipeline import Sam3D, best_device, stages
from model_zoo.proposers.interface import ObjectInput
from model_zoo.proposers.pointmap import estimate_pointmap
from model_zoo.proposers.sam3d import SHIPPED, Sam3DProposer


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
    parser.add_argument("--texture", type=Path, help="checkpoint of the second stage")
    parser.add_argument("--baked", type=int, help="pixels along the side of a baked texture, for vertex colours")
    parser.add_argument(
        "--out", type=Path, required=True, help="a .glb; the pose goes beside it as .pose.json"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--candidates", type=int, default=4, help="samples drawn; the best silhouette is kept"
    )
    parser.add_argument("--steps", type=int, help="default: as the checkpoint was made for")
    parser.add_argument("--strength", type=float, help="guidance s; w = 1 + s")
    parser.add_argument("--texture-steps", type=int, help="of the second stage")
    parser.add_argument(
        "--shortcut", action="store_true", default=None, help="few steps of a distilled model, no guidance"
    )
    parser.add_argument("--device", choices=["cpu", "cuda"], default=best_device()[0])
    args = parser.parse_args(argv)
    try:
        obj, source = read_object(args.image, args.mask, args.pointmap)
        dtype = torch.bfloat16 if args.device == "cuda" else torch.float32
        model = Sam3D(*stages(args.checkpoint, args.texture), device=args.device, dtype=dtype)
        given = {n: getattr(args, n) for n in ("steps", "strength", "shortcut", "texture_steps", "baked")}
        chosen = {n: value for n, value in given.items() if value is not None}
        proposer = Sam3DProposer(model, replace(model.sampling, **chosen))
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
