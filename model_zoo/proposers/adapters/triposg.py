"""TripoSG behind the command protocol. Runs in TripoSG's own environment; README.md beside it says how."""

import argparse
import json
import sys
import time
from pathlib import Path

# This file has the name of the package that it drives, and Python would find the file first.
sys.path.pop(0)

import numpy as np
import torch
import trimesh
from PIL import Image
from triposg.pipelines.pipeline_triposg import TripoSGPipeline

MARGIN = 0.1  # of the object's longer side, around it, as the model was shown its pictures


def main() -> int:
    """Reads FOLDER, writes N.glb and result.json there; another code than 0 and one line when it cannot."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", required=True, help="folder of VAST-AI/TripoSG")
    parser.add_argument(
        "--version", default="unknown", help="what the job's record says: a commit or revision"
    )
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--guidance", type=float, default=7.0)
    parser.add_argument("--flash", action="store_true", help="decode with the package diso; mind its licence")
    parser.add_argument("folder", type=Path)
    args = parser.parse_args()
    request = json.loads((args.folder / "request.json").read_text())
    if request["protocol"] != 1:
        print(f"error: this adapter speaks protocol 1, not {request['protocol']}", file=sys.stderr)
        return 2
    photo = on_white(args.folder)
    pipeline = TripoSGPipeline.from_pretrained(args.weights).to("cuda", torch.float16)
    options = {
        "num_inference_steps": args.steps,
        "guidance_scale": args.guidance,
        "use_flash_decoder": args.flash,
    }
    candidates = []
    for number in range(request["count"]):
        began = time.perf_counter()
        try:
            sample(pipeline, photo, request["seed"] + number, options).export(args.folder / f"{number}.glb")
            candidates.append({"pose": None, "seconds": time.perf_counter() - began})
        except (RuntimeError, ValueError) as error:
            candidates.append({"error": str(error).splitlines()[0] if str(error) else type(error).__name__})
            torch.cuda.empty_cache()
    answer = {"protocol": 1, "model": "TripoSG", "version": args.version, "candidates": candidates}
    (args.folder / "result.json").write_text(json.dumps(answer))
    return 0


def on_white(folder: Path) -> Image.Image:
    """The object on white, in the middle of a square with a margin; no background network is needed, there is a mask."""
    photo = Image.open(folder / "image.png").convert("RGB")
    mask = Image.open(folder / "mask.png").convert("L")
    left, top, right, bottom = mask.getbbox()
    longer = max(right - left, bottom - top)
    side = longer + 2 * round(MARGIN * longer)
    square = Image.new("RGB", (side, side), "white")
    box = (left, top, right, bottom)
    corner = ((side - (right - left)) // 2, (side - (bottom - top)) // 2)
    square.paste(photo.crop(box), corner, mask.crop(box))
    return square


def sample(pipeline: TripoSGPipeline, photo: Image.Image, seed: int, options: dict) -> trimesh.Trimesh:
    """One y-up mesh; TripoSG makes no colours."""
    generator = torch.Generator(device="cuda").manual_seed(seed)
    vertices, faces = pipeline(image=photo, generator=generator, **options).samples[0]
    if vertices is None or not len(faces):
        raise ValueError("no surface was found")
    return trimesh.Trimesh(vertices.astype(np.float32), np.ascontiguousarray(faces))


if __name__ == "__main__":
    sys.exit(main())
