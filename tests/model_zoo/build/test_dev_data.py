"""Every real mesh, photo and RGB-D frame of the shared data is built into every variant, small, in a few minutes."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from model_zoo.build import verify
from model_zoo.build.__main__ import main
from model_zoo.data.reader import DataSet

Build = Callable[..., Path]


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Build:
    """Runs the command; the folder that it wrote."""
    folder = tmp_path_factory.mktemp("data")

    def run(variant: str, source: Path, *more: object) -> Path:
        out = folder / variant
        command = [variant, "--from", source, "--out", out, "--size", 128, "--workers", 2, *more]
        assert main([str(word) for word in command]) == 0
        return out

    return run


@pytest.fixture(scope="module")
def iso(build: Build, test_data: Path) -> Path:
    """Iso-3DO of every mesh of dev/meshes and dev/formats."""
    return build("iso3do", test_data / "dev", "--views", 2)


def refused(out: Path) -> dict[str, str]:
    """What was refused, and the code of why."""
    lines = [json.loads(line) for line in (out / "report.jsonl").read_text().splitlines()]
    return {line["refused"]["name"]: line["refused"]["code"] for line in lines if "refused" in line}


def test_every_mesh_is_in_iso_3do(iso: Path, test_data: Path) -> None:
    data = DataSet(iso)
    there = {json.loads(text)["mesh"] for text in data.facts["provenance"].to_pylist()}
    meshes = {f"meshes/{path.name}" for path in (test_data / "dev" / "meshes").iterdir()}
    formats = {f"formats/{path.name}" for path in (test_data / "dev" / "formats").iterdir()}
    assert there == meshes | formats and refused(iso) == {}
    assert len(data) == 2 * len(there)
    assert all(row["mesh_licence"] and row["mesh_attribution"] for row in data.facts.to_pylist())
    # The same object in another format is a near twin, and never on the other side.
    sides = {json.loads(row["provenance"])["mesh"]: row["split"] for row in data.facts.to_pylist()}
    for one, other in (("avocado.glb", "avocado_gltf.zip"), ("cycloidal_gear.glb", "cycloidal_gear.ply")):
        assert {sides[f"meshes/{one}"], sides[f"formats/{other}"]} != {"train", "validation"}
    sample = data.sample(0)
    depth, mask = sample.depth(), sample.mask()
    assert (np.isfinite(depth) == mask).all() and sample.occupancy().any()
    assert verify.main([str(iso)]) == 0


def test_every_photo_is_in_flying_occlusions(iso: Path, build: Build, test_data: Path) -> None:
    out = build("rp3do-fo", test_data / "dev", "--meshes", iso, "--limit", 66)
    data = DataSet(out)
    photos = len(list((test_data / "dev" / "images").glob("*.jpg"))) + len(
        list((test_data / "dev" / "rgbd").iterdir())
    )
    rows = data.facts.to_pylist()
    assert len({row["photo_sha256"] for row in rows}) + len(refused(out)) == photos
    assert not refused(out)
    for number in range(0, len(rows), 5):
        sample = data.sample(number)
        visible, whole, row = sample.mask(), sample.mask("whole"), sample.row
        share = (visible & whole).sum() / whole.sum()
        assert visible.sum() >= 0.002 * visible.size
        assert share > 0.99 if row["role"] == "occluder" else 0.1 <= share <= 0.9
    assert verify.main([str(out)]) == 0


def test_every_frame_with_depth_and_masks_is_in_object_swap(iso: Path, build: Build, test_data: Path) -> None:
    out = build("rp3do-osr", test_data / "dev", "--meshes", iso, "--limit", 40)
    data = DataSet(out)
    scenes = {path.parent.name for path in (test_data / "dev" / "rgbd").glob("*/mask_*.png")}
    there = {json.loads(row["provenance"])["photo"].rpartition("/")[2] for row in data.facts.to_pylist()}
    assert there == scenes
    codes = refused(out)
    assert {code for name, code in codes.items() if name.startswith("images/")} <= {"no_pointmap"}
    assert {codes[f"rgbd/home_{n}"] for n in range(1, 6)} == {"no_mask"}
    for number in range(0, len(data), 4):
        sample = data.sample(number)
        pose, points, mask = sample.pose(), sample.points(), sample.mask()
        assert pose is not None and points is not None
        # The pointmap in the visible mask is the surface of the posed mesh.
        shape = sample.mesh()
        posed = (np.asarray(shape.vertices) * pose.s) @ pose.R.T + pose.t
        low, high = posed.min(0) - 0.01, posed.max(0) + 0.01
        seen = points[mask]
        assert np.isfinite(seen).all() and ((seen >= low) & (seen <= high)).all()
    assert verify.main([str(out)]) == 0


def test_every_accepted_pose_is_in_object_swap_annotated(build: Build, test_data: Path) -> None:
    out = build("rp3do-osa", test_data / "dev")
    data = DataSet(out)
    poses = sum(
        len(json.loads(path.read_text())["objects"])
        for path in (test_data / "dev" / "rgbd").glob("*/objects.json")
    )
    others = {name: code for name, code in refused(out).items() if code != "no_pose"}
    assert len(data) + len(others) == poses and len(data) >= poses - 2
    assert all(row["mesh_licence"] and row["licence"] for row in data.facts.to_pylist())
    for number in range(len(data)):
        sample = data.sample(number)
        mask, target = sample.mask(), sample.rgb("target")
        assert target[mask].any(axis=-1).mean() > 0.9
        assert sample.row["iou"] > 0.7
    assert verify.main([str(out)]) == 0
