"""STL, binary or text, from untrusted bytes: the declared count must fit the file."""

import io
from array import array

import numpy as np

from model_zoo.io.errors import BadInput, safe_text
from model_zoo.io.surface import MAX_COORDINATE, Floats, Part, check_counts

MAX_TEXT_BYTES = 96 * 2**20
STL_WORDS = {b"", b"solid", b"facet", b"outer", b"endfacet", b"endsolid"}
RECORD = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attribute", "<u2")])


def read_stl(data: bytes, notes: list[str]) -> list[Part]:
    """The one part of an STL, equal corners merged. Raises BadInput naming the triangle at fault."""
    declared = int.from_bytes(data[80:84], "little")
    fits = len(data) >= 84 and 84 + RECORD.itemsize * declared == len(data)
    is_text = data[:512].lstrip()[:5].lower() == b"solid" and b"\0" not in data
    corners = _read_text(data, notes) if is_text and not fits else _read_binary(data, declared, notes)
    if not len(corners):
        raise BadInput("STL: there is no geometry (no triangles)", "no_geometry")
    wrong = ~(np.abs(corners) <= MAX_COORDINATE).all(axis=(1, 2))
    if wrong.any():
        raise BadInput(
            f"STL: triangle {int(np.argmax(wrong))} has a coordinate that is not finite or too large",
            "bad_vertex",
        )
    vertices, inverse = np.unique(corners.reshape(-1, 3) + 0.0, axis=0, return_inverse=True)
    return [Part(vertices, inverse.reshape(-1, 3).astype(np.int64))]


def _read_binary(data: bytes, declared: int, notes: list[str]) -> Floats:
    if len(data) < 84:
        raise BadInput("STL: the file is truncated", "truncated_mesh")
    room = (len(data) - 84) // RECORD.itemsize
    if declared > room:
        raise BadInput(
            f"STL: it declares {declared} triangles but is truncated: there is room for {room}",
            "truncated_mesh",
        )
    check_counts(0, declared)
    if 84 + RECORD.itemsize * declared < len(data):
        notes.append("bytes after the declared triangles were ignored")
    with np.errstate(invalid="ignore"):  # a signalling NaN; found and named by the caller
        return np.frombuffer(data, RECORD, declared, 84)["corners"].astype(np.float64)


def _read_text(data: bytes, notes: list[str]) -> Floats:
    if len(data) > MAX_TEXT_BYTES:
        raise BadInput(
            f"STL: a text STL larger than {MAX_TEXT_BYTES >> 20} MB; save it as binary", "too_large"
        )
    corners, inside = array("d"), 0
    for number, line in enumerate(io.BytesIO(data), 1):
        words = line.split()
        keyword = words[0].lower() if words else b""
        if keyword == b"vertex":
            corners.extend(_corner(words, number))
            inside += 1
        elif keyword == b"endloop":
            if inside != 3:
                raise BadInput(f"STL: line {number}: a facet has {inside} corners, not 3", "bad_line")
            inside = 0
        elif keyword not in STL_WORDS:
            word = safe_text(words[0].decode("latin-1"), 20)
            raise BadInput(f'STL: line {number}: "{word}" is not an STL word', "bad_line")
    if inside:
        raise BadInput("STL: the file is truncated in the middle of a facet", "truncated_mesh")
    if b"endsolid" not in data[-1024:].lower():
        notes.append("the text ends without endsolid: the file may be cut short")
    check_counts(0, len(corners) // 9)
    return np.array(corners, np.float64).reshape(-1, 3, 3)


def _corner(words: list[bytes], number: int) -> list[float]:
    try:
        corner = [float(word) for word in words[1:4]]
    except ValueError:
        corner = []
    if len(corner) != 3:
        raise BadInput(f"STL: line {number}: a vertex needs three numbers", "bad_line")
    return corner
