"""The rasteriser of the data sets: textured meshes to colour, base colour, coverage, depth, mask, normals, instances.

What each pixel's centre sees comes first; where it shows an edge, embree's rays find what 8 more samples see; then the
samples are shaded. OpenGL without a window does the first and the last where EGL can be opened (raster_gl.py), embree
and numpy elsewhere (raster_numpy.py), alike to 1/255 but for single pixels of an outline.

Frame: OpenCV camera (x right, y down, z forward); pixel centres at integer coordinates. Light: Lambert, two-sided,
smooth but for creases, with a modest gloss from the material's roughness and metallic factors, in linear light;
`base` has none of it. Transparency is not drawn. A thing thinner than a pixel that no pixel's centre sees is lost.
"""

from __future__ import annotations

import logging
import weakref
from collections import OrderedDict
from collections.abc import Callable, Sequence

import numpy as np
import trimesh

from model_zoo import raster_gl, raster_numpy
from model_zoo.raster_parts import (
    AMBIENT,
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
OFFSETS = [
    (x / 3, y / 3) for y in (-1, 0, 1) for x in (-1, 0, 1) if x or y
]  # an edge's samples beside the centre
SAMPLES = len(OFFSETS) + 1
SLOPE = 0.7  # radians, about: a surface that turns by more from one pixel to the next has an edge there
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
        self._kept: OrderedDict[int, tuple[weakref.ref[trimesh.Trimesh], Surface]] = OrderedDict()
        if self.backend == "gl":
            try:
                raster_gl.engine()
            except Exception as error:
                if backend == "gl":
                    raise RuntimeError(f"OpenGL cannot be opened: {error}") from error
                log.warning("OpenGL cannot be opened (%s): pictures are shaded by numpy, more slowly", error)
                self.backend = "embree"

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
        if sum(len(mesh.faces) for mesh, _ in items) >= MOST_FACES:
            raise ValueError("a picture takes fewer than 16 million faces")
        K, picture = np.asarray(K, float), Picture.empty(size)
        surfaces = [self._surface(mesh) for mesh, _ in items]
        placed = [Placed(one, *affine(one, pose), K) for one, (_, pose) in zip(surfaces, items, strict=True)]
        seen = _window(placed, size)
        if seen is not None:
            (left, top, right, bottom), depths = seen
            for y in range(top, bottom, TILE):
                for x in range(left, right, TILE):
                    tile = (x, y, min(x + TILE, right), min(y + TILE, bottom))
                    self._tile(placed, tile, depths, lighting, picture)
        self._forget({id(mesh) for mesh, _ in items})
        return picture

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
        see = raster_gl.engine().see if self.backend == "gl" else _see
        hits = see(placed, corner, shape, depths)
        item, z = hits.item.reshape(shape), hits.z.reshape(shape)
        edge = _edges(item, z, placed[0].K)
        inner = np.s_[1:-1, 1:-1]
        part = np.s_[top:bottom, left:right]
        seen = item[inner] >= 0
        picture.mask[part], picture.instance[part] = seen, item[inner]
        picture.alpha[part] = seen * np.uint8(255)
        picture.depth[part] = np.where(seen, z[inner], np.float32(np.nan))
        y, x = np.nonzero(seen)
        index = (y + 1) * shape[1] + x + 1
        pixels = np.stack([x + left, y + top], 1).astype(np.float32)
        if len(index):
            picture.normals[part][y, x] = normals = _face_normals(placed, hits.take(index), pixels)
            plain = ~edge[inner][y, x]
            rows = np.flatnonzero(plain)
            lit, base = self._shade(
                placed, hits.take(index[rows]), pixels[rows], normals[rows], 1.0, lighting
            )
            at = y[rows], x[rows]
            picture.rgb[part][at], picture.base[part][at] = lit, base
        y, x = np.nonzero(edge[inner])
        if len(y):
            centres = np.stack([x + left, y + top], 1).astype(np.float32)
            middle = hits.take((y + 1) * shape[1] + x + 1)
            covered, lit, base = self._shade_edges(placed, middle, centres, lighting)
            some = covered > 0
            at = y[some], x[some]
            picture.rgb[part][at], picture.base[part][at] = lit[some], base[some]
            picture.alpha[part][at] = np.rint(covered[some] * (255 / SAMPLES))

    def _shade_edges(
        self, placed: list[Placed], middle: Hits, centres: np.ndarray, lighting: Lighting
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Samples that hit something (N,) of 9, and their mean colours (N,3) lit and base, for pixels at an edge."""
        around = (centres[:, None] + np.array(OFFSETS, np.float32)).reshape(-1, 2)
        more = _cast(placed, around)
        hits = Hits(*(np.concatenate([getattr(one, name) for one in (middle, more)]) for name in FIELDS))
        owner = np.concatenate([np.arange(len(centres)), np.repeat(np.arange(len(centres)), len(OFFSETS))])
        found = np.flatnonzero(hits.item >= 0)
        hits, owner, pixels = hits.take(found), owner[found], np.concatenate([centres, around])[found]
        normals = _face_normals(placed, hits, pixels) if lighting.shadows else None
        colours = self._shade(placed, hits, pixels, normals, 1 / 3, lighting)
        covered = np.bincount(owner, minlength=len(centres))
        means = []
        for sampled in colours:
            sums = [np.bincount(owner, TO_LINEAR[column], minlength=len(centres)) for column in sampled.T]
            means.append(to_srgb(np.stack(sums, 1) / np.maximum(covered, 1)[:, None]))
        return covered, means[0], means[1]

    def _shade(
        self,
        placed: list[Placed],
        hits: Hits,
        pixels: np.ndarray,
        normals: np.ndarray | None,
        step: float,
        lighting: Lighting,
    ) -> tuple[np.ndarray, np.ndarray]:
        """sRGB (N,3) of hits: lit, and base. normals (N,3) of their faces matter to shadows only."""
        shade = raster_gl.engine().shade if self.backend == "gl" else raster_numpy.shade
        reached = (1 << LIGHTS) - 1
        if lighting.shadows and normals is not None:
            reached = _reached(placed, hits, pixels, normals, lighting)
        if len(placed) == 1:
            return shade(placed[0], Samples(hits.face, pixels, step, reached), lighting)
        lit, base = np.empty((2, len(pixels), 3), np.uint8)
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
    rim = (item[:, 1:] != item[:, :-1], item[1:] != item[:-1])
    across, down = np.zeros(item.shape, bool), np.zeros(item.shape, bool)
    across[:, 1:] |= rim[0]
    across[:, :-1] |= rim[0]
    down[1:] |= across[:-1] | rim[1]
    down[:-1] |= across[1:] | rim[1]
    edge = across | down
    with np.errstate(divide="ignore"):
        inverse = np.where(seen, 1 / z, 0).astype(np.float32)
    inverse *= K[0, 0] / np.median(inverse[seen])
    for field, into in ((inverse[:, 1:-1], edge[middle]), (inverse[1:-1].T, edge[middle].T)):
        step = np.diff(field, axis=0)
        one, two = step[:-1], step[1:]
        least = np.minimum(np.abs(one), np.abs(two))
        into |= np.abs(two - one) > SLOPE * (1 + least * least)
    return edge


def _face_normals(placed: list[Placed], hits: Hits, pixels: np.ndarray) -> np.ndarray:
    """Unit normals (N,3) of the faces hit, towards the camera."""
    normals = np.empty((len(hits.face), 3), np.float32)
    for number, one in enumerate(placed):
        mine = np.flatnonzero(hits.item == number) if len(placed) > 1 else slice(None)
        turn = one.turn_normal().astype(np.float32)
        normals[mine] = unit(one.surface.face_normals[hits.face[mine]] @ turn.T)
    rays = raster_numpy.rays(placed[0].K.astype(np.float32), pixels)
    away = np.einsum("ni,ni->n", normals, rays.astype(np.float32)) > 0
    normals[away] *= -1
    return normals


def _reached(
    placed: list[Placed], hits: Hits, pixels: np.ndarray, normals: np.ndarray, lighting: Lighting
) -> np.ndarray:
    """int (N,): bit k says that nothing stands between the point and light k."""
    bits = np.full(len(pixels), (1 << LIGHTS) - 1)
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
