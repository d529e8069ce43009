"""Composed scenes: truth agrees with the pictures, files go where import_images looks for them."""

import json

import numpy as np
import pytest
import trimesh

from model_zoo.demo.__main__ import scene_files
from model_zoo.demo.scenes import scenes
from model_zoo.io.depth import decode_pointmap
from model_zoo.io.poses import Pose
from model_zoo.render import render


@pytest.fixture(scope="module")
def scene():
    return next(scenes(1, seed=3))


def test_true_poses_explain_the_masks_and_the_depth(scene):
    for placed in scene.objects:
        size = (scene.camera.width, scene.camera.height)
        alone = render(placed.mesh, placed.pose, scene.camera.matrix(), size)
        mask = scene.masks[placed.name]
        assert not (mask & ~alone.mask).any()
        assert np.abs(alone.depth[mask] - scene.points[mask][:, 2]).max() < 1e-3


def test_every_pixel_has_a_depth(scene):
    assert np.isfinite(scene.points).all() and scene.points[..., 2].min() > 0.3


def test_a_seed_always_gives_the_same_scene(scene):
    again = next(scenes(1, seed=3))
    assert np.array_equal(again.rgb, scene.rgb) and again.objects[0].name == scene.objects[0].name


def test_its_files_read_back_as_the_truth(scene):
    files = {path.split("/")[-1]: data for path, data in scene_files(scene).items()}
    truth = json.loads(files["objects.json"])["objects"][0]
    assert np.allclose(Pose.from_json(truth).matrix(), scene.objects[0].pose.matrix())
    points, _ = decode_pointmap(files["pointmap.npz"])
    assert np.array_equal(points, scene.points)
    mesh = trimesh.load(trimesh.util.wrap_as_stream(files[truth["mesh"]]), file_type="glb", force="mesh")
    assert np.allclose(mesh.bounds, scene.objects[0].mesh.bounds, atol=1e-5)
