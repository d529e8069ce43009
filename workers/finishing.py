"""Finishing a proposal: what model_zoo.finish makes of a mesh, as the bytes that are stored."""

from dataclasses import dataclass

import trimesh
from django.conf import settings

from model_zoo.finish.clean import clean
from model_zoo.finish.thumbnail import thumbnail, turntable
from model_zoo.finish.viewer import viewer_copy
from model_zoo.io.images import encode_png
from model_zoo.io.meshes import export_glb

GLTFPACK = settings.BASE_DIR / "node_modules" / ".bin" / "gltfpack"


@dataclass(frozen=True)
class Finished:
    """A candidate as stored: `mesh`, its GLB as delivered, the copy for the viewer, and two pictures (PNG).

    `thumbnail` shows the shape, `turntable` eight views side by side.
    """

    mesh: trimesh.Trimesh
    glb: bytes
    viewer: bytes
    thumbnail: bytes
    turntable: bytes


def finish(mesh: trimesh.Trimesh, *, textured: bool = False) -> Finished:
    """Clean a proposed mesh and make its copies; `textured`: people judge its colours too. BadInput when nothing is left."""
    cleaned = clean(mesh)
    return Finished(
        cleaned,
        export_glb(cleaned),
        viewer_copy(cleaned, GLTFPACK),
        encode_png(thumbnail(cleaned)),
        encode_png(turntable(cleaned, textured=textured)),
    )
