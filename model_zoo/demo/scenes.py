"""Composed scenes: one to three library meshes on a lit ground, with exact depth, masks, camera and known poses."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import trimesh

from model_zoo.io.depth import Camera
from model_zoo.io.poses import Pose
from model_zoo.library import families, make
from model_zoo.library.kit import loft, rgb_of, tint
from model_zoo.render import Shading, intrinsics, render_scene, view_rotation

SIZE = (560, 420)
DEPTH_UNIT = 0.0001  # metres per unit of the 16-bit depth picture
LYING = {"hammer", "mallet", "screwdriver", "wrench", "saw", "guitar", "spoon"}
LEAST_PIXELS, LEAST_VISIBLE = 4000, 0.45
GROUNDS = ("b08968", "9aa5ab", "d6ccc2", "7f8c6d", "8a817c", "c9ada7")


@dataclass(frozen=True)
class Placed:
    """A mesh of the scene with its true pose; `name` is unique in the scene."""

    name: str
    category: str
    mesh: trimesh.Trimesh
    pose: Pose


@dataclass(frozen=True)
class ComposedScene:
    """One scene: `rgb` uint8 and `points` float32 (H,W,3) in the OpenCV camera, metres; `masks` name -> bool (H,W)."""

    name: str
    rgb: np.ndarray
    points: np.ndarray
    camera: Camera
    masks: dict[str, np.ndarray]
    objects: list[Placed]


def scenes(count: int = 10, seed: int = 0) -> Iterator[ComposedScene]:
    """`count` scenes, one by one; a seed always gives the same ones. Objects are scaled to 0.2 to 0.36 m."""
    for number in range(1, count + 1):
        yield _scene(f"scene_{number:02d}", np.random.default_rng([seed, number]))


def _scene(name: str, rng: np.random.Generator) -> ComposedScene:
    while True:
        K = intrinsics(rng.uniform(38, 52), SIZE)
        elevation, distance = rng.uniform(14, 36), rng.uniform(0.85, 1.1)
        tilt, target = view_rotation(0, elevation), np.array([0, 0.1, distance])
        objects = _arrange(rng, 1 + int(rng.integers(3)), tilt, target)
        if not _all_visible(objects, K):
            continue
        shading = Shading(light=_light(rng, tilt), ambient=rng.uniform(0.5, 0.65), shadows=True, samples=2)
        world = Pose(R=tilt, t=_offset(tilt, target), s=np.ones(3))
        items = [(o.mesh, o.pose) for o in objects] + [(_stage(rng), world)]
        view = render_scene(items, K, SIZE, shading)
        camera = Camera(K[0, 0], K[1, 1], K[0, 2], K[1, 2], *SIZE, depth_scale=DEPTH_UNIT)
        masks = {o.name: view.instance == i for i, o in enumerate(objects)}
        return ComposedScene(name, view.rgb, view.points(K), camera, masks, objects)


def _arrange(rng: np.random.Generator, count: int, tilt: np.ndarray, target: np.ndarray) -> list[Placed]:
    """Places meshes side by side on the ground y = 0, each turned at random."""
    placed: list[Placed] = []
    slots = rng.permutation(np.linspace(-0.17, 0.17, count) * (count - 1) if count > 1 else np.zeros(1))
    for x in slots:
        category = str(rng.choice(list(families())))
        mesh = make(category, int(rng.integers(1000, 2000)))
        upright = trimesh.transformations.rotation_matrix(rng.uniform(0, 2 * np.pi), [0, 1, 0])[:3, :3]
        if category in LYING:
            upright = upright @ trimesh.transformations.rotation_matrix(-np.pi / 2, [1, 0, 0])[:3, :3]
        turned = mesh.vertices @ upright.T
        scale = rng.uniform(0.2, 0.36) / np.ptp(turned, axis=0).max()
        spot = np.array([x, -turned[:, 1].min() * scale, rng.uniform(-0.14, 0.14)])
        name = category.replace("-", "_")
        name = name if name not in {p.name for p in placed} else f"{name}_{len(placed) + 1}"
        pose = Pose(R=tilt @ upright, t=tilt @ spot + _offset(tilt, target), s=np.full(3, scale))
        placed.append(Placed(name, category, mesh, pose))
    return placed


def _offset(tilt: np.ndarray, target: np.ndarray) -> np.ndarray:
    """t that brings the world point (0, target_y, 0) to the optical axis at the target's distance."""
    return np.array([0, 0, target[2]]) - tilt @ np.array([0, target[1], 0])


def _light(rng: np.random.Generator, tilt: np.ndarray) -> tuple[float, float, float]:
    around, up = rng.uniform(0, 2 * np.pi), rng.uniform(0.9, 1.6)
    x, y, z = tilt @ np.array([np.cos(around), up, abs(np.sin(around))])
    return (x, y, z)


def _stage(rng: np.random.Generator) -> trimesh.Trimesh:
    """A patterned ground that bends up into a wall, so that every pixel has a depth."""
    base = rgb_of(tint(rng, *GROUNDS))
    wave, phase = rng.normal(0, rng.uniform(6, 30), (3, 6)), rng.uniform(0, 6.28, 6)
    bend = np.linspace(0, np.pi / 2, 10)
    profile = [(1.2, 0.0)] + [(-0.7 - 0.4 * np.sin(a), 0.4 * (1 - np.cos(a))) for a in bend] + [(-1.1, 2.2)]
    z, y = np.array(profile).T
    steps = np.r_[0, np.cumsum(np.hypot(np.diff(z), np.diff(y)))]
    fine = np.linspace(0, steps[-1], 90)
    z, y = np.interp(fine, steps, z), np.interp(fine, steps, y)
    columns = np.linspace(-2.0, 2.0, 100)
    top = np.stack(
        [np.column_stack([columns, np.full(100, b), np.full(100, a)]) for a, b in zip(z, y, strict=True)]
    )
    under = top[:, ::-1] + [0, -0.02, -0.02]

    def grain(centres: np.ndarray) -> np.ndarray:
        return base * (1 + 0.05 * np.sin(centres @ wave + phase).sum(1, keepdims=True) / 2.4)

    return loft(np.concatenate([top, under], axis=1), grain)


def _all_visible(objects: list[Placed], K: np.ndarray) -> bool:
    """Whether each object lies inside the picture, large enough and not too hidden; judged at a quarter of the size."""
    small, size = np.vstack([K[:2] / 4, K[2:]]), (SIZE[0] // 4, SIZE[1] // 4)
    instance = render_scene([(o.mesh, o.pose) for o in objects], small, size).instance
    for i, placed in enumerate(objects):
        seen = instance == i
        alone = render_scene([(placed.mesh, placed.pose)], small, size).mask
        at_border = seen[[0, -1]].any() or seen[:, [0, -1]].any()
        if at_border or seen.sum() < max(LEAST_PIXELS / 16, LEAST_VISIBLE * alone.sum()):
            return False
    return True
