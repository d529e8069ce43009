"""How nearly a mesh is its own mirror image: the best plane among a few, and how far the two halves differ."""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

from model_zoo.report.findings import Finding, places
from model_zoo.report.pictures import Painter
from model_zoo.report.subject import Subject

DENSE, ASKED = 20_000, 2_000  # points on the surface; points mirrored and looked up
SYMMETRIC = 0.01  # residual of the longest side below which we call it symmetric
ODD = 0.03  # a place farther than this from its mirror image is shown
HALF = 0.5**0.5
AXES = {
    "x": (1.0, 0.0, 0.0),
    "y": (0.0, 1.0, 0.0),
    "z": (0.0, 0.0, 1.0),
    "xz": (HALF, 0.0, HALF),
    "zx": (HALF, 0.0, -HALF),
}


def symmetry(subject: Subject, painter: Painter) -> Finding:
    """The best mirror plane through the middle of the surface: an axis of the frame, a diagonal, or a main axis."""
    rng = np.random.default_rng(0)
    dense = _points_on(subject, DENSE, rng)
    asked = _points_on(subject, ASKED, rng)
    middle = dense.mean(0)
    tree = cKDTree(dense)
    # What two samples of the same surface differ by is noise of the sampling, not of the shape.
    noise = float(tree.query(asked)[0].mean())
    main = np.linalg.svd(dense - middle, full_matrices=False)[2]
    planes = {**AXES, "main1": main[0], "main2": main[1], "main3": main[2]}
    best = min(
        (_apart(tree, asked, middle, np.asarray(n)) + (name,) for name, n in planes.items()),
        key=lambda r: r[0],
    )
    residual, distance, name = max(best[0] - noise, 0.0), best[1], best[2]
    symmetric = residual < SYMMETRIC
    numbers = {
        "plane": name,
        "normal": [round(float(value), 4) for value in planes[name]],
        "residual": round(residual, 4),
        "symmetric": symmetric,
    }
    odd = asked[distance > ODD]
    words = "is" if symmetric else "is not"
    return Finding(
        "symmetry",
        "info",
        f"The mesh {words} symmetric; its best mirror image is {residual:.1%} of its size away.",
        numbers,
        "" if symmetric else "Compare with the photo: should the two sides be alike?",
        "",
        painter.marks(odd) if len(odd) and not symmetric else None,
        places(subject.back(odd)) if len(odd) and not symmetric else [],
    )


def _apart(
    tree: cKDTree, asked: np.ndarray, middle: np.ndarray, normal: np.ndarray
) -> tuple[float, np.ndarray]:
    """Mean and single distances (N,) of the mirrored points from the surface."""
    mirrored = asked - 2 * ((asked - middle) @ normal)[:, None] * normal
    distance = tree.query(mirrored)[0]
    return float(distance.mean()), distance


def _points_on(subject: Subject, count: int, rng: np.random.Generator) -> np.ndarray:
    """Points (count,3) evenly random on the surface."""
    share = np.cumsum(subject.areas)
    face = np.minimum(np.searchsorted(share, rng.random(count) * share[-1]), len(share) - 1)
    u, v = np.sqrt(rng.random(count)), rng.random(count)
    weights = np.stack([1 - u, u * (1 - v), u * v], 1)
    return np.einsum("ijk,ij->ik", subject.points[subject.faces[face]], weights)
