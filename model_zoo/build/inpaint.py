"""Takes an object out of a photo and its depth: what lay behind it goes on as one surface, texture is copied from beside.

Depth: a plane is a straight line in 1/z, so the surface that the object stands on is fitted there and continued; where
it ends, what is behind goes on smoothly, never nearer than the object was. Colour: exemplar filling from coarse to
fine (Wexler, Shechtman and Irani, "Space-time completion of video", 2007), with an exact search on coarse levels.
Searches compare whole numbers only, so that no two machines choose differently.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.fft import irfft2, next_fast_len, rfft2
from scipy.ndimage import binary_dilation, distance_transform_edt, median_filter

from model_zoo.build.kinds import chance

FRONT, SUPPORT, REST = 0, 1, 2

# What an inpainter is: (rgb uint8 (H,W,3), hole bool (H,W), regions int (H,W), plane) -> rgb with the hole filled.
# regions tell what each pixel shows, the hole's as they shall become: SUPPORT, which lies on the plane (see
# Background), and REST, which are best filled from their own kind; FRONT is nearer than the hole and gives nothing to
# it. A learned inpainter may leave regions and plane unread.
Inpainter = Callable[[np.ndarray, np.ndarray, np.ndarray, np.ndarray | None], np.ndarray]

EDGE = 2  # pixels
MOST_PIXELS = 2000  # of the hole on the level where shifts are chosen
LEAST_SOURCES = 150  # pixels
RING = 4  # pixels around the hole that are compared
SECTORS, KEPT = 6, 3  # parts of the ring, and shifts kept for each
COVER = 900.0  # squared grey values that a shift which covers nothing of the hole is worse by
LADDER = (400.0, 800.0, 800.0, 1600.0, 1600.0, 3200.0, 3200.0, np.inf, np.inf)  # squared grey values, round by round
MOST_PLACES = 16_000
MOST_OFF = 6000.0  # squared grey values: what differs more is simply different
MOST_STEP = 3 * 40.0**2
NEARER = 0.02  # by how much of its depth a thing is nearer than another, to be called so
FLAT = 0.012  # of its depth: within it a point lies on the plane
LEAST_PLANE = 0.25  # of the surroundings that the plane must explain
TRIES = 300
OTHER = 0.4  # of the hole's surroundings that another object must be, to go on in it
LEAST_TILT = 0.4  # how much smaller than at the hole a thing on the plane may look to be copied from there


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
    inpainter: Inpainter | None = None,
) -> Background:
    """The scene without the object of `mask` bool (H,W). depth float (H,W), its gaps closed by `close_gaps`.

    others: masks of other objects, which are not copied into the hole unless they are most of what surrounds it.
    """
    reach = max(3, round(0.012 * max(mask.shape)))
    own = _own_depth(depth, mask)
    nearer = ~mask & (depth < own * (1 - NEARER))
    hole = mask | (binary_dilation(mask, iterations=reach) & ~nearer) | binary_dilation(mask)
    window = _window(hole, mask.shape)
    part = tuple(a[window] for a in (depth, own, hole, mask, nearer))
    plane, regions, behind = _behind(*part)
    filled, labels = depth.copy(), np.where(nearer, FRONT, REST)
    filled[window] = np.where(part[2], behind, part[0])
    labels[window] = regions
    colours = rgb.copy()
    around = binary_dilation(hole, iterations=4) & ~hole
    for other in others:
        if (other & around).sum() < OTHER * around.sum():
            labels[other & ~hole] = FRONT
    colours[window] = (inpainter or fill)(rgb[window], part[2], labels[window], plane)
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
    depth: np.ndarray, own: np.ndarray, hole: np.ndarray, mask: np.ndarray, nearer: np.ndarray
) -> tuple[np.ndarray | None, np.ndarray, np.ndarray]:
    """plane or None, regions (h,w), and the depth (h,w) of what lies behind the hole."""
    inverse = 1 / depth
    known = ~hole & ~nearer & np.isfinite(depth)
    regions = np.where(nearer & ~hole, FRONT, REST)
    if not known.any():
        return None, regions, np.where(mask, np.nan, depth)
    v, u = np.mgrid[: depth.shape[0], : depth.shape[1]]
    plane = _plane(u, v, inverse, known, mask & np.isfinite(own), 1 / own)
    flat = np.zeros(depth.shape, np.float32)
    on = np.zeros(depth.shape, bool)
    if plane is not None:
        flat = (plane[0] * u + plane[1] * v + plane[2]).astype(np.float32)
        on = ~hole & (abs(inverse - flat) < FLAT * abs(flat))
        share = push_pull(on[..., None].astype(np.float32), known | on)[..., 0]
        regions = np.where(np.where(hole, share > 0.5, on) & (flat > 0), SUPPORT, regions)
    rest = known & ~on
    far = push_pull(inverse[..., None], rest if rest.any() else known)[..., 0]
    far = np.where(np.isfinite(own), np.minimum(far, 1 / own), far)
    if plane is not None:
        bent = push_pull((inverse - flat)[..., None], on)[..., 0]
        far = np.where(regions == SUPPORT, np.maximum(flat + bent, 1e-6), far)
    return plane, regions, (1 / far).astype(np.float32)


def _plane(
    u: np.ndarray, v: np.ndarray, inverse: np.ndarray, known: np.ndarray, mask: np.ndarray, own: np.ndarray
) -> np.ndarray | None:
    """(a, b, c) of the plane that most of the surroundings lie on and that is behind the object, by RANSAC."""
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
    agree = (abs(guess - y) < FLAT * abs(y)).mean(1)
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


def push_pull(values: np.ndarray, known: np.ndarray) -> np.ndarray:
    """values float (h,w,C) where `known` (h,w) is false: means of what is known nearby, smooth, by a pyramid."""
    weight = known.astype(np.float32)
    total = np.where(known[..., None], values, 0).astype(np.float32)
    return np.where(known[..., None], values, _pulled(total, weight)).astype(np.float32)


def _pulled(total: np.ndarray, weight: np.ndarray) -> np.ndarray:
    mean = total / np.maximum(weight, 1e-12)[..., None]
    if min(weight.shape) <= 1 or weight.all():
        return mean
    coarse = _pulled(*_halved(total, weight))
    wide = _doubled(coarse, weight.shape)
    solid = np.minimum(weight, 1)[..., None]
    return solid * mean + (1 - solid) * wide


def _halved(total: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sums of 2 x 2 cells; a cell's weight is at most 1."""
    edge = [(0, side % 2) for side in weight.shape]
    total, weight = np.pad(total, [*edge, (0, 0)]), np.pad(weight, edge)
    total = total[::2, ::2] + total[1::2, ::2] + total[::2, 1::2] + total[1::2, 1::2]
    weight = weight[::2, ::2] + weight[1::2, ::2] + weight[::2, 1::2] + weight[1::2, 1::2]
    most = np.minimum(weight, 1)
    return total * (most / np.maximum(weight, 1e-12))[..., None], most


def _doubled(values: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Values (h,w,C) at twice the resolution, between the four nearest cells, cut to `shape`."""
    for axis in (0, 1):
        before = np.concatenate([values.take([0], axis), values.take(range(values.shape[axis] - 1), axis)], axis)
        after = np.concatenate([values.take(range(1, values.shape[axis]), axis), values.take([-1], axis)], axis)
        pair = np.stack([0.75 * values + 0.25 * before, 0.75 * values + 0.25 * after], axis + 1)
        values = pair.reshape(*values.shape[:axis], -1, *values.shape[axis + 1 :])
    return values[: shape[0], : shape[1]]


def fill(rgb: np.ndarray, hole: np.ndarray, regions: np.ndarray, plane: np.ndarray | None) -> np.ndarray:
    """The built-in inpainter: see the module and `Inpainter`."""
    if plane is not None and (hole & (regions == SUPPORT)).any():
        rgb, done = _fill_support(rgb, hole, regions, plane)
        hole = hole & ~done
    return _completed(rgb, hole, regions) if hole.any() else rgb


def _fill_support(
    rgb: np.ndarray, hole: np.ndarray, regions: np.ndarray, plane: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """rgb with the part of the hole on the plane filled as if seen without perspective, and which part that is.

    (u, v) / (a u + b v + c) is the plane up to an affine map: what repeats on it repeats at equal steps there.
    """
    wanted = hole & (regions == SUPPORT)
    v0, u0 = (float(np.mean(i)) for i in np.nonzero(wanted))
    a, b, w0 = plane[0], plane[1], plane[0] * u0 + plane[1] * v0 + plane[2]
    v, u = np.nonzero((regions == SUPPORT) & (distance_transform_edt(~wanted) < 24 + np.sqrt(wanted.sum())))
    tilt = (a * (u - u0) + b * (v - v0)) / w0 + 1
    near = (tilt > LEAST_TILT) & (tilt < 1 / LEAST_TILT)
    done = wanted & _placed(wanted.shape, v[near], u[near])
    if not done.any():
        return rgb, done
    x, y = ((u - u0) / tilt)[near], ((v - v0) / tilt)[near]
    low = np.floor([y.min(), x.min()]) - 1
    high = np.minimum(np.ceil([y.max(), x.max()]) + 2, low + 2 * max(hole.shape))
    Y, X = np.mgrid[low[0] : high[0], low[1] : high[1]]
    back = 1 - (a * X + b * Y) / w0
    back = np.where(back > LEAST_TILT, back, np.nan)
    at = np.stack([Y / back + v0, X / back + u0], -1)
    inside = ((at >= 0) & (at <= np.array(hole.shape) - 1)).all(-1)
    cell = np.where(inside[..., None], np.rint(at), 0).astype(int)
    kind = np.where(inside, regions[cell[..., 0], cell[..., 1]], FRONT)
    gone = inside & hole[cell[..., 0], cell[..., 1]]
    flat = _sampled(rgb.astype(np.float32), np.where(inside[..., None], at, 0))
    kind = np.where(kind == SUPPORT, SUPPORT, FRONT)
    filled = _completed(np.rint(flat).astype(np.uint8), gone & (kind == SUPPORT), kind)
    v, u = np.nonzero(done)
    tilt = (a * (u - u0) + b * (v - v0)) / w0 + 1
    there = np.stack([(v - v0) / tilt - low[0], (u - u0) / tilt - low[1]], -1)
    there = np.clip(there, 0, np.array(filled.shape[:2]) - 1)
    out = rgb.copy()
    out[done] = np.rint(_sampled(filled.astype(np.float32), there)).astype(np.uint8)
    return out, done


def _placed(shape: tuple[int, ...], v: np.ndarray, u: np.ndarray) -> np.ndarray:
    out = np.zeros(shape, bool)
    out[v, u] = True
    return out


def _sampled(values: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Values (h,w,C) between their four nearest pixels at places (...,2), row before column, all inside."""
    low = np.clip(np.floor(at).astype(int), 0, np.maximum(np.array(values.shape[:2]) - 2, 0))
    f = np.clip(at - low, 0, 1).astype(np.float32)[..., None]
    v, u = low[..., 0], low[..., 1]
    top = values[v, u] * (1 - f[..., 1, :]) + values[v, u + 1] * f[..., 1, :]
    bottom = values[v + 1, u] * (1 - f[..., 1, :]) + values[v + 1, u + 1] * f[..., 1, :]
    return top * (1 - f[..., 0, :]) + bottom * f[..., 0, :]


def _completed(rgb: np.ndarray, hole: np.ndarray, regions: np.ndarray) -> np.ndarray:
    """Fills the hole with pieces of the picture moved by a few shifts, chosen on a coarse level, applied on the finest."""
    # Beside a thing in front the photo's edge and that of the depth are a little apart.
    front = binary_dilation(regions == FRONT, iterations=EDGE)
    levels = [_Level(rgb, hole, np.where(front, FRONT, regions))]
    while levels[-1].hole.sum() > MOST_PIXELS or levels[-1].hole.size > MOST_PLACES:
        levels.append(levels[-1].half())
    level, number = levels[-1], len(levels) - 1
    shift = np.zeros((*level.hole.shape, 2), int)
    for most in LADDER:
        level.add(shift, most)
    return levels[0].moved(shift, number)


class _Level:
    """One resolution: colours (h,w,3), where they are missing, and what kind of thing each pixel shows."""

    def __init__(self, rgb: np.ndarray, hole: np.ndarray, regions: np.ndarray) -> None:
        self.rgb, self.hole, self.regions = rgb.astype(np.float32), hole.copy(), regions
        self.known = ~hole & (regions != FRONT)

    def half(self) -> "_Level":
        known = self.known.astype(np.float32)
        total, weight = _halved(self.rgb * known[..., None], known)
        hole, front = (_share(a) > 0.25 for a in (self.hole, (self.regions == FRONT) & ~self.hole))
        support = _share(self.regions == SUPPORT) >= 0.5
        regions = np.where(front & ~hole, FRONT, np.where(support, SUPPORT, REST))
        return _Level(np.rint(total / np.maximum(weight, 1e-12)[..., None]), hole, regions)

    def add(self, shift: np.ndarray, most: float) -> None:
        """Fills what it can of the hole at a cost of at most `most`, noting in shift (h,w,2) where pixels came from."""
        for region in np.unique(self.regions[self.hole]):
            usable = self.known & (self.regions == region)
            missing = self.hole & (self.regions == region)
            usable = usable if usable.sum() >= LEAST_SOURCES else self.known
            self._add(shift, missing, usable, most)

    def _add(self, shift: np.ndarray, missing: np.ndarray, usable: np.ndarray, most: float) -> None:
        ring = self.known & binary_dilation(missing, iterations=RING)
        shifts = self._candidates(missing, ring, usable) if ring.any() and usable.any() else ()
        if not len(shifts):
            return
        v, u = np.nonzero(ring | missing)
        off = np.full((len(shifts), *missing.shape), np.inf, np.float32)
        for n, (dv, du) in enumerate(shifts):
            rows, columns = v + dv, u + du
            inside = (rows >= 0) & (rows < missing.shape[0]) & (columns >= 0) & (columns < missing.shape[1])
            inside[inside] = usable[rows[inside], columns[inside]]
            a, b = (v[inside], u[inside]), (rows[inside], columns[inside])
            off[n][a] = np.minimum(((self.rgb[a] - self.rgb[b]) ** 2).sum(1), MOST_OFF)
        matched = np.isfinite(off) & ring
        cost = np.stack([push_pull(np.where(m, o, 0)[..., None], m)[..., 0] for o, m in zip(off, matched)])
        cost = np.where(np.isfinite(off), np.rint(cost), np.inf)
        choice = cost.argmin(0)
        done = missing & (cost.min(0) < most)
        v, u = np.nonzero(done)
        dv, du = shifts[choice[done]].T
        shift[v, u] = np.stack([dv, du], 1) + shift[v + dv, u + du]
        self.rgb[v, u] = self.rgb[v + dv, u + du]
        self.known[done], self.hole[done] = True, False

    def _candidates(self, missing: np.ndarray, ring: np.ndarray, usable: np.ndarray) -> np.ndarray:
        """Shifts (K,2) under which parts of the ring look most like themselves, by correlation over all shifts."""
        height, width = missing.shape
        size = tuple(next_fast_len(2 * side - 1, real=True) for side in missing.shape)
        there = lambda a: rfft2(a, size)  # noqa: E731
        back = lambda a: irfft2(a, size)  # noqa: E731
        rgb = self.rgb - self.rgb[ring].mean(0)
        source = np.where(usable[..., None], rgb, 0).astype(float)
        mask, square = there(usable.astype(float)), there((source**2).sum(-1))
        colours = [there(source[..., c]) for c in range(3)]
        reach = back(np.conj(there(missing.astype(float))) * mask) / missing.sum()
        v, u = np.nonzero(ring)
        middle = np.argwhere(missing).mean(0)
        sector = ((np.arctan2(v - middle[0], u - middle[1]) / (2 * np.pi) + 0.5) * SECTORS).astype(int) % SECTORS
        found = []
        for part in range(SECTORS + 1):
            these = (sector == part) | (part == SECTORS)
            if these.sum() < 6:
                continue
            weight = np.zeros(missing.shape)
            weight[v[these], u[these]] = 1
            seen = np.conj(there(weight))
            total = np.conj(there((rgb.astype(float) ** 2).sum(-1) * weight)) * mask + seen * square
            for c in range(3):
                total -= 2 * np.conj(there(rgb[..., c] * weight)) * colours[c]
            pairs = back(seen * mask)
            score = back(total) / np.maximum(pairs, 1) + COVER * (1 - reach)
            score[(pairs < 0.6 * these.sum()) | (reach < 0.03)] = np.inf
            score = np.rint(score)
            for dv in range(-RING, RING + 1):
                score[dv, np.arange(-RING, RING + 1)] = np.inf
            for _ in range(KEPT * (1 + (part == SECTORS))):
                best = np.unravel_index(score.argmin(), size)
                if not np.isfinite(score[best]):
                    break
                found.append([best[0] - size[0] * (best[0] >= height), best[1] - size[1] * (best[1] >= width)])
                rows, columns = (np.arange(i - 2, i + 3) % n for i, n in zip(best, size, strict=True))
                score[rows[:, None], columns] = np.inf
        return np.unique(np.array(found, int).reshape(-1, 2), axis=0)

    def moved(self, shift: np.ndarray, number: int) -> np.ndarray:
        """The picture, uint8, with the hole filled by the shifts of level `number`, refined and without steps at its edge."""
        v, u = np.nonzero(self.hole)
        cell = np.minimum(np.stack([v, u], 1) >> number, np.array(shift.shape[:2]) - 1)
        moves = shift[cell[:, 0], cell[:, 1]] << number
        ring = self.known & binary_dilation(self.hole, iterations=3)
        out = self.rgb.copy()
        kinds, which = np.unique(moves, axis=0, return_inverse=True)
        smooth = push_pull(self.rgb, self.known)
        for n, move in enumerate(kinds):
            at = which.ravel() == n
            best, steps = self._refined(move, ring, number)
            to = np.clip(np.stack([v[at], u[at]], 1) + best, 0, np.array(self.hole.shape) - 1)
            good = self.known[tuple(to.T)] & bool(move.any())
            colour = np.where(good[:, None], self.rgb[tuple(to.T)] + steps[v[at], u[at]], smooth[v[at], u[at]])
            out[v[at], u[at]] = colour
        return np.clip(np.rint(out), 0, 255).astype(np.uint8)

    def _refined(self, move: np.ndarray, ring: np.ndarray, number: int) -> tuple[np.ndarray, np.ndarray]:
        """The shift near `move` that suits the ring best on this level, and the step (h,w,3) left over, spread smoothly."""
        q = np.argwhere(ring)
        few = q[:: 1 + len(q) // 400]
        reach = range(-(2**number) + 1, 2**number)
        best, least = move, np.inf
        for dv in reach:
            for du in reach:
                to = few + move + (dv, du)
                good = ((to >= 0) & (to < self.hole.shape)).all(1)
                good[good] = self.known[tuple(to[good].T)]
                if good.sum() < 10:
                    continue
                off = np.minimum(((self.rgb[tuple(few[good].T)] - self.rgb[tuple(to[good].T)]) ** 2).sum(1), MOST_OFF)
                if off.mean() < least:
                    best, least = move + (dv, du), off.mean()
        to = q + best
        good = ((to >= 0) & (to < self.hole.shape)).all(1)
        good[good] = self.known[tuple(to[good].T)]
        q, to = q[good], to[good]
        step = self.rgb[tuple(q.T)] - self.rgb[tuple(to.T)]
        alike = (step**2).sum(1) < MOST_STEP
        where, steps = np.zeros(ring.shape, bool), np.zeros((*ring.shape, 3), np.float32)
        where[tuple(q[alike].T)] = True
        steps[tuple(q.T)] = step
        total, weight = _halved(*_halved(steps * where[..., None], where.astype(np.float32)))
        return best, _doubled(_doubled(_pulled(total, weight), _half(where.shape)), where.shape)


def _half(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple((side + 1) // 2 for side in shape)


def _share(mask: np.ndarray) -> np.ndarray:
    """How much of every 2 x 2 cell a mask (h,w) covers."""
    cells = np.pad(mask, [(0, side % 2) for side in mask.shape], mode="edge").astype(np.float32)
    return (cells[::2, ::2] + cells[1::2, ::2] + cells[::2, 1::2] + cells[1::2, 1::2]) / 4
