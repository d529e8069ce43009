"""Photos, masks, depth and meshes of the shared data go in through the public commands and come out of a release intact."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.utils import timezone
from PIL import Image as Picture

from backend.annotation.models import Alignment, Assignment, Rating, Task
from backend.catalog.models import Batch, Mesh
from backend.proposals.models import Candidate, Proposer
from model_zoo.io.depth import decode_pointmap
from model_zoo.io.meshes import load_mesh
from tests.backend.datasets.rows import POSE
from tests.workers.test_releasing import member, rows

pytestmark = pytest.mark.django_db(transaction=True)


def answered(batch: Batch) -> None:
    """Somebody chose the cow over the plate for every object of the batch, and aligned it."""
    ada = get_user_model().objects.create_user("ada")
    proposer = Proposer.objects.create(name="retrieval", kind="retrieval")
    meshes = list(Mesh.objects.filter(source="library").order_by("-name"))
    for task in batch.tasks.filter(stage="compare"):
        made = [
            Candidate.objects.create(
                batch=batch, object=task.object, proposer=proposer, seed=seed, mesh=mesh, viewer=mesh.blob,
                thumbnail=mesh.blob, **POSE,
            )
            for seed, mesh in enumerate(meshes)
        ]  # fmt: skip
        common: dict[str, Any] = {
            "user": ada,
            "batch": batch,
            "state": "submitted",
            "lease_until": timezone.now(),
        }
        compared = Assignment.objects.create(
            task=task, stage="compare", bracket=[row.pk for row in made], survivor=made[0], **common
        )
        Rating.objects.create(assignment=compared, candidate=made[0], r=0.8)
        later = Task.objects.create(
            batch=batch, object=task.object, stage="align", candidate=made[0], state="done"
        )
        aligned = Assignment.objects.create(task=later, stage="align", survivor=made[0], **common)
        pointmap = task.object.image.pointmaps.get()
        Alignment.objects.create(assignment=aligned, candidate=made[0], pointmap=pointmap, by=ada, **POSE)


@pytest.fixture
def released(test_data: Path, tmp_path: Path) -> Path:
    """A release of one RGB-D scene with masks, and two meshes."""
    (tmp_path / "meshes").mkdir()
    for name in ("spot_cow", "plate_8in"):
        (tmp_path / "meshes" / f"{name}.glb").write_bytes((test_data / f"dev/meshes/{name}.glb").read_bytes())
    call_command("import_meshes", str(tmp_path / "meshes"))
    call_command("import_images", str(test_data / "dev/rgbd/ycb_table_1"), "--batch", "table")
    answered(Batch.objects.get(name="table"))
    call_command("release", "sft", "--batch", "table", "--out", str(tmp_path / "out"))
    call_command("verify_release", str(tmp_path / "out"))
    return tmp_path / "out"


def test_shared_data_comes_out_as_it_went_in(released: Path, test_data: Path) -> None:
    folder = test_data / "dev/rgbd/ycb_table_1"
    found = rows(released)
    masks = sorted(folder.glob("mask_*.png"))
    assert len(found) == len(masks) > 1
    photo = np.asarray(Picture.open(folder / "color.png").convert("RGB"))
    assert (np.asarray(Picture.open(io.BytesIO(member(released, found[0], "image")))) == photo).all()

    stored = {member(released, row, "mask") for row in found}
    pixels = {
        np.asarray(Picture.open(io.BytesIO(data)).convert("L")).astype(bool).tobytes() for data in stored
    }
    assert pixels == {np.asarray(Picture.open(path).convert("L")).astype(bool).tobytes() for path in masks}

    unit = json.loads((folder / "camera.json").read_text())["depth_png_unit_m"]
    depth = np.asarray(Picture.open(folder / "depth.png")).astype(float) * unit
    points, camera = decode_pointmap(member(released, found[0], "pointmap"))
    np.testing.assert_allclose(points[..., 2], np.where(depth == 0, np.nan, depth), rtol=1e-6)
    assert camera is not None and found[0]["pointmap_source"] == "sensor" and found[0]["t"] == POSE["t"]

    cow = load_mesh((test_data / "dev/meshes/spot_cow.glb").read_bytes()).mesh
    out = load_mesh(member(released, found[0], "mesh")).mesh
    np.testing.assert_allclose(out.triangles, cow.triangles, atol=1e-6)
    assert out.visual.uv is not None and out.visual.material.baseColorTexture is not None
