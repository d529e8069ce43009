"""Taking out the inside of a mesh that no one ever sees: walls of closed hollows, and linings behind small openings.

sam3d_model.md section 12, with a ray from every face in a few dozen directions instead of a thousand rendered views.
Lengths are shares of the mesh's longest side.
"""

import numpy as np
import trimesh
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import breadth_first_order, connected_components, maximum_flow

from model_zoo.extract.directions import spread
from model_zoo.report.holes import filled, holes_of
from model_zoo.report.repairs import rebuilt
from model_zoo.report.subject import Subject

DIRECTIONS = 48
WELL_SEEN = (0.25, 0.5)  # share of directions: the upper quartile of a part, held between these
HARDLY_SEEN = 0.25  # at most this, at the median, is taken out
LARGEST_CUT = 0.04  # area of an opening that may be closed
HOLLOW = 2.0  # times the area of its opening that a lining has at least: less is a dent
WORTH = 1e-3  # and in any case: folds of a few slivers do no harm
LIFT = 1e-4  # of rays off their face
CUT_SIDE, CUT_EDGES = 0.25, 256  # of the loops that cutting leaves


def without_hidden(mesh: trimesh.Trimesh) -> trimesh.Trimesh:
    """The mesh without faces that belong to its unseen inside, openings that this cuts closed; looks are kept.

    A mesh without such faces is returned as it is. Whole parts go when nothing of them is seen; the inside of a part
    goes when it hangs on the outside by an opening of an area of at most 0.04, less than half of its own.
    """
    subject = Subject(mesh)
    seen = exposure(subject)
    hidden = _unseen_parts(subject, seen)
    hidden |= _linings(subject, seen, ~hidden)
    if not hidden.any() or hidden.all():
        return mesh
    kept = rebuilt(mesh, np.asarray(mesh.vertices, float), np.asarray(mesh.faces)[~hidden])
    vertices, faces, pick, _ = filled(Subject(kept), most_side=CUT_SIDE, most_edges=CUT_EDGES)
    return rebuilt(kept, vertices, faces, pick)


def exposure(subject: Subject, directions: int = DIRECTIONS) -> np.ndarray:
    """Share (F,) of directions from which the middle of each face is seen, on whichever side looks there.

    About half for the outside of a body, 1 for a free sheet, 0 for what is closed in.
    """
    total = np.zeros(len(subject.faces))
    for direction in spread(directions):
        side = np.where(subject.normals @ direction < 0, -1.0, 1.0)
        starts = subject.centres + LIFT * side[:, None] * subject.normals
        total += ~subject.blocked(starts, np.broadcast_to(direction, starts.shape).copy())
    return total / directions


def _unseen_parts(subject: Subject, seen: np.ndarray) -> np.ndarray:
    """Faces (F,) of connected parts of which hardly any area (a twentieth) is ever seen."""
    area = np.bincount(subject.part, subject.areas)
    share = np.bincount(subject.part, subject.areas * (seen > 0)) / np.maximum(area, 1e-30)
    return (share < 0.05)[subject.part]


def _linings(subject: Subject, seen: np.ndarray, among: np.ndarray) -> np.ndarray:
    """Faces (F,) that the cheapest cut along edges parts from the well seen ones, piece by piece if it passes."""
    well = seen > np.clip(_upper_quartile(subject.part, seen), *WELL_SEEN)[subject.part]
    cut = _source_side(subject, among & (seen == 0), well) & among
    pairs, _ = subject.edges.pairs()
    inner = pairs[cut[pairs].all(1)]
    graph = coo_matrix((np.ones(len(inner)), inner.T), (len(cut),) * 2)
    piece = connected_components(graph, directed=False)[1]
    area = np.bincount(piece, subject.areas * cut)
    cut &= area[piece] >= WORTH
    for number in np.unique(piece[cut]):
        own = cut & (piece == number)
        opening = _opening(subject, own)
        if np.median(seen[own]) > HARDLY_SEEN or opening > LARGEST_CUT or area[number] < HOLLOW * opening:
            cut[own] = False
    return cut


def _upper_quartile(part: np.ndarray, values: np.ndarray) -> np.ndarray:
    """The upper quartile of the values (F,) of each part."""
    order = np.lexsort((values, part))
    count = np.bincount(part)
    return values[order][np.cumsum(count) - count + 3 * (count - 1) // 4]


def _source_side(subject: Subject, source: np.ndarray, sink: np.ndarray) -> np.ndarray:
    """Faces (F,) on the source's side of the minimum cut of the dual graph, edges weighing their length."""
    pairs, _ = subject.edges.pairs()
    count = len(source)
    if not source.any() or not sink.any():
        return np.zeros(count, bool)
    # Faces that are given come together in one node each, so that the flow runs in what lies between.
    node = np.where(source, count, np.where(sink, count + 1, np.arange(count)))
    ends = node[pairs]
    length = np.maximum(np.round(_shared_lengths(subject, pairs) * 1e5), 1).astype(np.int32)
    apart = ends[:, 0] != ends[:, 1]
    ends, length = ends[apart], length[apart]
    rows, columns = np.concatenate([ends, ends[:, ::-1]]).T
    graph = coo_matrix((np.tile(length, 2), (rows, columns)), (count + 2,) * 2).tocsr()
    flow = maximum_flow(graph, count, count + 1).flow
    left = graph - flow
    left.data = (left.data > 0).astype(np.int32)
    left.eliminate_zeros()
    reached = np.zeros(count + 2, bool)
    reached[breadth_first_order(left, count, return_predecessors=False)] = True
    return reached[node]


def _shared_lengths(subject: Subject, pairs: np.ndarray) -> np.ndarray:
    """Length (N,) of the edge between each pair of faces, in the order of `Edges.pairs`."""
    edges = subject.edges
    flat = np.sort(edges.of_face.ravel())
    shared = flat[edges.uses[flat] == 2][::2]
    ends = subject.points[edges.ends[shared]]
    return np.linalg.norm(ends[:, 0] - ends[:, 1], axis=1)


def _opening(subject: Subject, faces: np.ndarray) -> float:
    """Area of the loops around a set of faces that are not open edges of the whole mesh already."""
    open_edges, loop = holes_of(subject.points, subject.faces[faces])
    if not len(open_edges):
        return 0.0
    one, other = subject.points[open_edges[:, 0]], subject.points[open_edges[:, 1]]
    count = np.bincount(loop)[:, None]
    middle = np.stack([np.bincount(loop, column) for column in ((one + other) / 2).T], 1) / count
    # Fans around the middle: edges are not ordered, so areas add up as sizes, right for a plain ring.
    return float(np.linalg.norm(np.cross(one - middle[loop], other - middle[loop]), axis=1).sum() / 2)
