"""Holes: the rims of a surface, and filling the small ones with a fan around their middle."""

from __future__ import annotations

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from model_zoo.report.subject import SLIVER, Subject, edges_of

SMALL_HOLE = 0.05  # of the longest side, across a hole that may be filled without asking how
HOLE_EDGES = 64  # and the most edges around it


def holes_of(points: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Open edges (N,2) of a surface and the number of the hole that each borders (N,)."""
    table = edges_of(faces, len(points))
    open_edges = table.ends[table.uses == 1]
    graph = coo_matrix((np.ones(len(open_edges)), open_edges.T), (len(points),) * 2)
    label = connected_components(graph, directed=False)[1]
    hole = np.unique(label[open_edges[:, 0]], return_inverse=True)[1].ravel() if len(open_edges) else []
    return open_edges, np.asarray(hole, int)


def hole_sizes(points: np.ndarray, open_edges: np.ndarray, hole: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Longest side of the box of each hole, and its number of edges."""
    count = int(hole.max(initial=-1)) + 1
    low, high = np.full((count, 3), np.inf), np.full((count, 3), -np.inf)
    for end in (0, 1):
        np.minimum.at(low, hole, points[open_edges[:, end]])
        np.maximum.at(high, hole, points[open_edges[:, end]])
    return (high - low).max(1, initial=0), np.bincount(hole, minlength=count)


def fillable(
    points: np.ndarray,
    open_edges: np.ndarray,
    hole: np.ndarray,
    *,
    most_side: float = SMALL_HOLE,
    most_edges: int = HOLE_EDGES,
) -> np.ndarray:
    """Bool per hole: a plain ring of few edges, small, and no mere slit."""
    sizes, counts = hole_sizes(points, open_edges, hole)
    ends, uses = np.unique(open_edges.ravel(), return_counts=True)
    odd = (uses[np.searchsorted(ends, open_edges)] != 2).any(1)
    one, other = points[open_edges[:, 0]], points[open_edges[:, 1]]
    middle = np.stack([np.bincount(hole, column) for column in ((one + other) / 2).T], 1) / counts[:, None]
    to = middle[hole] - one
    longest = np.maximum(np.linalg.norm(to, axis=1), np.linalg.norm(other - one, axis=1))
    height = np.linalg.norm(np.cross(other - one, to), axis=1) / np.maximum(longest, 1e-30)
    bad = np.bincount(hole, odd | (height < SLIVER)) > 0
    return (sizes <= most_side) & (counts <= most_edges) & ~bad


def filled(
    subject: Subject, *, most_side: float = SMALL_HOLE, most_edges: int = HOLE_EDGES
) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """Vertices (V,3), faces (F,3), whose looks each vertex takes (V,), and how many holes were filled: those of at
    most `most_side` across, of the longest side, and `most_edges` edges."""
    mesh = subject.mesh
    vertices, faces = np.asarray(mesh.vertices, float), np.asarray(mesh.faces)
    pick = np.arange(len(vertices))
    open_edges, hole = holes_of(subject.points, subject.faces)
    if not len(open_edges):
        return vertices, faces, pick, 0
    good = fillable(subject.points, open_edges, hole, most_side=most_side, most_edges=most_edges)
    if not good.any():
        return vertices, faces, pick, 0
    table = subject.edges
    number = np.full(len(table.uses), -1)
    number[table.uses == 1] = hole
    rim = number[table.of_face.ravel()]
    corner = np.flatnonzero((rim >= 0) & good[rim.clip(0)])
    one = faces.ravel()[corner]
    other = faces.ravel()[corner // 3 * 3 + (corner + 1) % 3]
    _, first, ring = np.unique(rim[corner], return_index=True, return_inverse=True)
    middle = (
        np.stack([np.bincount(ring, column) for column in vertices[one].T], 1) / np.bincount(ring)[:, None]
    )
    # A face runs from `one` to `other` along its rim, so the fan's face runs back.
    fan = np.stack([other, one, len(vertices) + ring], 1)
    return np.vstack([vertices, middle]), np.vstack([faces, fan]), np.append(pick, one[first]), len(first)
