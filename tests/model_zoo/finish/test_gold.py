"""Spoilt twins: every lesson makes a mesh clearly worse, keeps it where it was, and always in the same way."""

import numpy as np
import pytest
import trimesh

from model_zoo.finish.clean import clean
from model_zoo.finish.gold import LESSONS, corrupted, plain
from model_zoo.metrics import chamfer


def meshes() -> list[trimesh.Trimesh]:
    """A box of twelve triangles, a ball, and a long tube, none of them at the origin."""
    made = [
        trimesh.creation.box((0.4, 0.3, 0.5)),
        trimesh.creation.icosphere(subdivisions=4, radius=0.3),
        trimesh.creation.annulus(0.1, 0.2, 0.9),
    ]
    for mesh in made:
        mesh.apply_translation([0.3, -0.2, 1.0])
    return made


def surface(mesh: trimesh.Trimesh) -> np.ndarray:
    """3,000 points of it."""
    return trimesh.sample.sample_surface(mesh, 3000, seed=0)[0]


@pytest.mark.parametrize("lesson", LESSONS)
def test_a_lesson_spoils_every_mesh_visibly_and_survives_cleaning(lesson: str) -> None:
    for mesh in meshes():
        worse = clean(corrupted(mesh, lesson, 3))
        size = float(mesh.extents.max())
        far = np.linalg.norm(surface(worse)[:, None] - surface(mesh)[None, :1000], axis=2).min(1)
        back = np.linalg.norm(surface(mesh)[:1000, None] - surface(worse)[None], axis=2).min(1)
        # A twentieth of the size away somewhere on a good part of one of the surfaces: nobody overlooks it.
        assert max((far > 0.05 * size).mean(), (back > 0.05 * size).mean()) > 0.05
        assert len(worse.faces) > 500 and np.isfinite(worse.vertices).all()


def test_the_same_seed_gives_the_same_twin() -> None:
    ball = meshes()[1]
    assert np.array_equal(corrupted(ball, "bumpy", 5).vertices, corrupted(ball, "bumpy", 5).vertices)
    assert not np.array_equal(corrupted(ball, "bumpy", 5).vertices, corrupted(ball, "bumpy", 6).vertices)


def test_the_good_mesh_is_left_as_it_was() -> None:
    ball = meshes()[1]
    before = ball.vertices.copy()
    for lesson in LESSONS:
        corrupted(ball, lesson, 1)
    assert np.array_equal(ball.vertices, before)
    assert chamfer(surface(plain(ball)), surface(ball)) < 0.02


def test_texture_and_colours_are_left_out_of_both() -> None:
    box = meshes()[0]
    box.visual.vertex_colors = np.tile([[255, 0, 0, 255]], (len(box.vertices), 1))
    assert plain(box).visual.kind is None and corrupted(box, "holes", 1).visual.kind is None


def test_an_unknown_lesson_is_an_error() -> None:
    with pytest.raises(KeyError):
        corrupted(meshes()[0], "ugly", 1)
