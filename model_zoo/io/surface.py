"""What every mesh format is read into (parts with materials), and the checks that hold for all of them."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from model_zoo.io.errors import BadInput

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

MAX_VERTICES = 2_000_000
MAX_TRIANGLES = 1_500_000
MAX_COORDINATE = 1e9
DEGENERATE = 1e-12
OUTLIER_RATIO = 100.0


@dataclass(eq=False)
class Material:
    """Base colour (texture times linear factor) and what goes with it; texture rows run downwards.

    Further maps, in the texture's uv and only where they were asked for: metal_rough (green times roughness, blue times
    metallic), normal (tangent frame of glTF, x and y times `normal_scale`), emission (times the linear factor `emissive`).
    """

    factor: tuple[float, float, float, float] = (1.0, 1.0, 1.0, 1.0)
    texture: Image.Image | None = None
    metallic: float = 0.0
    roughness: float = 0.9
    double_sided: bool = False
    alpha_mode: str = "OPAQUE"
    alpha_cutoff: float = 0.5
    metal_rough: Image.Image | None = None
    normal: Image.Image | None = None
    emission: Image.Image | None = None
    emissive: tuple[float, float, float] = (0.0, 0.0, 0.0)
    normal_scale: float = 1.0

    @property
    def maps(self) -> dict[str, Image.Image]:
        """The maps that there are beside the base colour's, by name."""
        found = {name: getattr(self, name) for name in ("metal_rough", "normal", "emission")}
        return {name: image for name, image in found.items() if image is not None}


@dataclass(eq=False)
class Part:
    """Triangles with one material: vertices (V,3), faces (F,3), and per vertex maybe normals (V,3), uv (V,2) with
    v upwards, colours (V,4) uint8 sRGB."""

    vertices: Floats
    faces: Ints
    material: Material = field(default_factory=Material)
    normals: Floats | None = None
    uv: Floats | None = None
    colours: NDArray[np.uint8] | None = None


def check_counts(vertices: int, triangles: int) -> None:
    """Refuse a mesh that is too large before it is built."""
    if vertices > MAX_VERTICES or triangles > MAX_TRIANGLES:
        raise BadInput(
            f"the mesh is too large: {vertices} vertices, {triangles} triangles "
            f"(limit {MAX_VERTICES} and {MAX_TRIANGLES})",
            "too_many_triangles",
        )


def check_finite(vertices: Floats, where: str = "", first: int = 0) -> None:
    """Refuse coordinates that are not finite or absurd, naming the vertex (counted from `first`)."""
    wrong = ~(np.abs(vertices) <= MAX_COORDINATE).all(axis=1)
    if wrong.any():
        at = int(np.argmax(wrong))
        what = "is not finite" if not np.isfinite(vertices[at]).all() else f"is beyond {MAX_COORDINATE:g}"
        raise BadInput(f"{where}vertex {at + first} has a coordinate that {what}", "bad_vertex")


def degenerate_faces(vertices: Floats, faces: Ints) -> NDArray[np.bool_]:
    """Which faces have no area: a repeated corner, or a height below 1e-12 of the longest edge."""
    corners = vertices[faces]
    edges = corners - np.roll(corners, 1, axis=1)
    longest = (edges**2).sum(axis=2).max(axis=1)
    doubled = np.linalg.norm(np.cross(edges[:, 1], edges[:, 2]), axis=1)
    return ~(doubled > DEGENERATE * longest) | (doubled == 0)


def drop_degenerate(parts: list[Part], notes: list[str]) -> list[Part]:
    """Parts without their faces of no area, counted in a warning; refuses a surface that has nothing else."""
    dropped = 0
    for part in parts:
        wrong = degenerate_faces(part.vertices, part.faces)
        dropped += int(wrong.sum())
        part.faces = part.faces[~wrong]
    kept = [part for part in parts if len(part.faces)]
    if not kept:
        raise BadInput("the surface has zero area: every face is degenerate", "zero_area")
    if dropped:
        notes.append(f"{dropped} degenerate faces (no area) were dropped")
    return kept


def drop_unused(part: Part) -> Part:
    """The part without vertices that no face uses."""
    used = np.zeros(len(part.vertices), np.bool_)
    used[part.faces.ravel()] = True
    if used.all():
        return part
    new = np.cumsum(used) - 1
    return Part(
        part.vertices[used],
        new[part.faces],
        part.material,
        None if part.normals is None else part.normals[used],
        None if part.uv is None else part.uv[used],
        None if part.colours is None else part.colours[used],
    )


def merged_by_position(vertices: Floats, faces: Ints) -> tuple[int, Ints]:
    """(number of different positions, faces over them): topology without seams of normals and textures."""
    keys = np.ascontiguousarray(vertices.astype(np.float32) + np.float32(0))
    _, inverse = np.unique(keys.view([("", np.float32)] * 3).ravel(), return_inverse=True)
    inverse = inverse.astype(np.int64).ravel()
    return int(inverse.max()) + 1, inverse[faces]


def check_topology(vertices: Floats, faces: Ints, notes: list[str]) -> None:
    """Warn of edges with more than two faces and of neighbours that face opposite ways."""
    count, merged = merged_by_position(vertices, faces)
    merged = merged[
        (merged[:, 0] != merged[:, 1]) & (merged[:, 1] != merged[:, 2]) & (merged[:, 2] != merged[:, 0])
    ]
    start, stop = merged.ravel(), np.roll(merged, -1, axis=1).ravel()
    low, high = np.minimum(start, stop), np.maximum(start, stop)
    _, edge, uses = np.unique(low * count + high, return_inverse=True, return_counts=True)
    forward = np.bincount(edge.ravel(), weights=start < stop, minlength=len(uses))
    crowded = int((uses > 2).sum())
    if crowded:
        notes.append(f"{crowded} edges are shared by more than two faces: non-manifold, not watertight")
    flipped = int(((uses == 2) & (forward != 1)).sum())
    if flipped:
        notes.append(f"inconsistent winding: {flipped} edges join faces that face opposite ways")


def check_extent(parts: list[Part], notes: list[str]) -> None:
    """Warn when a few stray vertices make the whole far larger than what it mostly consists of."""
    vertices = np.concatenate([part.vertices for part in parts])
    offsets = np.cumsum([0, *(len(part.vertices) for part in parts)])
    faces = np.concatenate([part.faces + at for part, at in zip(parts, offsets, strict=False)])
    whole = float(np.linalg.norm(np.ptp(vertices, axis=0)))
    centres = vertices[faces].mean(axis=1)
    middle = np.median(centres, axis=0)
    distance = np.linalg.norm(centres - middle, axis=1)
    size = float(np.quantile(distance, 0.5)) + float(
        np.median(np.linalg.norm(np.ptp(vertices[faces], axis=1), axis=1))
    )
    far = distance > OUTLIER_RATIO * size
    if far.any() and far.mean() < 0.5 and whole > OUTLIER_RATIO * size:
        notes.append(
            f"{int(far.sum())} faces lie far away from the rest: the extent of {whole:.6g} is an outlier"
        )


def unit_normals(normals: Floats, vertices: Floats, faces: Ints) -> Floats:
    """Unit normals (V,3); where one has no length or is not finite, that of its faces.

    Unit normals in float32 stay bit for bit what they are, so that reading and writing again changes nothing.
    """
    length = np.linalg.norm(normals, axis=1)
    lost = ~(np.isfinite(length) & (length > 1e-6))
    if lost.any():
        normals = np.where(lost[:, None], face_normals_at_vertices(vertices, faces), normals)
        length = np.linalg.norm(normals, axis=1)
    keep = (abs(length - 1) < 1e-6) & (normals.astype(np.float32) == normals).all(axis=1)
    return np.where(keep[:, None], normals, normals / length[:, None])


def face_normals_at_vertices(vertices: Floats, faces: Ints) -> Floats:
    """Unit normals (V,3): area-weighted mean of the faces at each vertex, (0,1,0) where they cancel out."""
    corners = vertices[faces]
    weighted = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    scale = np.abs(weighted).max(initial=0)
    weighted = weighted / scale if scale > 0 else weighted
    total = np.stack(
        [np.bincount(faces.ravel(), np.repeat(weighted[:, axis], 3), len(vertices)) for axis in range(3)],
        axis=1,
    )
    length = np.linalg.norm(total, axis=1)
    total[length < 1e-12] = (0.0, 1.0, 0.0)
    return total / np.linalg.norm(total, axis=1)[:, None]
