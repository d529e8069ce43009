"""A finished proposal is stored as three things: the mesh as proposed, a copy for the page, a picture."""

import io

import numpy as np
from PIL import Image as Picture

from model_zoo.io.meshes import load_mesh
from model_zoo.library import make
from workers.finishing import finish


def test_a_finished_mesh_is_what_was_proposed() -> None:
    mesh = make("mug", 1)
    delivered = load_mesh(finish(mesh).glb).mesh
    np.testing.assert_allclose(delivered.bounds, mesh.bounds, atol=1e-6)
    assert len(delivered.faces) == len(mesh.faces)


def test_the_viewer_copy_is_compressed_and_the_pictures_are_png() -> None:
    done = finish(make("mug", 1))
    assert b"EXT_meshopt_compression" in done.viewer and b"mug" not in done.viewer
    assert Picture.open(io.BytesIO(done.thumbnail)).format == "PNG"
    assert Picture.open(io.BytesIO(done.turntable)).size == (1792, 224)


def test_the_same_mesh_is_finished_to_the_same_bytes() -> None:
    first, second = finish(make("mug", 1)), finish(make("mug", 1))
    assert first.glb == second.glb and first.viewer == second.viewer
    assert (first.thumbnail, first.turntable) == (second.thumbnail, second.turntable)
