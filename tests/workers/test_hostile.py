"""Every hostile file goes through the command and the API: the outcome its manifest asks for, in words, never a crash."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from backend import jobs
from backend.catalog.models import Batch, Image, Mesh
from backend.models import Job
from tests import processes
from workers import importing

pytestmark = pytest.mark.django_db
CANARY = Path("/tmp/sam3d_hostile_canary_npy")
# Sound archives that hold no mesh and no photo: the archive is read, and no door takes what is inside.
NO_DOOR = {"zip_case_collision.zip", "zip_non_utf8_names.zip", "zip_odd_names.zip"}
# Runs a command and prints its peak of memory in KiB; a child's own count begins with what its parent held at the fork.
PEAK = """
import resource, subprocess, sys
code = subprocess.run(sys.argv[1:]).returncode
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(code)
"""
SIDECARS = {"mask": "photo.mask_thing", "depth": "photo.depth", "intrinsics": "photo.camera"}


@pytest.fixture(scope="module")
def rows(test_data: Path) -> list[dict[str, Any]]:
    lines = (test_data / "hostile/manifest.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


@pytest.fixture(autouse=True)
def canary() -> Iterator[None]:
    """No pickle is ever loaded."""
    CANARY.unlink(missing_ok=True)
    yield
    assert not CANARY.exists()


def wanted(row: dict[str, Any]) -> bool:
    return row["expect"] != "reject_clear_error" and Path(row["path"]).name not in NO_DOOR


def is_mesh(row: dict[str, Any]) -> bool:
    return row["path"].startswith(("mesh/", "archive/")) or row["path"].endswith(".glb")


def is_sidecar(row: dict[str, Any]) -> bool:
    return row["kind"] in SIDECARS and not row["path"].endswith(".pkl")


def stage(row: dict[str, Any], data: Path, folder: Path) -> Path:
    """The file as an importer meets it: alone, or beside the photo that it belongs to."""
    source = data / "hostile" / row["path"]
    folder.mkdir()
    if not is_sidecar(row):
        (folder / source.name).write_bytes(source.read_bytes())
        return folder
    (folder / "photo.png").write_bytes((data / "hostile/image/ok_photo.png").read_bytes())
    stem = "photo.pointmap" if "pointmap" in source.name else SIDECARS[row["kind"]]
    (folder / f"{stem}{source.suffix}").write_bytes(source.read_bytes())
    if row["kind"] == "depth" and stem == "photo.depth":
        camera = json.loads((data / "hostile/depth/intrinsics_ok.json").read_text())
        (folder / "photo.camera.json").write_text(json.dumps({**camera, "depth_png_unit_m": 0.001}))
    if row["kind"] == "intrinsics":
        (folder / "photo.depth.npy").write_bytes((data / "hostile/depth/ok_depth.npy").read_bytes())
    return folder


def outcome(row: dict[str, Any], folder: Path) -> tuple[bool, list[dict[str, str]]]:
    """Whether the file itself was taken, and what was said."""
    if is_mesh(row):
        report = importing.import_meshes(folder)
        return bool(report.taken or report.known), report.refused
    report = importing.import_images(folder, Batch.objects.get_or_create(name="hostile")[0])
    return bool(report.taken or report.known) and not report.refused, report.refused


def test_every_file_has_the_outcome_that_its_manifest_asks_for(
    rows: list[dict[str, Any]], test_data: Path, tmp_path: Path
) -> None:
    wrong = []
    for number, row in enumerate(rows):
        if row["kind"] == "records" or "pose_" in row["path"]:
            continue
        taken, refused = outcome(row, stage(row, test_data, tmp_path / str(number)))
        if taken != wanted(row) or any(not said["reason"] or "\n" in said["reason"] for said in refused):
            wrong.append((row["path"], row["expect"], taken, refused))
    assert wrong == [], "\n".join(map(str, wrong))


def test_the_api_takes_or_refuses_every_file_in_words(
    rows: list[dict[str, Any]], test_data: Path, people: SimpleNamespace, api: Any
) -> None:
    leo, batch = api(people.leo), Batch.objects.create(name="hostile")
    wrong = []
    for row in rows:
        data, mesh = (test_data / "hostile" / row["path"]).read_bytes(), is_mesh(row)
        fields: dict[str, Any] = {"file": SimpleUploadedFile(Path(row["path"]).name, data)}
        fields |= {} if mesh else {"batch": batch.pk}
        reply = leo.post(f"/api/v1/imports/{'meshes' if mesh else 'images'}/", fields, format="multipart")
        if reply.status_code == 400:
            continue
        job = Job.objects.get(pk=reply.json()["id"])
        jobs.run(job.pk, importing.import_meshes_job if mesh else importing.import_images_job)
        job.refresh_from_db()
        told = leo.get(f"/api/v1/jobs/{job.pk}/").json()
        good = wanted(row) if mesh or row["path"].startswith(("image/", "polyglot/")) else None
        if reply.status_code != 202 or told["state"] not in ("done", "failed") or "Error" in told["error"]:
            wrong.append((row["path"], reply.status_code, told["state"], told["error"]))
        elif good is not None and (told["state"] == "done") != good:
            wrong.append((row["path"], row["expect"], told["state"], told["error"]))
    assert wrong == [], "\n".join(map(str, wrong))


@pytest.mark.django_db(transaction=True)
def test_the_whole_folder_at_once_takes_the_good_and_names_the_bad(test_data: Path) -> None:
    """In a process of its own: exit code, no traceback, nothing outside its folder, memory under 1 GB."""
    batch = ["import_images", str(test_data / "hostile"), "--batch", "hostile"]
    for command in (batch, ["import_meshes", str(test_data / "hostile")]):
        done = subprocess.run(
            [sys.executable, "-c", PEAK, sys.executable, "manage.py", *command],
            cwd=processes.PROJECT,
            env=processes.environment(),
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert (done.returncode, "Traceback" in done.stdout + done.stderr) == (0, False), done.stderr[-2000:]
        assert " taken," in done.stdout and "refused: " in done.stdout
        assert int(done.stdout.split()[-1]) < 1024 * 1024


def test_a_folder_of_bombs_takes_nothing(test_data: Path, tmp_path: Path) -> None:
    batch = Batch.objects.create(name="bombs")
    for name in ("zip_bomb_50mb.zip", "zip_many_files.zip", "zip_traversal.zip", "zip_symlink.zip"):
        report = importing.import_images(test_data / "hostile/archive" / name, batch)
        assert report.failure() and len(report.refused) == 1
    assert (Image.objects.count(), Mesh.objects.count()) == (0, 0)
