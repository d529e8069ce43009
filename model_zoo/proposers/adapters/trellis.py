"""TRELLIS (image) behind the command protocol. Runs in TRELLIS's own environment; README.md beside it says how."""

import argparse
import json
import os
import sys
import time
from pathlib import Path

# This file has the name of the package that it drives, and Python would find the file first.
sys.path.pop(0)
# Read when spconv is loaded; without it spconv measures its algorithms anew in every process.
os.environ.setdefault("SPCONV_ALGO", "native")

import numpy as np
import torch
import trimesh
from PIL import Image
from trellis.pipelines import TrellisImageTo3DPipeline

Y_UP = np.array([[1, 0, 0, 0], [0, 0, 1, 0], [0, -1, 0, 0], [0, 0, 0, 1]])  # (x, y, z) -> (x, z, -y)


def main() -> int:
    """Reads FOLDER, writes N.glb and result.json there; another code than 0 and one line when it cannot."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", required=True, help="folder of microsoft/TRELLIS-image-large")
    parser.add_argument(
        "--version", default="unknown", help="what the job's record says: a commit or revision"
    )
    parser.add_argument("folder", type=Path)
    args = parser.parse_args()
    request = json.loads((args.folder / "request.json").read_text())
    if request["protocol"] != 1:
        print(f"error: this adapter speaks protocol 1, not {request['protocol']}", file=sys.stderr)
        return 2
    photo = cut_out(args.folder)
    pipeline = TrellisImageTo3DPipeline.from_pretrained(args.weights)
    pipeline.cuda()
    candidates = []
    for number in range(request["count"]):
        began = time.perf_counter()
        try:
            sample(pipeline, photo, request["seed"] + number).export(args.folder / f"{number}.glb")
            candidates.append({"pose": None, "seconds": time.perf_counter() - began})
        except (RuntimeError, ValueError) as error:
            candidates.append({"error": str(error).splitlines()[0] if str(error) else type(error).__name__})
            torch.cuda.empty_cache()
    model = Path(args.weights).name
    answer = {"protocol": 1, "model": model, "version": args.version, "candidates": candidates}
    (args.folder / "result.json").write_text(json.dumps(answer))
    return 0


def cut_out(folder: Path) -> Image.Image:
    """The photograph with the mask as its alpha: the pipeline then crops to it and removes no background itself."""
    photo = Image.open(folder / "image.png").convert("RGB")
    mask = Image.open(folder / "mask.png").convert("L")
    if mask.getextrema()[0] == 255:
        # With an alpha that is full everywhere the pipeline would look for a background to remove.
        mask.putpixel((0, 0), 0)
    photo.putalpha(mask)
    return photo


def sample(pipeline: TrellisImageTo3DPipeline, photo: Image.Image, seed: int) -> trimesh.Trimesh:
    """One y-up mesh with vertex colours. Baked texture would need nvdiffrast, which is not free for commercial use."""
    mesh = pipeline.run(photo, seed=seed, formats=["mesh"])["mesh"][0]
    if not mesh.success:
        raise ValueError("no surface was found")
    shown = mesh.vertex_attrs[:, :3].detach().float().clamp(0, 1).cpu().numpy()
    # As on a screen; the vertex colours of a GLB are linear.
    colours = np.where(shown <= 0.04045, shown / 12.92, ((shown + 0.055) / 1.055) ** 2.4)
    made = trimesh.Trimesh(
        mesh.vertices.detach().float().cpu().numpy(),
        mesh.faces.cpu().numpy(),
        vertex_colors=(colours * 255).round().astype(np.uint8),
        process=False,
    )
    made.apply_transform(Y_UP)
    return made


if __name__ == "__main__":
    sys.exit(main())
