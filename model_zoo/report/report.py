"""The whole report on one mesh: every check in the order that an artist mends things, and the figures they measured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from model_zoo.io.errors import BadInput
from model_zoo.io.meshes import LoadedMesh
from model_zoo.io.poses import Pose
from model_zoo.io.sniff import describe
from model_zoo.render import RayTree
from model_zoo.report import crossing, facing, looks, symmetry, topology
from model_zoo.report.findings import Finding, ok
from model_zoo.report.photo import Scene, in_photo
from model_zoo.report.pictures import Painter
from model_zoo.report.subject import Subject

# What the reader warns of and a check of ours says better.
SAID_BETTER = ("degenerate faces (no area)", "are shared by more than two faces", "inconsistent winding")


@dataclass(frozen=True)
class Report:
    """Findings of every check, the figures, and the pose of the mesh in the photo (None when it is refused)."""

    findings: list[Finding]
    figures: dict[str, Any]
    pose: Pose | None = None

    @property
    def ok(self) -> bool:
        """Whether the mesh can be reviewed."""
        return all(finding.level != "error" for finding in self.findings)


def examine(loaded: LoadedMesh, scene: Scene | None) -> Report:
    """Every check of a mesh that was read; `scene` is the photo that it shall stand in, None when there is none."""
    subject = Subject(loaded.mesh)
    painter = Painter(subject)
    findings = [
        *_from_file(loaded),
        looks.flat(subject, painter),
        looks.scale(subject),
        looks.triangle_count(subject),
        topology.watertight(subject, painter),
        topology.manifold(subject, painter),
        topology.floaters(subject, painter),
        facing.inverted(subject, painter),
        crossing.self_intersections(subject, painter),
        topology.degenerate(subject, painter, dropped=loaded.dropped),
        looks.uvs(subject, painter),
        looks.texture_size(subject),
        symmetry.symmetry(subject, painter),
    ]
    report = Report(findings, _figures(loaded, findings))
    if not report.ok:
        return report
    placed = in_photo(RayTree(loaded.mesh), scene)
    if placed.iou is not None:
        report.figures["mask_iou"] = placed.iou
    return Report([*findings, *placed.findings], report.figures, placed.pose)


def refused(data: bytes, refusal: BadInput) -> Report:
    """The report on a file that could not be read."""
    fbx = data[:512].lstrip().startswith((b"Kaydara FBX", b"; FBX"))
    message = "This is an FBX file, which is not read here." if fbx else refusal.message
    advice = (
        "Export GLB from your tool and send that."
        if fbx
        else "Export the mesh again, as GLB if your tool can."
    )
    numbers = {"reason": "fbx" if fbx else refusal.code, "kind": describe(data)}
    return Report([Finding("file", "error", message, numbers, advice)], {})


def _from_file(loaded: LoadedMesh) -> list[Finding]:
    notes = [note for note in loaded.warnings if not any(words in note for words in SAID_BETTER)]
    if not notes:
        return [ok("file", f"The file was read as {loaded.format}.", format=loaded.format)]
    return [Finding("file", "warning", note, {"format": loaded.format, "note": note}) for note in notes]


def _figures(loaded: LoadedMesh, findings: list[Finding]) -> dict[str, Any]:
    numbers = {finding.check: finding.params for finding in findings}
    levels = {finding.check: finding.level for finding in findings}
    return {
        "format": loaded.format,
        "triangles": len(loaded.mesh.faces),
        "vertices": len(loaded.mesh.vertices),
        "extents": [round(float(side), 6) for side in np.asarray(loaded.mesh.extents)],
        "watertight": levels["watertight"] == "ok",
        "winding_consistent": numbers["inverted_normals"]["seams"] == 0,
        "parts": numbers["floaters"]["parts"],
        "degenerate_triangles": numbers["degenerate_faces"]["triangles"] + loaded.dropped,
        "texture_coordinates": numbers["uvs"]["has"],
    }
