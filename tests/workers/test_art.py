"""What an artist hears about a mesh."""

import time
import uuid
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import trimesh

from backend import storage
from backend.art3do import services
from backend.art3do.models import ArtSubmission
from backend.models import Upload
from backend.proposals.models import Candidate
from model_zoo.report.repairs import REPAIRS
from tests.backend.art3do.cases import claimed
from workers import art

pytestmark = pytest.mark.django_db


def submitted(people: SimpleNamespace, data: bytes, name: str = "vase.glb") -> ArtSubmission:
    """The report on these bytes, for an object whose mask is a tall box two metres away."""
    case = claimed(people.art)
    blob = storage.put(data, "application/octet-stream")
    upload = Upload.objects.create(user=people.art, filename=name, size=blob.size, state="stored", blob=blob)
    row = services.submit(
        people.art, case.assignment.pk, fence=case.assignment.fence, key="0" * 32, upload=upload
    )
    art.check_job(row.job)
    row.refresh_from_db()
    return row


def glb(mesh: trimesh.Trimesh) -> bytes:
    return bytes(mesh.export(file_type="glb"))


def column(**changes: Any) -> trimesh.Trimesh:
    """A box as tall as the mask, y up."""
    return trimesh.creation.box(changes.get("extents", (0.4, 1.0, 0.4)))


def said(row: ArtSubmission) -> dict[str, str]:
    """What is not in order, by check."""
    return {
        finding["check"]: finding["message"] for finding in row.report.findings if finding["level"] != "ok"
    }


def level(row: ArtSubmission, check: str) -> str:
    return next(finding["level"] for finding in row.report.findings if finding["check"] == check)


def repaired(people: SimpleNamespace, row: ArtSubmission, *fixes: str, times: int = 1) -> ArtSubmission:
    """The version that these repairs make of one."""
    made = services.repair(people.art, row.pk, fixes=fixes, key=uuid.uuid4())
    for _ in range(times):
        art.repair_job(made.job)
    made.refresh_from_db()
    return made


def test_a_good_mesh_goes_to_review_with_its_place_in_the_photo(people: SimpleNamespace) -> None:
    row = submitted(people, glb(column()))
    assert row.state == "in_review" and row.report.ok
    assert row.report.figures["watertight"] and row.report.figures["triangles"] == 12
    assert row.report.figures["mask_iou"] > 0.7
    assert row.mesh.source == "artist"


def test_an_approved_mesh_is_a_candidate_with_viewer_copy(people: SimpleNamespace) -> None:
    row = submitted(people, glb(column()))
    services.judge(people.rev, row.pk, verdict="approve", note="")
    candidate = Candidate.objects.get(proposer__kind="artist")
    assert candidate.t[2] == pytest.approx(2, abs=0.4)
    assert b"".join(storage.store().open(storage.view_name(candidate.key, ".glb"))).startswith(b"glTF")


@pytest.mark.parametrize("data", [b"", b"not a mesh at all", b"glTF\x02\x00\x00\x00"])
def test_what_is_no_mesh_is_refused_with_a_reason(people: SimpleNamespace, data: bytes) -> None:
    row = submitted(people, data)
    assert row.state == "refused" and not row.report.ok
    assert row.report.findings[0]["check"] == "file" and row.report.findings[0]["advice"]


def test_a_mesh_with_holes_is_told_so_but_reviewed(people: SimpleNamespace) -> None:
    mesh = column()
    mesh.update_faces(np.arange(len(mesh.faces)) > 1)
    row = submitted(people, glb(mesh))
    assert row.state == "in_review" and "holes" in said(row)["watertight"]


def test_a_flat_mesh_is_refused(people: SimpleNamespace) -> None:
    row = submitted(people, glb(column(extents=(1.0, 1.0, 1e-6))))
    assert row.state == "refused" and "flat" in said(row)["flat"]


def test_a_mesh_that_lies_on_its_side_is_told_its_up_axis(people: SimpleNamespace) -> None:
    assert "up_axis" in said(submitted(people, glb(column(extents=(1.0, 0.25, 0.6)))))


def test_an_inside_out_mesh_is_told_to_flip(people: SimpleNamespace) -> None:
    mesh = column()
    mesh.invert()
    assert "inside out" in said(submitted(people, glb(mesh)))["inverted_normals"]


def test_millimetres_are_noticed(people: SimpleNamespace) -> None:
    assert "unit" in said(submitted(people, glb(column(extents=(400.0, 1000.0, 400.0)))))["scale"]


def test_findings_have_pictures_in_the_store_even_when_the_mesh_is_refused(people: SimpleNamespace) -> None:
    row = submitted(people, glb(column(extents=(1.0, 1.0, 1e-6))))
    flat = next(finding for finding in row.report.findings if finding["check"] == "flat")
    assert row.state == "refused" and row.mesh is None
    assert storage.read(row.report.pictures[flat["picture"]]).startswith(b"\x89PNG")
    assert flat["points"] and flat["params"]["ratio"] < 1e-3


def test_an_fbx_file_is_told_to_come_as_glb(people: SimpleNamespace) -> None:
    row = submitted(people, b"Kaydara FBX Binary  \0\x1a\0" + bytes(100), "cup.fbx")
    assert row.state == "refused" and "Export GLB" in row.report.findings[0]["advice"]


def test_the_backend_knows_every_repair_by_name() -> None:
    assert tuple(REPAIRS) == services.FIXES


def test_a_repair_is_the_next_version_checked_again(people: SimpleNamespace) -> None:
    mesh = column()
    mesh.invert()
    first = submitted(people, glb(mesh))
    second = repaired(people, first, "flip_inside_out", times=2)
    first.refresh_from_db()
    assert (second.version, second.repaired_from, second.state) == (2, first, "in_review")
    assert level(first, "inverted_normals") == "warning" and level(second, "inverted_normals") == "ok"
    assert second.report.figures["repairs"] == [{"code": "flip_inside_out", "changed": 12}]
    assert first.state == "returned" and first.upload.filename == "vase.glb"
    assert second.upload.filename == "vase repaired.glb" and second.upload.blob != first.upload.blob
    assert Upload.objects.count() == 2


def test_a_repaired_version_can_be_repaired_again(people: SimpleNamespace) -> None:
    mesh = column(extents=(400.0, 1000.0, 400.0))
    mesh.invert()
    second = repaired(people, submitted(people, glb(mesh)), "to_metres")
    assert level(second, "scale") == "ok" and level(second, "inverted_normals") == "warning"
    third = repaired(people, second, "flip_inside_out")
    assert level(third, "scale") == "ok" and level(third, "inverted_normals") == "ok"
    assert third.upload.filename == "vase repaired.glb"


def test_a_file_that_cannot_be_read_cannot_be_repaired_but_says_why(people: SimpleNamespace) -> None:
    second = repaired(people, submitted(people, b"not a mesh at all"), "merge_vertices")
    assert second.state == "refused" and second.report.findings[0]["check"] == "file"


def test_a_repaired_version_can_be_approved(people: SimpleNamespace) -> None:
    mesh = column()
    mesh.invert()
    second = repaired(people, submitted(people, glb(mesh)), "flip_inside_out")
    services.judge(people.rev, second.pk, verdict="approve", note="")
    assert Candidate.objects.get(proposer__kind="artist").mesh == second.mesh


def reviewed(row: ArtSubmission, seconds: float = 60) -> bool:
    """Whether the version comes to review in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if ArtSubmission.objects.get(pk=row.pk).state == "in_review":
            return True
        time.sleep(0.2)
    return False


@pytest.mark.django_db(transaction=True)
def test_a_real_worker_checks_and_repairs(people: SimpleNamespace, worker: None) -> None:
    case = claimed(people.art)
    mesh = column()
    mesh.invert()
    blob = storage.put(glb(mesh), "application/octet-stream")
    upload = Upload.objects.create(
        user=people.art, filename="a.glb", size=blob.size, state="stored", blob=blob
    )
    held = {"fence": case.assignment.fence, "key": uuid.uuid4(), "upload": upload}
    row = services.submit(people.art, case.assignment.pk, **held)
    assert reviewed(row)
    made = services.repair(people.art, row.pk, fixes=["flip_inside_out"], key=uuid.uuid4())
    assert reviewed(made) and level(ArtSubmission.objects.get(pk=made.pk), "inverted_normals") == "ok"
