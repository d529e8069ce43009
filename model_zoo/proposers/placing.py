"""Places a mesh of known orientation so that its silhouette and depth agree with the mask and the pointmap."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import trimesh

from model_zoo.io.errors import BadInput
from model_zoo.io.poses import Pose
from model_zoo.render import RayTree

LEAST_POINTS = 12
WORKING_SIDE = 112  # pixels of the longer side of the crop that poses are judged on


@dataclass(frozen=True)
class Window:
    """A crop around the mask at working resolution: camera K (3,3), `mask` bool and `depth` (h,w), NaN invalid."""

    K: np.ndarray
    mask: np.ndarray
    depth: np.ndarray

    @property
    def size(self) -> tuple[int, int]:
        """(width, height)."""
        return (self.mask.shape[1], self.mask.shape[0])

    def look(self, tree: RayTree, pose: Pose) -> np.ndarray:
        """Depth (h,w) of the posed mesh as this window sees it, NaN beside it."""
        return tree.depth(pose, self.K, self.size)


def camera_of(pointmap: np.ndarray) -> np.ndarray:
    """K (3,3) of the pinhole that made a pointmap (H,W,3): u = fx x/z + cx by least squares, likewise v.

    Raises BadInput when fewer than 12 points are valid or they do not come from a pinhole camera.
    """
    valid = np.isfinite(pointmap).all(-1) & (pointmap[..., 2] > 0)
    if valid.sum() < LEAST_POINTS:
        raise BadInput("the pointmap has too few valid points to place anything on it", "empty_pointmap")
    v, u = np.nonzero(valid)
    x, y, z = pointmap[valid].astype(float).T
    fx, cx = np.polyfit(x / z, u, 1) if np.ptp(x / z) > 1e-9 else (0.0, 0.0)
    fy, cy = np.polyfit(y / z, v, 1) if np.ptp(y / z) > 1e-9 else (0.0, 0.0)
    if fx <= 0 or fy <= 0:
        raise BadInput("the pointmap does not look as if a pinhole camera had made it", "bad_pointmap")
    return np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]])


def window_of(mask: np.ndarray, pointmap: np.ndarray, K: np.ndarray, side: int = WORKING_SIDE) -> Window:
    """The crop around a mask (H,W), with a third of its size as margin, sampled to `side` pixels."""
    rows, columns = np.nonzero(mask)
    if not len(rows):
        raise BadInput("the mask is empty", "empty_mask")
    low = np.array([columns.min(), rows.min()], float)
    high = np.array([columns.max(), rows.max()], float) + 1
    margin = 0.33 * (high - low).max() + 2
    low, high = low - margin, high + margin
    step = (high - low).max() / side
    width, height = np.maximum(np.ceil((high - low) / step).astype(int), 8)
    shrink = np.array(
        [
            [1 / step, 0, -low[0] / step - 0.5 + 0.5 / step],
            [0, 1 / step, -low[1] / step - 0.5 + 0.5 / step],
            [0, 0, 1],
        ]
    )
    u = np.floor(low[0] + (np.arange(width) + 0.5) * step).astype(int)
    v = np.floor(low[1] + (np.arange(height) + 0.5) * step).astype(int)
    inside = ((v >= 0) & (v < mask.shape[0]))[:, None] & ((u >= 0) & (u < mask.shape[1]))[None]
    v, u = np.clip(v, 0, mask.shape[0] - 1)[:, None], np.clip(u, 0, mask.shape[1] - 1)[None]
    seen = mask[v, u] & inside
    if seen.sum() * step**2 < 0.5 * len(rows):
        # A mask thinner than a cell slips between the samples: then a cell counts when any pixel of it does.
        cell = np.floor((np.stack([rows, columns]) + 0.5 - low[::-1, None]) / step).astype(int)
        seen[cell[0], cell[1]] = True
    return Window(shrink @ K, seen, np.where(seen, pointmap[v, u, 2], np.nan))


def object_depth(mask: np.ndarray, pointmap: np.ndarray) -> float:
    """Median depth of the object's points, in the pointmap's units; of all points when the mask holds too few."""
    z = pointmap[..., 2]
    valid = np.isfinite(z) & (z > 0)
    own = z[valid & mask]
    chosen = own if len(own) >= LEAST_POINTS else z[valid]
    if not len(chosen):
        raise BadInput("the pointmap has no valid points", "empty_pointmap")
    return float(np.median(chosen))


def towards(mask: np.ndarray, K: np.ndarray) -> np.ndarray:
    """Rotation (3,3) from the optical axis to the ray through the middle of the mask's box."""
    rows, columns = np.nonzero(mask)
    u, v = (columns.min() + columns.max()) / 2, (rows.min() + rows.max()) / 2
    ray = np.array([(u - K[0, 2]) / K[0, 0], (v - K[1, 2]) / K[1, 1], 1.0])
    return np.asarray(trimesh.geometry.align_vectors([0, 0, 1], ray / np.linalg.norm(ray)))[:3, :3]


def place(tree: RayTree, rotation: np.ndarray, window: Window, depth: float, *, rounds: int = 4) -> Pose:
    """The pose of a mesh turned by `rotation` (3,3) whose outline and depth fit the window; one scale for all axes.

    `depth` is the median depth of the object's visible points.
    """
    turned = tree.vertices @ rotation.T
    low, high = turned.min(0), turned.max(0)
    pixels = _box(window.mask)
    wanted = (pixels[2:] - pixels[:2]) * depth / np.diag(window.K)[:2]
    scale = float(np.median(wanted / np.maximum((high - low)[:2], 1e-9)))
    middle = (pixels[:2] + pixels[2:]) / 2
    ray = np.linalg.solve(window.K, [*middle, 1.0])
    t = ray * (depth + 0.25 * scale * (high - low)[2]) - scale * rotation @ tree.bounds.mean(0)
    pose = Pose(R=rotation, t=t, s=np.full(3, scale))
    for _ in range(rounds):
        pose = align_outline(tree, pose, window, depth)
    return pose


def align_outline(tree: RayTree, pose: Pose, window: Window, depth: float) -> Pose:
    """One step: scales and shifts the pose so that outline box, area and median depth come closer to the window's."""
    seen = window.look(tree, pose)
    outline = np.isfinite(seen)
    if outline.sum() < 4:
        return pose
    both = outline & np.isfinite(window.depth)
    own_depth = float(np.median(seen[both] if both.sum() > LEAST_POINTS else seen[outline]))
    target = float(np.median(window.depth[both])) if both.sum() > LEAST_POINTS else depth
    is_box, want_box = _box(outline), _box(window.mask)
    sides = (want_box[2:] - want_box[:2]) / np.maximum(is_box[2:] - is_box[:2], 1)
    area = np.sqrt(window.mask.sum() / outline.sum())
    growth = float(np.clip((np.sqrt(sides.prod()) * area) ** 0.5, 0.5, 2.0)) * target / own_depth
    middle = (want_box[:2] + want_box[2:] - is_box[:2] - is_box[2:]) / 2
    centroid = _centroid(window.mask) - _centroid(outline)
    shift = (0.5 * middle + 0.5 * centroid) / np.diag(window.K)[:2] * own_depth
    # Scale about the visible surface, then move along the ray to the wanted depth and across it to the outline.
    anchor = np.linalg.solve(window.K, [*_centroid(outline), 1.0]) * own_depth
    goal = (anchor + [*shift, 0]) * target / own_depth
    return Pose(R=pose.R, t=goal + growth * (pose.t - anchor), s=pose.s * growth)


def score_of(tree: RayTree, pose: Pose, window: Window) -> float:
    """Silhouette IoU, less up to half for depth that is off by the object's own size."""
    seen = window.look(tree, pose)
    score = overlap(np.isfinite(seen), window.mask)
    both = np.isfinite(seen) & np.isfinite(window.depth)
    if not both.any():
        return score
    size = float(np.max(pose.s * np.ptp(tree.bounds, axis=0)))
    return score - 0.5 * min(1.0, float(np.median(np.abs(seen[both] - window.depth[both]))) / size)


def overlap(mask: np.ndarray, other: np.ndarray) -> float:
    """Intersection over union of two masks (H,W)."""
    union = (mask | other).sum()
    return float((mask & other).sum() / union) if union else 0.0


def _box(mask: np.ndarray) -> np.ndarray:
    rows, columns = np.nonzero(mask)
    return np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1], float)


def _centroid(mask: np.ndarray) -> np.ndarray:
    rows, columns = np.nonzero(mask)
    return np.array([columns.mean(), rows.mean()])
