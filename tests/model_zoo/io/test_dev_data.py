"""The shared photographs, masks, RGB-D scenes and meshes load with the sizes and counts of their manifest."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from model_zoo.io.meshes import export_glb, load_mesh
from model_zoo.io.scenes import Refusal, Scene, scan


@pytest.fixture(scope="module")
def rows(test_data: Path) -> dict[str, dict[str, Any]]:
    lines = (test_data / "dev" / "manifest.jsonl").read_text().splitlines()
    return {row["path"]: row for row in map(json.loads, lines)}


@pytest.fixture(scope="module")
def scenes(test_data: Path) -> dict[str, Scene]:
    found = list(scan(test_data / "dev" / "manifest.jsonl"))
    assert not [item for item in found if isinstance(item, Refusal)]
    return {item.name: item for item in found if isinstance(item, Scene)}


def test_every_photo_and_mask_has_the_size_and_area_of_the_manifest(rows, scenes) -> None:
    checked = 0
    for row in rows.values():
        if row["kind"] not in ("photo", "rgbd", "background", "rgbd_background"):
            continue
        stem = row["path"].rpartition(".")[0].removesuffix("/color")
        scene = next(s for name, s in scenes.items() if name in (stem, stem + "/color"))
        assert scene.image.size == (row["width"], row["height"])
        assert {name: int(mask.sum()) for name, mask in scene.masks.items()} == {
            mask["instance"]: mask["area"] for mask in row["masks"]
        }
        assert scene.licence == row["licence"] and scene.attribution == row["attribution"]
        checked += 1
    assert checked == 33


def test_every_depth_image_is_valid_where_the_manifest_says(rows, scenes) -> None:
    for row in (row for row in rows.values() if row["kind"] == "depth"):
        scene = scenes[row["path"].removesuffix("/depth.png")]
        share = np.isfinite(scene.pointmap.points[..., 2]).mean()
        assert share == pytest.approx(row["valid_fraction"], abs=1e-3)
        assert scene.pointmap_source == "sensor" and scene.camera.depth_scale == row["unit_m"]


def test_known_poses_put_the_mesh_where_the_depth_is(scenes) -> None:
    scene = scenes["rgbd/ycb_table_2"]
    mesh, pose = scene.truths["master_chef_can"]
    points = pose.apply(load_mesh(Path(mesh).read_bytes()).mesh.vertices)
    seen = scene.pointmap.points[scene.masks["master_chef_can"]]
    assert np.linalg.norm(points.mean(axis=0) - np.nanmedian(seen, axis=0)) < 0.08


def test_a_folder_gives_the_same_scenes_as_its_manifest(test_data: Path, scenes) -> None:
    found = {s.name: s for s in scan(test_data / "dev" / "rgbd")}
    assert {f"rgbd/{name}" for name in found} == {name for name in scenes if name.startswith("rgbd/")}
    assert found["ycb_table_5"].masks.keys() == scenes["rgbd/ycb_table_5"].masks.keys()


def mesh_paths() -> list[str]:
    from tests.model_zoo.io.test_hostile import DATA

    dev = DATA / "dev"
    return sorted(p.relative_to(dev).as_posix() for p in (*dev.glob("meshes/*"), *dev.glob("formats/*")))


@pytest.mark.parametrize("path", mesh_paths())
def test_a_mesh_loads_whole_and_survives_export(path: str, test_data: Path, rows) -> None:
    loaded = load_mesh((test_data / "dev" / path).read_bytes(), name=path)
    row = rows[path]
    dropped = next((int(w.split()[0]) for w in loaded.warnings if "degenerate" in w), 0)
    assert len(loaded.mesh.faces) + dropped == row["triangles"]
    if "extents" in row:
        assert np.allclose(loaded.mesh.extents, row["extents"], rtol=1e-3)
    if row.get("textured"):
        assert loaded.mesh.visual.material.baseColorTexture is not None
    data = export_glb(loaded.mesh)
    again = load_mesh(data)
    assert np.allclose(again.mesh.triangles, loaded.mesh.triangles, rtol=1e-5, atol=1e-5 * loaded.mesh.scale)
    assert export_glb(again.mesh) == data
