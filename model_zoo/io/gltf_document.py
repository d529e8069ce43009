"""The glTF 2 container and document: every length, offset and index is checked before it is followed."""

import base64
import binascii
import struct
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model_zoo.io.errors import BadInput, safe_text
from model_zoo.io.records import parse_json

MAX_VALUES = 16_000_000
COMPONENTS: dict[int, np.dtype[Any]] = {
    5120: np.dtype("<i1"),
    5121: np.dtype("<u1"),
    5122: np.dtype("<i2"),
    5123: np.dtype("<u2"),
    5125: np.dtype("<u4"),
    5126: np.dtype("<f4"),
}
WIDTHS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4}
ADVICE = {
    "KHR_draco_mesh_compression": "export it without Draco compression",
    "EXT_meshopt_compression": "export it without meshopt compression",
    "KHR_meshopt_compression": "export it without meshopt compression",
    "KHR_texture_basisu": "export it with PNG or JPEG textures",
}
UNDERSTOOD = {"KHR_texture_transform", "KHR_mesh_quantization", "EXT_texture_webp", "KHR_lights_punctual"}

# Bytes of a file named in the document, relative to it; raises BadInput when it may not or cannot be read.
Resolver = Callable[[str], bytes]


def bad(message: str) -> BadInput:
    """A glTF fault."""
    return BadInput(f"glTF: {message}", "bad_gltf")


def split_glb(data: bytes) -> tuple[dict[str, Any], bytes | None]:
    """JSON document and binary chunk of a GLB. Raises BadInput."""
    if data[:4] != b"glTF":
        raise BadInput("not a GLB (its first bytes are wrong)", "not_a_mesh")
    if len(data) < 20:
        raise bad("the file is truncated")
    version, length = struct.unpack_from("<II", data, 4)
    if version != 2:
        raise bad(f"only glTF 2 is supported, the file declares version {version}")
    if length > len(data):
        raise bad(f"the file is truncated: it declares {length} bytes and has {len(data)}")
    if length < len(data):
        raise bad(f"{len(data) - length} bytes follow after the declared end of the file")
    chunks = _chunks(data, length)
    if not chunks or chunks[0][0] != b"JSON":
        raise bad("the first chunk is not JSON")
    document = read_document(chunks[0][1])
    return document, next((body for kind, body in chunks[1:] if kind == b"BIN\0"), None)


def _chunks(data: bytes, length: int) -> list[tuple[bytes, bytes]]:
    chunks, at = [], 12
    while at < length:
        if at + 8 > length:
            raise bad("a chunk header is cut short")
        (size,), kind = struct.unpack_from("<I", data, at), data[at + 4 : at + 8]
        if at + 8 + size > length:
            raise bad("a chunk runs past the end of the file")
        chunks.append((kind, data[at + 8 : at + 8 + size]))
        at += 8 + size
    return chunks


def read_document(text: bytes) -> dict[str, Any]:
    """The JSON of a glTF file, of a version and with required extensions that we read. Raises BadInput."""
    document = parse_json(text.rstrip(b"\0 "), what="glTF: the JSON")
    if not isinstance(document, dict) or not isinstance(document.get("asset"), dict):
        raise bad("the JSON has no asset, so it is not glTF 2")
    if not str(document["asset"].get("version", "")).startswith("2."):
        raise bad(
            f"only glTF 2 is supported, the file declares version {safe_text(document['asset'].get('version'), 20)}"
        )
    required = document.get("extensionsRequired", [])
    if not isinstance(required, list):
        raise bad("extensionsRequired is not a list")
    for name in required:
        if not (name in UNDERSTOOD or (isinstance(name, str) and name.startswith("KHR_materials_"))):
            advice = ADVICE.get(str(name), "export it without this extension")
            raise BadInput(
                f"glTF: the required extension {safe_text(name)} is not supported; {advice}", "gltf_extension"
            )
    return document


class Document:
    """A glTF document with its buffers. Every method raises BadInput naming what is wrong."""

    def __init__(self, fields: dict[str, Any], binary: bytes | None, resolve: Resolver) -> None:
        self.fields = fields
        self._binary = binary
        self._resolve = resolve
        self._buffers: dict[int, bytes] = {}

    def count(self, kind: str) -> int:
        """How many items of a top-level list ("nodes") there are."""
        items = self.fields.get(kind, [])
        if not isinstance(items, list):
            raise bad(f"{kind} is not a list")
        return len(items)

    def item(self, kind: str, index: Any, where: str) -> dict[str, Any]:
        """An item of a top-level list, by an index found at `where`."""
        if type(index) is not int or not 0 <= index < self.count(kind):
            raise bad(f"{where} refers to {kind}[{safe_text(index, 20)}], which does not exist")
        item = self.fields[kind][index]
        if not isinstance(item, dict):
            raise bad(f"{kind}[{index}] is not an object")
        return item

    def view(self, index: Any, where: str) -> bytes:
        """Bytes of a buffer view."""
        view = self.item("bufferViews", index, where)
        offset, length = whole(view, "byteOffset", 0), whole(view, "byteLength")
        buffer = self._buffer(view.get("buffer"), f"bufferViews[{index}]")
        if offset + length > len(buffer):
            raise bad(
                f"bufferViews[{index}] is out of range: it ends at byte {offset + length} of {len(buffer)}"
            )
        return buffer[offset : offset + length]

    def _buffer(self, index: Any, where: str) -> bytes:
        buffer = self.item("buffers", index, where)
        if index not in self._buffers:
            length, uri = whole(buffer, "byteLength"), buffer.get("uri")
            if uri is None and (index != 0 or self._binary is None):
                raise bad(f"buffers[{index}] has no data")
            data = self._binary if uri is None else self.read_uri(uri)
            if data is None or length > len(data):
                raise bad(f"buffers[{index}] declares {length} bytes and has {len(data or b'')}")
            self._buffers[index] = data[:length]
        return self._buffers[index]

    def read_uri(self, uri: Any) -> bytes:
        """Bytes of a data URI or of a file that came with the document; nothing else is ever opened."""
        if not isinstance(uri, str):
            raise bad("a uri is not a text")
        if uri.startswith("data:"):
            head, _, body = uri.partition(",")
            if not head.endswith(";base64"):
                raise bad("a data URI is not base64")
            try:
                return base64.b64decode(body, validate=True)
            except (binascii.Error, ValueError):
                raise bad("a data URI is not valid base64") from None
        return self._resolve(uri)

    def accessor(self, index: Any, where: str, kind: str, *, integers: bool = False) -> NDArray[Any]:
        """Values of an accessor as (count, width): float64 with normalisation applied, or whole numbers as they are."""
        accessor = self.item("accessors", index, where)
        name = f"accessors[{index}]"
        dtype, width = component_of(accessor), WIDTHS.get(str(accessor.get("type")))
        if dtype is None or width is None or str(accessor["type"]) not in kind.split("|"):
            raise bad(f"{where}: {name} has the wrong type (wanted {kind.replace('|', ' or ')})")
        count = whole(accessor, "count")
        if count < 1:
            raise bad(f"{name} declares no elements")
        values = self._values(accessor, name, count, width, dtype)
        if "sparse" in accessor:
            values = self._with_sparse(accessor["sparse"], name, values, dtype)
        if integers:
            if dtype.kind != "u" or accessor.get("normalized"):
                raise bad(f"{where}: {name} must hold unsigned whole numbers")
            return values
        with np.errstate(invalid="ignore"):
            result = values.astype(np.float64)
        if accessor.get("normalized") is True and dtype.kind in "iu":
            result = np.maximum(result / np.iinfo(dtype).max, -1.0)
        return result

    def _values(
        self, accessor: dict[str, Any], name: str, count: int, width: int, dtype: np.dtype[Any]
    ) -> NDArray[Any]:
        if accessor.get("bufferView") is None:
            if count * width > MAX_VALUES:
                raise bad(f"{name} declares {count} elements, which is out of range")
            return np.zeros((count, width), dtype)
        view = self.view(accessor["bufferView"], name)
        stride = (
            whole(self.item("bufferViews", accessor["bufferView"], name), "byteStride", 0)
            or width * dtype.itemsize
        )
        offset = whole(accessor, "byteOffset", 0)
        if stride < width * dtype.itemsize or stride > 255:
            raise bad(f"{name} has an impossible byte stride of {stride}")
        end = offset + stride * (count - 1) + width * dtype.itemsize
        if end > len(view):
            raise bad(f"{name} exceeds its buffer view: it needs {end} bytes of {len(view)}")
        if count * width > MAX_VALUES:
            raise bad(f"{name} declares {count} elements, which is out of range")
        return np.ndarray((count, width), dtype, view, offset, (stride, dtype.itemsize))

    def _with_sparse(
        self, sparse: Any, name: str, values: NDArray[Any], dtype: np.dtype[Any]
    ) -> NDArray[Any]:
        if not (
            isinstance(sparse, dict)
            and isinstance(sparse.get("indices"), dict)
            and isinstance(sparse.get("values"), dict)
        ):
            raise bad(f"{name} has a broken sparse part")
        count, index_type = whole(sparse, "count"), component_of(sparse["indices"])
        if index_type is None or index_type.kind != "u" or not 1 <= count <= len(values):
            raise bad(f"{name} has a broken sparse part")
        at = self._values(sparse["indices"], f"{name}.sparse", count, 1, index_type)[:, 0].astype(np.int64)
        if at.max() >= len(values):
            raise bad(f"{name}: a sparse index is out of range")
        result = np.array(values)
        result[at] = self._values(sparse["values"], f"{name}.sparse", count, values.shape[1], dtype)
        return result


def whole(fields: dict[str, Any], name: str, default: int | None = None) -> int:
    """A whole number >= 0 of the document. Raises BadInput."""
    value = fields.get(name, default)
    if type(value) is not int or value < 0:
        raise bad(f"{name} must be a whole number, not {safe_text(value, 20)}")
    return value


def numbers(fields: dict[str, Any], name: str, count: int, default: list[float]) -> list[float]:
    """`count` finite numbers of the document. Raises BadInput."""
    value = fields.get(name, default)
    if not (isinstance(value, list) and len(value) == count):
        raise bad(f"{name} must be {count} numbers")
    if any(isinstance(n, bool) or not isinstance(n, int | float) for n in value):
        raise bad(f"{name} must be {count} numbers")
    return [float(n) for n in value]


def component_of(fields: dict[str, Any]) -> np.dtype[Any] | None:
    """The number type that a componentType stands for, None when it is none of glTF's."""
    code = fields.get("componentType")
    return COMPONENTS.get(code) if type(code) is int else None


def object_of(fields: dict[str, Any], name: str) -> dict[str, Any]:
    """An object inside an object of the document; an empty one when it is missing or something else."""
    value = fields.get(name)
    return value if isinstance(value, dict) else {}


def list_of(fields: dict[str, Any], name: str, where: str) -> list[Any]:
    """A list inside an object of the document, empty when missing. Raises BadInput when it is something else."""
    value = fields.get(name, [])
    if not isinstance(value, list):
        raise bad(f"{where}.{name} is not a list")
    return value
