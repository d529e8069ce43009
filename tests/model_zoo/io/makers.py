"""Small files made in memory: good ones, and the pieces that tests break."""

import io
import json
import struct
import zipfile
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np
from PIL import Image

TETRA = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]], np.float32)
TETRA_FACES = np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]], np.uint16)
ODD_VALUES = [None, -1, 10**9, 1.5, "x", [], {}, True, 1e300, [[]], [None], {"index": "x"}]
OBJ = "v 0 0 0\nv 1 0 0\nv 0 1 0\nv 0 0 1\nf 1 3 2\nf 1 2 4\nf 1 4 3\nf 2 3 4\n"


def photo(width: int = 96, height: int = 64) -> np.ndarray:
    """A picture (H,W,3) without symmetry, so that a wrong turn shows."""
    y, x = np.mgrid[:height, :width]
    return np.stack([x * 255 // width, y * 255 // height, (x * y) % 256], axis=2).astype(np.uint8)


def disc(width: int = 96, height: int = 64, radius: int = 16) -> np.ndarray:
    """A mask (H,W) bool of one disc, off centre."""
    y, x = np.mgrid[:height, :width]
    return (x - 40) ** 2 + (y - 30) ** 2 < radius**2


def encoded(array: np.ndarray, form: str = "PNG", **options: Any) -> bytes:
    """The array as image bytes by Pillow."""
    stream = io.BytesIO()
    Image.fromarray(array).save(stream, form, **options)
    return stream.getvalue()


def png_header(width: int, height: int) -> bytes:
    """A PNG that declares a size and holds almost nothing."""
    return b"".join(
        [
            b"\x89PNG\r\n\x1a\n",
            png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)),
            png_chunk(b"IDAT", zlib.compress(b"")),
            png_chunk(b"IEND", b""),
        ]
    )


def png_chunk(kind: bytes, body: bytes) -> bytes:
    """One PNG chunk with its checksum."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def npy(array: np.ndarray) -> bytes:
    """The array as an NPY file."""
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=False)
    return stream.getvalue()


def zipped(files: dict[str, bytes] | list[tuple[str, bytes]], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """The files as a ZIP; a list may repeat a name."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        for name, data in files.items() if isinstance(files, dict) else files:
            archive.writestr(zipfile.ZipInfo(name), data, method)
    return stream.getvalue()


def glb(document: dict[str, Any] | None = None, binary: bytes | None = None, **changes: Any) -> bytes:
    """A GLB of the tetrahedron, with changes to the top level of its JSON."""
    fields = {**(tetra_document() if document is None else document), **changes}
    text = json.dumps(fields).encode()
    text += b" " * (-len(text) % 4)
    body = tetra_binary() if binary is None else binary
    body += bytes(-len(body) % 4)
    head = struct.pack("<4sII", b"glTF", 2, 28 + len(text) + len(body))
    return (
        head
        + struct.pack("<I4s", len(text), b"JSON")
        + text
        + struct.pack("<I4s", len(body), b"BIN\0")
        + body
    )


def tetra_binary() -> bytes:
    """Positions (48 bytes), then indices (24 bytes)."""
    return TETRA.tobytes() + TETRA_FACES.tobytes()


def tetra_document() -> dict[str, Any]:
    """glTF JSON of the tetrahedron."""
    return {
        "asset": {"version": "2.0"},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0}],
        "meshes": [{"primitives": [{"attributes": {"POSITION": 0}, "indices": 1}]}],
        "accessors": [
            {"bufferView": 0, "componentType": 5126, "count": 4, "type": "VEC3"},
            {"bufferView": 1, "componentType": 5123, "count": 12, "type": "SCALAR"},
        ],
        "bufferViews": [
            {"buffer": 0, "byteOffset": 0, "byteLength": 48},
            {"buffer": 0, "byteOffset": 48, "byteLength": 24},
        ],
        "buffers": [{"byteLength": 72}],
    }


def unpacked(data: bytes) -> tuple[dict, bytes]:
    """The JSON and the binary of a GLB."""
    length = int.from_bytes(data[12:16], "little")
    return json.loads(data[20 : 20 + length]), data[28 + length :]


def textured(transform: dict | None = None) -> bytes:
    """A square with a 2x2 texture: red, green over blue, white."""
    corners = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [1, 1, 0]], "<f4")
    uv = np.array([[0, 1], [1, 1], [0, 0], [1, 0]], "<f4")
    pixels = np.array([[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [255, 255, 255]]], np.uint8)
    binary = corners.tobytes() + np.array([0, 1, 2, 1, 3, 2], "<u2").tobytes() + uv.tobytes()
    picture = encoded(pixels)
    info = {"index": 0, **({"extensions": {"KHR_texture_transform": transform}} if transform else {})}
    document = tetra_document() | {
        "materials": [{"pbrMetallicRoughness": {"baseColorTexture": info}}],
        "textures": [{"source": 0}],
        "images": [{"bufferView": 3, "mimeType": "image/png"}],
    }
    document["accessors"] = [
        {"bufferView": 0, "componentType": 5126, "count": 4, "type": "VEC3"},
        {"bufferView": 1, "componentType": 5123, "count": 6, "type": "SCALAR"},
        {"bufferView": 2, "componentType": 5126, "count": 4, "type": "VEC2"},
    ]
    places = [(0, 48), (48, 12), (60, 32), (92, len(picture))]
    document["bufferViews"] = [{"buffer": 0, "byteOffset": a, "byteLength": n} for a, n in places]
    document["buffers"] = [{"byteLength": 92 + len(picture)}]
    primitive = {"attributes": {"POSITION": 0, "TEXCOORD_0": 2}, "indices": 1, "material": 0}
    document["meshes"] = [{"primitives": [primitive]}]
    return glb(document, binary + picture)


def binary_stl(count: int, declared: int | None = None) -> bytes:
    """A binary STL of `count` triangles that declares another number if asked."""
    record = np.zeros(1, np.dtype([("n", "<f4", 3), ("c", "<f4", (3, 3)), ("a", "<u2")]))
    record["c"][0] = [[0, 0, 0], [1, 0, 0], [0, 1, 0]]
    return bytes(80) + struct.pack("<I", count if declared is None else declared) + record.tobytes() * count


def each_value_replaced(document: Any, odd: Any) -> Iterator[Any]:
    """The JSON document once for every value in it, with that value replaced."""
    for way in _ways(document):
        changed = json.loads(json.dumps(document))
        place = changed
        for step in way[:-1]:
            place = place[step]
        place[way[-1]] = odd
        yield changed


def _ways(value: Any, way: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [place for key, item in items for place in ((*way, key), *_ways(item, (*way, key)))]
