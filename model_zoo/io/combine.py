"""Parts with their materials to one trimesh: one material when they share it, else vertex colours or one atlas."""

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import trimesh
from numpy.typing import NDArray
from PIL import Image
from trimesh.visual.color import ColorVisuals
from trimesh.visual.material import PBRMaterial
from trimesh.visual.texture import TextureVisuals

from model_zoo.io.surface import Floats, Material, Part, unit_normals
from model_zoo.io.textures import colours_from_linear, linear_from_srgb, srgb_from_linear

ATLAS_SIDE = 4096
TILE_SIDE = 2048
PADDING = 4
FLAT_SIDE = 8
MAX_REPEATS = 8
Look = Callable[[Part, tuple[int, int]], Image.Image]  # of a part's material, one repeat in (width, height)


def combine(parts: list[Part], notes: list[str]) -> trimesh.Trimesh:
    """One mesh of all parts; nothing is merged or reordered within a part. uv has v upwards, as trimesh has it."""
    textured = [part for part in parts if part.material.texture is not None and part.uv is not None]
    if not textured:
        return _join(parts, _plain_visual(parts))
    first = parts[0].material
    if len(textured) == len(parts) and all(_same(part.material, first) for part in parts):
        uv = np.concatenate([part.uv for part in parts])
        return _join(parts, TextureVisuals(uv=uv, material=_pbr(first, first.texture, first.factor)))
    parts = [_within_unit(part) for part in parts]
    atlas = _Atlas(parts, notes)
    bare = replace(first, metal_rough=None, normal=None, emission=None, emissive=(0.0, 0.0, 0.0))
    uv, material = atlas.uv(), _pbr(bare, atlas.draw(_base_look), (1.0, 1.0, 1.0, 1.0))
    looks = [part.material for part in parts]
    shines = {(look.metallic, look.roughness) for look in looks}
    if any(look.metal_rough is not None for look in looks) or (atlas.detailed and len(shines) > 1):
        material.metallicRoughnessTexture = atlas.draw(_metal_look)
        material.metallicFactor = material.roughnessFactor = 1.0
    if any(look.normal is not None for look in looks):
        material.normalTexture = atlas.draw(_normal_look)
    if any(any(look.emissive) for look in looks):
        material.emissiveTexture, material.emissiveFactor = atlas.draw(_glow_look), (1.0, 1.0, 1.0)
    return _join(parts, TextureVisuals(uv=uv, material=material))


def _join(parts: list[Part], visual: ColorVisuals | TextureVisuals) -> trimesh.Trimesh:
    offsets = np.cumsum([0, *(len(part.vertices) for part in parts)])
    vertices = np.concatenate([part.vertices for part in parts])
    faces = np.concatenate([part.faces + at for part, at in zip(parts, offsets, strict=False)])
    normals = None
    if all(part.normals is not None for part in parts):
        normals = unit_normals(np.concatenate([part.normals for part in parts]), vertices, faces)
    return trimesh.Trimesh(
        vertices, faces, vertex_normals=normals, visual=visual, process=False, validate=False
    )


def _same(one: Material, other: Material) -> bool:
    """Whether one trimesh material says all of both. Metal and roughness count only with maps: else the first's stand."""
    if one.maps or other.maps:
        numbers = [
            (m.metallic, m.roughness, m.normal_scale, [*map(id, m.maps.values())]) for m in (one, other)
        ]
        if numbers[0] != numbers[1]:
            return False
    return one.texture is other.texture and (one.factor, one.emissive) == (other.factor, other.emissive)


def _pbr(material: Material, texture: Image.Image | None, factor: tuple[float, ...]) -> PBRMaterial:
    """trimesh's material. The factor stays linear, as glTF has it."""
    return PBRMaterial(
        baseColorFactor=np.round(np.array(factor) * 255).astype(np.uint8),
        baseColorTexture=texture,
        metallicFactor=material.metallic,
        roughnessFactor=material.roughness,
        doubleSided=material.double_sided,
        alphaMode=material.alpha_mode,
        alphaCutoff=material.alpha_cutoff if material.alpha_mode == "MASK" else None,
        metallicRoughnessTexture=material.metal_rough,
        normalTexture=material.normal and _steeper(material.normal, material.normal_scale),
        emissiveTexture=material.emission,
        emissiveFactor=material.emissive if any(material.emissive) else None,
    )


def _plain_visual(parts: list[Part]) -> ColorVisuals | TextureVisuals:
    """Vertex colours when there are any or materials differ, else the one plain material."""
    first = parts[0].material
    alike = (first.factor, first.emissive)
    if all(
        part.colours is None and (part.material.factor, part.material.emissive) == alike for part in parts
    ):
        return TextureVisuals(material=_pbr(first, None, first.factor))
    return ColorVisuals(vertex_colors=np.concatenate([_tinted(part) for part in parts]))


def _tinted(part: Part) -> NDArray[np.uint8]:
    """sRGB colours (V,4): the part's own times its material's factor."""
    factor = np.array(part.material.factor)
    if part.colours is None:
        return np.repeat(colours_from_linear(factor[None]), len(part.vertices), axis=0)
    if (factor == 1).all():
        return part.colours
    linear = part.colours / 255.0
    linear[:, :3] = linear_from_srgb(linear[:, :3])
    return colours_from_linear(linear * factor)


def _within_unit(part: Part) -> Part:
    """The part with every face's uv moved by whole repeats next to the origin, corners split where faces disagree."""
    if part.uv is None or (part.uv.min() >= 0 and part.uv.max() <= 1):
        return part
    corner_uv = part.uv[part.faces]
    shift = np.floor(corner_uv.min(axis=1) + 1e-6)[:, None, :]
    shift = np.where(
        corner_uv.max(axis=1, keepdims=True) - shift <= 1 + 1e-4, shift, np.floor(corner_uv.min(axis=(0, 1)))
    )
    moved = corner_uv - shift
    keys = np.concatenate(
        [part.faces.reshape(-1, 1), np.broadcast_to(shift, corner_uv.shape).reshape(-1, 2)], axis=1
    )
    unique, first, inverse = np.unique(keys, axis=0, return_index=True, return_inverse=True)
    pick = unique[:, 0].astype(np.int64)
    normals = None if part.normals is None else part.normals[pick]
    colours = None if part.colours is None else part.colours[pick]
    faces = inverse.reshape(-1, 3).astype(np.int64)
    return Part(part.vertices[pick], faces, part.material, normals, moved.reshape(-1, 2)[first], colours)


class _Atlas:
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


def _base_look(part: Part, side: tuple[int, int]) -> Image.Image:
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


def _metal_look(part: Part, side: tuple[int, int]) -> Image.Image:
    """The material's roughness (green) and metal (blue): its map times its factors, or a flat patch."""
    material, image = part.material, part.material.metal_rough
    factors = (1.0, material.roughness, material.metallic)
    if image is None or part.uv is None:
        return Image.new("RGB", side, tuple(round(255 * factor) for factor in factors))
    pixels = np.asarray(_sized(image, side).convert("RGB"))
    return Image.fromarray(np.round(pixels * np.array(factors)).astype(np.uint8))


def _normal_look(part: Part, side: tuple[int, int]) -> Image.Image:
    image = part.material.normal
    if image is None or part.uv is None:
        return Image.new("RGB", side, (128, 128, 255))
    return _steeper(_sized(image, side).convert("RGB"), part.material.normal_scale)


def _steeper(normals: Image.Image, scale: float) -> Image.Image:
    """A normal map with its x and y times `scale` (glTF's normalTexture.scale)."""
    if scale == 1:
        return normals
    vectors = np.asarray(normals.convert("RGB"), np.float32) / 127.5 - 1
    vectors[..., :2] *= scale
    vectors /= np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-6)
    return Image.fromarray(np.rint((vectors + 1) * 127.5).astype(np.uint8))


def _glow_look(part: Part, side: tuple[int, int]) -> Image.Image:
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
