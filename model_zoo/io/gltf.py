"""glTF 2 scenes (GLB, or JSON with its files) to parts: nodes and primitives."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from model_zoo.io.errors import BadInput
from model_zoo.io.gltf_document import (
    Document,
    Resolver,
    bad,
    list_of,
    numbers,
    object_of,
    read_document,
    split_glb,
    whole,
)
from model_zoo.io.gltf_materials import WHITE, Materials
from model_zoo.io.surface import Floats, Ints, Part, check_counts, check_finite
from model_zoo.io.textures import MissingTexture, colours_from_linear

MAX_NODES = 20_000
MAX_PRIMITIVES = 20_000
TRIANGLES, STRIP, FAN = 4, 5, 6


def no_files(uri: str) -> bytes:
    """The resolver of a file that came alone: refuses every outside file."""
    raise BadInput(
        f"glTF: it refers to the outside file {uri[:60]!r}; upload it with its files in one ZIP",
        "outside_file",
    )


def read_glb(data: bytes, notes: list[str], maps: bool = False) -> list[Part]:
    """Parts of a GLB, node transforms applied, y-up as delivered; maps: as load_mesh. Raises BadInput."""
    fields, binary = split_glb(data)
    return _Reader(Document(fields, binary, no_files), notes, maps).parts()


def read_gltf(data: bytes, notes: list[str], resolve: Resolver = no_files, maps: bool = False) -> list[Part]:
    """Parts of a glTF JSON file whose other files come from `resolve`; maps: as load_mesh. Raises BadInput."""
    return _Reader(Document(read_document(data), None, resolve), notes, maps).parts()


class _Reader:
    def __init__(self, document: Document, notes: list[str], maps: bool) -> None:
        self.document = document
        self.notes = notes
        self.materials = Materials(document, notes, maps)
        self.skipped = 0

    def parts(self) -> list[Part]:
        placed = self._placed_meshes()
        self._check_size(placed)
        self.materials.check_images()
        parts = [part for mesh, matrix in placed for part in self._mesh(mesh, matrix)]
        if self.skipped:
            self.notes.append(f"{self.skipped} primitives of points or lines were left out")
        if not parts:
            why = "it has only points or lines, no triangles" if self.skipped else "it has no geometry"
            raise BadInput(f"glTF: {why}", "no_geometry")
        for kind in ("skins", "animations"):
            if self.document.count(kind):
                self.notes.append(f"the {kind} were ignored: the mesh is taken as it is stored")
        return parts

    def _placed_meshes(self) -> list[tuple[int, Floats]]:
        """(mesh, world matrix) of every node of the scene, walked without recursion."""
        if self.document.count("nodes") > MAX_NODES:
            raise bad(f"more than {MAX_NODES} nodes")
        placed, seen = [], set()
        stack = [(root, np.eye(4)) for root in reversed(self._roots())]
        while stack:
            index, above = stack.pop()
            node = self.document.item("nodes", index, "the scene or a node")
            if index in seen:
                raise bad(f"the node hierarchy has a cycle (nodes[{index}] is reached twice)")
            seen.add(index)
            matrix = above @ self._local_matrix(node, index)
            if "mesh" in node:
                placed.append((node["mesh"], matrix))
            stack += [(child, matrix) for child in reversed(list_of(node, "children", f"nodes[{index}]"))]
        return placed

    def _roots(self) -> list[Any]:
        if self.document.count("scenes"):
            scene = self.document.item("scenes", self.document.fields.get("scene", 0), "scene")
            return list_of(scene, "nodes", "the scene")
        nodes = [self.document.item("nodes", index, "nodes") for index in range(self.document.count("nodes"))]
        children = [child for node in nodes for child in list_of(node, "children", "a node")]
        below = {child for child in children if isinstance(child, int)}
        return [index for index in range(len(nodes)) if index not in below]

    def _local_matrix(self, node: dict[str, Any], index: int) -> Floats:
        if "matrix" in node:
            matrix = np.array(numbers(node, "matrix", 16, [])).reshape(4, 4).T
        else:
            matrix = np.eye(4)
            x, y, z, w = numbers(node, "rotation", 4, [0, 0, 0, 1])
            norm = (x * x + y * y + z * z + w * w) ** 0.5
            if not 0.5 < norm < 2:
                raise bad(f"nodes[{index}].rotation is not a unit quaternion")
            x, y, z, w = x / norm, y / norm, z / norm, w / norm
            matrix[:3, :3] = np.array(
                [
                    [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
                    [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
                    [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
                ]
            ) * numbers(node, "scale", 3, [1, 1, 1])
            matrix[:3, 3] = numbers(node, "translation", 3, [0, 0, 0])
        if abs(matrix).max() > 1e12:
            raise bad(f"nodes[{index}] has a transform that is out of range")
        if abs(matrix[:3, :3]).max() == 0 or np.linalg.matrix_rank(matrix[:3, :3]) < 2:
            self.notes.append(
                f"nodes[{index}] has a singular transform that leaves zero extent; it was ignored"
            )
            return np.eye(4)
        return matrix

    def _check_size(self, placed: list[tuple[int, Floats]]) -> None:
        """Count what all instances of all meshes come to before anything is read."""
        vertices = triangles = primitives = 0
        for mesh, _ in placed:
            for _, primitive in self._primitives(mesh):
                primitives += 1
                attributes = primitive.get("attributes")
                if not isinstance(attributes, dict):
                    raise bad(f"meshes[{mesh}]: a primitive has no attributes")
                position = self.document.item(
                    "accessors", attributes.get("POSITION"), f"meshes[{mesh}].POSITION"
                )
                vertices += whole(position, "count")
                if "indices" in primitive:
                    indices = self.document.item("accessors", primitive["indices"], f"meshes[{mesh}]")
                    triangles += whole(indices, "count") // (
                        1 if primitive.get("mode") in (STRIP, FAN) else 3
                    )
        if primitives > MAX_PRIMITIVES:
            raise bad(f"more than {MAX_PRIMITIVES} primitives")
        # An accessor that lies about its count is named by its own check, so a lie is no reason here.
        self.total = (vertices, triangles)

    def _primitives(self, mesh: Any) -> list[tuple[int, dict[str, Any]]]:
        items = self.document.item("meshes", mesh, "a node").get("primitives", [])
        if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
            raise bad(f"meshes[{mesh}].primitives is not a list of objects")
        return list(enumerate(items))

    def _mesh(self, mesh: int, matrix: Floats) -> list[Part]:
        parts = []
        for number, primitive in self._primitives(mesh):
            where = f"meshes[{mesh}].primitives[{number}]"
            mode = primitive.get("mode", TRIANGLES)
            if mode not in (TRIANGLES, STRIP, FAN):
                self.skipped += 1
                continue
            if any(name.endswith("_draco_mesh_compression") for name in object_of(primitive, "extensions")):
                raise BadInput(
                    "glTF: KHR_draco_mesh_compression is not supported; export it without Draco compression",
                    "gltf_extension",
                )
            parts.append(_place(self._part(primitive, where, mode), matrix, where))
        return parts

    def _part(self, primitive: dict[str, Any], where: str, mode: int) -> Part:
        attributes, read = primitive["attributes"], self.document.accessor
        vertices = read(attributes.get("POSITION"), f"{where}.POSITION", "VEC3")
        check_counts(*self.total)
        check_finite(vertices, f"glTF: {where}: ")
        if "indices" in primitive:
            flat = read(primitive["indices"], f"{where}.indices", "SCALAR", integers=True)[:, 0].astype(
                np.int64
            )
            if flat.max() >= len(vertices):
                raise bad(
                    f"{where}: the index {flat.max()} is out of range, there are {len(vertices)} vertices"
                )
        else:
            flat = np.arange(len(vertices), dtype=np.int64)
        faces = _triangles(flat, mode, where)
        part = Part(vertices, faces, self.materials.get(primitive.get("material")))
        if "NORMAL" in attributes:
            part.normals = self._same_length(attributes["NORMAL"], f"{where}.NORMAL", "VEC3", len(vertices))
        if part.material.texture is not None:
            part.uv = self._uv(primitive, where, len(vertices), part.material.texture is not WHITE)
        hides = part.material.texture is WHITE and "COLOR_0" in attributes  # the colours of the corners
        if part.material.maps and (part.uv is None or hides):
            part.material = self.materials.without_maps(primitive["material"])
            part.uv = None if part.material.texture is None else part.uv
        if "COLOR_0" in attributes:
            linear = self._same_length(attributes["COLOR_0"], f"{where}.COLOR_0", "VEC3|VEC4", len(vertices))
            part.colours = colours_from_linear(linear)
        return part

    def _same_length(self, accessor: Any, where: str, kind: str, count: int) -> Floats:
        values = self.document.accessor(accessor, where, kind)
        if len(values) != count:
            raise bad(f"{where} has {len(values)} values for {count} vertices")
        if not np.isfinite(values).all():
            self.notes.append(f"{where} holds values that are not finite; they were replaced")
            values = np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0)
        return values

    def _uv(self, primitive: dict[str, Any], where: str, count: int, has_base: bool) -> Floats | None:
        placing = self.materials.placing(primitive["material"])
        name = f"TEXCOORD_{placing.uv_set}"
        if name not in primitive["attributes"]:
            note = f"{where} has a texture but no {name}; the texture is not used there"
            self.notes.append(MissingTexture(note) if has_base else note)
            return None
        uv = self._same_length(primitive["attributes"][name], f"{where}.{name}", "VEC2", count)
        cos, sin = np.cos(placing.turn), np.sin(placing.turn)
        uv = uv * placing.scale @ np.array([[cos, -sin], [sin, cos]]) + placing.offset
        return np.stack([uv[:, 0], 1.0 - uv[:, 1]], axis=1)


def _triangles(flat: Ints, mode: int, where: str) -> Ints:
    """Triangles (F,3) of an index list in one of the three triangle modes (glTF 2.0, 3.7.2.1)."""
    if mode == TRIANGLES:
        if len(flat) % 3:
            raise bad(f"{where}: {len(flat)} indices do not make whole triangles")
        return flat.reshape(-1, 3)
    if len(flat) < 3:
        raise bad(f"{where}: {len(flat)} indices make no triangle")
    if mode == FAN:
        return np.stack([flat[1:-1], flat[2:], np.broadcast_to(flat[0], len(flat) - 2)], axis=1)
    odd = np.arange(len(flat) - 2) % 2
    return np.stack(
        [flat[:-2], np.where(odd, flat[2:], flat[1:-1]), np.where(odd, flat[1:-1], flat[2:])], axis=1
    )


def _place(part: Part, matrix: Floats, where: str) -> Part:
    """The part in the scene's frame; a mirroring transform turns the faces round (glTF 2.0, 3.7.4)."""
    if np.array_equal(matrix, np.eye(4)):
        return part
    linear: NDArray[np.float64] = matrix[:3, :3]
    part.vertices = part.vertices @ linear.T + matrix[:3, 3]
    check_finite(part.vertices, f"glTF: {where}: ")
    if np.linalg.det(linear) < 0:
        part.faces = part.faces[:, ::-1]
    if part.normals is not None:
        part.normals = part.normals @ np.linalg.pinv(linear)
    return part
