"""Figures of merit for shape and pose; pure numpy. Shapes live in the unit cube, so distances are shares of its side."""

from typing import NamedTuple

import numpy as np
from scipy.spatial import cKDTree


class VoxelScores(NamedTuple):
    """f1 and iou of two occupancy grids, 0 to 1."""

    f1: float
    iou: float


def voxel_scores(predicted: np.ndarray, truth: np.ndarray) -> VoxelScores:
    """Scores of bool grids of one shape; two empty grids agree."""
    both = np.logical_and(predicted, truth).sum()
    total, either = predicted.sum() + truth.sum(), np.logical_or(predicted, truth).sum()
    return VoxelScores(float(2 * both / total) if total else 1.0, float(both / either) if either else 1.0)


def surface_points(grid: np.ndarray) -> np.ndarray:
    """Centres (N, 3) in the unit cube of full voxels (G, G, G) with an empty face neighbour."""
    padded = np.pad(grid, 1)
    inside = np.ones_like(grid)
    for axis in range(3):
        for step in (-1, 1):
            inside &= np.roll(padded, step, axis)[1:-1, 1:-1, 1:-1]
    return (np.argwhere(grid & ~inside) + 0.5) / grid.shape[0] - 0.5


def chamfer(a: np.ndarray, b: np.ndarray) -> float:
    """Mean distance from (N, 3) to (M, 3) and back, averaged; the cube's diagonal when one is empty."""
    if not len(a) or not len(b):
        return float(np.sqrt(3))
    return float((cKDTree(b).query(a)[0].mean() + cKDTree(a).query(b)[0].mean()) / 2)


def rotation_degrees(a: np.ndarray, b: np.ndarray) -> float:
    """Angle between two rotations (3, 3)."""
    cosine = (np.trace(a.T @ b) - 1) / 2
    return float(np.degrees(np.arccos(np.clip(cosine, -1, 1))))


def mask_iou(a: np.ndarray, b: np.ndarray) -> float:
    """Intersection over union of two masks; 1 when both are empty."""
    either = np.logical_or(a, b).sum()
    return float(np.logical_and(a, b).sum() / either) if either else 1.0
