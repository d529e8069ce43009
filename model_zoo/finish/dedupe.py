"""Telling look-alikes apart: occupancy in the canonical 32^3 frame, compared by IoU."""

from __future__ import annotations

import numpy as np
import trimesh

GRID = 32
SAME_SHAPE = 0.95


def occupancy(mesh: trimesh.Trimesh) -> np.ndarray:
    """Bool (32,32,32): which cells of the mesh's own box, scaled alike on all axes and centred, are inside.

    A cell is inside when rays through it along at least two of the three axes say so (an even-odd count), so that
    small holes and open rims do not matter.
    """
    low, high = mesh.bounds
    side = max(float((high - low).max()), 1e-12)
    unit = trimesh.Trimesh((mesh.vertices - (low + high) / 2) / side + 0.5, mesh.faces, process=False)
    votes = sum(_inside_along(unit, axis).astype(int) for axis in range(3))
    surface = np.zeros((GRID,) * 3, bool)
    samples = np.vstack([unit.vertices, unit.triangles_center])
    cells = np.clip((samples * GRID).astype(int), 0, GRID - 1)
    surface[tuple(cells.T)] = True
    return (votes >= 2) | surface


def same_shape(first: np.ndarray, second: np.ndarray) -> bool:
    """Whether two occupancies overlap by more than 95 % (IoU); two empty ones say nothing."""
    union = np.count_nonzero(first | second)
    return bool(union > 0 and np.count_nonzero(first & second) > SAME_SHAPE * union)


def distinct(meshes: list[trimesh.Trimesh]) -> list[int]:
    """Indices of the meshes that are not look-alikes of an earlier one."""
    kept: list[tuple[int, np.ndarray]] = []
    for number, mesh in enumerate(meshes):
        cells = occupancy(mesh)
        if not any(same_shape(cells, other) for _, other in kept):
            kept.append((number, cells))
    return [number for number, _ in kept]


def _inside_along(mesh: trimesh.Trimesh, axis: int) -> np.ndarray:
    """Bool (32,32,32) by counting the surfaces above every cell centre along one axis."""
    depth = _crossings(mesh, axis)
    centre = (np.arange(GRID) + 0.5) / GRID
    inside = (depth[:, None, :] < centre[None, :, None]).sum(-1) % 2 == 1
    return np.moveaxis(inside.reshape(GRID, GRID, GRID), -1, axis)


def _crossings(mesh: trimesh.Trimesh, axis: int) -> np.ndarray:
    """Where the 32x32 lines along an axis cross the surface: (1024, K) sorted positions, inf where there are no more."""
    others = [a for a in range(3) if a != axis]
    flat, along = mesh.triangles[:, :, others], mesh.triangles[:, :, axis]
    # A tiny shift keeps the lines off vertices and edges that lie on the grid.
    centre = (np.arange(GRID) + 0.5) / GRID + 1.7e-5
    low = np.ceil((flat.min(1) - centre[0]) * GRID).astype(int).clip(0)
    high = np.floor((flat.max(1) - centre[0]) * GRID).astype(int).clip(max=GRID - 1)
    sizes = np.maximum(high - low + 1, 0)
    count = sizes.prod(1)
    face = np.repeat(np.arange(len(flat)), count)
    place = np.arange(len(face)) - np.repeat(np.cumsum(count) - count, count)
    i = low[face, 0] + place // np.maximum(sizes[face, 1], 1)
    j = low[face, 1] + place % np.maximum(sizes[face, 1], 1)
    a, b, c = flat[face, 0], flat[face, 1], flat[face, 2]
    p = np.column_stack([centre[i], centre[j]])
    area = _cross(b - a, c - a)
    with np.errstate(divide="ignore", invalid="ignore"):
        v, w = _cross(p - a, c - a) / area, _cross(b - a, p - a) / area
    # Triangles seen edge-on have no area: 0 / 0 hits nothing.
    v, w = (
        np.nan_to_num(v, nan=-1.0, posinf=-1.0, neginf=-1.0),
        np.nan_to_num(w, nan=-1.0, posinf=-1.0, neginf=-1.0),
    )
    hit = (v >= 0) & (w >= 0) & (v + w <= 1)
    height = along[face, 0] + v * (along[face, 1] - along[face, 0]) + w * (along[face, 2] - along[face, 0])
    line, height = (i * GRID + j)[hit], height[hit]
    order = np.lexsort((height, line))
    line, height = line[order], height[order]
    rank = np.arange(len(line)) - np.searchsorted(line, line)
    table = np.full((GRID * GRID, int(rank.max(initial=0)) + 1), np.inf)
    table[line, rank] = height
    return table


def _cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]
