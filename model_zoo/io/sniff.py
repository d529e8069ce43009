"""Tells what uploaded bytes are by looking at them, never at their name."""

import io
import re
import zipfile

from model_zoo.io.errors import BadInput

HEAD = 4096
# (start of the file, kind, words for a person)
MAGIC: list[tuple[bytes, str, str]] = [
    (b"\x89PNG\r\n\x1a\n", "image", "a PNG image"),
    (b"\xff\xd8\xff", "image", "a JPEG image"),
    (b"glTF", "mesh", "a GLB mesh"),
    (b"PK\x03\x04", "archive", "a ZIP archive"),
    (b"PK\x05\x06", "archive", "an empty ZIP archive"),
    (b"\x93NUMPY", "array", "a NumPy array"),
    (b"ply\n", "mesh", "a PLY mesh"),
    (b"ply\r", "mesh", "a PLY mesh"),
    (b"GIF8", "unsupported", "a GIF file"),
    (b"BM", "unsupported", "a BMP file"),
    (b"II*\0", "unsupported", "a TIFF file"),
    (b"MM\0*", "unsupported", "a TIFF file"),
    (b"8BPS", "unsupported", "a Photoshop file"),
    (b"%PDF", "unsupported", "a PDF document"),
    (b"\x1f\x8b", "unsupported", "a gzip archive (use ZIP)"),
    (b"BZh", "unsupported", "a bzip2 archive (use ZIP)"),
    (b"\xfd7zXZ", "unsupported", "an xz archive (use ZIP)"),
    (b"7z\xbc\xaf\x27\x1c", "unsupported", "a 7-Zip archive (use ZIP)"),
    (b"Rar!", "unsupported", "a RAR archive (use ZIP)"),
    (b"(\xb5/\xfd", "unsupported", "a Zstandard archive (use ZIP)"),
    (b"Kaydara FBX", "unsupported", "an FBX file (export it as GLB)"),
    (b"; FBX", "unsupported", "an FBX file (export it as GLB)"),
    (b"BLENDER", "unsupported", "a Blender file (export it as GLB)"),
    (b"PXR-USDC", "unsupported", "a USD file (export it as GLB)"),
    (b"\x7fELF", "unsupported", "a program"),
    (b"MZ", "unsupported", "a program"),
    (b"SQLite format 3", "unsupported", "a database"),
    (b"\x89HDF", "unsupported", "an HDF5 file"),
]
OBJ_LINE = re.compile(rb"^[ \t]*(v|vt|vn|f|o|g|usemtl|mtllib|s)[ \t]+\S", re.MULTILINE)


def kind_of(data: bytes) -> str:
    """Which door takes the bytes: image, mesh, archive, array, json, records, csv; or text, unsupported, empty, unknown."""
    return _look(data)[0]


def describe(data: bytes) -> str:
    """What the bytes are, in words for an error message ("a PDF document")."""
    return _look(data)[1]


def refuse_unless(data: bytes, *kinds: str) -> str:
    """The kind of the bytes; raises BadInput naming what they are when it is none of `kinds`."""
    kind, words = _look(data)
    if kind in kinds:
        return kind
    if kind == "empty":
        raise BadInput("the file is empty", "empty")
    raise BadInput(f"this is {words}; expected {' or '.join(kinds)}", "wrong_kind")


def _look(data: bytes) -> tuple[str, str]:
    if not data:
        return "empty", "an empty file"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image", "a WebP image"
    if data[4:8] == b"ftyp":
        return "unsupported", "a HEIC, AVIF or video file (save it as JPEG)"
    if data[257:262] == b"ustar":
        return "unsupported", "a tar archive (use ZIP)"
    for start, kind, words in MAGIC:
        if data.startswith(start):
            return (
                ("array", "a NumPy archive (npz)") if kind == "archive" and _is_npz(data) else (kind, words)
            )
    if _is_binary_stl(data):
        return "mesh", "an STL mesh"
    return _look_at_text(data)


def _is_npz(data: bytes) -> bool:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = archive.namelist()
    except Exception:  # a broken archive is the archive reader's to report
        return False
    return 0 < len(names) <= 64 and all(name.endswith(".npy") for name in names)


def _is_binary_stl(data: bytes) -> bool:
    """By length, since the format has no mark; a wrong count is the reader's to report."""
    if len(data) < 134 or b"\0" not in data[:134]:
        return False
    if 84 + 50 * int.from_bytes(data[80:84], "little") == len(data):
        return True
    header_is_text = all(b == 0 or 32 <= b < 127 for b in data[:80])
    return header_is_text and (len(data) - 84) % 50 == 0


def _look_at_text(data: bytes) -> tuple[str, str]:
    head = data[:HEAD].removeprefix(b"\xef\xbb\xbf").lstrip()
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return "unsupported", "UTF-16 text (save it as UTF-8)"
    if data[:1] == b"\x80" and data[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"):
        return "unsupported", "a Python pickle, which is never loaded"
    if head[:5].lower() in (b"solid", b"facet") and b"facet" in data[:HEAD].lower():
        return "mesh", "an STL mesh"
    if head[:1] == b"<":
        low = head.lower()
        word = (
            "an SVG drawing"
            if b"<svg" in low
            else "an HTML page"
            if b"<html" in low or b"<!doctype html" in low
            else "markup"
        )
        return "unsupported", word
    if head[:1] in (b"{", b"["):
        return _look_at_json(data, head)
    if OBJ_LINE.search(head) or (head[:1] == b"#" and OBJ_LINE.search(data[: 64 * HEAD])):
        return "mesh", "an OBJ mesh"
    if b"\0" in head or sum(b < 9 for b in head[:512]) > 8:
        return "unknown", "a file of unknown kind"
    return _look_at_plain(head)


def _look_at_json(data: bytes, head: bytes) -> tuple[str, str]:
    lines = data.strip().split(b"\n", 2)
    if len(lines) > 1 and lines[0].rstrip().endswith(b"}") and lines[1].lstrip()[:1] == b"{":
        return "records", "JSON lines"
    if re.search(rb'"asset"\s*:\s*\{', data[: 16 * HEAD]) and b'"version"' in data:
        return "mesh", "a glTF mesh"
    return "json", "a JSON file"


def _look_at_plain(head: bytes) -> tuple[str, str]:
    try:
        head[: len(head) - 4 if len(head) > 64 else len(head)].decode("utf-8")
    except UnicodeDecodeError:
        return "unknown", "a file of unknown kind"
    first = head.split(b"\n", 1)[0]
    if first.startswith((b"---", b"%YAML", b"!!")) or re.match(rb"^[\w-]+:(\s|$)", first):
        return "unsupported", "a YAML file, which is not accepted (use JSON)"
    if b"," in first and first.count(b",") < 200 and b"{" not in first:
        return "csv", "a CSV table"
    return "text", "plain text"
