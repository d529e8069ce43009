"""The signature of a mesh: few numbers that stay the same when it is turned, scaled, mirrored, converted, decimated."""

import numpy as np
import trimesh
from scipy.special import sph_harm_y

from model_zoo.build.kinds import chance

POINTS = 16_384
SHIFTS = 16  # each point is paired with so many others
RADII = np.linspace(0.04, 0.96, 12)
PAIRS = np.linspace(0.03, 0.97, 16)
DEGREES = (2, 3, 4, 5, 6)


def signature_of(mesh: trimesh.Trimesh) -> np.ndarray:
    """float32 (K,) of a mesh (V,3 vertices, any frame and unit); near twins are near each other in Euclidean distance.

    Of points spread evenly over the surface, in units of their root-mean-square distance from their centre: quantiles
    of that distance and of the distance between two points (the shape distributions D1 and D2 of Osada et al. 2002),
    the principal lengths, and how much of the surface's pattern of directions each degree of spherical harmonics holds
    (Kazhdan et al. 2003). Quantiles, not histograms: they move little when a surface does.
    """
    points = _spread(np.asarray(mesh.vertices, np.float64)[np.asarray(mesh.faces)])
    points -= points.mean(0)
    points /= max(np.sqrt(np.einsum("ni,ni->n", points, points).mean()), 1e-30)
    radius = np.sqrt(np.einsum("ni,ni->n", points, points))
    lengths = np.sqrt(np.linalg.eigvalsh(points.T @ points / len(points)).clip(0))
    parts = [
        np.quantile(radius, RADII),
        np.quantile(_pair_distances(points), PAIRS) / np.sqrt(2),
        lengths,
        _degrees(points, radius),
    ]
    return np.concatenate(parts).astype(np.float32)


def _spread(corners: np.ndarray) -> np.ndarray:
    """POINTS points (N,3) on triangles (F,3,3), one in each equal share of the area; the same for the same mesh."""
    cross = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    ends = np.cumsum(np.sqrt(np.einsum("ni,ni->n", cross, cross)))
    draw = chance(0, "signature")
    at = (np.arange(POINTS) + draw.random(POINTS)) / POINTS * ends[-1]
    face = np.searchsorted(ends, at).clip(0, len(ends) - 1)
    u, v = np.sqrt(draw.random(POINTS))[:, None], draw.random(POINTS)[:, None]
    a, b, c = corners[face].transpose(1, 0, 2)
    return draw.permutation((1 - u) * a + u * (1 - v) * b + u * v * c)


def _pair_distances(points: np.ndarray) -> np.ndarray:
    apart = [points - np.roll(points, 1 + 83 * k, 0) for k in range(SHIFTS)]
    return np.sqrt(np.concatenate([np.einsum("ni,ni->n", d, d) for d in apart]))


def _degrees(points: np.ndarray, radius: np.ndarray) -> np.ndarray:
    """Of each degree l the length of sum_i r_i Y_lm(direction i) over m, relative to that of degree 0."""
    polar = np.arccos((points[:, 2] / np.maximum(radius, 1e-12)).clip(-1, 1))
    around = np.arctan2(points[:, 1], points[:, 0])
    weight = radius / radius.sum()
    found = []
    for degree in DEGREES:
        order = np.arange(degree + 1)[:, None]  # negative orders mirror the positive ones
        sums = np.abs(sph_harm_y(degree, order, polar, around) @ weight) ** 2
        found.append(np.sqrt(4 * np.pi / (2 * degree + 1) * (sums[0] + 2 * sums[1:].sum())))
    return np.array(found)
