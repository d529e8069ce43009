"""Every hostile file of the shared data, through the door that takes its kind, ends as its manifest says."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

from model_zoo.io.archives import open_archive
from model_zoo.io.depth import load_camera, load_depth, load_pointmap
from model_zoo.io.errors import BadInput
from model_zoo.io.images import load_image, load_mask
from model_zoo.io.meshes import export_glb, load_mesh
from model_zoo.io.poses import Pose
from model_zoo.io.records import parse_csv, parse_json, parse_jsonl
from model_zoo.io.scenes import Refusal, scan
from model_zoo.io.sniff import kind_of, refuse_unless

DATA = Path(os.environ.get("MAQUETTE_TEST_DATA") or Path(__file__).resolve().parents[4] / "shared" / "data")
MANIFEST = DATA / "hostile" / "manifest.jsonl"
ROWS = [json.loads(line) for line in MANIFEST.read_text().splitlines()] if MANIFEST.is_file() else []
SIZE = (96, 64)
MEMORY_LIMIT_KB = 1_000_000


def door(path: str, kind: str, data: bytes) -> list[str]:
    """Read the file as an upload of its kind would be read; the warnings."""
    if kind == "image" or (kind == "polyglot" and kind_of(data) == "image"):
        return load_image(data, name=path).warnings
    if kind == "mask":
        return load_mask(data, SIZE, name=path).warnings
    if kind in ("depth", "pickle"):
        camera = load_camera(b'{"fx":100,"fy":100,"cx":48,"cy":32}', SIZE)
        read = load_pointmap if "pointmap" in path else lambda d, size: load_depth(d, camera, size)
        return read(data, SIZE).warnings
    if kind == "intrinsics":
        load_camera(data, SIZE)
        return []
    if kind == "pose":
        Pose.from_json(data)
        return []
    if kind == "archive":
        archive = open_archive(data)
        for member in archive.members:
            member.read()
        return archive.warnings
    return _records(path, data) if kind == "records" else _mesh(path, data)


def _mesh(path: str, data: bytes) -> list[str]:
    loaded = load_mesh(data, name=path)
    assert load_mesh(export_glb(loaded.mesh)).mesh.faces.shape == loaded.mesh.faces.shape
    return loaded.warnings


def _records(path: str, data: bytes) -> list[str]:
    refuse_unless(data, "json", "records", "csv")
    if path.startswith("records/manifest"):
        refused = [found.reason for found in scan(DATA / "hostile" / path) if isinstance(found, Refusal)]
        raise BadInput(refused[0])
    if path.endswith(".csv"):
        return parse_csv(data).warnings
    if path.endswith(".jsonl"):
        return parse_jsonl(data).warnings
    parse_json(data)
    return []


def outcome(row: dict[str, Any]) -> tuple[str, str]:
    """("accept" | "warn" | "refuse", message or warnings)."""
    data = (DATA / "hostile" / row["path"]).read_bytes()
    try:
        warnings = door(row["path"], row["kind"], data)
    except BadInput as error:
        return "refuse", str(error)
    return ("warn" if warnings else "accept"), "; ".join(warnings)


ALLOWED = {
    "accept": {"accept"},
    "accept_with_warning": {"warn"},
    "sanitize": {"accept", "warn"},
    "reject_clear_error": {"refuse"},
}


@pytest.mark.skipif(not ROWS, reason=f"no hostile files in {DATA}: set MAQUETTE_TEST_DATA")
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["path"])
def test_a_hostile_file_ends_as_its_manifest_says(row: dict[str, Any]) -> None:
    got, message = outcome(row)
    assert got in ALLOWED[row["expect"]], message
    assert "\n" not in message and "Traceback" not in message
    assert got != "refuse" or 10 < len(message) <= 500
    assert "root:x" not in message
    assert not list(Path(tempfile.gettempdir()).glob("sam3d_hostile_canary*")), "a canary file appeared"


@pytest.mark.skipif(not ROWS, reason=f"no hostile files in {DATA}: set MAQUETTE_TEST_DATA")
def test_all_hostile_files_together_take_less_than_a_gigabyte() -> None:
    code = (
        "import resource, tests.model_zoo.io.test_hostile as t\n"
        "for row in t.ROWS: t.outcome(row)\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )
    root = Path(__file__).resolve().parents[3]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=root, check=True)
    assert int(done.stdout) < MEMORY_LIMIT_KB


def test_reading_files_loads_neither_torch_nor_django() -> None:
    modules = sorted(p.stem for p in (Path(__file__).resolve().parents[3] / "model_zoo" / "io").glob("*.py"))
    code = f"import sys, importlib\nfor m in {modules}: importlib.import_module('model_zoo.io.' + m)\n"
    code = code.replace("'__init__', ", "") + "print([m for m in ('torch', 'django') if m in sys.modules])"
    root = Path(__file__).resolve().parents[3]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=root, check=True)
    assert done.stdout.strip() == "[]"
