"""Fills a hole in a picture from the rest of it: the built-in inpainter. No weights.

Exemplar filling from coarse to fine (Wexler, Shechtman and Irani, "Space-time completion of video", 2007): on a coarse
level the hole is peeled from its edge inwards, then every patch over it is replaced by its most alike in the picture;
finer levels take their detail from the same places. What lies on a plane is filled as if seen without perspective.
Searches add up whole numbers only, exactly, so that the order in which a machine adds does not change what is chosen.
"""

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import binary_dilation, binary_erosion, distance_transform_edt, uniform_filter

from model_zoo.build.kinds import chance

FRONT, SUPPORT, REST = 0, 1, 2  # what a pixel shows: see model_zoo.build.inpaint.Inpainter
EDGE = 4  # pixels by which the photo's edge and that of the depth may be apart
PATCH = 3  # patches of 7 x 7 pixels
MOST_PIXELS = 450  # of the hole on the level where sources are searched
LEAST_SOURCES = 150  # that a level must have
MOST_PAIRS = 350_000  # of a patch and a source that are compared in one round
ROUNDS = 2
WAY = 2.0  # squared grey values that a squared pixel of distance between a patch and its source counts as
MOST_STEP = 3 * 40.0**2  # squared grey values: a larger step at the hole's edge is an edge of the picture
LEAST_TILT = 0.4  # how much smaller than at the hole a thing on the plane may look to be copied from there


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
        before = np.concatenate(
            [values.take([0], axis), values.take(range(values.shape[axis] - 1), axis)], axis
        )
        after = np.concatenate(
            [values.take(range(1, values.shape[axis]), axis), values.take([-1], axis)], axis
        )
        pair = np.stack([0.75 * values + 0.25 * before, 0.75 * values + 0.25 * after], axis + 1)
        values = pair.reshape(*values.shape[:axis], -1, *values.shape[axis + 1 :])
    return values[: shape[0], : shape[1]]


def fill(rgb: np.ndarray, hole: np.ndarray, regions: np.ndarray, plane: np.ndarray | None) -> np.ndarray:
    """The built-in inpainter: see the module and `Inpainter`."""
    left = hole
    if plane is not None and (hole & (regions == SUPPORT)).any():
        rgb, done = _fill_support(rgb, hole, regions, plane)
        left = hole & ~done
    return with_grain(_completed(rgb, left, regions) if left.any() else rgb, hole)


def smooth(rgb: np.ndarray, hole: np.ndarray, regions: np.ndarray, plane: np.ndarray | None) -> np.ndarray:
    """An inpainter for a hole of which only a rim will be seen: it goes on from its edge, smoothly, with grain."""
    known = ~hole & (regions != FRONT)
    filled = np.where(hole[..., None], np.rint(push_pull(rgb, known)), rgb).astype(np.uint8)
    return with_grain(filled, hole)


def with_grain(rgb: np.ndarray, hole: np.ndarray) -> np.ndarray:
    """rgb uint8 (H,W,3) with the photo's noise in the hole, of which averaging has taken some away."""
    around = binary_dilation(hole, iterations=12) & ~binary_dilation(hole, iterations=2)
    inner = binary_erosion(hole, iterations=2)
    if not inner.any() or not around.any():
        return rgb
    fine = rgb.astype(np.float32)
    fine -= uniform_filter(fine, (3, 3, 1))
    # The median, because edges are not noise; 0.6745 of a normal distribution's deviation, 0.94 of which is left.
    there, here = (np.median(abs(fine[part]), axis=0) / (0.6745 * 0.94) for part in (around, inner))
    missing = np.sqrt(np.maximum(there**2 - here**2, 0))
    noise = chance(0, "grain").standard_normal(rgb.shape, np.float32) * missing
    return np.where(hole[..., None], np.clip(np.rint(rgb + noise), 0, 255), rgb).astype(np.uint8)


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
    """The exemplar filling, from coarse to fine."""
    # Beside a thing in front the photo's edge and that of the depth are a little apart.
    front = binary_dilation(regions == FRONT, iterations=EDGE)
    levels = [_Level(rgb, hole, np.where(front, FRONT, regions))]
    while levels[-1].hole.sum() > MOST_PIXELS:
        coarser = levels[-1].half()
        if coarser.sources.sum() < LEAST_SOURCES:
            break
        levels.append(coarser)
    nearest = None
    for level in reversed(levels):
        nearest = level.complete(nearest)
    return levels[0].seamless()


@dataclass(frozen=True)
class _Sources:
    """Pixels (M,2) to copy from, the patches (147,M) around them, and the squares of these."""

    at: np.ndarray
    patches: np.ndarray
    squares: np.ndarray


class _Level:
    """One resolution: whole-number colours (h,w,3), where they are missing, and what kind of thing each pixel shows."""

    def __init__(self, rgb: np.ndarray, hole: np.ndarray, regions: np.ndarray) -> None:
        self.hole, self.regions = hole, regions
        self.front = (regions == FRONT) & ~hole
        self.given = rgb.astype(np.float32)
        self.known = ~hole & ~self.front
        self.rgb = np.rint(self.given) * self.known[..., None]
        square = np.ones((2 * PATCH + 1,) * 2)
        inner = np.zeros(hole.shape, bool)
        inner[PATCH:-PATCH, PATCH:-PATCH] = True
        self.targets = binary_dilation(hole, square) & inner
        self.sources = ~binary_dilation(~self.known, square) & inner
        depth = distance_transform_edt(hole)
        self.trust = np.float32(1.3) ** -np.minimum(depth, 60).astype(np.float32)
        self.votes = self.given
        self._kept: dict[int, _Sources] = {}

    def half(self) -> "_Level":
        known = self.known.astype(np.float32)
        total, weight = _halved(self.given * known[..., None], known)
        hole, front = (_share(a) > 0.25 for a in (self.hole, self.front))
        support = _share(self.regions == SUPPORT) >= 0.5
        regions = np.where(front & ~hole, FRONT, np.where(support, SUPPORT, REST))
        return _Level(total / np.maximum(weight, 1e-12)[..., None], hole, regions)

    def complete(self, coarse: np.ndarray | None) -> np.ndarray:
        """Fills the hole; nearest (h,w,2) is the source pixel of every pixel's patch, given and returned."""
        target = np.argwhere(self.targets)
        nearest = np.stack(np.mgrid[: self.hole.shape[0], : self.hole.shape[1]], -1)
        if not len(target) or not self.sources.any():
            self.rgb = np.rint(push_pull(self.rgb, self.known))
            return nearest
        if coarse is None:
            self._peel()
            pools = self._pools(target)
            for _ in range(ROUNDS):
                for which, source in pools:
                    nearest[tuple(target[which].T)] = self._search(target[which], source)
                self._vote(target, nearest)
        else:
            nearest = self._finer(coarse, nearest)
            self._vote(target, nearest)
        return nearest

    def _peel(self) -> None:
        """A first guess from the edge inwards: each pixel from the source that is most like what is known around it."""
        missing = self.hole.copy()
        while missing.any():
            layer = np.argwhere(missing & binary_dilation(~missing & ~self.front) & self.targets)
            if not len(layer):
                self.rgb = np.where(missing[..., None], np.rint(push_pull(self.rgb, self.known)), self.rgb)
                self.known |= missing
                return
            chosen = np.empty_like(layer)
            for which, source in self._pools(layer):
                chosen[which] = self._search(layer[which], source)
            self.rgb[tuple(layer.T)] = self.rgb[tuple(chosen.T)]
            self.known[tuple(layer.T)], missing[tuple(layer.T)] = True, False

    def _pools(self, target: np.ndarray) -> list[tuple[np.ndarray, "_Sources"]]:
        """For each kind of region: which targets are of it, and what it is filled from."""
        kind = self.regions[tuple(target.T)]
        return [(np.flatnonzero(kind == region), self._sources_of(int(region))) for region in np.unique(kind)]

    def _sources_of(self, region: int) -> "_Sources":
        if region not in self._kept:
            at = np.argwhere(self.sources & (self.regions == region))
            at = at if len(at) >= 30 else np.argwhere(self.sources)
            at = at[:: 1 + len(at) * int(self.targets.sum()) // MOST_PAIRS]
            patches = self._patches(self.rgb // 2, at)
            self._kept[region] = _Sources(at, patches.T.copy(), (patches * patches).T.copy())
        return self._kept[region]

    def _patches(self, values: np.ndarray, at: np.ndarray) -> np.ndarray:
        """Values (N, 49*C) of an array (h,w,C) around pixels (N,2)."""
        window = np.lib.stride_tricks.sliding_window_view(values, (2 * PATCH + 1,) * 2, (0, 1))
        return window[at[:, 0] - PATCH, at[:, 1] - PATCH].reshape(len(at), -1)

    def _weights(self, at: np.ndarray) -> np.ndarray:
        """Which of a patch's values (N, 147) are known, 1 or 0."""
        return self._patches(np.repeat(self.known[..., None].astype(np.float32), 3, -1), at)

    def _search(self, target: np.ndarray, source: "_Sources") -> np.ndarray:
        """The source pixel most like every target where that is known.

        Colours count in steps of 2: sums stay below 2^24, where float32 is exact in any order.
        """
        weight, patches = self._weights(target), self._patches(self.rgb // 2, target) * 2
        own = weight @ source.squares if not weight.all() else source.squares.sum(0)
        like = (patches * weight) @ source.patches - own
        a, b = target.astype(np.float32), source.at.astype(np.float32)
        way = (b * b).sum(1) - 2 * a @ b.T
        return source.at[np.argmax(like - WAY * way, axis=1)]

    def _finer(self, coarse: np.ndarray, grid: np.ndarray) -> np.ndarray:
        """Sources of the level below on this one; where one has no whole patch here, the nearest that has."""
        cell = grid // 2
        found = 2 * coarse[cell[..., 0], cell[..., 1]] + grid % 2
        found = np.clip(found, 0, np.array(self.hole.shape) - 1)
        row, column = distance_transform_edt(~self.sources, return_distances=False, return_indices=True)
        moved = np.stack([row, column], -1)[found[..., 0], found[..., 1]]
        return np.where(self.targets[..., None], moved, grid)

    def _vote(self, target: np.ndarray, nearest: np.ndarray) -> None:
        """Every pixel of the hole becomes the mean of what the patches over it show there, those near the edge most."""
        total, count = np.zeros_like(self.rgb), np.zeros(self.hole.shape, np.float32)
        source, trust = nearest[tuple(target.T)], self.trust[tuple(target.T)]
        for dv in range(-PATCH, PATCH + 1):
            for du in range(-PATCH, PATCH + 1):
                at = tuple((target + (dv, du)).T)
                total[at] += trust[:, None] * self.rgb[tuple((source + (dv, du)).T)]
                count[at] += trust
        self.votes = np.where(count[..., None] > 0, total / np.maximum(count, 1e-12)[..., None], self.rgb)
        self.rgb = np.where(self.hole[..., None], np.rint(self.votes), self.rgb)
        self.known |= self.hole

    def seamless(self) -> np.ndarray:
        """The filled picture, uint8: the step at the hole's edge is spread over the hole."""
        rim = binary_dilation(self.hole, iterations=PATCH) & ~self.hole & ~self.front & self.targets
        step = self.given - self.votes
        rim &= (step**2).sum(-1) < MOST_STEP
        out = self.rgb
        if rim.any():
            out = out + push_pull(step, rim)
        out = np.where(self.hole[..., None], out, self.given)
        return np.clip(np.rint(out), 0, 255).astype(np.uint8)


def _share(mask: np.ndarray) -> np.ndarray:
    """How much of every 2 x 2 cell a mask (h,w) covers."""
    cells = np.pad(mask, [(0, side % 2) for side in mask.shape], mode="edge").astype(np.float32)
    return (cells[::2, ::2] + cells[1::2, ::2] + cells[::2, 1::2] + cells[1::2, 1::2]) / 4
