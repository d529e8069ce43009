"""Shades samples as model_zoo.raster_gl does, in numpy: slower, but there on every machine, and alike to 1/255."""

from __future__ import annotations

import numpy as np

from model_zoo.raster_parts import SHARPER, TO_LINEAR, Lighting, Placed, Samples, Surface, to_srgb, unit

PART = 1 << 16


def shade(placed: Placed, samples: Samples, lighting: Lighting) -> tuple[np.ndarray, np.ndarray]:
    """sRGB of the samples, packed as uint32 (N,), red first in memory: lit, and the base colours alone."""
    lit, base = np.zeros((2, len(samples.faces), 4), np.uint8)
    for start in range(0, len(samples.faces), PART):
        part = slice(start, start + PART)
        points, normals, colours = _meet(placed, samples, part)
        base[part, :3] = to_srgb(colours)
        reached = samples.lit if isinstance(samples.lit, int) else samples.lit[part]
        lit[part, :3] = to_srgb(_lit(placed.surface, points, normals, colours, reached, lighting))
    return lit.view(np.uint32)[:, 0], base.view(np.uint32)[:, 0]


def rays(K: np.ndarray, pixels: np.ndarray) -> np.ndarray:
    """Directions (N,3) with z = 1 through pixels (N,2)."""
    y = (pixels[:, 1] - K[1, 2]) / K[1, 1]
    return np.stack([(pixels[:, 0] - K[0, 2] - K[0, 1] * y) / K[0, 0], y, np.ones(len(pixels))], 1)


def _meet(placed: Placed, samples: Samples, part: slice) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Points, unit normals towards the camera and linear base colours, (N,3) each."""
    surface, turn = placed.surface, placed.turn_normal()
    pixels = samples.pixels[part].astype(float)
    record = surface.records[samples.faces[part]].reshape(-1, 3, 3, 3).astype(float)
    corner, normal, look = record[:, 0], record[:, 1], record[:, 2]
    p = corner[:, 0] @ placed.A.T + placed.b
    e, f = ((corner[:, k] - corner[:, 0]) @ placed.A.T for k in (1, 2))
    n = np.cross(e, f)
    nn = np.maximum(_dot(n, n), 1e-300)[:, None]
    fn, en = np.cross(f, n) / nn, np.cross(n, e) / nn

    def weights(at: np.ndarray) -> np.ndarray:
        d = rays(placed.K, at)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            q = d * (_dot(p, n) / _dot(d, n))[:, None] - p
            return np.stack([_dot(q, fn), _dot(q, en)], 1)

    w = weights(pixels)
    s = np.maximum(np.stack([1 - w.sum(1), w[:, 0], w[:, 1]], 1), 0)
    total = s.sum(1, keepdims=True)
    s = np.where((total > 0) & (total < 1e9), s / np.maximum(total, 1e-30), 1 / 3)
    points = p + s[:, 1:2] * e + s[:, 2:] * f
    face = np.where(_dot(n, points)[:, None] > 0, -n, n)
    normals = unit(np.einsum("nk,nki->ni", s, normal) @ turn.T)
    normals *= np.where(_dot(normal.sum(1) @ turn.T, face) < 0, -1.0, 1.0)[:, None]
    base = np.einsum("nk,nki->ni", s, look)
    if surface.levels:
        sides = (look[:, 1:, :2] - look[:, :1, :2]) * surface.levels[0].shape[1::-1]
        ax, ay = (
            np.einsum("nk,nki->ni", weights(pixels + samples.step * axis) - w, sides) for axis in np.eye(2)
        )
        base = _sampled(surface.levels, base[:, :2], ax, ay)
    return points, normals, base * surface.factor


def _sampled(levels: list[np.ndarray], uv: np.ndarray, ax: np.ndarray, ay: np.ndarray) -> np.ndarray:
    """Linear colours (N,3) of footprints with sides ax and ay (N,2) in texels: between two levels, bilinear in each."""
    lx, ly = _dot(ax, ax), _dot(ay, ay)
    longest = np.fmax(np.fmax(lx, ly) / SHARPER**2, np.fmax(np.fmin(lx, ly), 1))
    level = np.minimum(0.5 * np.log2(longest), len(levels) - 1)
    low = np.floor(level).astype(int)
    total = np.zeros((len(uv), 3))
    for extra in (0, 1):
        share = abs(1 - extra - (level - low))
        which = np.minimum(low + extra, len(levels) - 1)
        for number in np.unique(which):
            some = np.flatnonzero(which == number)
            total[some] += share[some, None] * _bilinear(levels[number], uv[some])
    return total


def _bilinear(image: np.ndarray, uv: np.ndarray) -> np.ndarray:
    height, width = image.shape[:2]
    x, y = uv[:, 0] * width - 0.5, uv[:, 1] * height - 0.5
    x0, y0 = np.floor(x).astype(int), np.floor(y).astype(int)
    fx, fy = (x - x0)[:, None], (y - y0)[:, None]
    rows, (left, right) = [(y0 + k) % height for k in (0, 1)], [(x0 + k) % width for k in (0, 1)]
    top, low = (TO_LINEAR[image[row, left]] * (1 - fx) + TO_LINEAR[image[row, right]] * fx for row in rows)
    return top * (1 - fy) + low * fy


def _lit(
    surface: Surface,
    points: np.ndarray,
    n: np.ndarray,
    base: np.ndarray,
    reached: np.ndarray | int,
    lighting: Lighting,
) -> np.ndarray:
    view = unit(-points)
    total = base * (np.asarray(lighting.ambient) + np.outer(0.5 - 0.5 * n[:, 1], lighting.sky))
    rough = max(surface.roughness**2, 0.06)
    power = 2 / rough**2 - 2
    diffuse = 1 - 0.6 * surface.metallic * (1 - rough)
    f0 = (0.04 * (1 - surface.metallic) + base * surface.metallic) * ((power + 2) / 8)
    for k, light in enumerate(lighting.lights):
        towards = unit(np.asarray(light.towards, float))
        cosine = (np.maximum(n @ towards, 0) * ((reached >> k) & 1))[:, None]
        half_way = np.maximum(_dot(n, unit(view + towards)), 1e-4)[:, None]
        total = total + np.asarray(light.colour) * cosine * (base * diffuse + f0 * half_way**power)
    return total


def _dot(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.einsum("ni,ni->n", a, b)
