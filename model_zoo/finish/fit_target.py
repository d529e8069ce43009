"""What a pose is judged by when a mesh is fitted: the mask's outline, the object's points, and what may cover it.

What other things cover is not held against a pose: where the scene is nearer than the mesh, or the picture has
ended, nobody can tell whether the mesh is there.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import trimesh
from scipy.ndimage import distance_transform_edt
from scipy.spatial.transform import Rotation

from model_zoo.io.poses import Pose
from model_zoo.proposers.placing import LEAST_POINTS, Window, overlap, window_of
from model_zoo.render import RayTree, pixel_rays

MOST_POINTS = 2000
LEAST_RELIEF = 0.01  # depth against width; below it the points say nothing about the rotation
NEARER = 0.05  # of the object's size: by how much something in front of it is nearer
HOLE = 8  # pixels of the window that a gap in the depth is filled over


@dataclass(frozen=True)
class Fit:
    """The refined pose, its mask IoU (what other things cover left out), the mean depth error of the common pixels
    relative to the object's depth, and the merit that fits are compared by: the IoU less twice the mean depth error
    relative to the object's size."""

    pose: Pose
    iou: float
    depth_error: float
    merit: float


class Target:
    """What a pose is judged by, on the window around the mask."""

    def __init__(
        self, mesh: trimesh.Trimesh, pose: Pose, pointmap: np.ndarray, mask: np.ndarray, K: np.ndarray
    ) -> None:
        self.tree, self.window = RayTree(mesh), window_of(mask, pointmap, K)
        self.faces = np.asarray(mesh.faces)
        self.middle = self.tree.bounds.mean(0)
        self.rays = pixel_rays(self.window.K, self.window.size)
        self.seen = _observed(self.window, self.rays)
        self.seen = self.seen[:: 1 + len(self.seen) // MOST_POINTS]
        self.size = _size(self.seen) or float(np.linalg.norm(np.ptp(self.tree.bounds, axis=0) * pose.s))
        self.has_relief = _has_relief(self.seen)
        self.scene = _scene_depth(self.window, pointmap, K)
        self._last: tuple[Pose, tuple[np.ndarray, np.ndarray, np.ndarray]] | None = None
        self._read_outline()

    def _read_outline(self) -> None:
        """Signed distance (h,w) to the mask's edge in pixels, its gradient, and where the edge is the object's own."""
        mask, depth = self.window.mask, self.window.depth
        covered = np.zeros(mask.shape, bool)
        for axis, way in ((0, 1), (0, -1), (1, 1), (1, -1)):
            near, far = (np.roll(self.scene, -way * k, axis) for k in (1, 2))
            # A ground that rises towards the camera goes on beyond the edge; what covers the object jumps there.
            jump = depth - near - np.nan_to_num(abs(near - far))
            covered |= mask & ~np.roll(mask, -way, axis) & (jump > NEARER * self.size)
        self.distance = np.where(
            mask, 0.5 - distance_transform_edt(mask), distance_transform_edt(~mask) - 0.5
        )
        down, across = np.gradient(self.distance)
        self.slope = np.stack([across, down], -1)
        self.own_rim = np.argwhere(rim_of(mask) & ~covered)
        # A pixel's nearest edge pixel tells whether its distance is one to the object's own edge.
        row, column = distance_transform_edt(~rim_of(mask), return_indices=True)[1]
        self.to_own_edge = ~covered[row, column]

    def look(self, pose: Pose) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Depth (h,w), face (h,w), and where the mesh is covered (h,w) as far as the scene tells."""
        if self._last is None or self._last[0] is not pose:
            depth, face = self.tree.hits(pose, self.window.K, self.window.size)
            covered = ~self.window.mask & (self.scene < depth - NEARER * self.size)
            self._last = (pose, (depth, face, covered))
        return self._last[1]

    def judge(self, pose: Pose) -> Fit:
        """How well a pose agrees with mask and depth."""
        depth, _, covered = self.look(pose)
        both = np.isfinite(depth) & np.isfinite(self.window.depth)
        off = np.abs(depth[both] - self.window.depth[both]) if both.any() else np.full(1, np.inf)
        agreed = overlap(np.isfinite(depth) & ~covered, self.window.mask)
        relative = off / self.window.depth[both] if both.any() else np.ones(1)
        error = float(np.clip(relative, 0, 0.5).mean())
        return Fit(pose, agreed, error, agreed - 2.0 * float(np.minimum(off / self.size, 0.2).mean()))

    def normals(self, pose: Pose, face: np.ndarray) -> np.ndarray:
        """Unit normals (N,3) in the camera of faces (N,) of the posed mesh."""
        a, b, c = np.moveaxis(self.tree.vertices[self.faces[face]], 1, 0)
        normals = np.cross(b - a, c - a) / pose.s @ pose.R.T
        return normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-20)

    def turned(self, pose: Pose, turn: np.ndarray) -> Pose:
        """The pose turned about the middle of the mesh by a rotation vector (3,) in the camera."""
        R = Rotation.from_rotvec(turn).as_matrix()
        middle = pose.apply(self.middle[None])[0]
        return Pose(R @ pose.R, middle + R @ (pose.t - middle), pose.s)


def rim_of(mask: np.ndarray) -> np.ndarray:
    """The pixels of a mask (h,w) that have a neighbour outside it."""
    wide = np.pad(mask, 1)
    return mask & ~(wide[:-2, 1:-1] & wide[2:, 1:-1] & wide[1:-1, :-2] & wide[1:-1, 2:])


def _scene_depth(window: Window, pointmap: np.ndarray, K: np.ndarray) -> np.ndarray:
    """Depth (h,w) of whatever the window shows: NaN where not measured, 0 beyond the picture."""
    shrink = window.K @ np.linalg.inv(K)
    u = np.floor((np.arange(window.size[0]) - shrink[0, 2]) / shrink[0, 0] + 0.5).astype(int)
    v = np.floor((np.arange(window.size[1]) - shrink[1, 2]) / shrink[1, 1] + 0.5).astype(int)
    inside = ((v >= 0) & (v < len(pointmap)))[:, None] & ((u >= 0) & (u < pointmap.shape[1]))[None]
    v, u = np.clip(v, 0, len(pointmap) - 1)[:, None], np.clip(u, 0, pointmap.shape[1] - 1)[None]
    depth = np.where(np.isfinite(pointmap[v, u, 2]), pointmap[v, u, 2], np.nan)
    known = np.isfinite(depth) & ~window.mask
    if known.any():
        # Beside an edge in depth a sensor sees nothing: there the nearest neighbour speaks.
        apart, (row, column) = distance_transform_edt(~known, return_indices=True)
        depth = np.where(np.isnan(depth) & (apart < HOLE), depth[row, column], depth)
    return np.where(inside, depth, 0.0)


def _observed(window: Window, rays: np.ndarray) -> np.ndarray:
    """Measured camera points (N,3) of the object, without the outermost percents in depth."""
    valid = np.isfinite(window.depth)
    points = rays[valid] * window.depth[valid][:, None]
    if len(points) < LEAST_POINTS:
        return points
    low, high = np.percentile(points[:, 2], [2, 98])
    span = max(high - low, 1e-6)
    return points[(points[:, 2] > low - 0.2 * span) & (points[:, 2] < high + 0.2 * span)]


def _size(seen: np.ndarray) -> float:
    """Diagonal of the box of the measured points (N,3): the length that errors are measured against."""
    if len(seen) < LEAST_POINTS:
        return 0.0
    return float(np.linalg.norm(np.percentile(seen, 98, axis=0) - np.percentile(seen, 2, axis=0)))


def _has_relief(seen: np.ndarray) -> bool:
    """Whether the measured points (N,3) are more than a card facing the camera, as a fallback pointmap has it."""
    if len(seen) < LEAST_POINTS:
        return False
    width, height, depth = np.percentile(seen, 95, axis=0) - np.percentile(seen, 5, axis=0)
    return bool(depth > LEAST_RELIEF * max(width, height))
