"""Meshes with one known fault each, and how their outlines compare."""

import numpy as np
import trimesh

from model_zoo.io.meshes import LoadedMesh, export_glb, load_mesh
from model_zoo.render import view_rotation
from model_zoo.report.findings import Finding
from model_zoo.report.pictures import look
from model_zoo.report.report import examine
from model_zoo.report.subject import Subject


def joined(*meshes: trimesh.Trimesh) -> trimesh.Trimesh:
    return trimesh.util.concatenate(list(meshes))


def ball(subdivisions: int = 4) -> trimesh.Trimesh:
    return trimesh.creation.icosphere(subdivisions=subdivisions, radius=0.5)


def cup(sides: int = 32) -> trimesh.Trimesh:
    """A closed, hollow cup with a handle that only touches: nothing is wrong with it but its asymmetry."""
    profile = [[0, 0], [0.3, 0], [0.35, 0.9], [0.3, 0.9], [0.26, 0.06], [0, 0.06]]
    made = trimesh.creation.revolve(profile, sections=sides)
    made.apply_transform(trimesh.transformations.rotation_matrix(-np.pi / 2, [1, 0, 0]))
    return made


def read(mesh: trimesh.Trimesh) -> LoadedMesh:
    """As it comes back from a file."""
    return load_mesh(bytes(mesh.export(file_type="glb")))


def findings(mesh: trimesh.Trimesh) -> dict[str, Finding]:
    """What the report says of a mesh without a photo, by check."""
    return {finding.check: finding for finding in examine(LoadedMesh(mesh, "GLB"), None).findings}


def outlines(mesh: trimesh.Trimesh, size: int = 256) -> np.ndarray:
    """Bool (3,S,S): the outline in the mesh's own box from three sides."""
    subject = Subject(mesh)
    angles = [(20, 15), (110, -30), (200, 60)]
    return np.stack([look(subject, view_rotation(*angle), size).face >= 0 for angle in angles])


def iou(one: trimesh.Trimesh, other: trimesh.Trimesh) -> float:
    """The worst overlap of the outlines from three sides."""
    first, second = outlines(one), outlines(other)
    return float(((first & second).sum((1, 2)) / (first | second).sum((1, 2))).min())


def back(mesh: trimesh.Trimesh) -> trimesh.Trimesh:
    """Through our own writer and reader, as a repaired version goes."""
    return load_mesh(export_glb(mesh)).mesh
