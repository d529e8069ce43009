"""Taking an object out: the floor goes on behind it, the picture from its own surroundings, and nothing else changes."""

import numpy as np
import pytest

from model_zoo.build import inpaint, site
from model_zoo.build.exemplar import FRONT, REST, SUPPORT, fill, push_pull
from model_zoo.io.errors import BadInput
from model_zoo.io.scenes import scan
from tests.model_zoo.build.rgbd import WORLD, K, known


@pytest.fixture(scope="module")
def seen():
    return known()


def test_the_floor_and_the_wall_go_on_behind_the_box(seen):
    background = inpaint.without(seen.rgb, seen.z, seen.box, [seen.post])
    hole = background.hole
    assert (hole & seen.box).sum() == seen.box.sum()
    off = abs(background.depth / seen.empty_z - 1)[hole]
    floor = (hole & (seen.empty_z < 1.6))[hole]
    assert np.median(off[floor]) < 0.002 and np.quantile(off[floor], 0.9) < 0.02
    assert np.quantile(off, 0.9) < 0.12
    assert (background.depth[seen.box] > seen.z[seen.box] * 0.99).all()
    assert (background.depth[~hole] == seen.z[~hole]).all()


def test_the_plane_is_the_floor(seen):
    normal = inpaint.without(seen.rgb, seen.z, seen.box, [seen.post]).plane @ K
    up, height = -normal / np.linalg.norm(normal), -1 / np.linalg.norm(normal)
    np.testing.assert_allclose(up, WORLD.R[:, 1], atol=0.01)
    assert height == pytest.approx(WORLD.R[:, 1] @ WORLD.t, abs=0.005)


def test_the_floors_pattern_goes_on_and_the_box_is_gone(seen):
    background = inpaint.without(seen.rgb, seen.z, seen.box, [seen.post])
    hole, rgb = background.hole, background.rgb.astype(int)
    assert (rgb[~hole] == seen.rgb[~hole]).all()
    red = (rgb[..., 0] - rgb[..., 2])[hole]
    assert np.quantile(red, 0.98) < 25, "the box is red, the rest is grey"
    assert abs(rgb - seen.empty_rgb)[hole].mean() < 22
    floor = hole & (seen.empty_z < 1.6)
    assert rgb[floor].std() > 0.5 * seen.empty_rgb[floor].std(), "tiles, not a smear"


def test_what_stands_before_the_object_is_neither_taken_out_nor_copied(seen):
    background = inpaint.without(seen.rgb, seen.z, seen.box, [seen.post])
    inner = seen.post & ~inpaint.binary_dilation(seen.box, iterations=2)
    assert not (background.hole & inner).any()
    blue = (background.rgb[..., 2].astype(int) - background.rgb[..., 0])[background.hole & ~seen.post]
    assert (blue > 60).mean() < 0.01


def test_another_inpainter_is_a_callable_that_is_told_the_regions(seen):
    told = {}

    def paint(rgb, hole, regions, plane):
        told.update(hole=hole, regions=regions, plane=plane)
        return np.where(hole[..., None], np.uint8([1, 2, 3]), rgb)

    background = inpaint.without(seen.rgb, seen.z, seen.box, [seen.post], inpainter=paint)
    assert (background.rgb[background.hole] == [1, 2, 3]).all()
    assert set(np.unique(told["regions"])) == {FRONT, SUPPORT, REST} and told["plane"] is not None


def test_gaps_close_along_the_edge_that_the_photo_shows():
    rgb = np.zeros((40, 60, 3), np.uint8)
    rgb[:, 33:] = 200
    depth = np.where(np.arange(60) < 33, 1.0, 2.0) * np.ones((40, 1))
    gap = depth.copy()
    gap[:, 27:38] = np.nan
    gap[5, 5] = 9.0
    np.testing.assert_array_equal(inpaint.close_gaps(rgb, gap), depth)
    gap[:, 8:52] = np.nan
    closed = inpaint.close_gaps(rgb, gap)
    assert np.isnan(closed[:, 25:35]).all() and np.isfinite(closed[:, :20]).all()
    assert np.isnan(inpaint.close_gaps(rgb, np.full((40, 60), np.nan))).all()


def test_push_pull_keeps_what_is_known_and_a_constant():
    known_part = np.random.default_rng(0).random((37, 53)) < 0.1
    values = np.full((37, 53, 2), 5.0)
    np.testing.assert_allclose(
        push_pull(np.where(known_part[..., None], values, 99), known_part), 5.0, rtol=1e-5
    )


@pytest.mark.parametrize("case", ["no depth", "no surroundings", "thin", "corner", "all but a rim"])
def test_poor_places_are_filled_without_a_fault(seen, case):
    rgb, z, mask = seen.rgb, seen.z.copy(), np.zeros_like(seen.box)
    if case == "no depth":
        z[:], mask = np.nan, seen.box
    elif case == "no surroundings":
        mask[:] = True
    elif case == "thin":
        mask[70, 20:150] = True
    elif case == "corner":
        mask[:9, :9] = True
    else:
        mask[4:-4, 4:-4] = True
    background = inpaint.without(rgb, z, mask)
    assert background.rgb.shape == rgb.shape and background.rgb.dtype == np.uint8
    assert (background.rgb[~background.hole] == rgb[~background.hole]).all()


def test_an_empty_mask_is_refused(seen):
    with pytest.raises(BadInput, match="empty"):
        inpaint.without(seen.rgb, seen.z, np.zeros_like(seen.box))


def test_a_real_scene_is_the_same_each_time_and_has_depth_behind_every_object(test_data):
    scene = next(s for s in scan(test_data / "dev/rgbd") if getattr(s, "name", "") == "ycb_table_5")
    view = site.view_of(scene, 256)
    masks = {name: site.resized_mask(mask, view.size) for name, mask in scene.masks.items()}
    closed = inpaint.close_gaps(view.rgb, view.z)
    for name, mask in list(masks.items())[::2]:
        others = [other for key, other in masks.items() if key != name]
        first, second = (inpaint.without(view.rgb, closed, mask, others) for _ in range(2))
        assert (first.rgb == second.rgb).all() and first.plane is not None
        assert np.isfinite(first.depth[first.hole]).all()
        where = mask & np.isfinite(closed)
        assert np.mean(first.depth[where] >= 0.97 * closed[where]) > 0.97
        assert (first.rgb[mask] != view.rgb[mask]).any(-1).mean() > 0.9


def test_a_flat_colour_is_filled_by_itself():
    rgb = np.full((50, 60, 3), 77, np.uint8)
    hole = np.zeros((50, 60), bool)
    hole[15:35, 20:40] = True
    rgb[hole] = 255
    filled = fill(rgb, hole, np.full(hole.shape, REST), None)
    assert (filled == 77).all()
