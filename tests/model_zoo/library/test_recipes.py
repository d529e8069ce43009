"""The mesh library: every recipe gives a well-formed, varied, repeatable mesh."""

import numpy as np
import pytest

from model_zoo.library import families, make


def test_it_has_at_least_forty_categories():
    assert len(families()) >= 40


@pytest.mark.parametrize("category", families())
def test_every_mesh_is_whole_textured_and_stands_on_the_ground(category):
    mesh = make(category, 1)
    assert np.isfinite(mesh.vertices).all() and 40 < len(mesh.faces) < 50_000
    assert mesh.volume > 0 and np.abs(mesh.bounds[0, 1]) < 1e-6
    assert np.abs(mesh.bounds.mean(0)[[0, 2]]).max() < 1e-6
    assert 0.01 < mesh.extents.max() < 60
    assert mesh.visual.kind == "texture" and np.isfinite(mesh.visual.uv).all()


@pytest.mark.parametrize("category", ["mug", "chair", "dog"])
def test_numbers_vary_and_repeat(category):
    first, again, other = make(category, 1), make(category, 1), make(category, 2)
    assert np.array_equal(first.vertices, again.vertices) and np.array_equal(first.faces, again.faces)
    assert first.vertices.shape != other.vertices.shape or not np.allclose(first.vertices, other.vertices)
