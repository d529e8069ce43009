"""The light and look of a photo: its direction from a pointmap, brightness, cast, sharpness and grain."""

from dataclasses import replace

import numpy as np
import pytest
import trimesh
from scipy import ndimage

from model_zoo.build.light import exposure_of, look_of, nearby, normals_of, scaled
from model_zoo.io.images import load_image
from model_zoo.io.poses import Pose
from model_zoo.raster import Light, Lighting, Raster
from model_zoo.raster_parts import TO_LINEAR, unit
from model_zoo.render import intrinsics, pixel_rays

SIZE = (320, 240)
K = intrinsics(50, SIZE)


def rendered(towards, direct=0.8, even=0.2, albedo=160):
    """A photo of balls on a slope, under a known light, with its pointmap."""
    parts = [trimesh.creation.icosphere(3, radius=r) for r in (0.7, 0.5, 0.6)]
    for part, place in zip(parts, ([-0.9, 0.2, 4], [0.9, -0.4, 4.5], [0.2, 0.7, 3.6]), strict=True):
        part.apply_translation(place)
    wall = trimesh.creation.box([8, 8, 0.1])
    wall.apply_transform(trimesh.transformations.rotation_matrix(0.5, [1, 0, 0], [0, 0, 0]))
    wall.apply_translation([0, 0, 6])
    mesh = trimesh.util.concatenate([*parts, wall])
    mesh.visual.face_colors = [albedo, albedo, albedo, 255]
    light = Lighting((Light(tuple(unit(np.array(towards))), (direct,) * 3),), (even,) * 3)
    pose = Pose(np.eye(3), np.zeros(3), np.ones(3))
    seen = Raster().draw([(mesh, pose)], K, SIZE, light)
    points = pixel_rays(K, SIZE) * seen.depth[..., None]
    return seen.rgb, points.astype(np.float32)


@pytest.mark.parametrize("towards", [(-0.7, -0.5, -0.5), (0.8, -0.2, -0.55), (0.1, -0.9, -0.4)])
def test_a_pointmap_gives_the_direction_of_the_light(towards):
    look = look_of(*rendered(towards))
    found = np.array(look.lighting.lights[0].towards)
    assert look.fitted and np.degrees(np.arccos(found @ unit(np.array(towards)))) < 25


def test_points_that_say_nothing_leave_the_assumed_light():
    rgb, points = rendered((-0.7, -0.5, -0.5))
    assert not look_of(rgb, np.full_like(points, np.nan)).fitted
    assert look_of(rgb, np.full_like(points, np.nan)) == look_of(rgb)
    x, y, z = look_of(rgb).lighting.lights[0].towards
    assert y < -0.5 and z < -0.3


def test_normals_face_the_camera_and_are_not_known_at_jumps():
    _, points = rendered((0, -1, -1))
    normals, known = normals_of(points)
    assert known.mean() > 0.7
    assert (np.einsum("hwi,hwi->hw", normals, points)[known] <= 0).all()
    assert not known[np.abs(np.diff(points[..., 2], axis=1, append=0)) > 0.5].any()


def test_brightness_cast_and_side_follow_the_photo():
    rgb, _ = rendered((-0.2, -0.5, -0.8))
    dark = (rgb * 0.5).astype(np.uint8)
    light, less = look_of(rgb).lighting, look_of(dark).lighting
    assert sum(less.ambient) < 0.5 * sum(light.ambient)
    warm = (rgb * [1, 0.85, 0.6]).astype(np.uint8)
    red, green, blue = look_of(warm).lighting.lights[0].colour
    assert red > green > blue and red / blue < 1 / 0.6**2.2  # only half of the cast is believed
    ramp = (rgb * np.linspace(1, 0.2, SIZE[0])[None, :, None]).astype(np.uint8)
    assert look_of(ramp).lighting.lights[0].towards[0] < -0.2
    assert look_of(ramp[:, ::-1]).lighting.lights[0].towards[0] > 0.2


def test_a_dark_corner_is_darker_and_no_gain_burns_white_things_out():
    rgb, _ = rendered((0, -0.5, -0.8))
    rgb = rgb.copy()
    rgb[:, :100] //= 4
    look = look_of(rgb)
    corner = nearby(look, rgb, (10, 50, 80, 150)).lighting
    assert 0.2 < sum(corner.ambient) / sum(look.lighting.ambient) < 0.8
    assert nearby(look, rgb, (-50, -50, -10, -10)) == look
    bright = scaled(look.lighting, 50.0)
    assert max(np.add(bright.ambient, bright.sky) + bright.lights[0].colour) < 1.2


def test_blur_and_grain_are_measured_on_real_photos(test_data):
    rgb = load_image((test_data / "dev/images/kodak_20.jpg").read_bytes()).rgb
    sharp = look_of(rgb)
    blurs = [
        look_of(np.stack([ndimage.gaussian_filter(c, s) for c in rgb.transpose(2, 0, 1)], 2)).blur
        for s in (1, 2)
    ]
    assert sharp.blur < 0.7 < blurs[0] < 1.4 < blurs[1] < 2.6
    noise = np.random.default_rng(0).normal(0, 6, rgb.shape[:2])[..., None]
    noisy = look_of(np.clip(rgb + noise, 0, 255).astype(np.uint8)).grain
    assert sharp.grain < 1.5 and 3.5 < noisy < 7


def test_exposure_follows_the_middle_and_the_brightest_part():
    ramp = np.linspace(0.005, 0.45, 2001)
    assert exposure_of(ramp) == pytest.approx(np.sqrt(0.2275 / 0.25 * 0.428 / 0.9), rel=0.01)
    assert exposure_of(ramp / 2) == pytest.approx(exposure_of(ramp) / 2, rel=0.02)
    assert exposure_of(np.zeros((10, 10))) == exposure_of(np.full((10, 10), 1e-4)) == 0.2
    assert TO_LINEAR[188] == pytest.approx(0.5, abs=0.01)


def test_tones_follow_a_hard_vivid_photo_and_a_hazy_one(test_data):
    rgb = load_image((test_data / "dev/images/kodak_03.jpg").read_bytes()).rgb
    hard = np.clip((rgb.astype(int) - 90) * 2.5 + 110, 0, 255).astype(np.uint8)
    hazy = (rgb // 4 + 120).astype(np.uint8)
    swatches = np.array([[20, 20, 20], [110, 110, 110], [230, 230, 230], [180, 90, 60]], np.uint8)
    up, down = (look_of(photo).toned(swatches).astype(int) for photo in (hard, hazy))
    assert up[0, 0] < 10 and up[2, 0] > 245 and abs(up[1] - 110).max() <= 1
    assert down[0, 0] > 22 and down[2, 0] < 225 and abs(down[1] - 110).max() <= 1
    assert np.ptp(up[3]) > 130 and np.ptp(down[3]) < 110
    plain = look_of(rgb)
    assert (replace(plain, contrast=1.0, saturation=1.0).toned(swatches) == swatches).all()
