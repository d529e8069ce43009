"""The signature finds the same object again in another file, frame or resolution, and tells others apart."""

import fast_simplification
import numpy as np
import pytest
import trimesh

from model_zoo.build.signature import signature_of
from model_zoo.build.twins import SHAPE_DISTANCE, clusters
from model_zoo.io.meshes import load_mesh
from tests.model_zoo.build.meshes import plain

SAME = {
    "avocado_gltf.zip": "avocado",
    "cycloidal_gear.ply": "cycloidal_gear",
    "featuretype_cad.stl": "featuretype_cad",
    "penguin.obj": "od_penguin",
    "spot_cow_obj.zip": "spot_cow",
    "ycb_banana_obj.zip": "ycb_banana",
}

AGAIN = ("od_koala", "ycb_scissors", "gso_frypan", "spot_cow")


@pytest.fixture(scope="module")
def known(test_data) -> dict[str, np.ndarray]:
    """Signatures of real meshes: every second one, and those that the tests ask for."""
    named = {*SAME.values(), *AGAIN}
    files = sorted((test_data / "dev/meshes").glob("*.glb"))
    files = [path for number, path in enumerate(files) if number % 2 or path.stem in named]
    return {path.stem: signature_of(load_mesh(path.read_bytes()).mesh) for path in files}


def test_no_two_different_objects_are_twins(known) -> None:
    assert clusters(np.array(list(known.values()))).max() == len(known) - 1


def test_the_same_object_in_another_format_is_found(known, test_data) -> None:
    for name, other in SAME.items():
        data = (test_data / "dev/formats" / name).read_bytes()
        apart = np.linalg.norm(signature_of(load_mesh(data, name=name).mesh) - known[other])
        assert apart < SHAPE_DISTANCE / 2, name


@pytest.mark.parametrize("name", AGAIN)
def test_it_is_found_turned_scaled_mirrored_and_decimated(known, name: str, test_data) -> None:
    mesh = load_mesh((test_data / f"dev/meshes/{name}.glb").read_bytes()).mesh
    turn = trimesh.transformations.random_rotation_matrix(np.array([0.1, 0.6, 0.3]))[:3, :3]
    vertices, faces = np.asarray(mesh.vertices), np.asarray(mesh.faces)
    whole = trimesh.Trimesh(vertices, faces, process=True)
    half = fast_simplification.simplify(np.float32(whole.vertices), np.int32(whole.faces), 0.5)
    copies = [
        plain(1000 * vertices @ turn.T + 7, faces),
        plain(vertices[:, [2, 0, 1]] * 0.01, faces),
        plain(vertices * [-1, 1, 1], faces[::-1, ::-1]),
        plain(*half),
    ]
    for copy in copies:
        assert np.linalg.norm(signature_of(copy) - known[name]) < SHAPE_DISTANCE
