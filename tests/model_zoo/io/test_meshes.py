"""The mesh door: what a broken container says, what is mended, and what is kept."""

import contextlib
import json
import struct

import numpy as np
import pytest

from model_zoo.io.errors import BadInput
from model_zoo.io.gltf import read_glb
from model_zoo.io.meshes import export_glb, load_mesh
from model_zoo.io.textures import MissingTexture
from tests.model_zoo.io import makers
from tests.model_zoo.io.makers import (
    OBJ,
    ODD_VALUES,
    binary_stl,
    each_value_replaced,
    encoded,
    glb,
    photo,
    tetra_document,
    zipped,
)


def with_changes(**by_path: object) -> bytes:
    """The tetrahedron's GLB with values at paths such as accessors__0__count."""
    document = tetra_document()
    for path, value in by_path.items():
        *way, last = [int(step) if step.isdigit() else step for step in path.split("__")]
        place: object = document
        for step in way:
            place = place[step]  # type: ignore[index]
        place[last] = value  # type: ignore[index]
    return glb(document)


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"accessors__0__count": 4_000_000_000}, "exceeds its buffer view"),
        ({"accessors__0__count": -1}, "count must be a whole number"),
        ({"accessors__0__byteOffset": 4}, "exceeds its buffer view"),
        ({"accessors__0__type": "VEC2"}, "wrong type"),
        ({"accessors__1__componentType": 5122}, "unsigned whole numbers"),
        ({"bufferViews__0__byteOffset": 10**9}, "out of range"),
        ({"bufferViews__0__byteStride": 4}, "byte stride"),
        ({"buffers__0__byteLength": 10**12}, "declares"),
        ({"buffers__0__uri": "http://127.0.0.1/x"}, "outside file"),
        ({"buffers__0__uri": "file:///etc/passwd"}, "outside file"),
        ({"nodes__0__children": [0]}, "cycle"),
        ({"nodes__0__mesh": 7}, r"meshes\[7\], which does not exist"),
        ({"nodes__0__matrix": [1, 2]}, "16 numbers"),
        ({"nodes__0__rotation": [0, 0, 0, 0]}, "unit quaternion"),
        ({"nodes__0__scale": [1e300, 1, 1]}, "out of range"),
        ({"meshes__0__primitives__0__mode": 0}, "no triangles"),
        ({"meshes__0__primitives": "x"}, "not a list"),
        ({"scenes__0__nodes": []}, "no geometry"),
        ({"extensionsRequired": ["KHR_draco_mesh_compression"]}, "KHR_draco_mesh_compression.*without Draco"),
        ({"extensionsRequired": ["EXT_meshopt_compression"]}, "EXT_meshopt_compression.*without meshopt"),
        ({"extensionsRequired": ["XYZ_made_up"]}, "XYZ_made_up"),
        ({"asset__version": "1.0"}, "only glTF 2"),
    ],
)
def test_a_fault_in_a_gltf_document_is_named(changes: dict, match: str) -> None:
    with pytest.raises(BadInput, match=match):
        load_mesh(with_changes(**changes))


@pytest.mark.parametrize("cut", range(0, 700, 23))
def test_a_glb_cut_anywhere_is_refused(cut: int) -> None:
    data = glb()
    with pytest.raises(BadInput):
        load_mesh(data[: min(cut, len(data) - 1)], name="x.glb")


def test_extensions_that_only_dress_the_surface_are_accepted() -> None:
    data = with_changes(extensionsRequired=["KHR_texture_transform", "KHR_materials_unlit"])
    assert len(load_mesh(data).mesh.faces) == 4


def test_node_transforms_are_applied_and_a_mirror_keeps_the_outside_out() -> None:
    nodes = [{"children": [1], "translation": [1, 2, 3]}, {"mesh": 0, "scale": [-2, 1, 1]}]
    mesh = load_mesh(with_changes(nodes=nodes)).mesh
    assert np.allclose(mesh.bounds, [[-1, 2, 3], [1, 3, 4]])
    assert mesh.volume == pytest.approx(2 / 6)


def test_strips_and_fans_become_triangles_facing_one_way() -> None:
    square = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [1, 1, 0]], "<f4")
    for mode, order in ((5, [0, 1, 2, 3]), (6, [0, 1, 3, 2])):
        document = tetra_document()
        document["meshes"][0]["primitives"][0]["mode"] = mode
        document["accessors"][1]["count"] = 4
        mesh = load_mesh(glb(document, square.tobytes() + np.array(order * 3, "<u2").tobytes())).mesh
        assert len(mesh.faces) == 2 and np.allclose(mesh.face_normals, [0, 0, 1])


def unpacked(data: bytes) -> tuple[dict, bytes]:
    """The JSON and the binary of a GLB."""
    length = int.from_bytes(data[12:16], "little")
    return json.loads(data[20 : 20 + length]), data[28 + length :]


def textured(transform: dict | None = None) -> bytes:
    """A square with a 2x2 texture: red, green over blue, white."""
    corners = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [1, 1, 0]], "<f4")
    uv = np.array([[0, 1], [1, 1], [0, 0], [1, 0]], "<f4")
    pixels = np.array([[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [255, 255, 255]]], np.uint8)
    binary = corners.tobytes() + np.array([0, 1, 2, 1, 3, 2], "<u2").tobytes() + uv.tobytes()
    picture = encoded(pixels)
    info = {"index": 0, **({"extensions": {"KHR_texture_transform": transform}} if transform else {})}
    document = tetra_document() | {
        "materials": [{"pbrMetallicRoughness": {"baseColorTexture": info}}],
        "textures": [{"source": 0}],
        "images": [{"bufferView": 3, "mimeType": "image/png"}],
    }
    document["accessors"] = [
        {"bufferView": 0, "componentType": 5126, "count": 4, "type": "VEC3"},
        {"bufferView": 1, "componentType": 5123, "count": 6, "type": "SCALAR"},
        {"bufferView": 2, "componentType": 5126, "count": 4, "type": "VEC2"},
    ]
    places = [(0, 48), (48, 12), (60, 32), (92, len(picture))]
    document["bufferViews"] = [{"buffer": 0, "byteOffset": a, "byteLength": n} for a, n in places]
    document["buffers"] = [{"byteLength": 92 + len(picture)}]
    primitive = {"attributes": {"POSITION": 0, "TEXCOORD_0": 2}, "indices": 1, "material": 0}
    document["meshes"] = [{"primitives": [primitive]}]
    return glb(document, binary + picture)


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


def test_a_grey_texture_of_16_bits_keeps_its_shades() -> None:
    document, binary = unpacked(textured())
    grey = encoded(np.array([[0, 0x4000], [0x8000, 0xFFFF]], np.uint16))
    document["bufferViews"].append({"buffer": 0, "byteOffset": len(binary), "byteLength": len(grey)})
    document["images"] = [{"bufferView": len(document["bufferViews"]) - 1, "mimeType": "image/png"}]
    document["buffers"] = [{"byteLength": len(binary) + len(grey)}]
    image = load_mesh(glb(document, binary + grey)).mesh.visual.material.baseColorTexture
    assert np.asarray(image)[..., 0].tolist() == [[0, 63], [127, 255]]


def colour_at(mesh: object, corner: int) -> list[int]:
    """The texture's pixel at a corner of the square, moved a quarter inwards."""
    visual = mesh.visual  # type: ignore[attr-defined]
    u, v = np.asarray(visual.uv[corner]) * 0.5 + 0.25
    image = np.asarray(visual.material.baseColorTexture)
    return image[min(int((1 - v) * image.shape[0]), image.shape[0] - 1), int(u * image.shape[1])].tolist()


def test_a_texture_lands_on_the_corner_that_gltf_puts_it_on() -> None:
    mesh = load_mesh(export_glb(load_mesh(textured()).mesh)).mesh
    assert [colour_at(mesh, corner) for corner in range(4)] == [
        [0, 0, 255],
        [255, 255, 255],
        [255, 0, 0],
        [0, 255, 0],
    ]


def test_a_texture_transform_is_applied() -> None:
    plain, moved = (
        load_mesh(textured(t)).mesh.visual.uv for t in (None, {"scale": [0.5, 0.5], "offset": [0.25, 0]})
    )
    assert np.allclose(moved[:, 0], plain[:, 0] * 0.5 + 0.25)
    assert np.allclose(1 - moved[:, 1], (1 - plain[:, 1]) * 0.5)


def test_a_texture_passes_through_export_without_another_encoding() -> None:
    data = textured()
    picture = data[data.index(b"\x89PNG") : data.index(b"IEND") + 8]
    assert picture in export_glb(load_mesh(data).mesh)


def test_a_texture_bomb_is_refused_by_its_header() -> None:
    data = textured()
    start, end = data.index(b"\x89PNG"), data.index(b"IEND") + 8
    bomb = data[:start] + makers.png_header(30_000, 30_000)
    bomb = bomb.ljust(end, b"\0") + data[end:]
    with pytest.raises(BadInput, match="texture 0: the image is too large: 30000x30000"):
        load_mesh(bomb)


def test_parts_of_different_colours_become_vertex_colours() -> None:
    materials = [{"pbrMetallicRoughness": {"baseColorFactor": c}} for c in ([1, 0, 0, 1], [0, 0, 0.5, 1])]
    primitive = {"attributes": {"POSITION": 0}, "indices": 1}
    primitives = [{**primitive, "material": 0}, {**primitive, "material": 1}]
    mesh = load_mesh(
        glb(tetra_document() | {"materials": materials, "meshes": [{"primitives": primitives}]})
    ).mesh
    assert mesh.visual.vertex_colors[0].tolist() == [255, 0, 0, 255]
    assert mesh.visual.vertex_colors[-1].tolist() == [0, 0, 188, 255]
    again = load_mesh(export_glb(mesh)).mesh
    assert np.array_equal(again.visual.vertex_colors, mesh.visual.vertex_colors)


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("v 0 0 0\nv 1 0 0\nf 1 2 3\n", "line 3: the index 3 is out of range"),
        ("v 0 0 0\nv 1 0\n", "line 2: v needs 3 numbers"),
        ("v 0 0 0\nv 1 x 0\n", "line 2: a coordinate is not a number"),
        ("v 0 0 nan\n", "line 1: a coordinate is not finite"),
        ("v 0 0 1e30\n", "line 1"),
        (OBJ + "f 1 2\n", "line 9: a face needs"),
        (OBJ + "f 1/1 2/1 3/1\n", "line 9: the index 1 is out of range"),
        (OBJ + "f 1//a 2 3\n", "line 9"),
        (OBJ + "f 0 1 2\n", "counts from 1"),
        ("v 0 0 0\n" * 5, "no geometry"),
    ],
)
def test_a_fault_in_an_obj_names_its_line(text: str, match: str) -> None:
    with pytest.raises(BadInput, match=match):
        load_mesh(text.encode(), name="x.obj")


def test_an_obj_may_list_its_vertices_after_its_faces() -> None:
    lines = OBJ.splitlines(keepends=True)
    assert len(load_mesh("".join(lines[4:] + lines[:4]).encode()).mesh.faces) == 4
    with pytest.raises(BadInput, match="line 1: the index 9 is out of range"):
        load_mesh("".join(["f 1 2 9\n", *lines]).encode())


def test_an_obj_with_polygons_colours_and_continued_lines_is_read() -> None:
    text = "v 0 0 0 1 0 0\nv 1 0 0 1 0 0\nv 1 1 0 1 0 0 \nv 0 1 0 0 0 1\nf 1 2 \\\n3 4 # a square\n"
    mesh = load_mesh(text.encode()).mesh
    assert len(mesh.faces) == 2 and mesh.area == pytest.approx(1)
    assert mesh.visual.vertex_colors[3].tolist() == [0, 0, 255, 255]


def obj_bundle(texture: str = "textures/skin colour.png") -> dict[str, bytes]:
    """A textured triangle: OBJ, MTL and picture in folders."""
    obj = "mtllib a.mtl\nv 0 0 0\nv 1 0 0\nv 0 1 0\nvt 0 0\nvt 1 0\nvt 0 1\nusemtl skin\nf 1/1 2/2 3/3\n"
    mtl = f"newmtl skin\nKd 0 0 0\nmap_Kd {texture}\n"
    picture = {"model/textures/skin colour.png": encoded(photo())}
    return {"model/a.obj": obj.encode(), "model/a.mtl": mtl.encode(), **picture}


def test_an_obj_in_a_zip_finds_its_library_and_its_texture() -> None:
    loaded = load_mesh(zipped(obj_bundle()))
    assert loaded.format == "OBJ in ZIP" and loaded.warnings == []
    assert np.array_equal(np.asarray(loaded.mesh.visual.material.baseColorTexture), photo())


def test_a_texture_outside_the_zip_is_refused_and_the_geometry_kept() -> None:
    loaded = load_mesh(zipped(obj_bundle("../../../../etc/passwd")))
    assert any("was refused" in line and "outside the mesh's own archive" in line for line in loaded.warnings)
    assert len(loaded.mesh.faces) == 1


def test_a_gltf_in_a_zip_finds_its_buffer_and_refuses_others() -> None:
    document = tetra_document()
    document["buffers"][0]["uri"] = "data%20file.bin"
    files = {"a.gltf": json.dumps(document).encode(), "data file.bin": makers.tetra_binary()}
    assert len(load_mesh(zipped(files)).mesh.faces) == 4
    document["buffers"][0]["uri"] = "../other.bin"
    with pytest.raises(BadInput, match="outside the mesh's own archive"):
        load_mesh(zipped({**files, "a.gltf": json.dumps(document).encode()}))


def test_a_zip_with_two_meshes_is_refused_by_name() -> None:
    with pytest.raises(BadInput, match="exactly one mesh.*a.obj, b.obj"):
        load_mesh(zipped({"a.obj": OBJ.encode(), "b.obj": OBJ.encode()}))


@pytest.mark.parametrize("declared", [0, 4, 2**32 - 1])
def test_a_binary_stl_with_a_wrong_count_is_refused_or_warned_of(declared: int) -> None:
    data = binary_stl(3, declared)
    with pytest.raises(BadInput, match="truncated|no triangles"):
        load_mesh(data)


def test_a_text_stl_is_read_and_its_faults_are_named() -> None:
    facet = "facet normal 0 0 1\nouter loop\nvertex 0 0 0\nvertex 1 0 0\nvertex 0 1 0\nendloop\nendfacet\n"
    assert len(load_mesh(f"solid x\n{facet}endsolid x\n".encode()).mesh.faces) == 1
    with pytest.raises(BadInput, match="line 6: a facet has 2 corners"):
        load_mesh(("solid x\n" + facet.replace("vertex 1 0 0\n", "") + "endsolid\n").encode())


def ply(head: str, body: bytes) -> bytes:
    return f"ply\nformat {head}\nend_header\n".encode() + body


PLY_HEAD = (
    "{} 1.0\nelement vertex 4\nproperty float x\nproperty float y\nproperty float z\nproperty uchar red\n"
    "property uchar green\nproperty uchar blue\nelement face {}\nproperty list uchar int vertex_indices"
)


@pytest.mark.parametrize(
    ("form", "order"), [("binary_little_endian", "<"), ("binary_big_endian", ">"), ("ascii", "")]
)
def test_a_ply_of_mixed_polygons_is_read_in_every_form(form: str, order: str) -> None:
    corners = [(0, 0, 0), (1, 0, 0), (1, 1, 0), (0, 1, 0)]
    faces = [(0, 1, 2, 3), (0, 1, 2)]
    if order:
        body = b"".join(struct.pack(order + "3f3B", *c, 10, 20, 30) for c in corners)
        body += b"".join(struct.pack(f"{order}B{len(f)}i", len(f), *f) for f in faces)
    else:
        body = "".join(f"{x} {y} {z} 10 20 30\n" for x, y, z in corners).encode()
        body += "".join(f"{len(f)} {' '.join(map(str, f))}\n" for f in faces).encode()
    mesh = load_mesh(ply(PLY_HEAD.format(form, 2), body)).mesh
    assert len(mesh.faces) == 3 and mesh.visual.vertex_colors[0].tolist() == [10, 20, 30, 255]


@pytest.mark.parametrize(
    ("faces", "body", "match"),
    [
        (1, b"", "exceeds the file"),
        (10**9, b"\x03\0\0\0", "exceeds the file"),
        (1, struct.pack("<B3i", 3, 0, 1, 9), "triangle 0 has an index out of range"),
        (1, struct.pack("<B3i", 3, 0, 1, -1), "out of range"),
        (1, struct.pack("<Bi", 200, 0), "runs past the end"),
        (0, b"", "no faces"),
    ],
)
def test_a_ply_that_declares_more_than_it_holds_is_refused(faces: int, body: bytes, match: str) -> None:
    vertices = b"".join(struct.pack("<3f3B", n, n * n, 0, 1, 2, 3) for n in range(4))
    with pytest.raises(BadInput, match=match):
        load_mesh(
            ply(
                PLY_HEAD.format("binary_little_endian", faces),
                vertices + body if faces != 1 or body else vertices[:20],
            )
        )


def test_faces_without_area_are_dropped_and_counted() -> None:
    loaded = load_mesh((OBJ + "f 1 1 2\nv 0.5 0 0\nf 1 5 2\n").encode())
    assert len(loaded.mesh.faces) == 4 and loaded.warnings == ["2 degenerate faces (no area) were dropped"]


@pytest.mark.parametrize("odd", ODD_VALUES)
def test_any_odd_value_anywhere_in_a_document_gives_no_more_than_bad_input(odd: object) -> None:
    document, binary = unpacked(textured({"offset": [0, 0], "scale": [1, 1], "rotation": 0.0, "texCoord": 0}))
    document["nodes"] = [
        {"mesh": 0, "children": [1], "extensions": {}},
        {"matrix": np.eye(4).ravel().tolist()},
    ]
    document["meshes"][0]["primitives"][0]["extensions"] = {"x": 1}
    document["samplers"], document["animations"], document["extras"] = [{}], [{}], {}
    for changed in each_value_replaced(document, odd):
        with contextlib.suppress(BadInput):
            load_mesh(glb(changed, binary))


@pytest.mark.parametrize("odd", ODD_VALUES)
def test_any_odd_value_in_a_material_with_maps_gives_no_more_than_bad_input(odd: object) -> None:
    document, binary = unpacked(mapped(ALL_MAPS, emissiveFactor=[1, 1, 1]))
    document["materials"][0]["normalTexture"] = {"index": 1, "scale": 2.0, "texCoord": 0}
    for changed in each_value_replaced(document["materials"], odd):
        with contextlib.suppress(BadInput):
            load_mesh(glb({**document, "materials": changed}, binary), maps=True)


def test_random_damage_never_gives_more_than_bad_input() -> None:
    dice = np.random.default_rng(0)
    files = [glb(), textured(), OBJ.encode(), binary_stl(5), zipped(obj_bundle())]
    for data in files * 40:
        broken = bytearray(data)
        for at in dice.integers(0, len(data), 4):
            broken[at] = dice.integers(256)
        try:
            export_glb(load_mesh(bytes(broken)).mesh)
        except BadInput as error:
            assert "\n" not in str(error)
