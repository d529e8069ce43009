"""Where the mesh stands in the photo: the upright pose that fits the mask best, how well it agrees, and which way is up."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from model_zoo.io.errors import BadInput
from model_zoo.io.frames import between
from model_zoo.io.poses import Pose
from model_zoo.proposers.placing import (
    Window,
    camera_of,
    object_depth,
    overlap,
    place,
    towards,
    window_of,
)
from model_zoo.render import RayTree, view_rotation
from model_zoo.report.findings import Finding, ok
from model_zoo.report.pictures import SIDE, outlines

YAWS = range(0, 360, 45)
ELEVATION = 15.0
# Around the best of the coarse poses, in two rounds: degrees of yaw and of elevation.
FINER = ((22.5, 15.0), (11.25, 7.5))
CLEARLY = 0.1  # IoU by which another up axis must be better before we speak of it
POOR, GOOD = 0.5, 0.75
Z_UP = between("model", "gltf")  # turns a z-up mesh y-up
NOWHERE = Pose(R=between("opengl", "opencv"), t=np.array([0.0, 0.0, 2.0]), s=np.ones(3))


@dataclass(frozen=True)
class Scene:
    """Photo (H,W,3) uint8, mask (H,W) bool and pointmap (H,W,3) of the object, all of one size."""

    rgb: np.ndarray
    mask: np.ndarray
    pointmap: np.ndarray


@dataclass(frozen=True)
class Placed:
    """The pose found, its mask IoU, and what there is to say about it."""

    pose: Pose
    iou: float | None
    findings: list[Finding]


@dataclass(frozen=True)
class _Try:
    """One pose tried: its score, and the turn it came from."""

    iou: float
    yaw: float
    elevation: float
    pose: Pose


class _Placer:
    """Tries poses of one mesh in one photo."""

    def __init__(self, tree: RayTree, scene: Scene) -> None:
        self.tree = tree
        self.K = camera_of(scene.pointmap)
        self.window = window_of(scene.mask, scene.pointmap, self.K)
        self.depth = object_depth(scene.mask, scene.pointmap)
        self.aim = towards(scene.mask, self.K)

    def attempt(self, yaw: float, elevation: float, up: np.ndarray) -> _Try:
        rotation = self.aim @ view_rotation(yaw, elevation) @ up
        pose = place(self.tree, rotation, self.window, self.depth)
        seen = np.isfinite(self.window.look(self.tree, pose))
        return _Try(overlap(seen, self.window.mask), yaw, elevation, pose)

    def coarse(self, up: np.ndarray) -> _Try:
        return max((self.attempt(yaw, ELEVATION, up) for yaw in YAWS), key=lambda tried: tried.iou)

    def finer(self, best: _Try, up: np.ndarray) -> _Try:
        for turn, tilt in FINER:
            around = [(turn, 0.0), (-turn, 0.0), (0.0, tilt), (0.0, -tilt)]
            tries = [self.attempt(best.yaw + a, best.elevation + e, up) for a, e in around]
            best = max([best, *tries], key=lambda tried: tried.iou)
        return best


def in_photo(tree: RayTree, scene: Scene | None) -> Placed:
    """The best upright pose of a mesh in the photo, and the findings on its outline and its up axis."""
    try:
        if scene is None:
            raise BadInput("the object has no mask or no pointmap", "incomplete")
        placer = _Placer(tree, scene)
        standing, lying = placer.coarse(np.eye(3)), placer.coarse(Z_UP)
        best = placer.finer(standing, np.eye(3))
    except BadInput as failure:
        message = f"The mesh could not be placed in the photo: {failure.message}"
        unplaced = Finding("mask_agreement", "warning", message, {"reason": failure.code})
        return Placed(NOWHERE, None, [unplaced])
    findings = [
        _up_axis(tree, scene, placer.K, standing, lying),
        _agreement(tree, scene, placer.K, best, lying),
    ]
    return Placed(best.pose, round(best.iou, 3), findings)


def _up_axis(tree: RayTree, scene: Scene, K: np.ndarray, standing: _Try, lying: _Try) -> Finding:
    numbers = {"y_up": round(standing.iou, 3), "z_up": round(lying.iou, 3)}
    if lying.iou <= standing.iou + CLEARLY:
        return ok("up_axis", "The mesh stands upright with y up.", **numbers)
    return Finding(
        "up_axis",
        "warning",
        "The object seems to lie on its side: z looks like its up axis.",
        numbers,
        "Export with y up.",
        "turn_y_up",
        overlay(tree, scene, K, standing.pose)[0],
    )


def _agreement(tree: RayTree, scene: Scene, K: np.ndarray, best: _Try, lying: _Try) -> Finding:
    picture, iou = overlay(tree, scene, K, best.pose)
    numbers = {"iou": round(iou, 3), "poor": POOR, "good": GOOD}
    words = f"{iou:.0%} of the outline agrees with the mask."
    advice = "Compare with the photo: blue is the mask's outline, orange the mesh's."
    if max(best.iou, lying.iou) < POOR:
        return Finding("mask_agreement", "warning", words, numbers, advice, "", picture)
    level = "ok" if iou >= GOOD else "info"
    return Finding("mask_agreement", level, words, numbers, "" if level == "ok" else advice, "", picture)


def overlay(tree: RayTree, scene: Scene, K: np.ndarray, pose: Pose) -> tuple[bytes, float]:
    """PNG of the photo around the object with both outlines, and their IoU at the picture's resolution."""
    window = window_of(scene.mask, scene.pointmap, K, side=SIDE)
    outline = np.isfinite(window.look(tree, pose))
    return outlines(_crop(scene.rgb, window, K), window.mask, outline), overlap(outline, window.mask)


def _crop(rgb: np.ndarray, window: Window, K: np.ndarray) -> np.ndarray:
    """The photo as the window sees it, uint8 (h,w,3); grey beyond its rim."""
    back = K @ np.linalg.inv(window.K)
    column, row = np.meshgrid(np.arange(window.size[0]), np.arange(window.size[1]))
    u = np.floor(back[0, 0] * column + back[0, 2] + 0.5).astype(int)
    v = np.floor(back[1, 1] * row + back[1, 2] + 0.5).astype(int)
    inside = (u >= 0) & (u < rgb.shape[1]) & (v >= 0) & (v < rgb.shape[0])
    crop = rgb[v.clip(0, rgb.shape[0] - 1), u.clip(0, rgb.shape[1] - 1)]
    return np.where(inside[..., None], crop, 128).astype(np.uint8)
