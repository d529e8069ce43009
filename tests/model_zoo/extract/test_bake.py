"""Baking recovers a known pattern from pictures and from splats, and carries colours on to what nobody saw."""

import numpy as np
import pytest
import torch
import trimesh
from PIL import Image

from model_zoo.extract.bake import Picture, own_colours, textured
from model_zoo.extract.directions import spread
from model_zoo.extract.splat_colours import DC, colours_at
from model_zoo.extract.splat_render import render
from model_zoo.extract.splats import posed, to_opencv
from model_zoo.extract.unwrap import texels_of, unwrapped
from model_zoo.geometry.pose import ModelPose, to_stored
from model_zoo.io import frames
from model_zoo.io.errors import BadInput
from model_zoo.io.poses import Pose
from model_zoo.render import RayTree, intrinsics, pixel_rays, view_rotation
from model_zoo.texture.gaussians import Gaussians

SIDE, SIZE = 192, (128, 128)
K = intrinsics(40, SIZE)


def pattern(points):
    """Colours (N,3) in 0.1..0.9 that vary along each axis of the GLB."""
    return 0.5 + 0.4 * np.sin(np.asarray(points) * [9, 12, 15])


@pytest.fixture(scope="module")
def plain():
    return trimesh.creation.icosphere(3, radius=0.4)


@pytest.fixture(scope="module")
def laid(plain):
    return unwrapped(plain, SIDE)


def seen_from(mesh, direction, tint=(1, 1, 1)):
    """A picture of the pattern on the mesh from a direction (3,) of its frame."""
    yaw = -np.degrees(np.arctan2(direction[0], direction[2]))
    R = view_rotation(yaw, np.degrees(np.arcsin(direction[1])))
    pose = Pose(R=R, t=np.array([0, 0, 1.6]), s=np.ones(3))
    depth = RayTree(mesh).depth(pose, K, SIZE)
    points = ((pixel_rays(K, SIZE) * np.nan_to_num(depth)[..., None]).reshape(-1, 3) - pose.t) @ R
    rgb = pattern(points).reshape(*SIZE, 3) * tint
    return Picture.of((rgb * 255).astype(np.uint8), np.isfinite(depth), K, pose)


def baked(mesh, **how):
    texels = texels_of(mesh, SIDE)
    image = np.asarray(textured(mesh, texels, **how).visual.material.baseColorTexture) / 255
    return texels, image[texels.row, texels.column]


def test_a_pattern_is_recovered_from_pictures_all_around_to_one_hundredth(laid):
    texels, got = baked(laid, pictures=[seen_from(laid, d) for d in spread(10)])
    error = np.abs(got - pattern(texels.points))
    assert error.mean() < 0.01 and np.quantile(error, 0.99) < 0.05


def test_a_picture_goes_over_own_colours_only_where_it_sees(laid):
    texels = texels_of(laid, SIDE)
    own = np.full((len(texels.face), 3), 0.2)
    _, got = baked(laid, own=own, pictures=[seen_from(laid, np.array([0.0, 0, 1]))])
    front, back = texels.normals[:, 2] > 0.6, texels.normals[:, 2] < 0
    assert np.abs(got[front] - pattern(texels.points[front])).mean() < 0.02
    assert np.abs(got[back] - 0.2).max() < 0.01


def test_what_no_picture_sees_mirrors_what_one_sees(laid):
    texels, got = baked(laid, pictures=[seen_from(laid, np.array([0.94, 0, 0.34]))])
    left = texels.normals @ np.array([-0.94, 0, 0.34]) > 0.7  # seen in the mirror of x alone
    expected = pattern(texels.points[left] * [-1, 1, 1])
    assert np.abs(got[left] - expected).mean() < 0.05


def test_a_hidden_surface_takes_nothing_from_the_one_before_it(laid):
    wall = trimesh.creation.box((1, 1, 0.02))
    wall.apply_translation([0, 0, 0.6])
    both = unwrapped(trimesh.util.concatenate([trimesh.creation.icosphere(2, radius=0.3), wall]), SIDE)
    texels = texels_of(both, SIDE)
    own = np.full((len(texels.face), 3), 0.2)
    _, got = baked(both, own=own, pictures=[seen_from(both, np.array([0.0, 0, 1]))])
    assert np.abs(got[np.linalg.norm(texels.points, axis=1) < 0.31] - 0.2).max() < 0.01


def on_ball(count=20_000):
    """Splats of the pattern on the ball of the tests, object frame, small and dense."""
    torch.manual_seed(0)
    points = 0.4 * torch.nn.functional.normalize(torch.randn(count, 3), dim=1)
    glb = frames.points(points.double().numpy(), "model", "gltf")
    turn = torch.nn.functional.normalize(torch.randn(count, 4), dim=1)
    dc = (torch.from_numpy(pattern(glb)).float() - 0.5) / DC
    return Gaussians(points, dc, torch.full((count, 3), 0.006), turn, torch.full((count, 1), 0.8))


def test_splats_give_their_pattern_to_the_surface_to_two_hundredths(laid):
    texels = texels_of(laid, SIDE)
    error = np.abs(colours_at(texels.points, texels.normals, on_ball()) - pattern(texels.points))
    assert error.mean() < 0.02 and np.quantile(error, 0.99) < 0.1


def test_pictures_rendered_of_posed_splats_bake_onto_the_posed_mesh(laid):
    turn = torch.from_numpy(view_rotation(30, 20)).float()
    pose = ModelPose(turn[None], torch.tensor([[0.05, -0.02, 1.6]]), torch.ones(1, 3))
    picture = render(to_opencv(posed(on_ball(), pose)), torch.from_numpy(K).float(), SIZE)
    stored = Pose(*(part[0].double().numpy() for part in to_stored(pose)))
    alpha = picture.alpha.numpy()
    rgb = (picture.rgb / picture.alpha.clamp_min(1e-6)[..., None]).numpy()
    texels = texels_of(laid, SIDE)
    grey = np.full((len(texels.face), 3), 0.5)
    _, got = baked(laid, own=grey, pictures=[Picture.of(rgb, alpha > 0.95, K, stored)])
    towards = (-stored.t @ stored.R) / np.linalg.norm(stored.t)
    front = texels.normals @ towards > 0.7
    assert front.sum() > 1000 and np.abs(got[front] - pattern(texels.points[front])).mean() < 0.03


def test_colours_that_the_mesh_had_are_taken_over_from_vertices_and_from_a_texture(plain, laid):
    texels, coloured = texels_of(laid, SIDE), plain.copy()
    coloured.visual.vertex_colors = (pattern(plain.vertices) * 255).astype(np.uint8)
    own = own_colours(coloured, texels)
    assert np.abs(own - pattern(texels.points)).mean() < 0.03
    again = textured(laid, texels, own=own)
    assert (
        np.abs(own_colours(again, texels_of(unwrapped(again, SIDE), SIDE)).mean(0) - own.mean(0)).max() < 0.02
    )
    assert own_colours(plain, texels) is None and own_colours(laid, texels) is None


def test_between_charts_the_texture_goes_on(laid):
    texels = texels_of(laid, SIDE)
    made = textured(laid, texels, own=np.full((len(texels.face), 3), 0.6))
    assert (np.asarray(made.visual.material.baseColorTexture) == 153).all()
    assert made.visual.material.roughnessFactor == 1.0 and made.visual.material.metallicFactor == 0.0
    assert isinstance(made.visual.material.baseColorTexture, Image.Image)


def test_without_any_colours_it_says_so(laid):
    texels = texels_of(laid, SIDE)
    with pytest.raises(BadInput, match="no picture sees the mesh"):
        textured(laid, texels)
    with pytest.raises(BadInput, match="no Gaussians"):
        colours_at(texels.points, texels.normals, Gaussians(*(part[:0] for part in on_ball(8))))
