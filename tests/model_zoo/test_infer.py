"""One photo and mask to a GLB and a pose."""

import json

import numpy as np
import pytest
import torch

from model_zoo import checkpoint, infer
from model_zoo.geometry.preprocess import prepare_photo
from model_zoo.io.images import encode_jpeg, encode_png
from model_zoo.io.meshes import load_mesh
from model_zoo.pipeline import stages
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


@pytest.fixture
def both(start, second, tmp_path):
    """A folder as model_zoo.convert makes it; the shape of seed 0 has about fifty voxels, so that it does not take long."""
    target, _ = targets(1)[0]
    found = checkpoint.load(start)
    size = found.model.config.embedder.image_size
    views = prepare_photo(target.rgb, target.mask, target.pointmap, size).views
    shape = found.model.sample({n: v[None] for n, v in views.items()}, seed=0, steps=2, strength=1.0)["shape"]
    with torch.no_grad():
        logits = found.model.decode_shape(shape).flatten()
        found.model.decoder.out_layer[2].bias -= logits.topk(50).values[-1]
    checkpoint.save(tmp_path / "both" / "geometry", found.model, recipe="tiny", card={})
    (tmp_path / "both" / "texture").symlink_to(second)
    return tmp_path / "both"


def test_both_stages_of_a_folder_are_run(files, both, tmp_path):
    more = ["--pointmap", files / "pointmap.npz", "--texture-steps", 2]
    assert run(files, both, tmp_path / "o.glb", *more) == 0
    mesh = load_mesh((tmp_path / "o.glb").read_bytes()).mesh
    assert mesh.visual.kind == "vertex" and len(mesh.faces) > 1000


def test_the_second_stage_is_the_one_named_or_the_one_in_the_folder(both, start, second):
    assert stages(both) == (both / "geometry", both / "texture")
    assert stages(both, second) == (both / "geometry", second)
    assert stages(start, second) == (start, second) and stages(start) == (start, None)


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
