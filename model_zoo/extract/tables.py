"""The tables of dual marching cubes that FlexiCubes uses, derived from the geometry of one cube.

Corners, edges, cases and the order of dual vertices are numbered as in the tables of NVIDIA FlexiCubes (Copyright (c)
2025 NVIDIA CORPORATION & AFFILIATES, Apache License 2.0, http://www.apache.org/licenses/LICENSE-2.0), whose values
these functions reproduce. Bit k of a case is set when corner k is inside (sdf < 0).
"""

from functools import cache
from itertools import combinations

import numpy as np

CORNERS = ((0, 0, 0), (1, 0, 0), (0, 1, 0), (1, 1, 0), (0, 0, 1), (1, 0, 1), (0, 1, 1), (1, 1, 1))
EDGES = ((0, 1), (1, 5), (4, 5), (0, 4), (2, 3), (3, 7), (6, 7), (2, 6), (2, 0), (3, 1), (7, 5), (6, 4))
CASES, MOST_VERTICES, MOST_EDGES = 256, 4, 7


@cache
def slots() -> np.ndarray:
    """Which dual vertex of its cube each crossed edge belongs to: int8 (256 cases, 12 edges), -1 where not crossed."""
    table = np.full((CASES, len(EDGES)), -1, np.int8)
    for case in range(CASES):
        for number, patch in enumerate(_patches(case)):
            table[case, patch] = number
    return table


@cache
def rims() -> np.ndarray:
    """The edges of each dual vertex, rising: int8 (256, 4 dual vertices, 7 edges), filled up with -1."""
    table = np.full((CASES, MOST_VERTICES, MOST_EDGES), -1, np.int8)
    for case in range(CASES):
        for number, patch in enumerate(_patches(case)):
            table[case, number, : len(patch)] = patch
    return table


@cache
def twins() -> np.ndarray:
    """Direction int8 (256, 3) to the cube behind the one ambiguous face of the cases C16 and C19, 0 for all others.

    Where the cube there is of such a case too, the surface would touch itself: both take the complementary case.
    """
    table = np.zeros((CASES, 3), np.int8)
    for case in range(CASES):
        ambiguous = [face for face in _faces() if len(_crossed(case, face)) == 4]
        if len(ambiguous) == 1 and len(_patches(case)) == 1:
            axis, side, _ = ambiguous[0]
            table[case, axis] = 2 * side - 1
    return table


def _faces() -> list[tuple[int, int, list[int]]]:
    """The six faces: axis, side (0 or 1), and their four edges."""
    return [
        (axis, side, [e for e, (a, b) in enumerate(EDGES) if CORNERS[a][axis] == CORNERS[b][axis] == side])
        for axis in range(3)
        for side in (0, 1)
    ]


def _crossed(case: int, face: tuple[int, int, list[int]]) -> list[int]:
    return [e for e in face[2] if _inside(case, EDGES[e][0]) != _inside(case, EDGES[e][1])]


def _inside(case: int, corner: int) -> bool:
    return bool(case >> corner & 1)


def _patches(case: int) -> list[list[int]]:
    """Crossed edges grouped by the piece of surface that they bound, in the order of the tables.

    Edges are joined across faces; on a face with four of them those around the same inside corner are.
    """
    group = {e: e for face in _faces() for e in _crossed(case, face)}
    for face in _faces():
        crossed = _crossed(case, face)
        for one, other in combinations(crossed, 2):
            if len(crossed) == 2 or _end(case, one, True) == _end(case, other, True):
                old, new = group[one], group[other]
                group = {e: new if g == old else g for e, g in group.items()}
    patches = [sorted(e for e in group if group[e] == g) for g in set(group.values())]
    region = _regions(case)
    return sorted(
        patches,
        key=lambda patch: (region[_end(case, patch[0], True)], min(_end(case, e, False) for e in patch)),
    )


def _end(case: int, edge: int, inside: bool) -> int:
    """The inside or the outside corner of a crossed edge."""
    return next(corner for corner in EDGES[edge] if _inside(case, corner) == inside)


def _regions(case: int) -> list[int]:
    """For each corner the lowest one that it reaches along edges that the surface does not cross."""
    lowest = list(range(len(CORNERS)))
    for _ in CORNERS:
        for one, other in EDGES:
            if _inside(case, one) == _inside(case, other):
                lowest[one] = lowest[other] = min(lowest[one], lowest[other])
    return lowest
