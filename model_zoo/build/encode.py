"""Members of a sample as bytes, the same for the same values: JPEG, PNG, 16-bit depth, packed occupancy."""

import io
import json
import struct
import zlib
from typing import Any

import numpy as np
from PIL import Image

from model_zoo.io.errors import BadInput

JPEG_QUALITY = 95
FARTHEST = 65_535


def jpeg(rgb: np.ndarray) -> bytes:
    """rgb uint8 (H,W,3)."""
    out = io.BytesIO()
    Image.fromarray(rgb).save(out, "JPEG", quality=JPEG_QUALITY, subsampling=0)
    return out.getvalue()


def mask_png(mask: np.ndarray) -> bytes:
    """mask bool (H,W) as a PNG of one bit a pixel."""
    out = io.BytesIO()
    Image.fromarray(mask).save(out, "PNG", compress_level=6)
    return out.getvalue()


def depth_png(depth: np.ndarray) -> tuple[bytes, dict[str, float]]:
    """depth float (H,W) > 0, NaN where there is none -> 16-bit PNG and {"near", "far"}.

    Values are spaced evenly in log depth, 0 is NaN: z = near * (far / near) ** ((v - 1) / 65534). The relative error is
    ln(far / near) / 131068: 2.6e-5 when the farthest point is 30 times as far as the nearest.
    """
    there = np.isfinite(depth) & (depth > 0)
    known = np.asarray(depth[there], np.float64)
    near, far = (float(known.min()), float(known.max())) if len(known) else (1.0, 1.0)
    span = max(np.log(far / near), 1e-12)
    values = np.zeros(depth.shape, np.uint16)
    values[there] = 1 + np.rint(np.log(known / near) / span * (FARTHEST - 1))
    return _quick_png(values), {"near": near, "far": far}


def read_depth_png(data: bytes, near: float, far: float) -> np.ndarray:
    """What `depth_png` wrote: float32 (H,W), NaN where there is none."""
    with Image.open(io.BytesIO(data), formats=["PNG"]) as picture:
        values = np.asarray(picture).astype(np.float32)
    if values.ndim != 2:
        raise BadInput("the depth is not a picture of one channel", "bad_depth")
    depth = near * np.exp((values - 1) / (FARTHEST - 1) * np.log(far / near))
    return np.where(values > 0, depth, np.nan).astype(np.float32)


def normals_png(normals: np.ndarray) -> bytes:
    """normals float (H,W,3) in the OpenCV camera, 0 outside -> 8-bit PNG, (n + 1) / 2."""
    return _quick_png((normals * np.float32(127.5) + np.float32(128)).astype(np.uint8))


def _quick_png(values: np.ndarray) -> bytes:
    """uint8 (H,W,3) or uint16 (H,W) as a PNG whose rows are all told by their difference to the row above.

    Half the time of Pillow, which tries every filter on every row, at the same size.
    """
    height, width = values.shape[:2]
    rows = (
        np.ascontiguousarray(values.astype(values.dtype.newbyteorder(">"))).view(np.uint8).reshape(height, -1)
    )
    lines = np.full((height, rows.shape[1] + 1), 2, np.uint8)  # filter type 2: up
    lines[0, 1:] = rows[0]
    np.subtract(rows[1:], rows[:-1], out=lines[1:, 1:])
    packer = zlib.compressobj(1, zlib.DEFLATED, zlib.MAX_WBITS, 9, zlib.Z_RLE)
    kind = 2 if values.ndim == 3 else 0
    header = struct.pack(">IIBBBBB", width, height, 8 * values.dtype.itemsize, kind, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", packer.compress(lines.tobytes()) + packer.flush()), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        for name, body in chunks
    )


def occupancy_bytes(occupancy: np.ndarray) -> bytes:
    """bool (G,G,G) as a 1-bit PNG of G rows of G*G pixels: small, lossless, read by anything."""
    grid = occupancy.shape[0]
    return mask_png(np.ascontiguousarray(occupancy.reshape(grid, grid * grid)))


def read_occupancy(data: bytes) -> np.ndarray:
    """What `occupancy_bytes` wrote: bool (G,G,G)."""
    with Image.open(io.BytesIO(data), formats=["PNG"]) as picture:
        flat = np.asarray(picture.convert("1"))
    grid = flat.shape[0]
    if flat.shape != (grid, grid * grid):
        raise BadInput("the occupancy is not a grid of equal sides", "bad_occupancy")
    return flat.reshape(grid, grid, grid)


def facts(**values: Any) -> bytes:
    """The JSON member: sorted, so that the same facts are the same bytes."""
    return (json.dumps(values, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n").encode()
