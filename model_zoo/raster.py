"""The rasteriser of the data sets: textured meshes to colour, base colour, coverage, depth, mask, normals, instances.

What each pixel's centre sees comes first; where it shows an edge, embree's rays find what 4 more samples see; then the
samples are shaded. OpenGL without a window does the first and the last where EGL can be opened (raster_gl.py), embree
and numpy elsewhere (raster_numpy.py), alike to 1/255 but for single pixels of an outline.

Frame: OpenCV camera (x right, y down, z forward); pixel centres at integer coordinates. Light: Lambert, two-sided,
smooth but for creases, with a modest gloss from the material's roughness and metal and its normal map, in linear light;
`base` has none of it, but for what shines by itself. Transparency is not drawn. A thing thinner than a pixel that no pixel's centre sees is lost.
"""

from __future__ import annotations

import logging
import weakref
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import trimesh

from model_zoo import raster_gl, raster_numpy
from model_zoo.raster_parts import (
    AMBIENT,
    EDGE_STEP,
    LIGHTS,
    TO_LINEAR,
    Hits,
    Light,
    Lighting,
    Picture,
    Placed,
    Posed,
    Samples,
    Surface,
    affine,
    to_srgb,
    unit,
)

__all__ = ["AMBIENT", "Light", "Lighting", "Picture", "Posed", "Raster"]

BACKENDS = ("auto", "gl", "embree")
CACHE_BYTES = 512 << 20
TILE = raster_gl.SIDES[-1] - 2  # pixels a side that are drawn at a time
MOST_FACES = 1 << 24  # a face's number passes through a float32
# An edge's samples beside the centre: a turned square, so that all five differ in x, in y and along the diagonals.
OFFSETS = [(0.125, 0.375), (-0.375, 0.125), (-0.125, -0.375), (0.375, -0.125)]
SAMPLES = len(OFFSETS) + 1
TURN = 0.84  # tangent: a surface that turns by more than 40 degrees from one pixel to the next has an edge there,
JUMP = 3.0  # and one whose slope changes by more than this times itself
EVERY_LIGHT = (1 << LIGHTS) - 1
NEAREST = 1e-3  # of the farthest depth: what is nearer is not drawn
LIFT = 2e-3  # of a mesh's size: how far off the surface a shadow's ray starts, so as not to meet it
FIELDS = ("item", "face", "z")
log = logging.getLogger(__name__)


class Raster:
    """Draws posed meshes. backend: "gl" (RuntimeError without EGL), "embree", or "auto": the first that works."""

    def __init__(self, *, backend: str = "auto") -> None:
        if backend not in BACKENDS:
            raise ValueError(f"no backend {backend!r}: there are {', '.join(BACKENDS)}")
        self.backend = "embree" if backend == "embree" else "gl"
        self._forced = backend == "gl"
        self._kept: OrderedDict[int, tuple[weakref.ref[trimesh.Trimesh], Surface]] = OrderedDict()
        self._engine()

    def _engine(self) -> raster_gl.Engine | None:
        """This thread's OpenGL, None without; asked each time, for a forked process may have to do without."""
        if self.backend == "embree":
            return None
        try:
            return raster_gl.engine()
        except Exception as error:
            if self._forced:
                raise RuntimeError(f"OpenGL cannot be opened: {error}") from error
            log.warning("OpenGL cannot be opened (%s): pictures are drawn by embree and numpy, slower", error)
            self.backend = "embree"
            return None

    def draw(
        self,
        items: Sequence[tuple[trimesh.Trimesh, Posed]],
        K: np.ndarray,
        size: tuple[int, int],
        lighting: Lighting = AMBIENT,
    ) -> Picture:
        """Draws meshes at their poses (affine maps) into a (W, H) picture of the camera K (3,3).

        Only the window that the meshes cover costs time. A mesh is read at its first draw and kept while it lives and
        there is room: one that is changed in place afterwards is drawn as it was. Raises ValueError for more than 4
        lights or 16 million faces.
        """
        if len(lighting.lights) > LIGHTS:
            raise ValueError(f"a picture takes at most {LIGHTS} lights")
        picture, placed = Picture.empty(size), self._placed(items, K)
        for tile, depths in _tiles(placed, size):
            self._tile(placed, tile, depths, lighting, picture)
        self._forget({id(mesh) for mesh, _ in items})
        return picture

    def mask(
        self, items: Sequence[tuple[trimesh.Trimesh, Posed]], K: np.ndarray, size: tuple[int, int]
    ) -> np.ndarray:
        """The `mask` of the picture alone, bool (H,W): the same pixels at a third of the price."""
        mask, placed = np.zeros(size[::-1], bool), self._placed(items, K)
        for (left, top, right, bottom), depths in _tiles(placed, size):
            hits = self._see(placed, (left, top), (bottom - top, right - left), depths)
            mask[top:bottom, left:right] = hits.item.reshape(bottom - top, right - left) >= 0
        self._forget({id(mesh) for mesh, _ in items})
        return mask

    def _placed(self, items: Sequence[tuple[trimesh.Trimesh, Posed]], K: np.ndarray) -> list[Placed]:
        if sum(len(mesh.faces) for mesh, _ in items) >= MOST_FACES:
            raise ValueError("a picture takes fewer than 16 million faces")
        surfaces = [(self._surface(mesh), pose) for mesh, pose in items]
        return [Placed(one, *affine(one, pose), np.asarray(K, float)) for one, pose in surfaces]

    def _see(
        self,
        placed: list[Placed],
        corner: tuple[int, int],
        shape: tuple[int, int],
        depths: tuple[float, float],
    ) -> Hits:
        engine = self._engine()
        see = _see if engine is None else engine.see
        return see(placed, corner, shape, depths)

    def _tile(
        self,
        placed: list[Placed],
        tile: tuple[int, int, int, int],
        depths: tuple[float, float],
        lighting: Lighting,
        picture: Picture,
    ) -> None:
        left, top, right, bottom = tile
        # One more pixel all round, to know what lies beside the outermost.
        corner, shape = (left - 1, top - 1), (bottom - top + 2, right - left + 2)
        inside = np.pad(np.ones((bottom - top, right - left), bool), 1)
        hits = self._see(placed, corner, shape, depths)
        item, z = hits.item.reshape(shape), hits.z.reshape(shape)
        edge, seen = _edges(item, z, placed[0].K), inside & (item >= 0)
        alpha = seen * np.uint8(255)
        field = np.zeros((seen.size, 3), np.float32)
        rgb, base = np.zeros((2, seen.size), np.uint32)
        at, pixels = _pixels(seen, corner)
        if len(at):
            hits_seen = hits.take(at)
            normals = field[at] = _face_normals(placed, hits_seen)
            reached = _reached(placed, hits_seen, pixels, normals, lighting)
            if not isinstance(reached, int):
                lights = np.full(shape, -1)
                lights[seen] = reached
                edge |= _changes(lights) & (item >= 0)
            rows = np.flatnonzero(~edge.take(at))
            bits = reached if isinstance(reached, int) else reached[rows]
            even, places = at[rows], pixels.take(rows, axis=0)
            rgb[even], base[even] = self._shade(placed, hits_seen.take(rows), places, bits, 1.0, lighting)
        rim, pixels = _pixels(inside & edge, corner)
        if len(rim):
            covered, rgb[rim], base[rim] = self._shade_edges(placed, hits.take(rim), pixels, lighting)
            alpha.ravel()[rim] = np.rint(covered * (255 / SAMPLES))
        part, inner = np.s_[top:bottom, left:right], np.s_[1:-1, 1:-1]
        picture.mask[part], picture.instance[part] = seen[inner], item[inner]
        picture.alpha[part] = alpha[inner]
        picture.depth[part] = np.where(seen, z, np.float32(np.nan))[inner]
        picture.normals[part] = field.reshape(*shape, 3)[inner]
        for into, colours in ((picture.rgb[part], rgb), (picture.base[part], base)):
            channels = colours.view(np.uint8).reshape(*shape, 4)[inner]
            for k in range(3):  # numpy is slow with three bytes at a time
                into[..., k] = channels[..., k]

    def _shade_edges(
        self, placed: list[Placed], middle: Hits, centres: np.ndarray, lighting: Lighting
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Of pixels at an edge: samples that hit something (N,) of SAMPLES, and their mean colours, packed: lit and base."""
        pixels = centres[:, None] + np.array([(0, 0), *OFFSETS], np.float32)
        more = _cast(placed, pixels[:, 1:].reshape(-1, 2))
        count = len(centres)
        both = ((getattr(middle, name), getattr(more, name).reshape(count, -1)) for name in FIELDS)
        hits = Hits(*(np.column_stack(pair).ravel() for pair in both))
        found = np.flatnonzero(hits.item >= 0)
        covered = np.bincount(found // SAMPLES, minlength=count)
        hits, pixels = hits.take(found), pixels.reshape(-1, 2).take(found, axis=0)
        normals = _face_normals(placed, hits) if lighting.shadows else np.zeros((0, 3))
        reached = _reached(placed, hits, pixels, normals, lighting)
        means = []
        for colours in self._shade(placed, hits, pixels, reached, EDGE_STEP, lighting):
            packed = np.zeros((count, SAMPLES), np.uint32)
            packed.ravel()[found] = colours
            linear = TO_LINEAR.take(packed.view(np.uint8).reshape(count, SAMPLES, 4))
            sums = np.einsum("nsc->nc", linear, dtype=float)
            means.append(to_srgb(sums / np.maximum(covered, 1)[:, None]).view(np.uint32)[:, 0])
        return covered, means[0], means[1]

    def _shade(
        self,
        placed: list[Placed],
        hits: Hits,
        pixels: np.ndarray,
        reached: np.ndarray | int,
        step: float,
        lighting: Lighting,
    ) -> tuple[np.ndarray, np.ndarray]:
        """sRGB of hits, packed as uint32 (N,), red first in memory: lit, and base."""
        engine = self._engine()
        shade = raster_numpy.shade if engine is None else engine.shade
        if len(placed) == 1:
            return shade(placed[0], Samples(hits.face, pixels, step, reached), lighting)
        lit, base = np.empty((2, len(pixels)), np.uint32)
        for number, one in enumerate(placed):
            mine = np.flatnonzero(hits.item == number)
            bits = reached if isinstance(reached, int) else reached[mine]
            lit[mine], base[mine] = shade(one, Samples(hits.face[mine], pixels[mine], step, bits), lighting)
        return lit, base

    def _surface(self, mesh: trimesh.Trimesh) -> Surface:
        known = self._kept.get(id(mesh))
        if known is not None and known[0]() is mesh:
            self._kept.move_to_end(id(mesh))
            return known[1]
        made = Surface(mesh)
        self._kept[id(mesh)] = (weakref.ref(mesh), made)
        return made

    def _forget(self, wanted: set[int]) -> None:
        """Lets go of meshes that are gone, and of the longest unused while there are too many bytes."""
        for key in [key for key, (mesh, _) in self._kept.items() if mesh() is None]:
            del self._kept[key]
        while sum(surface.bytes for _, surface in self._kept.values()) > CACHE_BYTES:
            oldest = next((key for key in self._kept if key not in wanted), None)
            if oldest is None:
                return
            del self._kept[oldest]


def _tiles(
    placed: list[Placed], size: tuple[int, int]
) -> Iterator[tuple[tuple[int, int, int, int], tuple[float, float]]]:
    """The parts (left, top, right, bottom) of a (W, H) picture that show anything, and the depths it lies between."""
    seen = _window(placed, size)
    if seen is not None:
        (left, top, right, bottom), depths = seen
        for y in range(top, bottom, TILE):
            for x in range(left, right, TILE):
                yield (x, y, min(x + TILE, right), min(y + TILE, bottom)), depths


def _window(
    placed: list[Placed], size: tuple[int, int]
) -> tuple[tuple[int, int, int, int], tuple[float, float]] | None:
    """Left, top, right, bottom of the pixels in which the boxes of the surfaces lie, and the depths between which they
    lie; None when all lie outside."""
    signs = np.array([[x, y, z] for x in (-0.5, 0.5) for y in (-0.5, 0.5) for z in (-0.5, 0.5)])
    boxes = [signs * one.surface.sides @ one.A.T + one.b for one in placed if one.surface.count]
    points = np.concatenate(boxes) if boxes else np.zeros((1, 3))
    far = float(points[:, 2].max())
    if far <= 0:
        return None
    near = max(float(points[:, 2].min()), NEAREST * far)
    depths = (near * 0.999, far * 1.001)
    if points[:, 2].min() < near:
        return (0, 0, *size), depths
    places = points @ placed[0].K[:2].T / points[:, 2:]
    low, high = np.floor(places.min(0)) - 1, np.ceil(places.max(0)) + 2
    left, top = (int(n) for n in np.maximum(low, 0))
    right, bottom = (int(n) for n in np.minimum(high, size))
    return ((left, top, right, bottom), depths) if left < right and top < bottom else None


def _see(
    placed: list[Placed], corner: tuple[int, int], shape: tuple[int, int], depths: tuple[float, float]
) -> Hits:
    """Hits (H*W,) at the pixel centres of a (H, W) grid whose first is `corner` (x, y), from depths[0] on."""

    def directions(M: np.ndarray) -> np.ndarray:
        across = np.multiply.outer(np.arange(shape[1]) + corner[0], M[:, 0])
        down = np.multiply.outer(np.arange(shape[0]) + corner[1], M[:, 1]) + M[:, 2]
        return (down[:, None] + across).reshape(-1, 3).astype(np.float32)

    return _nearest(placed, directions, shape[0] * shape[1])


def _cast(placed: list[Placed], pixels: np.ndarray) -> Hits:
    """Hits (N,) through pixels (N,2)."""
    return _nearest(placed, lambda M: (pixels @ M[:, :2].T + M[:, 2]).astype(np.float32), len(pixels))


def _nearest(placed: list[Placed], directions: Callable[[np.ndarray], np.ndarray], count: int) -> Hits:
    item, face, z = (
        np.full(count, -1, np.int32),
        np.zeros(count, np.int32),
        np.full(count, np.inf, np.float32),
    )
    for number, one in enumerate(placed):
        if not one.surface.count:
            continue
        # The rays go into the mesh's frame, so that its tree serves every pose; a ray's parameter stays z.
        back = np.linalg.inv(one.A)
        aims = directions(back @ np.linalg.inv(one.K))
        start = np.tile((-back @ one.b).astype(np.float32), (count, 1))
        out = one.surface.tree.run(start, aims, query="INTERSECT", output=1)
        nearer = (out["geomID"] >= 0) & (out["tfar"] < z)
        item[nearer], face[nearer], z[nearer] = number, out["primID"][nearer], out["tfar"][nearer]
    return Hits(item, face, z)


def _pixels(where: np.ndarray, corner: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Of a grid (H,W) whose first pixel is `corner`: the flat indices (N,) that are set, and their pixels float32 (N,2)."""
    at = np.flatnonzero(where)
    y, x = np.divmod(at.astype(np.int32), np.int32(where.shape[1]))
    return at, np.stack([x + corner[0], y + corner[1]], 1).astype(np.float32)


def _edges(item: np.ndarray, z: np.ndarray, K: np.ndarray) -> np.ndarray:
    """bool (H,W): pixels that see another item, or none, beside them, or a crease or a jump of the surface.

    1/z of a plane is linear in the picture, so that a surface's slope against the view is known from one neighbour;
    a crease or a jump shows where the slopes to the two sides differ by more than a turn of the surface explains.
    """
    edge = np.zeros(item.shape, bool)
    seen = item >= 0
    if not seen.any():
        return edge
    middle = np.s_[1:-1, 1:-1]
    edge = _changes(item)
    inverse = np.divide(1, z, out=np.zeros_like(z), where=seen)
    inverse *= K[0, 0] / np.median(inverse[seen])
    for field, into in ((inverse[:, 1:-1], edge[middle]), (inverse[1:-1].T, edge[middle].T)):
        step = np.diff(field, axis=0)
        one, two = step[:-1], step[1:]
        bend = np.abs(two - one)
        into |= bend > TURN * np.abs(1 + one * two)  # tan of a difference of angles
        into |= bend > JUMP * (1 + np.minimum(np.abs(one), np.abs(two)))
    return edge


def _changes(field: np.ndarray) -> np.ndarray:
    """bool (H,W): where one of the 8 neighbours has another value."""
    change, right, below = np.zeros(field.shape, bool), np.zeros(field.shape, bool), field[1:] != field[:-1]
    right[:, 1:] = field[:, 1:] != field[:, :-1]
    right[:, :-1] |= right[:, 1:]
    change |= right
    change[1:] |= right[:-1] | below
    change[:-1] |= right[1:] | below
    return change


def _face_normals(placed: list[Placed], hits: Hits) -> np.ndarray:
    """Unit normals float32 (N,3) of the faces hit, towards the camera."""
    if len(placed) == 1:
        return _normals_of(placed[0], hits.face)
    normals = np.empty((len(hits.face), 3), np.float32)
    for number, one in enumerate(placed):
        mine = np.flatnonzero(hits.item == number)
        normals[mine] = _normals_of(one, hits.face[mine])
    return normals


def _normals_of(one: Placed, faces: np.ndarray) -> np.ndarray:
    surface = one.surface
    own, first = surface.face_normals, surface.faces[:, 0]
    every = surface.count < len(faces)  # which is less to turn: every face, or the faces hit?
    if not every:
        own, first = own.take(faces, axis=0), first.take(faces)
    normals = unit(own @ one.turn_normal().T.astype(np.float32))
    corners = surface.vertices.take(first, axis=0) @ one.A.T.astype(np.float32) + one.b.astype(np.float32)
    # A ray that meets a plane meets it from the side of the camera, so that any point of the plane will do.
    away = np.einsum("ni,ni->n", normals, corners) > 0
    normals *= np.where(away, np.float32(-1), np.float32(1))[:, None]
    return normals.take(faces, axis=0) if every else normals


def _reached(
    placed: list[Placed], hits: Hits, pixels: np.ndarray, normals: np.ndarray, lighting: Lighting
) -> np.ndarray | int:
    """int (N,), or one for all: bit k says that nothing stands between the point and light k."""
    if not lighting.shadows:
        return EVERY_LIGHT
    bits = np.full(len(pixels), EVERY_LIGHT)
    points = raster_numpy.rays(placed[0].K, pixels) * hits.z[:, None]
    for k, light in enumerate(lighting.lights):
        towards = unit(np.asarray(light.towards, float))
        for one in placed:
            if not one.surface.count:
                continue
            back = np.linalg.inv(one.A)
            lift = LIFT * one.surface.size * np.cbrt(abs(np.linalg.det(one.A)))
            start = ((points + lift * normals - one.b) @ back.T).astype(np.float32)
            aims = np.tile((back @ towards).astype(np.float32), (len(start), 1))
            bits[one.surface.tree.run(start, aims, query="OCCLUDED") >= 0] &= ~(1 << k)
    return bits
