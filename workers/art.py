"""Checks an artist's mesh at once, and repairs one on request: the report is model_zoo.report, the rows are art3do's."""

from dataclasses import asdict
from pathlib import PurePath
from typing import Any

from django.utils.translation import gettext as _

from backend import jobs, storage
from backend.art3do import services
from backend.art3do.models import ArtSubmission
from backend.catalog import services as catalog
from backend.catalog.models import Mesh, TargetObject
from backend.models import Job, Upload
from backend.uploads import MEDIA_TYPE
from model_zoo.io.errors import BadInput
from model_zoo.io.glb_writer import export_glb
from model_zoo.io.meshes import LoadedMesh, load_mesh
from model_zoo.report.findings import Finding
from model_zoo.report.photo import Scene
from model_zoo.report.repairs import repair
from model_zoo.report.report import Report, examine, refused
from workers.finishing import finish
from workers.proposing import load_object, pose_json


def check_job(job: Job) -> dict[str, Any]:
    """Check one submission; safe to repeat. A file that cannot be read is the artist's to mend, not a failed job."""
    row = _row(job)
    return _check(job, row, storage.read(row.upload.blob), {})


def repair_job(job: Job) -> dict[str, Any]:
    """Make the asked repairs on the version that this one comes from, and check the result. Safe to repeat."""
    row = _row(job)
    source = row.repaired_from
    if source is None:
        raise jobs.UserError(_("The version to repair is gone."))
    data = storage.read(source.upload.blob)
    jobs.report(job, 0.1, _("repairing"))
    try:
        mesh, done = repair(load_mesh(data, name=source.upload.filename).mesh, row.fixes)
        repaired = export_glb(mesh)
    except BadInput as refusal:
        return _conclude(row, refused(data, refusal), None, {})
    services.keep_repaired(row, _upload(source, repaired))
    return _check(job, row, repaired, {"repairs": done})


def _row(job: Job) -> ArtSubmission:
    rows = ArtSubmission.objects.select_related(
        "upload__blob", "task__object__image", "task__batch", "repaired_from__upload__blob"
    )
    return rows.get(pk=job.args["submission"])


def _upload(source: ArtSubmission, glb: bytes) -> Upload:
    """The upload row of a repaired file, so that it can be fetched and repaired like one that was sent."""
    blob = storage.put(glb, MEDIA_TYPE)
    name = PurePath(source.upload.filename).stem.removesuffix(" repaired")[:280]
    found, _new = Upload.objects.get_or_create(
        user=source.upload.user, filename=f"{name} repaired.glb", blob=blob,
        defaults={"size": blob.size, "sha256": blob.sha256, "state": Upload.State.STORED},
    )  # fmt: skip
    return found


def _check(job: Job, row: ArtSubmission, data: bytes, figures: dict[str, Any]) -> dict[str, Any]:
    try:
        loaded = load_mesh(data, name=row.upload.filename)
    except BadInput as refusal:
        return _conclude(row, refused(data, refusal), None, figures)
    jobs.report(job, 0.3, _("measuring"))
    scene, source = _scene(row.task.object)
    report = examine(loaded, scene)
    mesh = None
    if report.ok:
        jobs.report(job, 0.7, _("making copies"))
        mesh = _keep(row, loaded, report)
        report.figures["pointmap_source"] = source
    return _conclude(row, report, mesh, figures)


def _scene(target: TargetObject) -> tuple[Scene | None, str]:
    """The photo to stand in and where its pointmap came from; None when it has no mask or no pointmap."""
    try:
        given, source = load_object(target)
    except BadInput:
        return None, ""
    return Scene(given.rgb, given.mask, given.pointmap), source


def _keep(row: ArtSubmission, loaded: LoadedMesh, report: Report) -> Mesh:
    """Store the mesh as it came (as GLB), its viewer copy and thumbnail; the figures get what a candidate needs."""
    finished = finish(loaded.mesh)
    assert report.pose is not None
    report.figures.update(
        viewer=storage.put(finished.viewer, catalog.GLB).pk,
        thumbnail=storage.put(finished.thumbnail, catalog.PNG).pk,
        placement=pose_json(report.pose),
    )
    mesh, _new = catalog.store_mesh(
        export_glb(loaded.mesh),
        source=Mesh.Source.ARTIST,
        triangles=len(loaded.mesh.faces),
        extents=[float(side) for side in loaded.mesh.extents],
        name=row.task.object.name,
        category=row.task.object.category,
    )
    return mesh


def _conclude(
    row: ArtSubmission, report: Report, mesh: Mesh | None, figures: dict[str, Any]
) -> dict[str, Any]:
    pictures: list[str] = []
    findings = [_stored(finding, pictures) for finding in report.findings]
    services.conclude(
        row, ok=report.ok, findings=findings, figures=report.figures | figures, mesh=mesh, pictures=pictures
    )  # fmt: skip
    return {"ok": report.ok, "findings": len(findings)}


def _stored(finding: Finding, pictures: list[str]) -> dict[str, Any]:
    """A finding as its row keeps it; its picture goes to the store and is named by its place among the pictures."""
    fields = asdict(finding)
    if finding.picture is not None:
        pictures.append(storage.put(finding.picture, catalog.PNG).pk)
        fields["picture"] = len(pictures) - 1
    return fields
