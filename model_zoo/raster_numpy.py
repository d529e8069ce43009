"""Shades samples as model_zoo.raster_gl does, in numpy: slower, but there on every machine, and alike to 1/255."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from model_zoo.raster_parts import DIRECT, SHARPER, TO_LINEAR, Lighting, Placed, Samples, to_srgb, unit

PART = 1 << 16


def shade(placed: Placed, samples: Samples, lighting: Lighting) -> tuple[np.ndarray, np.ndarray]:
    """sRGB of the samples, packed as uint32 (N,), red first in memory: lit, and base as in a Picture."""
    lit, base = np.zeros((2, len(samples.faces), 4), np.uint8)
    for start in range(0, len(samples.faces), PART):
        part = slice(start, start + PART)
        points, normals, look = _meet(placed, samples, part)
        base[part, :3] = to_srgb(look.base + look.glow)
        reached = samples.lit if isinstance(samples.lit, int) else samples.lit[part]
        lit[part, :3] = to_srgb(_lit(look, points, normals, reached, lighting))
    return lit.view(np.uint32)[:, 0], base.view(np.uint32)[:, 0]


@dataclass(frozen=True)
class _Look:
    """base and glow linear (N,3) or (3,), roughness and metallic (N,1) or one for all."""

    base: np.ndarray
    glow: np.ndarray
    roughness: np.ndarray | float
    metallic: np.ndarray | float


def rays(K: np.ndarray, pixels: np.ndarray) -> np.ndarray:
    """Directions (N,3) with z = 1 through pixels (N,2)."""
    y = (pixels[:, 1] - K[1, 2]) / K[1, 1]
    return np.stack([(pixels[:, 0] - K[0, 2] - K[0, 1] * y) / K[0, 0], y, np.ones(len(pixels))], 1)


def _meet(placed: Placed, samples: Samples, part: slice) -> tuple[np.ndarray, np.ndarray, _Look]:
    """Points and unit normals towards the camera, (N,3) each, and how they look."""
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
    side = np.where(_dot(normal.sum(1) @ turn.T, face) < 0, -1.0, 1.0)[:, None]
    normals *= side
    base, glow, rough, metal = (
        np.einsum("nk,nki->ni", s, look),
        surface.glow,
        surface.roughness,
        surface.metallic,
    )
    if surface.levels:
        uv, sides = base[:, :2], look[:, 1:, :2] - look[:, :1, :2]
        steps = [
            np.einsum("nk,nki->ni", weights(pixels + samples.step * axis) - w, sides) for axis in np.eye(2)
        ]
        base = _sampled(surface.levels, uv, *steps)
        if surface.maps is not None:
            more = _sampled(surface.maps.detail, uv, *steps, values=DIRECT)
            rough, metal = more[:, 2:3], more[:, 3:]
            glow = glow * _sampled(surface.maps.glow, uv, *steps)
            normals = _bent(normals, side * (2 * more[:, :2] - 1), e, f, sides)
    return points, normals, _Look(base * surface.factor, glow, rough, metal)


def _bent(normals: np.ndarray, xy: np.ndarray, e: np.ndarray, f: np.ndarray, sides: np.ndarray) -> np.ndarray:
    """Unit normals (N,3) leant by xy (N,2), a normal map's: x along the face's growing u, y against its growing v."""
    u, v = sides[:, 0], sides[:, 1]
    turned = np.where(u[:, 0] * v[:, 1] < u[:, 1] * v[:, 0], -1.0, 1.0)[:, None]
    axes = [turned * (e * v[:, 1:] - f * u[:, 1:]), turned * (f * u[:, :1] - e * v[:, :1])]
    tangent, down = (axis - normals * _dot(normals, axis)[:, None] for axis in axes)
    flat = (_dot(tangent, tangent) > 0) & (_dot(down, down) > 0)
    x, y = xy.T[:, :, None]
    z = np.sqrt(np.maximum(1 - x**2 - y**2, 1e-6))
    return np.where(flat[:, None], unit(x * unit(tangent) - y * unit(down) + z * normals), normals)


def _sampled(
    levels: list[np.ndarray],
    uv: np.ndarray,
    ax: np.ndarray,
    ay: np.ndarray,
    values: np.ndarray = TO_LINEAR,
) -> np.ndarray:
    """Values (N,C) of footprints with sides ax and ay (N,2) in uv: between two levels, bilinear in each."""
    ax, ay = (a * levels[0].shape[1::-1] for a in (ax, ay))
    lx, ly = _dot(ax, ax), _dot(ay, ay)
    longest = np.fmax(np.fmax(lx, ly) / SHARPER**2, np.fmax(np.fmin(lx, ly), 1))
    level = np.minimum(0.5 * np.log2(longest), len(levels) - 1)
    low = np.floor(level).astype(int)
    total = np.zeros((len(uv), levels[0].shape[2]))
    for extra in (0, 1):
        share = abs(1 - extra - (level - low))
        which = np.minimum(low + extra, len(levels) - 1)
        for number in np.unique(which):
            some = np.flatnonzero(which == number)
            total[some] += share[some, None] * _bilinear(levels[number], uv[some], values)
    return total


def _bilinear(image: np.ndarray, uv: np.ndarray, values: np.ndarray) -> np.ndarray:
    height, width = image.shape[:2]
    x, y = uv[:, 0] * width - 0.5, uv[:, 1] * height - 0.5
    x0, y0 = np.floor(x).astype(int), np.floor(y).astype(int)
    fx, fy = (x - x0)[:, None], (y - y0)[:, None]
    rows, (left, right) = [(y0 + k) % height for k in (0, 1)], [(x0 + k) % width for k in (0, 1)]
    top, low = (values[image[row, left]] * (1 - fx) + values[image[row, right]] * fx for row in rows)
    return top * (1 - fy) + low * fy


def _lit(
    look: _Look,
    points: np.ndarray,
    n: np.ndarray,
    reached: np.ndarray | int,
    lighting: Lighting,
) -> np.ndarray:
    view, base = unit(-points), look.base
    total = base * (np.asarray(lighting.ambient) + np.outer(0.5 - 0.5 * n[:, 1], lighting.sky)) + look.glow
    rough = np.maximum(look.roughness**2, 0.06)
    power = 2 / rough**2 - 2
    diffuse = 1 - 0.6 * look.metallic * (1 - rough)
    f0 = (0.04 * (1 - look.metallic) + base * look.metallic) * ((power + 2) / 8)
    for k, light in enumerate(lighting.lights):
        towards = unit(np.asarray(light.towards, float))
        cosine = (np.maximum(n @ towards, 0) * ((reached >> k) & 1))[:, None]
        half_way = np.maximum(_dot(n, unit(view + towards)), 1e-4)[:, None]
        total = total + np.asarray(light.colour) * cosine * (base * diffuse + f0 * half_way**power)
    return total


def _dot(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.einsum("ni,ni->n", a, b)
