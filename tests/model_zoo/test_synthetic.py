"""Composed scenes: truth that fits the picture, the same bytes from the same seed, a cache that changes nothing."""

import numpy as np
import pytest

from model_zoo.geometry.recipes import tiny
from model_zoo.geometry.voxels import voxelise
from model_zoo.library import families, make
from model_zoo.synthetic import FAMILIES, TARGETS, SceneConfig, Shape, cached, compose
from tests.model_zoo.releases import targets

SMALL = SceneConfig(scenes=3, shapes_per_family=1, picture=64)


def test_every_family_exists():
    assert set(TARGETS) <= set(FAMILIES) <= set(families())


def test_the_true_pose_puts_the_mesh_on_its_mask():
    target, shape = targets(1)[0]
    points = target.pointmap[target.mask]
    placed = target.pose.apply(shape.mesh.vertices)
    low, high = placed.min(0) - 1e-3, placed.max(0) + 1e-3
    assert ((points >= low) & (points <= high)).all()


def test_objects_face_the_camera_within_the_yaw():
    shape = Shape(make("chair", 0), np.zeros((1, 1, 1), bool), "chair")
    for seed in range(8):
        for target in compose([shape], SMALL, np.random.default_rng(seed)):
            towards = target.pose.R @ [0, 0, 1]
            assert np.degrees(np.arctan2(abs(towards[0]), np.hypot(towards[1], towards[2]))) <= SMALL.yaw + 1


def test_the_same_seed_gives_the_same_scene():
    shape = Shape(make("mug", 0), voxelise(make("mug", 0), 16, solid=True), "mug")
    a, b = (compose([shape], SMALL, np.random.default_rng(3)) for _ in range(2))
    assert all(np.array_equal(x.rgb, y.rgb) and np.array_equal(x.pose.t, y.pose.t) for x, y in zip(a, b))


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


def test_the_cache_gives_what_was_built(kept):
    built, read = cached(SMALL, tiny(), kept), cached(SMALL, tiny(), kept)
    assert len(built) == len(read) > 0
    for name, value in built[0].views.items():
        assert np.array_equal(value.numpy(), read[0].views[name].numpy(), equal_nan=True)
    assert built.family(0) in TARGETS
