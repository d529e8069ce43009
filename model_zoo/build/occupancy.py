"""Solid occupancy of a mesh: what its surface encloses and what it touches, for watertight meshes and for open ones."""

import igl
import numpy as np
import trimesh
from scipy import ndimage
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from model_zoo.io.surface import merged_by_position

RESOLUTION = 64
TOUCH = 1e-5  # of a voxel: what lies in the plane between two voxels touches both, whatever its last digit
LONGEST = 4.0  # voxels: longer triangles are cut before they are tested
DOUBLED = 0.9  # of the area: beyond this the exporter wrote both sides of everything
CHUNK = 400_000  # pairs of triangle and voxel, or triangles, at once
MOST_PIECES = 2_000_000


def solid(mesh: trimesh.Trimesh, resolution: int = RESOLUTION) -> np.ndarray:
    """Occupancy bool (G,G,G) of a mesh in the canonical frame, axes of the model's z-up frame: (x, -z, y).

    A voxel is full where the generalised winding number w at its centre (Jacobson et al. 2013) is above 0.5, or where a
    triangle touches its closed box. So the surface is in it whole, however thin; an open scan is solid as far as it goes
    round; the interior is full, and the decoder's output has its interior pruned later.

    Made fit for w first: of triangles laid upon each other one counts, and none where a piece of surface is laid double,
    once for each side, unless all of the mesh is; neighbours that face opposite ways are turned as the larger part of
    their area faces; of w and -w the one that fills more counts, so that a mesh turned inside out is solid too.
    """
    points, faces = _grid_surface(mesh, resolution)
    surface = touched(points, faces, resolution)
    return surface | enclosed(points, faces, ~surface)


def _grid_surface(mesh: trimesh.Trimesh, resolution: int) -> tuple[np.ndarray, np.ndarray]:
    """Vertices (V,3) in voxels of the z-up grid, one a place, and faces (F,3) over them."""
    x, y, z = np.asarray(mesh.vertices, np.float64).T
    vertices = (np.stack([x, -z, y], 1) + 0.5) * resolution
    count, faces = merged_by_position(np.asarray(mesh.vertices), np.asarray(mesh.faces))
    points = np.empty((count, 3))
    points[faces.ravel()] = vertices[np.asarray(mesh.faces).ravel()]
    return points, faces


def touched(points: np.ndarray, faces: np.ndarray, resolution: int) -> np.ndarray:
    """Voxels bool (G,G,G) whose closed box a triangle touches: separating axes of triangle and box, exact.

    points (V,3) in voxels, faces (F,3). Outside the grid nothing is marked.
    """
    full = np.zeros((resolution,) * 3, bool)
    for part in _portions(_pieces(points[faces], LONGEST), CHUNK):
        _mark(full, cut(points[faces[part]], LONGEST))
    return full


def _mark(full: np.ndarray, corners: np.ndarray) -> None:
    """Marks the voxels that triangles (N,3,3) with no long edge touch."""
    resolution = len(full)
    low = np.floor(corners.min(1) - TOUCH).astype(int).clip(0, resolution)
    high = np.floor(corners.max(1) + TOUCH).astype(int).clip(-1, resolution - 1)
    # A triangle's own plane z = 3.0 also touches voxel 2, whose upper face it is.
    low = np.minimum(low, np.ceil(corners.min(1) - 1 - TOUCH).astype(int).clip(0, resolution))
    counts = (high - low + 1).clip(0)
    pairs = counts.prod(1)
    full[tuple(low[pairs == 1].T)] = True  # a triangle within one voxel
    corners, low, counts, pairs = (values[pairs > 1] for values in (corners, low, counts, pairs))
    for part in _portions(pairs, CHUNK):
        of = np.repeat(np.arange(part.start, part.stop), pairs[part])
        rank = np.arange(len(of)) - np.repeat(np.cumsum(pairs[part]) - pairs[part], pairs[part])
        ny, nz = counts[of, 1], counts[of, 2]
        cell = low[of] + np.stack([rank // (ny * nz), rank // nz % ny, rank % nz], 1)
        cell = cell[_overlap(corners[of], cell + 0.5)]
        full[tuple(cell.T)] = True


def _portions(sizes: np.ndarray, most: int) -> list[slice]:
    """Consecutive slices whose sizes add up to about `most`."""
    ends = np.cumsum(sizes)
    if not len(ends):
        return []
    cuts = np.searchsorted(ends, np.arange(most, ends[-1], most), side="right")
    edges = np.unique([0, *cuts, len(sizes)])
    return [slice(a, b) for a, b in zip(edges[:-1], edges[1:], strict=True)]


def cut(corners: np.ndarray, longest: float) -> np.ndarray:
    """Triangles (N,3,3) halved at their longest edge until no edge is longer than `longest`; the same surface."""
    done = []
    while len(corners):
        edges = np.roll(corners, -1, 1) - corners
        length = np.einsum("nij,nij->ni", edges, edges)
        at = length.argmax(1)
        long = length.max(1) > longest**2
        done.append(corners[~long])
        corners, at = corners[long], at[long]
        row = np.arange(len(at))
        a, b, c = (corners[row, (at + k) % 3] for k in range(3))
        middle = (a + b) / 2
        corners = np.concatenate([np.stack([a, middle, c], 1), np.stack([middle, b, c], 1)])
    return np.concatenate(done) if done else corners


def _overlap(corners: np.ndarray, middle: np.ndarray) -> np.ndarray:
    """Which triangles (N,3,3) touch the unit boxes around `middle` (N,3), bool (N,): none of the thirteen axes parts
    them (Akenine-Moeller 2001)."""
    half = np.float32(0.5 + TOUCH)
    # t[corner][axis] and e[edge][axis], each (N,) in one piece: strided columns would take three times as long.
    t = np.ascontiguousarray((corners - middle[:, None]).transpose(1, 2, 0), np.float32)
    e = np.roll(t, -1, 0) - t
    hit = ((t.min(0) <= half) & (t.max(0) >= -half)).all(0)
    n = [e[0][u] * e[1][v] - e[0][v] * e[1][u] for u, v in ((1, 2), (2, 0), (0, 1))]
    hit &= np.abs(n[0] * t[0][0] + n[1] * t[0][1] + n[2] * t[0][2]) <= half * sum(map(np.abs, n))
    for u, v in ((1, 2), (2, 0), (0, 1)):
        for k in range(3):
            # Along (box axis) x (edge k) both ends of the edge lie at the same place: two corners say it all.
            eu, ev = e[k][u], e[k][v]
            near = t[k][v] * eu - t[k][u] * ev
            far = t[k - 1][v] * eu - t[k - 1][u] * ev
            reach = half * (np.abs(eu) + np.abs(ev))
            hit &= (np.minimum(near, far) <= reach) & (np.maximum(near, far) >= -reach)
    return hit


def enclosed(points: np.ndarray, faces: np.ndarray, free: np.ndarray) -> np.ndarray:
    """Of the voxels `free` bool (G,G,G) that no triangle touches: those that w, as told in `solid`, makes full.

    Without a surface between them neighbours have the same w of a closed surface: one value for each connected piece
    of free space. Only surfaces with holes are evaluated voxel by voxel. libigl's fast winding number (Barill 2018).
    """
    faces = consistent(points, faces)
    edge, _, balance = _edges(faces)
    closed = _without((balance != 0)[edge].any(1), faces)
    where = np.argwhere(free)
    w = np.zeros(len(where))
    if closed.any():
        pieces, _ = ndimage.label(free)
        _, first, piece = np.unique(pieces[free], return_index=True, return_inverse=True)
        w += winding(points[faces[closed]], where[first] + 0.5)[piece]
    if not closed.all():
        w += winding(points[faces[~closed]], where + 0.5)
    if (w < -0.5).sum() > (w > 0.5).sum():
        w = -w
    full = np.zeros_like(free)
    full[free] = w > 0.5
    return full


def winding(corners: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Winding number (Q,) of triangles (N,3,3) in voxels at points (Q,3), by the fast approximation.

    Long triangles slow its tree down, so they are cut for it: less finely where they would become too many.
    """
    longest = LONGEST
    while _pieces(corners, longest).sum() > max(MOST_PIECES, 2 * len(corners)):
        longest *= 2
    pieces = cut(corners, longest)
    soup = np.arange(3 * len(pieces), dtype=np.int64).reshape(-1, 3)
    return np.asarray(igl.fast_winding_number(pieces.reshape(-1, 3), soup, np.ascontiguousarray(at)))


def _pieces(corners: np.ndarray, longest: float) -> np.ndarray:
    """About how many pieces `cut` makes of each triangle, int (N,)."""
    edges = np.roll(corners, -1, 1) - corners
    length = np.sqrt(np.einsum("nij,nij->ni", edges, edges)).max(1) / longest
    area = np.linalg.norm(np.cross(edges[:, 0], edges[:, 1]), axis=1) / longest**2
    return np.ceil(np.maximum(2 * length, 2 * area)).astype(np.int64)


def consistent(points: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Faces (F',3), one a place, turned so that neighbours face the same way; without pieces that are laid double."""
    order = np.sort(faces, 1)
    proper = (order[:, 0] != order[:, 1]) & (order[:, 1] != order[:, 2])
    faces = faces[proper]
    _, first, same = np.unique(order[proper], axis=0, return_index=True, return_inverse=True)
    way = _parity(faces)
    votes = np.bincount(same.ravel(), way, len(first))
    faces, double = faces[first], votes == 0
    faces = np.where((votes * way[first] < 0)[:, None], faces[:, ::-1], faces)
    if double.any() and _area(points, faces[double]).sum() < DOUBLED * _area(points, faces).sum():
        edge, uses, _ = _edges(faces)
        some = ~_without(~double, faces)
        faces = faces[~double | (some & _without((uses % 2 == 1)[edge].any(1), faces))]
    _, uses, balance = _edges(faces)
    if not ((uses == 2) & (balance != 0)).any():
        return faces
    turned, patch = igl.bfs_orient(np.ascontiguousarray(faces, dtype=np.int64))
    area = _area(points, faces)
    unturned = np.bincount(patch, np.where(_parity(turned) == _parity(faces), area, -area))
    return np.where((unturned < 0)[patch, None], turned[:, ::-1], turned)


def _area(points: np.ndarray, faces: np.ndarray) -> np.ndarray:
    corners = points[faces]
    return np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1) / 2


def _parity(faces: np.ndarray) -> np.ndarray:
    """+1 where the corners run up cyclically, -1 where they run down."""
    a, b, c = faces.T
    return np.where((a < b).astype(int) + (b < c) + (c < a) == 2, 1, -1)


def _edges(faces: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The edges (F,3) of faces by number; and of every edge how many faces use it, and forward minus backward uses."""
    start, stop = faces.ravel(), np.roll(faces, -1, 1).ravel()
    low, high = np.minimum(start, stop), np.maximum(start, stop)
    _, edge, uses = np.unique(low * (int(faces.max()) + 1) + high, return_inverse=True, return_counts=True)
    balance = np.bincount(edge.ravel(), np.where(start < stop, 1, -1), len(uses))
    return edge.reshape(faces.shape), uses, balance


def _without(fault: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Which faces (F,3) belong to a connected piece of surface none of whose faces has the `fault`, bool (F,) both."""
    count = int(faces.max()) + 1
    ends = faces.ravel(), np.roll(faces, -1, 1).ravel()
    graph = coo_matrix((np.ones(len(ends[0]), bool), ends), (count, count))
    number, piece = connected_components(graph, directed=False)
    faulty = np.zeros(number, bool)
    faulty[piece[faces[fault, 0]]] = True
    return ~faulty[piece[faces[:, 0]]]
