"""Parts with their materials to one trimesh: one material when they share it, else vertex colours or one atlas."""

from dataclasses import replace

import numpy as np
import trimesh
from numpy.typing import NDArray
from PIL import Image
from trimesh.visual.color import ColorVisuals
from trimesh.visual.material import PBRMaterial
from trimesh.visual.texture import TextureVisuals

from model_zoo.io.atlas import Atlas, base_look, glow_look, metal_look, normal_look, steeper
from model_zoo.io.surface import Material, Part, unit_normals
from model_zoo.io.textures import colours_from_linear, linear_from_srgb


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
    atlas = Atlas(parts, notes)
    bare = replace(first, metal_rough=None, normal=None, emission=None, emissive=(0.0, 0.0, 0.0))
    uv, material = atlas.uv(), _pbr(bare, atlas.draw(base_look), (1.0, 1.0, 1.0, 1.0))
    looks = [part.material for part in parts]
    shines = {(look.metallic, look.roughness) for look in looks}
    if any(look.metal_rough is not None for look in looks) or (atlas.detailed and len(shines) > 1):
        material.metallicRoughnessTexture = atlas.draw(metal_look)
        material.metallicFactor = material.roughnessFactor = 1.0
    if any(look.normal is not None for look in looks):
        material.normalTexture = atlas.draw(normal_look)
    if any(any(look.emissive) for look in looks):
        material.emissiveTexture, material.emissiveFactor = atlas.draw(glow_look), (1.0, 1.0, 1.0)
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
        normalTexture=material.normal and steeper(material.normal, material.normal_scale),
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
