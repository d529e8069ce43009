"""The copy of a photo that leaves the house: the same pixels, upright, and nothing else of the file.

EXIF (places, names), comments, thumbnails, colour profiles and bytes behind the end stay behind. A JPEG that is upright
already keeps its coded pixels; what was lossless and not too large stays lossless.
"""

from model_zoo.io.containers import read_container
from model_zoo.io.images import LoadedImage, encode_jpeg, encode_png

LOSSLESS_PIXELS = 4_000_000


def published(data: bytes, image: LoadedImage) -> tuple[bytes, str]:
    """(bytes, media type) to show and to release of a photo that `load_image` took from `data`."""
    container = read_container(data)
    if container.format == "JPEG":
        # Browsers show CMYK in colours of their own, so it is coded anew.
        if container.orientation == 1 and container.channels in (1, 3):
            return container.data, "image/jpeg"
    elif image.rgb.shape[0] * image.rgb.shape[1] <= LOSSLESS_PIXELS:
        return encode_png(image.rgb), "image/png"
    return encode_jpeg(image.rgb), "image/jpeg"
