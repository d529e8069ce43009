"""What the rasteriser's backends share: lights, pictures, cameras, and a mesh laid out for drawing.

Frame: OpenCV camera (x right, y down, z forward); pixel centres at integer coordinates. Light is linear inside,
pictures are sRGB.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import trimesh

from model_zoo.io.textures import linear_from_srgb, srgb_from_linear

SAMPLES = 3  # SAMPLES x SAMPLES coverage samples a pixel; odd, so that the middle one is the pixel's centre
LIGHTS = 4  # directional lights at most
TAPS = 4  # texture look-ups along the longer side of a pixel's footprint, at most
CREASE = 0.7  # cosine: a corner bent further than this keeps the face's own normal, as in model_zoo.render
GREY = 190  # sRGB of a mesh that has no colour


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
    """Linear RGB. `ambient` is the same from everywhere; `sky` comes from above: times (0.5 - 0.5 * normal_y)."""

    lights: tuple[Light, ...] = ()
    ambient: tuple[float, float, float] = (1.0, 1.0, 1.0)
    sky: tuple[float, float, float] = (0.0, 0.0, 0.0)


AMBIENT = Lighting()


@dataclass(frozen=True)
class Picture:
    """One view (H, W). `rgb` uint8 (H,W,3) lit, sRGB, not premultiplied; `base` uint8 (H,W,3) the base colours alone;
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
    """A mesh ready to be drawn: centred float32 positions, and for every face a record of what shading needs.

    records float32 (F, 27): corner positions (3,3), corner normals (3,3), corner looks (3,3), in the mesh's frame
    moved to `centre`. A look is (u, v downwards, 0) when there is a `texture`, else the linear base colour.
    """

    def __init__(self, mesh: trimesh.Trimesh) -> None:
        vertices = np.asarray(mesh.vertices, float)
        self.bounds = np.stack([vertices.min(0), vertices.max(0)]) if len(vertices) else np.zeros((2, 3))
        self.centre = self.bounds.mean(0)
        self.vertices = (vertices - self.centre).astype(np.float32)
        self.faces = np.ascontiguousarray(mesh.faces, np.int32)
        looks, self.texture, self.factor = _looks(mesh)
        self.records = np.concatenate(
            [
                part.reshape(len(self.faces), 9)
                for part in (self.vertices[self.faces], self._normals(), looks)
            ],
            1,
        ).astype(np.float32)
        material = getattr(mesh.visual, "material", None)
        # Rough metal keeps its diffuse light: metallic 1, roughness 1 is what a glTF says that says nothing.
        self.metallic = _number(material, "metallicFactor", 0.0)
        self.roughness = _number(material, "roughnessFactor", 0.9)

    def _normals(self) -> np.ndarray:
        """(F,3,3) normals at the corners: smooth, but the face's own where the corner bends too far."""
        corners = self.vertices[self.faces].astype(float)
        cross = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        own = unit(cross)[:, None]
        # Vertices at the same place count as one: 20 bits an axis, packed, because unique rows are slow.
        side = max(float(np.ptp(self.bounds, axis=0).max()), 1e-30)
        steps = np.rint((self.vertices / side + 0.5) * (1 << 20)).astype(np.int64)
        _, place = np.unique((steps[:, 0] << 42) | (steps[:, 1] << 21) | steps[:, 2], return_inverse=True)
        at = place[self.faces].ravel()
        sums = [np.bincount(at, np.repeat(column, 3), minlength=1) for column in cross.T]
        smooth = unit(np.stack(sums, 1))[place[self.faces]]
        gentle = np.einsum("fci,fci->fc", smooth, np.broadcast_to(own, smooth.shape)) > CREASE
        return np.where(gentle[..., None], smooth, own)


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
        return linear_from_srgb(np.asarray(visual.vertex_colors)[:, :3] / 255.0)[faces], None, plain
    if visual.kind == "face":
        colours = linear_from_srgb(np.asarray(visual.face_colors)[:, :3] / 255.0)
        return np.repeat(colours[:, None], 3, 1), None, plain
    return np.broadcast_to(linear_from_srgb(np.full(3, GREY / 255.0)), (len(faces), 3, 3)), None, plain


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


def mipmaps(texture: np.ndarray) -> list[np.ndarray]:
    """The texture uint8 sRGB (H,W,3) and its halvings down to one pixel, averaged in linear light.

    Made here and not by the driver, so that they are the same everywhere.
    """
    levels = [np.ascontiguousarray(texture)]
    linear = TO_LINEAR[texture]
    while max(linear.shape[:2]) > 1:
        height, width = (max(n // 2, 1) for n in linear.shape[:2])
        rows = linear[: 2 * height].reshape(height, -1, *linear.shape[1:]).mean(1, dtype=np.float32)
        linear = rows[:, : 2 * width].reshape(height, width, -1, 3).mean(2, dtype=np.float32)
        levels.append(FROM_LINEAR[np.rint(linear * (len(FROM_LINEAR) - 1)).astype(np.uint16)])
    return levels


TO_LINEAR = linear_from_srgb(np.arange(256) / 255).astype(np.float32)
FROM_LINEAR = np.rint(255 * srgb_from_linear(np.arange(1 << 16) / 65535)).astype(np.uint8)


def affine(surface: Surface, pose: Posed) -> tuple[np.ndarray, np.ndarray]:
    """A (3,3) and b (3,) with p_camera = A p + b for the surface's centred points."""
    side = max(float(np.ptp(surface.bounds, axis=0).max()), 1e-30)
    probes = np.asarray(pose.apply(surface.centre + side * np.vstack([np.zeros(3), np.eye(3)])), float)
    return (probes[1:] - probes[0]).T / side, probes[0]


def unit(vectors: np.ndarray) -> np.ndarray:
    """The vectors (...,3) at length 1; 0 stays 0."""
    length = np.sqrt(np.einsum("...i,...i->...", vectors, vectors))
    return vectors / np.maximum(length, 1e-30)[..., None]


@dataclass(frozen=True)
class Window:
    """The part of a picture in which something can be seen: pixels [left, right) x [top, bottom), depths near to far."""

    left: int
    top: int
    right: int
    bottom: int
    near: float
    far: float


def window(
    surfaces: list[Surface], places: list[tuple[np.ndarray, np.ndarray]], K: np.ndarray, size: tuple[int, int]
) -> Window | None:
    """Where the boxes of the surfaces lie in the (W, H) picture; None when all of them lie outside."""
    corners = [np.zeros((1, 3))] if not surfaces else []
    for surface, (A, b) in zip(surfaces, places, strict=True):
        low, high = surface.bounds - surface.centre
        choices = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)])
        corners.append(np.where(choices, high, low) @ A.T + b)
    points = np.concatenate(corners)
    far = float(points[:, 2].max())
    if not far > 0:
        return None
    near = max(float(points[:, 2].min()), far * 1e-3)
    left, top, right, bottom = 0.0, 0.0, float(size[0]), float(size[1])
    if points[:, 2].min() >= near:
        u = (points @ K[0]) / points[:, 2]
        v = (points @ K[1]) / points[:, 2]
        left, right = max(left, np.floor(u.min()) - 1), min(right, np.ceil(u.max()) + 2)
        top, bottom = max(top, np.floor(v.min()) - 1), min(bottom, np.ceil(v.max()) + 2)
    if left >= right or top >= bottom:
        return None
    return Window(int(left), int(top), int(right), int(bottom), near * 0.999, far * 1.001)


def edge_bend(seen: Window, K: np.ndarray) -> float:
    """Second difference of 1/z over a third of a pixel beyond which a pixel shows an edge and not one smooth piece.

    A plane has none. A plane that turns by a slope of 0.3 at the middle depth has this much.
    """
    return 0.3 / (K[0, 0] * SAMPLES * (seen.near + seen.far) / 2)
