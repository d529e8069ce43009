"""Solid occupancy: the rule, computed another way, on real meshes and on broken ones."""

import numpy as np
import pytest
import trimesh

from model_zoo.build.occupancy import solid, touched
from model_zoo.build.shapes import canonical
from model_zoo.geometry.voxels import voxelise
from model_zoo.io.meshes import load_mesh
from tests.model_zoo.build.meshes import ball, holed, joined, meets, plain, rule

GRID = 24


def overlap(one: np.ndarray, other: np.ndarray) -> float:
    return (one & other).sum() / (one | other).sum()


def test_it_is_the_rule_on_real_meshes_and_on_the_same_with_holes(test_data) -> None:
    files = sorted((test_data / "dev/meshes").glob("*.glb"), key=lambda path: path.stat().st_size)[:30]
    worst = 1.0
    for number, path in enumerate(files):
        mesh, _, _ = canonical(load_mesh(path.read_bytes()).mesh)
        mesh = holed(mesh, 0.05, number) if number % 3 == 0 else mesh
        worst = min(worst, overlap(solid(mesh, 16), rule(mesh, 16)))
    assert worst >= 0.99


def test_a_voxel_is_touched_where_a_triangle_has_a_point_in_it() -> None:
    draw = np.random.default_rng(1)
    for size in (0.3, 2.0, 8.0):
        triangle = draw.uniform(2, 6, (1, 1, 3)) + draw.normal(scale=size, size=(1, 3, 3))
        triangle = triangle.clip(0.01, 7.99)
        voxels = np.argwhere(np.ones((8, 8, 8), bool))
        wanted = meets(triangle - (voxels + 0.5)[:, None])
        found = touched(triangle[0], np.array([[0, 1, 2]]), 8)
        assert (found.ravel() == wanted).all()


def test_a_face_in_the_plane_between_two_voxels_touches_both() -> None:
    square = np.array([[1.0, 1.0, 3.0], [2.5, 1.5, 3.0], [1.5, 2.5, 3.0]])
    found = touched(square, np.array([[0, 1, 2]]), 6)
    assert set(np.argwhere(found)[:, 2]) == {2, 3}


def broken(ball: trimesh.Trimesh) -> dict[str, trimesh.Trimesh]:
    """The same body, written badly."""
    v, f = np.asarray(ball.vertices), np.asarray(ball.faces)
    some = np.random.default_rng(0).random(len(f)) < 0.3
    mixed = np.where(some[:, None], f[:, ::-1], f)
    return {
        "inside out": plain(v, f[:, ::-1]),
        "faces each way": plain(v, mixed),
        "faces each way, no shared corner": plain(v[mixed].reshape(-1, 3), np.arange(f.size).reshape(-1, 3)),
        "every face twice": plain(v, np.concatenate([f, f])),
        "every face once for each side": plain(v, np.concatenate([f, f[:, ::-1]])),
        "some faces once for each side": plain(v, np.concatenate([f, f[some][:, ::-1]])),
        "cut by another inside it": joined(ball, plain(v * 0.6 + [0.1, 0, 0], f)),
    }


@pytest.mark.parametrize("fault", broken(ball()))
def test_a_badly_written_surface_encloses_what_it_should(fault: str) -> None:
    assert overlap(solid(broken(ball())[fault], GRID), solid(ball(), GRID)) > 0.99


def test_an_open_surface_is_solid_as_far_as_it_goes_round() -> None:
    bowl = holed(ball(), 0.15, 3)
    assert overlap(solid(bowl, GRID), solid(ball(), GRID)) > 0.9
    assert (solid(plain(bowl.vertices, bowl.faces[:, ::-1]), GRID) == solid(bowl, GRID)).all()


def test_a_cavity_stays_empty() -> None:
    inner = ball(0.35)
    shell = solid(joined(ball(), plain(inner.vertices, inner.faces[:, ::-1])), GRID)
    assert not shell[GRID // 2, GRID // 2, GRID // 2] and shell[1, GRID // 2, GRID // 2]


def test_a_sheet_laid_double_beside_a_body_fills_nothing() -> None:
    sheet = trimesh.creation.box((1, 0.0, 1)).vertices[[0, 1, 4, 5]]
    faces = np.array([[0, 1, 2], [1, 3, 2], [2, 1, 0], [2, 3, 1]])
    body = ball(0.2, (0, 0.25, 0))
    alone, both = solid(body, GRID), solid(joined(body, plain(sheet, faces)), GRID)
    assert (both & ~alone).sum() <= 2 * GRID**2  # the voxels on both sides of its plane


def test_its_axes_are_those_of_the_model(test_data) -> None:
    mesh, _, _ = canonical(load_mesh((test_data / "dev/meshes/od_koala.glb").read_bytes()).mesh)
    assert solid(mesh, 32)[voxelise(mesh, 32, solid=False)].mean() > 0.999
