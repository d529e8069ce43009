"""The flow proposer: a geometry checkpoint as a source of candidates, coloured by the photo and set on the pointmap."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import trimesh
from scipy.spatial import cKDTree
from trimesh.visual.color import ColorVisuals

from model_zoo import checkpoint
from model_zoo.geometry import pose as layout_pose
from model_zoo.geometry.preprocess import prepare_photo
from model_zoo.geometry.voxels import to_mesh
from model_zoo.io.errors import BadInput
from model_zoo.io.poses import Pose
from model_zoo.proposers.interface import ObjectInput, Proposal
from model_zoo.proposers.placing import (
    Window,
    align_outline,
    camera_of,
    object_depth,
    overlap,
    score_of,
    window_of,
)
from model_zoo.render import RayTree, view_rotation

SHIPPED = Path(__file__).parents[1] / "checkpoints" / "tiny"
ALIGN_ROUNDS = 2
TURNS = (0, -14, 14, -28, 28)  # degrees


@dataclass(frozen=True)
class Sampling:
    """How the sampler runs: steps, guidance s (the paper's w is 1 + s)."""

    steps: int = 12
    strength: float = 1.0


class FlowProposer:
    """Candidates sampled from p(shape, layout | image, mask, pointmap); one seed gives one result on CPU."""

    def __init__(
        self, folder: Path | str = SHIPPED, sampling: Sampling = Sampling(), name: str = "flow"
    ) -> None:
        found = checkpoint.load(Path(folder))
        self.model, self.card, self.name, self.sampling = found.model, found.card, name, sampling

    def propose(self, obj: ObjectInput, *, seed: int, count: int) -> list[Proposal]:
        """At most `count` candidates, best silhouette first. Raises BadInput for an empty mask or pointmap."""
        began = time.perf_counter()
        window = window_of(obj.mask, obj.pointmap, camera_of(obj.pointmap))
        ready = prepare_photo(obj.rgb, obj.mask, obj.pointmap, self.model.config.embedder.image_size)
        views = {n: v[None] for n, v in ready.views.items()}
        how = {"steps": self.sampling.steps, "strength": self.sampling.strength}
        latents = self.model.sample(views, seed=seed, count=count, **how)
        with torch.no_grad():
            logits = self.model.decode_shape(latents["shape"])[:, 0].numpy()
        decoded = layout_pose.decode(latents, ready.scale.expand(count, 3), ready.shift.expand(count, 3))
        poses = layout_pose.to_stored(layout_pose.ModelPose(*[v.double() for v in decoded]))
        shared = (time.perf_counter() - began) / count
        found = []
        for i, field in enumerate(logits):
            proposal = self._candidate(obj, window, field, [v[i].numpy() for v in poses], shared)
            if proposal is not None:
                found.append(proposal)
        if not found:
            raise BadInput("the model found no solid shape for this object", "empty_shape")
        return sorted(found, key=lambda p: -p.score)

    def _candidate(
        self, obj: ObjectInput, window: Window, logits: np.ndarray, placed: list[np.ndarray], shared: float
    ) -> Proposal | None:
        """One sample as a proposal; None when it decoded to nothing or to no possible pose (R, t, s)."""
        began = time.perf_counter()
        try:
            mesh, pose = to_mesh(logits), Pose(*placed)
        except BadInput:
            return None
        tree = RayTree(mesh)
        pose, score = settled(tree, pose, window, object_depth(obj.mask, obj.pointmap))
        mesh.visual = ColorVisuals(mesh, vertex_colors=photo_colours(mesh, pose, obj, window, tree))
        return Proposal(mesh, pose, score, shared + time.perf_counter() - began)


def settled(tree: RayTree, pose: Pose, window: Window, depth: float) -> tuple[Pose, float]:
    """The sampled pose, turned a little about the object's upright axis and fitted to outline and depth.

    Returns the best pose met, the sampled one included, and its silhouette IoU. The tiny model knows the shape better
    than the turn.
    """
    best, best_fit = pose, score_of(tree, pose, window)
    for degrees in TURNS:
        upright = np.diag([1.0, -1.0, -1.0]) @ view_rotation(degrees, 0)
        turned = Pose(pose.R @ upright, pose.t, pose.s)
        for _ in range(ALIGN_ROUNDS):
            turned = align_outline(tree, turned, window, depth)
        fit = score_of(tree, turned, window)
        if fit > best_fit:
            best, best_fit = turned, fit
    return best, overlap(np.isfinite(window.look(tree, best)), window.mask)


def photo_colours(
    mesh: trimesh.Trimesh, pose: Pose, obj: ObjectInput, window: Window, tree: RayTree
) -> np.ndarray:
    """RGBA uint8 (V, 4): what the photo shows of each vertex; hidden vertices borrow from the nearest seen one.

    Left and right are mirrored when borrowing, since most things are symmetric that way.
    """
    points = np.asarray(pose.apply(mesh.vertices))
    K = camera_of(obj.pointmap)
    pixels = points @ K.T
    u, v = np.round(pixels[:, :2] / np.maximum(pixels[:, 2:], 1e-9)).astype(int).T
    height, width = obj.mask.shape
    inside = (u >= 0) & (u < width) & (v >= 0) & (v < height) & (points[:, 2] > 0)
    inside[inside] = obj.mask[v[inside], u[inside]]
    inside &= _faces_camera(mesh, pose, points) & _in_front(tree, pose, window, points)
    colours = np.full((len(points), 4), 255, np.uint8)
    if not inside.any():
        colours[:, :3] = np.median(obj.rgb[obj.mask], 0) if obj.mask.any() else 128
        return colours
    colours[inside, :3] = obj.rgb[v[inside], u[inside]]
    seen = np.asarray(mesh.vertices)[inside]
    tree = cKDTree(np.concatenate([seen, seen * [-1, 1, 1]]))
    _, nearest = tree.query(np.asarray(mesh.vertices)[~inside])
    colours[~inside] = colours[inside][nearest % len(seen)]
    return colours


def _faces_camera(mesh: trimesh.Trimesh, pose: Pose, points: np.ndarray) -> np.ndarray:
    normals = (np.asarray(mesh.vertex_normals) / pose.s) @ pose.R.T
    rays = points / np.linalg.norm(points, axis=1, keepdims=True)
    lengths = np.maximum(np.linalg.norm(normals, axis=1), 1e-12)
    return (normals * rays).sum(
        1
    ) / lengths < -0.15  # grazing views smear the outline's colour along the side


def _in_front(tree: RayTree, pose: Pose, window: Window, points: np.ndarray) -> np.ndarray:
    """Whether nothing of the mesh itself lies before a vertex, by the window's depth."""
    depth = window.look(tree, pose)
    pixels = points @ window.K.T
    u, v = np.round(pixels[:, :2] / np.maximum(pixels[:, 2:], 1e-9)).astype(int).T
    within = (u >= 0) & (u < depth.shape[1]) & (v >= 0) & (v < depth.shape[0])
    front = np.full(len(points), False)
    reach = 0.04 * float(np.max(pose.s * np.ptp(tree.bounds, axis=0)))
    seen = depth[v[within], u[within]]
    front[within] = ~np.isfinite(seen) | (points[within, 2] < seen + reach)
    return front
