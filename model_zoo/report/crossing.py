"""Where the surface goes through itself: triangle against triangle, candidates from an R-tree, on a sample.

Of at most SAMPLE triangles (evenly random, fixed seed) every pair with any other triangle whose box meets theirs is
tested exactly; the count is scaled up to the whole. Pairs that share a vertex, and coplanar ones, are left out.
"""

from __future__ import annotations

import numpy as np
from rtree import index

from model_zoo.report.findings import Finding, ok, places
from model_zoo.report.pictures import Painter
from model_zoo.report.subject import Subject

SAMPLE = 20_000
MOST_PAIRS = 3_000_000  # tested at most; where there are more, fewer triangles are `sampled`
CHUNK = 200_000
FIRST, QUERY = 4, 500  # triangles looked up at once, at first and at most
TOUCH = 1e-7  # of the longest side: nearer than this two triangles touch and do not cross


def self_intersections(subject: Subject, painter: Painter) -> Finding:
    """Triangles of the sample that cross another one, and the estimate for the whole mesh."""
    count = len(subject.faces)
    chosen = np.arange(count)
    if count > SAMPLE:
        # In random order, so that a sample which is cut short is still one of the whole mesh.
        chosen = np.random.default_rng(0).choice(count, SAMPLE, replace=False)
    crossing, between, asked = crossings(subject, chosen)
    estimate = round(len(crossing) * count / max(asked, 1))
    numbers = {
        "sampled": asked,
        "found": len(crossing),
        "triangles": count,
        "estimate": estimate,
        "between_parts": between,
    }
    if not len(crossing):
        return ok("self_intersections", f"None of {asked} triangles crosses another.", **numbers)
    lit = np.zeros(count, bool)
    lit[crossing] = True
    return Finding(
        "self_intersections",
        "warning" if between < len(crossing) else "info",
        f"{len(crossing)} of {asked} sampled triangles cross others, about {estimate} in all.",
        numbers,
        "Parts that are pushed into each other may stay; join them with a boolean union where you can.",
        "",
        painter.faces(lit),
        places(subject.back(subject.centres[crossing])),
    )


def crossings(subject: Subject, chosen: np.ndarray) -> tuple[np.ndarray, int, int]:
    """Which of the chosen faces cross another, how many of them only one of another part, and how many were asked."""
    corners = subject.points[subject.faces]
    low, high = corners.min(1), corners.max(1)
    tree = index.Index(
        (np.arange(len(low)), low, high), properties=index.Property(dimension=3, leaf_capacity=64)
    )
    found: list[np.ndarray] = []
    tested = asked = 0
    while asked < len(chosen) and tested <= MOST_PAIRS:
        # Few at first: where all boxes overlap, each triangle alone has as many candidates as there are triangles.
        step = int(np.clip(CHUNK * asked // max(tested, 1), FIRST, QUERY))
        rows = chosen[asked : asked + step]
        others, sizes = tree.intersection_v(np.ascontiguousarray(low[rows]), np.ascontiguousarray(high[rows]))
        one, other = np.repeat(rows, sizes.astype(np.int64)), others.astype(np.int64)
        asked, tested = asked + len(rows), tested + len(one)
        apart = (subject.faces[one][:, :, None] != subject.faces[other][:, None, :]).all((1, 2))
        one, other = one[apart], other[apart]
        for start in range(0, len(one), CHUNK):
            a, b = one[start : start + CHUNK], other[start : start + CHUNK]
            hit = triangles_cross(corners[a], corners[b])
            found.append(np.stack([a[hit], b[hit]], 1))
    pairs = np.concatenate(found) if found else np.zeros((0, 2), np.int64)
    own = np.unique(pairs[subject.part[pairs[:, 0]] == subject.part[pairs[:, 1]]][:, 0])
    crossing = np.unique(pairs[:, 0])
    return crossing, len(crossing) - len(own), asked


def triangles_cross(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Bool (N,): whether an edge of either triangle (N,3,3) goes through the inside of the other."""
    # Most pairs lie on one side of the other's plane: sort these out before any edge is tested.
    hit = np.zeros(len(one), bool)
    left = np.flatnonzero(_straddles(one, other) & _straddles(other, one))
    a, b = one[left], other[left]
    crossed = np.zeros(len(left), bool)
    for first, second in ((a, b), (b, a)):
        for k in range(3):
            crossed |= _pierces(first[:, k], first[:, (k + 1) % 3], second)
    hit[left] = crossed
    return hit


def _straddles(points: np.ndarray, plane: np.ndarray) -> np.ndarray:
    normal = np.cross(plane[:, 1] - plane[:, 0], plane[:, 2] - plane[:, 0])
    normal /= np.maximum(np.linalg.norm(normal, axis=1), 1e-30)[:, None]
    height = np.einsum("ijk,ik->ij", points - plane[:, :1], normal)
    return (height.max(1) > TOUCH) & (height.min(1) < -TOUCH)


def _pierces(start: np.ndarray, stop: np.ndarray, triangle: np.ndarray) -> np.ndarray:
    """Whether segments (N,3) to (N,3) pass through triangles (N,3,3) (Moeller and Trumbore 1997).

    The rim counts, since the halves of a mirrored model cross edge on edge.
    """
    along, e1, e2 = stop - start, triangle[:, 1] - triangle[:, 0], triangle[:, 2] - triangle[:, 0]
    p = np.cross(along, e2)
    det = np.einsum("ij,ij->i", e1, p)
    size = np.linalg.norm(along, axis=1) * np.linalg.norm(np.cross(e1, e2), axis=1)
    usable = np.abs(det) > 1e-9 * size
    inverse = np.where(usable, 1 / np.where(usable, det, 1), 0)
    to = start - triangle[:, 0]
    u = np.einsum("ij,ij->i", to, p) * inverse
    q = np.cross(to, e1)
    v, t = np.einsum("ij,ij->i", along, q) * inverse, np.einsum("ij,ij->i", e2, q) * inverse
    rim = 1e-9
    return usable & (u > -rim) & (v > -rim) & (u + v < 1 + rim) & (t > rim) & (t < 1 - rim)
