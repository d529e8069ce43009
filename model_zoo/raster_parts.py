"""What the rasteriser's parts share: lights, pictures, and a mesh laid out for drawing.

Frame: OpenCV camera (x right, y down, z forward); pixel centres at integer coordinates. Light is linear inside,
pictures are sRGB.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import trimesh
from embreex.mesh_construction import TriangleMesh
from embreex.rtcore_scene import EmbreeScene

from model_zoo.io.textures import linear_from_srgb, srgb_from_linear

LIGHTS = 4  # directional lights at most
EDGE_STEP = 0.5  # pixels from sample to sample where a pixel shows an edge, about; 1 elsewhere
SHARPER = 1.5  # how much longer than a texel's a footprint may be: sharper than without, and still at rest
CREASE = 0.7  # cosine: a corner bent further than this keeps the face's own normal, as in model_zoo.render
GREY = 190  # sRGB of a mesh that has no colour
TO_LINEAR = linear_from_srgb(np.arange(256) / 255).astype(np.float32)  # by sRGB byte
DIRECT = (np.arange(256) / 255).astype(np.float32)  # what a byte that is just a number stands for
FROM_LINEAR = np.rint(255 * srgb_from_linear(np.arange(1 << 16) / 65535)).astype(
    np.uint8
)  # by linear light in 16 bits


class Posed(Protocol):
    """An affine map of (N, 3) mesh points to camera points, such as model_zoo.io.poses.Pose."""

    def apply(self, points: np.ndarray) -> np.ndarray: ...


@dataclass(frozen=True)
class Light:
    """A directional light: `towards` points from the surface to it (camera frame), `colour` is linear RGB."""

    towards: tuple[float, float, float]
    colour: tuple[float, float, float]


@dataclass(frozen=True)
class Lighting:
    """Linear RGB. `ambient` is the same from everywhere; `sky` comes from above: times (0.5 - 0.5 * normal_y).

    shadows: what hides a surface from a directional light takes that light away.
    """

    lights: tuple[Light, ...] = ()
    ambient: tuple[float, float, float] = (1.0, 1.0, 1.0)
    sky: tuple[float, float, float] = (0.0, 0.0, 0.0)
    shadows: bool = False


AMBIENT = Lighting()


@dataclass(frozen=True)
class Picture:
    """One view (H, W). `rgb` uint8 (H,W,3) lit, sRGB, not premultiplied; `base` uint8 (H,W,3) base colour and emission alone;
    `alpha` uint8 coverage; `depth` float32 z at pixel centres, NaN outside; `mask` bool at pixel centres; `normals`
    float32 (H,W,3) of the faces, unit, towards the camera, 0 outside; `instance` int32 index of the item, -1 outside.
    """

    rgb: np.ndarray
    base: np.ndarray
    alpha: np.ndarray
    depth: np.ndarray
    mask: np.ndarray
    normals: np.ndarray
    instance: np.ndarray

    @classmethod
    def empty(cls, size: tuple[int, int]) -> Picture:
        """A (W, H) picture in which nothing is seen."""
        shape = (size[1], size[0])
        return cls(
            rgb=np.zeros((*shape, 3), np.uint8),
            base=np.zeros((*shape, 3), np.uint8),
            alpha=np.zeros(shape, np.uint8),
            depth=np.full(shape, np.nan, np.float32),
            mask=np.zeros(shape, bool),
            normals=np.zeros((*shape, 3), np.float32),
            instance=np.full(shape, -1, np.int32),
        )


class Surface:
    """A mesh ready to be drawn, in its own frame moved to `centre` (3,).

    vertices float32 (V,3), faces int32 (F,3), tree: its ray tree. face_normals float32 (F,3), unit. records float32 (F,27): corner positions (3,3), corner
    normals (3,3) and corner looks (3,3); a look is (u, v downwards, 0) where there are `levels`, else the linear base
    colour. levels: the sRGB texture (H,W,3) and its halvings. factor (3,) is linear. glow (3,): what it gives off,
    linear. maps: None where metallic, roughness and glow are the same everywhere and the normals are the corners'.
    """

    def __init__(self, mesh: trimesh.Trimesh) -> None:
        vertices, faces = np.asarray(mesh.vertices, float), np.asarray(mesh.faces)
        bounds = np.stack([vertices.min(0), vertices.max(0)]) if len(faces) else np.zeros((2, 3))
        self.centre, self.sides = bounds.mean(0), np.ptp(bounds, axis=0)
        self.count = len(faces)
        placed = self.vertices = (vertices - self.centre).astype(np.float32)
        self.faces = np.ascontiguousarray(faces, np.int32)
        self.tree = EmbreeScene(robust=True)
        if self.count:
            TriangleMesh(self.tree, placed, self.faces)
        self.face_normals, normals = _normals(placed, faces, self.size)
        looks, texture, self.factor = _looks(mesh)
        self.records = np.empty((self.count, 27), np.float32)
        for at, part in enumerate((placed[faces], normals, looks)):
            self.records[:, 9 * at : 9 * at + 9] = np.asarray(part).reshape(self.count, 9)
        self.levels = [] if texture is None else mipmaps(texture)
        material = getattr(mesh.visual, "material", None)
        self.metallic = _number(material, "metallicFactor", 0.0)
        self.roughness = _number(material, "roughnessFactor", 0.9)
        glow = getattr(material, "emissiveFactor", None)
        self.glow = np.zeros(3) if glow is None else np.clip(np.asarray(glow, float), 0, 1)
        self.maps = Maps.of(material, self.roughness, self.metallic) if self.levels else None

    @property
    def size(self) -> float:
        """The longest side of its box, above 0."""
        return max(float(self.sides.max()), 1e-30)

    @property
    def bytes(self) -> int:
        """About how much memory it takes: records and corners here and on the card, the tree, the textures twice."""
        levels = [*self.levels, *(self.maps.detail + self.maps.glow if self.maps else [])]
        return self.count * (2 * 108 + 36 + 200) + 2 * sum(level.nbytes for level in levels)


@dataclass(frozen=True)
class Maps:
    """Textures beside the base colour, each with its halvings. detail uint8 (H,W,4), linear: x and y of the normal in
    glTF's tangent frame (0..255 is -1..1), roughness, metallic. glow uint8 (H,W,3), sRGB: times the surface's glow."""

    detail: list[np.ndarray]
    glow: list[np.ndarray]

    @classmethod
    def of(cls, material: Any, roughness: float, metallic: float) -> Maps | None:
        """Those of a trimesh material with these factors; None when it has no such texture."""
        found = [
            getattr(material, name, None)
            for name in ("normalTexture", "metallicRoughnessTexture", "emissiveTexture")
        ]
        normal, rough, glow = [None if image is None else image.convert("RGB") for image in found]
        if normal is rough is glow is None:
            return None
        size = tuple(
            np.max([image.size for image in (normal, rough) if image is not None] or [(1, 1)], axis=0)
        )
        detail = np.full(
            (size[1], size[0], 4), (128, 128, round(255 * roughness), round(255 * metallic)), np.uint8
        )
        if normal is not None:
            detail[..., :2] = np.asarray(normal.resize(size))[..., :2]
        if rough is not None:
            detail[..., 2:] = np.rint(
                np.asarray(rough.resize(size))[..., 1:] * np.array([roughness, metallic])
            )
        shine = np.full((1, 1, 3), 255, np.uint8) if glow is None else np.asarray(glow)
        return cls(mipmaps(detail, DIRECT), mipmaps(shine))


def _normals(vertices: np.ndarray, faces: np.ndarray, size: float) -> tuple[np.ndarray, np.ndarray]:
    """Face normals (F,3), and corner normals (F,3,3): smooth, but the face's own where the corner bends too far."""
    corners = vertices[faces].astype(float)
    cross = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    own = unit(cross)
    # Vertices at the same place count as one: 20 bits an axis, packed, because unique rows are slow.
    steps = np.rint((vertices / size + 0.5) * (1 << 20)).astype(np.int64)
    _, place = np.unique((steps[:, 0] << 42) | (steps[:, 1] << 21) | steps[:, 2], return_inverse=True)
    at = place[faces]
    sums = [np.bincount(at.ravel(), np.repeat(column, 3), minlength=1) for column in cross.T]
    smooth = unit(np.stack(sums, 1))[at]
    gentle = np.einsum("fci,fi->fc", smooth, own) > CREASE
    return own.astype(np.float32), np.where(gentle[..., None], smooth, own[:, None])


def _looks(mesh: trimesh.Trimesh) -> tuple[np.ndarray, np.ndarray | None, np.ndarray]:
    """Corner looks (F,3,3), the sRGB texture (H,W,3 uint8) or None, and the linear factor (3,)."""
    visual, faces = mesh.visual, np.asarray(mesh.faces)
    plain = np.ones(3)
    if visual.kind == "texture":
        image, factor = material_colour(visual.material)
        if image is not None and visual.uv is not None:
            uv = np.nan_to_num(np.asarray(visual.uv, float))
            looks = np.stack([uv[:, 0], 1 - uv[:, 1], np.zeros(len(uv))], 1)[faces]
            # Whole repeats are taken off face by face: float32 keeps its digits for the place within the texture.
            looks[..., :2] -= np.floor(looks[..., :2].min(1, keepdims=True))
            return looks, image, factor
        return np.broadcast_to(factor, (len(faces), 3, 3)), None, plain
    if visual.kind == "vertex":
        return TO_LINEAR[np.asarray(visual.vertex_colors)[:, :3]][faces], None, plain
    if visual.kind == "face":
        return np.repeat(TO_LINEAR[np.asarray(visual.face_colors)[:, None, :3]], 3, 1), None, plain
    return np.full((len(faces), 3, 3), TO_LINEAR[GREY]), None, plain


def material_colour(material: Any) -> tuple[np.ndarray | None, np.ndarray]:
    """Base colour picture (H,W,3 uint8 sRGB or None) and linear factor (3,) of a trimesh material.

    A PBR material's factor is linear, as glTF has it; a simple material's one colour is sRGB and counts where it has
    no picture.
    """
    image = getattr(material, "baseColorTexture", None) or getattr(material, "image", None)
    pixels = None if image is None else np.asarray(image.convert("RGB"))
    factor = getattr(material, "baseColorFactor", None)
    if factor is not None:
        factor = np.asarray(factor)
        return pixels, factor[:3] / (255.0 if factor.dtype.kind in "ui" else 1.0)
    main = getattr(material, "main_color", None)
    if pixels is not None or main is None:
        return pixels, np.ones(3)
    return None, linear_from_srgb(np.asarray(main)[:3] / 255.0)


def _number(material: object, name: str, default: float) -> float:
    value = getattr(material, name, None)
    return default if value is None else float(np.clip(value, 0, 1))


def mipmaps(texture: np.ndarray, values: np.ndarray = TO_LINEAR) -> list[np.ndarray]:
    """The texture uint8 (H,W,C) and its halvings down to one pixel, averaged as what its bytes stand for: `values`.

    TO_LINEAR: sRGB, averaged in linear light; DIRECT: numbers. Made here and not by a driver, so that they are the same
    everywhere.
    """
    levels = [np.ascontiguousarray(texture)]
    linear = values[texture]
    while max(linear.shape[:2]) > 1:
        for axis in (0, 1):
            if linear.shape[axis] > 1:
                even = linear.take(range(0, linear.shape[axis] - 1, 2), axis)
                linear = (even + linear.take(range(1, linear.shape[axis], 2), axis)[: len(even)]) / 2
        levels.append(to_srgb(linear) if values is TO_LINEAR else np.rint(255 * linear).astype(np.uint8))
    return levels


def to_srgb(linear: np.ndarray) -> np.ndarray:
    """sRGB bytes of linear light 0..1."""
    return FROM_LINEAR[np.rint(np.clip(linear, 0, 1) * 65535).astype(np.uint16)]


def affine(surface: Surface, pose: Posed) -> tuple[np.ndarray, np.ndarray]:
    """A (3,3) and b (3,) with p_camera = A p + b for the surface's points."""
    probes = surface.centre + surface.size * np.vstack([np.zeros(3), np.eye(3)])
    moved = np.asarray(pose.apply(probes), float)
    return (moved[1:] - moved[0]).T / surface.size, moved[0]


def unit(vectors: np.ndarray) -> np.ndarray:
    """The vectors (...,3) at length 1; 0 stays 0."""
    length = np.sqrt(np.einsum("...i,...i->...", vectors, vectors))
    return vectors / np.maximum(length, 1e-30)[..., None]


@dataclass(frozen=True)
class Placed:
    """A surface in a picture: p_camera = A p + b, seen by the camera K (3,3)."""

    surface: Surface
    A: np.ndarray
    b: np.ndarray
    K: np.ndarray

    def turn_normal(self) -> np.ndarray:
        """The (3,3) that takes normals of the mesh to the camera, not yet of length 1."""
        return np.linalg.inv(self.A).T * np.cbrt(abs(np.linalg.det(self.A)))


@dataclass(frozen=True)
class Hits:
    """What rays meet first: index of the item (N,) or -1, its face (N,), and z (N,) in the camera."""

    item: np.ndarray
    face: np.ndarray
    z: np.ndarray

    def take(self, index: np.ndarray) -> Hits:
        return Hits(self.item[index], self.face[index], self.z[index])


@dataclass(frozen=True)
class Samples:
    """Where one surface is to be shaded. faces int (N,); pixels float32 (N,2); step: pixels from sample to sample;
    lit int (N,), or one for all: bit k says that light k reaches the point."""

    faces: np.ndarray
    pixels: np.ndarray
    step: float
    lit: np.ndarray | int
