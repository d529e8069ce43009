"""Vertex colours from the photograph, for meshes that come without any."""

from __future__ import annotations

import numpy as np
import trimesh
from scipy.spatial import cKDTree

from model_zoo.io.poses import Pose
from model_zoo.proposers.interface import ObjectInput
from model_zoo.proposers.placing import Window, camera_of
from model_zoo.render import RayTree


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
