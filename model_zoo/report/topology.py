"""Checks of how triangles hang together: holes, edges and vertices that are not manifold, loose bits, slivers."""

from __future__ import annotations

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from model_zoo.finish.clean import SPECK_AREA, SPECK_SIDE
from model_zoo.report.findings import Finding, ok, places
from model_zoo.report.holes import fillable, hole_sizes, holes_of
from model_zoo.report.pictures import Painter
from model_zoo.report.subject import SLIVER, Subject

GAP = 2e-5  # of the longest side: vertices nearer than this were meant to be one
MANY_PARTS = 50


def near(points: np.ndarray, gap: float) -> np.ndarray:
    """For every point (P,) the number of its place: points that share a cell of side `gap` share it.

    Eight grids, half a cell apart on each axis, so that no pair nearer than half a cell is torn by a border, and never
    more work than sorting, however many points lie together.
    """
    links = []
    for shift in np.ndindex(2, 2, 2):
        x, y, z = np.floor(points / gap + np.array(shift) / 2).astype(np.int64).T + (1 << 19)
        first, index = np.unique((x << 40) + (y << 20) + z, return_index=True, return_inverse=True)[1:]
        links.append(np.stack([np.arange(len(points)), first[index]], 1))
    both = np.concatenate(links)
    graph = coo_matrix((np.ones(len(both), np.int8), both.T), (len(points),) * 2)
    return np.asarray(connected_components(graph, directed=False)[1])


def welded(points: np.ndarray, faces: np.ndarray, gap: float) -> tuple[np.ndarray, np.ndarray]:
    """One point for those that are nearer than `gap`, and the faces over them without those that collapsed."""
    place = near(points, gap)
    merged = place[faces]
    flat = (merged == np.roll(merged, 1, axis=1)).any(1)
    return points[np.unique(place, return_index=True)[1]], merged[~flat]


def watertight(subject: Subject, painter: Painter) -> Finding:
    """Open edges, in how many holes, and whether welding near vertices or filling small holes would mend them."""
    open_edges, hole = holes_of(subject.points, subject.faces)
    if not len(open_edges):
        return ok("watertight", "The surface is closed.", open_edges=0, holes=0)
    sizes = hole_sizes(subject.points, open_edges, hole)[0]
    left = holes_of(*welded(subject.points, subject.faces, GAP))[0]
    small = int(fillable(subject.points, open_edges, hole).sum())
    fix = "merge_vertices" if len(left) < len(open_edges) else "fill_small_holes" if small else ""
    middles = subject.points[open_edges].mean(1)
    first = np.unique(hole[np.argsort(-sizes[hole], kind="stable")], return_index=True)[1]
    at = middles[np.argsort(-sizes[hole], kind="stable")[np.sort(first)]]
    return Finding(
        "watertight",
        "warning",
        f"The surface has {len(sizes)} holes or open rims ({len(open_edges)} open edges).",
        {
            "open_edges": len(open_edges),
            "holes": len(sizes),
            "small_holes": small,
            "mended_by_merging": len(open_edges) - len(left),
            "largest": round(float(sizes.max()), 4),
        },
        "Close the holes, or leave them open on purpose.",
        fix,
        painter.edges(open_edges),
        places(subject.back(at)),
    )


def manifold(subject: Subject, painter: Painter) -> Finding:
    """Edges with more than two faces, vertices where separate fans meet, and faces that are there twice."""
    table = subject.edges
    crowded = table.uses > 2
    pinched = _pinched(subject)
    twice = duplicate_faces(subject.faces)
    if not crowded.any() and not len(pinched) and not twice.any():
        return ok("manifold", "Every edge has at most two faces.", edges=0, vertices=0, duplicates=0)
    picture = painter.edges(table.ends[crowded]) if crowded.any() else None
    at = subject.points[table.ends[crowded]].mean(1) if crowded.any() else subject.points[pinched]
    if picture is None:
        picture = painter.marks(at) if len(pinched) else painter.faces(twice)
    severe = crowded.any() or twice.any()
    return Finding(
        "manifold",
        "warning" if severe else "info",
        f"{int(crowded.sum())} edges have more than two faces, {len(pinched)} vertices join separate surfaces, "
        f"{int(twice.sum())} faces are there twice.",
        {"edges": int(crowded.sum()), "vertices": len(pinched), "duplicates": int(twice.sum())},
        "Delete inner and doubled faces; separate what only touches.",
        "remove_duplicates" if twice.any() else "",
        picture,
        places(subject.back(at if len(at) else subject.centres[twice])),
    )


def duplicate_faces(faces: np.ndarray) -> np.ndarray:
    """Bool (F,): faces with the same three corners as an earlier one, whichever way round."""
    _, first = np.unique(np.sort(faces, axis=1), axis=0, return_index=True)
    twice = np.ones(len(faces), bool)
    twice[first] = False
    return twice


def _pinched(subject: Subject) -> np.ndarray:
    """Vertices whose faces form more than one fan: corners of a vertex joined across the edges they share."""
    faces, table = subject.faces, subject.edges
    flat = table.of_face.ravel()
    order = np.argsort(flat, kind="stable")
    same = flat[order][1:] == flat[order][:-1]
    one, other = order[:-1][same], order[1:][same]
    # Half-edge h runs from corner h to the next corner of its face; both ends of a shared edge are joined.
    after = np.arange(faces.size).reshape(-1, 3)[:, [1, 2, 0]].ravel()
    way = table.forward.ravel()
    turned = way[one] != way[other]
    start, stop = np.where(turned, after[other], other), np.where(turned, other, after[other])
    rows, columns = np.concatenate([one, after[one]]), np.concatenate([start, stop])
    graph = coo_matrix((np.ones(len(rows), np.int8), (rows, columns)), (faces.size,) * 2)
    fan = connected_components(graph, directed=False)[1]
    pairs = np.unique(faces.ravel().astype(np.int64) * faces.size + fan)
    return np.flatnonzero(np.bincount(pairs // faces.size, minlength=len(subject.points)) > 1)


def specks(points: np.ndarray, faces: np.ndarray, part: np.ndarray, areas: np.ndarray) -> np.ndarray:
    """Bool (F,): faces of parts that are tiny both in area and in size; never all of them."""
    area = np.bincount(part, areas)
    low, high = np.full((len(area), 3), np.inf), np.full((len(area), 3), -np.inf)
    np.minimum.at(low, part, points[faces].min(1))
    np.maximum.at(high, part, points[faces].max(1))
    side = (high - low).max(1) / max(float(np.ptp(points, axis=0).max()), 1e-30)
    tiny = (area < SPECK_AREA * area.sum()) & (side < SPECK_SIDE)
    return tiny[part] if not tiny.all() else np.zeros(len(faces), bool)


def floaters(subject: Subject, painter: Painter) -> Finding:
    """Tiny loose parts, which are rubbish more often than not, and how many parts there are in all."""
    parts = int(subject.part.max()) + 1
    tiny = specks(subject.points, subject.faces, subject.part, subject.areas)
    numbers = {"parts": parts, "floaters": len(np.unique(subject.part[tiny])), "triangles": int(tiny.sum())}
    if not tiny.any() and parts <= MANY_PARTS:
        return ok("floaters", f"No tiny loose parts; {parts} parts in all.", **numbers)
    if not tiny.any():
        advice = "Join what belongs together."
        return Finding("floaters", "info", f"The mesh has {parts} loose parts.", numbers, advice)
    first = np.unique(subject.part[tiny], return_index=True)[1]
    return Finding(
        "floaters",
        "warning",
        f"{numbers['floaters']} tiny loose parts ({numbers['triangles']} triangles) float about.",
        numbers,
        "Delete them, or join them to what they belong to.",
        "remove_floaters",
        painter.faces(tiny),
        places(subject.back(subject.centres[tiny][first])),
    )


def degenerate(subject: Subject, painter: Painter, *, dropped: int) -> Finding:
    """Triangles that are as good as lines; `dropped` of no area at all were left out when the file was read."""
    sliver = subject.heights < SLIVER
    numbers = {"triangles": int(sliver.sum()), "dropped": dropped}
    if not sliver.any() and not dropped:
        return ok("degenerate_faces", "No triangle is degenerate.", **numbers)
    return Finding(
        "degenerate_faces",
        "warning",
        f"{numbers['triangles'] + dropped} triangles have no area to speak of.",
        numbers,
        "Merge by distance, then delete degenerate faces.",
        "remove_degenerate",
        painter.faces(sliver) if sliver.any() else None,
        places(subject.back(subject.centres[sliver])) if sliver.any() else [],
    )
