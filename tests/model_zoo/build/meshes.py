"""Meshes that several tests of the builds share, and the occupancy rule computed another way than the code does."""

import hashlib
from pathlib import Path

import igl
import numpy as np
import trimesh

from model_zoo.build.kinds import MeshItem, Shape
from model_zoo.build.shapes import open_shape


def item_of(path: Path) -> MeshItem:
    return MeshItem(path.name, hashlib.sha256(path.read_bytes()).hexdigest())


def shape_of(path: Path) -> Shape:
    return open_shape(path.read_bytes(), item_of(path))


def plain(vertices: np.ndarray, faces: np.ndarray) -> trimesh.Trimesh:
    return trimesh.Trimesh(vertices, faces, process=False)


def ball(radius: float = 0.5, place: tuple[float, float, float] = (0, 0, 0)) -> trimesh.Trimesh:
    made = trimesh.creation.icosphere(3, radius=radius)
    return plain(made.vertices + place, made.faces)


def joined(*meshes: trimesh.Trimesh) -> trimesh.Trimesh:
    return trimesh.util.concatenate(list(meshes))


def holed(mesh: trimesh.Trimesh, share: float, seed: int = 0) -> trimesh.Trimesh:
    """The mesh without the faces nearest to a few of its points: holes of `share` of its faces together."""
    draw = np.random.default_rng(seed)
    centres = np.asarray(mesh.triangles_center)
    away = np.linalg.norm(centres[:, None] - centres[draw.integers(0, len(centres), 4)], axis=2).min(1)
    return plain(mesh.vertices, mesh.faces[away > np.quantile(away, share)])


def rule(mesh: trimesh.Trimesh, resolution: int) -> np.ndarray:
    """The voxels bool (G,G,G) that the rule fills: exact winding number above 0.5, or touched by a triangle."""
    x, y, z = np.asarray(mesh.vertices).T
    vertices = (np.stack([x, -z, y], 1) + 0.5) * resolution
    faces = np.asarray(mesh.faces, np.int64)
    voxels = np.argwhere(np.ones((resolution,) * 3, bool))
    full = (igl.winding_number(vertices, faces, voxels + 0.5) > 0.5).reshape((resolution,) * 3)
    full[tuple(np.floor(vertices[faces].reshape(-1, 3)).astype(int).clip(0, resolution - 1).T)] = True
    corners = vertices[faces]
    low = np.floor(corners.min(1) - 1 - 1e-5).astype(int).clip(0)
    high = np.floor(corners.max(1) + 1e-5).astype(int).clip(max=resolution - 1)
    for size in np.unique(high - low + 1, axis=0):
        alike = ((high - low + 1) == size).all(1)
        cells = low[alike][:, None] + np.argwhere(np.ones(size, bool))
        cells, triangles = cells.reshape(-1, 3), np.repeat(corners[alike], int(size.prod()), 0)
        boxes = (triangles.min(1) <= cells + 1 + 1e-5) & (triangles.max(1) >= cells - 1e-5)
        maybe = boxes.all(1) & ~full[tuple(cells.T)]
        cells, triangles = cells[maybe], triangles[maybe]
        for start in range(0, len(cells), 100_000):
            part = slice(start, start + 100_000)
            hit = meets(triangles[part] - (cells[part] + 0.5)[:, None])
            full[tuple(cells[part][hit].T)] = True
    return full


def meets(triangles: np.ndarray, half: float = 0.5 + 1e-5) -> np.ndarray:
    """Which triangles (N,3,3) have a point in the box of half side `half` around the origin, bool (N,).

    In a triangle's own coordinates (u, v) box and triangle are nine half-planes: they meet where one of the crossings
    of two of their borders lies in all nine.
    """
    a = triangles[:, 0]
    e, f = triangles[:, 1] - a, triangles[:, 2] - a
    lines = [np.stack([s * e[:, k], s * f[:, k], half - s * a[:, k]], 1) for k in range(3) for s in (1, -1)]
    one, zero = np.ones(len(a)), np.zeros(len(a))
    lines += [np.stack(row, 1) for row in ((-one, zero, zero), (zero, -one, zero), (one, one, one))]
    planes = np.stack(lines, 1)  # (N,9,3): p u + q v <= r
    found = np.zeros(len(a), bool)
    for i in range(9):
        for j in range(i):
            (p, q, r), (s, t, w) = planes[:, i].T, planes[:, j].T
            with np.errstate(divide="ignore", invalid="ignore"):
                u, v = (r * t - q * w) / (p * t - q * s), (p * w - r * s) / (p * t - q * s)
                over = planes[..., 0] * u[:, None] + planes[..., 1] * v[:, None] - planes[..., 2]
            found |= (over <= 1e-9).all(1) & np.isfinite(u) & np.isfinite(v)
    return found
