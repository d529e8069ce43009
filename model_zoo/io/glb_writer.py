"""The one GLB writer: the same bytes for the same mesh, neutral names, no generator, valid by the Khronos validator."""

import json
import struct
from typing import Any

import numpy as np
import trimesh
from numpy.typing import NDArray
from PIL import Image
from trimesh.visual.material import PBRMaterial

from model_zoo.io.errors import BadInput
from model_zoo.io.surface import degenerate_faces, unit_normals
from model_zoo.io.textures import encode_texture, linear_from_srgb

ARRAY_BUFFER, ELEMENT_BUFFER = 34962, 34963
BYTE, SHORT, INT, FLOAT = 5121, 5123, 5125, 5126


class _Binary:
    """The binary chunk as it grows, with its buffer views and accessors."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.views: list[dict[str, Any]] = []
        self.accessors: list[dict[str, Any]] = []

    def view(self, data: bytes, target: int | None = None) -> int:
        self.data += bytes(-len(self.data) % 4)
        fields: dict[str, Any] = {"buffer": 0, "byteOffset": len(self.data), "byteLength": len(data)}
        self.views.append(fields if target is None else {**fields, "target": target})
        self.data += data
        return len(self.views) - 1

    def accessor(self, values: NDArray[Any], component: int, kind: str, target: int, **more: Any) -> int:
        fields = {
            "bufferView": self.view(np.ascontiguousarray(values).tobytes(), target),
            "componentType": component,
            "count": len(values),
            "type": kind,
            **more,
        }
        self.accessors.append(fields)
        return len(self.accessors) - 1


def export_glb(mesh: trimesh.Trimesh, *, maps: bool = False) -> bytes:
    """GLB bytes of one mesh: float32 positions and normals, its base colour texture or vertex colours.

    maps: also the metal and roughness, normal and emission maps of a textured mesh, which viewer copies go without.
    Deterministic. Faces without area in float32 are left out; raises BadInput when none is left.
    """
    vertices, faces, pick = _clean(mesh)
    binary = _Binary()
    index_type, index_code = (np.dtype("<u2"), SHORT) if len(vertices) < 65_535 else (np.dtype("<u4"), INT)
    primitive: dict[str, Any] = {
        "indices": binary.accessor(faces.astype(index_type).ravel(), index_code, "SCALAR", ELEMENT_BUFFER)
    }
    attributes = {
        "POSITION": binary.accessor(
            vertices,
            FLOAT,
            "VEC3",
            ARRAY_BUFFER,
            min=vertices.min(axis=0).tolist(),
            max=vertices.max(axis=0).tolist(),
        )
    }
    attributes["NORMAL"] = binary.accessor(_normals(mesh, vertices, faces, pick), FLOAT, "VEC3", ARRAY_BUFFER)
    document: dict[str, Any] = {
        "asset": {"version": "2.0"},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0}],
        "meshes": [{"primitives": [primitive]}],
    }
    material = _add_looks(mesh, pick, binary, attributes, document, maps)
    primitive.update(attributes=attributes, material=0)
    document.update(
        materials=[material],
        accessors=binary.accessors,
        bufferViews=binary.views,
        buffers=[{"byteLength": len(binary.data)}],
    )
    return _pack(document, bytes(binary.data))


def _clean(mesh: trimesh.Trimesh) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.int64]]:
    """Float32 vertices, faces with an area among them, and the mesh vertex that each came from."""
    vertices = np.asarray(mesh.vertices, np.float64).astype(np.float32)
    faces = np.asarray(mesh.faces, np.int64)
    if not np.isfinite(vertices).all():
        raise BadInput("the mesh has coordinates that are not finite", "bad_vertex")
    faces = faces[~degenerate_faces(vertices.astype(np.float64), faces)]
    if not len(faces):
        raise BadInput("the surface has zero area: every face is degenerate", "zero_area")
    used = np.zeros(len(vertices), np.bool_)
    used[faces.ravel()] = True
    return vertices[used], (np.cumsum(used) - 1)[faces], np.flatnonzero(used)


def _normals(
    mesh: trimesh.Trimesh, vertices: NDArray[np.float32], faces: NDArray[np.int64], pick: NDArray[np.int64]
) -> NDArray[np.float32]:
    """The mesh's own normals, made fit for glTF: unit length, never zero."""
    normals = np.asarray(mesh.vertex_normals, np.float64)[pick]
    return unit_normals(normals, vertices.astype(np.float64), faces).astype(np.float32)


def _add_looks(
    mesh: trimesh.Trimesh,
    pick: NDArray[np.int64],
    binary: _Binary,
    attributes: dict[str, int],
    document: dict[str, Any],
    maps: bool,
) -> dict[str, Any]:
    """Write textures or vertex colours; the material's JSON."""
    visual: Any = mesh.visual
    source = _pbr(visual)
    fields: dict[str, Any] = {
        "metallicFactor": _share(source, "metallicFactor", 0.0),
        "roughnessFactor": _share(source, "roughnessFactor", 0.9),
    }
    material: dict[str, Any] = {"pbrMetallicRoughness": fields}
    if source is not None and source.doubleSided:
        material["doubleSided"] = True
    texture = None if source is None else source.baseColorTexture
    uv = getattr(visual, "uv", None)
    if isinstance(texture, Image.Image) and uv is not None and len(uv) == len(mesh.vertices):
        flipped = np.stack([uv[pick, 0], 1.0 - uv[pick, 1]], axis=1).astype(np.float32)
        attributes["TEXCOORD_0"] = binary.accessor(np.nan_to_num(flipped), FLOAT, "VEC2", ARRAY_BUFFER)
        document.update(images=[], textures=[])
        fields["baseColorTexture"] = _texture(texture, binary, document)
        if maps and source is not None:
            _add_maps(source, fields, material, binary, document)
    elif visual.kind == "vertex" or visual.kind == "face":
        colours = _linear16(np.asarray(visual.vertex_colors)[pick])
        attributes["COLOR_0"] = binary.accessor(colours, SHORT, "VEC4", ARRAY_BUFFER, normalized=True)
        return material
    _add_factor(source, fields, material)
    if maps and source is not None and source.emissiveFactor is not None:
        material["emissiveFactor"] = [round(float(n), 6) for n in np.clip(source.emissiveFactor, 0, 1)]
    return material


def _texture(image: Image.Image, binary: _Binary, document: dict[str, Any]) -> dict[str, int]:
    """Write one picture; the reference to it."""
    data, kind = encode_texture(image)
    document["images"].append({"bufferView": binary.view(data), "mimeType": kind})
    document["textures"].append({"source": len(document["images"]) - 1})
    return {"index": len(document["textures"]) - 1}


def _add_maps(
    source: PBRMaterial,
    fields: dict[str, Any],
    material: dict[str, Any],
    binary: _Binary,
    document: dict[str, Any],
) -> None:
    for image, into, name in (
        (source.metallicRoughnessTexture, fields, "metallicRoughnessTexture"),
        (source.normalTexture, material, "normalTexture"),
        (source.emissiveTexture, material, "emissiveTexture"),
    ):
        if image is not None:
            into[name] = _texture(image, binary, document)


def _pbr(visual: Any) -> PBRMaterial | None:
    material = getattr(visual, "material", None)
    if material is None or isinstance(material, PBRMaterial):
        return material
    return material.to_pbr()


def _share(source: PBRMaterial | None, name: str, default: float) -> float:
    value = None if source is None else getattr(source, name)
    return round(float(default if value is None else min(max(value, 0.0), 1.0)), 6)


def _add_factor(source: PBRMaterial | None, fields: dict[str, Any], material: dict[str, Any]) -> None:
    if source is None:
        return
    if source.baseColorFactor is not None:
        factor = np.asarray(source.baseColorFactor, np.float64).ravel() / 255.0
        if len(factor) == 4 and (factor < 1).any():
            fields["baseColorFactor"] = [round(float(n), 6) for n in np.clip(factor, 0, 1)]
    if source.alphaMode in ("MASK", "BLEND"):
        material["alphaMode"] = source.alphaMode
        if source.alphaMode == "MASK" and source.alphaCutoff is not None:
            material["alphaCutoff"] = round(float(source.alphaCutoff), 6)


def _linear16(colours: NDArray[Any]) -> NDArray[np.uint16]:
    """(N,4) uint8 sRGB to linear 16 bits, as glTF wants vertex colours; 16 bits keep the dark ones apart."""
    share = colours.astype(np.float64) / 255.0
    share[:, :3] = linear_from_srgb(share[:, :3])
    return np.round(share * 65_535).astype("<u2")


def _pack(document: dict[str, Any], binary: bytes) -> bytes:
    text = json.dumps(document, separators=(",", ":"), sort_keys=True, allow_nan=False).encode("ascii")
    text += b" " * (-len(text) % 4)
    binary += bytes(-len(binary) % 4)
    head = struct.pack("<4sII", b"glTF", 2, 28 + len(text) + len(binary))
    return b"".join(
        [
            head,
            struct.pack("<I4s", len(text), b"JSON"),
            text,
            struct.pack("<I4s", len(binary), b"BIN\0"),
            binary,
        ]
    )
