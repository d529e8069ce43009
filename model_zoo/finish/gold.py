"""Spoilt twins for the practice: a good mesh made certainly and visibly worse in one way that has a name."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import trimesh

FINE = 4_000  # faces below which a mesh is subdivided first, so that cuts and bumps have something to work on
FLAT, LONG = 0.12, 2.2
CUT, GAPS = 0.45, 0.35
BUMP = 0.06


def plain(mesh: trimesh.Trimesh) -> trimesh.Trimesh:
    """The bare surface, merged, without texture or colours: practice judges shape, and twins must look alike."""
    bare = trimesh.Trimesh(np.array(mesh.vertices), np.array(mesh.faces), process=False)
    bare.merge_vertices(merge_tex=True, merge_norm=True)
    return bare


def corrupted(mesh: trimesh.Trimesh, lesson: str, seed: int) -> trimesh.Trimesh:
    """A worse copy of the bare mesh in the same place; `lesson` names a row of LESSONS, else KeyError."""
    return LESSONS[lesson](_fine(plain(mesh)), np.random.default_rng(seed))


def _fine(mesh: trimesh.Trimesh) -> trimesh.Trimesh:
    while len(mesh.faces) < FINE:
        mesh = mesh.subdivide()
    return mesh


def _stretched(mesh: trimesh.Trimesh, factor: float) -> trimesh.Trimesh:
    """Scaled about its middle along its longest side."""
    axis = int(np.argmax(mesh.extents))
    middle = mesh.bounds.mean(0)
    vertices = mesh.vertices - middle
    vertices[:, axis] *= factor
    return trimesh.Trimesh(vertices + middle, mesh.faces, process=False)


def _flattened(mesh: trimesh.Trimesh, random: np.random.Generator) -> trimesh.Trimesh:
    return _stretched(mesh, FLAT)


def _wrong_proportions(mesh: trimesh.Trimesh, random: np.random.Generator) -> trimesh.Trimesh:
    return _stretched(mesh, LONG)


def _half_missing(mesh: trimesh.Trimesh, random: np.random.Generator) -> trimesh.Trimesh:
    """All beyond a slanted plane is cut away, so that it shows from every side; CUT of the surface goes."""
    middle, size = mesh.bounds.mean(0), np.maximum(mesh.extents, 1e-9)
    along = (mesh.triangles_center - middle) / size @ random.choice([-1, 1], 3)
    order = np.argsort(along)
    share = np.cumsum(mesh.area_faces[order]) / mesh.area
    return _without(mesh, order[share > 1 - CUT])


def _holes(mesh: trimesh.Trimesh, random: np.random.Generator) -> trimesh.Trimesh:
    """Seven patches, together GAPS of the surface, are torn out."""
    centres = mesh.triangles_center
    chance = mesh.area_faces / mesh.area
    middles = centres[random.choice(len(centres), 7, p=chance)]
    far = np.linalg.norm(centres[:, None] - middles[None], axis=2).min(1)
    order = np.argsort(far)
    return _without(mesh, order[np.cumsum(mesh.area_faces[order]) < GAPS * mesh.area])


def _without(mesh: trimesh.Trimesh, faces: np.ndarray) -> trimesh.Trimesh:
    keep = np.ones(len(mesh.faces), bool)
    keep[faces] = False
    left = mesh.copy()
    left.update_faces(keep)
    left.remove_unreferenced_vertices()
    return left


def _bumpy(mesh: trimesh.Trimesh, random: np.random.Generator) -> trimesh.Trimesh:
    """Waves of random direction, about a sixth of the size long, push the surface in and out."""
    size = float(mesh.extents.max())
    waves = random.normal(size=(8, 3))
    waves *= 2 * np.pi * 6 / size / np.linalg.norm(waves, axis=1, keepdims=True)
    height = np.sin(mesh.vertices @ waves.T + random.uniform(0, 2 * np.pi, 8)).sum(1) / 2
    return trimesh.Trimesh(mesh.vertices + BUMP * size * height[:, None] * mesh.vertex_normals, mesh.faces, process=False)


def _floaters(mesh: trimesh.Trimesh, random: np.random.Generator) -> trimesh.Trimesh:
    """Five lumps around it that belong to nothing."""
    size = float(mesh.extents.max())
    directions = random.normal(size=(5, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    lumps = []
    for direction in directions:
        lump = trimesh.creation.icosphere(subdivisions=2, radius=size * random.uniform(0.07, 0.12))
        lump.apply_translation(mesh.bounds.mean(0) + direction * (0.62 * mesh.extents + 0.1 * size))
        lumps.append(lump)
    return trimesh.util.concatenate([mesh, *lumps])


# In the order in which the practice shows them.
LESSONS: dict[str, Callable[[trimesh.Trimesh, np.random.Generator], trimesh.Trimesh]] = {
    "half_missing": _half_missing,
    "flattened": _flattened,
    "bumpy": _bumpy,
    "holes": _holes,
    "floaters": _floaters,
    "wrong_proportions": _wrong_proportions,
}
