"""Texture coordinates: charts laid out without overlap by xatlas, and the surface point behind every texel."""

from dataclasses import dataclass

import numpy as np
import trimesh
import xatlas
from embreex.mesh_construction import TriangleMesh
from embreex.rtcore_scene import EmbreeScene
from trimesh.visual.material import PBRMaterial
from trimesh.visual.texture import TextureVisuals

from model_zoo.io.errors import BadInput

PADDING = 2  # texels between charts, so that neighbours do not bleed into each other


def unwrapped(mesh: trimesh.Trimesh, side: int) -> trimesh.Trimesh:
    """The same surface with uv (V,2) in 0..1, v upwards, for a texture of side x side; split along chart borders.

    Faces and their corners keep their order, normals are those of the smooth surface. Raises BadInput for a mesh without faces or with
    coordinates that are not finite.
    """
    if not len(mesh.faces):
        raise BadInput("a mesh without faces has nothing to lay out", "empty_mesh")
    if not np.isfinite(mesh.vertices).all():
        raise BadInput("the mesh has coordinates that are not finite", "bad_vertex")
    atlas = xatlas.Atlas()
    normals = np.array(mesh.vertex_normals, np.float32)
    atlas.add_mesh(np.asarray(mesh.vertices, np.float32), np.asarray(mesh.faces, np.uint32), normals)
    packing = xatlas.PackOptions()
    packing.resolution, packing.padding, packing.bilinear = side, PADDING, True
    atlas.generate(xatlas.ChartOptions(), packing, False)
    pick, faces, uv = atlas[0]
    visual = TextureVisuals(uv=np.asarray(uv, float), material=PBRMaterial())
    return trimesh.Trimesh(
        np.asarray(mesh.vertices)[pick],
        faces.astype(np.int64),
        vertex_normals=normals[pick],
        visual=visual,
        process=False,
    )


@dataclass(frozen=True)
class Texels:
    """The texels of a side x side texture that show the surface: row and column (N,), row 0 at v = 1, with the face
    (N,), barycentric weights (N,3), point (N,3) and unit normal (N,3) in the mesh's frame."""

    side: int
    row: np.ndarray
    column: np.ndarray
    face: np.ndarray
    weights: np.ndarray
    points: np.ndarray
    normals: np.ndarray


def texels_of(mesh: trimesh.Trimesh, side: int) -> Texels:
    """The texels whose middle lies in a face of an unwrapped mesh. Raises BadInput when there is none."""
    flat = np.column_stack([np.asarray(mesh.visual.uv) * side, np.zeros(len(mesh.vertices))])
    scene = EmbreeScene(robust=True)
    TriangleMesh(scene, flat.astype(np.float32), np.asarray(mesh.faces, np.int32))
    row, column = (index.ravel() for index in np.indices((side, side)))
    starts = np.stack([column + 0.5, side - row - 0.5, np.ones(len(row))], 1).astype(np.float32)
    down = np.tile(np.array([0, 0, -1], np.float32), (len(row), 1))
    hit = scene.run(starts, down, query="INTERSECT", output=1)
    here = np.flatnonzero(hit["geomID"] >= 0)
    if not len(here):
        raise BadInput("the texture is too small to show any face of the mesh", "no_texels")
    u, v, face = hit["u"][here].astype(float), hit["v"][here].astype(float), hit["primID"][here]
    weights = np.stack([1 - u - v, u, v], 1)
    corners = np.asarray(mesh.faces)[face]
    points = np.einsum("nk,nkd->nd", weights, np.asarray(mesh.vertices)[corners])
    normals = np.einsum("nk,nkd->nd", weights, np.asarray(mesh.vertex_normals)[corners])
    normals /= np.maximum(np.linalg.norm(normals, axis=1), 1e-12)[:, None]
    return Texels(side, row[here], column[here], face, weights, points, normals)
