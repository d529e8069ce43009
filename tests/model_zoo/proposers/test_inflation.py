"""Inflation: closed textured meshes whose posed outline is the mask."""

import numpy as np
import pytest

from model_zoo.demo import photographs
from model_zoo.finish.fit import iou
from model_zoo.io.poses import Pose
from model_zoo.library import make
from model_zoo.proposers.inflation import Inflation
from model_zoo.proposers.interface import ObjectInput
from model_zoo.proposers.pointmap import estimate_pointmap
from model_zoo.render import intrinsics, render, view_rotation


@pytest.fixture(scope="module")
def coffee():
    photo = next(photo for photo in photographs() if photo.name == "coffee")
    mask = photo.masks["cup"]
    estimate = estimate_pointmap(photo.rgb, [mask])
    return ObjectInput(photo.rgb, mask, estimate.points, "cup"), estimate.K


@pytest.fixture(scope="module")
def proposals(coffee):
    return Inflation().propose(coffee[0], seed=0, count=3)


def test_the_posed_outline_is_the_mask(coffee, proposals):
    obj, K = coffee
    assert min(iou(p.mesh, p.pose, K, obj.mask) for p in proposals) > 0.95


def test_meshes_are_closed_textured_and_of_moderate_size(proposals):
    for proposal in proposals:
        assert proposal.mesh.is_watertight and proposal.mesh.volume > 0
        assert len(proposal.mesh.faces) <= 16_000 and proposal.mesh.visual.kind == "texture"


def test_the_visible_surface_has_the_depth_of_the_pointmap(coffee, proposals):
    obj, _ = coffee
    depth = np.median(obj.pointmap[obj.mask][:, 2])
    for proposal in proposals:
        points = proposal.pose.apply(proposal.mesh.vertices)
        assert points[:, 2].min() < depth < points[:, 2].max()


def test_a_seed_repeats_and_seeds_differ(coffee):
    first, again, other = (Inflation().propose(coffee[0], seed=s, count=1)[0].mesh for s in (7, 7, 8))
    assert np.array_equal(first.vertices, again.vertices)
    assert first.vertices.shape != other.vertices.shape or not np.allclose(first.vertices, other.vertices)


def test_typical_forms_differ_from_each_other(proposals):
    depths = [p.mesh.extents[2] / p.mesh.extents[0] for p in proposals]
    assert np.ptp(depths) > 0.05


def test_a_measured_relief_shapes_the_visible_side():
    mesh, size = make("banana", 1), (160, 120)
    K = intrinsics(50, size)
    view = render(mesh, Pose(R=view_rotation(20, 40), t=np.array([0, 0, 0.5]), s=np.ones(3)), K, size)
    proposal = Inflation().propose(ObjectInput(view.rgb, view.mask, view.points(K)), seed=0, count=1)[0]
    again = render(proposal.mesh, proposal.pose, K, size)
    both = again.mask & view.mask
    assert np.median(np.abs(again.depth - view.depth)[both]) < 0.004
