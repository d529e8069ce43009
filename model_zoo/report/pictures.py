"""Pictures of findings: the mesh in grey with the places in orange (safe for colour-blind eyes), and the photo with
two outlines. Orthographic, ray-cast on the CPU."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw
from scipy.ndimage import binary_dilation, binary_erosion

from model_zoo.io.images import encode_png
from model_zoo.render import view_rotation
from model_zoo.report.subject import Subject

SIDE = 320
GLANCE = 80  # side of the views that the best one is chosen from
MARGIN = 1.08  # the mesh fills the picture but for this
ANGLES = [(yaw, elevation) for elevation in (20, -20) for yaw in range(-30, 330, 45)] + [(0, 89), (0, -89)]
BACKGROUND, ORANGE, BLUE = (246, 246, 248), np.array([230, 140, 0]), (0, 90, 181)
SPECK = 60  # highlighted pixels below which dots draw the eye
FEW = 50  # edges up to which dots do
MOST_MARKS = 400


@dataclass(frozen=True)
class View:
    """One look at the subject: `face` (S,S) the face seen or -1, `depth` (S,S) along the view, inf beside it.

    The picture's middle is at `middle` (2,) in the view, its half width `radius`.
    """

    rotation: np.ndarray
    middle: np.ndarray
    radius: float
    face: np.ndarray
    depth: np.ndarray


class Painter:
    """Makes the pictures of one subject; the glances that the best view is chosen from are cast once."""

    def __init__(self, subject: Subject) -> None:
        self.subject = subject
        self._glances: list[View] = []

    def faces(self, chosen: np.ndarray) -> bytes:
        """PNG with these faces (bool (F,)) in orange, from where most of them is seen."""
        best = max(self._looks(), key=lambda seen: int((chosen[seen.face] & (seen.face >= 0)).sum()))
        seen = look(self.subject, best.rotation, SIDE)
        lit = chosen[seen.face] & (seen.face >= 0)
        picture = Image.fromarray(self._shaded(seen, lit))
        if lit.sum() < SPECK:
            self._dots(picture, seen, self.subject.centres[chosen])
        return encode_png(np.asarray(picture))

    def edges(self, ends: np.ndarray) -> bytes:
        """PNG with these edges (N,2 numbers of points) as orange lines; what is behind the surface is drawn thin."""
        middles = self.subject.points[ends].mean(1)
        best = self._facing(middles)
        seen = look(self.subject, best.rotation, SIDE)
        picture = Image.fromarray(self._shaded(seen, np.zeros(seen.face.shape, bool)))
        draw = ImageDraw.Draw(picture)
        kept = np.unique(np.linspace(0, len(ends) - 1, min(len(ends), 20 * MOST_MARKS)).astype(int))
        flat = _project(self.subject.points[ends[kept]].reshape(-1, 3), seen).reshape(-1, 2, 3)
        in_front = _visible(middles[kept], seen)
        for (one, other), near in sorted(zip(flat, in_front, strict=True), key=lambda each: bool(each[1])):
            draw.line([*one[:2], *other[:2]], fill=tuple(ORANGE), width=3 if near else 1)
        if len(ends) <= FEW:
            self._dots(picture, seen, middles)
        return encode_png(np.asarray(picture))

    def marks(self, points: np.ndarray) -> bytes:
        """PNG with dots at these points (N,3 at unit size)."""
        best = self._facing(points)
        seen = look(self.subject, best.rotation, SIDE)
        picture = Image.fromarray(self._shaded(seen, np.zeros(seen.face.shape, bool)))
        self._dots(picture, seen, points)
        return encode_png(np.asarray(picture))

    def _looks(self) -> list[View]:
        if not self._glances:
            self._glances = [look(self.subject, view_rotation(*angle), GLANCE) for angle in ANGLES]
        return self._glances

    def _facing(self, points: np.ndarray) -> View:
        few = points[:: max(1, len(points) // 2000)]
        return max(self._looks(), key=lambda seen: int(_visible(few, seen).sum()))

    def _shaded(self, seen: View, lit: np.ndarray) -> np.ndarray:
        """uint8 (S,S,3): two-sided grey, the lit pixels orange."""
        normals = self.subject.normals[seen.face] @ seen.rotation.T
        facing = np.abs(normals[..., 2])
        side = np.clip(-normals[..., 0] * np.sign(-normals[..., 2]) * 0.5 + 0.5, 0, 1)
        strength = (0.35 + 0.5 * facing + 0.15 * side)[..., None]
        colours = np.where(lit[..., None], ORANGE, 190) * strength
        return np.where((seen.face >= 0)[..., None], colours, BACKGROUND).astype(np.uint8)

    def _dots(self, picture: Image.Image, seen: View, points: np.ndarray) -> None:
        """Dots at the points (N,3), and a ring around them when they are all in one place."""
        kept = np.unique(np.linspace(0, len(points) - 1, min(len(points), MOST_MARKS)).astype(int))
        flat = _project(points[kept], seen)[:, :2]
        draw = ImageDraw.Draw(picture)
        for x, y in flat:
            draw.ellipse([x - 3, y - 3, x + 3, y + 3], fill=tuple(ORANGE), outline=BLUE)
        middle = flat.mean(0)
        reach = 10 + np.linalg.norm(flat - middle, axis=1).max()
        if reach < SIDE / 10:
            draw.ellipse([*(middle - reach), *(middle + reach)], outline=BLUE, width=2)


def look(subject: Subject, rotation: np.ndarray, side: int) -> View:
    """Casts one ray per pixel of a side x side picture along the view's z axis; the mesh fills the picture."""
    flat = subject.points @ rotation[:2].T
    low, high = flat.min(0), flat.max(0)
    middle, radius = (low + high) / 2, MARGIN * float((high - low).max()) / 2 + 1e-9
    across = ((np.arange(side) + 0.5) / side * 2 - 1) * radius
    x, y = np.meshgrid(across + middle[0], across + middle[1])
    starts = np.stack([x.ravel(), y.ravel(), np.full(x.size, -2.0)], 1) @ rotation
    directions = np.broadcast_to(rotation[2], starts.shape)
    out = subject.scene.run(
        starts.astype(np.float32), directions.astype(np.float32), query="INTERSECT", output=1
    )
    found = out["geomID"] >= 0
    face = np.where(found, out["primID"].astype(np.int64), -1).reshape(side, side)
    depth = np.where(found, out["tfar"] - 2.0, np.inf).reshape(side, side)
    return View(rotation, middle, radius, face, depth)


def outlines(rgb: np.ndarray, mask: np.ndarray, outline: np.ndarray) -> bytes:
    """PNG of a photo crop (H,W,3): the mask's rim in blue, the mesh's in orange, what only one has tinted alike."""
    picture = rgb.astype(float)
    for only, colour in ((mask & ~outline, BLUE), (outline & ~mask, ORANGE)):
        picture[only] = 0.65 * picture[only] + 0.35 * np.asarray(colour)
    for shape, colour in ((mask, BLUE), (outline, ORANGE)):
        picture[binary_dilation(shape) & ~binary_erosion(shape)] = colour
    return encode_png(picture.astype(np.uint8))


def _project(points: np.ndarray, seen: View) -> np.ndarray:
    """Pixel x, y and depth (N,3) of points at unit size."""
    flat = points @ seen.rotation.T
    flat[:, :2] = ((flat[:, :2] - seen.middle) / seen.radius + 1) / 2 * len(seen.depth) - 0.5
    return flat


def _visible(points: np.ndarray, seen: View) -> np.ndarray:
    """Whether each point (N,) is not behind the surface of the view, as near as its pixels tell."""
    side = len(seen.depth)
    flat = _project(points, seen)
    column, row = np.clip(np.round(flat[:, :2]).astype(int), 0, side - 1).T
    return flat[:, 2] <= seen.depth[row, column] + 2.0 * seen.radius / side
