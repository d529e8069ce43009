"""Texture coordinates lie in 0..1 without overlap, and every texel knows its place on the surface."""

import numpy as np
import pytest
import trimesh

from model_zoo.extract.unwrap import texels_of, unwrapped
from model_zoo.io.errors import BadInput

SIDE = 128


@pytest.fixture(scope="module")
def mesh():
    return trimesh.creation.torus(0.3, 0.12, major_sections=24, minor_sections=12)


def test_charts_lie_inside_the_texture_and_do_not_overlap(mesh):
    laid = unwrapped(mesh, SIDE)
    uv = np.asarray(laid.visual.uv)
    assert uv.min() >= 0 and uv.max() <= 1 and len(laid.faces) == len(mesh.faces)
    corners = uv[laid.faces] * SIDE
    middles = (np.indices((SIDE, SIDE))[::-1].reshape(2, -1).T + 0.5)[:, None]
    covered = np.zeros(len(middles), int)
    for start in range(0, len(corners), 128):
        a, b, c = corners[start : start + 128].transpose(1, 0, 2)
        cross = lambda o, p, q: (p - o)[..., 0] * (q - o)[..., 1] - (p - o)[..., 1] * (q - o)[..., 0]  # noqa: E731
        signs = np.stack([cross(p, q, middles) for p, q in ((a, b), (b, c), (c, a))])
        covered += ((signs > 1e-9).all(0) | (signs < -1e-9).all(0)).sum(1)
    assert covered.max() == 1 and covered.sum() > 0.4 * SIDE**2


def test_faces_corners_and_normals_are_kept_in_order(mesh):
    laid = unwrapped(mesh, SIDE)
    assert laid.vertices[laid.faces] == pytest.approx(mesh.vertices[mesh.faces], abs=1e-6)
    one, other = (np.asarray(m.vertex_normals)[m.faces] for m in (laid, mesh))
    assert one == pytest.approx(other, abs=1e-5)


def test_texels_lie_on_the_surface_where_their_coordinates_say(mesh):
    laid = unwrapped(mesh, SIDE)
    texels = texels_of(laid, SIDE)
    uv = np.einsum("nk,nkd->nd", texels.weights, np.asarray(laid.visual.uv)[laid.faces[texels.face]])
    assert uv[:, 0] * SIDE == pytest.approx(texels.column + 0.5, abs=1e-2)
    assert (1 - uv[:, 1]) * SIDE == pytest.approx(texels.row + 0.5, abs=1e-2)
    ring = np.hypot(np.linalg.norm(texels.points[:, :2], axis=1) - 0.3, texels.points[:, 2])
    assert ring == pytest.approx(0.12, abs=0.01)


def test_the_layout_is_the_same_on_every_run(mesh):
    assert np.array_equal(unwrapped(mesh, SIDE).visual.uv, unwrapped(mesh, SIDE).visual.uv)


def test_a_mesh_that_has_nothing_to_lay_out_is_refused():
    with pytest.raises(BadInput, match="without faces"):
        unwrapped(trimesh.Trimesh(), SIDE)
    with pytest.raises(BadInput, match="not finite"):
        unwrapped(trimesh.Trimesh([[0, 0, 0], [1, 0, 0], [0, np.nan, 0]], [[0, 1, 2]], process=False), SIDE)
