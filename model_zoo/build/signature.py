"""The signature of a mesh: few numbers that stay the same when it is turned, scaled, mirrored, converted, decimated."""

import numpy as np
import trimesh

from model_zoo.build.kinds import chance

POINTS = 8192
SHIFTS = 48  # each point is paired with so many others
RADII = np.linspace(0.02, 0.98, 12)
PAIRS = np.linspace(0.02, 0.98, 16)
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
    """Of each degree l the root of (1/N^2) sum_ij r_i r_j P_l(cos of the angle between i and j): the addition theorem
    spares the harmonics themselves."""
    some = slice(0, 1024)
    direction = points[some] / np.maximum(radius[some], 1e-12)[:, None]
    cosine = (direction @ direction.T).clip(-1, 1)
    weight = radius[some] / radius[some].sum()
    found = []
    before, now = np.ones_like(cosine), cosine
    for degree in range(2, max(DEGREES) + 1):
        before, now = now, ((2 * degree - 1) * cosine * now - (degree - 1) * before) / degree
        if degree in DEGREES:
            found.append(np.sqrt(max(float(weight @ now @ weight), 0.0)))
    return np.array(found)
