"""Look-alikes: the same shape is found again whatever its size, place and triangles; others are kept."""

import numpy as np
import trimesh

from model_zoo.finish.dedupe import distinct, occupancy, same_shape
from model_zoo.library import make


def test_a_ball_fills_its_share_of_the_box():
    # Cells that the surface touches count, so the share is a little above that of the exact ball.
    assert np.pi / 6 < occupancy(trimesh.creation.icosphere(4)).mean() < np.pi / 6 + 0.09


def test_a_moved_scaled_and_refined_copy_is_the_same_shape():
    mesh = make("teapot", 1)
    copy = mesh.subdivide()
    copy.apply_scale(3.0)
    copy.apply_translation([1, 2, 3])
    assert same_shape(occupancy(mesh), occupancy(copy))


def test_a_stretched_copy_is_another_shape():
    mesh = make("teapot", 1)
    copy = mesh.copy()
    copy.apply_scale([1, 1.3, 1])
    assert not same_shape(occupancy(mesh), occupancy(copy))


def test_only_the_first_of_look_alikes_is_kept():
    mug, chair = make("mug", 1), make("chair", 1)
    assert distinct([mug, chair, mug.copy(), chair.copy()]) == [0, 1]
