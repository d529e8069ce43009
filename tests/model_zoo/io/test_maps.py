"""Maps beside the base colour of a glTF: which are kept, what they cost, and one atlas of each for many materials."""

import contextlib

import numpy as np
import pytest

from model_zoo.io.errors import BadInput
from model_zoo.io.gltf import read_glb
from model_zoo.io.meshes import export_glb, load_mesh
from model_zoo.io.textures import MissingTexture
from tests.model_zoo.io.makers import ODD_VALUES, each_value_replaced, encoded, glb, textured, unpacked

NORMAL, METAL, SHINE = (
    np.full((2, 2, 3), colour, np.uint8) for colour in ((128, 64, 220), (9, 100, 200), (0, 80, 255))
)


def mapped(maps: dict[str, dict], *, base: bool = True, **material: object) -> bytes:
    """The textured square with a normal, a metal and a glowing map in images 1 to 3; maps: what the material names."""
    document, binary = unpacked(textured())
    for picture in map(encoded, (NORMAL, METAL, SHINE)):
        document["bufferViews"].append({"buffer": 0, "byteOffset": len(binary), "byteLength": len(picture)})
        document["images"].append({"bufferView": len(document["bufferViews"]) - 1, "mimeType": "image/png"})
        document["textures"].append({"source": len(document["images"]) - 1})
        binary += picture
    document["buffers"] = [{"byteLength": len(binary)}]
    fields = document["materials"][0]
    fields.update(material)
    if not base:
        fields["pbrMetallicRoughness"] = {}
    for name, info in maps.items():
        (fields["pbrMetallicRoughness"] if name.startswith("metallic") else fields)[name] = info
    return glb(document, binary)


ALL_MAPS = {
    "normalTexture": {"index": 1},
    "metallicRoughnessTexture": {"index": 2},
    "emissiveTexture": {"index": 3},
}


def test_maps_are_kept_where_they_are_asked_for_and_survive_export() -> None:
    data = mapped(ALL_MAPS, emissiveFactor=[1, 0.5, 0])
    loaded = load_mesh(data, maps=True)
    assert not loaded.warnings
    again = load_mesh(export_glb(loaded.mesh, maps=True), maps=True).mesh
    for mesh in (loaded.mesh, again):
        material = mesh.visual.material
        assert np.array_equal(np.asarray(material.normalTexture), NORMAL)
        assert np.array_equal(np.asarray(material.metallicRoughnessTexture), METAL)
        assert np.array_equal(np.asarray(material.emissiveTexture), SHINE)
        assert (material.metallicFactor, material.roughnessFactor) == (1, 1)
        assert material.emissiveFactor.tolist() == [1, 0.5, 0]


def test_maps_are_left_out_with_a_word_where_nobody_asked() -> None:
    loaded = load_mesh(mapped(ALL_MAPS, emissiveFactor=[1, 1, 1]))
    assert loaded.warnings == [
        "only the base colour texture is kept; left out: emission, metal and roughness, normal"
    ]
    material = loaded.mesh.visual.material
    assert material.normalTexture is material.metallicRoughnessTexture is material.emissiveTexture is None
    assert (material.metallicFactor, material.roughnessFactor, material.emissiveFactor) == (0, 0.9, None)


def test_a_map_that_lies_otherwise_than_the_base_colour_is_left_out() -> None:
    moved = {"index": 1, "extensions": {"KHR_texture_transform": {"scale": [2, 2]}}}
    loaded = load_mesh(mapped(ALL_MAPS | {"normalTexture": moved}), maps=True)
    assert loaded.warnings == ["not every map is kept; left out: normal"]
    assert loaded.mesh.visual.material.normalTexture is None
    assert loaded.mesh.visual.material.metallicRoughnessTexture is not None


def test_maps_without_a_base_colour_lie_on_white() -> None:
    material = load_mesh(mapped(ALL_MAPS, base=False), maps=True).mesh.visual.material
    assert np.array_equal(np.asarray(material.normalTexture), NORMAL)
    assert np.asarray(material.baseColorTexture).min() == 255


def test_the_scale_of_a_normal_map_is_worked_into_it() -> None:
    info = {"index": 1, "scale": 0.5}
    steep = NORMAL[0, 0] / 127.5 - 1
    flat = steep * [0.5, 0.5, 1] / np.linalg.norm(steep * [0.5, 0.5, 1])
    got = np.asarray(load_mesh(mapped({"normalTexture": info}), maps=True).mesh.visual.material.normalTexture)
    assert np.allclose(got[0, 0] / 127.5 - 1, flat, atol=0.01)


def test_maps_beyond_the_pixels_of_a_mesh_are_left_out_and_the_mesh_is_kept(monkeypatch) -> None:
    monkeypatch.setattr("model_zoo.io.textures.MAX_TOTAL_PIXELS", 9)
    loaded = load_mesh(mapped(ALL_MAPS), maps=True)
    assert loaded.mesh.visual.material.baseColorTexture is not None
    assert loaded.mesh.visual.material.emissiveTexture is None
    assert any("megapixels" in warning for warning in loaded.warnings)


def in_pieces(*materials: dict, **attributes: object) -> bytes:
    """The mapped square once with each material; attributes: changes to those of the last, None takes one away."""
    document, binary = unpacked(mapped({}))
    first = document["meshes"][0]["primitives"][0]
    document["materials"] = list(materials)
    pieces = [first | {"material": number} for number in range(len(materials))]
    changed = first["attributes"] | attributes
    pieces[-1]["attributes"] = {name: at for name, at in changed.items() if at is not None}
    document["meshes"] = [{"primitives": pieces}]
    return glb(document, binary)


def material(base: bool = True, metallic: float = 1.0, roughness: float = 1.0, **fields: object) -> dict:
    """A material's JSON, its base colour the square's."""
    pbr: dict = {"metallicFactor": metallic, "roughnessFactor": roughness}
    pbr |= {"baseColorTexture": {"index": 0}} if base else {}
    pbr |= {key: fields.pop(key) for key in list(fields) if key == "metallicRoughnessTexture"}
    return {"pbrMetallicRoughness": pbr, **fields}


def middle(mesh: object, image: object, part: int) -> list[int]:
    """The pixel of an atlas in the middle of a piece of the square."""
    pixels = np.asarray(image)
    u, v = mesh.visual.uv[4 * part : 4 * part + 4].mean(0)  # type: ignore[attr-defined]
    return pixels[int((1 - v) * pixels.shape[0]), int(u * pixels.shape[1])].tolist()


def test_parts_with_different_maps_share_one_atlas_of_each_kind() -> None:
    data = in_pieces(material(**ALL_MAPS, emissiveFactor=[1, 1, 1]), material(True, 0.2, 0.6))
    mesh = load_mesh(data, maps=True).mesh
    looks = mesh.visual.material
    assert [middle(mesh, looks.metallicRoughnessTexture, part)[1:] for part in (0, 1)] == [
        [100, 200],
        [153, 51],
    ]
    assert [middle(mesh, looks.normalTexture, part) for part in (0, 1)] == [[128, 64, 220], [128, 128, 255]]
    assert [middle(mesh, looks.emissiveTexture, part) for part in (0, 1)] == [[0, 80, 255], [0, 0, 0]]


def test_parts_that_differ_in_a_number_alone_are_told_apart_in_the_atlas() -> None:
    glowing, dark = material(emissiveFactor=[1, 0, 0]), material(metallic=0.0, roughness=0.4)
    mesh = load_mesh(in_pieces(glowing, dark), maps=True).mesh
    looks = mesh.visual.material
    assert [middle(mesh, looks.emissiveTexture, part) for part in (0, 1)] == [[255, 0, 0], [0, 0, 0]]
    assert [middle(mesh, looks.metallicRoughnessTexture, part)[1:] for part in (0, 1)] == [
        [255, 255],
        [102, 0],
    ]


def test_an_atlas_is_as_fine_as_the_finest_map() -> None:
    document, binary = unpacked(in_pieces(material(normalTexture={"index": 1}), material()))
    fine = encoded(np.indices((256, 256)).sum(0)[..., None].repeat(3, 2).astype(np.uint8) % 2 * 255)
    document["bufferViews"].append({"buffer": 0, "byteOffset": len(binary), "byteLength": len(fine)})
    document["images"][1] = {"bufferView": len(document["bufferViews"]) - 1, "mimeType": "image/png"}
    document["buffers"] = [{"byteLength": len(binary) + len(fine)}]
    normals = load_mesh(glb(document, binary + fine), maps=True).mesh.visual.material.normalTexture
    assert {0, 255} <= set(np.unique(np.asarray(normals)[..., 0])) and min(normals.size) >= 256


@pytest.mark.parametrize(
    "broken", [{"index": 3, "texCoord": 1}, {"index": 9}, {"index": "x"}, {"index": 3, "texCoord": -1}]
)
def test_a_factor_means_nothing_without_its_map(broken: dict) -> None:
    """Else what is black in its emission map would be all aglow, and plastic a mirror."""
    dressed = material(emissiveTexture=broken, emissiveFactor=[1, 1, 1], metallicRoughnessTexture=broken)
    loaded = load_mesh(in_pieces(dressed), maps=True)
    looks = loaded.mesh.visual.material
    assert (looks.metallicFactor, looks.roughnessFactor, looks.emissiveFactor) == (0, 0.9, None)
    assert any("left out: emission, metal and roughness" in warning for warning in loaded.warnings)
    assert not any(isinstance(warning, MissingTexture) for warning in loaded.warnings)


def test_a_part_without_uv_has_no_maps_and_no_factors_of_them() -> None:
    dressed = material(**ALL_MAPS, emissiveFactor=[1, 1, 1])
    for pieces in ((dressed,), (dressed, dressed)):
        mesh = load_mesh(in_pieces(*pieces, TEXCOORD_0=None), maps=True).mesh
        looks = mesh.visual.material
        if len(pieces) == 1:
            assert (looks.metallicFactor, looks.roughnessFactor, looks.emissiveFactor) == (0, 0.9, None)
        else:
            assert middle(mesh, looks.emissiveTexture, 1) == [0, 0, 0]
            assert middle(mesh, looks.metallicRoughnessTexture, 1)[1:] == [230, 0]


def test_colours_of_corners_are_not_hidden_under_maps() -> None:
    data = in_pieces(material(base=False, normalTexture={"index": 1}), COLOR_0=0)
    for maps in (False, True):
        loaded = load_mesh(data, maps=maps)
        assert loaded.mesh.visual.kind == "vertex"
    assert any("left out: normal" in warning for warning in loaded.warnings)


def test_the_glow_of_plain_parts_survives_export() -> None:
    red = material(base=False, emissiveFactor=[1, 0.5, 0])
    mesh = load_mesh(in_pieces(red), maps=True).mesh
    again = load_mesh(export_glb(mesh, maps=True), maps=True).mesh
    assert again.visual.material.emissiveFactor.tolist() == [1, 0.5, 0]
    assert load_mesh(in_pieces(red, material(base=False)), maps=True).mesh.visual.kind == "vertex"


def test_many_materials_of_one_map_take_the_memory_of_one() -> None:
    """A file of a few kilobytes may name a large map in thousands of materials."""
    dressed = [material(base=False, normalTexture={"index": 1, "scale": 1 + n / 1000}) for n in range(300)]
    parts = read_glb(in_pieces(*dressed), [], maps=True)
    assert len({id(image) for part in parts for image in (part.material.texture, part.material.normal)}) == 2


@pytest.mark.parametrize("odd", ODD_VALUES)
def test_any_odd_value_in_a_material_with_maps_gives_no_more_than_bad_input(odd: object) -> None:
    document, binary = unpacked(mapped(ALL_MAPS, emissiveFactor=[1, 1, 1]))
    document["materials"][0]["normalTexture"] = {"index": 1, "scale": 2.0, "texCoord": 0}
    for changed in each_value_replaced(document["materials"], odd):
        with contextlib.suppress(BadInput):
            load_mesh(glb({**document, "materials": changed}, binary), maps=True)
