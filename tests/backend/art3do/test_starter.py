"""The starter package holds what an artist's tools can open, and says what its frames are."""

import io
import json
import zipfile
from types import SimpleNamespace

import numpy as np
import pytest
import trimesh

from backend import storage
from backend.art3do.starter import ply, starter
from backend.catalog.models import Pointmap
from tests.backend.datasets.rows import PLAIN, World

pytestmark = pytest.mark.django_db


def with_points(world: World, points: np.ndarray) -> SimpleNamespace:
    """An object whose pointmap has points for pages."""
    target = world.target()
    blob = storage.put(points.astype("<f4").tobytes(), "application/octet-stream")
    Pointmap.objects.filter(pk=target.pointmap.pk).update(points=blob)
    return target


def some(count: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    return np.hstack([rng.normal(size=(count, 3)), rng.random((count, 3))])


def test_the_starter_zip_holds_what_an_artist_needs(db: None) -> None:
    world = World()
    target = with_points(world, some(50))
    world.bracket(target, PLAIN, winner=0)
    archive = zipfile.ZipFile(io.BytesIO(b"".join(starter(target.row))))
    assert archive.testzip() is None
    assert archive.read("candidate.glb") == storage.read(target.candidates[0].mesh.blob)
    camera = json.loads(archive.read("camera.json"))
    assert camera["candidate_pose"]["t"] == [0, 0, 2] and camera["camera"]["fx"] == 60
    assert set(archive.namelist()) == {
        "photo.jpg", "mask.png", "pointmap.npz", "pointmap.ply", "candidate.glb", "camera.json", "README.txt",
    }  # fmt: skip
    words = archive.read("README.txt").decode()
    assert "R diag(s) p + t" in words and "OpenCV" in words and "z into the scene; metres" in words


def test_a_photo_without_points_or_candidates_still_gives_a_package(db: None) -> None:
    target = World().target(candidates=0)
    archive = zipfile.ZipFile(io.BytesIO(b"".join(starter(target.row))))
    assert {"pointmap.ply", "candidate.glb"} & set(archive.namelist()) == set()
    assert {"photo.jpg", "mask.png", "README.txt"} < set(archive.namelist())


@pytest.mark.parametrize("count", [1, 60_000])
def test_the_points_open_as_ply_however_the_store_cuts_them(
    db: None, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage, "CHUNK", 1000)
    points = some(count)
    blob = storage.put(points.astype("<f4").tobytes(), "application/octet-stream")
    cloud = trimesh.load(io.BytesIO(b"".join(ply(blob))), file_type="ply")
    assert np.asarray(cloud.vertices) == pytest.approx(points[:, :3].astype(np.float32))
    assert np.abs(np.asarray(cloud.colors)[:, :3] / 255 - points[:, 3:]).max() <= 0.5 / 255 + 1e-6
