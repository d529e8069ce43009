"""Finishing: what turns a proposed mesh into what pages show, all candidates alike, and tells look-alikes apart."""

import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import trimesh
from django.conf import settings

from model_zoo.io.errors import BadInput
from model_zoo.io.images import encode_png
from model_zoo.io.meshes import export_glb
from model_zoo.render import Shading, view

GRID = 32
SAME_SHAPE = 0.95
THUMBNAIL = (256, 256)
PACK_SECONDS = 60


@dataclass(frozen=True)
class Finished:
    """A candidate as stored: `mesh`, its GLB as delivered, the meshopt copy for the viewer, and a picture of the shape."""

    mesh: trimesh.Trimesh
    glb: bytes
    viewer: bytes
    thumbnail: bytes


def finish(mesh: trimesh.Trimesh) -> Finished:
    """Clean a proposed mesh and make its copies. Raises BadInput when nothing of it is left."""
    cleaned = clean(mesh)
    glb = export_glb(cleaned)
    picture = view(cleaned, THUMBNAIL, 30, 20, Shading(grey=True))
    return Finished(cleaned, glb, packed(glb), encode_png(picture.rgb))


def clean(mesh: trimesh.Trimesh) -> trimesh.Trimesh:
    """The mesh without degenerate or repeated faces and without vertices that no face uses."""
    kept = mesh.copy()
    kept.update_faces(kept.nondegenerate_faces() & kept.unique_faces())
    kept.remove_unreferenced_vertices()
    if not len(kept.faces):
        raise BadInput("the proposed mesh has no surface", "empty_mesh")
    return kept


def packed(glb: bytes) -> bytes:
    """The meshopt-compressed copy for the viewer (gltfpack): no names, one attribute layout for every candidate."""
    tool = settings.BASE_DIR / "node_modules" / ".bin" / "gltfpack"
    with tempfile.TemporaryDirectory(prefix="maquette-pack-") as folder:
        given, made = Path(folder) / "in.glb", Path(folder) / "out.glb"
        given.write_bytes(glb)
        done = subprocess.run(
            [str(tool), "-cc", "-i", str(given), "-o", str(made)],
            capture_output=True,
            text=True,
            timeout=PACK_SECONDS,
        )
        if done.returncode or not made.is_file():
            words = (done.stderr or done.stdout).strip().splitlines() or ["no message"]
            raise RuntimeError(f"gltfpack failed: {words[-1]}")
        return made.read_bytes()


def occupancy(mesh: trimesh.Trimesh) -> np.ndarray:
    """Bool (32,32,32): which cells of the mesh's own box, scaled alike on all axes, are inside."""
    low, high = mesh.bounds
    side = max(float((high - low).max()), 1e-9)
    axis = (np.arange(GRID) + 0.5) / GRID - 0.5
    cells = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), -1).reshape(-1, 3)
    inside = mesh.ray.contains_points(cells * side + (low + high) / 2)
    return np.asarray(inside).reshape(GRID, GRID, GRID)


def same_shape(first: np.ndarray, second: np.ndarray) -> bool:
    """Whether two occupancies overlap by more than 95 % (IoU); two empty ones say nothing."""
    union = np.count_nonzero(first | second)
    return bool(union > 0 and np.count_nonzero(first & second) > SAME_SHAPE * union)
