"""Rendering for the data sets on one core: seconds a view of RGB, base colours, depth, mask and normals at 512 px.

Ours with OpenGL, ours with embree and numpy, and model_zoo.render, on the same meshes in the same run, as processor time.
Depth and mask are checked against exact rays. Goal: 0.05 s for 50,000 textured triangles. Never fails on time.
"""

import os
import time
from collections.abc import Callable

os.environ.setdefault("LP_NUM_THREADS", "0")
os.environ.setdefault("OMP_NUM_THREADS", "1")  # the second thread of a matrix product waits by spinning

import numpy as np  # noqa: E402
import trimesh  # noqa: E402
from PIL import Image  # noqa: E402

from model_zoo.raster import Light, Lighting, Raster  # noqa: E402
from model_zoo.render import Framing, Shading, intrinsics, render_scene  # noqa: E402

SIDE, VIEWS = 512, 12
GOAL = 0.05
SUN = Lighting((Light((-0.5, -0.7, -0.5), (1.3, 1.2, 1.1)),), (0.2, 0.2, 0.22), (0.2, 0.22, 0.26))
PUBLISHED = (
    ("objaverse-rendering (Blender)", "2.8 s an image on a GPU"),
    ("TRELLIS toolkit (Cycles, 128 samples, 512 px)", "0.6 s an image on an A800"),
    ("BlenderProc", "1.2 s an image after tuning, its authors say; about 60 s before, its users say"),
    ("SyncDreamer", "12.1 s an object (16 views) on a V100"),
)


def bumpy(rings: int = 158) -> trimesh.Trimesh:
    """A ball with bumps, 50,000 triangles about, and a texture of 1024 px that has no large even part."""
    u, v = np.meshgrid(np.linspace(0, 1, rings + 1), np.linspace(0, 1, rings + 1))
    a, b = 2 * np.pi * u, np.pi * v
    r = 0.45 + 0.03 * np.sin(9 * a) * np.sin(7 * b) + 0.01 * np.sin(31 * a + 23 * b) * np.sin(b)
    points = np.stack([r * np.sin(b) * np.cos(a), r * np.cos(b), r * np.sin(b) * np.sin(a)], -1).reshape(
        -1, 3
    )
    at = (np.arange(rings)[:, None] * (rings + 1) + np.arange(rings)).ravel()
    faces = np.concatenate(
        [np.stack([at, at + 1, at + rings + 1], 1), np.stack([at + 1, at + rings + 2, at + rings + 1], 1)]
    )
    picture = np.random.default_rng(0).integers(0, 256, (256, 256, 3), dtype=np.uint8)
    material = trimesh.visual.material.PBRMaterial(
        baseColorTexture=Image.fromarray(picture).resize((1024, 1024)),
        metallicFactor=0.0,
        roughnessFactor=0.6,
    )
    visual = trimesh.visual.TextureVisuals(uv=np.stack([u, 1 - v], -1).reshape(-1, 2), material=material)
    return trimesh.Trimesh(points, faces, visual=visual, process=False)


def seconds(draw: Callable[[int], object], views: int) -> tuple[float, float]:
    """Processor seconds of the first view, and of a later one (median)."""
    taken = []
    for number in range(views + 1):
        begun = time.process_time()
        draw(number)
        taken.append(time.process_time() - begun)
    return taken[0], float(np.median(taken[1:]))


def main() -> None:
    """Prints the figures."""
    size, K = (SIDE, SIDE), intrinsics(30, (SIDE, SIDE))
    for name, mesh in (("bumpy ball", bumpy()), ("bumpy ball, four times as dense", bumpy(316))):
        poses = [Framing(mesh, 360 * k / VIEWS, 20) for k in range(VIEWS + 1)]
        texture = mesh.visual.material.baseColorTexture.size
        print(f"{name}: {len(mesh.faces):,} triangles, texture {texture[0]} px, {SIDE} px, one light")
        for label, backend, lighting in (
            ("ours, OpenGL", "auto", SUN),
            ("ours, OpenGL, with shadows", "auto", Lighting(SUN.lights, SUN.ambient, SUN.sky, shadows=True)),
            ("ours, embree and numpy", "embree", SUN),
        ):
            raster = Raster(backend=backend)
            label = (
                label
                if backend == raster.backend or raster.backend == "gl"
                else f"{label}: no EGL, so embree"
            )
            first, later = seconds(
                lambda k, r=raster, light=lighting, m=mesh, at=poses: r.draw([(m, at[k])], K, size, light),
                VIEWS,
            )
            goal = f"   goal {GOAL:.3f}" if label == "ours, OpenGL" else ""
            print(f"  {label:42} {later:.3f} s a view, the first {first:.3f}{goal}")
        for label, shading in (("one ray a pixel", Shading()), ("9 rays a pixel", Shading(samples=3))):
            _, later = seconds(
                lambda k, how=shading, m=mesh, at=poses: render_scene([(m, at[k])], K, size, how), 2
            )
            print(f"  {f'model_zoo.render, {label}':42} {later:.3f} s a view")
        seen, exact = Raster().draw([(mesh, poses[0])], K, size), render_scene([(mesh, poses[0])], K, size)
        both = seen.mask & exact.mask
        apart = np.percentile(abs(seen.depth - exact.depth)[both] / exact.depth[both], 99)
        iou = both.sum() / (seen.mask | exact.mask).sum()
        print(
            f"  against exact rays: depth {apart:.1e} (p99, relative; goal 1e-4), mask IoU {iou:.5f} (goal 0.999)"
        )
        print(f"  the mesh covers {seen.mask.mean():.0%} of the picture")
    print("published by others, on their machines, not measured here (spec/training.md 2d):")
    for name, figure in PUBLISHED:
        print(f"  {name:48} {figure}")


if __name__ == "__main__":
    main()
