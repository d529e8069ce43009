"""PLY, text or binary, from untrusted bytes: what the header declares must fit the file before anything is read."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model_zoo.io.errors import BadInput, safe_text
from model_zoo.io.surface import Ints, Part, check_counts, check_finite

MAX_HEADER = 1 << 16
MAX_TEXT_BYTES = 48 * 2**20
MAX_CORNERS = 4096
TYPES = {
    "char": "i1",
    "int8": "i1",
    "uchar": "u1",
    "uint8": "u1",
    "short": "i2",
    "int16": "i2",
    "ushort": "u2",
    "uint16": "u2",
    "int": "i4",
    "int32": "i4",
    "uint": "u4",
    "uint32": "u4",
    "float": "f4",
    "float32": "f4",
    "double": "f8",
    "float64": "f8",
}
FORMATS = {"ascii": "", "binary_little_endian": "<", "binary_big_endian": ">"}
FACE_LISTS = ("vertex_indices", "vertex_index")


@dataclass
class _Property:
    name: str
    dtype: np.dtype[Any]
    count: np.dtype[Any] | None = None


@dataclass
class _Element:
    name: str
    count: int
    properties: list[_Property] = field(default_factory=list)

    @property
    def least_bytes(self) -> int:
        """Fewest bytes of one item: a list may be empty."""
        return sum((p.count or p.dtype).itemsize for p in self.properties)


def _bad(message: str, code: str = "bad_ply") -> BadInput:
    return BadInput(f"PLY: {message}", code)


def read_ply(data: bytes, notes: list[str]) -> list[Part]:
    """The one part of a PLY with its vertex colours and normals. Raises BadInput."""
    order, elements, body = _read_header(data)
    _check_room(order, elements, len(data) - body)
    if not order and len(data) > MAX_TEXT_BYTES:
        raise _bad(f"a text PLY larger than {MAX_TEXT_BYTES >> 20} MB; save it as binary", "too_large")
    columns: dict[str, NDArray[Any]] = {}
    faces: Ints | None = None
    reader: _Text | _Binary = _Text(data[body:].split()) if not order else _Binary(data, body)
    for element in elements:
        if element.name == "vertex":
            columns = reader.rows(element)
        elif element.name == "face":
            faces = _fan(reader.lists(element))
        elif faces is None or not columns:
            reader.lists(element) if any(p.count for p in element.properties) else reader.rows(element)
    if faces is None or not len(faces):
        raise _bad("there are no faces, only points", "no_geometry")
    with np.errstate(invalid="ignore"):
        return [_part(columns, faces, notes)]


def read_vertices(data: bytes) -> dict[str, NDArray[Any]]:
    """The columns of a PLY's vertices by name, faces or not. Raises BadInput."""
    order, elements, body = _read_header(data)
    _check_room(order, elements, len(data) - body)
    if not elements or elements[0].name != "vertex":
        raise _bad("its first element is not vertex")
    if not order and len(data) > MAX_TEXT_BYTES:
        raise _bad(f"a text PLY larger than {MAX_TEXT_BYTES >> 20} MB; save it as binary", "too_large")
    reader: _Text | _Binary = _Text(data[body:].split()) if not order else _Binary(data, body)
    return reader.rows(elements[0])


def _read_header(data: bytes) -> tuple[str, list[_Element], int]:
    head = data[:MAX_HEADER]
    end = head.find(b"end_header")
    line_end = head.find(b"\n", end)
    if end < 0 or line_end < 0:
        raise _bad("end_header is missing")
    order: str | None = None
    elements: list[_Element] = []
    for number, raw in enumerate(
        head[:end].decode("latin-1").replace("\r", "\n" if b"\r\n" not in head else "").split("\n"), 1
    ):
        words = raw.split()
        if not words or words[0] in ("ply", "comment", "obj_info"):
            continue
        if words[0] == "format" and len(words) >= 2 and words[1] in FORMATS:
            order = FORMATS[words[1]]
        elif words[0] == "element" and len(words) == 3 and words[2].isdigit() and len(words[2]) < 16:
            elements.append(_Element(words[1], int(words[2])))
        elif words[0] == "property" and elements:
            elements[-1].properties.append(_read_property(words, order or "", number))
        else:
            raise _bad(f'line {number} of the header is not understood ("{safe_text(raw, 40)}")')
    if order is None:
        raise _bad("the header does not say its format")
    return order, elements, line_end + 1


def _read_property(words: list[str], order: str, number: int) -> _Property:
    if (
        words[1] == "list"
        and len(words) == 5
        and words[2] in TYPES
        and words[3] in TYPES
        and TYPES[words[2]][0] in "iu"
    ):
        return _Property(words[4], np.dtype(order + TYPES[words[3]]), np.dtype(order + TYPES[words[2]]))
    if len(words) == 3 and words[1] in TYPES:
        return _Property(words[2], np.dtype(order + TYPES[words[1]]))
    raise _bad(f"line {number} of the header is not a property that we read")


def _check_room(order: str, elements: list[_Element], room: int) -> None:
    for element in elements:
        # In text every value takes at least a digit and a space.
        least = element.least_bytes if order else 2 * len(element.properties)
        if element.count * least > room + 1:
            raise _bad(
                f"the declared count of {element.count} {safe_text(element.name, 20)} exceeds the file: "
                "it is truncated or its header is wrong",
                "truncated_mesh",
            )
        if element.name in ("vertex", "face"):
            check_counts(element.count, 0)


class _Binary:
    def __init__(self, data: bytes, at: int) -> None:
        self.data, self.at = data, at

    def _take(self, dtype: np.dtype[Any], count: int, what: str) -> NDArray[Any]:
        if self.at + dtype.itemsize * count > len(self.data):
            raise _bad(f"the file is truncated: {what} runs past the end", "truncated_mesh")
        values = np.frombuffer(self.data, dtype, count, self.at)
        self.at += dtype.itemsize * count
        return values

    def rows(self, element: _Element) -> dict[str, NDArray[Any]]:
        if any(p.count for p in element.properties):
            raise _bad(f"lists in the element {safe_text(element.name, 20)} are not supported")
        _check_names(element)
        record = np.dtype([(p.name, p.dtype) for p in element.properties])
        rows = self._take(record, element.count, f"the element {safe_text(element.name, 20)}")
        return {p.name: rows[p.name] for p in element.properties}

    def lists(self, element: _Element) -> list[NDArray[Any]] | NDArray[Any]:
        """The vertex list of every face; all at once when every face has as many corners as the first."""
        fixed = self._all_alike(element)
        if fixed is not None:
            return fixed
        found = []
        for number in range(element.count):
            for prop in element.properties:
                length = 1 if prop.count is None else int(self._take(prop.count, 1, f"face {number}")[0])
                if prop.count is not None and not 0 <= length <= MAX_CORNERS:
                    raise _bad(
                        f"face {number} declares a list of {length} entries, which runs past the end or the limit"
                    )
                values = self._take(prop.dtype, length, f"the list of face {number}")
                if prop.name in FACE_LISTS:
                    found.append(values)
        return found

    def _all_alike(self, element: _Element) -> NDArray[Any] | None:
        start, wanted = self.at, {}
        fields: list[Any] = []
        if element.count == 0:
            return None
        for number, prop in enumerate(element.properties):
            if prop.count is None:
                fields.append((f"p{number}", prop.dtype))
                self._take(prop.dtype, 1, "a face")
                continue
            length = int(self._take(prop.count, 1, "a face")[0])
            if not 0 <= length <= MAX_CORNERS:
                raise _bad(
                    f"face 0 declares a list of {length} entries, which runs past the end or the limit"
                )
            self._take(prop.dtype, length, "the list of face 0")
            fields += [(f"n{number}", prop.count), (f"p{number}", prop.dtype, (length,))]
            wanted[f"n{number}"] = length
        self.at = start
        record = np.dtype(fields)
        if start + record.itemsize * element.count > len(self.data):
            return None
        rows = np.frombuffer(self.data, record, element.count, start)
        if any((rows[name] != length).any() for name, length in wanted.items()):
            return None
        self.at += record.itemsize * element.count
        column = next((n for n, p in enumerate(element.properties) if p.name in FACE_LISTS and p.count), None)
        return None if column is None else rows[f"p{column}"]


class _Text:
    def __init__(self, words: list[bytes]) -> None:
        self.words, self.at = words, 0

    def _take(self, count: int, what: str) -> list[bytes]:
        if self.at + count > len(self.words):
            raise _bad(f"the file is truncated: {what} runs past the end", "truncated_mesh")
        self.at += count
        return self.words[self.at - count : self.at]

    def rows(self, element: _Element) -> dict[str, NDArray[Any]]:
        _check_names(element)
        if any(p.count for p in element.properties):
            raise _bad(f"lists in the element {safe_text(element.name, 20)} are not supported")
        name = safe_text(element.name, 20)
        width = len(element.properties)
        words = self._take(width * element.count, f"the element {name}")
        try:
            table = np.array(words).astype(np.float64).reshape(element.count, width)
        except ValueError:
            raise _bad(f"the element {name} holds a word that is not a number") from None
        return {
            p.name: table[:, n] if p.dtype.kind == "f" else table[:, n].astype(p.dtype)
            for n, p in enumerate(element.properties)
        }

    def lists(self, element: _Element) -> list[NDArray[Any]]:
        found = []
        for number in range(element.count):
            for prop in element.properties:
                length = 1 if prop.count is None else self._length(number)
                words = self._take(length, f"the list of face {number}")
                if prop.name in FACE_LISTS:
                    try:
                        found.append(np.array([int(word) for word in words], np.int64))
                    except (ValueError, OverflowError):
                        raise _bad(f"face {number} holds a word that is not an index") from None
        return found

    def _length(self, number: int) -> int:
        word = self._take(1, f"face {number}")[0]
        if not word.isdigit() or len(word) > 9 or int(word) > MAX_CORNERS:
            raise _bad(
                f"face {number} declares a list of {safe_text(word.decode('latin-1'), 20)} entries, out of range"
            )
        return int(word)


def _check_names(element: _Element) -> None:
    names = [p.name for p in element.properties]
    if len(set(names)) != len(names) or not names:
        raise _bad(f"the element {safe_text(element.name, 20)} repeats a property or has none")


def _fan(lists: list[NDArray[Any]] | NDArray[Any]) -> Ints:
    """Triangles (F,3) of faces of any number of corners."""
    if isinstance(lists, np.ndarray) and lists.ndim == 2:
        loops = [lists.astype(np.int64)]
    else:
        by_length: dict[int, list[NDArray[Any]]] = {}
        for face in lists:
            by_length.setdefault(len(face), []).append(face)
        loops = [
            np.array(group).astype(np.int64) for length, group in sorted(by_length.items()) if length >= 3
        ]
    pieces = [
        np.stack([np.repeat(loop[:, :1], loop.shape[1] - 2, 1), loop[:, 1:-1], loop[:, 2:]], axis=2).reshape(
            -1, 3
        )
        for loop in loops
        if loop.shape[1] >= 3
    ]
    return np.concatenate(pieces) if pieces else np.zeros((0, 3), np.int64)


def _part(columns: dict[str, NDArray[Any]], faces: Ints, notes: list[str]) -> Part:
    if not all(axis in columns for axis in "xyz"):
        raise _bad("the vertices have no x, y, z")
    vertices = np.stack([columns[axis].astype(np.float64) for axis in "xyz"], axis=1)
    check_counts(len(vertices), len(faces))
    check_finite(vertices, "PLY: ")
    if faces.min() < 0 or faces.max() >= len(vertices):
        wrong = int(np.argmax(((faces < 0) | (faces >= len(vertices))).any(axis=1)))
        raise _bad(
            f"triangle {wrong} has an index out of range, there are {len(vertices)} vertices", "bad_index"
        )
    part = Part(vertices, faces)
    if all(name in columns for name in ("nx", "ny", "nz")):
        normals = np.stack([columns[name].astype(np.float64) for name in ("nx", "ny", "nz")], axis=1)
        part.normals = normals if np.isfinite(normals).all() else None
    if all(name in columns for name in ("red", "green", "blue")):
        part.colours = _colours(columns)
    if "texture_u" in columns or "s" in columns or "u" in columns:
        notes.append(
            "texture coordinates of a PLY were left out (its texture cannot come along); use OBJ or glTF in a ZIP"
        )
    return part


def _colours(columns: dict[str, NDArray[Any]]) -> NDArray[np.uint8]:
    result = np.full((len(columns["red"]), 4), 255, np.uint8)
    for slot, name in enumerate(("red", "green", "blue", "alpha")):
        if name in columns:
            values = columns[name]
            scaled = (
                np.nan_to_num(values) * 255
                if values.dtype.kind == "f" and np.nanmax(values, initial=0) <= 1
                else values
            )
            result[:, slot] = np.clip(np.nan_to_num(scaled), 0, 255).astype(np.uint8)
    return result
