"""Uploads are told apart by their content."""

import numpy as np
import pytest

from model_zoo.io.arrays import write_npz
from model_zoo.io.errors import BadInput
from model_zoo.io.sniff import describe, kind_of, refuse_unless
from tests.model_zoo.io.makers import OBJ, binary_stl, encoded, glb, npy, photo, zipped


@pytest.mark.parametrize(
    ("data", "kind", "words"),
    [
        (encoded(photo()), "image", "PNG"),
        (encoded(photo(), "JPEG"), "image", "JPEG"),
        (encoded(photo(), "WEBP"), "image", "WebP"),
        (encoded(photo(), "GIF"), "unsupported", "GIF"),
        (encoded(photo(), "TIFF"), "unsupported", "TIFF"),
        (glb(), "mesh", "GLB"),
        (OBJ.encode(), "mesh", "OBJ"),
        (b"# " + b"x" * 9000 + b"\n" + OBJ.encode(), "mesh", "OBJ"),
        (b"ply\nformat ascii 1.0\n", "mesh", "PLY"),
        (binary_stl(3), "mesh", "STL"),
        (binary_stl(3, 9), "mesh", "STL"),
        (b"solid\nfacet normal 0 0 1\n", "mesh", "STL"),
        (b'{"asset": {"version": "2.0"}}', "mesh", "glTF"),
        (zipped({"a.png": b"x"}), "archive", "ZIP"),
        (write_npz({"a": np.zeros(3)}), "array", "npz"),
        (npy(np.zeros(3)), "array", "NumPy"),
        (b'{"fx": 1}', "json", "JSON"),
        (b'{"a": 1}\n{"a": 2}\n', "records", "JSON lines"),
        (b"a,b\n1,2\n", "csv", "CSV"),
        (b"a: 1\nb: 2\n", "unsupported", "YAML"),
        (b"<!DOCTYPE html><html>", "unsupported", "HTML"),
        (b'<svg onload="x()">', "unsupported", "SVG"),
        (b"%PDF-1.7", "unsupported", "PDF"),
        (b"\x80\x04\x95", "unsupported", "pickle"),
        (bytes(257) + b"ustar", "unsupported", "tar"),
        (b"just words", "text", "text"),
        (bytes(range(256)), "unknown", "unknown"),
        (b"", "empty", "empty"),
    ],
)
def test_what_a_file_is_shows_in_its_content(data: bytes, kind: str, words: str) -> None:
    assert (kind_of(data), words in describe(data)) == (kind, True)


def test_a_door_says_what_it_got_and_what_it_wants() -> None:
    assert refuse_unless(glb(), "mesh", "archive") == "mesh"
    with pytest.raises(BadInput, match="this is a PDF document; expected image or archive"):
        refuse_unless(b"%PDF-1.7", "image", "archive")
