"""Mesh -> occupancy of its unit cube, and occupancy -> closed mesh. Grids are indexed in the model's z-up frame."""

import numpy as np
import trimesh
from scipy import ndimage
from skimage.measure import marching_cubes

from model_zoo.io.errors import BadInput

SAMPLES = 30_000
# Share of a voxel's fine cells: keeps walls of one fine cell, drops what only grazes the voxel.
FULL_SHARE = 0.35


def unit_frame(mesh: trimesh.Trimesh) -> tuple[np.ndarray, float]:
    """Centre (3,) and longest side of a mesh's bounding box: p_mesh = centre + side * p_unit."""
    low, high = mesh.bounds
    side = float((high - low).max())
    if not np.isfinite(side) or side <= 0:
        raise BadInput("the mesh has no extent")
    return (low + high) / 2, side


def voxelise(mesh: trimesh.Trimesh, resolution: int, *, solid: bool, seed: int = 0) -> np.ndarray:
    """Occupancy bool (G, G, G) of a y-up mesh scaled to the unit cube, axes in the model frame (x, -z, y).

    solid fills what the surface encloses at twice the resolution; a cup stays hollow, an open scan does not fill.
    """
    centre, side = unit_frame(mesh)
    points, _ = trimesh.sample.sample_surface(mesh, SAMPLES, seed=seed)
    x, y, z = ((np.asarray(points) - centre) / side).T
    fine = resolution * (2 if solid else 1)
    index = np.clip(((np.stack([x, -z, y], 1) + 0.5) * fine).astype(int), 0, fine - 1)
    surface = np.zeros((fine,) * 3, bool)
    surface[tuple(index.T)] = True
    if not solid:
        return surface
    filled = ndimage.binary_fill_holes(surface)
    return filled.reshape(resolution, 2, resolution, 2, resolution, 2).mean((1, 3, 5)) >= FULL_SHARE


def at_resolution(occupancy: np.ndarray, resolution: int, *, solid: bool) -> np.ndarray:
    """Solid occupancy bool (G, G, G) at a coarser resolution that divides G, full as `voxelise` has it; the skin alone
    (full voxels with an empty neighbour across a side) where not solid."""
    grid = occupancy.shape[0]
    if grid % resolution:
        raise BadInput(f"an occupancy of {grid} voxels a side cannot be brought to {resolution}")
    fine = grid // resolution
    blocks = occupancy.reshape(resolution, fine, resolution, fine, resolution, fine).mean((1, 3, 5))
    full = blocks >= (FULL_SHARE if solid else np.finfo(float).tiny)
    return full if solid else full & ~ndimage.binary_erosion(full)


def to_mesh(logits: np.ndarray, *, upscale: int = 3, smooth: float = 0.7) -> trimesh.Trimesh:
    """Closed y-up mesh in the unit cube of occupancy logits (G, G, G): upsampled, smoothed, marching cubes.

    Raises BadInput when no voxel is full. The largest piece is kept, with pieces of at least a twentieth of it.
    """
    field = np.tanh(np.clip(logits, -8, 8) / 2)  # 2p - 1: saturated logits would make steps
    if field.max() <= 0:
        raise BadInput("the model found no solid voxel for this object", "empty_shape")
    padded = np.pad(field, 1, constant_values=-1.0)
    fine = ndimage.zoom(padded, upscale, order=1, mode="nearest", grid_mode=True)
    fine = ndimage.gaussian_filter(fine, smooth * upscale / 2)
    level = 0.0 if fine.max() > 0 else float(fine.max()) * 0.5 + float(fine.min()) * 0.5
    fine = np.pad(fine, 1, constant_values=-1.0)
    vertices, faces, _, _ = marching_cubes(fine, level)
    grid = logits.shape[0]
    unit = ((vertices - 1 + 0.5) / upscale - 1) / grid - 0.5
    mesh = trimesh.Trimesh(np.stack([unit[:, 0], unit[:, 2], -unit[:, 1]], 1), faces[:, ::-1], process=True)
    if mesh.volume < 0:
        mesh.invert()
    return _main_pieces(mesh)


def _main_pieces(mesh: trimesh.Trimesh) -> trimesh.Trimesh:
    pieces = mesh.split(only_watertight=False)
    if len(pieces) < 2:
        return mesh
    largest = max(len(p.faces) for p in pieces)
    return trimesh.util.concatenate([p for p in pieces if len(p.faces) >= largest / 20])
