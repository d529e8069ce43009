"""From the decoders' outputs to a GLB: the surface as a mesh, tidied, with a baked texture or with vertex colours.

sam3d_model.md section 12. Here the frame changes from the object's (z-up) to the GLB's (y-up): (x, y, z) -> (x, z, -y).
"""

from collections.abc import Sequence

import numpy as np
import trimesh

from model_zoo.extract.bake import Picture, own_colours, textured
from model_zoo.extract.flexicubes import Surface
from model_zoo.extract.hidden import without_hidden
from model_zoo.extract.splat_colours import colours_at
from model_zoo.extract.unwrap import texels_of, unwrapped
from model_zoo.finish.clean import capped, clean
from model_zoo.io import frames
from model_zoo.io.errors import BadInput
from model_zoo.io.glb_writer import export_glb
from model_zoo.report.repairs import repair
from model_zoo.texture.gaussians import Gaussians

MOST_FACES = 40_000  # about a twentieth of what the mesh decoder gives
ROUGH = 4  # times as many faces are looked at for what is hidden
SIDE = 1024  # of the texture


def surface_mesh(surface: Surface) -> trimesh.Trimesh:
    """The surface as a y-up mesh with its colours at the vertices."""
    vertices = frames.points(surface.vertices.detach().cpu().double().numpy(), "model", "gltf")
    colours = (surface.attributes[:, :3].detach().cpu().numpy() * 255 + 0.5).astype(np.uint8)
    return trimesh.Trimesh(vertices, surface.faces.cpu().numpy(), vertex_colors=colours, process=False)


def tidied(mesh: trimesh.Trimesh, *, most_faces: int = MOST_FACES) -> trimesh.Trimesh:
    """A mesh without its unseen inside, specks and small holes, of at most `most_faces` faces; colours kept.

    Raises BadInput for coordinates that are not finite and when nothing is left.
    """
    if not np.isfinite(mesh.vertices).all():
        raise BadInput("the mesh has coordinates that are not finite", "bad_vertex")
    if not len(mesh.faces):
        raise BadInput("the mesh has no surface", "empty_mesh")
    seen = without_hidden(capped(mesh, ROUGH * most_faces))
    return repair(clean(seen, most_faces=most_faces), ["fill_small_holes"])[0]


def with_texture(
    mesh: trimesh.Trimesh,
    *,
    side: int = SIDE,
    splats: Gaussians | None = None,
    pictures: Sequence[Picture] = (),
) -> trimesh.Trimesh:
    """A y-up mesh with charts and a baked texture: pictures where they see it, else the splats (object frame), else its
    own colours or texture, else the nearest or mirrored place that a picture sees.

    Raises BadInput when it has none of these.
    """
    laid = unwrapped(mesh, side)
    texels = texels_of(laid, side)
    if splats is not None:
        own = colours_at(texels.points, texels.normals, splats)
    else:
        own = own_colours(mesh, texels)
    return textured(laid, texels, own=own, pictures=pictures)


def coloured_glb(surface: Surface) -> bytes:
    """The GLB of a surface as it is, with vertex colours: the released default. Raises BadInput."""
    return export_glb(surface_mesh(surface))


def textured_glb(
    surface: Surface, *, splats: Gaussians | None = None, pictures: Sequence[Picture] = ()
) -> bytes:
    """The GLB of a tidied surface with a baked texture, roughness 1; see `with_texture`. Raises BadInput."""
    return export_glb(with_texture(tidied(surface_mesh(surface)), splats=splats, pictures=pictures))
