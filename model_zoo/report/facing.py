"""Which triangles face inwards: neighbours are made to agree, then rays from both sides ask which side sees the world.

Works for open meshes too: a side is outside when more of the directions before it are free than behind it.
"""

from __future__ import annotations

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from model_zoo.report.findings import Finding, ok, places
from model_zoo.report.pictures import Painter
from model_zoo.report.subject import Subject

RAYS = 16  # directions per side of a sampled face
SAMPLES = 6_000  # faces asked for a report
PER_PATCH = 24  # faces asked of one connected surface at most
LIFT = 1e-4  # how far off the surface rays start, of the longest side
CLEAR = 0.15  # share of the rays by which one side must be freer than the other
ALL = 0.99  # share of the area from which a mesh counts as inside out


def inverted(subject: Subject, painter: Painter) -> Finding:
    """Faces that look inwards, and the edges along which neighbours disagree."""
    pairs, agree = subject.edges.pairs()
    wrong = inward(subject, SAMPLES)
    seams = int((~agree).sum())
    share = float(subject.areas[wrong].sum() / max(subject.areas.sum(), 1e-30))
    numbers = {"faces": int(wrong.sum()), "share": round(share, 4), "seams": seams}
    if not wrong.any() and not seams:
        return ok("inverted_normals", "All faces look outwards.", **numbers)
    shown = wrong if wrong.any() else _beside(pairs[~agree], len(wrong))
    whole = share > ALL
    return Finding(
        "inverted_normals",
        "warning",
        "The mesh is inside out."
        if whole
        else f"{numbers['faces']} faces look inwards; {seams} edges join faces that look opposite ways.",
        numbers | {"inside_out": whole},
        "Flip the normals." if whole else "Recalculate the normals outside.",
        "flip_inside_out" if whole and not seams else "orient_normals",
        painter.faces(shown),
        places(subject.back(subject.centres[shown])),
    )


def inward(subject: Subject, samples: int = 0) -> np.ndarray:
    """Bool (F,): faces to turn so that neighbours agree and each connected surface looks outwards.

    With `samples`, only the largest surfaces are asked which way they look once so many faces were.
    """
    count = len(subject.faces)
    pairs, agree = subject.edges.pairs()
    turned = _agreeing(count, pairs, agree)
    whole = _linked(count, pairs)
    votes = free_votes(subject, whole, samples or PER_PATCH * count, turned)
    return turned ^ (votes < -CLEAR)[whole]


def free_votes(subject: Subject, patch: np.ndarray, samples: int, turned: np.ndarray) -> np.ndarray:
    """For each patch the mean share of free rays before its faces less that behind them, -1..1; 0 when not asked.

    `patch` (F,) numbers; larger patches come first when there are more than `samples`. Faces that are `turned`
    count the other way round.
    """
    rng = np.random.default_rng(0)
    chosen = _sampled(subject.areas, patch, samples, rng)
    free = np.zeros(len(chosen))
    away = _directions()
    for begin in range(0, len(chosen), 20_000):
        rows = chosen[begin : begin + 20_000]
        normal = subject.normals[rows]
        for sign in (1, -1):
            # All directions before the face: those of a sphere that point behind are mirrored to the front.
            rays = np.broadcast_to(away, (len(rows), *away.shape))
            height = np.einsum("ijk,ik->ij", rays, normal) * sign
            rays = rays - 2 * np.minimum(height, 0)[..., None] * (sign * normal)[:, None]
            starts = subject.centres[rows] + sign * LIFT * normal
            starts = np.broadcast_to(starts[:, None], rays.shape)
            open_ = ~subject.blocked(starts.reshape(-1, 3), rays.reshape(-1, 3))
            free[begin : begin + 20_000] += sign * open_.reshape(len(rows), -1).mean(1)
    free = np.where(turned[chosen], -free, free)
    weight = subject.areas[chosen] + 1e-30
    count = int(patch.max()) + 1
    total = np.bincount(patch[chosen], weight * free, count)
    return np.asarray(total / np.maximum(np.bincount(patch[chosen], weight, count), 1e-30))


def _sampled(areas: np.ndarray, patch: np.ndarray, samples: int, rng: np.random.Generator) -> np.ndarray:
    """Faces to ask: up to PER_PATCH random ones of each patch by turns, large patches first."""
    size = np.bincount(patch, areas)
    rank = np.empty(len(size), np.int64)
    rank[np.argsort(-size, kind="stable")] = np.arange(len(size))
    order = np.lexsort((rng.random(len(patch)) / (areas + 1e-12), rank[patch]))
    ranked = rank[patch][order]
    turn = np.arange(len(order)) - np.searchsorted(ranked, ranked)
    few = turn < PER_PATCH
    return order[few][np.lexsort((ranked[few], turn[few]))][:samples]


def _directions() -> np.ndarray:
    """RAYS unit directions (RAYS,3) evenly over the sphere (a Fibonacci lattice)."""
    number = np.arange(RAYS) + 0.5
    z, angle = 1 - 2 * number / RAYS, np.pi * (1 + 5**0.5) * number
    flat = np.sqrt(1 - z**2)
    return np.stack([flat * np.cos(angle), flat * np.sin(angle), z], 1)


def _linked(count: int, pairs: np.ndarray) -> np.ndarray:
    graph = coo_matrix((np.ones(len(pairs), np.int8), pairs.T), (count, count))
    return np.asarray(connected_components(graph, directed=False)[1])


def _agreeing(count: int, pairs: np.ndarray, agree: np.ndarray) -> np.ndarray:
    """Bool (F,): faces to turn so that neighbours agree; none on surfaces where that cannot be (a Moebius strip).

    Each face is two nodes, itself and itself turned; an edge joins those that agree, so that the two sides of an
    orientable surface fall apart.
    """
    one, other = pairs.T
    same, crossed = np.where(agree, other, other + count), np.where(agree, other + count, other)
    both = np.concatenate([np.stack([one, same], 1), np.stack([one + count, crossed], 1)])
    label = _linked(2 * count, both)
    kept, turned = label[:count], label[count:]
    # Of the two sides keep the one that holds more faces as they are.
    votes = np.bincount(kept, minlength=int(label.max()) + 1)
    return (kept != turned) & (
        (votes[kept] < votes[turned]) | ((votes[kept] == votes[turned]) & (kept > turned))
    )


def _beside(pairs: np.ndarray, count: int) -> np.ndarray:
    chosen = np.zeros(count, bool)
    chosen[pairs.ravel()] = True
    return chosen
