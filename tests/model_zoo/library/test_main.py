"""The command that writes the library: files, manifest, repeatable bytes, clear errors."""

import hashlib
import json
import subprocess
import sys

from model_zoo.io.meshes import load_mesh
from model_zoo.library.__main__ import write


def command(*words):
    return subprocess.run([sys.executable, "-m", "model_zoo.library", *words], capture_output=True, text=True)


def test_it_writes_meshes_that_read_back_and_a_manifest_of_them(tmp_path):
    rows = write(tmp_path, each=2, categories=["mug", "pan"])
    assert [row["path"] for row in rows] == ["mug_01.glb", "mug_02.glb", "pan_01.glb", "pan_02.glb"]
    stored = [json.loads(line) for line in (tmp_path / "manifest.jsonl").read_text().splitlines()]
    for row in stored:
        data = (tmp_path / row["path"]).read_bytes()
        assert hashlib.sha256(data).hexdigest() == row["sha256"] and row["licence"] == "CC0-1.0"
        assert len(load_mesh(data).mesh.faces) == row["triangles"]


def test_the_same_mesh_has_the_same_bytes(tmp_path):
    first, again = (write(tmp_path / name, each=1, categories=["dog"])[0] for name in "ab")
    assert first["sha256"] == again["sha256"]


def test_a_folder_that_cannot_be_written_is_one_line_and_code_1(tmp_path):
    (tmp_path / "file").write_text("")
    done = command("--out", str(tmp_path / "file" / "below"), "--category", "mug")
    assert done.returncode == 1 and done.stderr.startswith("cannot write the library")
    assert "Traceback" not in done.stderr


def test_an_unknown_category_is_a_usage_error(tmp_path):
    assert command("--out", str(tmp_path), "--category", "unicorn").returncode == 2
