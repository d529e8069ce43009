"""Photographs and masks from untrusted bytes: decided by content, upright, RGB, with limits; plain encoders."""

import io
import warnings as python_warnings
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from model_zoo.io.containers import Container, read_container
from model_zoo.io.errors import BadInput
from model_zoo.io.segmentations import Mask, decode_rle, decode_segmentation, rasterise_polygons
from model_zoo.io.sniff import describe, kind_of

__all__ = [
    "LoadedImage",
    "LoadedMask",
    "Mask",
    "check_mask",
    "decode_rle",
    "encode_jpeg",
    "encode_png",
    "load_image",
    "load_mask",
    "rasterise_polygons",
]

Rgb = NDArray[np.uint8]

MAX_BYTES = 64 * 2**20
MAX_PIXELS = 52_000_000
# WebP and CMYK take 16 to 20 bytes a pixel while they are decoded.
MAX_HEAVY_PIXELS = 34_000_000
MAX_SIDE = 16_384
MIN_SIDE = 16
MAX_ASPECT = 20
MIN_MASK_PIXELS = 16
MAX_PARTS = 64
MIN_COHERENCE = 0.3
SUFFIXES = {"JPEG": (".jpg", ".jpeg"), "PNG": (".png",), "WEBP": (".webp",)}


@dataclass
class LoadedImage:
    """rgb (H,W,3) uint8, upright; alpha (H,W) uint8 when some pixel is not opaque; what was changed on the way."""

    rgb: Rgb
    alpha: NDArray[np.uint8] | None
    format: str
    warnings: list[str] = field(default_factory=list)

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in upright pixels."""
        return self.rgb.shape[1], self.rgb.shape[0]


def load_image(data: bytes, *, name: str = "") -> LoadedImage:
    """Decode a JPEG, PNG or WebP photograph; the name only serves to warn of a wrong ending.

    Raises BadInput for other content, a broken or truncated file, and sizes out of range (read before decoding).
    """
    container = open_container(data)
    heavy = container.format == "WEBP" or container.channels == 4
    check_size(container.width, container.height, pixels=MAX_HEAVY_PIXELS if heavy else MAX_PIXELS)
    pixels, alpha = _to_rgb(decode(container), container)
    warn_of_suffix(container, name)
    if (pixels == pixels[0, 0]).all():
        container.warnings.append("every pixel has the same colour")
    return LoadedImage(pixels, alpha, container.format, container.warnings)


@dataclass
class LoadedMask:
    """mask (H,W) bool in upright image coordinates; what was doubtful or changed."""

    mask: Mask
    warnings: list[str] = field(default_factory=list)


def open_container(data: bytes) -> Container:
    """The checked container of image bytes, nothing decoded yet. Raises BadInput."""
    if not data:
        raise BadInput("the file is empty", "empty")
    if len(data) > MAX_BYTES:
        raise BadInput(f"the image file is larger than {MAX_BYTES >> 20} MB", "too_large")
    try:
        return read_container(data)
    except BadInput as error:
        if error.code != "not_an_image":
            raise
    raise BadInput(f"not an image that we read (JPEG, PNG or WebP): this is {describe(data)}", "not_an_image")


def check_size(width: int, height: int, *, pixels: int = MAX_PIXELS, min_side: int = MIN_SIDE) -> None:
    """Refuse a size, as read from the header, that is empty, too small, too large or too long."""
    short, long = sorted((width, height))
    if short == 0:
        raise BadInput("the image has no pixels", "no_pixels")
    if width * height > pixels or long > MAX_SIDE:
        limit = f"{pixels // 1_000_000} megapixels, {MAX_SIDE} a side"
        raise BadInput(f"the image is too large: {width}x{height} pixels (limit {limit})", "too_many_pixels")
    if min_side > 1 and long > MAX_ASPECT * short:
        raise BadInput(
            f"the aspect ratio of {width}x{height} is out of range (limit {MAX_ASPECT}:1)", "bad_aspect"
        )
    if short < min_side:
        raise BadInput(
            f"the image is too small: {width}x{height} pixels (at least {min_side} a side)", "too_small"
        )


def warn_of_suffix(container: Container, name: str) -> None:
    """Add a warning when the file name's ending belongs to another format than the content."""
    suffix = name[name.rfind(".") :].lower() if "." in name else ""
    if suffix and suffix not in SUFFIXES[container.format]:
        container.warnings.append(f"the name ends in {suffix} but the content is {container.format}")


def decode(container: Container) -> Image.Image:
    """First frame of the checked container. Raises BadInput when the pixel data is broken."""
    try:
        with python_warnings.catch_warnings():
            python_warnings.simplefilter("ignore")
            image = Image.open(io.BytesIO(container.data), formats=[container.format])
            if image.size != (container.width, container.height):
                raise BadInput("the image is corrupt: its header contradicts itself", "corrupt_image")
            image.load()
    except BadInput:
        raise
    except Exception as error:  # a decoder may raise anything on hostile bytes
        if "truncated" in str(error):
            raise BadInput("the image is truncated (the file ends too early)", "truncated_image") from None
        raise BadInput("the image is corrupt and cannot be decoded", "corrupt_image") from None
    return image


def eight_bits(image: Image.Image) -> Image.Image:
    """A grey picture of 16 bits at 8, any other as it is."""
    if not image.mode.startswith("I"):
        return image
    wide = np.asarray(image)
    narrow = wide // 257 if wide.dtype == np.uint16 else np.clip(wide, 0, 65535) // 257
    return Image.fromarray(narrow.astype(np.uint8))


def _to_rgb(image: Image.Image, container: Container) -> tuple[Rgb, NDArray[np.uint8] | None]:
    """Upright RGB and, when not all opaque, alpha of a decoded picture of any mode."""
    notes = container.warnings
    image = eight_bits(image)
    if container.bits == 16:
        notes.append("16 bits per channel were reduced to 8")
    if image.mode in ("CMYK", "YCCK"):
        notes.append("CMYK colours were converted to RGB")
    see_through = image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info
    mode = "RGBA" if see_through else "RGB"
    array = np.asarray(image if image.mode == mode else image.convert(mode))
    image.close()
    array = orient(array, container.orientation)
    alpha = np.ascontiguousarray(array[..., 3]) if see_through else None
    if alpha is not None and alpha.min() == 255:
        alpha = None
    if alpha is not None:
        notes.append("transparent pixels: alpha is kept apart, the colours are used as stored")
    return np.ascontiguousarray(array[..., :3]), alpha


def orient(array: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Upright form of pixels (H,W,...) stored with an EXIF orientation 1 to 8 (EXIF 2.3, tag 0x0112)."""
    if orientation >= 5:
        array = array.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        array = array[::-1]
    if orientation in (2, 3, 6, 7):
        array = array[:, ::-1]
    return array


def load_mask(data: bytes, size: tuple[int, int] | None = None, *, name: str = "") -> LoadedMask:
    """One object's mask from an image (non-zero is the object; alpha if it has one) or COCO JSON (polygons or RLE).

    size is (width, height) of the upright photo. Raises BadInput on another size, an empty or incoherent mask.
    """
    if kind_of(data) == "json":
        mask, notes = decode_segmentation(data, size)
    else:
        mask, notes = _read_mask_image(data, size, name)
    return check_mask(mask, notes)


def _read_mask_image(data: bytes, size: tuple[int, int] | None, name: str) -> tuple[Mask, list[str]]:
    container = open_container(data)
    check_size(container.width, container.height, min_side=1)
    turned = container.orientation >= 5
    stored = (container.height, container.width) if turned else (container.width, container.height)
    if size is not None and stored != size:
        hint = (
            "; the sides are swapped: was the photo turned by EXIF orientation?"
            if stored == size[::-1]
            else ""
        )
        raise BadInput(
            f"the mask is {stored[0]}x{stored[1]} but the image is {size[0]}x{size[1]}{hint}", "mask_size"
        )
    warn_of_suffix(container, name)
    mask = _binarise(decode(container), container)
    return np.ascontiguousarray(orient(mask, container.orientation)), container.warnings


def _binarise(image: Image.Image, container: Container) -> Mask:
    """Object pixels of a decoded mask, whatever its mode."""
    notes = container.warnings
    if "A" in image.mode.upper() or (image.mode != "P" and "transparency" in image.info):
        rgba = np.asarray(image.convert("RGBA"))
        if rgba[..., 3].min() < 255:
            notes.append("the alpha channel is used as the mask")
            return rgba[..., 3] >= 128
        image = image.convert("RGB")
    if image.mode == "P":
        colours = np.asarray(image.convert("RGB")).max(axis=2)
        # The colours decide, not their numbers; but a palette that is all black still has its numbers.
        return colours != 0 if colours.any() else np.asarray(image) != 0
    array = np.asarray(image)
    if array.ndim == 3:
        notes.append("a colour mask: every pixel that is not black is taken as the object")
        array = array.max(axis=2)
    if container.format == "JPEG":
        notes.append("a lossy (JPEG) mask: values from 128 up are taken as the object")
        return array >= 128
    if array.dtype != np.bool_ and len(np.unique(array)) > 2:
        notes.append("a mask with grey values: every pixel from half its maximum up is taken as the object")
        return array >= (int(array.max()) + 1) // 2
    return array != 0


def check_mask(mask: Mask, notes: list[str] | None = None) -> LoadedMask:
    """Refuse a mask that cannot be one object; warn of what is doubtful. notes: warnings made before."""
    area, pixels = int(mask.sum()), mask.size
    if area == 0:
        raise BadInput("the mask is empty", "empty_mask")
    if area < MIN_MASK_PIXELS:
        raise BadInput(f"the mask is too small: {area} pixels (at least {MIN_MASK_PIXELS})", "small_mask")
    result = LoadedMask(mask, list(notes or []))
    if area == pixels:
        result.warnings.append("the mask covers the whole image: there is no background")
        return result
    _check_parts(mask, area, result.warnings)
    sides = [bool(side.any()) for side in (mask[0], mask[-1], mask[:, 0], mask[:, -1])]
    if all(sides) and 2 * area > pixels:
        result.warnings.append(
            "the mask touches all four borders and covers most of the image: is it inverted?"
        )
    elif any(sides):
        result.warnings.append("the object is cut by the image border")
    return result


def _check_parts(mask: Mask, area: int, notes: list[str]) -> None:
    labels, parts = ndimage.label(mask)
    if parts <= 1:
        return
    if parts > MAX_PARTS:
        inner = int(ndimage.binary_erosion(mask).sum())
        largest = int(np.bincount(labels.ravel())[1:].max())
        if inner < MIN_COHERENCE * area or 2 * largest < area:
            raise BadInput(
                f"the mask falls into {parts} separate parts: there is no coherent object", "noisy_mask"
            )
    notes.append(f"the mask has {parts} separate parts")


def encode_jpeg(rgb: NDArray[np.uint8], quality: int = 95) -> bytes:
    """JPEG bytes of (H,W,3) or (H,W) uint8: full-resolution colour, no metadata, same bytes for the same pixels."""
    stream = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(rgb)).save(stream, "JPEG", quality=quality, subsampling=0)
    return stream.getvalue()


def encode_png(array: NDArray[np.generic]) -> bytes:
    """PNG bytes of (H,W) bool (as 0 and 255), uint8 or uint16, or (H,W,3|4) uint8; no metadata, deterministic."""
    if array.dtype == np.bool_:
        array = array.astype(np.uint8) * np.uint8(255)
    stream = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(array)).save(stream, "PNG", compress_level=6)
    return stream.getvalue()
