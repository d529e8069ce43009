"""The mesh under examination: welded by position, brought to unit size, its edges counted and its rays ready.

Everything the checks measure is relative to the mesh's own size, so that millimetres and kilometres read alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import trimesh
from embreex.mesh_construction import TriangleMesh
from embreex.rtcore_scene import EmbreeScene
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from model_zoo.io.surface import merged_by_position

SLIVER = 1e-6  # height of a triangle below which it is degenerate, of the longest side


@dataclass(frozen=True)
class Edges:
    """The edges of a surface: `ends` (E,2) low and high vertex, `uses` (E,) faces at each, `of_face` (F,3) the edge
    numbers of each face (the edge from corner k to k+1), `forward` (F,3) whether the face runs from low to high."""

    ends: np.ndarray
    uses: np.ndarray
    of_face: np.ndarray
    forward: np.ndarray

    def pairs(self) -> tuple[np.ndarray, np.ndarray]:
        """Neighbours (N,2) across edges of exactly two faces, and whether the two face the same way (N,)."""
        flat = self.of_face.ravel()
        order = np.argsort(flat, kind="stable")
        first = np.flatnonzero(self.uses[flat[order]] == 2)[::2]
        one, other = order[first], order[first + 1]
        way = self.forward.ravel()
        return np.stack([one // 3, other // 3], 1), way[one] != way[other]


class Subject:
    """A mesh as the checks see it. `points` (P,3) welded and at unit size, `faces` (F,3) over them; face numbers are
    the mesh's own."""

    def __init__(self, mesh: trimesh.Trimesh) -> None:
        self.mesh = mesh
        vertices = np.asarray(mesh.vertices, float)
        low, high = vertices.min(0), vertices.max(0)
        self.centre = (low + high) / 2
        self.size = max(float((high - low).max()), 1e-30)
        count, self.faces = merged_by_position(vertices, np.asarray(mesh.faces))
        self.points = np.zeros((count, 3))
        self.points[self.faces] = (vertices[mesh.faces] - self.centre) / self.size
        # A vertex of the mesh at each point, whose place is exact where `back` rounds.
        self.vertex = np.zeros(count, np.int64)
        self.vertex[self.faces] = mesh.faces
        corners = self.points[self.faces]
        cross = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        length = np.linalg.norm(cross, axis=1)
        self.areas = length / 2
        self.normals = cross / np.maximum(length, 1e-30)[:, None]
        self.centres = corners.mean(1)
        sides = np.linalg.norm(corners - np.roll(corners, 1, axis=1), axis=2)
        self.heights = length / np.maximum(sides.max(1), 1e-30)

    @cached_property
    def edges(self) -> Edges:
        """The edge table."""
        return edges_of(self.faces, len(self.points))

    @cached_property
    def part(self) -> np.ndarray:
        """For every face (F,) the number of its connected part."""
        links = (self.faces[:, [0, 1]].ravel(), self.faces[:, [1, 2]].ravel())
        graph = coo_matrix((np.ones(len(links[0]), np.int8), links), (len(self.points),) * 2)
        return connected_components(graph, directed=False)[1][self.faces[:, 0]]

    @cached_property
    def scene(self) -> EmbreeScene:
        """The ray tree of the unit-size mesh."""
        scene = EmbreeScene(robust=True)
        TriangleMesh(scene, self.points.astype(np.float32), self.faces.astype(np.int32))
        return scene

    def blocked(self, starts: np.ndarray, directions: np.ndarray) -> np.ndarray:
        """Whether each ray (N,) meets the surface anywhere."""
        hit = self.scene.run(starts.astype(np.float32), directions.astype(np.float32), query="OCCLUDED")
        return np.asarray(hit) >= 0

    def back(self, points: np.ndarray) -> np.ndarray:
        """Points (N,3) at unit size in the frame of the GLB."""
        return points * self.size + self.centre


def edges_of(faces: np.ndarray, count: int) -> Edges:
    """The edge table of faces (F,3) over `count` vertices; faces with a repeated corner count like others."""
    start, stop = faces.astype(np.int64).ravel(), np.roll(faces, -1, axis=1).astype(np.int64).ravel()
    low, high = np.minimum(start, stop), np.maximum(start, stop)
    keys, index, uses = np.unique(low * count + high, return_inverse=True, return_counts=True)
    ends = np.stack(np.divmod(keys, count), 1)
    return Edges(ends, uses, index.reshape(-1, 3), (start < stop).reshape(-1, 3))
