"""From a mesh file to a Shape: read, normalised to the canonical frame, measured, filtered, made solid, described."""

from collections.abc import Mapping

import numpy as np
import trimesh

from model_zoo.build import encode, filters
from model_zoo.build.kinds import MeshItem, Shape, Unfit
from model_zoo.build.occupancy import solid
from model_zoo.build.signature import signature_of
from model_zoo.io.errors import BadInput
from model_zoo.io.meshes import Finder, export_glb, load_mesh
from model_zoo.io.records import parse_json
from model_zoo.io.textures import MissingTexture

SIDES = (1e-6, 1e7)  # of the file's unit: a micrometre in metres to a harbour in millimetres
LATENTS = ("latent", "slat")
FINEST = 1e-4  # of the longest side: coarser steps of float32 show as stairs


def open_shape(data: bytes, item: MeshItem, find: Finder | None = None) -> Shape:
    """The shape of a mesh file; find: as load_mesh. Raises BadInput, Unfit where measured values decide, with one line
    for a person."""
    loaded = load_mesh(data, name=item.name, find=find, maps=True)
    missing = [warning for warning in loaded.warnings if isinstance(warning, MissingTexture)]
    if missing:
        raise BadInput(missing[0], "missing_texture")
    mesh, centre, side = canonical(loaded.mesh)
    occupancy = solid(mesh)
    measures = {"triangles": float(len(mesh.faces))} | filters.check(mesh, occupancy)
    return Shape(
        item, mesh, centre, side, occupancy, measures, signature_of(mesh), [str(w) for w in loaded.warnings]
    )


def canonical(mesh: trimesh.Trimesh) -> tuple[trimesh.Trimesh, np.ndarray, float]:
    """The mesh centred, its longest side 1, in float32 steps as in its GLB; with centre (3,) and side of the file's.

    Raises Unfit for a size beyond sense, or a place so far off the origin that float32 has lost the shape.
    """
    vertices = np.asarray(mesh.vertices, np.float64)
    low, high = vertices.min(0), vertices.max(0)
    centre, side = (low + high) / 2, float((high - low).max())
    values = {"side": side, "offset": float(np.abs(centre).max())}
    if not SIDES[0] <= side <= SIDES[1]:
        raise Unfit(
            f"the longest side is {side:.3g}: not between {SIDES[0]:g} and {SIDES[1]:g}", "bad_scale", values
        )
    single = vertices.astype(np.float32)
    step = float(np.spacing(np.abs(single).max())) / side
    if step > FINEST and (single == vertices).all():
        raise Unfit(
            f"the mesh lies {values['offset']:.3g} off the origin with a longest side of {side:.3g}: "
            f"its coordinates have steps of {step:.1g} of that side",
            "bad_scale",
            values | {"step": step},
        )
    moved = trimesh.Trimesh(
        ((vertices - centre) / side).astype(np.float32),
        mesh.faces,
        vertex_normals=mesh.vertex_normals,
        visual=mesh.visual,
        process=False,
        validate=False,
    )
    return moved, centre, side


def shape_members(shape: Shape) -> dict[str, bytes]:
    """What a shard holds of a shape: mesh.glb (canonical frame), occupancy.png (z-up grid), json, and its latents."""
    item = shape.item
    return {
        "mesh.glb": export_glb(shape.mesh, maps=True),
        "occupancy.png": encode.occupancy_bytes(shape.occupancy),
        **shape.latents,
        "json": encode.facts(
            name=item.name,
            sha256=item.sha256,
            licence=item.licence,
            attribution=item.attribution,
            category=item.category,
            centre=[float(c) for c in shape.centre],
            side=shape.side,
            measures=shape.measures,
            warnings=shape.warnings,
        ),
    }


def read_shape(members: Mapping[str, bytes], item: MeshItem) -> Shape:
    """What `shape_members` wrote, by name up to the first dot ("mesh", "occupancy", "json"). Raises BadInput."""
    facts = parse_json(members["json"], what="shape")
    mesh = load_mesh(members["mesh"], maps=True).mesh
    try:
        centre, side, measures = np.asarray(facts["centre"], float), float(facts["side"]), facts["measures"]
    except (KeyError, TypeError, ValueError):
        raise BadInput("the facts of the shape are not those of a built data set", "bad_shape") from None
    return Shape(
        item, mesh, centre, side, encode.read_occupancy(members["occupancy"]), measures, signature_of(mesh),
        facts.get("warnings", []), {f"{name}.npz": members[name] for name in LATENTS if name in members},
    )  # fmt: skip
