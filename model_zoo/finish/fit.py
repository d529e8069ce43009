"""Fits a posed mesh to the pointmap and the mask: ICP with scale on the visible surface and the outline."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import trimesh
from scipy.ndimage import distance_transform_edt
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from model_zoo.finish.fit_target import Fit, Target, rim_of
from model_zoo.io.poses import Pose
from model_zoo.proposers.placing import LEAST_POINTS, align_outline, object_depth, overlap, window_of
from model_zoo.render import RayTree

SECONDS, LAST_SECONDS = 1.0, 0.3  # for the search and for taking a turn back; the rest is for a busy core
STEPS, LOOSE_STEPS = 40, 12  # over the first, outliers and the outline come to count less
CARD_STEPS = 12
KEPT_SHARE = 0.85  # of the closest pairs; the rest may be wrong
LARGEST_TURN = 0.2  # radians in one step
DAMPING = 1e-3  # keeps what the surface does not tell, such as the turn of a ball
OUTLINE_WEIGHTS = 0.5, 0.08  # first and last weight of all outline pairs against all surface pairs
SAME, PATIENCE = 2e-4, 8  # merit that counts as progress, and the steps without it that end a descent
BETTER = 0.01  # merit by which another start must win, so that what looks alike stays where it was
ALIKE = 0.004  # merit that a turn must bring, or it is taken back
LEAST_TWIST = np.radians(2)
UNWINDING = 28  # the step at which the descent after that begins
LOST = 0.2  # IoU below which a pose is moved to the object first
GOOD = 0.9  # merit at which no further starts are tried
TURNS = np.radians(20) * np.vstack([np.eye(3), -np.eye(3)])


def fit(
    mesh: trimesh.Trimesh,
    pose: Pose,
    pointmap: np.ndarray,
    mask: np.ndarray,
    K: np.ndarray,
    *,
    others: Sequence[Pose] = (),
    seconds: float = SECONDS,
    wide: bool = True,
) -> Fit:
    """Refines the pose of a mesh on a pointmap (H,W,3) inside a mask (H,W); never returns a worse one, <= 2 s.

    About 0.2 s for 50,000 triangles on an idle core; whatever the load, the search ends `seconds` + 0.3 s after the ray
    tree stands (with infinite ones when it is done, and then one input gives one result). `others` are further poses to
    start from; one of them must end clearly better to win. `wide` also tries turns to all sides where the fit is poor.
    The scale stays as anisotropic as it was. Raises BadInput on an empty mask or pointmap.
    """
    target, depth = Target(mesh, pose, pointmap, mask, K), object_depth(mask, pointmap)
    began = time.monotonic()
    best = target.judge(pose)
    starts = [pose, *others]
    if max(target.judge(start).iou for start in starts) < LOST:
        starts.append(_brought_back(target, pose, depth))
    for number, start in enumerate(starts):
        found = _refined(target, start, depth, began + seconds * (number + 1) / len(starts))
        if found.merit > best.merit + (BETTER if number else 0):
            best = found
    if not wide or not target.has_relief:
        return best
    return _from_turned(target, best, pose, began + seconds)


def _refined(target: Target, start: Pose, depth: float, deadline: float) -> Fit:
    """The fit from one pose."""
    judged = target.judge(start)
    if not target.has_relief:
        return _on_a_card(target, judged, depth, deadline)
    return _unwound(target, start, _descend(target, judged, deadline), deadline)


def _from_turned(target: Target, first: Fit, start: Pose, deadline: float) -> Fit:
    """A clearly better fit from a pose turned to one side, when the first is poor and there is time."""
    best = first
    for turn in TURNS:
        if best.merit > GOOD or time.monotonic() > deadline:
            break
        other = _descend(target, target.judge(target.turned(first.pose, turn)), deadline)
        if other.merit > max(best.merit, first.merit + BETTER):
            best = other
    return best if best is first else _unwound(target, start, best, deadline)


def _brought_back(target: Target, pose: Pose, depth: float) -> Pose:
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


def _unwound(target: Target, start: Pose, found: Fit, deadline: float) -> Fit:
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
    target: Target, start: Fit, deadline: float, *, first: int = 0, locked: np.ndarray | None = None
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


def _on_a_card(target: Target, best: Fit, depth: float, deadline: float) -> Fit:
    """The fit on points that say nothing about the rotation: outline and distance only."""
    pose = best.pose
    for _ in range(CARD_STEPS):
        if time.monotonic() > deadline:
            break
        pose = align_outline(target.tree, pose, target.window, depth)
        best = max(best, target.judge(pose), key=_merit)
    return best


def _rows(
    target: Target, pose: Pose, tight: float
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
    target: Target, points: np.ndarray, found: np.ndarray, covered: np.ndarray, tight: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Rows that pull the mesh's rim onto the mask's edge, and the mask's own edge towards the mesh's rim."""
    rim = rim_of(found)
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
