"""Cleaning: what is no surface goes, what is the object stays, in its place and with its looks."""

import numpy as np
import pytest
import trimesh

from model_zoo.finish.clean import clean
from model_zoo.io.errors import BadInput
from model_zoo.library import make


def test_a_good_mesh_keeps_its_shape_and_texture():
    mesh = make("mug", 1)
    cleaned = clean(mesh)
    assert np.allclose(cleaned.bounds, mesh.bounds) and np.isclose(cleaned.volume, mesh.volume, rtol=1e-3)
    assert cleaned.visual.kind == "texture" and len(cleaned.visual.uv) == len(cleaned.vertices)


def test_floating_specks_and_repeated_faces_go():
    ball, speck = trimesh.creation.icosphere(3), trimesh.creation.icosphere(1, radius=0.004)
    speck.apply_translation([3, 0, 0])
    both = trimesh.util.concatenate([ball, ball, speck])
    cleaned = clean(both)
    assert len(cleaned.faces) == len(ball.faces) and cleaned.bounds[1, 0] < 1.1


def test_small_but_real_parts_stay():
    cleaned = clean(make("clock", 1))
    assert np.allclose(cleaned.bounds, make("clock", 1).bounds)


def test_each_part_is_turned_to_face_outwards():
    inward, outward = trimesh.creation.icosphere(2), trimesh.creation.box()
    inward.invert()
    outward.apply_translation([3, 0, 0])
    assert clean(trimesh.util.concatenate([inward, outward])).volume > 4.5


def test_a_fine_mesh_is_capped_and_keeps_its_colours():
    ball = trimesh.creation.icosphere(5)
    ball.visual.vertex_colors = np.where(ball.vertices[:, :1] > 0, [[250, 10, 10, 255]], [[10, 10, 250, 255]])
    cleaned = clean(ball, most_faces=5000)
    assert 4000 < len(cleaned.faces) <= 5000
    assert (cleaned.visual.vertex_colors[cleaned.vertices[:, 0] > 0.1][:, 0] > 200).all()


def test_a_mesh_without_surface_is_refused_in_words():
    with pytest.raises(BadInput, match="no surface"):
        clean(trimesh.Trimesh([[0, 0, 0], [1, 0, 0], [2, 0, 0]], [[0, 1, 2]], process=False))
