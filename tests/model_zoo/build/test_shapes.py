"""From a mesh file to a shape: normalised, described, or refused with one line and what was measured."""

import io
import json

import numpy as np
import pytest

from model_zoo.build import encode
from model_zoo.build.kinds import MeshItem, Refused, Unfit
from model_zoo.build.shapes import canonical, open_shape, shape_members
from model_zoo.io.errors import BadInput
from model_zoo.io.meshes import export_glb, load_mesh
from tests.model_zoo.build.meshes import ball, joined, plain, shape_of

ITEM = MeshItem("thing.obj", "0123456789abcdef" * 4, licence="CC0-1.0", category="thing")


def obj(mesh, *lines: str) -> bytes:
    out = [*lines, *(f"v {x!r} {y!r} {z!r}" for x, y, z in np.asarray(mesh.vertices).tolist())]
    return "\n".join([*out, *(f"f {a} {b} {c}" for a, b, c in np.asarray(mesh.faces) + 1)]).encode()


def test_a_shape_is_centred_with_a_longest_side_of_one(test_data) -> None:
    path = test_data / "dev/meshes/ycb_banana.glb"
    shape = shape_of(path)
    assert np.allclose(shape.mesh.bounds.mean(0), 0, atol=1e-6)
    assert np.ptp(shape.mesh.bounds, axis=0).max() == pytest.approx(1, abs=1e-6)
    back = shape.centre + shape.side * np.asarray(shape.mesh.vertices)
    assert np.allclose(back, load_mesh(path.read_bytes()).mesh.vertices, atol=1e-6 * shape.side)


def test_its_members_are_read_back_as_they_were(test_data) -> None:
    shape = shape_of(test_data / "dev/meshes/avocado.glb")
    members = shape_members(shape)
    again = load_mesh(members["mesh.glb"]).mesh
    assert np.array_equal(again.vertices, shape.mesh.vertices)
    assert np.array_equal(encode.read_occupancy(members["occupancy.png"]), shape.occupancy)
    told = json.loads(members["json"])
    assert told["side"] == shape.side and told["measures"]["volume"] == shape.measures["volume"]
    assert members == shape_members(shape_of(test_data / "dev/meshes/avocado.glb"))


def test_every_hostile_file_is_a_shape_or_one_refusal(test_data) -> None:
    opened = set()
    for path in sorted((test_data / "hostile/mesh").iterdir()):
        try:
            shape_of(path)
        except BadInput as error:
            assert error.code and "\n" not in error.message
        else:
            opened.add(path.name)
    assert {"ok_tetra.glb", "glb_negative_scale.glb", "obj_negative_indices_ok.obj"} <= opened
    assert not opened & {"obj_two_scales.obj", "glb_texture_corrupt.glb", "stl_binary_starts_with_solid.stl"}


@pytest.mark.parametrize(
    "data",
    [
        obj(ball(), "mtllib gone.mtl", "usemtl paint"),
        b'{"asset": {"version": "2.0"}}',
    ],
)
def test_a_file_without_what_it_names_is_refused(data: bytes) -> None:
    with pytest.raises(BadInput):
        open_shape(data, ITEM)


def test_a_missing_texture_has_a_code_of_its_own(test_data) -> None:
    with pytest.raises(BadInput) as caught:
        open_shape(obj(ball(), "mtllib gone.mtl", "usemtl paint"), ITEM)
    assert caught.value.code == "missing_texture" and "gone.mtl" in caught.value.message
    with pytest.raises(BadInput) as caught:
        shape_of(test_data / "hostile/mesh/glb_texture_corrupt.glb")
    assert caught.value.code == "missing_texture"


@pytest.mark.parametrize("scale", [1e-8, 1e8])
def test_an_absurd_size_is_refused_with_the_size(scale: float) -> None:
    small = ball()
    with pytest.raises(Unfit) as caught:
        open_shape(obj(plain(small.vertices * scale, small.faces)), ITEM)
    assert caught.value.code == "bad_scale"
    assert caught.value.measures["side"] == pytest.approx(scale, rel=0.01)


def test_a_place_where_float32_has_lost_the_shape_is_refused() -> None:
    far = ball(0.5, (0, 0, 40_000))
    with pytest.raises(Unfit, match="steps of") as caught:
        open_shape(export_glb(far), ITEM)
    assert caught.value.measures["step"] > 1e-3
    assert open_shape(obj(far), ITEM).side == pytest.approx(1)  # decimal text has lost nothing


def test_a_refusal_tells_the_report_what_was_measured() -> None:
    speck = joined(ball(0.05), ball(0.001, (1, 0, 0)))
    with pytest.raises(Unfit) as caught:
        open_shape(obj(speck), ITEM)
    refused = Refused.of("speck", caught.value)
    assert refused.code == "no_volume" or refused.code == "stray_fragments"
    assert refused.measures["stray_extent"] > 0.8


def test_normals_of_the_file_are_kept(test_data) -> None:
    mesh = load_mesh((test_data / "dev/meshes/avocado.glb").read_bytes()).mesh
    moved, _, _ = canonical(mesh)
    assert np.allclose(moved.vertex_normals, mesh.vertex_normals, atol=1e-6)


def test_a_shape_keeps_the_maps_of_its_material_in_a_shard(test_data) -> None:
    shape = shape_of(test_data / "dev/meshes/avocado.glb")
    again = load_mesh(shape_members(shape)["mesh.glb"], maps=True).mesh
    for name in ("normalTexture", "metallicRoughnessTexture"):
        before, after = (getattr(m.visual.material, name) for m in (shape.mesh, again))
        assert np.array_equal(np.asarray(before), np.asarray(after)) and after.size == (1024, 1024)


def test_an_occupancy_png_is_small(test_data) -> None:
    shape = shape_of(test_data / "dev/meshes/spot_cow.glb")
    assert len(encode.occupancy_bytes(shape.occupancy)) < 5000
    assert io.BytesIO(encode.occupancy_bytes(shape.occupancy)).read(4) == b"\x89PNG"
