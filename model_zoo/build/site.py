"""Where in a photo a mesh goes: the photo with its depth, the box of an object in it, and what tells that a mesh stands there.

Frame: OpenCV camera (x right, y down, z forward), the pointmap's units; pixel centres at integer coordinates.
"""

from dataclasses import dataclass

import numpy as np
from PIL import Image
from scipy.ndimage import binary_erosion, label, median_filter

from model_zoo.io.errors import BadInput
from model_zoo.io.poses import Pose
from model_zoo.io.scenes import Scene
from model_zoo.proposers.placing import camera_of
from model_zoo.render import pixel_rays

LEAST_POINTS = 60  # measured points of the object
STRAY = 1.5  # pixels that half of the points may miss their pixel by
DEPTHS = (1e-4, 1e4)  # of the unit: what a median depth may be
FLAT = 1e-3  # of the median depth: less difference than this over a whole photo is no measurement
TOUCHES = 0.15  # of its height, and NEARER of its depth: how far above a surface an object that stands on it may begin
NEARER = 0.02  # of its depth: what is notably nearer than another point
CONTACT = 0.01  # of its depth: what is nearer, or as near as makes no difference
BOTTOM = 0.1  # of the object's height in the picture


@dataclass(frozen=True)
class View:
    """A photo with depth: rgb uint8 (H,W,3), z float32 (H,W), NaN where not measured, camera K (3,3)."""

    rgb: np.ndarray
    z: np.ndarray
    K: np.ndarray

    @property
    def size(self) -> tuple[int, int]:
        """(width, height)."""
        return (self.z.shape[1], self.z.shape[0])

    def pointmap(self) -> np.ndarray:
        """Camera points (H,W,3) float32, NaN where not measured."""
        return (pixel_rays(self.K, self.size) * self.z[..., None]).astype(np.float32)

    def points(self, where: np.ndarray) -> np.ndarray:
        """Camera points (N,3) float64 of the pixels of a mask."""
        v, u = np.nonzero(where)
        z = self.z[v, u].astype(float)
        K = self.K
        return np.stack([(u - K[0, 2]) / K[0, 0] * z, (v - K[1, 2]) / K[1, 1] * z, z], 1)


def view_of(scene: Scene, side: int) -> View:
    """The photo and its pointmap with the longer side resized to `side` pixels; depth by the nearest pixel, unmixed.

    Raises BadInput for a photo without pointmap, and for one that no pinhole camera made or that is no measurement.
    """
    if scene.pointmap is None:
        raise BadInput("the photo has no depth or pointmap", "no_pointmap")
    points = scene.pointmap.points
    z = np.where(np.isfinite(points).all(-1) & (points[..., 2] > 0), points[..., 2], np.nan)
    K = _pinhole(points, None if scene.camera is None else scene.camera.matrix())
    middle = float(np.nanmedian(z))
    if not DEPTHS[0] <= middle <= DEPTHS[1]:
        raise BadInput(f"the pointmap's median depth of {middle:.3g} is beyond sense", "bad_pointmap")
    if np.nanmax(z) - np.nanmin(z) < FLAT * middle:
        raise BadInput("the pointmap is flat: every point has the same depth", "flat_pointmap")
    width, height = scene.image.size
    factor = side / max(width, height)
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    rgb = np.asarray(Image.fromarray(scene.image.rgb).resize(size, Image.Resampling.LANCZOS))
    return View(rgb, _nearest(z.astype(np.float32), size), scaled(K, (width, height), size))


def _pinhole(points: np.ndarray, K: np.ndarray | None) -> np.ndarray:
    """The K that the points belong to: the given one where it fits them, else the fitted one. Raises BadInput."""
    fitted = camera_of(points)
    for camera in (K, fitted) if K is not None else (fitted,):
        valid = np.isfinite(points).all(-1) & (points[..., 2] > 0)
        v, u = np.nonzero(valid)
        x, y, z = points[valid].T.astype(float)
        off = np.hypot(camera[0, 0] * x / z + camera[0, 2] - u, camera[1, 1] * y / z + camera[1, 2] - v)
        if np.median(off) < STRAY:
            return camera
    raise BadInput(
        f"the pointmap is not a pinhole camera's: its points miss their pixels by {np.median(off):.1f} pixels",
        "bad_pointmap",
    )


def scaled(K: np.ndarray, size: tuple[int, int], to: tuple[int, int]) -> np.ndarray:
    """K (3,3) of a (width, height) picture after it is resized; pixel centres stay at integer coordinates."""
    x, y = to[0] / size[0], to[1] / size[1]
    return np.array([[x, 0, 0.5 * x - 0.5], [0, y, 0.5 * y - 0.5], [0, 0, 1]]) @ K


def _nearest(values: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Values (H,W) of the nearest pixels in a (width, height) picture."""
    rows, columns = (
        np.minimum(((np.arange(to) + 0.5) * side / to).astype(int), side - 1)
        for to, side in zip(size[::-1], values.shape[:2], strict=True)
    )
    return values[rows[:, None], columns[None]]


def resized_mask(mask: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A mask bool (H,W) in a (width, height) picture: the pixels that are more than half covered."""
    if mask.shape == size[::-1]:
        return mask
    grey = Image.fromarray(mask.astype(np.uint8) * 255).resize(size, Image.Resampling.BOX)
    return np.asarray(grey) > 127


@dataclass(frozen=True)
class Box:
    """The 3D box of an object: `low` and `high` (3,) along the rows of `axes` (3,3): right, up, away from the camera.

    centroid (3,) of the seen points, in the camera frame. stands: its bottom is the surface that the object stands on.
    """

    axes: np.ndarray
    low: np.ndarray
    high: np.ndarray
    centroid: np.ndarray
    stands: bool


def box_of(view: View, mask: np.ndarray, plane: np.ndarray | None) -> Box:
    """The box of the object in a mask bool (H,W), upright on the plane behind it where there is one.

    plane: (a, b, c) with 1/z = a u + b v + c (inpaint.Background). Points come from the mask less its rim, without
    flying pixels (those that differ from their neighbours' median, or lie far from all others). They show the front
    only: the box reaches away from the camera at least as far as it is wide or high, the lesser of both; and down to
    the plane where the object's lowest points are near it. Raises BadInput for too few points.
    """
    rim = 2 if binary_erosion(mask, iterations=2).sum() > 0.3 * mask.sum() else 0
    inner = binary_erosion(mask, iterations=rim) if rim else mask
    points = _without_strays(view, inner & np.isfinite(view.z))
    axes, height = _upright(view.K, plane)
    along = points @ axes.T
    low, high = along.min(0), along.max(0)
    slack = rim * np.median(points[:, 2]) / view.K[0, 0]
    low[:2], high[:2] = low[:2] - slack, high[:2] + slack
    stands = False
    if plane is not None:
        above = high[1] - height
        reach = TOUCHES * above + NEARER * np.median(points[:, 2])
        stands = bool(above > 0 and np.quantile(along[:, 1], 0.02) - height < reach)
        low[1] = height if stands else max(low[1], height)
    high[2] = max(high[2], low[2] + min(high[0] - low[0], high[1] - low[1]))
    if not (high > low).all():
        raise BadInput("the object's points span no box", "no_box")
    return Box(axes, low, high, points.mean(0), stands)


def _without_strays(view: View, where: np.ndarray) -> np.ndarray:
    z = view.z
    middle = median_filter(np.where(where, z, 0), 5)
    where = where & (abs(z - middle) < 0.03 * z) if where.sum() > LEAST_POINTS else where
    if where.sum() >= LEAST_POINTS:
        low, high = np.quantile(z[where], [0.25, 0.75])
        reach = 2 * (high - low) + 0.02 * high
        where = where & (z > low - reach) & (z < high + reach)
    if where.sum() < LEAST_POINTS:
        raise BadInput(
            f"the object has {int(where.sum())} points with depth, at least {LEAST_POINTS} are needed",
            "no_object_depth",
        )
    return view.points(where)


def _upright(K: np.ndarray, plane: np.ndarray | None) -> tuple[np.ndarray, float]:
    """Axes (3,3) right, up, away; and where the plane lies along up. Without a plane, up is the picture's."""
    up, height = np.array([0.0, -1.0, 0.0]), 0.0
    if plane is not None:
        normal = np.asarray(plane) @ K
        up, height = -normal / np.linalg.norm(normal), -1 / float(np.linalg.norm(normal))
    # Away is where the camera looks, or the picture's top where it looks straight down.
    ahead = np.array([0.0, 0.0, 1.0]) if abs(up[2]) < 0.9 else np.array([0.0, -1.0, 0.0])
    away = ahead - (ahead @ up) * up
    away /= np.linalg.norm(away)
    return np.stack([np.cross(up, away) * -1, up, away]), height


def fitted(vertices: np.ndarray, R: np.ndarray, box: Box) -> tuple[Pose, float]:
    """The pose of mesh points (N,3) turned by R, as large as fits the box along all three axes; and its fill.

    It rests on the box's bottom, for things rest on something, and is in the middle otherwise: t is the centroid of the
    object as a whole, not of its seen front. fill: the share of the box's width times height that the mesh spans.
    """
    turned = vertices @ (box.axes @ R).T
    low, high = turned.min(0), turned.max(0)
    extent = np.maximum(high - low, 1e-9)
    room = box.high - box.low
    s = float((room / extent).min())
    at = (box.low + box.high) / 2 - s * (low + high) / 2
    at[1] = box.low[1] - s * low[1]
    return Pose(R, box.axes.T @ at, np.full(3, s)), float(np.prod((s * extent / room)[:2]))


def share_in_frame(vertices: np.ndarray, pose: Pose, view: View) -> float:
    """How many of the mesh's points (N,3) fall into the picture, 0 to 1; 0 where some lie behind the camera."""
    points = pose.apply(vertices)
    if points[:, 2].min() <= 0:
        return 0.0
    u, v = (points @ view.K[:2].T / points[:, 2:]).T
    width, height = view.size
    return float(((u >= -0.5) & (u < width - 0.5) & (v >= -0.5) & (v < height - 0.5)).mean())


def share_in_one(mask: np.ndarray) -> float:
    """The share of a mask's pixels that its largest connected piece has."""
    sizes = np.bincount(label(mask, np.ones((3, 3)))[0].ravel())[1:]
    return float(sizes.max() / sizes.sum()) if len(sizes) else 0.0


@dataclass(frozen=True)
class Cues:
    """What tells the depth and size of a mesh: the shares of its contour that something nearer hides, and of its bottom
    (the lowest tenth in the picture) beside which the background is nearer or touches it."""

    occluded: float
    supported: float


def cues_of(visible: np.ndarray, z: np.ndarray, scene: np.ndarray) -> Cues:
    """Cues along the contour of a mask bool (H,W). z: depth (H,W) of the mesh inside; scene: of what else is there.

    Pairs of pixels on both sides of the contour, one and three pixels outside, the nearer counts (sensors lose the very
    edge). A pair is occluded where the outside is nearer by more than 2 % of the depth. Pairs at the picture's edge
    do not exist; where nothing was measured outside, a pair counts as neither.
    """
    occluded = supported = total = bottom = 0
    rows = np.flatnonzero(visible.any(1))
    if not len(rows):
        return Cues(0.0, 0.0)
    lowest = rows[-1] - BOTTOM * (rows[-1] - rows[0] + 1)
    beyond = np.pad(np.where(visible, np.nan, scene), 3, constant_values=np.nan)
    inside = np.pad(visible, 3, constant_values=True)
    for dv, du in ((0, 1), (0, -1), (1, 0), (-1, 0)):
        v, u = np.nonzero(visible)
        edge = ~inside[v + 3 + dv, u + 3 + du]
        v, u = v[edge], u[edge]
        own = z[v, u]
        one, three = (beyond[v + 3 + k * dv, u + 3 + k * du] for k in (1, 3))
        outside = np.fmin(one, three)
        with np.errstate(invalid="ignore"):
            occluded += int((outside < own * (1 - NEARER)).sum())
            foot = (v >= lowest) & (dv == 1)
            supported += int((foot & (one < own * (1 + CONTACT))).sum())
        total += len(v)
        bottom += int(foot.sum())
    return Cues(occluded / max(total, 1), supported / max(bottom, 1))
