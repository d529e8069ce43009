"""Mesh extraction at full size on the CPU: the surface of 26,000 x 64 cubes, tidied, unwrapped, textured, written.

The features are of an analytic body, not of a network: the steps cost the same. Limits: processor seconds of all steps
together and peak memory of the worst. Run as: python -m tests.bench.bench_model_extract [GLB]
"""

import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from model_zoo.extract import tables
from model_zoo.extract.bake import Picture, textured
from model_zoo.extract.export import surface_mesh, tidied
from model_zoo.extract.flexicubes import CHANNELS, COLOUR, SDF, extract_surface
from model_zoo.extract.splat_colours import DC, colours_at
from model_zoo.extract.unwrap import texels_of, unwrapped
from model_zoo.io import frames
from model_zoo.io.glb_writer import export_glb
from model_zoo.io.poses import Pose
from model_zoo.render import RayTree, intrinsics, pixel_rays, view_rotation
from model_zoo.texture.gaussians import Gaussians

COARSE, RESOLUTION, VOXELS, PER_VOXEL = 64, 256, 26_000, 32
SIDE, PHOTO = 1024, (640, 640)
LIMIT_SECONDS, LIMIT_MB = 80.0, 2500


def distance(p: Tensor) -> Tensor:
    """Signed distance, about, of points (...,3) to a jug with a handle, a ball in front of it, and fine ribs."""
    radius = 0.24 + 0.05 * torch.sin(9 * p[..., 2]) + 0.004 * torch.sin(160 * p[..., 2])
    body = torch.maximum(p[..., :2].norm(dim=-1) - radius, p[..., 2].abs() - 0.42)
    ring = torch.stack([torch.stack([p[..., 0] - 0.26, p[..., 2]], -1).norm(dim=-1) - 0.17, p[..., 1]], -1)
    ball = (p - p.new_tensor([-0.05, -0.3, -0.1])).norm(dim=-1) - 0.13
    return torch.minimum(torch.minimum(body, ring.norm(dim=-1) - 0.05), ball)


def pattern(p: Tensor) -> Tensor:
    """Colours (...,3) in 0.1..0.9 of points (...,3): soft stripes of another pace along each axis."""
    return 0.5 + 0.4 * torch.sin(p * p.new_tensor([20.0, 35.0, 50.0]) + p.flip(-1) * 8)


def decoded() -> tuple[Tensor, Tensor]:
    """Active cubes (M,3) around the body's surface, as many voxels as at full size, and their features (M,101)."""
    coarse = torch.cartesian_prod(*[torch.arange(COARSE)] * 3)
    near = distance((coarse + 0.5) / COARSE - 0.5).abs()
    coarse = coarse[near.argsort()[:VOXELS].sort().values]
    children = torch.cartesian_prod(*[torch.arange(RESOLUTION // COARSE)] * 3)
    coords = (coarse[:, None] * (RESOLUTION // COARSE) + children).reshape(-1, 3)
    features = torch.zeros(len(coords), CHANNELS)
    for start in range(0, len(coords), 200_000):
        part = slice(start, start + 200_000)
        corners = (coords[part, None] + torch.tensor(tables.CORNERS)) / RESOLUTION - 0.5
        features[part, SDF] = distance(corners) + 1 / RESOLUTION
        colour = torch.cat([torch.logit(pattern(corners)), torch.zeros(*corners.shape)], -1)
        features[part, COLOUR] = colour.reshape(len(colour), -1)
    return coords, features


def splats_on(points: np.ndarray) -> Gaussians:
    """Splats of the full number scattered about points (N,3) of the body's surface, object frame."""
    torch.manual_seed(0)
    pick = torch.randint(len(points), (VOXELS * PER_VOXEL,))
    xyz = torch.from_numpy(points).float()[pick] + 0.002 * torch.randn(len(pick), 3)
    dc = (pattern(xyz) - 0.5) / DC
    turn = torch.nn.functional.normalize(torch.randn(len(pick), 4), dim=1)
    return Gaussians(
        xyz, dc, 0.002 + 0.003 * torch.rand(len(pick), 3), turn, 0.3 + 0.6 * torch.rand(len(pick), 1)
    )


def photo_of(mesh: Any) -> Picture:
    """A picture of the pattern on the mesh from the front, redder than the splats are."""
    K, R = intrinsics(40, PHOTO), view_rotation(25, 20)
    pose = Pose(R=R, t=np.array([0.0, 0.0, 1.9]), s=np.ones(3))
    depth = RayTree(mesh).depth(pose, K, PHOTO)
    points = ((pixel_rays(K, PHOTO) * depth[..., None]).reshape(-1, 3) - pose.t) @ R
    rgb = pattern(torch.from_numpy(frames.points(np.nan_to_num(points), "gltf", "model"))).numpy()
    return Picture.of(rgb.reshape(*PHOTO, 3) * [1, 0.8, 0.8], np.isfinite(depth), K, pose)


def peak() -> int:
    """Most resident memory in MB since it was last set back."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) // 1024


def main(arguments: list[str]) -> int:
    """Exit code 1 when a limit is missed."""
    coords, features = decoded()
    print(
        f"{len(coords)} active cubes, {features.nbytes >> 20} MB of features, {torch.get_num_threads()} threads"
    )
    print("| step | processor s | wall s | peak MB |\n|---|---|---|---|")
    rows: list[tuple[float, int]] = []

    def timed(name: str, work: Callable[[], Any]) -> Any:
        Path("/proc/self/clear_refs").write_text("5")  # sets the peak back to what is held now
        wall, cpu = time.perf_counter(), time.process_time()
        made = work()
        rows.append((time.process_time() - cpu, peak()))
        print(
            f"| {name} | {rows[-1][0]:.2f} | {time.perf_counter() - wall:.2f} | {rows[-1][1]} |", flush=True
        )
        return made

    surface = timed("surface", partial(extract_surface, coords, features, RESOLUTION))
    del coords, features
    mesh = timed("decimation, hidden inside, cleaning", lambda: tidied(surface_mesh(surface)))
    splats, photo = splats_on(surface.vertices.double().numpy()), photo_of(mesh)
    laid = timed("texture coordinates", lambda: unwrapped(mesh, SIDE))
    texels = timed("texels", lambda: texels_of(laid, SIDE))
    own = timed("colours of the splats", lambda: colours_at(texels.points, texels.normals, splats))
    done = timed("photo and texture", lambda: textured(laid, texels, own=own, pictures=[photo]))
    glb = timed("GLB", lambda: export_glb(done))
    wanted = pattern(torch.from_numpy(frames.points(texels.points, "gltf", "model"))).numpy()
    seconds, memory = sum(row[0] for row in rows), max(row[1] for row in rows)
    print(f"| all | {seconds:.2f} (limit {LIMIT_SECONDS:.0f}) | | {memory} (limit {LIMIT_MB}) |")
    print(
        f"{len(surface.faces)} faces, {len(mesh.faces)} after, {len(texels.face)} texels, {len(glb) >> 10} kB; "
        f"colours of the splats off by {np.abs(own - wanted).mean():.4f} on average"
    )
    if arguments:
        Path(arguments[0]).write_bytes(glb)
    return 0 if seconds <= LIMIT_SECONDS and memory <= LIMIT_MB else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
