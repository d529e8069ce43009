"""Each repair ends or lessens its finding, leaves the outline alone and keeps texture, colours and normals in place."""

from pathlib import Path

import numpy as np
import pytest
import trimesh
from PIL import Image
from trimesh.visual.material import PBRMaterial
from trimesh.visual.texture import TextureVisuals

from model_zoo.io.errors import BadInput
from model_zoo.io.meshes import LoadedMesh, load_mesh
from model_zoo.report import looks
from model_zoo.report.repairs import REPAIRS, repair
from model_zoo.report.report import examine
from tests.model_zoo.report.shapes import back, ball, findings, iou, joined

SAME = 0.995


def flipped_patch() -> trimesh.Trimesh:
    made = ball()
    patch = made.triangles_center[:, 0] > 0.2
    made.faces[patch] = made.faces[patch][:, ::-1]
    return trimesh.Trimesh(made.vertices, made.faces, process=False)


def inside_out() -> trimesh.Trimesh:
    made = ball()
    made.invert()
    return made


def holed() -> trimesh.Trimesh:
    made = ball(5)
    made.update_faces(~(made.faces == np.argmax(made.vertices[:, 1])).any(1))
    return made


def gaping() -> trimesh.Trimesh:
    made = ball(3)
    made.unmerge_vertices()
    made.vertices += np.random.default_rng(0).uniform(-1, 1, made.vertices.shape) * 5e-7
    return made


def doubled() -> trimesh.Trimesh:
    made = ball(3)
    return trimesh.Trimesh(made.vertices, np.vstack([made.faces, made.faces[:9]]), process=False)


def capped_slivers() -> trimesh.Trimesh:
    """A ball with a corner of no height on one edge: the neighbour keeps the long edge."""
    made = ball(3)
    face = made.faces[0]
    middle = made.vertices[face[:2]].mean(0)
    new = len(made.vertices)
    split = [[face[0], new, face[2]], [new, face[1], face[2]], [face[0], face[1], new]]
    return trimesh.Trimesh(
        np.vstack([made.vertices, middle]), np.vstack([made.faces[1:], split]), process=False
    )


def needles() -> trimesh.Trimesh:
    """A ball cut open along an edge into which a pair of needle triangles is put."""
    made = ball(3)
    faces, vertices = made.faces.copy(), made.vertices.copy()
    a, b = faces[0, :2]
    new = len(vertices)
    faces[0] = np.where(faces[0] == a, new, faces[0])
    near = vertices[a] + 1e-7 * (vertices[faces[0, 2]] - vertices[a])
    return trimesh.Trimesh(np.vstack([vertices, near]), np.vstack([faces, [a, b, new]]), process=False)


def specked() -> trimesh.Trimesh:
    return joined(ball(), trimesh.creation.icosphere(1, radius=0.003).apply_translation([0.45, 0.45, 0]))


def huge_texture() -> trimesh.Trimesh:
    made = ball(3)
    uv = made.vertices[:, :2] + 0.5
    made.visual = TextureVisuals(
        uv=uv, material=PBRMaterial(baseColorTexture=Image.new("RGB", (5000, 100), (9, 99, 199)))
    )
    return made


FAULTS = [
    ("merge_vertices", gaping, "watertight"),
    ("remove_degenerate", capped_slivers, "degenerate_faces"),
    ("remove_degenerate", needles, "degenerate_faces"),
    ("remove_duplicates", doubled, "manifold"),
    ("remove_floaters", specked, "floaters"),
    ("fill_small_holes", holed, "watertight"),
    ("orient_normals", flipped_patch, "inverted_normals"),
    ("flip_inside_out", inside_out, "inverted_normals"),
    ("shrink_textures", huge_texture, "texture_size"),
    ("to_metres", lambda: ball(3).apply_scale(300), "scale"),
]


@pytest.mark.parametrize(("code", "broken", "check"), FAULTS)
def test_a_repair_ends_its_finding_and_leaves_the_outline_alone(
    code: str, broken: object, check: str
) -> None:
    mesh = broken()  # type: ignore[operator]
    before = findings(mesh)[check]
    assert (before.level, before.fix) == ("warning", code)
    mended, done = repair(mesh, [code])
    assert done[0]["code"] == code and done[0]["changed"] > 0
    assert findings(back(mended))[check].level in ("ok", "info")
    if code != "remove_floaters":
        assert iou(mesh, mended) >= SAME


@pytest.mark.parametrize(("code", "broken", "check"), FAULTS)
def test_a_repair_made_twice_changes_nothing_more(code: str, broken: object, check: str) -> None:
    once, _ = repair(broken(), [code])  # type: ignore[operator]
    if code == "flip_inside_out":
        return
    twice, done = repair(once, [code])
    assert done == [{"code": code, "changed": 0}] and len(twice.faces) == len(once.faces)


def test_too_many_triangles_are_decimated_to_the_same_outline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(looks, "MANY_TRIANGLES", 200_000)
    mesh = ball(7)
    assert findings(mesh)["triangle_count"].fix == "decimate"
    mended, _ = repair(mesh, ["decimate"])
    assert len(mended.faces) <= 200_000 and iou(mesh, mended) >= SAME


def test_turning_y_up_turns_the_mesh_and_its_normals() -> None:
    mended, _ = repair(trimesh.creation.box((1, 2, 3)), ["turn_y_up"])
    assert np.asarray(mended.extents) == pytest.approx([1, 3, 2])
    assert mended.volume == pytest.approx(6)
    outwards = (np.asarray(mended.vertex_normals) * mended.vertices).sum(1)
    assert (outwards > 0).all()


def test_texture_places_and_normals_stay_with_their_vertices() -> None:
    mesh = flipped_patch()
    mesh.visual = TextureVisuals(
        uv=np.asarray(mesh.vertices)[:, :2], material=PBRMaterial(baseColorTexture=Image.new("RGB", (8, 8)))
    )
    mended, _ = repair(mesh, ["orient_normals", "remove_duplicates", "remove_floaters", "fill_small_holes"])
    assert np.asarray(mended.visual.uv) == pytest.approx(np.asarray(mended.vertices)[:, :2])
    assert ((np.asarray(mended.vertex_normals) * mended.vertices).sum(1) > 0).all()


def test_colours_stay_with_their_vertices() -> None:
    mesh = specked()
    shade = (np.abs(np.asarray(mesh.vertices)) * 255).astype(np.uint8)
    mesh.visual.vertex_colors = np.column_stack([shade, np.full(len(shade), 255)])
    mended, _ = repair(mesh, ["remove_floaters"])
    assert (mended.visual.vertex_colors[:, :3] == (np.abs(mended.vertices) * 255).astype(np.uint8)).all()


def test_the_given_mesh_is_not_changed() -> None:
    mesh = flipped_patch()
    faces = np.array(mesh.faces)
    repair(mesh, REPAIRS)
    assert (mesh.faces == faces).all()


def test_a_repair_that_is_none_is_refused() -> None:
    with pytest.raises(BadInput, match="no repair named make_pretty"):
        repair(ball(1), ["make_pretty"])


def test_offered_repairs_help_on_real_meshes_and_keep_their_outline(test_data: Path) -> None:
    for name in ("pm_tractor", "pm_bench", "featuretype_cad", "pm_burger", "pm_sci_fi_crate"):
        mesh = load_mesh((test_data / f"dev/meshes/{name}.glb").read_bytes()).mesh
        offered = {each.check: each for each in examine(LoadedMesh(mesh, "GLB"), None).findings if each.fix}
        mended, _ = repair(mesh, [each.fix for each in offered.values()])
        after = findings(back(mended))
        for check, before in offered.items():
            counts = ("open_edges", "duplicates", "faces", "triangles", "floaters")
            worse = [key for key in counts if after[check].params.get(key, 0) > before.params.get(key, 0)]
            assert after[check].level == "ok" or (not worse and after[check].params != before.params), name
        assert iou(mesh, mended) >= SAME, name
