"""Reads image containers by hand, before any decoder sees them: size, frames, checksums, EXIF orientation.

What a decoder may then see is rebuilt from the chunks that carry pixels, so colour profiles, texts and places
(GPS) go nowhere, and no chunk that unpacks to more than it should is ever unpacked.
"""

import re
import struct
import zlib
from dataclasses import dataclass, field

from model_zoo.io.errors import BadInput

PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
PNG_PIXEL_CHUNKS = {b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"}
MAX_PROFILE = 4 * 2**20
MAX_SCANS = 100
ORIENTATION_TAG = 0x0112
START_OF_SCAN, END_OF_IMAGE = 0xDA, 0xD9
# Frames, Huffman and quantisation tables, restart interval, Adobe's colour transform.
JPEG_PIXEL_MARKERS = {0xC0, 0xC1, 0xC2, 0xC4, 0xDB, 0xDD, 0xEE, START_OF_SCAN}
AFTER_SCAN = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
EXIF_TYPE_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}


@dataclass
class Container:
    """What the container says: size as stored, EXIF orientation (1 to 8), bytes for the decoder, warnings.

    channels is told of JPEG only (1 grey, 3 colour, 4 CMYK).
    """

    format: str
    width: int
    height: int
    data: bytes
    orientation: int = 1
    bits: int = 8
    channels: int = 3
    warnings: list[str] = field(default_factory=list)


def read_container(data: bytes) -> Container:
    """Container of a JPEG, PNG or WebP. Raises BadInput when it is none of them, cut short or corrupt."""
    if data.startswith(PNG_MAGIC):
        return _read_png(data)
    if data.startswith(b"\xff\xd8\xff"):
        return _read_jpeg(data)
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return _read_webp(data)
    raise BadInput("not a JPEG, PNG or WebP image", "not_an_image")


def _corrupt(what: str) -> BadInput:
    return BadInput(f"the image is corrupt: {what}", "corrupt_image")


def _truncated() -> BadInput:
    return BadInput("the image is truncated (the file ends too early)", "truncated_image")


def _read_png(data: bytes) -> Container:
    chunks: list[tuple[bytes, memoryview]] = []
    view, at = memoryview(data), 8
    while not chunks or chunks[-1][0] != b"IEND":
        if at + 12 > len(data):
            raise _truncated()
        (length,) = struct.unpack_from(">I", data, at)
        kind, body = bytes(view[at + 4 : at + 8]), view[at + 8 : at + 8 + length]
        if at + 12 + length > len(data):
            raise _truncated()
        if zlib.crc32(view[at + 4 : at + 8 + length]) != struct.unpack_from(">I", data, at + 8 + length)[0]:
            raise _corrupt("a checksum does not match")
        chunks.append((kind, body))
        at += 12 + length
    if chunks[0][0] != b"IHDR" or len(chunks[0][1]) != 13:
        raise _corrupt("it does not begin with its header")
    width, height, bits = struct.unpack_from(">IIB", chunks[0][1])
    result = Container("PNG", width, height, b"", bits=bits)
    if at < len(data):
        result.warnings.append(f"{len(data) - at} bytes after the end of the image were dropped")
    kept = [PNG_MAGIC]
    for kind, body in chunks:
        if kind in PNG_PIXEL_CHUNKS:
            kept.append(_png_chunk(kind, body))
        else:
            _note_png_chunk(kind, body, result)
    result.data = b"".join(kept)
    return result


def _png_chunk(kind: bytes, body: memoryview) -> bytes:
    raw = bytes(body)
    return struct.pack(">I", len(raw)) + kind + raw + struct.pack(">I", zlib.crc32(kind + raw))


def _note_png_chunk(kind: bytes, body: memoryview, result: Container) -> None:
    if kind == b"acTL":
        result.warnings.append("the image is animated: only its first frame is used")
    elif kind == b"eXIf":
        _apply_exif(bytes(body), result)
    elif kind == b"iCCP":
        _, _, packed = bytes(body).partition(b"\0")
        try:
            profile = zlib.decompressobj().decompress(packed[1:], MAX_PROFILE)
        except zlib.error:
            profile = b""
        _note_profile(profile, result)
    elif kind[0] & 0x20 == 0:
        raise _corrupt("it holds a critical chunk of unknown kind")


def _note_profile(profile: bytes, result: Container) -> None:
    if len(profile) >= MAX_PROFILE or not profile:
        result.warnings.append("the colour profile is unusable and was ignored")
    elif b"sRGB" not in profile and b"s\0R\0G\0B" not in profile and b"gray" not in profile.lower():
        result.warnings.append("the colour profile is not sRGB and was ignored")


def _read_jpeg(data: bytes) -> Container:
    """Walk the segments to the end marker; entropy-coded data is stepped over and left to the decoder."""
    result = Container("JPEG", 0, 0, b"")
    kept, profile, at, scans = [data[:2]], b"", 2, 0
    while True:
        marker, after = _jpeg_segment(data, at)
        if marker == END_OF_IMAGE:
            break
        body = data[at + 4 : after]
        if marker == START_OF_SCAN:
            scans += 1
            found = AFTER_SCAN.search(data, after)
            if found is None:
                raise _truncated()
            after = found.start()
        elif marker == 0xE2 and body.startswith(b"ICC_PROFILE\0"):
            profile = (profile + body[14:])[:MAX_PROFILE]
        if scans > MAX_SCANS:
            raise _corrupt(f"more than {MAX_SCANS} scans")
        kept.append(_kept_jpeg_segment(marker, data[at:after], body, result))
        at = after
    if not result.width or not result.height:
        raise BadInput("the image has no pixels", "no_pixels")
    if profile:
        _note_profile(profile, result)
    if after < len(data):
        result.warnings.append(f"{len(data) - after} bytes after the end of the image were dropped")
    result.data = b"".join([*kept, data[at:after]])
    return result


def _jpeg_segment(data: bytes, at: int) -> tuple[int, int]:
    """(marker, position after the segment) of what starts at `at`; fill bytes count to the segment before."""
    if at + 2 > len(data):
        raise _truncated()
    if data[at] != 0xFF:
        raise _corrupt("a marker is missing")
    marker = data[at + 1]
    if marker == 0xFF:
        return marker, at + 1
    if marker == END_OF_IMAGE or marker == 0x01 or 0xD0 <= marker <= 0xD8:
        return marker, at + 2
    if at + 4 > len(data):
        raise _truncated()
    (length,) = struct.unpack_from(">H", data, at + 2)
    if length < 2:
        raise _corrupt("a segment is too short")
    if at + 2 + length > len(data):
        raise _truncated()
    return marker, at + 2 + length


def _kept_jpeg_segment(marker: int, segment: bytes, body: bytes, result: Container) -> bytes:
    """The part of a segment that the decoder needs; size, depth and orientation are noted in passing."""
    if marker in (0xC0, 0xC1, 0xC2) and len(body) >= 6:
        result.bits, result.height, result.width, result.channels = struct.unpack_from(">BHHB", body)
    elif 0xC3 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
        raise BadInput("this kind of JPEG (lossless or arithmetic) is not accepted", "unsupported_image")
    elif marker == 0xE1 and body.startswith(b"Exif\0\0"):
        _apply_exif(body[6:], result)
    elif marker == 0xE0 and body.startswith(b"JFIF\0") and len(body) >= 14:
        # Says how colours are coded; its thumbnail may show what was cropped away.
        return b"\xff\xe0\x00\x10" + body[:12] + b"\0\0"
    return segment if marker in JPEG_PIXEL_MARKERS else b""


def _read_webp(data: bytes) -> Container:
    (declared,) = struct.unpack_from("<I", data, 4)
    if declared + 8 > len(data):
        raise _truncated()
    result, at, kept = Container("WEBP", 0, 0, b""), 12, []
    while at + 8 <= declared + 8:
        kind, (length,) = data[at : at + 4], struct.unpack_from("<I", data, at + 4)
        body = data[at + 8 : at + 8 + length]
        if len(body) < length:
            raise _truncated()
        _note_webp_chunk(kind, body, result)
        if kind not in (b"EXIF", b"XMP ", b"ICCP"):
            kept.append(data[at : at + 8 + length + (length & 1)])
        at += 8 + length + (length & 1)
    if len(data) > declared + 8 + 1:
        result.warnings.append(f"{len(data) - declared - 8} bytes after the end of the image were dropped")
    body = b"".join(kept)
    if body[:4] == b"VP8X":  # its flags must no longer promise EXIF, XMP and a colour profile
        body = body[:8] + bytes([body[8] & ~0x2C]) + body[9:]
    result.data = b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body
    return result


def _note_webp_chunk(kind: bytes, body: bytes, result: Container) -> None:
    if kind == b"VP8X" and len(body) >= 10:
        result.width = 1 + int.from_bytes(body[4:7], "little")
        result.height = 1 + int.from_bytes(body[7:10], "little")
        if body[0] & 0x02:
            result.warnings.append("the image is animated: only its first frame is used")
    elif kind == b"VP8L" and len(body) >= 5 and not result.width:
        packed = int.from_bytes(body[1:5], "little")
        result.width, result.height = 1 + (packed & 0x3FFF), 1 + (packed >> 14 & 0x3FFF)
    elif kind == b"VP8 " and len(body) >= 10 and not result.width:
        result.width = int.from_bytes(body[6:8], "little") & 0x3FFF
        result.height = int.from_bytes(body[8:10], "little") & 0x3FFF
    elif kind == b"EXIF":
        _apply_exif(body.removeprefix(b"Exif\0\0"), result)
    elif kind == b"ICCP":
        _note_profile(body[:MAX_PROFILE], result)


def _apply_exif(block: bytes, result: Container) -> None:
    try:
        orientation = exif_orientation(block)
    except ValueError:
        result.warnings.append("the EXIF block is malformed and was ignored")
        return
    if orientation in range(1, 9):
        result.orientation = orientation
    else:
        result.warnings.append(
            f"the EXIF orientation {orientation} is undefined; the image is taken as upright"
        )


def exif_orientation(block: bytes) -> int:
    """Orientation of a TIFF block (1 when it has none). Raises ValueError when an entry points past its end."""
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(block[:4])
    if order is None or len(block) < 8:
        raise ValueError("not a TIFF block")
    (first,) = struct.unpack_from(order + "I", block, 4)
    if first + 2 > len(block):
        raise ValueError("directory past the end")
    (count,) = struct.unpack_from(order + "H", block, first)
    if first + 2 + 12 * count > len(block):
        raise ValueError("directory past the end")
    orientation = 1
    for entry in range(first + 2, first + 2 + 12 * count, 12):
        tag, kind, number, place = struct.unpack_from(order + "HHII", block, entry)
        size = EXIF_TYPE_BYTES.get(kind, 1) * number
        if size > 4 and place + size > len(block):
            raise ValueError("value past the end")
        if tag == ORIENTATION_TAG:
            (orientation,) = struct.unpack_from(order + "H", block, entry + 8)
    return int(orientation)
