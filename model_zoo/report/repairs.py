"""Repairs that are safe to make on request: each mends one finding and leaves the object's outline as it was.

Only `remove_floaters`, `turn_y_up` and `to_metres` change what is seen or where; texture coordinates, colours and
normals stay with their vertices.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import trimesh
from PIL import Image
from trimesh.visual.color import ColorVisuals
from trimesh.visual.texture import TextureVisuals

from model_zoo.finish.clean import capped
from model_zoo.io.errors import BadInput
from model_zoo.report import facing, looks, topology
from model_zoo.report.holes import filled
from model_zoo.report.photo import Z_UP
from model_zoo.report.slivers import without_slivers
from model_zoo.report.subject import SLIVER, Subject

DECIMATED = 200_000  # triangles that are left when there are too many
MOST_LOST = 0.05  # share of the triangles that merging may cost before it does more harm than good


def repair(mesh: trimesh.Trimesh, codes: Iterable[str]) -> tuple[trimesh.Trimesh, list[dict[str, Any]]]:
    """A repaired copy, and what was done: [{code, changed}] in the order of doing, `changed` counting what it names.

    Raises BadInput for a code that is none, or when nothing of the mesh would be left.
    """
    wanted = set(codes)
    unknown = wanted - REPAIRS.keys()
    if unknown:
        raise BadInput(f"there is no repair named {', '.join(sorted(unknown))}", "unknown_repair")
    done = []
    for code, mend in REPAIRS.items():
        if code in wanted:
            mesh, changed = mend(mesh)
            if not len(mesh.faces):
                raise BadInput("the repair would leave nothing of the mesh", "empty_mesh")
            done.append({"code": code, "changed": int(changed)})
    return mesh, done


def rebuilt(
    mesh: trimesh.Trimesh, vertices: np.ndarray, faces: np.ndarray, pick: np.ndarray | None = None
) -> trimesh.Trimesh:
    """A mesh of these vertices (V,3) and faces; `pick` (V,) says whose texture place, colour and normal each takes.

    Vertices that no face uses are left out. Normals are turned to the side that their faces look to; one that lies
    across its faces was a mean of opposite ones and is made anew.
    """
    pick = np.arange(len(vertices)) if pick is None else pick
    used = np.zeros(len(vertices), bool)
    used[faces.ravel()] = True
    vertices, faces, pick = vertices[used], (np.cumsum(used) - 1)[faces], pick[used]
    visual: Any = mesh.visual
    if visual.kind == "texture" and visual.uv is not None:
        looks_: Any = TextureVisuals(uv=np.asarray(visual.uv)[pick], material=visual.material)
    elif visual.kind in ("vertex", "face"):
        looks_ = ColorVisuals(vertex_colors=np.asarray(visual.vertex_colors)[pick])
    else:
        looks_ = visual.copy() if visual.kind == "texture" else None
    normals = np.array(mesh.vertex_normals)[pick]
    corners = vertices[faces]
    cross = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    mean = np.stack(
        [np.bincount(faces.ravel(), np.repeat(column, 3), len(vertices)) for column in cross.T], 1
    )
    mean /= np.maximum(np.linalg.norm(mean, axis=1), 1e-30)[:, None]
    along = np.einsum("ij,ij->i", normals, mean)[:, None]
    normals = np.where(along < 0, -normals, normals)
    normals = np.where(np.abs(along) < 0.5, mean, normals)
    return trimesh.Trimesh(vertices, faces, vertex_normals=normals, visual=looks_, process=False)


def _merge_vertices(mesh: trimesh.Trimesh) -> tuple[trimesh.Trimesh, int]:
    """Vertices nearer than the gap come to lie on one place; splits of the texture stay."""
    subject = Subject(mesh)
    place = topology.near(subject.points, topology.GAP)
    first = np.unique(place, return_index=True)[1]
    merged = place[subject.faces]
    kept = ~(merged == np.roll(merged, 1, axis=1)).any(1)
    if kept.mean() < 1 - MOST_LOST:
        return mesh, 0
    vertices = np.array(mesh.vertices, float)
    vertices[mesh.faces] = vertices[subject.vertex[first]][merged]
    return rebuilt(mesh, vertices, np.asarray(mesh.faces)[kept]), len(place) - len(first)


def _remove_degenerate(mesh: trimesh.Trimesh) -> tuple[trimesh.Trimesh, int]:
    subject = Subject(mesh)
    mended = rebuilt(mesh, *without_slivers(subject))
    left = Subject(mended).heights < SLIVER
    return mended, max(int((subject.heights < SLIVER).sum() - left.sum()), 0)


def _remove_duplicates(mesh: trimesh.Trimesh) -> tuple[trimesh.Trimesh, int]:
    twice = topology.duplicate_faces(Subject(mesh).faces)
    return _without(mesh, twice), int(twice.sum())


def _remove_floaters(mesh: trimesh.Trimesh) -> tuple[trimesh.Trimesh, int]:
    subject = Subject(mesh)
    tiny = topology.specks(subject.points, subject.faces, subject.part, subject.areas)
    return _without(mesh, tiny), int(tiny.sum())


def _fill_small_holes(mesh: trimesh.Trimesh) -> tuple[trimesh.Trimesh, int]:
    vertices, faces, pick, count = filled(Subject(mesh))
    return rebuilt(mesh, vertices, faces, pick), count


def _orient_normals(mesh: trimesh.Trimesh) -> tuple[trimesh.Trimesh, int]:
    turned = facing.inward(Subject(mesh))
    return _turned(mesh, turned), int(turned.sum())


def _flip_inside_out(mesh: trimesh.Trimesh) -> tuple[trimesh.Trimesh, int]:
    return _turned(mesh, np.ones(len(mesh.faces), bool)), len(mesh.faces)


def _turn_y_up(mesh: trimesh.Trimesh) -> tuple[trimesh.Trimesh, int]:
    return _moved(mesh, np.asarray(mesh.vertices) @ Z_UP.T, np.asarray(mesh.vertex_normals) @ Z_UP.T), 1


def _to_metres(mesh: trimesh.Trimesh) -> tuple[trimesh.Trimesh, int]:
    if looks.unit_of(float(np.max(mesh.extents))) != "mm":
        return mesh, 0
    return _moved(mesh, np.asarray(mesh.vertices) / 1000, np.asarray(mesh.vertex_normals)), 1


def _decimate(mesh: trimesh.Trimesh) -> tuple[trimesh.Trimesh, int]:
    if len(mesh.faces) <= looks.MANY_TRIANGLES:
        return mesh, 0
    coarse = capped(mesh, DECIMATED)
    return coarse, len(mesh.faces) - len(coarse.faces)


def _shrink_textures(mesh: trimesh.Trimesh) -> tuple[trimesh.Trimesh, int]:
    image = looks.picture_of(mesh.visual)
    if image is None or max(image.size) <= looks.LARGE_TEXTURE:
        return mesh, 0
    share = looks.LARGE_TEXTURE / max(image.size)
    size = (max(1, round(image.width * share)), max(1, round(image.height * share)))
    material = mesh.visual.material.copy()
    name = "baseColorTexture" if getattr(material, "baseColorTexture", None) is not None else "image"
    setattr(material, name, image.resize(size, Image.Resampling.LANCZOS))
    smaller = _moved(mesh, np.asarray(mesh.vertices), np.asarray(mesh.vertex_normals))
    smaller.visual = TextureVisuals(uv=np.asarray(mesh.visual.uv), material=material)
    return smaller, 1


def _without(mesh: trimesh.Trimesh, faces: np.ndarray) -> trimesh.Trimesh:
    return rebuilt(mesh, np.asarray(mesh.vertices, float), np.asarray(mesh.faces)[~faces])


def _turned(mesh: trimesh.Trimesh, turned: np.ndarray) -> trimesh.Trimesh:
    faces = np.where(turned[:, None], np.asarray(mesh.faces)[:, ::-1], np.asarray(mesh.faces))
    return rebuilt(mesh, np.asarray(mesh.vertices, float), faces)


def _moved(mesh: trimesh.Trimesh, vertices: np.ndarray, normals: np.ndarray) -> trimesh.Trimesh:
    return trimesh.Trimesh(
        vertices, np.array(mesh.faces), vertex_normals=normals, visual=mesh.visual.copy(), process=False
    )


# In the order they are made: what an earlier one changes a later one sees.
REPAIRS: dict[str, Callable[[trimesh.Trimesh], tuple[trimesh.Trimesh, int]]] = {
    "to_metres": _to_metres,
    "turn_y_up": _turn_y_up,
    "merge_vertices": _merge_vertices,
    "remove_degenerate": _remove_degenerate,
    "remove_duplicates": _remove_duplicates,
    "remove_floaters": _remove_floaters,
    "fill_small_holes": _fill_small_holes,
    "orient_normals": _orient_normals,
    "flip_inside_out": _flip_inside_out,
    "decimate": _decimate,
    "shrink_textures": _shrink_textures,
}
