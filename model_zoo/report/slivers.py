"""Takes out triangles that are as good as lines without tearing the surface: short edges collapse, long ones flip."""

from __future__ import annotations

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from model_zoo.report.subject import SLIVER, Subject, edges_of

NEEDLE = 10 * SLIVER  # an edge shorter than this may collapse
ROUNDS = 5


def without_slivers(subject: Subject) -> tuple[np.ndarray, np.ndarray]:
    """Vertices (V,3) in the mesh's frame, some moved by at most a few NEEDLE, and the faces that are left."""
    place = _needles_collapsed(subject)
    first = np.unique(place, return_index=True)[1]
    points, faces, own = subject.points[first], place[subject.faces], np.asarray(subject.mesh.faces)
    vertices = np.array(subject.mesh.vertices, float)
    vertices[own] = vertices[subject.vertex[first]][faces]
    kept = ~(faces == np.roll(faces, 1, axis=1)).any(1)
    own, faces = own[kept], faces[kept]
    for _ in range(ROUNDS):
        own, faces, flipped = _caps_flipped(points, own, faces)
        if not flipped:
            break
    return vertices, own


def _needles_collapsed(subject: Subject) -> np.ndarray:
    """For every point (P,) the number of its place; both ends of a sliver's very short edge share one."""
    sliver = subject.faces[subject.heights < SLIVER]
    ends = np.stack([sliver, np.roll(sliver, -1, axis=1)], -1).reshape(-1, 2)
    short = np.linalg.norm(np.diff(subject.points[ends], axis=1)[:, 0], axis=1) < NEEDLE
    graph = coo_matrix((np.ones(int(short.sum())), ends[short].T), (len(subject.points),) * 2)
    return np.asarray(connected_components(graph, directed=False)[1])


def _caps_flipped(
    points: np.ndarray, own: np.ndarray, faces: np.ndarray
) -> tuple[np.ndarray, np.ndarray, int]:
    """Where a sliver's corner lies on its longest edge, that edge is turned to join it with the neighbour's corner.

    `own` (F,3) are the mesh's vertices, `faces` (F,3) the welded points. Only edges of two faces that share the mesh's
    own vertices are turned, so that textures stay; a face takes part once a round.
    """
    corners = points[faces]
    sides = np.linalg.norm(np.roll(corners, -1, axis=1) - corners, axis=2)
    double = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
    cap = np.flatnonzero(double < SLIVER * sides.max(1))
    if not len(cap):
        return own, faces, 0
    table = edges_of(faces, len(points))
    flat = table.of_face.ravel()
    order = np.argsort(flat, kind="stable")
    start = np.searchsorted(flat[order], np.arange(len(table.uses)))
    own, faces, busy, flipped = own.copy(), faces.copy(), set(), 0
    for face in cap:
        k = int(sides[face].argmax())
        edge = table.of_face[face, k]
        if table.uses[edge] != 2:
            continue
        half = order[start[edge] : start[edge] + 2]
        twin = int(half[half // 3 != face][0]) if (half // 3 != face).any() else -1
        other, j = twin // 3, twin % 3
        if twin < 0 or {int(face), other} & busy:
            continue
        a, b, c = own[face, [k, (k + 1) % 3, (k + 2) % 3]]
        if own[other, j] != b or own[other, (j + 1) % 3] != a:
            continue
        d = own[other, (j + 2) % 3]
        pa, pb, pc = faces[face, [k, (k + 1) % 3, (k + 2) % 3]]
        pd = faces[other, (j + 2) % 3]
        own[face], own[other] = (a, d, c), (d, b, c)
        faces[face], faces[other] = (pa, pd, pc), (pd, pb, pc)
        busy |= {int(face), other}
        flipped += 1
    return own, faces, flipped
