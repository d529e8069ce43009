"""The mesh report on 200,000 triangles: reading, every check with its pictures, placing, viewer copy, thumbnail.

One core, no database: what a worker computes for one submission. Limits: 20 s of processor time, 1.5 GB.
Run as: python -m tests.bench.bench_report
"""

import os
import resource
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import trimesh
from PIL import Image
from trimesh.visual.material import PBRMaterial
from trimesh.visual.texture import TextureVisuals

from model_zoo.finish.thumbnail import thumbnail
from model_zoo.finish.viewer import viewer_copy
from model_zoo.io.glb_writer import export_glb
from model_zoo.io.images import encode_png
from model_zoo.io.meshes import load_mesh
from model_zoo.report.photo import Scene
from model_zoo.report.repairs import repair
from model_zoo.report.report import examine
from tests.processes import PROJECT

TRIANGLES, LIMIT_SECONDS, LIMIT_MB = 200_000, 20.0, 1500
GLTFPACK = PROJECT / "node_modules" / ".bin" / "gltfpack"


def lumpy() -> trimesh.Trimesh:
    """A textured body of 200,000 triangles with holes, crossings, specks and faces that look inwards."""
    rows = cols = round((TRIANGLES / 2) ** 0.5)
    v, u = np.meshgrid(np.linspace(0, 1, rows + 1), np.linspace(0, 1, cols + 1), indexing="ij")
    along, around = np.pi * v, 2 * np.pi * u
    radius = (
        0.4 + 0.05 * np.sin(5 * around) * np.sin(4 * along) ** 2 + 0.01 * np.sin(40 * around) * np.sin(along)
    )
    body = np.stack(
        [
            radius * np.sin(along) * np.cos(around),
            -radius * np.cos(along),
            radius * np.sin(along) * np.sin(around),
        ],
        -1,
    )
    index = np.arange((rows + 1) * (cols + 1)).reshape(rows + 1, cols + 1)
    a, b, c, d = index[:-1, :-1], index[:-1, 1:], index[1:, 1:], index[1:, :-1]
    faces = np.concatenate([np.stack([a, c, b], -1).reshape(-1, 3), np.stack([a, d, c], -1).reshape(-1, 3)])
    vertices = body.reshape(-1, 3)
    vertices[index[rows // 2, : cols // 8].ravel()] *= 0.5  # a fold that goes through its surroundings
    faces = np.delete(faces, np.arange(30_000, 30_040), axis=0)
    faces[50_000:55_000] = faces[50_000:55_000, ::-1]
    picture = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    material = PBRMaterial(baseColorTexture=Image.fromarray(picture).resize((4096, 4096)))
    uv = np.stack([u, v], -1).reshape(-1, 2)
    return trimesh.Trimesh(vertices, faces, visual=TextureVisuals(uv=uv, material=material), process=False)


def scene() -> Scene:
    """A photo of 768 x 576 with a round mask two metres away."""
    height, width, focal = 576, 768, 700.0
    y, x = np.mgrid[:height, :width].astype(float)
    mask = (x - 400) ** 2 + ((y - 280) / 1.05) ** 2 < 150**2
    depth = np.where(mask, 2.0, 2.5)
    points = np.stack([(x - 384) / focal, (y - 288) / focal, np.ones_like(x)], -1) * depth[..., None]
    rgb = np.random.default_rng(1).integers(0, 255, (height, width, 3), np.uint8)
    return Scene(rgb, mask, points)


def spent() -> float:
    """Processor seconds of this process and its children."""
    return sum(
        time.process_time() if who == resource.RUSAGE_SELF else sum(resource.getrusage(who)[:2])
        for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )


def main() -> int:
    """Exit code 1 when a limit is missed."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    data, photo = export_glb(lumpy()), scene()
    rows: list[tuple[str, float, float]] = []

    def timed(name: str, work: Callable[[], Any]) -> Any:
        wall, cpu = time.perf_counter(), spent()
        made = work()
        rows.append((name, spent() - cpu, time.perf_counter() - wall))
        return made

    loaded = timed("read", lambda: load_mesh(data))
    report = timed("checks, pictures, placing", lambda: examine(loaded, photo))
    timed("viewer copy with gltfpack", lambda: viewer_copy(loaded.mesh, GLTFPACK))
    timed("thumbnail", lambda: encode_png(thumbnail(loaded.mesh)))
    timed("GLB", lambda: export_glb(loaded.mesh))
    total = (sum(row[1] for row in rows), sum(row[2] for row in rows))
    codes = [finding.fix for finding in report.findings if finding.fix]
    timed(f"repairs ({', '.join(codes)})", lambda: repair(loaded.mesh, codes))
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(
        f"{len(loaded.mesh.faces)} triangles, {len(data) >> 20} MB, {len(report.findings)} findings, one core"
    )
    print("| step | processor s | wall s | limit |\n|---|---|---|---|")
    for name, cpu, wall in rows[:-1]:
        print(f"| {name} | {cpu:.2f} | {wall:.2f} | |")
    print(f"| report in all | {total[0]:.2f} | {total[1]:.2f} | {LIMIT_SECONDS:.0f} |")
    print(f"| {rows[-1][0]} | {rows[-1][1]:.2f} | {rows[-1][2]:.2f} | |")
    print(f"| memory MB | {memory} | | {LIMIT_MB} |")
    for finding in report.findings:
        print(f"  {finding.level:7} {finding.check}: {finding.message} {finding.fix}")
    return 0 if total[0] <= LIMIT_SECONDS and memory <= LIMIT_MB else 1


if __name__ == "__main__":
    sys.exit(main())
