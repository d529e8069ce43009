"""COCO segmentations: polygons and run lengths (plain or compressed) to boolean masks, with limits."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model_zoo.io.errors import BadInput
from model_zoo.io.records import parse_json

Mask = NDArray[np.bool_]

MAX_PIXELS = 52_000_000
MAX_RUNS = 4_000_000
MAX_POLYGONS = 10_000
MAX_CROSSINGS = 20_000_000


def decode_segmentation(data: bytes | Any, size: tuple[int, int] | None) -> tuple[Mask, list[str]]:
    """Mask (H,W) and warnings of a COCO segmentation: bytes of JSON, or the value itself.

    Takes {"segmentation": ...}, {"size", "counts"}, or a list of polygons. size (width, height) is needed for
    polygons. Raises BadInput.
    """
    value = parse_json(data, what="mask JSON") if isinstance(data, bytes) else data
    if isinstance(value, dict) and "segmentation" in value:
        value = value["segmentation"]
    if isinstance(value, dict) and "counts" in value:
        return decode_rle(value, size), []
    if isinstance(value, list):
        if size is None:
            raise BadInput("mask JSON: polygons need the size of their image", "mask_size")
        return _rasterise(value, size)
    raise BadInput('mask JSON: expected polygons or {"size", "counts"}', "bad_segmentation")


def decode_rle(obj: Any, size: tuple[int, int] | None = None) -> Mask:
    """Mask (H,W) of COCO RLE {"size": [H, W], "counts": list or compressed string}, column by column.

    size is (width, height) of the photo. Raises BadInput when the sizes differ or the runs do not fill the image.
    """
    if not isinstance(obj, dict):
        raise BadInput('RLE: expected {"size", "counts"}', "bad_rle")
    shape, counts = obj.get("size"), obj.get("counts")
    if not (
        isinstance(shape, list | tuple) and len(shape) == 2 and all(type(n) is int and n > 0 for n in shape)
    ):
        raise BadInput("RLE: size must be [height, width]", "bad_rle")
    height, width = shape
    if size is not None and (width, height) != tuple(size):
        raise BadInput(f"RLE: the mask is {width}x{height} but the image is {size[0]}x{size[1]}", "mask_size")
    if width * height > MAX_PIXELS:
        raise BadInput(f"RLE: {width}x{height} pixels is too large", "too_many_pixels")
    runs = _runs(counts)
    total = sum(runs)
    if total != width * height:
        raise BadInput(
            f"RLE: the counts sum to {total}, not {width * height}: they do not fill the image", "bad_rle"
        )
    flat = np.repeat(np.arange(len(runs)) % 2 == 1, runs)
    return np.ascontiguousarray(flat.reshape(width, height).T)


def _runs(counts: Any) -> list[int]:
    if isinstance(counts, str | bytes):
        return _decompress(counts.encode("utf-8", "replace") if isinstance(counts, str) else counts)
    if not isinstance(counts, list) or len(counts) > MAX_RUNS:
        raise BadInput("RLE: counts must be a list or a compressed string", "bad_rle")
    if any(type(n) is not int or n < 0 or n > MAX_PIXELS for n in counts):
        raise BadInput("RLE: counts must be whole numbers from 0 to the number of pixels", "bad_rle")
    return counts


def _decompress(text: bytes) -> list[int]:
    """Runs of COCO's compressed string: 5 bits a character, differences to the run before last (maskApi.c)."""
    if len(text) > 2 * MAX_RUNS:
        raise BadInput("RLE: the compressed counts are too long", "bad_rle")
    runs: list[int] = []
    value = shift = 0
    for code in text:
        if not 48 <= code < 112:
            raise BadInput("RLE: a character of the compressed counts is out of range", "bad_rle")
        code -= 48
        value |= (code & 31) << shift
        shift += 5
        if shift > 40:
            raise BadInput("RLE: a compressed count is too long", "bad_rle")
        if code & 32:
            continue
        if code & 16:
            value -= 1 << shift
        runs.append(value + runs[-2] if len(runs) > 2 else value)
        if not 0 <= runs[-1] <= MAX_PIXELS:
            raise BadInput("RLE: a compressed count is out of range", "bad_rle")
        value = shift = 0
    if shift:
        raise BadInput("RLE: the compressed counts are cut short", "bad_rle")
    return runs


def rasterise_polygons(polys: Any, size: tuple[int, int]) -> Mask:
    """Mask (H,W): the union of COCO polygons [x0, y0, x1, y1, ...]; a pixel is in when its centre is.

    Coordinates are in pixels with (0,0) at the image's top left corner. Degenerate polygons are left out;
    raises BadInput with the reason of each when none is left.
    """
    return _rasterise(polys, size)[0]


def _rasterise(polys: Any, size: tuple[int, int]) -> tuple[Mask, list[str]]:
    width, height = size
    if not isinstance(polys, list) or not polys or len(polys) > MAX_POLYGONS:
        raise BadInput("polygons: expected a list of lists of coordinates", "bad_polygon")
    if all(isinstance(n, int | float) for n in polys):
        polys = [polys]
    mask = np.zeros((height, width), np.bool_)
    refused: list[str] = []
    for number, poly in enumerate(polys, 1):
        reason = _polygon_fault(poly, width, height)
        if reason:
            refused.append(f"polygon {number} {reason}")
        else:
            mask |= _fill(np.array(poly, np.float64).reshape(-1, 2), width, height)
    if len(refused) == len(polys):
        raise BadInput("polygons: " + "; ".join(refused[:8]), "bad_polygon")
    return mask, [f"{line}: left out" for line in refused]


def _polygon_fault(poly: Any, width: int, height: int) -> str:
    """Why the polygon cannot be used; empty when it can."""
    if not isinstance(poly, list) or any(isinstance(n, bool) or not isinstance(n, int | float) for n in poly):
        return "is not a list of numbers"
    if len(poly) % 2:
        return "has an odd number of coordinates"
    if len(poly) < 6:
        return "has fewer than three points"
    if not all(math.isfinite(n) for n in poly):
        return "holds a number that is not finite"
    xy = np.array(poly, np.float64).reshape(-1, 2)
    x, y = xy[:, 0], xy[:, 1]
    if x.min() < -width or y.min() < -height or x.max() > 2 * width or y.max() > 2 * height:
        return "lies far outside the image"
    if abs(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1))) < 1e-6:
        return "has zero area"
    return ""


def _fill(xy: NDArray[np.float64], width: int, height: int) -> Mask:
    """Even-odd scanline fill sampled at pixel centres: sorted crossings of every row, as steps along it."""
    following = np.roll(xy, -1, axis=0)
    low = np.clip(np.ceil(np.minimum(xy[:, 1], following[:, 1]) - 0.5), 0, height).astype(np.int64)
    high = np.clip(np.ceil(np.maximum(xy[:, 1], following[:, 1]) - 0.5), 0, height).astype(np.int64)
    rows_of = high - low
    if rows_of.sum() > MAX_CROSSINGS:
        raise BadInput("polygons: too many edges for the size of the image", "bad_polygon")
    edge = np.repeat(np.arange(len(xy)), rows_of)
    row = np.arange(len(edge)) - np.repeat(np.cumsum(rows_of) - rows_of, rows_of) + low[edge]
    start, step = xy[edge], following[edge] - xy[edge]
    x = start[:, 0] + (row + 0.5 - start[:, 1]) * step[:, 0] / step[:, 1]
    order = np.lexsort((x, row))
    column = np.clip(np.ceil(x[order] - 0.5), 0, width).astype(np.int64)
    steps = np.zeros((height, width + 1), np.int32)
    np.add.at(steps, (row[order], column), np.where(np.arange(len(order)) % 2 == 0, 1, -1))
    return np.cumsum(steps, axis=1)[:, :width] > 0
