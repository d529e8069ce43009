"""Fits a posed mesh to the pointmap and the mask: ICP with scale on the visible surface and the outline.

What other things cover is not held against a pose: where the scene is nearer than the mesh, or the picture has
ended, nobody can tell whether the mesh is there.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import trimesh
from scipy.ndimage import distance_transform_edt
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from model_zoo.io.poses import Pose
from model_zoo.proposers.placing import LEAST_POINTS, Window, align_outline, object_depth, overlap, window_of
from model_zoo.render import RayTree, pixel_rays

SECONDS, LAST_SECONDS = 1.2, 0.3  # for the search and for taking a turn back; the rest is for a busy core
STEPS, LOOSE_STEPS = 40, 12  # over the first, outliers and the outline come to count less
MOST_POINTS = 2000
CARD_STEPS = 12
KEPT_SHARE = 0.85  # of the closest pairs; the rest may be wrong
LARGEST_TURN = 0.2  # radians in one step
LEAST_RELIEF = 0.01  # depth against width; below it the points say nothing about the rotation
DAMPING = 1e-3  # keeps what the surface does not tell, such as the turn of a ball
OUTLINE_WEIGHTS = 0.5, 0.08  # first and last weight of all outline pairs against all surface pairs
NEARER = 0.05  # of the object's size: by how much something in front of it is nearer
HOLE = 8  # pixels of the window that a gap in the depth is filled over
SAME, PATIENCE = 2e-4, 8  # merit that counts as progress, and the steps without it that end a descent
BETTER = 0.01  # merit by which another start must win, so that what looks alike stays where it was
ALIKE = 0.004  # merit that a turn must bring, or it is taken back
LEAST_TWIST = np.radians(2)
UNWINDING = 28  # the step at which the descent after that begins
LOST = 0.2  # IoU below which a pose is moved to the object first
GOOD = 0.9  # merit at which no further starts are tried
TURNS = np.radians(20) * np.vstack([np.eye(3), -np.eye(3)])


@dataclass(frozen=True)
class Fit:
    """The refined pose, its mask IoU (what other things cover left out), and the mean depth error of the common
    pixels relative to the object's depth."""

    pose: Pose
    iou: float
    depth_error: float
    merit: float


def fit(
    mesh: trimesh.Trimesh,
    pose: Pose,
    pointmap: np.ndarray,
    mask: np.ndarray,
    K: np.ndarray,
    *,
    others: Sequence[Pose] = (),
) -> Fit:
    """Refines the pose of a mesh on a pointmap (H,W,3) inside a mask (H,W); never returns a worse one, <= 2 s.

    `others` are further poses to start from; one of them must end clearly better to win. The scale stays as
    anisotropic as it was. Raises BadInput on an empty mask or pointmap.
    """
    target, depth = _Target(mesh, pose, pointmap, mask, K), object_depth(mask, pointmap)
    began = time.monotonic()
    best = target.judge(pose)
    starts = [pose, *others]
    if max(target.judge(start).iou for start in starts) < LOST:
        starts.append(_brought_back(target, pose, depth))
    deadline = began + SECONDS
    if not target.has_relief:
        ends = [_on_a_card(target, target.judge(start), depth, deadline) for start in starts]
        return max(best, *ends, key=_merit)
    for number, start in enumerate(starts):
        share = began + SECONDS * (number + 1) / len(starts)
        found = _unwound(target, start, _descend(target, target.judge(start), share), share)
        if found.merit > best.merit + (BETTER if number else 0):
            best = found
    return _from_turned(target, best, pose, deadline)


def _from_turned(target: _Target, first: Fit, start: Pose, deadline: float) -> Fit:
    """A clearly better fit from a pose turned to one side, when the first is poor and there is time."""
    best = first
    for turn in TURNS:
        if best.merit > GOOD or time.monotonic() > deadline:
            break
        other = _descend(target, target.judge(target.turned(first.pose, turn)), deadline)
        if other.merit > max(best.merit, first.merit + BETTER):
            best = other
    return best if best is first else _unwound(target, start, best, deadline)


def _brought_back(target: _Target, pose: Pose, depth: float) -> Pose:
    """The pose moved to where the object is, when it is so far off that nothing of the mesh meets the mask."""
    v, u = np.argwhere(target.window.mask).mean(0)
    goal = np.linalg.solve(target.window.K, [u, v, 1.0]) * depth
    pose = Pose(pose.R, pose.t + goal - pose.apply(target.middle[None])[0], pose.s)
    for _ in range(4):
        pose = align_outline(target.tree, pose, target.window, depth)
    return pose


def iou(mesh: trimesh.Trimesh, pose: Pose, K: np.ndarray, mask: np.ndarray) -> float:
    """Intersection over union of the posed mesh's outline and a mask (H,W) of the camera K (3,3)."""
    window = window_of(mask, np.full((*mask.shape, 3), np.nan), K, side=192)
    return overlap(np.isfinite(window.look(RayTree(mesh), pose)), window.mask)


def _merit(found: Fit) -> float:
    return found.merit


class _Target:
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
        inside, edge = distance_transform_edt(np.pad(mask, 1), return_indices=True)
        outside, back = distance_transform_edt(~mask, return_indices=True)
        self.distance = np.where(mask, 0.5 - inside[1:-1, 1:-1], outside - 0.5)
        down, across = np.gradient(self.distance)
        self.slope = np.stack([across, down], -1)
        rim = _rim(mask) & ~covered
        self.own_rim = np.argwhere(rim)
        # A pixel's nearest edge pixel tells whether its distance is one to the object's own edge.
        nearest_rim = distance_transform_edt(~_rim(mask), return_indices=True)[1]
        self.to_own_edge = ~covered[nearest_rim[0], nearest_rim[1]]

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


def _unwound(target: _Target, start: Pose, found: Fit, deadline: float) -> Fit:
    """The fit without the turn since `start` that nothing speaks for, such as that of a can about its axis."""
    rows = _rows(target, found.pose, tight=1.0)
    if rows is None:
        return found
    axis = np.linalg.eigh(_equations(*rows, target.size).A)[1][:3, 0]
    axis = axis / max(float(np.linalg.norm(axis)), 1e-9)
    turn = Rotation.from_matrix(found.pose.R @ start.R.T).as_quat()
    twist = (2 * np.arctan2(turn[:3] @ axis, turn[3]) + np.pi) % (2 * np.pi) - np.pi
    if abs(twist) < LEAST_TWIST:
        return found
    back = target.judge(target.turned(found.pose, -twist * axis))
    back = _descend(target, back, deadline + LAST_SECONDS, first=UNWINDING, locked=axis)
    return back if back.merit > found.merit - ALIKE else found


def _descend(
    target: _Target, start: Fit, deadline: float, *, first: int = 0, locked: np.ndarray | None = None
) -> Fit:
    """Steps from a pose until they bring nothing; the best pose on the way. No turn about the axis `locked`."""
    best, pose, best_at = start, start.pose, first
    for number in range(first, STEPS):
        settled = number - max(best_at, LOOSE_STEPS) > PATIENCE
        if settled or time.monotonic() > deadline:
            break
        rows = _rows(target, pose, tight=min(1.0, number / LOOSE_STEPS))
        if rows is None:
            break
        pose = _step(pose, _equations(*rows, target.size), locked)
        judged = target.judge(pose)
        if judged.merit > best.merit + SAME:
            best_at = number
        best = max(best, judged, key=_merit)
    return best


def _on_a_card(target: _Target, best: Fit, depth: float, deadline: float) -> Fit:
    """The fit on points that say nothing about the rotation: outline and distance only."""
    pose = best.pose
    for _ in range(CARD_STEPS):
        if time.monotonic() > deadline:
            break
        pose = align_outline(target.tree, pose, target.window, depth)
        best = max(best, target.judge(pose), key=_merit)
    return best


def _rows(
    target: _Target, pose: Pose, tight: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray] | None:
    """Points (N,3) of the mesh, directions (N,3), how far each wants to go along its own (N,), and weights (N,)."""
    depth, face, covered = target.look(pose)
    found = np.isfinite(depth)
    if found.sum() < LEAST_POINTS or len(target.seen) < LEAST_POINTS:
        return None
    points = target.rays * depth[..., None]
    surface = points[found]
    normals = target.normals(pose, face[found])
    distance, index = cKDTree(surface).query(target.seen)
    limit = max(float(np.quantile(distance, KEPT_SHARE)), 1e-6)
    kept = distance <= limit
    p, n = surface[index[kept]], normals[index[kept]]
    gap = ((target.seen[kept] - p) * n).sum(1)
    scale = (0.05 * (1 - tight) + 0.01 * tight) * target.size
    weight = 1 / (1 + (gap / scale) ** 2)
    q, g, way, trust = _outline_rows(target, points, found, covered, tight)
    early, late = OUTLINE_WEIGHTS
    trust = trust * (early + (late - early) * tight) * len(p) / max(len(q), 1)
    return np.vstack([p, q]), np.vstack([n, g]), np.r_[gap, way], np.r_[weight, trust]


def _outline_rows(
    target: _Target, points: np.ndarray, found: np.ndarray, covered: np.ndarray, tight: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Rows that pull the mesh's rim onto the mask's edge, and the mask's own edge towards the mesh's rim."""
    rim = _rim(found)
    use = np.argwhere(rim & ~covered & target.to_own_edge)
    v, u = use.T
    m = target.slope[v, u]
    pull = -(target.distance[v, u] + 0.5)
    # From the mask's edge to the nearest rim of the mesh.
    nearest = distance_transform_edt(~rim, return_indices=True)[1]
    ev, eu = target.own_rim.T
    rv, ru = nearest[0][ev, eu], nearest[1][ev, eu]
    way = np.stack([eu - ru, ev - rv], -1).astype(float)
    length = np.linalg.norm(way, axis=1)
    free = length > 0.5
    v, u = np.r_[v, rv[free]], np.r_[u, ru[free]]
    m = np.vstack([m, way[free] / length[free, None]])
    pull = np.r_[pull, length[free]]
    p = points[v, u]
    pixel = p[:, 2] / target.window.K[0, 0]
    g = np.column_stack([m, -(m * p[:, :2]).sum(1) / p[:, 2]])
    scale = 8 * (1 - tight) + 2 * tight
    return p, g, pull * pixel, 1 / (1 + (pull / scale) ** 2)


@dataclass(frozen=True)
class _Equations:
    """Normal equations of one step about `middle` (3,), lengths in `unit`s."""

    A: np.ndarray
    b: np.ndarray
    middle: np.ndarray
    unit: float


def _equations(
    points: np.ndarray, directions: np.ndarray, ways: np.ndarray, weights: np.ndarray, size: float
) -> _Equations:
    """Of d . (w x p + c p + t) = way about the centroid over turn w, way t, growth c: point-to-plane
    (Chen and Medioni 1992) with a scale, so that surfaces may slide along each other.
    """
    middle, unit = points.mean(0), 0.4 * size
    p = (points - middle) / unit
    J = np.column_stack([np.cross(p, directions), directions, (p * directions).sum(1)])
    W = weights[:, None] * J / max(float(weights.sum()), 1e-9)
    return _Equations(J.T @ W, W.T @ (ways / unit), middle, unit)


def _step(pose: Pose, given: _Equations, locked: np.ndarray | None) -> Pose:
    """The pose after one damped Gauss-Newton step."""
    A = given.A + DAMPING * np.eye(7)
    if locked is not None:
        A[:3, :3] += 100 * np.outer(locked, locked)
    step = np.linalg.solve(A, given.b)
    turn = step[:3] * min(1.0, LARGEST_TURN / max(float(np.linalg.norm(step[:3])), 1e-9))
    R, scale = Rotation.from_rotvec(turn).as_matrix(), float(np.clip(1.0 + step[6], 0.85, 1.18))
    t = given.middle + given.unit * step[3:6]
    return Pose(R @ pose.R, t + scale * R @ (pose.t - given.middle), pose.s * scale)


def _rim(mask: np.ndarray) -> np.ndarray:
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
