"""Real photos, RGB-D scenes and meshes come in through the public commands, once, and whole."""

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.core.management import CommandError, call_command
from PIL import Image as Picture

from backend import storage
from backend.annotation.models import Task
from backend.catalog.models import Batch, Image, Mesh, Pointmap, TargetObject, Truth
from backend.models import Blob
from model_zoo.io.depth import decode_pointmap, encode_pointmap, unproject
from model_zoo.io.images import load_image, load_mask
from model_zoo.io.meshes import load_mesh
from workers import importing, proposing
from workers.finishing import finish

pytestmark = pytest.mark.django_db


def run(command: str, source: Path, *options: str) -> str:
    out = io.StringIO()
    call_command(command, str(source), *options, stdout=out)
    return out.getvalue()


@pytest.fixture
def photo(test_data: Path, tmp_path: Path) -> Path:
    """A folder with one photo and two masks."""
    for name in ("mug.jpg", "mug.mask_mug.png", "mug.mask_kettle.png"):
        (tmp_path / name).write_bytes((test_data / "dev/images" / name).read_bytes())
    return tmp_path


def test_every_photo_of_a_folder_comes_in_with_its_masks(test_data: Path) -> None:
    said = run("import_images", test_data / "dev/images", "--batch", "photos")
    masks = len(list((test_data / "dev/images").glob("*.mask_*.png")))
    assert TargetObject.objects.filter(mask__isnull=False).count() == masks
    photos = len(list((test_data / "dev/images").glob("*.jpg")))
    assert Image.objects.count() == photos
    assert f"{photos} photos taken, 0 known already, 0 refused" in said


def test_an_import_may_be_repeated(photo: Path) -> None:
    run("import_images", photo, "--batch", "photos")
    before = [model.objects.count() for model in (Image, TargetObject, Pointmap, Task, Blob)]
    assert "0 photos taken, 1 known already" in run("import_images", photo, "--batch", "photos")
    assert before == [model.objects.count() for model in (Image, TargetObject, Pointmap, Task, Blob)]


def test_a_photo_keeps_its_bytes_and_shows_a_clean_copy(photo: Path) -> None:
    run("import_images", photo, "--batch", "photos")
    image = Image.objects.get()
    assert storage.read(image.blob) == (photo / "mug.jpg").read_bytes()
    shown = Picture.open(io.BytesIO(storage.read(image.display)))
    assert (shown.format, shown.size, dict(shown.getexif())) == ("JPEG", (image.width, image.height), {})


def test_a_mask_comes_in_pixel_for_pixel(photo: Path) -> None:
    run("import_images", photo, "--batch", "photos")
    row = TargetObject.objects.get(name="mug")
    given = load_mask((photo / "mug.mask_mug.png").read_bytes()).mask
    assert np.array_equal(load_mask(storage.read(row.mask)).mask, given)
    assert (row.area, row.box[2] <= row.image.width) == (int(given.sum()), True)


def test_a_photo_without_depth_gets_a_pointmap_that_says_so(photo: Path) -> None:
    run("import_images", photo, "--batch", "photos")
    row = Pointmap.objects.get()
    points, camera = decode_pointmap(storage.read(row.blob))
    assert (row.source, row.metric, points.shape) == (
        "fallback",
        False,
        (row.image.height, row.image.width, 3),
    )
    assert camera is not None and row.camera["fx"] == pytest.approx(camera.fx)


def test_a_photo_without_a_mask_waits_for_one(photo: Path) -> None:
    for path in photo.glob("*.png"):
        path.unlink()
    run("import_images", photo, "--batch", "photos")
    task = Task.objects.get()
    assert (task.stage, task.state, task.object.mask) == ("select", "open", None)


def test_depth_comes_in_as_measured(test_data: Path) -> None:
    run("import_images", test_data / "dev/rgbd", "--batch", "rgbd")
    assert Pointmap.objects.exclude(source="sensor").count() == 0
    row = Pointmap.objects.get(image__name__contains="ycb_table_1")
    points, camera = decode_pointmap(storage.read(row.blob))
    folder = test_data / "dev/rgbd/ycb_table_1"
    unit = json.loads((folder / "camera.json").read_text())["depth_png_unit_m"]
    depth = np.asarray(Picture.open(folder / "depth.png")).astype(float) * unit
    depth[depth == 0] = np.nan
    np.testing.assert_allclose(points[..., 2], depth, rtol=1e-6)
    assert camera is not None and row.metric


def test_known_poses_are_kept_apart(test_data: Path) -> None:
    folder = test_data / "dev/rgbd/ycb_table_1"
    run("import_images", folder, "--batch", "rgbd")
    given = {row["instance"]: row for row in json.loads((folder / "objects.json").read_text())["objects"]}
    truths = {row.object.name: row for row in Truth.objects.select_related("object", "mesh")}
    assert truths.keys() == given.keys()
    for name, row in truths.items():
        assert (row.mesh.source, row.measured) == ("truth", False)
        np.testing.assert_allclose(np.reshape(row.R, (3, 3)), given[name]["R"], atol=1e-4)
        np.testing.assert_allclose(row.s, [given[name]["scale"]] * 3)


def test_a_zip_is_as_good_as_its_folder(photo: Path, tmp_path: Path) -> None:
    archive = tmp_path / "photos.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for path in sorted(photo.glob("mug*")):
            file.write(path, f"some folder/{path.name}")
    run("import_images", archive, "--batch", "photos")
    assert TargetObject.objects.filter(mask__isnull=False).count() == 2


def test_a_single_photo_comes_in_without_its_neighbours(photo: Path) -> None:
    run("import_images", photo / "mug.jpg", "--batch", "photos")
    assert (Image.objects.count(), TargetObject.objects.get().mask) == (1, None)


def test_a_cut_out_is_its_own_mask(photo: Path, tmp_path: Path) -> None:
    rgb = load_image((photo / "mug.jpg").read_bytes()).rgb
    alpha = load_mask((photo / "mug.mask_mug.png").read_bytes()).mask.astype(np.uint8) * 255
    folder = tmp_path / "cut"
    folder.mkdir()
    Picture.fromarray(np.dstack([rgb, alpha])).save(folder / "mug.png")
    run("import_images", folder, "--batch", "photos")
    assert TargetObject.objects.get().area == np.count_nonzero(alpha)


@pytest.mark.parametrize("source", ["nothing-there", "empty"])
def test_nothing_to_import_is_one_line_and_exit_code_1(tmp_path: Path, source: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(CommandError) as failure:
        run("import_images", tmp_path / source, "--batch", "photos")
    assert "\n" not in str(failure.value) and failure.value.returncode == 1
    assert not Batch.objects.exists()


@pytest.mark.parametrize("name", ["two words", "x" * 61, ""])
def test_a_batch_needs_a_plain_name(photo: Path, name: str) -> None:
    with pytest.raises(CommandError, match="--batch"):
        run("import_images", photo, "--batch", name)


def test_a_photo_that_fails_half_way_leaves_no_row(photo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: Any, **kwargs: Any) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(importing, "enqueue", full)
    with pytest.raises(OSError):
        importing.import_images(photo, Batch.objects.create(name="photos"))
    assert (Image.objects.count(), TargetObject.objects.count(), Pointmap.objects.count()) == (0, 0, 0)


def test_every_mesh_comes_in_in_every_format(test_data: Path) -> None:
    said = run("import_meshes", test_data / "dev/meshes") + run("import_meshes", test_data / "dev/formats")
    assert said.count("0 refused") == 2
    assert Mesh.objects.filter(source="library").count() == 43 + 6
    assert "0 meshes taken, 6 known already" in run("import_meshes", test_data / "dev/formats")


def test_a_library_mesh_keeps_its_maps_for_the_data_sets_and_a_candidate_of_it_does_not(
    test_data: Path,
) -> None:
    data = (test_data / "dev/meshes/avocado.glb").read_bytes()
    row, _new, notes = importing.take_mesh(data, name="avocado.glb", facts={})
    kept = load_mesh(storage.read(row.blob), maps=True).mesh
    assert not notes and kept.visual.material.normalTexture is not None
    assert b"normalTexture" not in finish(proposing.library_mesh(f"library_{row.pk}")).glb


def test_meshes_of_a_zip_come_in_one_by_one(test_data: Path, tmp_path: Path) -> None:
    archive = tmp_path / "meshes.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for name in ("spot_cow", "plate_8in"):
            file.write(test_data / f"dev/meshes/{name}.glb", f"{name}.glb")
    run("import_meshes", archive, "--category", "thing", "--licence", "CC0-1.0")
    assert set(Mesh.objects.values_list("name", "category", "licence")) == {
        ("spot_cow", "thing", "CC0-1.0"),
        ("plate_8in", "thing", "CC0-1.0"),
    }


def test_points_for_the_viewer_are_few_and_coloured() -> None:
    points = np.random.default_rng(0).normal(size=(300, 400, 3)).astype(np.float32)
    points[:10] = np.nan
    rgb = np.full((300, 400, 3), (255, 0, 51), np.uint8)
    thinned = np.frombuffer(importing.thin(points, rgb), "<f4").reshape(-1, 6)
    assert thinned.shape == (60_000, 6) and np.isfinite(thinned).all()
    np.testing.assert_allclose(thinned[0, 3:], [1, 0, 0.2])


def test_a_pointmap_without_camera_gets_the_one_that_made_it(photo: Path) -> None:
    image = load_image((photo / "mug.jpg").read_bytes())
    width, height = image.size
    camera = importing._camera(np.array([[500, 0, 300], [0, 510, 200], [0, 0, 1]]), image.size)
    depth = np.random.default_rng(0).uniform(1, 2, (height, width)).astype(np.float32)
    (photo / "mug.pointmap.npz").write_bytes(encode_pointmap(unproject(depth, camera)))
    run("import_images", photo, "--batch", "photos")
    found = Pointmap.objects.get().camera
    assert [found[name] for name in ("fx", "fy", "cx", "cy")] == pytest.approx([500, 510, 300, 200], rel=1e-3)


def test_consent_comes_from_the_manifest_or_else_from_the_command(photo: Path) -> None:
    (photo / "plain.jpg").write_bytes(plain())
    (photo / "manifest.jsonl").write_text(
        json.dumps({"path": "mug.jpg", "consent": "signed release form"}) + "\n"
    )
    run("import_images", photo, "--batch", "photos", "--consent", "public place")
    assert dict(Image.objects.values_list("name", "consent")) == {
        "mug": "signed release form",
        "plain": "public place",
    }


def plain() -> bytes:
    data = io.BytesIO()
    Picture.effect_noise((64, 48), 60).convert("RGB").save(data, "JPEG")
    return data.getvalue()
