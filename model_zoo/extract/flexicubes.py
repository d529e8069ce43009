"""The surface of the mesh decoder's grid by FlexiCubes, on the active cubes and those that touch them only.

sam3d_model.md section 11. Object frame: z-up, the cube [-0.5, 0.5]^3. No dense grid is made and the result is the same
on every run, on CPU and GPU. Vertices and faces come in the order of the dense reference: vertices by cubes of rising
number of dual vertices, faces by crossed grid edges, those whose first end is outside before the others.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from model_zoo.extract import tables
from model_zoo.io.errors import BadInput

CHANNELS = 101  # of a cube: 8 sdf, 8 x 3 displacements, 21 weights, 8 x 6 colours and normals
SDF, DEFORM, WEIGHTS, COLOUR = slice(0, 8), slice(8, 32), slice(32, 53), slice(53, 101)
MOST_RESOLUTION = 1024  # vertex numbers are kept in 32 bits


class Surface(NamedTuple):
    """Triangles of the object frame: vertices (V,3) float32, faces (F,3) int64 facing outwards, attributes (V,6) in
    0..1: colour rgb, normal."""

    vertices: Tensor
    faces: Tensor
    attributes: Tensor


class _Corners(NamedTuple):
    """Grid vertices of active cubes: `keys` int32 (N,) rising, where each one's values begin in `order`, how many
    there are, and their mean sdf; a value is numbered cube * 8 + corner."""

    keys: Tensor
    starts: Tensor
    counts: Tensor
    order: Tensor
    sdf: Tensor

    def find(self, keys: Tensor) -> Tensor:
        """Rows of grid vertices int32 (...), -1 where no active cube touches them."""
        return _find(self.keys, keys)

    def sdf_at(self, rows: Tensor) -> Tensor:
        """Mean sdf (...) of rows; 1, outside, for row -1."""
        return torch.where(rows < 0, self.sdf.new_ones(()), self.sdf[rows.clamp_min(0)])


class _Crossings(NamedTuple):
    """Grid edges that the surface crosses: their ends (E,2) as grid vertices, the four cubes around each (E,4) as rows
    of `cubes`, -1 beyond the grid, the number (E,4) of the edge in each, and the cubes (C,) int64 rising."""

    ends: Tensor
    around: Tensor
    local: Tensor
    cubes: Tensor


def extract_surface(coords: Tensor, features: Tensor, resolution: int) -> Surface:
    """The zero surface of active cubes (M,3) int of a resolution^3 grid with their raw decoder features (M,101).

    Raises BadInput for wrong shapes, features that are not finite, cubes beyond the grid or given twice, and where
    nothing is inside.
    """
    _check(coords, features, resolution)
    coords = coords.to(torch.int32)
    corners = _corners(coords, features, resolution)
    crossings = _crossings(corners, resolution)
    case = _cases(corners, crossings.cubes, resolution)
    weights = _weights(coords, features, crossings.cubes, resolution)
    dual = _dual(case)
    vertices, attributes = _means(
        dual, crossings, weights, ends=_ends(corners, crossings.ends, features, resolution)
    )
    faces = _faces(corners, crossings, dual.vertex_of, weights[:, 20])
    if not len(faces):
        raise BadInput("the surface has no faces: it only touches the border of the grid", "empty_shape")
    if not (torch.isfinite(vertices).all() and torch.isfinite(attributes).all()):
        raise BadInput("the mesh features hold values that are not finite", "bad_features")
    return Surface(vertices, faces, attributes)


def _check(coords: Tensor, features: Tensor, resolution: int) -> None:
    if coords.ndim != 2 or coords.shape[1] != 3 or features.shape != (len(coords), CHANNELS):
        raise BadInput(
            f"mesh features must be (M, {CHANNELS}) for cubes (M, 3), not {tuple(features.shape)} and {tuple(coords.shape)}"
        )
    if not 0 < resolution <= MOST_RESOLUTION:
        raise BadInput(f"the grid's resolution must be 1 to {MOST_RESOLUTION}, not {resolution}")
    if not len(coords):
        raise BadInput("there are no active cubes to make a surface of", "empty_shape")
    if coords.min() < 0 or coords.max() >= resolution:
        raise BadInput(f"an active cube lies beyond the grid of {resolution}")


def _key(coords: Tensor, side: int) -> Tensor:
    """Places (...,3) of a side^3 grid numbered with the last axis fastest."""
    return (coords[..., 0] * side + coords[..., 1]) * side + coords[..., 2]


def _place(keys: Tensor, side: int) -> Tensor:
    """The inverse of `_key`: (...,3)."""
    return torch.stack([keys // side**2, keys // side % side, keys % side], -1)


def _find(table: Tensor, keys: Tensor) -> Tensor:
    """Where keys (...) stand in a rising table (N,); -1 where they do not."""
    row = torch.searchsorted(table, keys).clamp_max(len(table) - 1)
    return torch.where(table[row] == keys, row, -1)


def _corners(coords: Tensor, features: Tensor, resolution: int) -> _Corners:
    offsets = coords.new_tensor(tables.CORNERS)
    key = torch.stack([_key(coords + offset, resolution + 1) for offset in offsets], 1).ravel()
    # A stable sort: values of one vertex stay in the order of the cubes, and sums come out as in the reference.
    key, order = torch.sort(key, stable=True)
    key, counts = torch.unique_consecutive(key, return_counts=True)
    starts = torch.cumsum(counts, 0) - counts
    values = features[:, SDF].float().reshape(-1) - 1 / resolution
    sdf = torch.zeros(len(key), device=key.device)
    for turn in range(8):
        rows = torch.nonzero(counts > turn)[:, 0]
        sdf[rows] += values[order[starts[rows] + turn]]
    sdf /= counts
    if not torch.isfinite(sdf).all():
        raise BadInput("the mesh features hold values that are not finite", "bad_features")
    return _Corners(key, starts, counts, order, sdf)


def _crossings(corners: _Corners, resolution: int) -> _Crossings:
    side = resolution + 1
    inner = corners.keys[corners.sdf < 0]
    place = _place(inner, side)
    lows, axes = [], []
    for axis in range(3):
        stride = side ** (2 - axis)
        for step in (-1, 1):
            here = (place[:, axis] + step >= 0) & (place[:, axis] + step <= resolution)
            keys = inner[here]
            outside = corners.sdf_at(corners.find(keys + step * stride)) >= 0
            keys = keys[outside]
            lows.append(keys.long() + min(step, 0) * stride)
            axes.append(torch.full_like(lows[-1], axis))
    if not sum(map(len, lows)):
        raise BadInput("the mesh decoder found no surface: nothing is inside, or everything", "empty_shape")
    low, axis = torch.cat(lows), torch.cat(axes)
    strides = torch.tensor([side**2, side, 1], device=low.device)
    high = low + strides[axis]
    # Edges along y run downwards in the tables.
    ends = torch.where((axis == 1)[:, None], torch.stack([high, low], 1), torch.stack([low, high], 1))
    order = torch.argsort(ends[:, 0] * side**3 + ends[:, 1])
    ends, low, axis = ends[order], low[order], axis[order]
    back, local = _around(low.device)
    cube = _place(low, side)[:, None] - back[axis]
    valid = (cube.amin(2) >= 0) & (cube.amax(2) < resolution)
    cubes, row = torch.unique(_key(cube, resolution)[valid], return_inverse=True)
    around = torch.full_like(cube[..., 0], -1)
    around[valid] = row
    return _Crossings(ends, around, local[axis], cubes)


def _around(device: torch.device) -> tuple[Tensor, Tensor]:
    """Of the four cubes around a grid edge, in rising order: how far each lies back (3 axes, 4, 3), and which of its
    own edges it is (3, 4)."""
    back, local = torch.zeros(3, 4, 3, dtype=torch.int64), torch.zeros(3, 4, dtype=torch.int64)
    for axis in range(3):
        others = [a for a in range(3) if a != axis]
        for n, pair in enumerate([(1, 1), (1, 0), (0, 1), (0, 0)]):
            back[axis, n, others] = torch.tensor(pair)
            low = tuple(back[axis, n].tolist())
            high = tuple(c + (a == axis) for a, c in enumerate(low))
            wanted = {tables.CORNERS.index(low), tables.CORNERS.index(high)}
            local[axis, n] = next(e for e, ends in enumerate(tables.EDGES) if set(ends) == wanted)
    return back.to(device), local.to(device)


def _cases(corners: _Corners, cubes: Tensor, resolution: int) -> Tensor:
    """The case (C,) of each cube, those of two ambiguous neighbours made complementary."""
    place = _place(cubes, resolution)
    case = torch.zeros_like(cubes)
    for bit, offset in enumerate(place.new_tensor(tables.CORNERS)):
        keys = _key(place + offset, resolution + 1).to(corners.keys.dtype)
        case += (corners.sdf_at(corners.find(keys)) < 0).long() << bit
    towards = torch.from_numpy(tables.twins()).to(cubes.device).long()
    here = torch.nonzero(towards[case].any(1))[:, 0]
    there = place[here] + towards[case[here]]
    within = (there.amin(1) >= 0) & (there.amax(1) < resolution)
    here, there = here[within], there[within]
    row = _find(cubes, _key(there, resolution))
    paired = here[(row >= 0) & towards[case[row.clamp_min(0)]].any(1)]
    case[paired] = 255 - case[paired]
    return case


def _weights(coords: Tensor, features: Tensor, cubes: Tensor, resolution: int) -> Tensor:
    """Per cube (C,21): 12 of edges, 8 of corners, 1 of the cube, in their ranges; raw 0 for a cube that is not active."""
    key, order = torch.sort(_key(coords.long(), resolution))
    if (key[1:] == key[:-1]).any():
        raise BadInput("an active cube is given twice")
    row = _find(key, cubes)
    raw = features[order[row.clamp_min(0)], WEIGHTS].float()
    raw = torch.where((row >= 0)[:, None], raw, raw.new_zeros(()))
    return torch.cat([0.99 * torch.tanh(raw[:, :20]) + 1, 0.99 * torch.sigmoid(raw[:, 20:]) + 0.005], 1)


class _Dual(NamedTuple):
    """Dual vertices: of cubes with one first, then of those with two, and so on. `cube` (V,) and `rim` (V,7) say which
    edges of which cube bound each, -1 for none; `vertex_of` (C,12) is the vertex by cube and crossed edge."""

    cube: Tensor
    rim: Tensor
    vertex_of: Tensor


def _dual(case: Tensor) -> _Dual:
    slots = torch.from_numpy(tables.slots()).to(case.device).long()
    many = slots.amax(1)[case] + 1
    order = torch.argsort(many, stable=True)
    base = torch.empty_like(many)
    base[order] = torch.cumsum(many[order], 0) - many[order]
    cube = torch.repeat_interleave(order, many[order])
    slot = torch.arange(len(cube), device=cube.device) - base[cube]
    rim = torch.from_numpy(tables.rims()).to(case.device).long()[case[cube], slot]
    return _Dual(cube, rim, base[:, None] + slots[case])


class _Ends(NamedTuple):
    """Grid vertices at crossed edges: `of_edge` (E,2) which of them each edge has, sdf (N,), and `values` (N,9): the
    displaced position and the attributes."""

    of_edge: Tensor
    sdf: Tensor
    values: Tensor


def _ends(corners: _Corners, edges: Tensor, features: Tensor, resolution: int) -> _Ends:
    keys, of_edge = torch.unique(edges, return_inverse=True)
    row = corners.find(keys.to(corners.keys.dtype))
    counts = torch.where(row < 0, 0, corners.counts[row.clamp_min(0)])
    total = torch.zeros(len(keys), 9, device=keys.device)
    for turn in range(8):
        some = torch.nonzero(counts > turn)[:, 0]
        value = corners.order[corners.starts[row[some]] + turn]
        cube, corner = value // 8, value % 8
        for start, width, column in ((DEFORM.start, 3, 0), (COLOUR.start, 6, 3)):
            channels = start + corner[:, None] * width + torch.arange(width, device=keys.device)
            total[some, column : column + width] += features[cube[:, None], channels].float()
    mean = total / counts.clamp_min(1)[:, None]
    grid = _place(keys, resolution + 1).float()
    position = grid / resolution - 0.5 + (1 - 1e-8) / (2 * resolution) * torch.tanh(mean[:, :3])
    return _Ends(of_edge, corners.sdf_at(row), torch.cat([position, torch.sigmoid(mean[:, 3:])], 1))


def _means(dual: _Dual, crossings: _Crossings, weights: Tensor, *, ends: _Ends) -> tuple[Tensor, Tensor]:
    """Positions (V,3) and attributes (V,6): of each dual vertex the weighted mean of the crossings on its rim."""
    edge_of = torch.full((len(weights), 12), -1, device=weights.device)
    within = crossings.around >= 0
    number = torch.arange(len(within), device=within.device)[:, None].expand_as(within)
    edge_of[crossings.around[within], crossings.local[within]] = number[within]
    pairs = torch.tensor(tables.EDGES, device=weights.device)
    total, share = weights.new_zeros(len(dual.cube), 9), weights.new_zeros(len(dual.cube), 1)
    for turn in range(tables.MOST_EDGES):
        some = torch.nonzero(dual.rim[:, turn] >= 0)[:, 0]
        local, cube = dual.rim[some, turn], dual.cube[some]
        a, b = ends.of_edge[edge_of[cube, local]].unbind(1)
        alpha = weights[cube[:, None], 12 + pairs[local]]
        sa, sb = (ends.sdf[a] * alpha[:, 0])[:, None], (ends.sdf[b] * alpha[:, 1])[:, None]
        beta = weights[cube, local][:, None]
        total[some] += (ends.values[a] * sb - ends.values[b] * sa) / (sb - sa) * beta
        share[some] += beta
    total /= share
    return total[:, :3].contiguous(), total[:, 3:].contiguous()


def _faces(corners: _Corners, crossings: _Crossings, vertex_of: Tensor, gamma: Tensor) -> Tensor:
    """Two triangles of every crossed edge with four cubes; `vertex_of` (C,12) the dual vertex by cube and edge."""
    whole = (crossings.around >= 0).all(1)
    around, local = crossings.around[whole], crossings.local[whole]
    outside = corners.sdf_at(corners.find(crossings.ends[whole, 0].to(corners.keys.dtype))) >= 0
    turn = torch.tensor([[2, 3, 1, 0], [0, 1, 3, 2]], device=around.device)[outside.long()]
    around, local = around.gather(1, turn), local.gather(1, turn)
    order = torch.argsort((~outside).long(), stable=True)
    around, local = around[order], local[order]
    quad, g = vertex_of[around, local], gamma[around]
    even = (g[:, 0] * g[:, 2] > g[:, 1] * g[:, 3])[:, None]
    return torch.where(even, quad[:, [0, 1, 2, 0, 2, 3]], quad[:, [0, 1, 3, 3, 1, 2]]).reshape(-1, 3)
