"""The pose of a mesh that came without one: the turns in which it looks most like the photo, each placed and fitted."""

from __future__ import annotations

import numpy as np
import trimesh

from model_zoo.finish.fit import fit
from model_zoo.io.poses import Pose
from model_zoo.proposers.features import SIDE, describe, similarity_to
from model_zoo.proposers.interface import ObjectInput
from model_zoo.proposers.placing import camera_of, object_depth, place, score_of, towards, window_of
from model_zoo.render import RayTree, Shading, view_rotation, views

YAWS = tuple(range(0, 360, 30))
ELEVATIONS = (4, 22, 42, 60)
ANGLES = [(float(yaw), float(elevation)) for elevation in ELEVATIONS for yaw in YAWS]
TRIED = 6  # turns that are placed; the best of them is fitted


def found_pose(mesh: trimesh.Trimesh, obj: ObjectInput) -> Pose:
    """The pose (R, t, s) of a y-up mesh that agrees best with photo, mask and pointmap. Raises BadInput on empty ones."""
    K = camera_of(obj.pointmap)
    window, depth = window_of(obj.mask, obj.pointmap, K), object_depth(obj.mask, obj.pointmap)
    tree, ray = RayTree(mesh), towards(obj.mask, K)
    placed = [place(tree, ray @ view_rotation(*angle), window, depth) for angle in likely_turns(mesh, obj)]
    placed.sort(key=lambda pose: -score_of(tree, pose, window))
    # However busy the machine is, one mesh gets one pose.
    return fit(mesh, placed[0], obj.pointmap, obj.mask, K, others=placed[1:2], seconds=float("inf")).pose


def likely_turns(mesh: trimesh.Trimesh, obj: ObjectInput) -> list[tuple[float, float]]:
    """(yaw, elevation) in degrees, at most TRIED, in which the mesh looks most like the object in its mask."""
    seen = views(mesh, ANGLES, (SIDE + 8, SIDE + 8), Shading(background=(0, 0, 0)))
    shown = [number for number, view in enumerate(seen) if view.mask.any()]
    if not shown:
        return ANGLES[:TRIED]
    columns = zip(*[describe(seen[number].rgb, seen[number].mask) for number in shown], strict=True)
    likeness = similarity_to(describe(obj.rgb, obj.mask), *[np.stack(column) for column in columns])
    return [ANGLES[shown[number]] for number in np.argsort(-likeness, kind="stable")[:TRIED]]
