"""The copy of a photo that leaves the house: the same pixels, upright, and nothing else of the file.

EXIF (places, names), comments, thumbnails, colour profiles and bytes behind the end stay behind. A JPEG that is upright
already is copied segment by segment, so its pixels are exactly those of the original; what was lossless stays lossless.
"""

import re

import numpy as np

from model_zoo.io.errors import BadInput
from model_zoo.io.images import LoadedImage, encode_jpeg, encode_png, load_image

LOSSLESS_PIXELS = 4_000_000
START, END, SCAN = 0xD8, 0xD9, 0xDA
# Frame, Huffman and quantisation tables, restart interval, Adobe colour transform.
KEPT = {0xC0, 0xC1, 0xC2, 0xC4, 0xDB, 0xDD, 0xEE}
AFTER_SCAN = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")


def published(data: bytes, image: LoadedImage) -> tuple[bytes, str]:
    """(bytes, media type) to show and to release of a photo that `load_image` took from `data`."""
    if image.format.upper() == "JPEG":
        stripped = stripped_jpeg(data)
        if stripped is not None and _same_pixels(stripped, image):
            return stripped, "image/jpeg"
    elif image.rgb.shape[0] * image.rgb.shape[1] <= LOSSLESS_PIXELS:
        return encode_png(image.rgb), "image/png"
    return encode_jpeg(image.rgb), "image/jpeg"


def _same_pixels(data: bytes, image: LoadedImage) -> bool:
    try:
        return bool(np.array_equal(load_image(data).rgb, image.rgb))
    except BadInput:
        return False


def stripped_jpeg(data: bytes) -> bytes | None:
    """A JPEG with only the segments that make its pixels; None when its structure is not the common one."""
    if data[:2] != bytes([0xFF, START]):
        return None
    out, at = [data[:2]], 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF:
            at += 1
            continue
        if marker == END:
            return b"".join([*out, data[at : at + 2]])
        stop = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        if marker == SCAN:
            found = AFTER_SCAN.search(data, stop)
            if found is None:
                return None
            stop = found.start()
        if marker == SCAN or marker in KEPT:
            out.append(data[at:stop])
        at = stop
    if data[at : at + 2] == bytes([0xFF, END]):
        return b"".join([*out, data[at : at + 2]])
    return None
