"""Textures of meshes: pixel limits before decoding, metadata stripped, and the clean encoded bytes kept for export."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from model_zoo.io.errors import BadInput
from model_zoo.io.images import check_size, decode, eight_bits, encode_jpeg, encode_png, open_container

MAX_PIXELS = 36_000_000
MAX_TOTAL_PIXELS = 72_000_000
JPEG_FROM_PIXELS = 512 * 512


class MissingTexture(str):
    """A warning: a texture that the mesh names could not be had. The upload door lets it pass, a data set does not."""


@dataclass
class TextureReader:
    """Decodes the textures of one mesh, counting their pixels together; unreadable ones become warnings."""

    notes: list[str]
    pixels: int = 0

    def check(self, data: bytes, label: str) -> None:
        """Refuse a texture whose header declares too many pixels; one that is not an image is nobody's harm."""
        try:
            container = open_container(data)
        except BadInput:
            return
        try:
            check_size(container.width, container.height, pixels=MAX_PIXELS, min_side=1)
        except BadInput as error:
            raise BadInput(f"{label}: {error.message}", error.code) from None

    def read(self, data: bytes, label: str) -> Image.Image | None:
        """The decoded texture, RGB or RGBA, or None with a warning. Raises BadInput beyond the pixel limits."""
        self.check(data, label)
        try:
            container = open_container(data)
            self.pixels += container.width * container.height
            if self.pixels > MAX_TOTAL_PIXELS:
                raise BadInput(
                    f"the textures have more than {MAX_TOTAL_PIXELS // 10**6} megapixels together",
                    "too_many_pixels",
                )
            image = eight_bits(decode(container))
        except BadInput as error:
            if error.code == "too_many_pixels":
                raise
            self.notes.append(MissingTexture(f"{label} is unreadable and was left out: {error.message}"))
            return None
        see_through = "A" in image.mode or "transparency" in image.info
        plain = image if image.mode in ("RGB", "RGBA") else image.convert("RGBA" if see_through else "RGB")
        plain.info.clear()
        if container.format in ("JPEG", "PNG") and plain is image:
            plain.encoded = container.data  # type: ignore[attr-defined]  # copies of the image lose it, as they must
        return plain


def encode_texture(image: Image.Image) -> tuple[bytes, str]:
    """(bytes, MIME type): the bytes it came in when untouched, else PNG when small or see-through, else JPEG."""
    encoded = getattr(image, "encoded", None)
    if isinstance(encoded, bytes):
        return encoded, "image/png" if encoded.startswith(b"\x89PNG") else "image/jpeg"
    pixels = np.asarray(image if image.mode in ("RGB", "RGBA") else image.convert("RGBA"))
    if pixels.shape[2] == 4 and pixels[..., 3].min() == 255:
        pixels = pixels[..., :3]
    if pixels.shape[2] == 3 and pixels.shape[0] * pixels.shape[1] >= JPEG_FROM_PIXELS:
        return encode_jpeg(pixels), "image/jpeg"
    return encode_png(pixels), "image/png"


def srgb_from_linear(values: NDArray[np.floating]) -> NDArray[np.float64]:
    """sRGB 0..1 of linear light 0..1 (IEC 61966-2-1)."""
    linear = np.clip(np.asarray(values, np.float64), 0.0, 1.0)
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


def linear_from_srgb(values: NDArray[np.floating]) -> NDArray[np.float64]:
    """Linear light 0..1 of sRGB 0..1 (IEC 61966-2-1)."""
    coded = np.clip(np.asarray(values, np.float64), 0.0, 1.0)
    return np.where(coded <= 0.04045, coded / 12.92, ((coded + 0.055) / 1.055) ** 2.4)


def colours_from_linear(values: NDArray[np.floating]) -> NDArray[np.uint8]:
    """(N,3|4) linear colours 0..1 to (N,4) uint8 sRGB with straight alpha."""
    rgba = np.ones((len(values), 4))
    rgba[:, :3] = srgb_from_linear(values[:, :3])
    if values.shape[1] == 4:
        rgba[:, 3] = np.clip(values[:, 3], 0.0, 1.0)
    return np.round(rgba * 255).astype(np.uint8)
