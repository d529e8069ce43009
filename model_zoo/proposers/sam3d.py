"""Our own model as a proposer: candidates of a checkpoint's first stage, or of both, set on the photo's points.

Without a second stage the shape is that of the occupancy, coloured by the photo.
"""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
from trimesh.visual.color import ColorVisuals

from model_zoo.finish.layout import optimise
from model_zoo.io import frames
from model_zoo.io.poses import Pose
from model_zoo.pipeline import Candidate, Sam3D, Sampling
from model_zoo.proposers.colours import photo_colours
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


class Sam3DProposer:
    """Candidates sampled from p(shape, layout | image, mask, pointmap); candidate i comes from seed + i alone."""

    def __init__(self, model: Sam3D, sampling: Sampling | None = None, name: str = "sam3d") -> None:
        self.model, self.sampling, self.name = model, sampling or model.sampling, name

    def propose(self, obj: ObjectInput, *, seed: int, count: int) -> list[Proposal]:
        """At most `count` candidates, best silhouette first.

        Raises BadInput for an empty mask or pointmap, and where the model finds nothing in this object.
        """
        began = time.perf_counter()
        window = window_of(obj.mask, obj.pointmap, camera_of(obj.pointmap))
        photo, seeds = (obj.rgb, obj.mask, obj.pointmap), range(seed, seed + count)
        made = list(self.model.candidates(photo, seeds, self.sampling))
        shared = (time.perf_counter() - began) / len(made)
        found = [self._posed(candidate, obj, window, shared) for candidate in made]
        return sorted(found, key=lambda p: -p.score)

    def _posed(self, candidate: Candidate, obj: ObjectInput, window: Window, shared: float) -> Proposal:
        began = time.perf_counter()
        mesh, tree = candidate.mesh, RayTree(candidate.mesh)
        pose = settled(tree, candidate.pose, window, object_depth(obj.mask, obj.pointmap))
        pose = optimise(mesh, pose, obj.pointmap, obj.mask).pose
        score = overlap(np.isfinite(window.look(tree, pose)), window.mask)
        if self.model.texture is None:
            mesh.visual = ColorVisuals(mesh, vertex_colors=photo_colours(mesh, pose, obj, window, tree))
        cost = shared + time.perf_counter() - began
        return Proposal(mesh, pose, score, cost, self.model.name, candidate.seed)


def settled(tree: RayTree, pose: Pose, window: Window, depth: float) -> Pose:
    """The sampled pose, turned a little about the object's upright axis and brought to outline and depth.

    Returns the best pose met, the sampled one included. The tiny model knows the shape better than the turn, and a fit
    only finds what is near.
    """
    best, best_score = pose, score_of(tree, pose, window)
    for degrees in TURNS:
        upright = frames.between("opencv", "opengl") @ view_rotation(degrees, 0)
        turned = Pose(pose.R @ upright, pose.t, pose.s)
        for _ in range(ALIGN_ROUNDS):
            turned = align_outline(tree, turned, window, depth)
        score = score_of(tree, turned, window)
        if score > best_score:
            best, best_score = turned, score
    return best
