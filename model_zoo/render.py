"""Renders posed meshes on the CPU: embree casts the rays, numpy shades them. No OpenGL, no window.

Frame: OpenCV camera (x right, y down, z forward), metres; pixel centres at integer coordinates.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import trimesh
from embreex.mesh_construction import TriangleMesh
from embreex.rtcore_scene import EmbreeScene

from model_zoo.io.frames import between
from model_zoo.io.poses import Pose


class Posed(Protocol):
    """Anything that maps (N, 3) mesh points to camera points, such as model_zoo.io.poses.Pose."""

    def apply(self, points: np.ndarray) -> np.ndarray: ...


@dataclass(frozen=True)
class Shading:
    """How surfaces look. `light` points from the surface to the light, in the camera frame."""

    light: tuple[float, float, float] = (-0.45, -0.8, -0.55)
    ambient: float = 0.6
    background: tuple[int, int, int] = (255, 255, 255)
    grey: bool = False  # ignore materials: one neutral grey for every surface
    shadows: bool = False
    samples: int = 1  # samples x samples rays per pixel for the colour; geometry takes the centre


@dataclass(frozen=True)
class Rendering:
    """One view. `rgb` uint8 (H,W,3); `depth` float32 (H,W) metres along z, NaN outside; `mask` bool (H,W);
    `normals` float32 (H,W,3) unit, towards the camera, 0 outside; `instance` int32 (H,W), -1 outside."""

    rgb: np.ndarray
    depth: np.ndarray
    mask: np.ndarray
    normals: np.ndarray
    instance: np.ndarray

    def points(self, K: np.ndarray) -> np.ndarray:
        """The pointmap (H,W,3) of this view: float32 camera points, NaN outside."""
        return (pixel_rays(K, self.depth.shape[::-1]) * self.depth[..., None]).astype(np.float32)


def intrinsics(fov_degrees: float, size: tuple[int, int]) -> np.ndarray:
    """K (3,3) of a pinhole whose longer side spans `fov_degrees`, centred on a (W, H) picture."""
    width, height = size
    focal = 0.5 * max(size) / np.tan(np.radians(fov_degrees) / 2)
    return np.array([[focal, 0, (width - 1) / 2], [0, focal, (height - 1) / 2], [0, 0, 1]])


def pixel_rays(K: np.ndarray, size: tuple[int, int], shift: tuple[float, float] = (0.0, 0.0)) -> np.ndarray:
    """Directions (H,W,3) with z = 1 through every pixel centre, moved by `shift` pixels."""
    u, v = np.meshgrid(np.arange(size[0]) + shift[0], np.arange(size[1]) + shift[1])
    return np.stack([(u - K[0, 2]) / K[0, 0], (v - K[1, 2]) / K[1, 1], np.ones_like(u)], -1)


def render(
    mesh: trimesh.Trimesh, pose: Posed, K: np.ndarray, size: tuple[int, int], shading: Shading = Shading()
) -> Rendering:
    """Renders one mesh at its pose into a (W, H) picture of the camera K (3,3)."""
    return render_scene([(mesh, pose)], K, size, shading)


def render_scene(
    items: list[tuple[trimesh.Trimesh, Posed]],
    K: np.ndarray,
    size: tuple[int, int],
    shading: Shading = Shading(),
) -> Rendering:
    """Renders several posed meshes into one picture; `instance` is the index of the mesh seen."""
    surfaces = [_Surface(mesh, pose, shading.grey) for mesh, pose in items]
    scene = EmbreeScene(robust=True)
    for surface in surfaces:
        TriangleMesh(scene, surface.vertices.astype(np.float32), surface.faces.astype(np.int32))
    return _picture(scene, surfaces, K, size, shading, None)


def views(
    mesh: trimesh.Trimesh,
    angles: Sequence[tuple[float, float]],
    size: tuple[int, int],
    shading: Shading = Shading(),
) -> list[Rendering]:
    """Renders a mesh filling the picture from many (yaw, elevation) in degrees; builds its ray tree once."""
    surface = _Surface(mesh, _Still(), shading.grey)
    scene = EmbreeScene(robust=True)
    TriangleMesh(scene, surface.vertices.astype(np.float32), surface.faces.astype(np.int32))
    K = intrinsics(30, size)
    return [_picture(scene, [surface], K, size, shading, Framing(mesh, *angle)) for angle in angles]


def view(
    mesh: trimesh.Trimesh, size: tuple[int, int], yaw: float, elevation: float, shading: Shading = Shading()
) -> Rendering:
    """Renders a mesh filling the picture, seen from `yaw` and `elevation` (degrees)."""
    return views(mesh, [(yaw, elevation)], size, shading)[0]


class RayTree:
    """A mesh ready to be seen from many poses: the quick way to its depth, without colours."""

    def __init__(self, mesh: trimesh.Trimesh) -> None:
        self.vertices = np.asarray(mesh.vertices, float)
        self.bounds = np.asarray(mesh.bounds)
        self._scene = EmbreeScene(robust=True)
        TriangleMesh(self._scene, self.vertices.astype(np.float32), np.asarray(mesh.faces, np.int32))

    def depth(self, pose: Pose, K: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        """Depth float32 (H,W) along z of the posed mesh in a (W, H) picture, NaN where it is not seen."""
        return self.hits(pose, K, size)[0]

    def hits(self, pose: Pose, K: np.ndarray, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
        """The same depth (H,W) and the index (H,W) of the face seen, -1 where there is none."""
        # The rays go into the mesh's frame instead of the mesh into the camera's; a ray's parameter stays z.
        rays = (pixel_rays(K, size).reshape(-1, 3) @ pose.R / pose.s).astype(np.float32)
        start = (-pose.t @ pose.R / pose.s).astype(np.float32)
        out = self._scene.run(np.broadcast_to(start, rays.shape).copy(), rays, query="INTERSECT", output=1)
        found = out["geomID"] >= 0
        depth, face = np.where(found, out["tfar"], np.float32(np.nan)), np.where(found, out["primID"], -1)
        return depth.reshape(size[1], size[0]), face.reshape(size[1], size[0])

    def seen_from(self, origin: np.ndarray, points: np.ndarray) -> np.ndarray:
        """Whether nothing of the mesh lies between `origin` (3,) and points (N,3), which lie clear of its surface."""
        rays = (origin - points).astype(np.float32)
        hit = self._scene.run(points.astype(np.float32), rays, query="INTERSECT", output=1)
        return (hit["geomID"] < 0) | (hit["tfar"] > 1)


class _Still:
    """The pose that leaves everything where it is."""

    def apply(self, points: np.ndarray) -> np.ndarray:
        return points


class Framing:
    """The camera that centres a y-up mesh, turned by yaw and seen from an elevation, as a pose of the mesh."""

    def __init__(self, mesh: trimesh.Trimesh, yaw: float, elevation: float) -> None:
        centre = np.asarray(mesh.bounds).mean(0)
        self.rotation = view_rotation(yaw, elevation)
        self.scale = 1 / max(float(np.linalg.norm(mesh.vertices - centre, axis=1).max()), 1e-9)
        away = np.array([0, 0, 1.05 / np.sin(np.radians(15))])
        self.translation = away - self.scale * self.rotation @ centre

    def apply(self, points: np.ndarray) -> np.ndarray:
        """Camera points (N,3) of mesh points (N,3)."""
        return self.scale * points @ self.rotation.T + self.translation

    def origin(self) -> np.ndarray:
        """The camera centre (3,) in the mesh's frame."""
        return -self.translation @ self.rotation / self.scale

    def directions(self, rays: np.ndarray) -> np.ndarray:
        """Camera rays (N,3) in the mesh's frame; a ray's parameter stays the depth in the camera."""
        return rays @ self.rotation / self.scale


def view_rotation(yaw: float, elevation: float) -> np.ndarray:
    """R (3,3) from a y-up mesh to an OpenCV camera that looks down at it from `elevation` degrees.

    At yaw 0 the mesh's +z side faces the camera; positive yaw turns the mesh about its y axis.
    """
    a, e = np.radians(yaw), np.radians(elevation)
    turn = np.array([[np.cos(a), 0, np.sin(a)], [0, 1, 0], [-np.sin(a), 0, np.cos(a)]])
    flip = between("opengl", "opencv")  # the mesh's +z side is the one that an OpenGL camera sees
    tilt = np.array([[1, 0, 0], [0, np.cos(e), -np.sin(e)], [0, np.sin(e), np.cos(e)]])
    return tilt @ flip @ turn


def _picture(
    scene: EmbreeScene,
    surfaces: list[_Surface],
    K: np.ndarray,
    size: tuple[int, int],
    shading: Shading,
    camera: Framing | None,
) -> Rendering:
    """One picture of a ray tree that lies in the camera's frame, or in a mesh's frame seen by `camera`."""

    def cast(shift: tuple[float, float]) -> _Hits:
        return _Hits(scene, surfaces, pixel_rays(K, size, shift).reshape(-1, 3), camera)

    hits = cast((0.0, 0.0))
    grid = (np.arange(shading.samples) + 0.5) / shading.samples - 0.5
    colours = np.zeros((size[0] * size[1], 3))
    for shift in [(x, y) for x in grid for y in grid]:
        colours += (hits if shading.samples == 1 else cast(shift)).shaded(shading)
    shape = (size[1], size[0])
    normals = hits.face_normals if camera is None else hits.face_normals @ camera.rotation.T
    depth = np.where(hits.found, hits.distance, np.nan)
    return Rendering(
        rgb=np.clip(colours / len(grid) ** 2 + 0.5, 0, 255).astype(np.uint8).reshape(*shape, 3),
        depth=depth.astype(np.float32).reshape(shape),
        mask=hits.found.reshape(shape),
        normals=normals.astype(np.float32).reshape(*shape, 3),
        instance=hits.geometry.reshape(shape),
    )


class _Surface:
    """One posed mesh as arrays: camera vertices, faces, normals, and colour lookup."""

    def __init__(self, mesh: trimesh.Trimesh, pose: Posed, grey: bool) -> None:
        self.vertices = np.asarray(pose.apply(np.asarray(mesh.vertices, float)))
        self.faces = np.asarray(mesh.faces)
        corners = self.vertices[self.faces]
        cross = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        self.face_normals = _unit(cross)
        self.vertex_normals = _summed_over_places(self.vertices, self.faces, cross)
        self.colour = _neutral_grey if grey else face_colour_lookup(mesh)

    def smooth_normals(self, faces: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """Interpolated normals (N,3), but the face's own where a corner bends by more than about 45 degrees."""
        own = self.face_normals[faces][:, None]
        corner = self.vertex_normals[self.faces[faces]]
        corner = _unit(corner)
        gentle = np.einsum("ijk,ilk->ij", corner, own)[..., None] > 0.7
        return _unit(np.einsum("ijk,ij->ik", np.where(gentle, corner, own), weights))


def _unit(vectors: np.ndarray) -> np.ndarray:
    """The vectors (...,3) at length 1; einsum, because norms over a short axis are slow."""
    length = np.sqrt(np.einsum("...i,...i->...", vectors, vectors))
    return vectors / np.maximum(length, 1e-20)[..., None]


def _summed_over_places(vertices: np.ndarray, faces: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Sums face values (F,3) at their corners (V,3), vertices at the same place counting as one."""
    _, place = np.unique(np.round(vertices, 6), axis=0, return_inverse=True)
    place = place.ravel()
    corners = place[faces].ravel()
    sums = [np.bincount(corners, np.repeat(column, 3), minlength=len(vertices)) for column in values.T]
    return np.stack(sums, 1)[place]


class _Hits:
    """What a bundle of camera rays meets first; everything is in the frame of the ray tree."""

    def __init__(
        self, scene: EmbreeScene, surfaces: list[_Surface], rays: np.ndarray, camera: Framing | None
    ) -> None:
        self.scene, self.surfaces, self.camera = scene, surfaces, camera
        origin = np.zeros(3) if camera is None else camera.origin()
        self.rays = rays if camera is None else camera.directions(rays)
        directions = self.rays.astype(np.float32)
        starts = np.broadcast_to(origin, directions.shape).astype(np.float32)
        out = scene.run(starts, directions, query="INTERSECT", output=1)
        self.geometry, self.faces = out["geomID"], out["primID"]
        self.found = self.geometry >= 0
        self.weights = np.stack([1 - out["u"] - out["v"], out["u"], out["v"]], 1)
        self.distance = out["tfar"].astype(float)
        self.points = origin + self.rays * np.where(self.found, self.distance, 0)[:, None]
        self.face_normals = self._towards_camera(lambda s, i: s.face_normals[self.faces[i]])

    def _towards_camera(self, normals_of: Callable[[_Surface, np.ndarray], np.ndarray]) -> np.ndarray:
        normals = np.zeros_like(self.points)
        for k, surface in enumerate(self.surfaces):
            index = np.flatnonzero(self.geometry == k)
            normals[index] = normals_of(surface, index)
        away = np.einsum("ij,ij->i", normals, self.rays) > 0
        return np.where(away[:, None], -normals, normals)

    def shaded(self, shading: Shading) -> np.ndarray:
        """Colours (N,3) in 0..255: two-sided Lambert with a soft sky term."""
        normals = self._towards_camera(lambda s, i: s.smooth_normals(self.faces[i], self.weights[i]))
        light = np.asarray(shading.light, float)
        light = light / np.linalg.norm(light)
        up = np.array([0.0, -1.0, 0.0])
        if self.camera is not None:
            light, up = light @ self.camera.rotation, up @ self.camera.rotation
        direct = np.clip(normals @ light, 0, 1)
        if shading.shadows:
            direct = direct * self._lit(light)
        sky = 0.75 + 0.25 * (normals @ up)
        strength = shading.ambient * sky + (1.08 - shading.ambient) * direct
        colours = np.tile(np.asarray(shading.background, float), (len(normals), 1))
        for k, surface in enumerate(self.surfaces):
            index = np.flatnonzero(self.geometry == k)
            colours[index] = surface.colour(self.faces[index], self.weights[index]) * strength[index, None]
        return np.clip(colours, 0, 255)

    def _lit(self, light: np.ndarray) -> np.ndarray:
        # Lift the start off the surface, relative to its distance, or every point shadows itself.
        index = np.flatnonzero(self.found)
        start = self.points[index] + self.face_normals[index] * (
            1e-3 * np.linalg.norm(self.rays[index] * self.distance[index, None], axis=1)[:, None]
        )
        directions = np.tile(light.astype(np.float32), (len(index), 1))
        lit = np.ones(len(self.points))
        if len(index):
            blocked = self.scene.run(start.astype(np.float32), directions, query="OCCLUDED")
            lit[index] = blocked < 0
        return lit


ColourLookup = Callable[[np.ndarray, np.ndarray], np.ndarray]


def face_colour_lookup(mesh: trimesh.Trimesh) -> ColourLookup:
    """A function (faces (N,), barycentric weights (N,3)) -> sRGB colours (N,3) in 0..255 of any trimesh visual."""
    visual = mesh.visual
    if visual.kind == "texture" and visual.uv is not None:
        image, factor = base_colour(visual.material)
        if image is not None:
            uv = np.asarray(visual.uv)[mesh.faces]
            return lambda f, w: _bilinear(image, (uv[f] * w[:, :, None]).sum(1)) * factor
        return lambda f, w: np.tile(factor * 255.0, (len(f), 1))
    if visual.kind == "face":
        faces = np.asarray(visual.face_colors)[:, :3].astype(float)
        return lambda f, w: faces[f]
    if visual.kind == "vertex":
        corners = np.asarray(visual.vertex_colors)[:, :3].astype(float)[mesh.faces]
        return lambda f, w: (corners[f] * w[:, :, None]).sum(1)
    return _neutral_grey


def _neutral_grey(faces: np.ndarray, weights: np.ndarray) -> np.ndarray:
    return np.full((len(faces), 3), 190.0)


def base_colour(material: object) -> tuple[np.ndarray | None, np.ndarray]:
    """Base colour picture (H,W,3 uint8 or None) and factor (3,) in 0..1 of a trimesh material."""
    image = getattr(material, "baseColorTexture", None) or getattr(material, "image", None)
    factor = getattr(material, "baseColorFactor", None)
    if factor is None and image is None:
        factor = getattr(material, "main_color", None)
    factor = np.ones(3) if factor is None else np.asarray(factor, float)[:3]
    if factor.max() > 1:
        factor = factor / 255.0
    return (None if image is None else np.asarray(image.convert("RGB"))), factor


def _bilinear(image: np.ndarray, uv: np.ndarray) -> np.ndarray:
    """Samples image (H,W,3) at repeating uv (N,2), v upwards as trimesh keeps it."""
    height, width = image.shape[:2]
    x, y = uv[:, 0] * width - 0.5, (1 - uv[:, 1]) * height - 0.5
    x0, y0 = np.floor(x).astype(int), np.floor(y).astype(int)
    fx, fy = (x - x0)[:, None], (y - y0)[:, None]
    at = lambda dx, dy: image[(y0 + dy) % height, (x0 + dx) % width].astype(float)  # noqa: E731
    top = at(0, 0) * (1 - fx) + at(1, 0) * fx
    return top * (1 - fy) + (at(0, 1) * (1 - fx) + at(1, 1) * fx) * fy
