"""Scenes from folders, ZIPs, COCO JSON and manifests: sidecars are found, and what is refused says why."""

import contextlib
import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from model_zoo.io.depth import encode_pointmap
from model_zoo.io.errors import BadInput
from model_zoo.io.images import encode_png
from model_zoo.io.scenes import Refusal, Scene, scan
from tests.model_zoo.io.makers import ODD_VALUES, disc, each_value_replaced, encoded, glb, npy, photo, zipped

CAMERA = b'{"fx":100,"fy":100,"cx":48,"cy":32,"width":96,"height":64,"depth_png_unit_m":0.001}'
DEPTH = encoded(np.full((64, 96), 1500, np.uint16))
OBJECTS = json.dumps(
    {
        "objects": [
            {"instance": "cup", "mesh": "meshes/cup.glb", "R": np.eye(3).tolist(), "t": [0, 0, 1], "scale": 2}
        ]
    }
).encode()
FLAT = {
    "one.jpg": encoded(photo(), "JPEG"),
    "one.mask_cup.png": encode_png(disc()),
    "one.mask_red_ball_2.png": encode_png(disc(radius=9)),
    "one.depth.png": DEPTH,
    "one.camera.json": CAMERA,
    "two.png": encoded(photo()),
}
FOLDER = {
    "scenes/desk/color.png": encoded(photo()),
    "scenes/desk/mask_cup.png": encode_png(disc()),
    "scenes/desk/depth.png": DEPTH,
    "scenes/desk/camera.json": CAMERA,
    "scenes/desk/objects.json": OBJECTS,
    "scenes/desk/pointmap.npz": encode_pointmap(np.ones((64, 96, 3))),
    "meshes/cup.glb": glb(),
}


def put(folder: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


def split(source: object) -> tuple[dict[str, Scene], dict[str, str]]:
    found = list(scan(source))  # type: ignore[arg-type]
    return {s.name: s for s in found if isinstance(s, Scene)}, {
        r.name: r.reason for r in found if isinstance(r, Refusal)
    }


def test_sidecars_are_found_by_the_stem_in_a_folder_and_in_a_zip(tmp_path: Path) -> None:
    for source in (put(tmp_path, FLAT), zipped(FLAT)):
        scenes, refused = split(source)
        assert refused == {} and scenes.keys() == {"one", "two"} and scenes["two"].masks == {}
        one = scenes["one"]
        assert np.array_equal(one.masks["cup"], disc()) and one.categories == {
            "cup": "cup",
            "red_ball_2": "red ball",
        }
        assert (
            one.pointmap is not None
            and np.allclose(one.pointmap.points[..., 2], 1.5)
            and one.pointmap_source == "sensor"
        )
        assert one.image_bytes == FLAT["one.jpg"]


def test_a_folder_per_scene_brings_truth_whose_mesh_lies_above_it(tmp_path: Path) -> None:
    put(tmp_path, FOLDER)
    scenes, refused = split(tmp_path / "scenes")
    mesh, pose = scenes["desk"].truths["cup"]
    assert mesh == tmp_path / "meshes" / "cup.glb" and pose.s.tolist() == [2, 2, 2] and refused == {}
    assert np.allclose(scenes["desk"].pointmap.points, 1)
    scenes, refused = split(zipped(FOLDER))
    assert scenes["scenes/desk"].truths["cup"][0] == glb() and list(refused) == ["meshes/cup.glb"]


def test_a_bad_sidecar_is_refused_by_name_and_the_rest_is_taken() -> None:
    scenes, refused = split(
        zipped({**FLAT, "one.mask_cup.png": encode_png(disc(40, 40)), "one.camera.json": b"{"})
    )
    assert scenes["one"].masks.keys() == {"red_ball_2"} and scenes["one"].pointmap is None
    assert "40x40 but the image is 96x64" in refused["one.mask_cup.png"] and "one.camera.json" in refused


def test_what_is_no_photograph_is_refused_by_content() -> None:
    files = {
        "page.jpg": b"<html>",
        "a.pdf": b"%PDF-1",
        "lone.mask_x.png": FLAT["one.mask_cup.png"],
        "README.md": b"#",
        "e.png": b"",
    }
    scenes, refused = split(zipped({**files, "two.png": FLAT["two.png"]}))
    assert scenes.keys() == {"two"} and refused.keys() == {"page.jpg", "a.pdf", "lone.mask_x.png", "e.png"}
    assert (
        "HTML page" in refused["page.jpg"]
        and "no image that this file belongs to" in refused["lone.mask_x.png"]
    )


def test_a_cut_out_is_its_own_mask() -> None:
    rgba = np.dstack([photo(), disc().astype(np.uint8) * 255])
    scenes, _ = split(zipped({"cup.png": encoded(rgba)}))
    assert np.array_equal(scenes["cup"].masks["object"], disc())


def test_depth_without_a_camera_is_no_measurement() -> None:
    files = {"one.jpg": FLAT["one.jpg"], "one.depth.npy": npy(np.ones((64, 96), np.float32))}
    scenes, _ = split(zipped(files))
    assert scenes["one"].pointmap_source == "fallback"
    assert "a field of view of 60 degrees is assumed" in scenes["one"].warnings[-1]


def coco() -> dict:
    square = [10, 10, 40, 10, 40, 40, 10, 40]
    return {
        "images": [
            {"id": 1, "file_name": "one.jpg", "width": 96, "height": 64, "license": 4},
            {"id": 2, "file_name": "gone.jpg", "width": 96, "height": 64},
            {"id": 3, "file_name": "../up.jpg"},
        ],
        "annotations": [
            {"id": 1, "image_id": 1, "category_id": 7, "segmentation": [square], "iscrowd": 0},
            {
                "id": 2,
                "image_id": 1,
                "category_id": 7,
                "segmentation": {"size": [64, 96], "counts": [640, 640, 4864]},
            },
            {"id": 3, "image_id": 1, "category_id": 7, "segmentation": {"size": [5, 5], "counts": [25]}},
            {"id": 4, "image_id": 1, "category_id": 7, "segmentation": [square], "iscrowd": 1},
        ],
        "categories": [{"id": 7, "name": "tea cup"}],
        "licenses": [{"id": 4, "name": "CC BY 4.0"}],
    }


def test_coco_polygons_and_run_lengths_become_masks_with_categories(tmp_path: Path) -> None:
    put(tmp_path, {"annotations.json": json.dumps(coco()).encode(), "train/one.jpg": FLAT["one.jpg"]})
    for source in (tmp_path / "annotations.json", tmp_path):
        scenes, refused = split(source)
        scene = scenes["train/one"]
        assert {name: int(mask.sum()) for name, mask in scene.masks.items()} == {
            "tea_cup_1": 900,
            "tea_cup_2": 640,
        }
        assert set(scene.categories.values()) == {"tea cup"} and scene.licence == "CC BY 4.0"
        assert len(scenes) == 1 and refused.keys() == {"gone.jpg", "../up.jpg", "train/one: tea_cup_3"}


def test_a_manifest_names_files_licences_and_hashes(tmp_path: Path) -> None:
    put(
        tmp_path,
        {"pictures/a.png": FLAT["two.png"], "m/cup.png": encode_png(disc()), "b.png": FLAT["two.png"]},
    )
    rows = [
        {"path": "pictures/a.png", "sha256": hashlib.sha256(FLAT["two.png"]).hexdigest(), "licence": "CC0-1.0",
         "masks": [{"instance": "cup", "path": "m/cup.png"}], "category": "mug"},
        {"path": "b.png", "sha256": "0" * 64},
        {"path": "../../etc/passwd"},
        {"path": "pictures/a.png"},
        {"path": "x.glb", "kind": "mesh"},
        {},
    ]  # fmt: skip
    (tmp_path / "M.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    scenes, refused = split(tmp_path / "M.jsonl")
    scene = scenes["pictures/a"]
    assert scenes.keys() == {"pictures/a"} and scene.licence == "CC0-1.0"
    assert np.array_equal(scene.masks["cup"], disc()) and scene.categories == {"cup": "mug"}
    assert (
        'sha256 of "b.png" does not match' in refused["b.png"]
        and "outside the folder" in refused["../../etc/passwd"]
    )
    assert refused["pictures/a.png"] == "the same image comes twice" and "line 6" in refused


@pytest.mark.parametrize("odd", ODD_VALUES)
def test_any_odd_value_in_a_json_gives_no_more_than_a_refusal(odd: object, tmp_path: Path) -> None:
    small = {"a.png": encoded(photo(24, 16)), "a.mask_cup.png": encode_png(disc(24, 16, 12))}
    rows = [
        {
            "path": "a.png",
            "masks": [{"instance": "cup", "path": "a.mask_cup.png"}],
            "depth": "",
            "kind": "photo",
        }
    ]
    for name, document in (
        ("c.json", coco()),
        ("a.objects.json", json.loads(OBJECTS)),
        ("a.camera.json", json.loads(CAMERA)),
    ):
        for changed in each_value_replaced(document, odd):
            with contextlib.suppress(BadInput):
                list(scan(zipped({**small, "one.jpg": small["a.png"], name: json.dumps(changed).encode()})))
    put(tmp_path, small)
    for changed in each_value_replaced(rows, odd):
        (tmp_path / "m.jsonl").write_text("\n".join(json.dumps(row) for row in changed))
        with contextlib.suppress(BadInput):
            list(scan(tmp_path / "m.jsonl"))


def test_links_in_a_folder_are_not_followed(tmp_path: Path) -> None:
    put(tmp_path, {"two.png": FLAT["two.png"]})
    (tmp_path / "passwd.png").symlink_to("/etc/passwd")
    scenes, refused = split(tmp_path)
    assert scenes["two"].warnings == ['the link "passwd.png" was not followed'] and refused == {}


def test_coco_annotations_find_images_in_the_folder_beside_them(tmp_path: Path) -> None:
    put(tmp_path, {"annotations/x.json": json.dumps(coco()).encode(), "val/one.jpg": FLAT["one.jpg"]})
    for source in (tmp_path / "annotations" / "x.json", tmp_path):
        assert split(source)[0].keys() == {"val/one"}


def test_one_photo_alone_is_a_scene_whatever_lies_beside_it(tmp_path: Path) -> None:
    put(tmp_path, FLAT)
    assert split(tmp_path / "two.png")[0].keys() == {"two"}
    assert split(FLAT["two.png"])[0].keys() == {"upload"}


@pytest.mark.parametrize("data", [b"", b"hello", b"\x1f\x8b\x08", b"%PDF", glb()])
def test_a_single_file_that_is_no_photo_is_refused_by_content(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "x.jpg").write_bytes(data)
    for source in (data, tmp_path / "x.jpg"):
        scenes, refused = split(source)
        assert scenes == {} and len(refused) == 1


@pytest.mark.parametrize("data", [b"PK\x03\x04rest", b"{}", b'{"a":1}\n{"a":\n{}\n'])
def test_a_broken_collection_is_refused_as_a_whole(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(data)
    for source in (tmp_path / "x", tmp_path / "missing"):
        with pytest.raises(BadInput):
            list(scan(source))
