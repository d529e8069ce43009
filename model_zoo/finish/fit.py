"""Fits a posed mesh to the pointmap and the mask: ICP with scale on the visible surface, judged by outline and depth."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
import trimesh
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from model_zoo.io.poses import Pose
from model_zoo.proposers.placing import (
    LEAST_POINTS,
    Window,
    align_outline,
    object_depth,
    overlap,
    window_of,
)
from model_zoo.render import RayTree, pixel_rays

SECONDS = 2.0
STEPS = 12
KEPT_SHARE = 0.8  # of the closest pairs; the rest may be occluded or wrong
LARGEST_TURN = 0.25  # radians in one step
LEAST_RELIEF = 0.01  # depth against width; below it the points say nothing about the rotation
DAMPING = 1e-3  # keeps what the surface does not tell, such as the turn of a ball


@dataclass(frozen=True)
class Fit:
    """The refined pose, its mask IoU, and the mean depth error of the common pixels relative to the object's depth."""

    pose: Pose
    iou: float
    depth_error: float


def fit(mesh: trimesh.Trimesh, pose: Pose, pointmap: np.ndarray, mask: np.ndarray, K: np.ndarray) -> Fit:
    """Refines the pose of a mesh on a pointmap (H,W,3) inside a mask (H,W); never returns a worse one, <= 2 s.

    The scale stays as anisotropic as it was. Raises BadInput on an empty mask or pointmap.
    """
    deadline = time.monotonic() + SECONDS
    tree = RayTree(mesh)
    window = window_of(mask, pointmap, K)
    depth = object_depth(mask, pointmap)
    seen = _observed(window)
    best = _judge(tree, pose, window)
    for turn in (True, False) if _has_relief(seen) else (False,):
        current = best.pose
        for _ in range(STEPS):
            if time.monotonic() > deadline:
                return best
            moved = _icp_step(tree, current, window, seen, turn)
            current = align_outline(tree, moved, window, depth)
            judged = _judge(tree, current, window)
            if _merit(judged) > _merit(best) + 1e-4:
                best = judged
            elif _merit(judged) < _merit(best) - 0.1:
                break
    return best


def iou(mesh: trimesh.Trimesh, pose: Pose, K: np.ndarray, mask: np.ndarray) -> float:
    """Intersection over union of the posed mesh's outline and a mask (H,W) of the camera K (3,3)."""
    window = window_of(mask, np.full((*mask.shape, 3), np.nan), K, side=192)
    return overlap(np.isfinite(window.look(RayTree(mesh), pose)), window.mask)


def _merit(fit_: Fit) -> float:
    return fit_.iou - 2.0 * min(fit_.depth_error, 0.25)


def _judge(tree: RayTree, pose: Pose, window: Window) -> Fit:
    seen = window.look(tree, pose)
    both = np.isfinite(seen) & np.isfinite(window.depth)
    error = np.abs(seen[both] - window.depth[both]) / window.depth[both] if both.any() else np.ones(1)
    return Fit(pose, overlap(np.isfinite(seen), window.mask), float(np.clip(error, 0, 0.5).mean()))


def _observed(window: Window) -> np.ndarray:
    """Measured camera points (N,3) of the object, without the outermost percents in depth."""
    valid = np.isfinite(window.depth)
    points = pixel_rays(window.K, window.size)[valid] * window.depth[valid][:, None]
    if len(points) < LEAST_POINTS:
        return points
    low, high = np.percentile(points[:, 2], [2, 98])
    span = max(high - low, 1e-6)
    return points[(points[:, 2] > low - 0.2 * span) & (points[:, 2] < high + 0.2 * span)]


def _has_relief(seen: np.ndarray) -> bool:
    """Whether the measured points (N,3) are more than a card facing the camera, as a fallback pointmap has it."""
    if len(seen) < LEAST_POINTS:
        return False
    width, height, depth = np.percentile(seen, 95, axis=0) - np.percentile(seen, 5, axis=0)
    return bool(depth > LEAST_RELIEF * max(width, height))


def _icp_step(tree: RayTree, pose: Pose, window: Window, seen: np.ndarray, turn: bool) -> Pose:
    """Moves the pose by the similarity that best maps the visible surface onto the measured points."""
    points = pixel_rays(window.K, window.size) * window.look(tree, pose)[..., None]
    normals = _normals(points)
    usable = np.isfinite(points).all(-1) & np.isfinite(normals).all(-1)
    if usable.sum() < LEAST_POINTS or len(seen) < LEAST_POINTS:
        return pose
    distance, index = cKDTree(points[usable]).query(seen)
    kept = distance <= np.quantile(distance, KEPT_SHARE)
    surface, target = points[usable][index[kept]], seen[kept]
    if turn:
        scale, R, t = slide(surface, normals[usable][index[kept]], target)
    else:
        scale, R, t = similarity(surface, target, turn=False)
    scale = float(np.clip(scale, 0.8, 1.25))
    return Pose(R=R @ pose.R, t=scale * R @ pose.t + t, s=pose.s * scale)


def _normals(points: np.ndarray) -> np.ndarray:
    """Unit normals (h,w,3) of a pointmap (h,w,3) from its neighbours; NaN at the rim."""
    across, down = np.full(points.shape, np.nan), np.full(points.shape, np.nan)
    across[:, 1:-1], down[1:-1] = points[:, 2:] - points[:, :-2], points[2:] - points[:-2]
    normals = np.cross(across, down)
    return normals / np.linalg.norm(normals, axis=-1, keepdims=True)


def slide(
    source: np.ndarray, normals: np.ndarray, target: np.ndarray
) -> tuple[float, np.ndarray, np.ndarray]:
    """Scale, R (3,3), t (3,) of one damped point-to-plane step from pairs (N,3) with the source's unit normals.

    Minimises n . (p + w x p + c p + t - q) about the centroid (Chen and Medioni 1992, with a scale), so that
    surfaces may slide along each other. The turn is at most LARGEST_TURN.
    """
    middle = source.mean(0)
    size = max(float(np.sqrt(((source - middle) ** 2).sum(1).mean())), 1e-9)
    p, q = (source - middle) / size, (target - middle) / size
    A = np.column_stack([np.cross(p, normals), normals, (p * normals).sum(1)])
    step = np.linalg.solve(A.T @ A + DAMPING * len(p) * np.eye(7), A.T @ ((q - p) * normals).sum(1))
    turn = step[:3] * min(1.0, LARGEST_TURN / max(float(np.linalg.norm(step[:3])), 1e-9))
    R, scale = Rotation.from_rotvec(turn).as_matrix(), 1.0 + float(np.clip(step[6], -0.2, 0.2))
    return scale, R, middle + size * step[3:6] - scale * R @ middle


def similarity(
    source: np.ndarray, target: np.ndarray, *, turn: bool = True
) -> tuple[float, np.ndarray, np.ndarray]:
    """Scale, R (3,3), t (3,) that minimise |scale R source + t - target| over pairs (N,3).

    Umeyama 1991, equations 40 to 43; `turn` False keeps R the identity.
    """
    mean_source, mean_target = source.mean(0), target.mean(0)
    a, b = source - mean_source, target - mean_target
    U, singular, Vt = np.linalg.svd(b.T @ a / len(a))
    sign = np.array([1, 1, np.sign(np.linalg.det(U) * np.linalg.det(Vt)) or 1.0])
    R = (U * sign) @ Vt if turn else np.eye(3)
    variance = (a**2).sum() / len(a)
    covariance = (singular * sign).sum() if turn else (a * b).sum() / len(a)
    scale = float(covariance / variance) if variance > 0 else 1.0
    scale = scale if scale > 1e-9 else 1.0
    return scale, R, mean_target - scale * R @ mean_source
