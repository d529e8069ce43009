"""The mesh door: GLB, glTF, OBJ, PLY, STL, or a ZIP of one with its files, decided by content; and GLB out."""

import posixpath
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import unquote

import trimesh

from model_zoo.io.archives import Limits, Member, open_archive
from model_zoo.io.combine import combine
from model_zoo.io.errors import BadInput, safe_text
from model_zoo.io.glb_writer import export_glb
from model_zoo.io.gltf import no_files, read_glb, read_gltf
from model_zoo.io.obj import read_obj
from model_zoo.io.ply import read_ply
from model_zoo.io.sniff import describe, kind_of
from model_zoo.io.stl import read_stl
from model_zoo.io.surface import Part, check_extent, check_topology, drop_degenerate, drop_unused

__all__ = ["LoadedMesh", "export_glb", "load_mesh"]

MAX_BYTES = 128 * 2**20
BUNDLE = Limits(entries=1000, entry_bytes=128 * 2**20, total_bytes=256 * 2**20)
MESH_SUFFIXES = (".glb", ".gltf", ".obj", ".ply", ".stl")
Finder = Callable[[str], bytes | None]


@dataclass
class LoadedMesh:
    """One trimesh: transforms applied, y-up as delivered, texture or vertex colours kept (uv with v upwards)."""

    mesh: trimesh.Trimesh
    format: str
    warnings: list[str] = field(default_factory=list)
    dropped: int = 0  # faces without area that were left out


def load_mesh(data: bytes, *, name: str = "", find: Finder | None = None, maps: bool = False) -> LoadedMesh:
    """Read one mesh from untrusted bytes; the name helps only where the content says nothing (an empty OBJ).

    find: the bytes of a file beside it by the name that the mesh uses (material library, texture, buffer), None where
    there is none; without it such files are missing. maps: glTF's metal and roughness, normal and emission maps are kept
    beside the base colour. Raises BadInput with one line that says what is wrong and where.
    """
    if not data:
        raise BadInput("the file is empty", "empty")
    if len(data) > MAX_BYTES:
        raise BadInput(f"the mesh file is larger than {MAX_BYTES >> 20} MB", "too_large")
    notes: list[str] = []
    if kind_of(data) == "archive":
        form, parts = _read_bundle(data, notes, maps)
    else:
        form, parts = _read_single(data, name, notes, find, maps)
    given = sum(len(part.faces) for part in parts)
    parts = [drop_unused(part) for part in drop_degenerate(parts, notes)]
    check_extent(parts, notes)
    mesh = combine(parts, notes)
    check_topology(mesh.vertices, mesh.faces, notes)
    return LoadedMesh(mesh, form, list(dict.fromkeys(notes)), given - len(mesh.faces))


def _read_single(
    data: bytes, name: str, notes: list[str], find: Finder | None, maps: bool
) -> tuple[str, list[Part]]:
    suffix = name[name.rfind(".") :].lower() if "." in name else ""
    kind, start = kind_of(data), data[:512].lstrip()
    if start.startswith(b"glTF"):
        return "GLB", read_glb(data, notes, maps)
    if kind == "mesh" and start.startswith((b"{", b"\xef\xbb\xbf{")):
        return "glTF", read_gltf(data, notes, no_files if find is None else _resolver(find), maps)
    if start.startswith(b"ply"):
        return "PLY", read_ply(data, notes)
    if "STL" in describe(data) or (suffix == ".stl" and kind == "unknown"):
        return "STL", read_stl(data, notes)
    if (
        kind == "mesh"
        or (suffix == ".obj" and kind in ("text", "csv", "unknown"))
        or data[:2] in (b"\xff\xfe", b"\xfe\xff")
    ):
        return "OBJ", read_obj(data, notes) if find is None else read_obj(data, notes, find)
    if suffix == ".glb" and kind == "unknown":
        raise BadInput("not a GLB (its first bytes are wrong)", "not_a_mesh")
    raise BadInput(
        f"not a mesh that we read (GLB, glTF, OBJ, PLY, STL): this is {describe(data)}", "not_a_mesh"
    )


def _resolver(find: Finder) -> Callable[[str], bytes]:
    def resolve(uri: str) -> bytes:
        data = find(unquote(uri))
        if data is None:
            raise BadInput(f'"{safe_text(uri)}" is not in the archive', "missing_file")
        return data

    return resolve


def _read_bundle(data: bytes, notes: list[str], maps: bool) -> tuple[str, list[Part]]:
    """The one mesh of a ZIP, its libraries and textures taken from the same archive."""
    archive = open_archive(data, BUNDLE)
    notes += archive.warnings
    meshes = [member for member in archive.members if member.name.lower().endswith(MESH_SUFFIXES)]
    if len(meshes) != 1:
        found = "none" if not meshes else ", ".join(member.label for member in meshes[:5])
        raise BadInput(
            f"a ZIP must hold exactly one mesh (GLB, glTF, OBJ, PLY, STL); found: {found}", "not_one_mesh"
        )
    mesh = meshes[0]
    form, parts = _read_single(mesh.read(), mesh.name, notes, _finder(archive.members, mesh), maps)
    return f"{form} in ZIP", parts


def _finder(members: list[Member], mesh: Member) -> Finder:
    """Files of the archive by the names that the mesh uses: relative to it, never outside the archive."""
    by_name = {member.name: member for member in members}
    by_folded = {member.name.casefold(): member for member in members}
    folder = posixpath.dirname(mesh.name)

    def find(name: str) -> bytes | None:
        place = beside(folder, name)
        member = by_name.get(place) or by_folded.get(place.casefold())
        return None if member is None else member.read()

    return find


def beside(folder: str, name: str) -> str:
    """The place of a file that a mesh in `folder` names; BadInput when it lies outside of what the mesh came with."""
    name = name.replace("\\", "/")
    place = posixpath.normpath(posixpath.join(folder, name))
    if name.startswith("/") or ":" in name or "\0" in name or place.startswith("../") or place == "..":
        raise BadInput(f'"{safe_text(name)}" lies outside the mesh\'s own archive or folder', "outside_file")
    return place
