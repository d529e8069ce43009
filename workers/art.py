"""Checks an artist's mesh at once: what is wrong with it and how to mend it, and where it stands in the photo."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import trimesh

from backend import jobs, storage
from backend.art3do import services
from backend.art3do.models import ArtSubmission
from backend.catalog import services as catalog
from backend.catalog.models import Mesh, TargetObject
from backend.models import Job
from model_zoo.io.errors import BadInput
from model_zoo.io.glb_writer import export_glb
from model_zoo.io.meshes import LoadedMesh, load_mesh
from model_zoo.io.poses import Pose
from model_zoo.proposers.placing import camera_of, object_depth, overlap, place, towards, window_of
from model_zoo.render import RayTree, view_rotation
from workers.finishing import finish
from workers.proposing import load_object, pose_json

MANY_TRIANGLES = 500_000
MANY_PARTS = 50
FLAT = 1e-3  # thinnest side relative to the longest
YAWS = range(0, 360, 45)
ELEVATION = 15.0
CLEARLY = 0.1  # IoU by which another up axis must be better before we speak of it
POOR = 0.5
Z_UP = np.array([[1.0, 0, 0], [0, 0, 1.0], [0, -1.0, 0]])  # turns a z-up mesh y-up


@dataclass
class Report:
    """What the checks found. Errors refuse the mesh, warnings are for the artist and the reviewer."""

    findings: list[dict[str, str]] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)

    def add(self, level: str, check: str, message: str, fix: str = "") -> None:
        """One finding."""
        self.findings.append({"check": check, "level": level, "message": message, "fix": fix})

    @property
    def ok(self) -> bool:
        """Whether the mesh can be reviewed."""
        return all(finding["level"] != "error" for finding in self.findings)


def check_job(job: Job) -> dict[str, Any]:
    """Check one submission; safe to repeat. A file that cannot be read is the artist's to mend, not a failed job."""
    row = ArtSubmission.objects.select_related("upload__blob", "task__object__image", "task__batch").get(
        pk=job.args["submission"]
    )
    report, mesh = Report(), None
    try:
        loaded = load_mesh(storage.read(row.upload.blob), name=row.upload.filename)
        jobs.report(job, 0.3, "measuring")
        measure(loaded, report)
        if report.ok:
            mesh = _keep(row, loaded, report)
    except BadInput as refusal:
        report.add("error", "file", refusal.message, "Export the mesh again, as GLB if your tool can.")
    services.conclude(row, ok=report.ok, findings=report.findings, figures=report.figures, mesh=mesh)
    return {"ok": report.ok, "findings": len(report.findings)}


def measure(loaded: LoadedMesh, report: Report) -> None:
    """Figures of a mesh, and what they say about it."""
    mesh = loaded.mesh
    for warning in loaded.warnings:
        report.add("warning", "file", warning)
    extents = np.asarray(mesh.extents, float)
    degenerate = int((mesh.area_faces <= 1e-12 * max(float(extents.max()), 1e-9) ** 2).sum())
    parts = len(trimesh.graph.connected_components(mesh.face_adjacency, nodes=np.arange(len(mesh.faces))))
    report.figures |= {
        "format": loaded.format,
        "triangles": len(mesh.faces),
        "vertices": len(mesh.vertices),
        "extents": [round(float(side), 6) for side in extents],
        "watertight": bool(mesh.is_watertight),
        "winding_consistent": bool(mesh.is_winding_consistent),
        "parts": parts,
        "degenerate_triangles": degenerate,
        "texture_coordinates": getattr(mesh.visual, "uv", None) is not None,
    }
    if extents.min() < FLAT * extents.max():
        report.add(
            "error",
            "shape",
            "The mesh is flat: one side has no depth.",
            "Model the object in three dimensions.",
        )
    if len(mesh.faces) > MANY_TRIANGLES:
        report.add(
            "warning",
            "size",
            f"{len(mesh.faces)} triangles are more than {MANY_TRIANGLES}.",
            "Decimate the mesh.",
        )
    _surface(mesh, parts, degenerate, report)
    if not 0.01 <= extents.max() <= 100:
        report.add(
            "warning", "scale", f"The longest side measures {extents.max():.4g}: the unit may be wrong.",
            "Model in metres; the pose scales the mesh in any case.",
        )  # fmt: skip


def _surface(mesh: trimesh.Trimesh, parts: int, degenerate: int, report: Report) -> None:
    if not mesh.is_watertight:
        report.add(
            "warning",
            "surface",
            "The surface has holes or open edges.",
            "Close them, or make them on purpose.",
        )
    elif mesh.is_winding_consistent and mesh.volume < 0:
        report.add("warning", "normals", "The mesh is inside out.", "Flip the normals.")
    if not mesh.is_winding_consistent:
        report.add(
            "warning",
            "normals",
            "Neighbouring triangles face opposite ways.",
            "Recalculate the normals outside.",
        )
    if parts > MANY_PARTS:
        report.add(
            "warning",
            "parts",
            f"The mesh has {parts} loose parts.",
            "Join what belongs together, delete the rest.",
        )
    if degenerate:
        report.add(
            "warning",
            "triangles",
            f"{degenerate} triangles have no area.",
            "Merge by distance, then delete degenerate faces.",
        )


def _keep(row: ArtSubmission, loaded: LoadedMesh, report: Report) -> Mesh:
    """Store the mesh as it came (as GLB), its viewer copy and thumbnail, and the pose that fits the photo best."""
    finished = finish(loaded.mesh)
    pose, source = _placed(row.task.object, loaded.mesh, report)
    report.figures |= {
        "viewer": storage.put(finished.viewer, catalog.GLB).pk,
        "thumbnail": storage.put(finished.thumbnail, catalog.PNG).pk,
        "placement": pose_json(pose),
        "pointmap_source": source,
    }
    mesh, _ = catalog.store_mesh(
        export_glb(loaded.mesh),
        source=Mesh.Source.ARTIST,
        triangles=len(loaded.mesh.faces),
        extents=[float(side) for side in loaded.mesh.extents],
        name=row.task.object.name,
        category=row.task.object.category,
    )
    return mesh


def _placed(target: TargetObject, mesh: trimesh.Trimesh, report: Report) -> tuple[Pose, str]:
    """The best of eight upright poses, and how well its outline agrees with the mask; a hint when z-up fits better."""
    try:
        given, source = load_object(target)
        K = camera_of(given.pointmap)
        window, depth = window_of(given.mask, given.pointmap, K), object_depth(given.mask, given.pointmap)
        aim, tree = towards(given.mask, K), RayTree(mesh)
    except BadInput as failure:
        report.add("warning", "placement", f"The mesh could not be placed in the photo: {failure.message}")
        return Pose(R=np.diag([1.0, -1.0, -1.0]), t=np.array([0.0, 0.0, 2.0]), s=np.ones(3)), ""

    def best(up: np.ndarray) -> tuple[float, Pose]:
        tried = []
        for yaw in YAWS:
            pose = place(tree, aim @ view_rotation(yaw, ELEVATION) @ up, window, depth)
            tried.append((overlap(np.isfinite(window.look(tree, pose)), window.mask), pose))
        return max(tried, key=lambda each: each[0])

    (upright, pose), (lying, _) = best(np.eye(3)), best(Z_UP)
    report.figures["mask_iou"] = round(upright, 3)
    if lying > upright + CLEARLY:
        report.add(
            "warning",
            "up axis",
            "The object seems to lie on its side: z looks like its up axis.",
            "Export with y up.",
        )
    if max(upright, lying) < POOR:
        report.add(
            "warning",
            "outline",
            f"At best {max(upright, lying):.0%} of the outline agrees with the mask.",
            "Compare with the photo.",
        )
    return pose, source
