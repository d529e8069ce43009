"""One photo and mask to a GLB and a pose."""

import json

import numpy as np
import pytest

from model_zoo import infer
from model_zoo.io.images import encode_jpeg, encode_png
from model_zoo.io.meshes import load_mesh
from tests.model_zoo.releases import members, targets


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photo")
    for name, data in members(targets(1)[0][0]).items():
        (folder / name).write_bytes(data)
    return folder


def run(files, start, out, *more):
    arguments = [
        "--image",
        files / "image.jpg",
        "--mask",
        files / "mask.png",
        "--checkpoint",
        start,
        "--out",
        out,
    ]
    return infer.main([str(a) for a in [*arguments, "--candidates", 1, "--steps", 2, *more]])


@pytest.mark.parametrize("known", [True, False])
def test_a_photo_becomes_a_mesh_with_a_pose(files, start, tmp_path, known):
    more = ["--pointmap", files / "pointmap.npz"] if known else []
    assert run(files, start, tmp_path / "o.glb", *more) == 0
    assert len(load_mesh((tmp_path / "o.glb").read_bytes()).mesh.faces) > 10
    note = json.loads((tmp_path / "o.pose.json").read_text())
    assert note["pointmap"] == ("given" if known else "fallback") and np.shape(note["R"]) in ((3, 3), (9,))


@pytest.mark.parametrize(("name", "data"), [("mask.png", b"no picture"), ("image.jpg", b"")])
def test_a_broken_file_is_one_line(files, start, tmp_path, capsys, name, data):
    broken = tmp_path / "photo"
    broken.mkdir()
    (broken / "image.jpg").write_bytes(encode_jpeg(np.zeros((40, 40, 3), np.uint8)))
    (broken / "mask.png").write_bytes(encode_png(np.full((40, 40), 255, np.uint8)))
    (broken / name).write_bytes(data)
    assert run(broken, start, tmp_path / "o.glb") == 1
    text = capsys.readouterr().err.strip()
    assert text.startswith("error: ") and "\n" not in text


def test_a_missing_checkpoint_is_named(files, tmp_path, capsys):
    assert run(files, tmp_path / "none", tmp_path / "o.glb") == 1
    assert "is not a checkpoint" in capsys.readouterr().err
