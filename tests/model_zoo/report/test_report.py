"""The report finds each fault where it is, calls sound meshes sound, and survives whatever the reader lets through."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
import trimesh
from PIL import Image
from trimesh.visual.material import PBRMaterial
from trimesh.visual.texture import TextureVisuals

from model_zoo.io.errors import BadInput
from model_zoo.io.meshes import LoadedMesh, load_mesh
from model_zoo.report.findings import LEVELS
from model_zoo.report.photo import Scene
from model_zoo.report.report import Report, examine, refused
from tests.model_zoo.report.shapes import ball, cup, findings, joined, read

CHECKS = {
    "file", "flat", "scale", "triangle_count", "watertight", "manifold", "floaters", "inverted_normals",
    "self_intersections", "degenerate_faces", "uvs", "texture_size", "symmetry",
}  # fmt: skip


def picture(data: bytes | None) -> np.ndarray:
    assert data is not None
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(int)


def orange(data: bytes | None) -> int:
    """Pixels that are clearly orange."""
    red, green, blue = np.moveaxis(picture(data), -1, 0)
    return int(((red > green + 30) & (green > blue + 30)).sum())


def holed() -> trimesh.Trimesh:
    """A ball without the faces at its top."""
    made = ball(5)
    top = np.argmax(made.vertices[:, 1])
    made.update_faces(~(made.faces == top).any(1))
    return made


def scene(width: float = 0.4) -> Scene:
    """A photo with a box of the given width to height standing two metres away."""
    y, x = np.mgrid[:240, :320].astype(float)
    mask = (np.abs(x - 160) < 80 * width) & (np.abs(y - 120) < 80)
    points = np.stack([(x - 160) / 300, (y - 120) / 300, np.ones_like(x)], -1) * 2.0
    return Scene(np.full((240, 320, 3), 90, np.uint8), mask, points)


def test_every_check_reports_and_a_sound_mesh_is_sound() -> None:
    found = findings(ball())
    assert CHECKS | {"mask_agreement"} == set(found)
    assert {found[check].level for check in CHECKS} <= {"ok", "info"}
    assert not any(finding.fix for finding in found.values())


def test_a_hole_is_shown_where_it_is() -> None:
    hole = findings(holed())["watertight"]
    assert (hole.level, hole.params["open_edges"], hole.params["holes"]) == ("warning", 6, 1)
    assert hole.fix == "fill_small_holes" and orange(hole.picture) > 20
    assert hole.points[0][1] > 0.45


def test_gaps_between_near_vertices_are_told_from_holes() -> None:
    made = ball(3)
    made.unmerge_vertices()
    made.vertices += np.random.default_rng(0).uniform(-1, 1, made.vertices.shape) * 1e-6
    hole = findings(made)["watertight"]
    assert hole.fix == "merge_vertices" and hole.params["mended_by_merging"] > 0.9 * hole.params["open_edges"]


def test_vertices_split_by_a_file_format_are_no_gaps() -> None:
    made = ball(3)
    made.unmerge_vertices()
    assert findings(made)["watertight"].level == "ok"


def test_an_edge_of_three_faces_is_not_manifold() -> None:
    made = trimesh.creation.box()
    fin = trimesh.Trimesh([*made.vertices[made.edges_unique[0]], [0, 0, 2]], [[0, 1, 2]], process=False)
    found = findings(joined(made, fin))["manifold"]
    assert (found.level, found.params["edges"]) == ("warning", 1) and orange(found.picture) > 20


def test_two_surfaces_that_meet_in_a_point_are_told() -> None:
    one, other = ball(2), ball(2)
    other.apply_translation(
        one.vertices[0] - other.vertices[np.argmin(((other.vertices + one.vertices[0]) ** 2).sum(1))]
    )
    found = findings(joined(one, other))["manifold"]
    assert (found.level, found.params["vertices"], found.params["edges"]) == ("info", 1, 0)


def test_faces_that_are_there_twice_are_counted() -> None:
    made = ball(3)
    found = findings(trimesh.Trimesh(made.vertices, np.vstack([made.faces, made.faces[:7]]), process=False))
    assert found["manifold"].params["duplicates"] == 7 and found["manifold"].fix == "remove_duplicates"


def test_a_speck_beside_the_object_is_a_floater_and_a_leg_is_not() -> None:
    speck = trimesh.creation.icosphere(1, radius=0.003)
    speck.apply_translation([0.45, 0.45, 0])
    leg = trimesh.creation.box((0.1, 0.4, 0.1))
    leg.apply_translation([0, -0.6, 0])
    found = findings(joined(ball(), leg, speck))["floaters"]
    assert (found.params["parts"], found.params["floaters"]) == (3, 1)
    assert found.points[0] == pytest.approx([0.45, 0.45, 0], abs=0.01) and orange(found.picture) > 10


def test_an_inside_out_mesh_is_known_even_with_a_hole() -> None:
    made = holed()
    made.invert()
    found = findings(made)["inverted_normals"]
    assert found.params["inside_out"] and found.fix == "flip_inside_out"


def test_a_patch_that_looks_inwards_is_found_face_by_face() -> None:
    made = holed()
    patch = made.triangles_center[:, 0] > 0.4
    made.faces[patch] = made.faces[patch][:, ::-1]
    found = findings(trimesh.Trimesh(made.vertices, made.faces, process=False))["inverted_normals"]
    assert found.params["faces"] == patch.sum() and found.params["seams"] > 0
    assert found.fix == "orient_normals" and orange(found.picture) > 200


def test_one_of_two_bodies_that_is_inside_out_is_found_without_any_seam() -> None:
    other = ball(2)
    other.apply_translation([2, 0, 0])
    other.invert()
    found = findings(joined(ball(2), other))["inverted_normals"]
    assert (found.params["faces"], found.params["seams"]) == (len(other.faces), 0)


def test_a_hollow_cup_faces_outwards_inside_too() -> None:
    assert findings(cup())["inverted_normals"].level == "ok"


def test_a_body_pushed_into_another_crosses_it_and_a_clean_one_does_not() -> None:
    other = ball(3)
    other.apply_translation([0.5, 0.01, 0.02])
    found = findings(joined(ball(3), other))["self_intersections"]
    assert found.params["found"] > 50 and found.params["between_parts"] == found.params["found"]
    assert found.level == "info" and orange(found.picture) > 50
    assert findings(cup())["self_intersections"].params["found"] == 0


def test_halves_that_cross_edge_on_edge_are_found() -> None:
    assert findings(joined(ball(3), ball(3).apply_translation([0.5, 0, 0])))["self_intersections"].params[
        "found"
    ]


def test_a_surface_that_goes_through_itself_is_a_warning() -> None:
    made = ball()
    made.vertices[np.argmax(made.vertices[:, 0])] = [-0.8, 0.03, 0.05]
    found = findings(made)["self_intersections"]
    assert found.level == "warning" and found.params["between_parts"] < found.params["found"]


def test_crossings_are_estimated_from_a_sample_on_a_large_mesh() -> None:
    other = ball(6)
    other.apply_translation([0.5, 0, 0])
    params = findings(joined(ball(6), other))["self_intersections"].params
    few = findings(joined(ball(4), ball(4).apply_translation([0.5, 0, 0])))["self_intersections"].params
    assert params["sampled"] == 20_000 < params["triangles"]
    # Along a curve the crossing triangles grow with the square root of their number.
    assert params["estimate"] == pytest.approx(few["found"] * 4, rel=0.3)


def test_slivers_are_degenerate() -> None:
    made = ball(3)
    a, b = made.vertices[made.faces[0, :2]]
    made = trimesh.Trimesh(
        np.vstack([made.vertices, (a + b) / 2]),
        np.vstack([made.faces, [made.faces[0, 0], made.faces[0, 1], len(made.vertices)]]),
        process=False,
    )
    found = findings(made)["degenerate_faces"]
    assert (found.level, found.params["triangles"], found.fix) == ("warning", 1, "remove_degenerate")


def test_faces_without_area_that_the_reader_dropped_are_told() -> None:
    made = ball(2)
    flat = np.vstack([made.faces, [[0, 0, 1], [2, 3, 3]]])
    loaded = read(trimesh.Trimesh(made.vertices, flat, process=False))
    found = {finding.check: finding for finding in examine(loaded, None).findings}
    assert found["degenerate_faces"].params == {"triangles": 0, "dropped": 2}
    assert found["file"].level == "ok"


@pytest.mark.parametrize(
    ("size", "level", "unit"), [(1.0, "ok", "m"), (400.0, "warning", "mm"), (1e-4, "warning", "")]
)
def test_the_scale_is_judged_by_the_longest_side(size: float, level: str, unit: str) -> None:
    found = findings(trimesh.creation.box((size, size / 2, size)))["scale"]
    assert (found.level, found.params["unit"]) == (level, unit)


def test_a_flat_mesh_is_an_error_and_is_not_placed() -> None:
    report = examine(LoadedMesh(trimesh.creation.box((1, 1, 1e-5)), "GLB"), scene())
    assert not report.ok and report.pose is None
    assert {finding.check for finding in report.findings if finding.level == "error"} == {"flat"}


def test_a_huge_texture_and_triangles_without_place_in_it_are_told() -> None:
    made = ball(3)
    material = PBRMaterial(baseColorTexture=Image.new("RGB", (4100, 40)))
    made.visual = TextureVisuals(uv=np.zeros((len(made.vertices), 2)), material=material)
    found = findings(made)
    assert (found["texture_size"].level, found["texture_size"].params["width"]) == ("warning", 4100)
    assert (found["uvs"].level, found["uvs"].params["collapsed"]) == ("warning", len(made.faces))


def test_a_mirror_plane_is_found_and_a_lopsided_mesh_is_shown_where_it_differs() -> None:
    even = findings(cup())["symmetry"].params
    assert even["symmetric"] and even["residual"] < 0.002
    bump = trimesh.creation.box((0.3, 0.2, 0.1))
    bump.apply_transform(trimesh.transformations.rotation_matrix(0.6, [1, 2, 3]))
    bump.apply_translation([0.45, 0.6, 0.1])
    odd = findings(
        joined(cup(), bump, trimesh.creation.box((0.05, 0.9, 0.6)).apply_translation([-0.1, 0.9, 0.5]))
    )["symmetry"]
    assert not odd.params["symmetric"] and odd.points and orange(odd.picture) > 20


def test_the_outline_in_the_photo_is_measured_and_drawn() -> None:
    report = examine(LoadedMesh(trimesh.creation.box((0.4, 1.0, 0.4)), "GLB"), scene())
    found = {finding.check: finding for finding in report.findings}
    assert found["mask_agreement"].level == "ok" and found["mask_agreement"].params["iou"] > 0.85
    assert found["up_axis"].level == "ok" and report.figures["mask_iou"] > 0.85
    assert (
        picture(found["mask_agreement"].picture).shape[1] >= 200
        and orange(found["mask_agreement"].picture) > 50
    )


def test_a_lying_mesh_is_told_its_up_axis_with_a_picture() -> None:
    report = examine(LoadedMesh(trimesh.creation.box((0.4, 0.4, 1.0)), "GLB"), scene())
    found = {finding.check: finding for finding in report.findings}["up_axis"]
    assert (found.level, found.fix) == ("warning", "turn_y_up") and found.picture


def test_another_shape_than_the_photos_agrees_poorly() -> None:
    report = examine(LoadedMesh(trimesh.creation.box((1.0, 1.0, 1.0)), "GLB"), scene(0.1))
    assert {finding.check: finding for finding in report.findings}["mask_agreement"].level == "warning"


@pytest.mark.parametrize("data", [b"Kaydara FBX Binary  \0\x1a\0" + b"x" * 99, b"; FBX 7.3.0 project file\n"])
def test_an_fbx_file_is_told_to_come_as_glb(data: bytes) -> None:
    with pytest.raises(BadInput) as refusal:
        load_mesh(data, name="cup.fbx")
    found = refused(data, refusal.value).findings[0]
    assert (found.params["reason"], "GLB" in found.advice) == ("fbx", True)


def stored(report: Report) -> None:
    """What must hold of any report, so that it can be stored, sent and shown."""
    for finding in report.findings:
        assert finding.level in LEVELS and finding.message and len(finding.points) <= 20
        assert finding.picture is None or finding.picture.startswith(b"\x89PNG")
        assert all(np.isfinite(point).all() and len(point) == 3 for point in finding.points)
    assert "NaN" not in json.dumps([finding.params for finding in report.findings])
    json.dumps(report.figures, allow_nan=False)


def test_every_mesh_of_the_shared_data_gets_its_report(test_data: Path) -> None:
    paths = sorted((test_data / "dev/meshes").glob("*.glb"))
    assert len(paths) > 40
    # The large ones take seconds each; every fourth is enough here, all of them are in the bench of the worker.
    for path in paths[::4]:
        stored(examine(load_mesh(path.read_bytes()), scene()))


def test_every_hostile_mesh_that_is_accepted_gets_its_report(test_data: Path) -> None:
    taken = 0
    for path in sorted((test_data / "hostile/mesh").iterdir()):
        data = path.read_bytes()
        try:
            loaded = load_mesh(data, name=path.name)
        except BadInput as refusal:
            stored(refused(data, refusal))
            continue
        taken += 1
        stored(examine(loaded, scene()))
    assert taken > 5
