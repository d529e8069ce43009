"""What an artist hears about a mesh."""

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
    return {finding["check"]: finding["message"] for finding in row.report.findings}


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
    assert row.report.findings[0]["check"] == "file" and row.report.findings[0]["fix"]


def test_a_mesh_with_holes_is_told_so_but_reviewed(people: SimpleNamespace) -> None:
    mesh = column()
    mesh.update_faces(np.arange(len(mesh.faces)) > 1)
    row = submitted(people, glb(mesh))
    assert row.state == "in_review" and "holes" in said(row)["surface"]


def test_a_flat_mesh_is_refused(people: SimpleNamespace) -> None:
    row = submitted(people, glb(column(extents=(1.0, 1.0, 1e-6))))
    assert row.state == "refused" and "flat" in said(row)["shape"]


def test_a_mesh_that_lies_on_its_side_is_told_its_up_axis(people: SimpleNamespace) -> None:
    assert "up axis" in said(submitted(people, glb(column(extents=(1.0, 0.25, 0.6)))))


def test_an_inside_out_mesh_is_told_to_flip(people: SimpleNamespace) -> None:
    mesh = column()
    mesh.invert()
    assert "inside out" in said(submitted(people, glb(mesh)))["normals"]


def test_millimetres_are_noticed(people: SimpleNamespace) -> None:
    assert "unit" in said(submitted(people, glb(column(extents=(400.0, 1000.0, 400.0)))))["scale"]
