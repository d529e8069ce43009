"""One picture of the looks of many materials, and the uv of their parts in it."""

import math
from collections.abc import Callable

import numpy as np
from PIL import Image

from model_zoo.io.surface import Floats, Part
from model_zoo.io.textures import colours_from_linear, linear_from_srgb, srgb_from_linear

ATLAS_SIDE = 4096
TILE_SIDE = 2048
PADDING = 4
FLAT_SIDE = 8
MAX_REPEATS = 8
Look = Callable[[Part, tuple[int, int]], Image.Image]  # of a part's material, one repeat in (width, height)


class Atlas:
    """Where each material of the parts lies in one picture, and the pictures drawn so."""

    def __init__(self, parts: list[Part], notes: list[str]) -> None:
        self._parts = parts
        self._tiles: list[tuple[Part, int, int]] = []  # one part of each material, its repeats across and up
        self._of_part: list[tuple[int, int, int]] = []
        keys: dict[tuple[object, ...], int] = {}
        self.detailed = any(part.material.maps or any(part.material.emissive) for part in parts)
        for part in parts:
            across, up = _repeats(part, notes)
            looks, images = part.material, (part.material.texture, *part.material.maps.values())
            key = (*map(id, images if part.uv is not None else ()), looks.factor, across, up)
            if self.detailed:
                key += looks.metallic, looks.roughness, looks.emissive, looks.normal_scale
            if key not in keys:
                keys[key] = len(self._tiles)
                self._tiles.append((part, across, up))
            self._of_part.append((keys[key], across, up))
        sizes = [_side(part, across, up) for part, across, up in self._tiles]
        self._places, self._size = _pack(
            [(w * across, h * up) for (w, h), (_, across, up) in zip(sizes, self._tiles, strict=True)]
        )

    def draw(self, look: Look) -> Image.Image:
        """One picture of what `look` gives for each material."""
        scaled = []
        for (part, across, up), (_, _, w, h) in zip(self._tiles, self._places, strict=True):
            tile = _repeated(look(part, _side(part, across, up)), across, up)
            scaled.append(tile if tile.size == (w, h) else tile.resize((w, h), Image.Resampling.LANCZOS))
        image = Image.new("RGBA" if any(tile.mode == "RGBA" for tile in scaled) else "RGB", self._size)
        for tile, (x, y, _, _) in zip(scaled, self._places, strict=True):
            _paste_padded(image, tile, x, y)
        return image

    def uv(self) -> Floats:
        """The uv (V,2) of all parts in it."""
        return np.concatenate(
            [
                _into(part, self._places[tile], self._size, across, up)
                for part, (tile, across, up) in zip(self._parts, self._of_part, strict=True)
            ]
        )


def _repeats(part: Part, notes: list[str]) -> tuple[int, int]:
    if part.uv is None or part.material.texture is None:
        return 1, 1
    wanted = np.ceil(part.uv.max(axis=0) - 1e-4).clip(1, 1e6).astype(int)
    if wanted.max() > MAX_REPEATS:
        notes.append(f"a texture that repeats more than {MAX_REPEATS} times was stretched")
    return int(min(wanted[0], MAX_REPEATS)), int(min(wanted[1], MAX_REPEATS))


def _side(part: Part, across: int, up: int) -> tuple[int, int]:
    """Width and height of one repeat of the part's material."""
    texture = part.material.texture
    if texture is None or part.uv is None:
        return FLAT_SIDE, FLAT_SIDE
    width, height = np.max([image.size for image in (texture, *part.material.maps.values())], axis=0)
    shrink = min(1.0, TILE_SIDE / (width * across), TILE_SIDE / (height * up))
    return max(1, round(width * shrink)), max(1, round(height * shrink))


def _repeated(one: Image.Image, across: int, up: int) -> Image.Image:
    if (across, up) == (1, 1):
        return one
    whole = Image.new(one.mode, (one.width * across, one.height * up))
    for column in range(across):
        for row in range(up):
            whole.paste(one, (column * one.width, row * one.height))
    return whole


def base_look(part: Part, side: tuple[int, int]) -> Image.Image:
    """The material's base colour: its texture times its factor, or a flat patch."""
    factor, texture = np.array(part.material.factor), part.material.texture
    if texture is None or part.uv is None:
        colour = tuple(int(c) for c in colours_from_linear(factor[None])[0])
        return Image.new("RGBA", side, colour) if colour[3] < 255 else Image.new("RGB", side, colour[:3])
    one = _sized(texture, side)
    if (factor == 1).all():
        return one
    pixels = np.asarray(_dimmed(one, factor)).copy()
    pixels[..., 3] = np.round(pixels[..., 3] * factor[3]).astype(np.uint8)
    return Image.fromarray(pixels) if pixels[..., 3].min() < 255 else Image.fromarray(pixels[..., :3].copy())


def metal_look(part: Part, side: tuple[int, int]) -> Image.Image:
    """The material's roughness (green) and metal (blue): its map times its factors, or a flat patch."""
    material, image = part.material, part.material.metal_rough
    factors = (1.0, material.roughness, material.metallic)
    if image is None or part.uv is None:
        return Image.new("RGB", side, tuple(round(255 * factor) for factor in factors))
    pixels = np.asarray(_sized(image, side).convert("RGB"))
    return Image.fromarray(np.round(pixels * np.array(factors)).astype(np.uint8))


def normal_look(part: Part, side: tuple[int, int]) -> Image.Image:
    """The material's normal map, as steep as it has it, or a flat patch."""
    image = part.material.normal
    if image is None or part.uv is None:
        return Image.new("RGB", side, (128, 128, 255))
    return steeper(_sized(image, side).convert("RGB"), part.material.normal_scale)


def steeper(normals: Image.Image, scale: float) -> Image.Image:
    """A normal map with its x and y times `scale` (glTF's normalTexture.scale)."""
    if scale == 1:
        return normals
    vectors = np.asarray(normals.convert("RGB"), np.float32) / 127.5 - 1
    vectors[..., :2] *= scale
    vectors /= np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-6)
    return Image.fromarray(np.rint((vectors + 1) * 127.5).astype(np.uint8))


def glow_look(part: Part, side: tuple[int, int]) -> Image.Image:
    """What the material gives off: its emission map times its factor, or a flat patch."""
    factor, image = np.array(part.material.emissive), part.material.emission
    if image is None or part.uv is None:
        colour = colours_from_linear(factor[None])[0]
        return Image.new("RGB", side, tuple(int(c) for c in colour[:3]))
    return _dimmed(_sized(image, side), factor).convert("RGB")


def _sized(image: Image.Image, side: tuple[int, int]) -> Image.Image:
    return image if image.size == side else image.resize(side, Image.Resampling.LANCZOS)


def _dimmed(image: Image.Image, factor: Floats) -> Image.Image:
    """The sRGB picture, RGBA, with its three colours times a linear factor."""
    pixels = np.asarray(image.convert("RGBA")).copy()
    for channel in range(3):
        table = np.round(255 * srgb_from_linear(linear_from_srgb(np.arange(256) / 255) * factor[channel]))
        pixels[..., channel] = table.astype(np.uint8)[pixels[..., channel]]
    return Image.fromarray(pixels)


def _pack(sizes: list[tuple[int, int]]) -> tuple[list[tuple[int, int, int, int]], tuple[int, int]]:
    """(x, y, width, height) of every tile on shelves, shrunk together until they fit; and the size of the whole."""
    scale = 1.0
    while True:
        shrunk = [(max(2, round(w * scale)), max(2, round(h * scale))) for w, h in sizes]
        area = sum((w + 2 * PADDING) * (h + 2 * PADDING) for w, h in shrunk)
        width = max(max(w for w, _ in shrunk) + 2 * PADDING, math.ceil(math.sqrt(area)))
        width = -(-width // 64) * 64
        places: dict[int, tuple[int, int, int, int]] = {}
        x = y = shelf = 0
        for index in sorted(range(len(sizes)), key=lambda i: (-shrunk[i][1], i)):
            w, h = shrunk[index]
            if x + w + 2 * PADDING > width:
                x, y, shelf = 0, y + shelf, 0
            places[index] = (x + PADDING, y + PADDING, w, h)
            x, shelf = x + w + 2 * PADDING, max(shelf, h + 2 * PADDING)
        height = -(-(y + shelf) // 64) * 64
        if max(width, height) <= ATLAS_SIDE:
            return [places[index] for index in range(len(sizes))], (width, height)
        scale *= 0.8


def _paste_padded(image: Image.Image, tile: Image.Image, x: int, y: int) -> None:
    """Paste with its edge pixels repeated around it, so that filtering does not bleed in from neighbours."""
    pixels = np.asarray(tile.convert(image.mode))
    padded = np.pad(pixels, ((PADDING, PADDING), (PADDING, PADDING), (0, 0)), mode="edge")
    image.paste(Image.fromarray(padded), (x - PADDING, y - PADDING))


def _into(
    part: Part, place: tuple[int, int, int, int], size: tuple[int, int], across: int, up: int
) -> Floats:
    x, y, w, h = place
    uv = (
        np.full((len(part.vertices), 2), 0.5)
        if part.uv is None or part.material.texture is None
        else part.uv / (across, up)
    )
    uv = np.clip(uv, 0.0, 1.0)
    return np.stack([(x + uv[:, 0] * w) / size[0], 1.0 - (y + (1.0 - uv[:, 1]) * h) / size[1]], axis=1)
