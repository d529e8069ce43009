"""The mesh door: what a broken container says, what is mended, and what is kept."""

import contextlib
import json
import struct

import numpy as np
import pytest

from model_zoo.io.errors import BadInput
from model_zoo.io.meshes import export_glb, load_mesh
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
    textured,
    unpacked,
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
