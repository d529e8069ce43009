"""How Fit is measured: objects with known poses, the disturbance each starts from, and how far a pose is from the truth.

Errors are those of the object, not of the numbers in the pose: rotation in degrees; the way of the middle of its box
relative to its diameter (the largest distance of two of its points, posed); the ratio of scales minus one.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import trimesh
from scipy.ndimage import gaussian_filter
from scipy.spatial.distance import pdist
from scipy.spatial.transform import Rotation

from model_zoo.demo.scenes import ComposedScene
from model_zoo.finish.fit import fit
from model_zoo.geometry.voxels import to_mesh, unit_frame, voxelise
from model_zoo.io.meshes import load_mesh
from model_zoo.io.poses import Pose
from model_zoo.io.scenes import Scene, scan
from model_zoo.proposers.placing import camera_of, overlap, window_of
from model_zoo.render import RayTree, intrinsics, view_rotation

TURN, GROWTH, WAY = 15.0, 1.10, 0.10
LIMITS = (3.0, 0.03, 0.03)
TELLING_TURNS = (6, 10, 12, 15, 18, 20, 22.5, 24, 30)  # degrees: what 15 degrees off may end in
SAME_OUTLINE, SAME_DEPTH = 0.98, 0.005  # IoU; 95th percentile of the depth difference against the diameter
ALL_ROUND = [(yaw, up) for up in (-35, 20, 70) for yaw in (0, 90, 180, 270)]


@dataclass(frozen=True)
class Known:
    """An object whose pose is known: its mesh, what was seen of it, and its diameter in the camera's unit."""

    name: str
    mesh: trimesh.Trimesh
    truth: Pose
    pointmap: np.ndarray
    mask: np.ndarray
    K: np.ndarray

    @property
    def middle(self) -> np.ndarray:
        """The middle (3,) of the mesh's box, in the mesh's frame."""
        return np.asarray(self.mesh.bounds).mean(0)

    @property
    def diameter(self) -> float:
        """The largest distance of two points of the object as it stands."""
        corners = self.mesh.convex_hull.vertices
        return float(pdist(self.truth.apply(corners[:: max(1, len(corners) // 1500)])).max())


@dataclass(frozen=True)
class Outcome:
    """Errors (degrees, of the diameter, of the scale) and seconds of one Fit."""

    errors: tuple[float, float, float]
    seconds: float

    @property
    def good(self) -> bool:
        """Whether all three errors are within the limits."""
        return all(error <= limit for error, limit in zip(self.errors, LIMITS, strict=True))


def composed(scene: ComposedScene) -> Iterator[Known]:
    """The objects of a composed scene, with the occlusions that it has."""
    c = scene.camera
    K = np.array([[c.fx, 0, c.cx], [0, c.fy, c.cy], [0, 0, 1]])
    for o in scene.objects:
        yield Known(f"{scene.name}/{o.name}", o.mesh, o.pose, scene.points, scene.masks[o.name], K)


def photographed(folder: Path) -> Iterator[Known]:
    """The objects of a folder of real RGB-D scenes whose poses were fitted with the help of the photo's texture."""
    for scene in scan(folder):
        if not isinstance(scene, Scene):
            continue
        for name, (mesh, pose) in scene.truths.items():
            points = scene.pointmap.points
            loaded = load_mesh(Path(mesh).read_bytes()).mesh
            K = camera_of(points)
            yield Known(f"{scene.name}/{name}", loaded, pose, points, scene.masks[name], K)


def cropped(known: Known) -> Known:
    """The same in a picture that ends where three tenths of the object's visible pixels are lost on the left."""
    column = int(np.quantile(np.nonzero(known.mask)[1], 0.3))
    K = known.K - [[0, 0, column], [0, 0, 0], [0, 0, 0]]
    return replace(known, mask=known.mask[:, column:], pointmap=known.pointmap[:, column:], K=K)


def uneven(known: Known, rng: np.random.Generator) -> Known:
    """The same on a pointmap that is off by waves of 1 % of the depth and grain of 0.4 %, as an estimated one is."""
    waves = gaussian_filter(rng.normal(size=known.mask.shape), 12)
    error = 1 + 0.01 * waves / waves.std() + 0.004 * rng.normal(size=waves.shape)
    return replace(known, pointmap=(known.pointmap * error[..., None]).astype(np.float32))


def rough(known: Known) -> Known:
    """The same with a mesh of coarse voxels, as a network of low resolution would make it."""
    centre, side = unit_frame(known.mesh)
    mesh = to_mesh(np.where(voxelise(known.mesh, 24, solid=True), 3.0, -3.0).astype(np.float32))
    mesh.vertices = mesh.vertices * side + centre
    return replace(known, mesh=mesh)


def disturbed(known: Known, rng: np.random.Generator) -> Pose:
    """The true pose turned by 15 degrees and scaled by 1.1 or 1/1.1 about the object's middle, moved by a tenth."""
    axis, way = rng.normal(size=(2, 3))
    R = Rotation.from_rotvec(np.radians(TURN) * axis / np.linalg.norm(axis)).as_matrix() @ known.truth.R
    s = known.truth.s * GROWTH ** rng.choice([-1, 1])
    middle = known.truth.apply(known.middle[None])[0] + WAY * known.diameter * way / np.linalg.norm(way)
    return Pose(R, middle - R @ (s * known.middle), s)


def errors(known: Known, pose: Pose) -> tuple[float, float, float]:
    """Degrees, way of the middle against the diameter, and relative error of the scale."""
    turn = Rotation.from_matrix(pose.R @ known.truth.R.T).magnitude()
    way = np.linalg.norm(pose.apply(known.middle[None]) - known.truth.apply(known.middle[None]))
    growth = np.exp(abs(np.log(pose.s / known.truth.s)).max()) - 1
    return float(np.degrees(turn)), float(way / known.diameter), float(growth)


def outcome(known: Known, start: Pose) -> Outcome:
    """One Fit from `start`."""
    began = time.perf_counter()
    found = fit(known.mesh, start, known.pointmap, known.mask, known.K)
    return Outcome(errors(known, found.pose), time.perf_counter() - began)


def is_symmetric(known: Known) -> bool:
    """Whether the mesh has a turn of 6 to 30 degrees after which it looks the same from all round."""
    K, size = intrinsics(40, (112, 112)), (112, 112)
    half = known.diameter / 2
    views = []
    for yaw, up in ALL_ROUND:
        R = view_rotation(yaw, up)
        away = np.array([0, 0, 3.2 * half])
        views.append(Pose(R, away - R @ (known.truth.s * known.middle), known.truth.s))
    everywhere = np.ones((size[1], size[0]), bool)
    return _alike_after_a_turn(known, [(pose, K, everywhere) for pose in views])


def hides_its_turn(known: Known) -> bool:
    """Whether it is what this photo shows of the object that looks the same after such a turn."""
    window = window_of(known.mask, known.pointmap, known.K)
    seen = window.look(RayTree(known.mesh), known.truth)
    # Where something else covers the object, a turned one may show as little.
    return _alike_after_a_turn(known, [(known.truth, window.K, window.mask | np.isnan(seen))])


def _alike_after_a_turn(known: Known, views: list[tuple[Pose, np.ndarray, np.ndarray]]) -> bool:
    """A symmetry's axis goes through the middle of mass along a principal axis; the axes of the mesh are tried too."""
    tree, points = RayTree(known.mesh), known.mesh.triangles_center
    weight = known.mesh.area_faces / known.mesh.area_faces.sum()
    centre = weight @ points
    principal = np.linalg.eigh(((points - centre) * weight[:, None]).T @ (points - centre))[1].T
    before = [tree.depth(pose, K, counted.shape[::-1]) for pose, K, counted in views]
    for axis in [*principal, *np.eye(3)]:
        for turn in (*TELLING_TURNS, *(-np.array(TELLING_TURNS))):
            if all(
                _alike(
                    was, tree.depth(_turned(pose, axis, turn, centre), K, counted.shape[::-1]), counted, known
                )
                for was, (pose, K, counted) in zip(before, views, strict=True)
            ):
                return True
    return False


def _turned(pose: Pose, axis: np.ndarray, degrees: float, centre: np.ndarray) -> Pose:
    turn = Rotation.from_rotvec(np.radians(degrees) * axis).as_matrix()
    return Pose(pose.R @ turn, pose.t + pose.R @ (pose.s * centre - turn @ (pose.s * centre)), pose.s)


def _alike(was: np.ndarray, now: np.ndarray, counted: np.ndarray, known: Known) -> bool:
    own, other = np.isfinite(was) & counted, np.isfinite(now) & counted
    if overlap(own, other) < SAME_OUTLINE:
        return False
    apart = abs(was - now)[own & other]
    return bool(np.percentile(apart, 95) < SAME_DEPTH * known.diameter)
