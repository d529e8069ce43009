"""Solid occupancy of a mesh: what its surface encloses and what it touches, for watertight meshes and for open ones."""

import igl
import numpy as np
import trimesh
from scipy import ndimage
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from model_zoo.io.surface import merged_by_position

RESOLUTION = 64
TOUCH = (
    1e-5  # of a voxel: what lies in the plane between two voxels touches both, whatever the last digit says
)
LONGEST = 4.0  # voxels: longer triangles are cut before they are tested
CHUNK = 400_000


def solid(mesh: trimesh.Trimesh, resolution: int = RESOLUTION) -> np.ndarray:
    """Occupancy bool (G,G,G) of a mesh in the canonical frame, axes of the model's z-up frame: (x, -z, y).

    A voxel is full where the generalised winding number w (Jacobson et al. 2013) at its centre has |w| > 0.5, or where
    a triangle touches its closed box. The surface is in it whole, however thin; open scans are solid as far as they
    go round; the interior is full, and the decoder's output has its interior pruned later.

    |w| and not w: a surface turned inside out encloses the same. An inner wall that faces the other way than the outer
    one leaves its cavity empty (1 - 1). Of triangles laid upon each other one counts; neighbours that face opposite
    ways are turned as the larger part of their area faces.
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
    corners = cut(points[faces], LONGEST)
    low = np.floor(corners.min(1) - TOUCH).astype(int).clip(0, resolution)
    high = np.floor(corners.max(1) + TOUCH).astype(int).clip(-1, resolution - 1)
    # A triangle's own plane z = 3.0 also touches voxel 2, whose upper face it is.
    low = np.minimum(low, np.ceil(corners.min(1) - 1 - TOUCH).astype(int).clip(0, resolution))
    counts = (high - low + 1).clip(0)
    pairs = counts.prod(1)
    for part in _portions(pairs, CHUNK):
        of = np.repeat(np.arange(part.start, part.stop), pairs[part])
        rank = np.arange(len(of)) - np.repeat(np.cumsum(pairs[part]) - pairs[part], pairs[part])
        ny, nz = counts[of, 1], counts[of, 2]
        cell = low[of] + np.stack([rank // (ny * nz), rank // nz % ny, rank % nz], 1)
        cell = cell[_overlap(corners[of] - (cell + 0.5)[:, None])]
        full[tuple(cell.T)] = True
    return full


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


def _overlap(t: np.ndarray) -> np.ndarray:
    """Which triangles (N,3,3), given from the centre of a unit box, touch it (Akenine-Moeller 2001); the three axes of
    the box are tested too."""
    half = 0.5 + TOUCH
    hit = ((t.min(1) <= half) & (t.max(1) >= -half)).all(1)
    edges = np.roll(t, -1, 1) - t
    normal = np.cross(edges[:, 0], edges[:, 1])
    hit &= np.abs(np.einsum("ni,ni->n", normal, t[:, 0])) <= half * np.abs(normal).sum(1)
    for axis in range(3):
        u, v = (axis + 1) % 3, (axis + 2) % 3
        for edge in range(3):
            # The axis is (unit vector) x (edge): 0 along `axis`, -e_v along u, e_u along v.
            eu, ev = edges[:, edge, u, None], edges[:, edge, v, None]
            along = t[:, :, v] * eu - t[:, :, u] * ev
            reach = half * (np.abs(eu) + np.abs(ev))[:, 0]
            hit &= (along.min(1) <= reach) & (along.max(1) >= -reach)
    return hit


def enclosed(points: np.ndarray, faces: np.ndarray, free: np.ndarray) -> np.ndarray:
    """Of the voxels `free` bool (G,G,G) that no triangle touches: those with |w| > 0.5 at their centres.

    Without a surface between them neighbours have the same w of a closed surface: one value for each connected piece
    of free space. Only surfaces with holes are evaluated voxel by voxel. libigl's fast winding number (Barill 2018).
    """
    faces = consistent(points, faces)
    closed = _closed(faces)
    where = np.argwhere(free)
    w = np.zeros(len(where))
    if closed.any():
        pieces, _ = ndimage.label(free)
        _, first, piece = np.unique(pieces[free], return_index=True, return_inverse=True)
        w += winding(points[faces[closed]], where[first] + 0.5)[piece]
    if not closed.all():
        w += winding(points[faces[~closed]], where + 0.5)
    full = np.zeros_like(free)
    full[free] = np.abs(w) > 0.5
    return full


def winding(corners: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Winding number (Q,) of triangles (N,3,3) in voxels at points (Q,3); long triangles slow the tree down, so they
    are cut."""
    corners = cut(corners, 2 * LONGEST)
    index = np.arange(3 * len(corners), dtype=np.int64).reshape(-1, 3)
    return np.asarray(igl.fast_winding_number(corners.reshape(-1, 3), index, np.ascontiguousarray(at)))


def consistent(points: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Faces (F',3) without those laid upon another, turned so that neighbours across an edge face the same way."""
    order = np.sort(faces, 1)
    faces = faces[(order[:, 0] != order[:, 1]) & (order[:, 1] != order[:, 2])]
    _, first, same = np.unique(np.sort(faces, 1), axis=0, return_index=True, return_inverse=True)
    # Of a triangle and its reverse the way that more of them face; on a draw the first.
    parity = _parity(faces)
    votes = np.bincount(same.ravel(), parity, len(first))
    kept = faces[first]
    kept = np.where((votes * parity[first] < 0)[:, None], kept[:, ::-1], kept)
    uses, balance, _ = _edges(kept)
    if not ((uses == 2) & (balance != 0)).any():
        return kept
    turned, patch = igl.bfs_orient(np.ascontiguousarray(kept, dtype=np.int64))
    corners = points[kept]
    area = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
    kept_way = np.where(_parity(turned) == _parity(kept), area, -area)
    back = np.bincount(patch, kept_way)[patch] < 0
    return np.where(back[:, None], turned[:, ::-1], turned)


def _parity(faces: np.ndarray) -> np.ndarray:
    """+1 where the corners run up cyclically, -1 where they run down."""
    a, b, c = faces.T
    return np.where((a < b).astype(int) + (b < c) + (c < a) == 2, 1, -1)


def _edges(faces: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of every edge its number of faces and forward minus backward uses; and the edge (F,3) of each side."""
    start, stop = faces.ravel(), np.roll(faces, -1, 1).ravel()
    low, high = np.minimum(start, stop), np.maximum(start, stop)
    _, edge, uses = np.unique(low * (int(faces.max()) + 1) + high, return_inverse=True, return_counts=True)
    balance = np.bincount(edge.ravel(), np.where(start < stop, 1, -1), len(uses))
    return uses, balance, edge.reshape(faces.shape)


def _closed(faces: np.ndarray) -> np.ndarray:
    """Which faces belong to a connected piece of surface without an open edge, bool (F,)."""
    _, balance, edge = _edges(faces)
    count = int(faces.max()) + 1
    ends = faces.ravel(), np.roll(faces, -1, 1).ravel()
    graph = coo_matrix((np.ones(len(ends[0]), bool), ends), (count, count))
    number, piece = connected_components(graph, directed=False)
    open_pieces = np.zeros(number, bool)
    open_pieces[piece[faces[(balance[edge] != 0).any(1), 0]]] = True
    return ~open_pieces[piece[faces[:, 0]]]
