"""Checks of size and surface: flat, scale, number of triangles, texture coordinates, texture size."""

from __future__ import annotations

import numpy as np
from PIL import Image

from model_zoo.report.findings import Finding, ok, places
from model_zoo.report.pictures import Painter
from model_zoo.report.subject import Subject

FLAT = 1e-3  # thinnest side relative to the longest
LEAST, MOST = 0.01, 100.0  # metres that the longest side of an object may plausibly have
MANY_TRIANGLES = 500_000
LARGE_TEXTURE, SMALL_TEXTURE = 4096, 256
COLLAPSED = 1e-12  # area in the texture below which a triangle has none
MANY_COLLAPSED = 0.01


def flat(subject: Subject, painter: Painter) -> Finding:
    """Whether the mesh has any depth at all; a flat one cannot be reviewed."""
    extents = np.asarray(subject.mesh.extents, float)
    ratio = float(extents.min() / max(extents.max(), 1e-30))
    if ratio >= FLAT:
        return ok("flat", "The mesh has depth on all three axes.", ratio=round(ratio, 4))
    everything = np.ones(len(subject.faces), bool)
    return Finding(
        "flat",
        "error",
        "The mesh is flat: one side has no depth.",
        {"ratio": round(ratio, 6)},
        "Model the object in three dimensions.",
        "",
        painter.faces(everything),
        places(subject.back(subject.centres)),
    )


def unit_of(longest: float) -> str:
    """The unit that a longest side of this number was probably modelled in; "m" when it is plausible as it is."""
    if LEAST <= longest <= MOST:
        return "m"
    return "mm" if MOST < longest <= 1000 * MOST else ""


def scale(subject: Subject) -> Finding:
    """The longest side, and the unit it seems to be in."""
    longest = float(np.max(subject.mesh.extents))
    unit = unit_of(longest)
    numbers = {"longest": float(f"{longest:.4g}"), "unit": unit}
    if unit == "m":
        return ok("scale", f"The longest side measures {longest:.4g} m.", **numbers)
    return Finding(
        "scale",
        "warning",
        f"The longest side measures {longest:.4g}: the unit may be wrong.",
        numbers,
        "Model in metres; the pose scales the mesh in any case.",
        "to_metres" if unit else "",
    )


def triangle_count(subject: Subject) -> Finding:
    """How many triangles there are; more than MANY_TRIANGLES slow everybody down."""
    numbers = {"triangles": len(subject.faces), "most": MANY_TRIANGLES}
    if len(subject.faces) <= MANY_TRIANGLES:
        return ok("triangle_count", f"{len(subject.faces)} triangles.", **numbers)
    return Finding(
        "triangle_count",
        "warning",
        f"{len(subject.faces)} triangles are more than {MANY_TRIANGLES}.",
        numbers,
        "Decimate the mesh.",
        "decimate",
    )


def uvs(subject: Subject, painter: Painter) -> Finding:
    """Whether there are texture coordinates, and triangles that have no area in the texture."""
    uv = getattr(subject.mesh.visual, "uv", None)
    if uv is None or len(uv) != len(subject.mesh.vertices):
        advice = "Unwrap the mesh if it shall carry a texture."
        return Finding("uvs", "info", "The mesh has no texture coordinates.", {"has": False}, advice)
    uv = np.asarray(uv, float)
    corners = uv[subject.mesh.faces]
    side, other = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    collapsed = ~(np.abs(side[:, 0] * other[:, 1] - side[:, 1] * other[:, 0]) > COLLAPSED)
    numbers = {
        "has": True,
        "outside": round(float(((uv < -1e-4) | (uv > 1 + 1e-4)).any(1).mean()), 4),
        "collapsed": int(collapsed.sum()),
    }
    if picture_of(subject.mesh.visual) is None or collapsed.mean() <= MANY_COLLAPSED:
        return ok("uvs", "The mesh has texture coordinates.", **numbers)
    return Finding(
        "uvs",
        "warning",
        f"{numbers['collapsed']} triangles have no area in the texture.",
        numbers,
        "Unwrap these triangles.",
        "",
        painter.faces(collapsed),
        places(subject.back(subject.centres[collapsed])),
    )


def texture_size(subject: Subject) -> Finding:
    """Pixels of the base colour texture."""
    image = picture_of(subject.mesh.visual)
    if image is None:
        return Finding("texture_size", "info", "The mesh has no texture.", {"width": 0, "height": 0})
    width, height = image.size
    numbers = {"width": width, "height": height, "most": LARGE_TEXTURE, "least": SMALL_TEXTURE}
    words = f"The texture has {width} x {height} pixels."
    if max(width, height) > LARGE_TEXTURE:
        advice = f"Scale it to at most {LARGE_TEXTURE} pixels a side."
        return Finding("texture_size", "warning", words, numbers, advice, "shrink_textures")
    if max(width, height) < SMALL_TEXTURE:
        return Finding("texture_size", "info", words, numbers, "Use a larger one if the object has detail.")
    return ok("texture_size", words, **numbers)


def picture_of(visual: object) -> Image.Image | None:
    """The base colour texture of a trimesh visual."""
    material = getattr(visual, "material", None)
    image = getattr(material, "baseColorTexture", None) or getattr(material, "image", None)
    return image if isinstance(image, Image.Image) else None
