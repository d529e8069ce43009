"""Hunyuan3D-2.1 (shape) behind the command protocol. Runs in its own environment; README.md beside it says how."""

import argparse
import json
import sys
import time
from pathlib import Path

import torch
import trimesh
from hy3dshape.pipelines import Hunyuan3DDiTFlowMatchingPipeline
from PIL import Image


def main() -> int:
    """Reads FOLDER, writes N.glb and result.json there; another code than 0 and one line when it cannot."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", required=True, help="folder of tencent/Hunyuan3D-2.1")
    parser.add_argument(
        "--version", default="unknown", help="what the job's record says: a commit or revision"
    )
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--guidance", type=float, default=5.0)
    parser.add_argument("folder", type=Path)
    args = parser.parse_args()
    request = json.loads((args.folder / "request.json").read_text())
    if request["protocol"] != 1:
        print(f"error: this adapter speaks protocol 1, not {request['protocol']}", file=sys.stderr)
        return 2
    photo = cut_out(args.folder)
    pipeline = Hunyuan3DDiTFlowMatchingPipeline.from_pretrained(args.weights)
    options = {"num_inference_steps": args.steps, "guidance_scale": args.guidance}
    candidates = []
    for number in range(request["count"]):
        began = time.perf_counter()
        try:
            sample(pipeline, photo, request["seed"] + number, options).export(args.folder / f"{number}.glb")
            candidates.append({"pose": None, "seconds": time.perf_counter() - began})
        except (RuntimeError, ValueError) as error:
            candidates.append({"error": str(error).splitlines()[0] if str(error) else type(error).__name__})
            torch.cuda.empty_cache()
    answer = {"protocol": 1, "model": "Hunyuan3D-2.1", "version": args.version, "candidates": candidates}
    (args.folder / "result.json").write_text(json.dumps(answer))
    return 0


def cut_out(folder: Path) -> Image.Image:
    """The photograph with the mask as its alpha: the pipeline centres what is inside on white."""
    photo = Image.open(folder / "image.png").convert("RGB")
    photo.putalpha(Image.open(folder / "mask.png").convert("L"))
    return photo


def sample(
    pipeline: Hunyuan3DDiTFlowMatchingPipeline, photo: Image.Image, seed: int, options: dict
) -> trimesh.Trimesh:
    """One y-up mesh without colours; the paint pipeline is not run."""
    generator = torch.Generator(device=pipeline.device).manual_seed(seed)
    mesh = pipeline(image=photo, generator=generator, **options)[0]
    if mesh is None or not len(mesh.faces):
        raise ValueError("no surface was found")
    return mesh


if __name__ == "__main__":
    sys.exit(main())
