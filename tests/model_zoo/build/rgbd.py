"""A photo with depth whose every surface is known: a tiled floor, a wall, a box on the floor, a post before the box."""

import hashlib
import io
from dataclasses import dataclass

import numpy as np
import trimesh
from PIL import Image

from model_zoo.build.kinds import PhotoItem
from model_zoo.io.depth import Camera, LoadedPointmap
from model_zoo.io.images import load_image
from model_zoo.io.poses import Pose
from model_zoo.io.scenes import Scene
from model_zoo.render import Shading, intrinsics, render_scene, view_rotation

SIZE = (192, 144)
K = intrinsics(50, SIZE)
WORLD = Pose(view_rotation(0, 28), np.array([0.0, 0.1, 1.2]), np.ones(3))  # y-up, the floor is y = 0
BOX = np.array([0.24, 0.3, 0.2])  # width, height, depth; it stands on the world's origin
EVEN = Shading(ambient=1.08)  # even light: colours are the surfaces' own
SURROUNDINGS = 0  # instance of floor and wall


@dataclass(frozen=True)
class Known:
    """rgb uint8, z float32 (H,W) and masks of the whole scene; and `empty` rgb and z without the box (the post stays)."""

    rgb: np.ndarray
    z: np.ndarray
    box: np.ndarray
    post: np.ndarray
    empty_rgb: np.ndarray
    empty_z: np.ndarray


def known(post: bool = True) -> Known:
    """The scene; the post hides the right third of the box."""
    around = (_surroundings(), WORLD)
    box = (_block(BOX, (0, BOX[1] / 2, 0), (200, 60, 40)), WORLD)
    pillar = [(_block((0.08, 0.4, 0.05), (0.12, 0.2, 0.25), (40, 90, 200)), WORLD)] if post else []
    full = render_scene([around, *pillar, box], K, SIZE, EVEN)
    empty = render_scene([around, *pillar], K, SIZE, EVEN)
    return Known(
        full.rgb,
        full.depth,
        full.instance == 1 + len(pillar),
        (full.instance == 1) & bool(pillar),
        empty.rgb,
        empty.depth,
    )


def _surroundings() -> trimesh.Trimesh:
    steps = np.arange(-40, 41) * 0.05
    x, z = np.meshgrid(steps, steps, indexing="ij")
    tiles = np.stack([x, 0 * x, z], -1).reshape(-1, 3)
    across, along = np.divmod(np.arange(6400), 80)
    a = across * 81 + along
    wall = np.array([[-4, -0.5, -1.0], [4, -0.5, -1.0], [4, 3, -1.0], [-4, 3, -1.0]])
    faces = [np.c_[a, a + 1, a + 82], np.c_[a, a + 82, a + 81], len(tiles) + np.array([[0, 1, 2], [0, 2, 3]])]
    mesh = trimesh.Trimesh(np.vstack([tiles, wall]), np.vstack(faces), process=False)
    grey = np.where((across // 2 + along // 2) % 2, 100, 160)
    mesh.visual.face_colors = np.r_[grey, grey, 120, 120].astype(np.uint8)[:, None] * np.array(
        [1, 1, 1, 0], np.uint8
    )
    return mesh


def _block(
    size: tuple[float, ...] | np.ndarray, middle: tuple[float, ...], colour: tuple[int, ...]
) -> trimesh.Trimesh:
    mesh = trimesh.creation.box(np.asarray(size))
    mesh.apply_translation(middle)
    mesh.visual.face_colors = np.tile([*colour, 255], (len(mesh.faces), 1)).astype(np.uint8)
    return mesh


def points_of(z: np.ndarray, camera: np.ndarray = K) -> np.ndarray:
    """The pointmap (H,W,3) of a depth."""
    v, u = np.mgrid[: z.shape[0], : z.shape[1]]
    return (np.stack([u, v, np.ones_like(u)], -1) @ np.linalg.inv(camera).T * z[..., None]).astype(np.float32)


def scene_of(seen: Known, name: str = "known", **masks: np.ndarray) -> tuple[PhotoItem, Scene]:
    """The scene as the scanner would give it, with the box's mask unless others are given."""
    out = io.BytesIO()
    Image.fromarray(seen.rgb).save(out, "PNG")
    data = out.getvalue()
    camera = Camera(K[0, 0], K[1, 1], K[0, 2], K[1, 2], *SIZE)
    pointmap = LoadedPointmap(points_of(seen.z))
    scene = Scene(name, data, load_image(data), masks or {"box": seen.box}, {}, pointmap, "sensor", camera)
    return PhotoItem(name, hashlib.sha256(data).hexdigest()), scene
