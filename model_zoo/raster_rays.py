"""Draws what model_zoo.raster_gl draws, by embree's rays and numpy: slower, but there on every machine.

The same samples, edges, texture levels and lights; the pictures agree to within a few values of 255.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import trimesh
from embreex.mesh_construction import TriangleMesh
from embreex.rtcore_scene import EmbreeScene

from model_zoo.io.textures import srgb_from_linear
from model_zoo.raster_parts import (
    SAMPLES,
    TAPS,
    TO_LINEAR,
    Lighting,
    Picture,
    Posed,
    Surface,
    Window,
    affine,
    edge_bend,
    mipmaps,
    unit,
    window,
)

BAND = 1 << 16  # pixels that are drawn at a time
MIDDLE = SAMPLES * SAMPLES // 2


def draw(
    items: list[tuple[trimesh.Trimesh, Posed]], K: np.ndarray, size: tuple[int, int], lighting: Lighting
) -> Picture:
    """See model_zoo.raster.Raster.draw."""
    picture = Picture.empty(size)
    surfaces = [Surface(mesh) for mesh, _ in items]
    places = [affine(surface, pose) for surface, (_, pose) in zip(surfaces, items, strict=True)]
    seen = window(surfaces, places, K, size)
    if seen is None:
        return picture
    tree = EmbreeScene(robust=True)
    for surface, (A, b) in zip(surfaces, places, strict=True):
        TriangleMesh(tree, (surface.vertices @ A.T + b).astype(np.float32), surface.faces)
    drawn = [_Drawn(surface, *place) for surface, place in zip(surfaces, places, strict=True)]
    rows = max(BAND // (seen.right - seen.left), 1)
    for top in range(seen.top, seen.bottom, rows):
        band = Window(seen.left, top, seen.right, min(top + rows, seen.bottom), seen.near, seen.far)
        _band(tree, drawn, K, band, lighting, picture)
    return picture


class _Drawn:
    """A surface with its place and its texture's levels."""

    def __init__(self, surface: Surface, A: np.ndarray, b: np.ndarray) -> None:
        self.surface, self.A, self.b = surface, A, b
        self.turn_normal = np.linalg.inv(A).T * np.cbrt(abs(np.linalg.det(A)))
        self.levels = [] if surface.texture is None else mipmaps(surface.texture)


@dataclass
class _Hits:
    """Points, unit face normals and shading normals (N,3) towards the camera, linear base colours (N,3)."""

    points: np.ndarray
    faces: np.ndarray
    normals: np.ndarray
    base: np.ndarray


def _band(
    tree: EmbreeScene, drawn: list[_Drawn], K: np.ndarray, band: Window, lighting: Lighting, picture: Picture
) -> None:
    width, height = band.right - band.left, band.bottom - band.top
    shifts = (np.arange(SAMPLES) - SAMPLES // 2) / SAMPLES
    corner = np.array([band.left, band.top], float)
    pixels = np.stack(np.meshgrid(np.arange(width), np.arange(height)), -1).reshape(-1, 2) + corner
    at = np.stack([pixels + (x, y) for y in shifts for x in shifts], 1)  # (P, S*S, 2)
    rays = _rays(K, at.reshape(-1, 2))
    out = tree.run(np.zeros_like(rays, np.float32), rays.astype(np.float32), query="INTERSECT", output=1)
    item = out["geomID"].reshape(len(pixels), -1)
    face = out["primID"].reshape(len(pixels), -1)
    with np.errstate(divide="ignore"):
        inverse = 1 / np.where(item >= 0, out["tfar"].reshape(item.shape), np.inf)
    covered = (item >= 0).sum(1)
    same = ((item == item[:, :1]) & (face == face[:, :1])).all(1)
    bend = np.max(
        [abs(inverse[:, i] + inverse[:, -1 - i] - 2 * inverse[:, MIDDLE]) for i in range(MIDDLE)], axis=0
    )
    edge = (covered > 0) & ~same & ((covered < SAMPLES**2) | (bend > edge_bend(band, K)))
    edge |= (item != item[:, :1]).any(1) & (covered > 0)
    lit, base = np.zeros((2, len(pixels), 3))
    centre = np.flatnonzero(item[:, MIDDLE] >= 0)
    depth, normals = np.full(len(pixels), np.nan), np.zeros((len(pixels), 3))
    for rows, sample in [(centre, MIDDLE)] + [(np.flatnonzero(edge), k) for k in range(SAMPLES**2)]:
        if sample == MIDDLE and rows is not centre:
            continue
        for number, one in enumerate(drawn):
            mine = rows[item[rows, sample] == number]
            if not len(mine):
                continue
            step = np.where(edge[mine], 1 / SAMPLES, 1.0)
            hits = _meet(one, face[mine, sample], K, at[mine, sample], step)
            weight = np.where(edge[mine], 1.0, SAMPLES**2)[:, None] if rows is centre else 1.0
            lit[mine] += weight * np.clip(_light(one.surface, hits, lighting), 0, 1)
            base[mine] += weight * hits.base
            if rows is centre:
                depth[mine], normals[mine] = hits.points[:, 2], hits.faces
    place = np.s_[band.top : band.bottom, band.left : band.right]
    shape = (height, width)
    share = 1 / np.maximum(covered, 1)[:, None]
    picture.rgb[place] = np.rint(255 * srgb_from_linear(lit * share)).reshape(*shape, 3)
    picture.base[place] = np.rint(255 * srgb_from_linear(base * share)).reshape(*shape, 3)
    picture.alpha[place] = np.rint(covered * 255 / SAMPLES**2).reshape(shape)
    picture.mask[place] = (item[:, MIDDLE] >= 0).reshape(shape)
    picture.instance[place] = item[:, MIDDLE].reshape(shape)
    picture.depth[place] = depth.reshape(shape)
    picture.normals[place] = normals.reshape(*shape, 3)


def _rays(K: np.ndarray, pixels: np.ndarray) -> np.ndarray:
    y = (pixels[:, 1] - K[1, 2]) / K[1, 1]
    return np.stack([(pixels[:, 0] - K[0, 2] - K[0, 1] * y) / K[0, 0], y, np.ones(len(pixels))], 1)


def _meet(one: _Drawn, faces: np.ndarray, K: np.ndarray, pixels: np.ndarray, step: np.ndarray) -> _Hits:
    record = one.surface.records[faces].reshape(-1, 3, 3, 3).astype(float)
    corner, normal, look = record[:, 0], record[:, 1], record[:, 2]
    p = corner[:, 0] @ one.A.T + one.b
    e, f = ((corner[:, k] - corner[:, 0]) @ one.A.T for k in (1, 2))
    n = np.cross(e, f)
    nn = np.maximum(_dot(n, n), 1e-300)

    def weights(at: np.ndarray) -> np.ndarray:
        d = _rays(K, at)
        with np.errstate(divide="ignore", invalid="ignore"):
            q = d * (_dot(p, n) / _dot(d, n))[:, None] - p
            return np.stack([_dot(np.cross(q, f), n), _dot(np.cross(e, q), n)], 1) / nn[:, None]

    w = weights(pixels)
    s = np.maximum(np.stack([1 - w.sum(1), w[:, 0], w[:, 1]], 1), 0)
    total = s.sum(1, keepdims=True)
    s = np.where((total > 0) & (total < 1e9), s / np.maximum(total, 1e-30), 1 / 3)
    points = p + s[:, 1:2] * e + s[:, 2:] * f
    own = unit(n)
    own = np.where(_dot(own, points)[:, None] > 0, -own, own)
    mixed = np.einsum("nk,nki->ni", s, normal) @ one.turn_normal.T
    front = normal.sum(1) @ one.turn_normal.T
    normals = unit(mixed) * np.where(_dot(front, own) < 0, -1.0, 1.0)[:, None]
    base = np.einsum("nk,nki->ni", s, look)
    if one.levels:
        sides = look[:, 1:, :2] - look[:, :1, :2]
        texels = np.array(one.levels[0].shape[1::-1])
        along = [
            np.einsum("nk,nki->ni", weights(pixels + step[:, None] * axis) - w, sides) * texels
            for axis in np.eye(2)
        ]
        base = _sampled(one.levels, base[:, :2], *along)
    return _Hits(points, own, normals, base * one.surface.factor)


def _sampled(levels: list[np.ndarray], uv: np.ndarray, ax: np.ndarray, ay: np.ndarray) -> np.ndarray:
    """Linear colours (N,3) of a footprint whose sides are ax and ay (N,2) texels."""
    lx, ly = _dot(ax, ax), _dot(ay, ay)
    along = np.where((lx > ly)[:, None], ax, ay)
    most, least = np.sqrt(np.maximum(lx, ly)), np.sqrt(np.minimum(lx, ly))
    wild = ~(most < 1e9)
    most, along = np.where(wild, 1e9, most), np.where(wild[:, None], 0, along)
    least = np.nan_to_num(least)
    taps = np.clip(np.ceil(most / np.maximum(least, 1e-9) - 0.5), 1, TAPS)
    level = np.clip(np.log2(np.maximum(np.maximum(most / taps, least), 1)), 0, len(levels) - 1)
    texels = np.array(levels[0].shape[1::-1])
    total = np.zeros((len(uv), 3))
    for k in range(TAPS):
        rows = np.flatnonzero(taps > k)
        at = uv[rows] + along[rows] / texels * ((k + 0.5) / taps[rows, None] - 0.5)
        low = np.floor(level[rows]).astype(int)
        for extra in (0, 1):
            share = abs(1 - extra - (level[rows] - low))
            which = np.minimum(low + extra, len(levels) - 1)
            for number in np.unique(which):
                some = np.flatnonzero(which == number)
                total[rows[some]] += share[some, None] * _bilinear(levels[number], at[some])
    return total / taps[:, None]


def _bilinear(image: np.ndarray, uv: np.ndarray) -> np.ndarray:
    height, width = image.shape[:2]
    x, y = uv[:, 0] * width - 0.5, uv[:, 1] * height - 0.5
    x0, y0 = np.floor(x).astype(int), np.floor(y).astype(int)
    fx, fy = (x - x0)[:, None], (y - y0)[:, None]
    rows, columns = [(y0 + k) % height for k in (0, 1)], [(x0 + k) % width for k in (0, 1)]
    top, low = (
        TO_LINEAR[image[row, columns[0]]] * (1 - fx) + TO_LINEAR[image[row, columns[1]]] * fx for row in rows
    )
    return top * (1 - fy) + low * fy


def _light(surface: Surface, hits: _Hits, lighting: Lighting) -> np.ndarray:
    n, v = hits.normals, unit(-hits.points)
    total = hits.base * (np.asarray(lighting.ambient) + np.outer(0.5 - 0.5 * n[:, 1], lighting.sky))
    a = max(surface.roughness**2, 0.06)
    power = 2 / a**2 - 2
    diffuse = 1 - 0.6 * surface.metallic * (1 - a)
    f0 = 0.04 * (1 - surface.metallic) + hits.base * surface.metallic
    for light in lighting.lights:
        towards = unit(np.asarray(light.towards, float))
        cosine = np.maximum(n @ towards, 0)[:, None]
        half_way = np.maximum(_dot(n, unit(v + towards)), 1e-4)[:, None]
        gloss = f0 * ((power + 2) / 8 * half_way**power)
        total = total + np.asarray(light.colour) * cosine * (hits.base * diffuse + gloss)
    return total


def _dot(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.einsum("ni,ni->n", a, b)
