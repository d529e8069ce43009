"""The small kit that the recipes build with: loft, lathe, sweep, slab, box, ball, blend, paint, join.

Every part is a closed, outward-facing mesh, y-up, metres, with one colour per face; `join` turns the
colours into a palette texture, because textures are sRGB in every viewer and vertex colours are not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import fast_simplification
import numpy as np
import trimesh
from PIL import Image
from scipy.interpolate import PchipInterpolator
from skimage.measure import marching_cubes
from trimesh.visual.material import PBRMaterial
from trimesh.visual.texture import TextureVisuals

Point = Sequence[float]
Pattern = Callable[[np.ndarray], np.ndarray]  # face centres (N,3) -> colours (N,3) in 0..255
Colour = str | Pattern
PALETTE_CELLS, CELL = 16, 4


def paint(mesh: trimesh.Trimesh, colour: Colour) -> trimesh.Trimesh:
    """Colours every face: one hex colour, or a pattern of the face centres."""
    rgb = colour(mesh.triangles_center) if callable(colour) else np.tile(rgb_of(colour), (len(mesh.faces), 1))
    mesh.visual.face_colors = np.column_stack([np.clip(rgb, 0, 255), np.full(len(rgb), 255)]).astype(np.uint8)
    return mesh


def rgb_of(colour: str) -> np.ndarray:
    """(3,) in 0..255 of a hex colour such as "c0392b"."""
    return np.array([int(colour[i : i + 2], 16) for i in (0, 2, 4)], float)


def tint(rng: np.random.Generator, *choices: str, spread: float = 14) -> str:
    """One of the colours, a little lighter or darker, its hue hardly moved."""
    rgb = rgb_of(choices[rng.integers(len(choices))]) * (1 + rng.normal(0, spread / 140)) + rng.normal(
        0, spread / 3, 3
    )
    return "".join(f"{int(c):02x}" for c in np.clip(rgb, 0, 255))


def bands(first: str, second: str, edges: Sequence[float], axis: int = 1) -> Pattern:
    """Two colours that alternate along an axis at the given positions."""
    pair = np.stack([rgb_of(first), rgb_of(second)])
    return lambda centres: pair[np.searchsorted(np.asarray(edges), centres[:, axis]) % 2]


def spots(rng: np.random.Generator, ground: str, spot: str, size: float) -> Pattern:
    """Irregular spots of about `size` metres on a ground colour."""
    wave, phase = rng.normal(0, 2.2 / size, (3, 8)), rng.uniform(0, 2 * np.pi, 8)
    pair = np.stack([rgb_of(ground), rgb_of(spot)])
    return lambda centres: pair[(np.sin(centres @ wave + phase).sum(1) > 1.2).astype(int)]


def closed(vertices: np.ndarray, faces: np.ndarray) -> trimesh.Trimesh:
    """A merged mesh without degenerate faces, turned so that its volume is positive."""
    return closed_and_kept(vertices, faces)[0]


def closed_and_kept(vertices: np.ndarray, faces: np.ndarray) -> tuple[trimesh.Trimesh, np.ndarray]:
    """The same, and which of the faces (F,) it kept."""
    mesh = trimesh.Trimesh(vertices, faces, process=True)
    kept = mesh.nondegenerate_faces(height=1e-9)
    mesh.update_faces(kept)
    mesh.remove_unreferenced_vertices()
    if mesh.volume < 0:
        mesh.invert()
    return mesh, kept


def loft(rings: np.ndarray, colour: Colour, ring_closed: bool = False) -> trimesh.Trimesh:
    """Skins rings (n,m,3) one after the other; caps both ends, or joins the last ring to the first."""
    rings = np.asarray(rings, float)
    n, m = rings.shape[:2]
    rows = n if ring_closed else n - 1
    i, j = np.meshgrid(np.arange(rows), np.arange(m), indexing="ij")
    a, b = i * m + j, i * m + (j + 1) % m
    c, d = ((i + 1) % n) * m + j, ((i + 1) % n) * m + (j + 1) % m
    faces = [np.stack([a, b, c], -1).reshape(-1, 3), np.stack([b, d, c], -1).reshape(-1, 3)]
    vertices = rings.reshape(-1, 3)
    # Both halves of a quad share one centre, so that a pattern's edge does not run in saw teeth.
    centres = [vertices[np.stack([a, b, c, d], -1)].mean(2).reshape(-1, 3)] * 2
    if not ring_closed:
        vertices = np.vstack([vertices, rings[0].mean(0), rings[-1].mean(0)])
        k, rim = np.arange(m), (n - 1) * m
        faces.append(np.stack([np.full(m, n * m), (k + 1) % m, k], -1))
        faces.append(np.stack([np.full(m, n * m + 1), rim + k, rim + (k + 1) % m], -1))
        centres += [np.repeat(rings[[0, -1]].mean(1), m, axis=0)]
    if not callable(colour):
        return paint(closed(vertices, np.vstack(faces)), colour)
    colours = colour(np.vstack(centres))
    mesh, kept = closed_and_kept(vertices, np.vstack(faces))
    return paint(mesh, lambda _: colours[kept])


def circle(count: int, squareness: float = 2.0) -> np.ndarray:
    """(count,2) points of a unit superellipse: 2 is a circle, 6 a rounded square."""
    a = np.linspace(0, 2 * np.pi, count, endpoint=False)
    x, y = np.cos(a), np.sin(a)
    power = 2 / squareness
    return np.stack([np.sign(x) * np.abs(x) ** power, np.sign(y) * np.abs(y) ** power], 1)


def lathe(
    profile: Sequence[Point], colour: Colour, segments: int = 40, squareness: float = 2.0
) -> trimesh.Trimesh:
    """Turns a profile of (radius, y) about the y axis.

    A profile starts and ends on the axis, or ends where it starts: then it is the section of a ring.
    """
    rows = np.asarray(profile, float)
    around = bool(np.allclose(rows[0], rows[-1]) and rows[0, 0] > 0)
    ring = circle(segments, squareness)
    rings = [
        np.column_stack([ring[:, 0] * r, np.full(segments, y), ring[:, 1] * r])
        for r, y in (rows[:-1] if around else rows)
    ]
    return loft(np.stack(rings), colour, ring_closed=around)


def curve(points: Sequence[Point], count: int) -> np.ndarray:
    """A smooth curve (count,d) through the points, without overshoot."""
    points = np.asarray(points, float)
    steps = np.r_[0, np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))]
    return PchipInterpolator(steps, points)(np.linspace(0, steps[-1], count))


def shell(outer: np.ndarray, wall: float) -> np.ndarray:
    """The profile of a vessel: up the outer profile (radius, y), over the rim and down the inside."""
    inner = outer[::-1] - [wall, 0]
    floor = outer[0, 1] + wall
    inner = inner[inner[:, 1] > floor]
    rim = [[outer[-1, 0] - wall / 2, outer[-1, 1] + wall / 3]]
    base = [[0, outer[0, 1]]]
    return np.vstack(
        [base, outer, rim, np.maximum(inner, [0, floor]), [[max(inner[-1, 0] - wall, 0), floor], [0, floor]]]
    )


def sweep(
    path: Sequence[Point],
    radius: float | Sequence[float],
    colour: Colour,
    segments: int = 14,
    flatten: float = 1.0,
) -> trimesh.Trimesh:
    """A tube along a 3D path (n,3) with one radius or one per point; closed into a loop if the ends meet."""
    path = np.asarray(path, float)
    loop = bool(np.allclose(path[0], path[-1]))
    path = path[:-1] if loop else path
    radii = np.broadcast_to(np.asarray(radius, float), (len(path),))
    tangent = np.roll(path, -1, 0) - np.roll(path, 1, 0) if loop else np.gradient(path, axis=0)
    tangent /= np.linalg.norm(tangent, axis=1, keepdims=True)
    side = np.cross(tangent[0], [0, 0, 1] if abs(tangent[0, 2]) < 0.9 else [0, 1, 0])
    ring, rings = circle(segments), []
    for point, along, r in zip(path, tangent, radii, strict=True):
        side = side - along * (side @ along)
        side /= np.linalg.norm(side)
        up = np.cross(along, side)
        rings.append(point + r * (ring[:, :1] * side + flatten * ring[:, 1:] * up))
    return loft(np.stack(rings), colour, ring_closed=loop)


def rod(
    a: Point, b: Point, radius: float, colour: Colour, end_radius: float | None = None
) -> trimesh.Trimesh:
    """A straight round bar from a to b."""
    return sweep([a, b], [radius, radius if end_radius is None else end_radius], colour, segments=18)


def box(size: Point, centre: Point, colour: Colour, bevel: float = 0.0) -> trimesh.Trimesh:
    """An upright box of `size` around `centre`, its vertical edges and top softened by `bevel` metres."""
    half = np.asarray(size, float) / 2
    b = min(bevel, *(half * 0.9))
    if b <= 0:
        return paint(
            trimesh.creation.box(size, transform=trimesh.transformations.translation_matrix(centre)), colour
        )
    corner = np.array([[1, 0], [0.7, 0.7], [0, 1]])
    turns = [np.array([[np.cos(q), np.sin(q)], [-np.sin(q), np.cos(q)]]) for q in np.arange(4) * np.pi / 2]

    def ring(y: float, inset: float) -> np.ndarray:
        flat = np.vstack(
            [(corner @ t) * (b - inset) + np.sign([1, 1] @ t) * (half[[0, 2]] - b) for t in turns]
        )
        return np.column_stack([flat[:, 0], np.full(12, y), flat[:, 1]])

    y = half[1]
    rings = np.stack([ring(-y, b * 0.6), ring(-y + b * 0.6, 0), ring(y - b * 0.6, 0), ring(y, b * 0.6)])
    return loft(rings + np.asarray(centre), colour)


def ball(radii: float | Point, centre: Point, colour: Colour, detail: int = 3) -> trimesh.Trimesh:
    """An ellipsoid."""
    sphere = trimesh.creation.icosphere(detail)
    sphere.vertices = sphere.vertices * np.broadcast_to(radii, 3) + np.asarray(centre, float)
    return paint(sphere, colour)


def slab(outline: Sequence[Point], thickness: float, colour: Colour) -> trimesh.Trimesh:
    """A plate in the x-y plane: a star-shaped outline (n,2) given `thickness` along z."""
    flat = np.asarray(outline, float)
    rings = [np.column_stack([flat, np.full(len(flat), z)]) for z in (-thickness / 2, thickness / 2)]
    return loft(np.stack(rings), colour)


def moved(
    mesh: trimesh.Trimesh, by: Point = (0, 0, 0), turn: Point = (0, 0, 0), scale: Point | float = 1
) -> trimesh.Trimesh:
    """A copy that is scaled, then turned by degrees about x, y, z, then moved."""
    copy = mesh.copy()
    rotation = trimesh.transformations.euler_matrix(*np.radians(turn))[:3, :3]
    copy.vertices = (copy.vertices * np.broadcast_to(scale, 3)) @ rotation.T + np.asarray(by, float)
    return copy


def mirrored(mesh: trimesh.Trimesh) -> list[trimesh.Trimesh]:
    """The part and its mirror image in the plane x = 0."""
    twin = mesh.copy()
    twin.vertices = twin.vertices * [-1, 1, 1]
    twin.invert()
    return [mesh, twin]


class Blob:
    """Soft primitives with colours that `blend` melts into one skin; `pair` adds the mirror image in x."""

    def __init__(self) -> None:
        self.parts: list[tuple[np.ndarray, np.ndarray, float, float, Colour]] = []

    def limb(self, a: Point, b: Point, ra: float, rb: float, colour: Colour, pair: bool = False) -> Blob:
        """A tapered bar from a to b with rounded ends."""
        for side in (1, -1) if pair else (1,):
            flip = np.array([side, 1, 1])
            self.parts.append((np.asarray(a, float) * flip, np.asarray(b, float) * flip, ra, rb, colour))
        return self

    def distance(self, points: np.ndarray) -> np.ndarray:
        """Distances (N, parts) of points (N,3) to each part, negative inside."""
        columns = []
        for a, b, ra, rb, _ in self.parts:
            axis = b - a
            t = np.clip((points - a) @ axis / max(axis @ axis, 1e-12), 0, 1)
            columns.append(np.linalg.norm(points - a - t[:, None] * axis, axis=1) - ra - t * (rb - ra))
        return np.stack(columns, 1)

    def blend(self, softness: float, faces: int = 3600, resolution: int = 60) -> trimesh.Trimesh:
        """The smooth union as one closed mesh; each face takes the colour of its nearest part."""
        ends = np.array([p for a, b, ra, rb, _ in self.parts for p in (a - ra, a + ra, b - rb, b + rb)])
        low, high = ends.min(0) - 2 * softness, ends.max(0) + 2 * softness
        pitch = (high - low).max() / resolution
        axes = [np.arange(lo, hi + pitch, pitch) for lo, hi in zip(low, high, strict=True)]
        grid = np.stack(np.meshgrid(*axes, indexing="ij"), -1)
        smooth = self._smooth(grid.reshape(-1, 3), softness).reshape(grid.shape[:3])
        vertices, triangles, _, _ = marching_cubes(smooth, 0.0, spacing=(pitch,) * 3)
        if len(triangles) > faces:
            vertices, triangles = fast_simplification.simplify(
                vertices.astype(np.float32), triangles.astype(np.int32), 1 - faces / len(triangles)
            )
        mesh = closed(vertices + low, triangles)
        nearest = self.distance(mesh.triangles_center).argmin(1)
        colours = np.zeros((len(mesh.faces), 3))
        for k, part in enumerate(self.parts):
            own = nearest == k
            colour = part[4]
            colours[own] = colour(mesh.triangles_center[own]) if callable(colour) else rgb_of(colour)
        return paint(mesh, lambda _: colours)

    def _smooth(self, points: np.ndarray, softness: float) -> np.ndarray:
        d = self.distance(points) / softness
        least = d.min(1, keepdims=True)
        return softness * (least[:, 0] - np.log(np.exp(least - d).sum(1)))


def join(*parts: trimesh.Trimesh | list[trimesh.Trimesh]) -> trimesh.Trimesh:
    """One mesh of all parts, standing on y = 0, centred in x and z, with a palette texture."""
    flat = [m for part in parts for m in (part if isinstance(part, list) else [part])]
    vertices, faces = trimesh.util.append_faces([m.vertices for m in flat], [m.faces for m in flat])
    colours = np.vstack([np.asarray(m.visual.face_colors)[:, :3] for m in flat])
    low, high = vertices.min(0), vertices.max(0)
    vertices = vertices - [(low[0] + high[0]) / 2, low[1], (low[2] + high[2]) / 2]
    return palette_textured(vertices, faces, colours)


def palette_textured(vertices: np.ndarray, faces: np.ndarray, colours: np.ndarray) -> trimesh.Trimesh:
    """A mesh whose uint8 face colours (F,3) became cells of one small texture."""
    cells, cell_of = np.unique(colours, axis=0, return_inverse=True)
    if len(cells) > PALETTE_CELLS**2:
        cells, cell_of = np.unique(colours // 24 * 24 + 12, axis=0, return_inverse=True)
    cells, cell_of = cells[: PALETTE_CELLS**2], np.minimum(cell_of.ravel(), PALETTE_CELLS**2 - 1)
    side = int(np.ceil(np.sqrt(len(cells))))
    picture = np.zeros((side, side, 3), np.uint8)
    picture.reshape(-1, 3)[: len(cells)] = cells
    corners, index = np.unique(
        np.column_stack([faces.reshape(-1), np.repeat(cell_of, 3)]), axis=0, return_inverse=True
    )
    row, column = corners[:, 1] // side, corners[:, 1] % side
    uv = np.column_stack([(column + 0.5) / side, 1 - (row + 0.5) / side])
    image = Image.fromarray(picture.repeat(CELL, 0).repeat(CELL, 1))
    material = PBRMaterial(baseColorTexture=image, roughnessFactor=0.8, metallicFactor=0.0)
    return trimesh.Trimesh(
        vertices[corners[:, 0]],
        index.reshape(-1, 3),
        visual=TextureVisuals(uv=uv, material=material),
        process=False,
    )
