"""Pasting: soft edges in linear light, blur and grain of the photo, things hidden, contact shadows."""

import numpy as np
import pytest
import trimesh

from model_zoo.build.light import Look
from model_zoo.build.paste import contact_shadow, paste
from model_zoo.io.poses import Pose
from model_zoo.raster import AMBIENT, Raster
from model_zoo.render import intrinsics, pixel_rays

SIZE = (120, 90)
K = intrinsics(50, SIZE)
PLAIN = Look(AMBIENT, blur=0.0, grain=0.0)


@pytest.fixture(scope="module")
def ball():
    mesh = trimesh.creation.icosphere(4, radius=0.5)
    mesh.visual.face_colors = [220, 60, 30, 255]
    return Raster().draw([(mesh, Pose(np.eye(3), [0, 0, 2.5], np.ones(3)))], K, SIZE)


def rng():
    return np.random.default_rng(3)


def photo(size=SIZE, value=90):
    return np.full((size[1], size[0], 3), value, np.uint8)


def test_inside_is_the_picture_outside_the_photo_and_edges_mix_in_linear_light(ball):
    done = paste(photo(value=0), ball, PLAIN, rng())
    assert (done[ball.alpha == 255] == [220, 60, 30]).all() and not done[ball.alpha == 0].any()
    half = np.abs(ball.alpha.astype(int) - 128) < 30
    assert half.any() and (done[half, 0] > 140).all()  # mixed as sRGB values: 88 to 132


def test_a_picture_may_hang_over_the_edge(ball):
    for at in ((-60, 0), (100, 80), (0, -50), (500, 0), (-500, 0)):
        done = paste(photo(), ball, PLAIN, rng(), at=at)
        wanted = np.zeros(SIZE[::-1], bool)
        y, x = np.nonzero(ball.alpha == 255)
        inside = (x + at[0] >= 0) & (x + at[0] < SIZE[0]) & (y + at[1] >= 0) & (y + at[1] < SIZE[1])
        wanted[y[inside] + at[1], x[inside] + at[0]] = True
        assert (done[wanted] == [220, 60, 30]).all() and (done == 90).all(-1).sum() >= (~wanted).sum() - 400


def test_a_soft_photo_softens_the_edge_and_a_grainy_one_grains_the_inside_only(ball):
    def width(done):
        row = done[45, :, 0].astype(int)
        return ((row > 95) & (row < 215)).sum()

    sharp, soft = (paste(photo(), ball, Look(AMBIENT, blur, 0.0), rng()) for blur in (0.0, 1.5))
    assert width(soft) >= width(sharp) + 4
    grainy = paste(photo(), ball, Look(AMBIENT, 0.0, 5.0), rng())
    inside = grainy[ball.alpha == 255].astype(int) - [220, 60, 30]
    assert 4 < inside[:, 1].std() < 6.5 and (grainy[ball.alpha == 0] == 90).all()
    assert (paste(photo(), ball, Look(AMBIENT, 0.0, 5.0), rng()) == grainy).all()


def test_what_is_hidden_shows_the_photo(ball):
    hidden = np.zeros(SIZE[::-1], bool)
    hidden[:, :60] = True
    done = paste(photo(), ball, PLAIN, rng(), hidden=hidden)
    assert (done[:, :58] == 90).all() and (done[45, 63:70] == [220, 60, 30]).all()
    assert 90 < done[45, 60, 0] < 220 or 90 < done[45, 59, 0] < 220


def test_a_contact_shadow_lies_round_the_foot_and_nowhere_else():
    floor = trimesh.creation.box([6, 0.02, 8])
    floor.apply_translation([0, 1.01, 5])
    wall = trimesh.creation.box([6, 6, 0.02])
    wall.apply_translation([0, 0, 8])
    still = Pose(np.eye(3), np.zeros(3), np.ones(3))
    scene = Raster().draw([(floor, still), (wall, still)], K, SIZE)
    points = pixel_rays(K, SIZE) * scene.depth[..., None]
    points[scene.instance < 0] = np.nan
    box = trimesh.creation.box([0.6, 0.6, 0.6])
    box.apply_translation([0, 0.7, 4])  # its foot at y = 1 stands on the floor
    thing = Raster().draw([(box, still)], K, SIZE)
    surface = (pixel_rays(K, SIZE) * thing.depth[..., None])[thing.mask]
    shade = contact_shadow(points, surface)
    assert shade.min() < 0.75 and shade.max() == 1.0
    assert (shade[scene.instance == 1] > 0.98).all()  # the wall far behind
    assert (shade[~np.isfinite(points).all(-1)] > 0.9).all()
    dark = shade < 0.9
    with np.errstate(invalid="ignore"):
        apart = np.linalg.norm(points[dark][:, [0, 2]] - [0, 4], axis=1)
    assert dark.sum() > 20 and np.nanmax(apart) < 0.8
    floating = contact_shadow(points, surface - [0, 0.6, 0])
    assert (floating > 0.99).all()
    assert (contact_shadow(points, surface[:3]) == 1).all()
    photo_ = photo()
    done = paste(photo_, thing, PLAIN, rng(), shadow=shade)
    assert (done[dark & (thing.alpha == 0)] < 90).all() and (
        done[(shade == 1) & (thing.alpha == 0)] == 90
    ).all()
