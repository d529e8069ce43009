"""Cameras and lights: the same for a seed, within their documented ranges, the object whole and centred."""

import numpy as np
import pytest

from model_zoo.build import cameras
from tests.model_zoo.build.meshes import ball

NAME, VIEWS, SIZE = "ab" * 32, 24, 512


@pytest.fixture(scope="module")
def vertices() -> np.ndarray:
    return np.asarray(ball().vertices) * [1, 0.3, 0.1]


def drawn(vertices: np.ndarray, seed: int = 0, name: str = NAME) -> list[cameras.Camera]:
    return [cameras.camera(seed, name, view, VIEWS, vertices, SIZE) for view in range(VIEWS)]


def test_the_object_is_whole_centred_and_fills_the_picture_but_a_margin(vertices) -> None:
    for camera in drawn(vertices):
        points = camera.apply(vertices)
        assert points[:, 2].min() >= cameras.CLEAR - 1e-5
        pixels = (points @ camera.K.T)[:, :2] / points[:, 2:]
        reach = np.abs(pixels - (SIZE - 1) / 2).max() / (SIZE / 2)
        near = points[:, 2].min() < cameras.CLEAR + 1e-5
        assert reach <= 1 - 2 * cameras.MARGIN[0] + 1e-6
        assert near or reach >= 1 - 2 * cameras.MARGIN[1] - 1e-6
        assert np.allclose(camera.apply(np.zeros((1, 3)))[0, :2], 0)


def test_it_looks_from_everywhere_nearly_upright(vertices) -> None:
    made = drawn(vertices)
    for camera in made:
        assert np.allclose(camera.R @ camera.R.T, np.eye(3), atol=1e-8) and np.linalg.det(camera.R) > 0
        up = camera.R @ [0, 1, 0]
        assert np.degrees(np.arctan2(abs(up[0]), -up[1])) <= cameras.ROLL + 1e-6
    away = np.array([-camera.R.T @ camera.t for camera in made])
    away /= np.linalg.norm(away, axis=1)[:, None]
    nearest = np.sort(away @ away.T, axis=1)[:, -2]
    assert np.degrees(np.arccos(nearest)).min() > 25  # 24 points spread over a sphere
    assert np.linalg.norm(away.mean(0)) < 0.05


def test_a_seed_and_a_mesh_give_the_same_cameras_and_lights_again(vertices) -> None:
    one, again, other = (drawn(vertices, *how) for how in ((3, NAME), (3, NAME), (3, "cd" * 32)))
    assert all(np.array_equal(a.R, b.R) and np.array_equal(a.t, b.t) for a, b in zip(one, again, strict=True))
    assert not any(np.allclose(a.R, b.R) for a, b in zip(one, other, strict=True))
    assert cameras.lighting(3, NAME, 5) == cameras.lighting(3, NAME, 5) != cameras.lighting(3, NAME, 6)


def test_directions_are_as_likely_everywhere() -> None:
    drawn = np.concatenate([cameras.directions(0, str(number), 6) for number in range(800)])
    assert np.abs(drawn.mean(0)).max() < 0.01
    assert np.allclose(drawn.T @ drawn / len(drawn), np.eye(3) / 3, atol=0.01)


def test_lights_keep_their_ranges_and_the_exposure() -> None:
    counts = set()
    for view in range(200):
        light = cameras.lighting(0, NAME, view)
        counts.add(len(light.lights))
        key = np.array(light.lights[0].towards)
        assert -key[2] >= np.cos(np.radians(cameras.KEY_CONE)) - 1e-6
        got = np.array(light.ambient) + np.array(light.sky) * (0.5 - 0.5 * cameras.FACING[:, 1:2])
        for one in light.lights:
            assert np.linalg.norm(one.towards) == pytest.approx(1, abs=1e-6)
            got = got + np.clip(cameras.FACING @ one.towards, 0, None)[:, None] * one.colour
        brightest = (got @ cameras.LUMINANCE).max()
        assert cameras.EXPOSURE[0] - 1e-6 <= brightest <= cameras.EXPOSURE[1] + 1e-6
    assert counts == {1, 2, 3}


def test_a_black_body_goes_from_red_over_white_to_blue() -> None:
    warm, day, cold = (cameras.blackbody(kelvin) for kelvin in (3200, 6504, 9000))
    assert warm[0] > warm[1] > warm[2] and cold[2] > cold[1] > cold[0]
    assert np.allclose(day, 1, atol=0.06)
    assert all(colour @ cameras.LUMINANCE == pytest.approx(1, abs=1e-3) for colour in (warm, day, cold))


def test_backgrounds_are_plain_and_half_of_them_grey() -> None:
    made = [cameras.background(0, NAME, view) for view in range(400)]
    grey = np.mean([len(set(colour)) == 1 for colour in made])
    assert 0.4 < grey < 0.6
