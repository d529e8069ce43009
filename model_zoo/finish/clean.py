"""Cleaning a proposed mesh: merged, without degenerate, repeated or floating bits, facing outwards, not too fine."""

from __future__ import annotations

import fast_simplification
import numpy as np
import trimesh
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from trimesh.visual.texture import TextureVisuals

from model_zoo.io.errors import BadInput

AGGRESSION = 3  # of simplifying: less keeps the outline better and takes longer
MOST_FACES = 50_000
SPECK_AREA, SPECK_SIDE = 0.0005, 0.02  # a part below both shares of the whole is a floater


def clean(mesh: trimesh.Trimesh, *, most_faces: int = MOST_FACES) -> trimesh.Trimesh:
    """A cleaned copy in the same place, its texture or colours kept. Raises BadInput when nothing is left."""
    if not np.isfinite(mesh.vertices).all():
        raise BadInput("the mesh has coordinates that are not finite", "bad_vertex")
    kept = mesh.copy()
    kept.merge_vertices()
    kept.update_faces(
        kept.nondegenerate_faces(height=1e-9 * max(float(kept.scale), 1e-9)) & kept.unique_faces()
    )
    if not len(kept.faces):
        raise BadInput("the mesh has no surface", "empty_mesh")
    kept.update_faces(_without_specks(kept))
    kept.remove_unreferenced_vertices()
    kept = capped(kept, most_faces)
    faces = _facing_outwards(kept)
    return _with_faces(kept, faces)


def places(mesh: trimesh.Trimesh) -> np.ndarray:
    """For every vertex (V,) the number of its place; vertices split by a texture seam share one."""
    size = max(float(np.ptp(mesh.vertices, axis=0).max()), 1e-12)
    cells = np.round((mesh.vertices - mesh.vertices.min(0)) / size * 1e7)
    return np.unique(cells, axis=0, return_inverse=True)[1].ravel()


def parts(mesh: trimesh.Trimesh) -> np.ndarray:
    """For every face (F,) the number of its connected part, seams of the texture not counting as gaps."""
    corner = places(mesh)[mesh.faces]
    count = int(corner.max()) + 1
    links = coo_matrix(
        (np.ones(2 * len(corner)), (corner[:, [0, 1]].ravel(), corner[:, [1, 2]].ravel())), (count, count)
    )
    return connected_components(links, directed=False)[1][corner[:, 0]]


def _without_specks(mesh: trimesh.Trimesh) -> np.ndarray:
    """Faces (F,) to keep: all but parts that are tiny in area and in size. Something is always kept."""
    part = parts(mesh)
    area = np.bincount(part, mesh.area_faces)
    low, high = np.full((len(area), 3), np.inf), np.full((len(area), 3), -np.inf)
    np.minimum.at(low, part, mesh.triangles.min(1))
    np.maximum.at(high, part, mesh.triangles.max(1))
    side = (high - low).max(1) / max(float(mesh.extents.max()), 1e-12)
    keep = (area >= SPECK_AREA * area.sum()) | (side >= SPECK_SIDE)
    return keep[part] if keep.any() else np.ones(len(part), bool)


def _facing_outwards(mesh: trimesh.Trimesh) -> np.ndarray:
    """Faces (F,3), each connected part turned so that its signed volume is not negative."""
    part = parts(mesh)
    corners = mesh.triangles - mesh.bounds.mean(0)
    volume = np.bincount(part, np.einsum("ij,ij->i", corners[:, 0], np.cross(corners[:, 1], corners[:, 2])))
    faces = np.array(mesh.faces)
    # An open sheet has no inside; only clearly negative parts are turned.
    inward = volume < -1e-9 * float(mesh.extents.max()) ** 3
    faces[inward[part]] = faces[inward[part]][:, ::-1]
    return faces


def capped(mesh: trimesh.Trimesh, most_faces: int) -> trimesh.Trimesh:
    """The mesh with at most `most_faces` triangles; texture coordinates and colours come from the nearest vertex."""
    if len(mesh.faces) <= most_faces:
        return mesh
    vertices, faces = fast_simplification.simplify(
        np.asarray(mesh.vertices, np.float32),
        np.asarray(mesh.faces, np.int32),
        target_count=most_faces,
        agg=AGGRESSION,
    )
    nearest = trimesh.proximity.cKDTree(mesh.vertices).query(vertices)[1]
    # Of a mesh of countless loose parts more are left than were wanted: then the smallest go.
    area = trimesh.triangles.area(vertices[faces])
    faces = faces[np.sort(np.argsort(-area, kind="stable")[:most_faces])]
    simple = trimesh.Trimesh(vertices, faces, process=False)
    visual = mesh.visual
    if visual.kind == "texture" and visual.uv is not None:
        simple.visual = TextureVisuals(uv=np.asarray(visual.uv)[nearest], material=visual.material)
    elif visual.kind in ("vertex", "face"):
        simple.visual.vertex_colors = np.asarray(visual.vertex_colors)[nearest]
    simple.update_faces(simple.nondegenerate_faces(height=1e-9 * max(float(simple.scale), 1e-9)))
    simple.remove_unreferenced_vertices()
    return simple


def _with_faces(mesh: trimesh.Trimesh, faces: np.ndarray) -> trimesh.Trimesh:
    result = trimesh.Trimesh(np.array(mesh.vertices), faces, process=False)
    result.visual = mesh.visual.copy()
    return result
