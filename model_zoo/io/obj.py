"""Wavefront OBJ and MTL from untrusted bytes, checked line by line; no file is ever opened from here."""

from __future__ import annotations

import math
from array import array
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from model_zoo.io.errors import BadInput, safe_text
from model_zoo.io.mtl import Finder, lines_of, read_libraries
from model_zoo.io.surface import (
    MAX_COORDINATE,
    MAX_TRIANGLES,
    MAX_VERTICES,
    Floats,
    Material,
    Part,
    check_counts,
)

MAX_BYTES = 96 * 2**20
MAX_CORNERS = 4096
IGNORED_WITH_WARNING = {
    "p": "points",
    "l": "lines",
    "curv": "curves",
    "surf": "surfaces",
    "call": "calls",
    "csh": "commands",
}


@dataclass
class _Obj:
    """What was read so far, in flat arrays: lists of floats would take ten times the file."""

    vertices: array[float] = field(default_factory=lambda: array("d"))
    colours: array[float] = field(default_factory=lambda: array("d"))
    uv: array[float] = field(default_factory=lambda: array("d"))
    normals: array[float] = field(default_factory=lambda: array("d"))
    corners: dict[str, array[int]] = field(default_factory=dict)
    libraries: list[str] = field(default_factory=list)
    ignored: dict[str, int] = field(default_factory=dict)
    triangles: int = 0
    # Per kind of index, the largest one that was not yet defined where it was used, and its line.
    ahead: list[tuple[int, int]] = field(default_factory=lambda: [(-1, 0)] * 3)

    def counts(self) -> tuple[int, int, int]:
        """How many positions, uv and normals there are so far."""
        return len(self.vertices) // 3, len(self.uv) // 2, len(self.normals) // 3


def read_obj(data: bytes, notes: list[str], find: Finder = lambda name: None) -> list[Part]:
    """Parts of an OBJ, one a material. `find` gives the MTL files and textures that came along. Raises BadInput."""
    if len(data) > MAX_BYTES:
        raise BadInput(f"OBJ: larger than {MAX_BYTES >> 20} MB; use GLB", "too_large")
    obj = _Obj()
    material = ""
    for number, line in lines_of(_check_text(data, notes)):
        words = line.split()
        keyword = words[0]
        if keyword == "usemtl":
            material = line.partition("usemtl")[2].strip()
        elif keyword == "mtllib":
            obj.libraries.append(line.partition("mtllib")[2].strip())
        elif keyword in ("v", "vt", "vn"):
            _read_vertex(obj, keyword, words, number)
        elif keyword == "f":
            _read_face(obj, words, number, obj.corners.setdefault(material, array("q")))
        elif keyword in IGNORED_WITH_WARNING:
            obj.ignored[keyword] = obj.ignored.get(keyword, 0) + 1
    for keyword, count in obj.ignored.items():
        notes.append(f"{count} {IGNORED_WITH_WARNING[keyword]} were left out")
    if not obj.triangles:
        raise BadInput("OBJ: there is no geometry (no faces)", "no_geometry")
    _check_ahead(obj)
    materials = read_libraries(obj.libraries, find, notes)
    return [
        _part(obj, corners, materials.get(name, Material()))
        for name, corners in obj.corners.items()
        if corners
    ]


def _check_text(data: bytes, notes: list[str]) -> bytes:
    """The bytes without byte order mark and with line feeds; refuses UTF-16 and binary ones."""
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise BadInput("OBJ: the file is UTF-16 text; save it as UTF-8", "bad_encoding")
    data = data.removeprefix(b"\xef\xbb\xbf")
    if b"\0" in data:
        line = data.count(b"\n", 0, data.index(b"\0")) + 1
        raise BadInput(f"OBJ: line {line} holds binary bytes (NUL) in a text file", "bad_encoding")
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        notes.append("some bytes are not UTF-8 and were replaced")
    return data if b"\n" in data else data.replace(b"\r", b"\n")


def _read_vertex(obj: _Obj, keyword: str, words: list[str], number: int) -> None:
    try:
        values = [float(word) for word in words[1:]]
    except ValueError:
        raise BadInput(f"OBJ: line {number}: a coordinate is not a number", "bad_line") from None
    least = {"v": 3, "vt": 1, "vn": 3}[keyword]
    if len(values) < least:
        raise BadInput(f"OBJ: line {number}: {keyword} needs {least} numbers", "bad_line")
    if keyword == "v" and not all(abs(value) <= MAX_COORDINATE for value in values[:3]):
        raise BadInput(f"OBJ: line {number}: a coordinate is not finite or too large", "bad_vertex")
    if not all(math.isfinite(value) for value in values):
        values = [value if math.isfinite(value) else 0.0 for value in values]
    if keyword == "v":
        obj.vertices.extend(values[:3])
        if len(values) >= 6:
            obj.colours.extend(values[3:6])
    elif keyword == "vt":
        obj.uv.extend((values + [0.0])[:2])
    else:
        obj.normals.extend(values[:3])
    if max(obj.counts()) > MAX_VERTICES:
        check_counts(max(obj.counts()), 0)


def _read_face(obj: _Obj, words: list[str], number: int, corners: array[int]) -> None:
    if not 3 <= len(words) - 1 <= MAX_CORNERS:
        raise BadInput(
            f"OBJ: line {number}: a face needs 3 to {MAX_CORNERS} corners, not {len(words) - 1}", "bad_line"
        )
    counts = obj.counts()
    loop = [_corner(counts, word, number) for word in words[1:]]
    for slot in range(3):
        furthest = max(corner[slot] for corner in loop)
        if furthest >= counts[slot] and furthest > obj.ahead[slot][0]:
            obj.ahead[slot] = (furthest, number)
    for second, third in zip(loop[1:-1], loop[2:], strict=True):
        corners.extend(loop[0] + second + third)
    obj.triangles += len(loop) - 2
    if obj.triangles > MAX_TRIANGLES:
        check_counts(0, obj.triangles)


def _corner(counts: tuple[int, int, int], word: str, number: int) -> tuple[int, ...]:
    """(vertex, uv, normal) counted from 0; -1 where there is none."""
    pieces = word.split("/")
    if len(pieces) > 3 or not pieces[0]:
        raise BadInput(f'OBJ: line {number}: "{safe_text(word, 30)}" is not a corner of a face', "bad_line")
    found = [-1, -1, -1]
    for slot, piece in enumerate(pieces):
        if not piece:
            continue
        try:
            index = int(piece)
        except ValueError:
            raise BadInput(
                f'OBJ: line {number}: "{safe_text(word, 30)}" is not a corner of a face', "bad_line"
            ) from None
        place = index - 1 if index > 0 else counts[slot] + index
        if index == 0:
            raise _out_of_range(number, index, "OBJ counts from 1")
        if place < 0:
            raise _out_of_range(number, index, f"there are {counts[slot]} before this line")
        found[slot] = place
    return tuple(found)


def _out_of_range(number: int, index: int, why: str) -> BadInput:
    return BadInput(
        f"OBJ: line {number}: the index {safe_text(index, 20)} is out of range ({why})", "bad_index"
    )


def _check_ahead(obj: _Obj) -> None:
    """An index may run ahead of what it names, but by the end of the file it must be there."""
    for (furthest, number), count in zip(obj.ahead, obj.counts(), strict=True):
        if furthest >= count:
            raise _out_of_range(number, furthest + 1, f"there are {count}")


def _part(obj: _Obj, corners: array[int], material: Material) -> Part:
    """Unique (vertex, uv, normal) triples become vertices, in the order of the vertices of the file."""
    triples = np.array(corners, np.int64).reshape(-1, 3)
    if material.texture is None or (triples[:, 1] < 0).any():
        triples[:, 1] = -1
    if (triples[:, 2] < 0).any():
        triples[:, 2] = -1
    looks, look = np.unique(
        (triples[:, 1] + 1) * (len(obj.normals) + 1) + triples[:, 2] + 1, return_inverse=True
    )
    _, first, inverse = np.unique(triples[:, 0] * len(looks) + look, return_index=True, return_inverse=True)
    unique = triples[first]
    part = Part(_table(obj.vertices, 3)[unique[:, 0]], inverse.reshape(-1, 3).astype(np.int64), material)
    if unique[0, 1] >= 0:
        part.uv = _table(obj.uv, 2)[unique[:, 1]]
    if unique[0, 2] >= 0:
        part.normals = _table(obj.normals, 3)[unique[:, 2]]
    if len(obj.colours) == len(obj.vertices):
        part.colours = _colours(_table(obj.colours, 3)[unique[:, 0]])
    return part


def _table(values: array[float], width: int) -> Floats:
    return np.array(values, np.float64).reshape(-1, width)


def _colours(values: Floats) -> NDArray[np.uint8]:
    """(N,4) uint8 of colours that are 0..1, or 0..255 in some exporters."""
    result = np.full((len(values), 4), 255, np.uint8)
    result[:, :3] = np.round(np.clip(values if values.max() > 1 else values * 255, 0, 255))
    return result
