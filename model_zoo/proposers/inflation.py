"""Inflation: a silhouette blown up into a closed mesh, the photo projected on it, the back its mirror image.

The shape is the level set u(x, y) = |z|^p: u is the height of a soap skin over the mask (Poisson) mixed with the round
cross-section of every row (Blinn's circle), so that the outline is the mask's and front and back meet smoothly.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import fast_simplification
import numpy as np
import trimesh
from PIL import Image
from scipy import ndimage, sparse
from scipy.sparse.linalg import spsolve
from skimage.measure import label, marching_cubes
from trimesh.visual.material import PBRMaterial
from trimesh.visual.texture import TextureVisuals

from model_zoo.io.errors import BadInput
from model_zoo.io.frames import between
from model_zoo.io.poses import Pose
from model_zoo.proposers.interface import ObjectInput, Proposal
from model_zoo.proposers.placing import camera_of, object_depth, towards

GRID = 84  # cells along the longer side of the mask
MARGIN = 3
TEXTURE_SIDE = 512
FACES = 16_000
FRAME_FLIP = between("opengl", "opencv")  # camera (y down, z forward) <-> mesh (y up, z towards the camera)


@dataclass(frozen=True)
class Form:
    """How a silhouette swells: share of round rows, depth relative to roundness, edge power, share of the back.

    `measured`: the visible side takes the relief of the pointmap instead.
    """

    roundness: float
    thickness: float
    power: float
    back: float
    measured: bool = False


MEASURED = Form(0.5, 0.9, 2.0, 1.0, measured=True)
TYPICAL = (
    Form(0.5, 0.9, 2.0, 1.0),
    Form(1.0, 1.0, 2.0, 1.0),
    Form(0.0, 0.7, 2.0, 1.0),
    Form(0.2, 0.55, 3.0, 1.0),
)


class Inflation:
    """The proposer: forms that are typical first, then forms drawn from the seed."""

    name = "inflation"

    def propose(self, obj: ObjectInput, *, seed: int, count: int) -> list[Proposal]:
        """At most `count` proposals, typical forms first. Raises BadInput on an empty mask or pointmap."""
        started = time.perf_counter()
        K = camera_of(obj.pointmap)
        silhouette = Silhouette.of(obj.mask)
        depth = object_depth(obj.mask, obj.pointmap)
        texture = _texture(obj.rgb, obj.mask, silhouette)
        relief = Relief.of(obj, silhouette)
        typical = TYPICAL if relief is None else (MEASURED, *TYPICAL)
        rng = np.random.default_rng(seed)
        proposals = []
        for number in range(count):
            form = typical[number] if seed == 0 and number < len(typical) else _form(rng, relief is not None)
            cells = silhouette.inflate(form)
            z = _depth_of(cells, silhouette, form, relief, depth, np.mean(np.diag(K)[:2]))
            mesh, pose = _posed(cells, z, silhouette, texture, K, towards(obj.mask, K))
            now = time.perf_counter()
            proposals.append(Proposal(mesh, pose, score=_score(form), seconds=now - started))
            started = now
        return proposals


def _form(rng: np.random.Generator, relief: bool) -> Form:
    measured = relief and rng.random() < 0.5
    return Form(
        rng.uniform(0, 1),
        rng.uniform(0.45, 1.15),
        rng.choice([2.0, 2.0, 3.0]),
        rng.uniform(0.6, 1.0),
        measured,
    )


def _score(form: Form) -> float:
    # No truth is known here; forms far from a full, symmetric body are seldom right.
    return float(
        0.5
        + 0.1 * form.measured
        - 0.15 * abs(form.thickness - 0.9)
        - 0.1 * abs(form.roundness - 0.5)
        - 0.1 * (1 - form.back)
    )


@dataclass(frozen=True)
class Silhouette:
    """A mask resampled to cells: `inside` smooth share 0..1 (h,w); its corner (u, v) in the photo and cell size in pixels."""

    inside: np.ndarray
    corner: np.ndarray
    step: float

    @classmethod
    def of(cls, mask: np.ndarray) -> Silhouette:
        """Resamples the mask (H,W); specks below 2 percent of the largest part are left out."""
        parts = label(mask)
        if not parts.max():
            raise BadInput("the mask is empty", "empty_mask")
        sizes = np.bincount(parts.ravel())[1:]
        mask = np.isin(parts, 1 + np.flatnonzero(sizes >= 0.02 * sizes.max()))
        rows, columns = np.nonzero(mask)
        low = np.array([columns.min(), rows.min()])
        span = np.array([np.ptp(columns), np.ptp(rows)]) + 1
        step = span.max() / GRID
        width, height = np.ceil(span / step).astype(int) + 2 * MARGIN
        corner = low - MARGIN * step
        v, u = np.meshgrid(np.arange(height), np.arange(width), indexing="ij")
        at = [corner[1] + (v + 0.5) * step - 0.5, corner[0] + (u + 0.5) * step - 0.5]
        soft = ndimage.gaussian_filter(mask.astype(np.float32), 0.45 * max(step, 1.0))
        return cls(ndimage.map_coordinates(soft, at, order=1, mode="constant"), corner, float(step))

    def inflate(self, form: Form) -> trimesh.Trimesh:
        """The closed mesh in cells: x right, y down along the grid, z away from the camera, 0 in the outline's plane."""
        inside = self.inside > 0.5
        u = (1 - form.roundness) * _soap_skin(inside) + form.roundness * _round_rows(inside)
        u = np.where(ndimage.binary_erosion(inside, iterations=2), ndimage.gaussian_filter(u, 0.8), u)
        # The zero of u must lie between the cells, where the soft mask has its half.
        edge = 6 * (self.inside - 0.5)
        u = np.where(
            inside, np.minimum(u, np.where(edge < 2, np.maximum(edge, 0.02), u)), np.minimum(edge, -0.02)
        )
        u = np.pad(u, 1, constant_values=-4.0)
        top = np.sqrt(max(u.max(), 1.0)) * form.thickness
        z = np.arange(-np.ceil(top) - 2, np.ceil(top) + 3)
        reach = np.where(z < 0, 1.0, form.back) * form.thickness
        lift = np.abs(z / reach)
        scale = top / form.thickness
        curve = scale**2 * (lift / scale) ** form.power
        field = u[..., None] - curve[None, None]
        vertices, faces, _, _ = marching_cubes(field.astype(np.float32), 0.0)
        if len(faces) > FACES:
            vertices, faces = fast_simplification.simplify(
                vertices, faces.astype(np.int32), 1 - FACES / len(faces)
            )
        vertices = np.column_stack([vertices[:, 1] - 1, vertices[:, 0] - 1, vertices[:, 2] + z[0]])
        return trimesh.Trimesh(vertices, faces, process=False)


def _soap_skin(inside: np.ndarray) -> np.ndarray:
    """Squared heights (h,w) in cells: the Poisson solution of constant load, 4 at the unit disc's rate."""
    index = np.full(inside.shape, -1)
    index[inside] = np.arange(inside.sum())
    rows, columns = np.nonzero(inside)
    entries = [
        sparse.coo_matrix((np.full(len(rows), 4.0), (index[inside], index[inside])), shape=(len(rows),) * 2)
    ]
    for dy, dx in ((0, 1), (1, 0), (0, -1), (-1, 0)):
        # The grid has a margin, so a neighbour is always on it.
        neighbour = index[rows + dy, columns + dx]
        both = neighbour >= 0
        entries.append(
            sparse.coo_matrix(
                (-np.ones(both.sum()), (index[inside][both], neighbour[both])), shape=(len(rows),) * 2
            )
        )
    heights = np.zeros(inside.shape)
    # On a disc of radius r this gives r^2 - d^2, the squared height of a ball.
    heights[inside] = spsolve(sum(entries).tocsc(), np.full(len(rows), 4.0))
    return heights


def _round_rows(inside: np.ndarray) -> np.ndarray:
    """Squared heights (h,w) in cells where every run of a row gets a circular cross-section."""
    padded = np.pad(inside, ((0, 0), (1, 1)))
    columns = np.arange(padded.shape[1])
    starts = np.maximum.accumulate(np.where(padded, 0, columns[None]), axis=1)
    ends = np.minimum.accumulate(np.where(padded, padded.shape[1], columns[None])[:, ::-1], axis=1)[:, ::-1]
    heights = (columns[None] - starts) * (ends - columns[None]) * padded
    return ndimage.gaussian_filter(heights[:, 1:-1].astype(float), (1.2, 0.0)) * inside


def _texture(rgb: np.ndarray, mask: np.ndarray, silhouette: Silhouette) -> Image.Image:
    """The photo under the silhouette's grid; colours outside the mask are those of the nearest pixel well inside."""
    core = ndimage.binary_erosion(mask, iterations=2) if mask.sum() > 2500 else mask
    core = core if core.any() else mask
    nearest = ndimage.distance_transform_edt(~core, return_distances=False, return_indices=True)
    filled = rgb[nearest[0], nearest[1]]
    span = np.array(silhouette.inside.shape[::-1]) * silhouette.step
    width, height = np.maximum(np.round(span * min(1.0, TEXTURE_SIDE / span.max())).astype(int), 4)
    left, top = silhouette.corner
    box = (left, top, left + span[0], top + span[1])
    return Image.fromarray(filled).transform(
        (int(width), int(height)), Image.Transform.EXTENT, box, Image.Resampling.BILINEAR
    )


@dataclass(frozen=True)
class Relief:
    """Measured depth (h,w) on the silhouette's cells, smooth and without holes, and the plane (h,w) that lies in it."""

    depth: np.ndarray
    plane: np.ndarray

    @classmethod
    def of(cls, obj: ObjectInput, silhouette: Silhouette) -> Relief | None:
        """The relief of the object's points; None when they are a card facing the camera, too few, or a jumble."""
        z, valid = _sampled(obj, silhouette)
        if valid.sum() < 0.3 * (silhouette.inside > 0.5).sum():
            return None
        low, high = np.percentile(z[valid], [2, 97])
        across = np.ptp(obj.pointmap[obj.mask & np.isfinite(obj.pointmap[..., 2])][:, :2], axis=0).max()
        if not 0.02 * across < high - low < 1.5 * across:
            return None
        nearest = ndimage.distance_transform_edt(~valid, return_distances=False, return_indices=True)
        filled = np.clip(z[nearest[0], nearest[1]], low, high)
        smooth = ndimage.gaussian_filter(ndimage.median_filter(filled, 5), 0.8)
        v, u = np.indices(smooth.shape)
        known = np.column_stack([np.ones(valid.sum()), u[valid], v[valid]])
        fitted = np.linalg.lstsq(known, smooth[valid], rcond=None)[0]
        return cls(smooth, fitted[0] + fitted[1] * u + fitted[2] * v)


def _sampled(obj: ObjectInput, silhouette: Silhouette) -> tuple[np.ndarray, np.ndarray]:
    """The pointmap's depth (h,w) under the silhouette's cells, and where it is the object's."""
    v, u = np.indices(silhouette.inside.shape)
    row = np.floor(silhouette.corner[1] + (v + 0.5) * silhouette.step).astype(int)
    column = np.floor(silhouette.corner[0] + (u + 0.5) * silhouette.step).astype(int)
    height, width = obj.mask.shape
    on_photo = (row >= 0) & (row < height) & (column >= 0) & (column < width)
    row, column = np.clip(row, 0, height - 1), np.clip(column, 0, width - 1)
    z = obj.pointmap[row, column, 2].astype(float)
    return z, on_photo & obj.mask[row, column] & np.isfinite(z) & (z > 0)


def _depth_of(
    cells: trimesh.Trimesh,
    silhouette: Silhouette,
    form: Form,
    relief: Relief | None,
    depth: float,
    focal: float,
) -> np.ndarray:
    """Camera depth (V,) of the inflated vertices; the visible surface, not the outline's plane, has the measured one."""
    front = cells.vertices[:, 2]
    pace = silhouette.step * depth / focal  # metres per cell
    if relief is None:
        return np.maximum(depth + pace * (front - np.median(front[front < 0])), 0.05 * depth)
    at = [cells.vertices[:, 1], cells.vertices[:, 0]]
    seen, plane = (
        ndimage.map_coordinates(grid, at, order=1, mode="nearest") for grid in (relief.depth, relief.plane)
    )
    if not form.measured:
        return np.maximum(plane + pace * (front - np.median(front[front < 0])), 0.05 * depth)
    inside = silhouette.inside > 0.5
    rim = plane + np.percentile((relief.depth - relief.plane)[inside], 95)
    # Front and back part at the outline within three cells; a flat front still gets some body.
    half = np.maximum(rim - seen, 0.4 * pace * np.abs(front)) * np.clip(np.abs(front) / 3, 0, 1)
    return np.where(front < 0, rim - half, rim + form.back * half)


def _posed(
    cells: trimesh.Trimesh,
    z: np.ndarray,
    silhouette: Silhouette,
    texture: Image.Image,
    K: np.ndarray,
    ray: np.ndarray,
) -> tuple[trimesh.Trimesh, Pose]:
    """The textured y-up mesh of unit size and its pose: every vertex lies on the ray of its cell in the photo."""
    uv = cells.vertices[:, :2] + 0.5
    pixel = silhouette.corner + uv * silhouette.step - 0.5
    camera = np.column_stack([(pixel - K[:2, 2]) / np.diag(K)[:2], np.ones(len(pixel))]) * z[:, None]
    R = ray @ FRAME_FLIP
    local = camera @ R
    middle = (local.min(0) + local.max(0)) / 2
    size = float(np.ptp(local, axis=0).max())
    grid = np.array(silhouette.inside.shape[::-1])
    visual = TextureVisuals(
        uv=np.column_stack([uv[:, 0] / grid[0], 1 - uv[:, 1] / grid[1]]),
        material=PBRMaterial(baseColorTexture=texture, roughnessFactor=0.9, metallicFactor=0.0),
    )
    mesh = trimesh.Trimesh((local - middle) / size, cells.faces, visual=visual, process=False)
    if mesh.volume < 0:
        mesh.invert()
    return mesh, Pose(R=R, t=R @ middle, s=np.full(3, size))
