"""Takes an object out of a photo and its depth: what lay behind it goes on as one surface, texture is copied from beside.

Depth: a plane is a straight line in 1/z, so the surface that the object stands on is fitted there and continued; where
it ends, what is behind goes on smoothly, never nearer than the object was. Colour: an Inpainter, by default
model_zoo.build.exemplar.fill.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import binary_dilation, distance_transform_edt, median_filter

from model_zoo.build.exemplar import FRONT, REST, SUPPORT, fill, push_pull
from model_zoo.build.kinds import chance
from model_zoo.io.errors import BadInput

# What an inpainter is: (rgb uint8 (H,W,3), hole bool (H,W), regions int (H,W), plane) -> rgb with the hole filled.
# regions tell what each pixel shows, the hole's as they shall become: SUPPORT, which lies on the plane (see
# Background), and REST, which are best filled from their own kind; FRONT is nearer than the hole and gives nothing to
# it. A learned inpainter may leave regions and plane unread.
Inpainter = Callable[[np.ndarray, np.ndarray, np.ndarray, np.ndarray | None], np.ndarray]

MARGIN = 0.016  # of the photo's longer side: masks are a few pixels off, and things throw shadows
NEARER = 0.02  # by how much of its depth a thing is nearer than another, to be called so
FLAT = 0.012  # of its depth: within it a point lies on the plane
LEAST_PLANE = 0.25  # of the surroundings that the plane must explain
TRIES = 300
STRAIGHT = 0.9  # of the surroundings that a line must part rightly, to be an edge
OTHER = 0.25  # of the hole's surroundings that another object must be, to go on in it


@dataclass(frozen=True)
class Background:
    """A scene without one object: rgb uint8 (H,W,3), depth float32 (H,W), NaN where never measured and not filled.

    hole: bool (H,W), what was filled. plane: (a, b, c) with 1/z = a u + b v + c of the surface behind and under the
    object, None where nothing flat is there.
    """

    rgb: np.ndarray
    depth: np.ndarray
    hole: np.ndarray
    plane: np.ndarray | None


def without(
    rgb: np.ndarray,
    depth: np.ndarray,
    mask: np.ndarray,
    others: Sequence[np.ndarray] = (),
    *,
    inpainter: Inpainter = fill,
    margin: float = MARGIN,
) -> Background:
    """The scene without the object of `mask` bool (H,W). depth float (H,W), its gaps closed by `close_gaps`.

    others: masks of other objects, which are not copied into the hole unless they are much of what surrounds it.
    margin: by how much more than the mask is taken out, of the photo's longer side. Raises BadInput for an empty mask.
    """
    if not mask.any():
        raise BadInput("the mask is empty", "empty_mask")
    reach = max(2, round(margin * max(mask.shape)))
    own = _own_depth(depth, mask)
    nearer = ~mask & (depth < own * (1 - NEARER))
    objects = np.any(others, axis=0) if len(others) else np.zeros_like(mask)
    around = binary_dilation(mask, iterations=reach) & ~nearer & ~objects
    hole = mask | around | binary_dilation(mask, iterations=2)
    beside = binary_dilation(hole, iterations=4) & ~hole
    small = [other for other in others if (other & beside).sum() < OTHER * beside.sum()]
    aside = np.any(small, axis=0) if small else np.zeros_like(mask)
    window = _window(hole, mask.shape)
    part = tuple(a[window] for a in (depth, own, hole, mask, nearer, objects, aside))
    plane, regions, behind = _behind(*part)
    filled, labels, colours = depth.copy(), np.where(nearer, FRONT, REST), rgb.copy()
    filled[window] = np.where(part[2], behind, part[0])
    labels[window] = regions
    labels[aside & ~hole] = FRONT
    colours[window] = inpainter(rgb[window], part[2], labels[window], plane)
    if plane is not None:
        v, u = window[0].start, window[1].start
        plane = plane - [0, 0, plane[0] * u + plane[1] * v]
    return Background(colours, filled, hole, plane)


def close_gaps(rgb: np.ndarray, depth: np.ndarray, reach: int = 14) -> np.ndarray:
    """depth (H,W) with speckles taken out and gaps of up to `reach` pixels closed from neighbours of like colour.

    A gap between two surfaces is shared out along the edge that the photo shows. What lies farther inside a gap
    stays NaN.
    """
    z = np.where(depth > 0, depth, np.nan).astype(np.float32)
    middle = median_filter(np.nan_to_num(z, nan=0), 5)
    z[(middle > 0) & (abs(z - middle) > 0.05 * middle)] = np.nan
    colours = np.pad(rgb.astype(np.float32), ((1, 1), (1, 1), (0, 0)), mode="edge")
    z = np.pad(z, 1, constant_values=np.nan)
    ways = [(0, 1), (0, -1), (1, 0), (-1, 0)]
    for _ in range(reach):
        empty = np.isnan(z)
        empty[0] = empty[-1] = empty[:, 0] = empty[:, -1] = False
        v, u = np.nonzero(empty & binary_dilation(~np.isnan(z)))
        if not len(v):
            break
        best, value = np.full(len(v), np.inf, np.float32), np.full(len(v), np.nan, np.float32)
        for dv, du in ways:
            near = z[v + dv, u + du]
            off = abs(colours[v, u] - colours[v + dv, u + du]).sum(1)
            better = ~np.isnan(near) & (off < best)
            best, value = np.where(better, off, best), np.where(better, near, value)
        z[v, u] = value
    return z[1:-1, 1:-1]


def _own_depth(depth: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The object's depth, carried on beyond its mask: of the nearest pixel well inside it that has one."""
    inside = mask & np.isfinite(depth)
    core = distance_transform_edt(mask) > 2
    seeds = inside & core if (inside & core).any() else inside
    if not seeds.any():
        return np.full(depth.shape, np.nan, np.float32)
    row, column = distance_transform_edt(~seeds, return_distances=False, return_indices=True)
    return depth[row, column]


def _window(hole: np.ndarray, shape: tuple[int, ...]) -> tuple[slice, slice]:
    rows, columns = np.flatnonzero(hole.any(1)), np.flatnonzero(hole.any(0))
    margin = 24 + max(np.ptp(rows), np.ptp(columns)) // 2
    return tuple(
        slice(max(0, int(i[0]) - margin), min(side, int(i[-1]) + margin + 1))
        for i, side in zip((rows, columns), shape, strict=True)
    )


def _behind(
    depth: np.ndarray,
    own: np.ndarray,
    hole: np.ndarray,
    mask: np.ndarray,
    nearer: np.ndarray,
    objects: np.ndarray,
    aside: np.ndarray,
) -> tuple[np.ndarray | None, np.ndarray, np.ndarray]:
    """plane or None, regions (h,w), and the depth (h,w) of what lies behind the hole."""
    inverse = 1 / depth
    known = ~hole & ~nearer & np.isfinite(depth)
    regions = np.where(nearer & ~hole, FRONT, REST)
    if not known.any():
        return None, regions, np.where(mask, np.nan, depth)
    v, u = np.mgrid[: depth.shape[0], : depth.shape[1]]
    plane = _plane(u, v, inverse, known & ~objects, mask & np.isfinite(own), 1 / own)
    flat = np.zeros(depth.shape, np.float32)
    on = np.zeros(depth.shape, bool)
    if plane is not None:
        flat = (plane[0] * u + plane[1] * v + plane[2]).astype(np.float32)
        on = ~hole & (abs(inverse - flat) < FLAT * abs(flat))
        goes_on = _reach_of(on, known & ~aside | on, hole)
        regions = np.where(np.where(hole, goes_on, on) & (flat > 0), SUPPORT, regions)
    rest = known & ~on
    far = push_pull(inverse[..., None], rest if rest.any() else known)[..., 0]
    far = np.where(np.isfinite(own), np.minimum(far, 1 / own), far)
    if plane is not None:
        bent = push_pull((inverse - flat)[..., None], on)[..., 0]
        far = np.where(regions == SUPPORT, np.maximum(flat + bent, 1e-6), far)
    return plane, regions, (1 / far).astype(np.float32)


def _reach_of(on: np.ndarray, known: np.ndarray, hole: np.ndarray) -> np.ndarray:
    """How far (h,w) a surface that is seen at `on`, of what is `known`, goes on in the hole.

    Surfaces end at straight lines where they can: the line that parts what is on from what is not around the hole (by
    logistic regression), if it is right for nearly all; else what is on nearby decides.
    """
    around = known & (distance_transform_edt(~hole) < 6 + 0.25 * np.sqrt(hole.sum()))
    v, u = np.nonzero(around)
    seen = on[v, u]
    if seen.any() and not seen.all():
        height, width = on.shape
        line = np.zeros(3)
        A = np.stack([u / width - 0.5, v / height - 0.5, np.ones(len(u))], 1)
        for _ in range(12):
            p = 1 / (1 + np.exp(-np.clip(A @ line, -30, 30)))
            H = (A * (p * (1 - p))[:, None]).T @ A + 1e-2 * np.eye(3)
            line += np.linalg.solve(H, A.T @ (seen - p) - 1e-2 * line)
        if np.mean((A @ line > 0) == seen) > STRAIGHT:
            v, u = np.mgrid[:height, :width]
            return line[0] * (u / width - 0.5) + line[1] * (v / height - 0.5) + line[2] > 0
    return push_pull(on[..., None].astype(np.float32), known)[..., 0] > 0.5


def _plane(
    u: np.ndarray, v: np.ndarray, inverse: np.ndarray, known: np.ndarray, mask: np.ndarray, own: np.ndarray
) -> np.ndarray | None:
    """(a, b, c) of the plane that most of the surroundings lie on, those below most, behind the object, by RANSAC."""
    near = known & (distance_transform_edt(~mask) < 8 + 0.5 * np.sqrt(max(mask.sum(), 1)))
    at = np.flatnonzero(near)
    body = np.flatnonzero(distance_transform_edt(mask) > 2)
    if len(at) < 50 or len(body) < 10:
        return None
    at, body = at[:: 1 + len(at) // 1000], body[:: 1 + len(body) // 300]
    design = lambda i: np.stack([u.flat[i], v.flat[i], np.ones(len(i))], 1).astype(float)  # noqa: E731
    A, y, B, front = design(at), inverse.flat[at].astype(float), design(body), own.flat[body].astype(float)
    picks = chance(0, "plane").integers(0, len(at), (TRIES, 3))
    corners = A[picks]
    usable = abs(np.linalg.det(corners)) > 20
    if not usable.any():
        return None
    planes = np.linalg.solve(corners[usable], y[picks[usable]][..., None])[..., 0]
    guess = planes @ A.T
    counts = 1 + 2.0 * (v.flat[at] > np.median(v.flat[body]))
    agree = (abs(guess - y) < FLAT * abs(y)) @ counts / counts.sum()
    # What hides the plane is nearer: 1/z of the object is larger, but for its foot and the noise.
    hidden = (planes @ B.T < front * (1 + NEARER)).mean(1)
    score = np.where(hidden > 0.9, agree, 0)
    plane = planes[np.argmax(score)]
    if score.max() < LEAST_PLANE:
        return None
    for _ in range(3):
        on = abs(A @ plane - y) < FLAT * abs(y)
        plane = np.linalg.lstsq(A[on], y[on], rcond=None)[0]
    return plane
