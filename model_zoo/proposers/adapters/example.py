"""The smallest command that speaks the protocol: the mask, blown up by a depth that is drawn from the seed.

It needs numpy, Pillow and trimesh. A start for an adapter of one's own, and what the tests run.
"""

import argparse
import json
import sys
import time
from pathlib import Path

import numpy as np
import trimesh
from PIL import Image

CELLS = 24  # along the longer side of the mask


def main() -> int:
    """Reads FOLDER, writes N.glb and result.json there; another code than 0 and one line when it cannot."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    request = json.loads((folder / "request.json").read_text())
    if request["protocol"] != 1:
        print(f"error: this adapter speaks protocol 1, not {request['protocol']}", file=sys.stderr)
        return 2
    cells = outline(np.asarray(Image.open(folder / "mask.png")) > 127)
    candidates = []
    for number in range(request["count"]):
        began = time.perf_counter()
        blown_up(cells, request["seed"] + number).export(folder / f"{number}.glb")
        candidates.append({"pose": None, "seconds": time.perf_counter() - began})
    answer = {"protocol": 1, "model": "example", "version": "1", "frame": "opencv", "candidates": candidates}
    (folder / "result.json").write_text(json.dumps(answer))
    return 0


def outline(mask: np.ndarray) -> np.ndarray:
    """The mask's box as CELLS cells along its longer side, bool, row 0 on top."""
    rows, columns = np.nonzero(mask)
    box = mask[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    size = np.maximum(np.array(box.shape[::-1]) * CELLS // max(box.shape), 1)
    return np.asarray(Image.fromarray(box).resize(tuple(map(int, size)), Image.Resampling.NEAREST))


def blown_up(cells: np.ndarray, seed: int) -> trimesh.Trimesh:
    """A closed y-up mesh of little cubes: the cells, as deep as a share of the longer side that the seed gives."""
    deep = max(2, round(CELLS * np.random.default_rng(seed).uniform(0.4, 0.9)))
    # Axes of the solid are x, y, z: to the right, up, towards the camera.
    solid = np.pad(np.repeat(cells[::-1].T[..., None], deep, 2), 1)
    corners = []
    for axis in range(3):
        across, up = np.eye(3)[(axis + 1) % 3], np.eye(3)[(axis + 2) % 3]
        square = np.array([0 * up, across, across + up, up])
        before = np.roll(solid, 1, axis)
        for there, ring in ((before & ~solid, square), (solid & ~before, square[::-1])):
            corners.append(np.argwhere(there)[:, None] + ring)
    squares = np.concatenate(corners)
    vertices, index = np.unique(squares.reshape(-1, 3), axis=0, return_inverse=True)
    index = index.reshape(-1, 4)
    faces = np.concatenate([index[:, [0, 1, 2]], index[:, [0, 2, 3]]])
    return trimesh.Trimesh(vertices / CELLS, faces, process=False)


if __name__ == "__main__":
    sys.exit(main())
