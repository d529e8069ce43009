"""Recipes for vessels: things turned on a lathe, with handles and spouts."""

import numpy as np
import trimesh

from .kit import Colour, ball, bands, curve, join, lathe, moved, rod, shell, sweep, tint

Rng = np.random.Generator
GLAZES = ("b03a2e", "f4f1ea", "2e5f8a", "e0a33a", "4f7d5a", "8e6c8a", "d9d2c5", "30475e")


def _vessel(outer: list[tuple[float, float]], wall: float, colour: Colour, rows: int = 22) -> trimesh.Trimesh:
    return lathe(shell(curve(outer, rows), wall), colour, segments=48)


def _handle(
    x: float, low: float, high: float, reach: float, thickness: float, colour: Colour
) -> trimesh.Trimesh:
    middle = (low + high) / 2
    path = curve(
        [(x, high, 0), (x + 0.7 * reach, high, 0), (x + reach, middle + 0.15 * (high - low), 0),
         (x + 0.75 * reach, low + 0.12 * (high - low), 0), (x, low, 0)], 18
    )  # fmt: skip
    return sweep(path, thickness, colour, segments=12, flatten=1.35)


def mug(rng: Rng) -> trimesh.Trimesh:
    r, h = rng.uniform(0.038, 0.046), rng.uniform(0.085, 0.11)
    glaze, flare = tint(rng, *GLAZES), rng.uniform(0.92, 1.08)
    band = rng.random() < 0.4
    colour = bands(glaze, tint(rng, *GLAZES), (h * 0.3, h * 0.42, h * 0.55, h * 0.67)) if band else glaze
    body = _vessel([(r * 0.93, 0), (r, h * 0.06), (r, h * 0.5), (r * flare, h)], 0.004, colour, 26)
    return join(body, _handle(r * 0.95, h * 0.2, h * 0.8, rng.uniform(0.028, 0.036), 0.0055, glaze))


def cup(rng: Rng) -> trimesh.Trimesh:
    return join(_cup(rng, tint(rng, *GLAZES)))


def cup_and_saucer(rng: Rng) -> trimesh.Trimesh:
    glaze, saucer = tint(rng, *GLAZES), rng.uniform(0.075, 0.09)
    plate = _vessel(
        [(saucer * 0.45, 0), (saucer * 0.5, 0.006), (saucer * 0.8, 0.01), (saucer, 0.02)], 0.004, glaze
    )
    return join(plate, [moved(m, by=(0, 0.008, 0)) for m in _cup(rng, glaze)])


def _cup(rng: Rng, glaze: str) -> list[trimesh.Trimesh]:
    r, h = rng.uniform(0.038, 0.05), rng.uniform(0.05, 0.066)
    body = _vessel(
        [(r * 0.55, 0), (r * 0.62, 0.004), (r * 0.9, h * 0.4), (r, h * 0.75), (r * 1.03, h)], 0.0035, glaze
    )
    coffee = lathe(
        [(0, h * 0.7), (r * 0.94, h * 0.7), (r * 0.94, h * 0.72), (0, h * 0.72)],
        tint(rng, "6b3e1d", "3b2314"),
    )
    handle = _handle(r * 0.9, h * 0.3, h * 0.8, 0.022, 0.0045, glaze)
    return [body, coffee, handle]


def bottle(rng: Rng) -> trimesh.Trimesh:
    r, h = rng.uniform(0.03, 0.042), rng.uniform(0.2, 0.31)
    shoulder, neck = rng.uniform(0.5, 0.68), r * rng.uniform(0.3, 0.42)
    glass = tint(rng, "2d6a4f", "7a4a1e", "a8c8d8", "355070", "e3e3dc")
    label = bands(glass, tint(rng, "f1ead6", "c8553d", "e9c46a"), (h * shoulder * 0.25, h * shoulder * 0.8))
    outer = curve([(r * 0.9, 0), (r, h * 0.03), (r, h * shoulder), (neck * 1.3, h * (shoulder + 0.18)),
                   (neck, h * (shoulder + 0.24)), (neck, h * 0.93)], 36)  # fmt: skip
    body = lathe([(0, 0), *outer, (0, h * 0.93)], label)
    cap = lathe(
        [(0, h * 0.92), (neck * 1.2, h * 0.92), (neck * 1.2, h), (0, h)],
        tint(rng, "d62828", "222222", "f5f5f5"),
    )
    return join(body, cap)


def bowl(rng: Rng) -> trimesh.Trimesh:
    r, h = rng.uniform(0.07, 0.12), rng.uniform(0.05, 0.085)
    glaze = tint(rng, *GLAZES)
    colour = bands(glaze, tint(rng, *GLAZES), (h * 0.78, h * 0.9)) if rng.random() < 0.5 else glaze
    return join(
        _vessel([(r * 0.42, 0), (r * 0.45, h * 0.08), (r * 0.82, h * 0.45), (r, h)], 0.005, colour, 30)
    )


def plate(rng: Rng) -> trimesh.Trimesh:
    r = rng.uniform(0.1, 0.14)
    rim = bands(tint(rng, "f6f2ea", "dfe7ea"), tint(rng, *GLAZES), (0.019, 0.03))
    return join(_vessel([(r * 0.6, 0), (r * 0.66, 0.006), (r * 0.9, 0.016), (r, 0.024)], 0.004, rim, 30))


def vase(rng: Rng) -> trimesh.Trimesh:
    h, belly, neck = rng.uniform(0.22, 0.36), rng.uniform(0.06, 0.1), rng.uniform(0.022, 0.04)
    place = rng.uniform(0.3, 0.6)
    edges = np.sort(rng.uniform(0.15, 0.85, 4)) * h
    colour = bands(tint(rng, *GLAZES), tint(rng, *GLAZES), edges)
    outer = [
        (belly * 0.6, 0),
        (belly * 0.75, h * 0.05),
        (belly, h * place),
        (neck, h * 0.82),
        (neck, h * 0.88),
        (neck * 1.7, h),
    ]
    return join(_vessel(outer, 0.005, colour, 40))


def teapot(rng: Rng) -> trimesh.Trimesh:
    r, h = rng.uniform(0.07, 0.085), rng.uniform(0.09, 0.12)
    glaze = tint(rng, *GLAZES)
    profile = curve([(r * 0.6, 0), (r * 0.7, h * 0.05), (r, h * 0.5), (r * 0.7, h * 0.9), (r * 0.5, h)], 24)
    lid = lathe(
        [(0, h * 0.98), (r * 0.52, h * 0.98), *curve([(r * 0.5, h), (r * 0.3, h * 1.1), (0, h * 1.14)], 8)],
        glaze,
    )
    spout = sweep(curve([(-r * 0.8, h * 0.35, 0), (-r * 1.3, h * 0.5, 0), (-r * 1.5, h * 0.85, 0), (-r * 1.8, h * 1.0, 0)], 14),
                  np.linspace(0.02, 0.009, 14), glaze)  # fmt: skip
    knob = ball(0.012, (0, h * 1.18, 0), tint(rng, "e0a33a", "222222", glaze))
    return join(
        lathe([(0, 0), *profile, (0, h)], glaze),
        lid,
        spout,
        knob,
        _handle(r * 0.8, h * 0.25, h * 0.85, 0.055, 0.008, glaze),
    )


def kettle(rng: Rng) -> trimesh.Trimesh:
    r, h = rng.uniform(0.085, 0.1), rng.uniform(0.13, 0.17)
    metal, dark = tint(rng, "b8bcc0", "b03a2e", "2b3a42", "7fa99b"), tint(rng, "1c1c1c", "5a3e2b")
    body = lathe(
        [(0, 0), *curve([(r, 0), (r, h * 0.35), (r * 0.75, h * 0.8), (r * 0.4, h)], 24), (0, h * 1.02)], metal
    )
    arc = np.linspace(0.12, np.pi - 0.12, 20)
    handle = sweep(
        np.column_stack([r * 0.85 * np.cos(arc), h * 0.75 + h * 0.75 * np.sin(arc), 0 * arc]), 0.009, dark
    )
    spout = sweep(
        curve([(-r * 0.7, h * 0.5, 0), (-r * 1.15, h * 0.7, 0), (-r * 1.5, h * 1.0, 0)], 10),
        np.linspace(0.022, 0.012, 10),
        metal,
    )
    return join(body, handle, spout, ball(0.013, (0, h * 1.08, 0), dark))


def pan(rng: Rng) -> trimesh.Trimesh:
    r, depth, length = rng.uniform(0.1, 0.14), rng.uniform(0.035, 0.07), rng.uniform(0.16, 0.2)
    iron, grip = tint(rng, "2a2a2c", "8c9296", "8a2d22"), tint(rng, "1a1a1a", "6b4226")
    body = _vessel([(r * 0.85, 0), (r * 0.9, 0.004), (r, depth)], 0.004, iron)
    path = curve(
        [(r * 0.93, depth * 0.75, 0), (r + length * 0.4, depth * 1.1, 0), (r + length, depth * 1.2, 0)], 14
    )
    return join(body, sweep(path, np.r_[0.008, np.full(12, 0.011), 0.008], grip, flatten=0.7))


def jar(rng: Rng) -> trimesh.Trimesh:
    r, h = rng.uniform(0.035, 0.055), rng.uniform(0.1, 0.15)
    content = bands(
        tint(rng, "9c2f2f", "d98c2b", "6a994e", "7f4f24"), tint(rng, "f4efe1", "e7d8b1"), (h * 0.25, h * 0.65)
    )
    body = lathe(
        [
            (0, 0),
            *curve([(r * 0.92, 0), (r, h * 0.06), (r, h * 0.75), (r * 0.85, h * 0.86)], 26),
            (0, h * 0.86),
        ],
        content,
    )
    lid = lathe(
        [(0, h * 0.85), (r * 0.92, h * 0.85), (r * 0.92, h * 0.99), (r * 0.85, h), (0, h)],
        tint(rng, "c9a227", "b23a48", "3d5a80"),
    )
    return join(body, lid)


def can(rng: Rng) -> trimesh.Trimesh:
    r, h = rng.uniform(0.031, 0.05), rng.uniform(0.1, 0.14)
    print_ = bands(
        "c4c8cc", tint(rng, "c1121f", "1d5fa8", "2f7d32", "e9b000"), (h * 0.06, h * 0.5, h * 0.54, h * 0.93)
    )
    outer = curve([(r * 0.9, 0), (r, h * 0.04), (r, h * 0.94), (r * 0.92, h)], 36)
    return join(lathe([(0, 0.002), *outer, (r * 0.86, h), (r * 0.84, h - 0.003), (0, h - 0.003)], print_))


def goblet(rng: Rng) -> trimesh.Trimesh:
    r, h = rng.uniform(0.032, 0.045), rng.uniform(0.16, 0.22)
    glass = tint(rng, "c9dde3", "b7b79c", "d4af37", "8d99ae")
    foot = r * 0.85
    profile = curve([(foot, 0), (foot, 0.003), (0.006, 0.012), (0.004, h * 0.25), (0.005, h * 0.45),
                     (r, h * 0.68), (r * 0.9, h)], 44)  # fmt: skip
    inner = curve([(r * 0.85, h), (r * 0.92, h * 0.7), (r * 0.3, h * 0.53), (0, h * 0.5)], 12)
    return join(lathe([(0, 0), *profile, *inner], glass))


def bucket(rng: Rng) -> trimesh.Trimesh:
    r, h = rng.uniform(0.11, 0.14), rng.uniform(0.22, 0.28)
    colour = tint(rng, "8d99a6", "3a7ca5", "b5483a")
    body = _vessel([(r * 0.75, 0), (r * 0.76, h * 0.02), (r, h * 0.97), (r * 1.04, h)], 0.005, colour)
    arc = np.linspace(0, np.pi, 22)
    tilt = rng.uniform(-0.5, 0.5)
    bail = np.column_stack(
        [r * np.cos(arc), h * 0.94 + r * np.sin(arc) * np.cos(tilt), r * np.sin(arc) * np.sin(tilt)]
    )
    ears = [rod((s * r * 0.95, h * 0.94, 0), (s * r * 1.06, h * 0.94, 0), 0.012, colour) for s in (1, -1)]
    return join(body, sweep(bail, 0.004, "5c5c5c"), ears)
