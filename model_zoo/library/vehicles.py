"""Recipes for vehicles. They head along +z."""

import numpy as np
import trimesh

from .kit import (
    Colour,
    ball,
    bands,
    box,
    circle,
    curve,
    join,
    lathe,
    loft,
    mirrored,
    moved,
    rgb_of,
    rod,
    slab,
    sweep,
    tint,
)

Rng = np.random.Generator
PAINTS = ("c1121f", "1d5fa8", "e9b000", "f2f2ee", "2f7d32", "2b2f36", "d96f32")


def _wheel(r: float, width: float) -> trimesh.Trimesh:
    rows = [
        (0, -width / 2),
        (r * 0.6, -width / 2),
        (r * 0.94, -width / 2),
        (r, -width * 0.3),
        (r, width * 0.3),
        (r * 0.94, width / 2),
        (r * 0.6, width / 2),
        (0, width * 0.42),
    ]

    def hub(centres: np.ndarray) -> np.ndarray:
        middle = np.hypot(centres[:, 0], centres[:, 2]) < r * 0.5
        return np.where(middle[:, None], [[176, 180, 184]], [[32, 32, 34]])

    return moved(lathe(rows, hub, 28), turn=(0, 0, 90))


def _wheels(r: float, width: float, half: float, places: tuple[float, ...]) -> list[trimesh.Trimesh]:
    return [moved(_wheel(r, width), (x * half, r, z)) for x in (1, -1) for z in places]


def _body(
    stations: list[tuple[float, float, float, float]], colour: Colour, square: float = 5
) -> trimesh.Trimesh:
    """Lofts stations (z, half width, bottom, top) with rounded-square sections."""
    rows, ring = curve(stations, 44), circle(32, square)
    return loft(
        np.stack(
            [
                np.column_stack([ring[:, 0] * w, (lo + hi) / 2 + ring[:, 1] * (hi - lo) / 2, np.full(32, z)])
                for z, w, lo, hi in rows
            ]
        ),
        colour,
    )


def car(rng: Rng) -> trimesh.Trimesh:
    length, w, h = rng.uniform(3.7, 4.6), rng.uniform(0.82, 0.92), rng.uniform(1.35, 1.55)
    paint, half = tint(rng, *PAINTS), length / 2
    body = _body(
        [
            (-half, w * 0.8, 0.42, 0.75),
            (-half * 0.95, w * 0.95, 0.3, 0.88),
            (0, w, 0.25, 0.92),
            (half * 0.55, w, 0.26, 0.85),
            (half * 0.93, w * 0.9, 0.3, 0.7),
            (half, w * 0.75, 0.4, 0.6),
        ],
        paint,
    )
    tail = rng.uniform(0.55, 0.85)
    glass = lambda c: np.where((c[:, 1] > h - 0.1)[:, None], rgb_of(paint), [[40, 52, 62]])  # noqa: E731
    cabin = _body(
        [
            (-half * tail - 0.1, w * 0.75, 0.7, 0.82),
            (-half * tail * 0.7, w * 0.86, 0.7, h - 0.05),
            (0, w * 0.85, 0.7, h),
            (half * 0.2, w * 0.84, 0.7, h - 0.06),
            (half * 0.52, w * 0.8, 0.7, 0.84),
        ],
        glass,
        4,
    )
    roof = _body(
        [
            (-half * tail * 0.62, w * 0.62, h - 0.08, h),
            (0, w * 0.7, h - 0.06, h + 0.03),
            (half * 0.16, w * 0.6, h - 0.1, h - 0.02),
        ],
        paint,
        4,
    )
    lamps = mirrored(ball((0.15, 0.08, 0.06), (w * 0.62, 0.58, half * 0.95), "fff6d8")) + mirrored(
        ball((0.13, 0.07, 0.05), (w * 0.68, 0.7, -half * 0.97), "a61b1b")
    )
    return join(body, cabin, roof, lamps, _wheels(0.33, 0.22, w * 0.93, (half * 0.62, -half * 0.62)))


def truck(rng: Rng) -> trimesh.Trimesh:
    length, h, paint = rng.uniform(3.6, 5.0), rng.uniform(2.2, 2.7), tint(rng, *PAINTS)
    load = tint(rng, "f2f2ee", "8d99a6", "b98b56", "3d5a40")
    cab = _body(
        [
            (0.9, 1.05, 0.5, h * 0.86),
            (1.6, 1.05, 0.5, h * 0.9),
            (2.0, 1.03, 0.5, h * 0.84),
            (2.25, 1.0, 0.5, h * 0.55),
            (2.35, 0.98, 0.55, h * 0.48),
        ],
        paint,
        7,
    )
    glass = [
        box((1.75, 0.55, 0.06), (0, h * 0.68, 2.13), "2b3a45"),
        *mirrored(box((0.03, 0.5, 0.65), (1.05, h * 0.68, 1.55), "2b3a45")),
    ]
    if rng.random() < 0.6:
        cargo = [box((2.2, h - 0.65, length), (0, 0.75 + (h - 0.65) / 2, 0.7 - length / 2), load, 0.05)]
    else:
        cargo = [
            box((2.2, 0.12, length), (0, 0.8, 0.7 - length / 2), load),
            *mirrored(box((0.08, 0.6, length), (1.06, 1.1, 0.7 - length / 2), load)),
            box((2.2, 0.6, 0.08), (0, 1.1, 0.7 - length), load),
        ]
    frame = box((1.5, 0.25, length + 2.6), (0, 0.58, 1.0 - length / 2), "2b2b2e")
    lamps = mirrored(ball((0.16, 0.12, 0.07), (0.72, 0.72, 2.3), "fff6d8"))
    return join(
        cab,
        glass,
        cargo,
        frame,
        lamps,
        _wheels(0.48, 0.32, 0.95, (1.5, 0.9 - length * 0.62, 0.9 - length * 0.88)),
    )


def bus(rng: Rng) -> trimesh.Trimesh:
    half, h = rng.uniform(3.6, 5.0), rng.uniform(2.7, 3.0)
    paint = tint(rng, *PAINTS)
    pattern = bands(paint, tint(rng, "f4f1ea", "2b2f36", paint), (0.95, 1.2))
    body = moved(
        _body(
            [
                (-half, 1.15, 0.4, h - 0.05),
                (-half + 0.12, 1.25, 0.35, h),
                (half - 0.15, 1.25, 0.35, h),
                (half, 1.15, 0.4, h - 0.12),
            ],
            pattern,
            9,
        )
    )
    count = int(half * 1.6)
    pitch = 2 * half / (count + 0.5)
    windows = [
        m
        for i in range(count)
        for m in mirrored(
            box((0.03, 0.75, pitch * 0.8), (1.25, h * 0.66, -half + pitch * (i + 0.75)), "26323b", 0.01)
        )
    ]
    front = [
        box((2.1, 1.1, 0.05), (0, h * 0.6, half - 0.01), "26323b", 0.01),
        *mirrored(ball((0.16, 0.12, 0.06), (0.85, 0.8, half), "fff6d8")),
    ]
    return join(body, windows, front, _wheels(0.48, 0.28, 1.14, (half * 0.6, -half * 0.55)))


def airplane(rng: Rng) -> trimesh.Trimesh:
    half, r, paint = (
        rng.uniform(3.2, 4.2),
        rng.uniform(0.42, 0.55),
        tint(rng, "f4f4f0", "e9b000", "c1121f", "8d99a6"),
    )
    trim = tint(rng, "1d5fa8", "c1121f", "2b2f36", "2f7d32")
    fuselage = _body([(-half, 0.06, 0.25, 0.42), (-half * 0.5, r * 0.7, -r * 0.5, r * 0.9), (half * 0.3, r, -r, r), (half * 0.75, r * 0.85, -r * 0.9, r * 0.75), (half, 0.1, -0.15, 0.12)],
                     bands(paint, trim, (-0.1, 0.06)), 2.3)  # fmt: skip
    span, sweep_back = half * rng.uniform(0.95, 1.15), rng.uniform(0.0, 1.3)
    low = rng.choice([-r * 0.5, r * 0.8])
    wing = mirrored(_wing(span, 1.25, 0.6, sweep_back, 0.09, trim, (0, low, half * 0.35)))
    tail = mirrored(_wing(span * 0.36, 0.75, 0.4, sweep_back * 0.4, 0.06, trim, (0, 0.3, -half * 0.8)))
    fin = moved(_wing(1.15, 0.9, 0.45, 0.6, 0.06, trim, (0, 0, 0)), (0, 0.3, -half * 0.78), (0, 0, 90))
    if sweep_back > 0.6:
        jet = lathe([(0, -0.5), (0.15, -0.5), (0.2, 0.3), (0.17, 0.5), (0.12, 0.35), (0, 0.3)], "9aa0a6")
        nose = [moved(jet, (s * span * 0.42, low - 0.25, half * 0.35 - 0.1), (90, 0, 0)) for s in (1, -1)]
    else:
        nose = [
            ball((0.12, 0.12, 0.2), (0, 0, half), "3a3a3a"),
            moved(
                box((0.13, 2.0, 0.03), (0, 0, 0), "2b2b2b", 0.01),
                (0, 0, half + 0.1),
                (0, 0, rng.uniform(0, 180)),
            ),
        ]
    glass = ball((r * 0.62, r * 0.5, 0.6), (0, r * 0.72, half * 0.52), "2b3a45")
    return join(fuselage, wing, tail, fin, nose, glass)


def _wing(
    span: float,
    root: float,
    tip: float,
    back: float,
    thick: float,
    colour: Colour,
    at: tuple[float, float, float],
) -> trimesh.Trimesh:
    ring = circle(20) * [0.5, 0.5]
    rings = [
        np.column_stack([np.full(20, x), ring[:, 1] * t, ring[:, 0] * c - b])
        for x, c, t, b in (
            (0, root, thick * 1.6, 0),
            (span * 0.97, tip, thick, back),
            (span, tip * 0.7, thick * 0.4, back),
        )
    ]
    return moved(loft(np.stack(rings), colour), at)


def rocket(rng: Rng) -> trimesh.Trimesh:
    h, r = rng.uniform(1.6, 2.6), rng.uniform(0.13, 0.2)
    white, red = tint(rng, "f2efe8", "dfe3e6"), tint(rng, "c1121f", "1d5fa8", "e07a1f", "2b2f36")
    edges = (h * 0.1, h * 0.14, h * 0.45, h * 0.5, h * 0.78)
    outer = curve([(r * 0.75, 0.12), (r, h * 0.2), (r, h * 0.7), (r * 0.72, h * 0.87), (0.004, h)], 60)
    hull = lathe([(0, 0.12), *outer], bands(white, red, edges))
    nozzle = lathe([(0, 0.16), (r * 0.3, 0.14), (r * 0.55, 0.0), (r * 0.5, 0.0), (0, 0.1)], "4a4a4d")
    shape = [(r * 0.75, 0.14), (r * 2.1, -0.02), (r * 2.15, 0.12), (r * 1.5, 0.42), (r * 0.9, 0.62)]
    count = int(rng.integers(3, 5))
    fins = [moved(slab(shape, 0.025, red), turn=(0, 360 * i / count + 20, 0)) for i in range(count)]
    window = moved(
        lathe([(0, 0), (r * 0.38, 0), (r * 0.38, 0.03), (0, 0.035)], "7fb3d5"),
        (0, h * 0.64, r * 0.96),
        (90, 0, 0),
    )
    return join(hull, nozzle, fins, window)


def launcher(rng: Rng) -> trimesh.Trimesh:
    h, r = rng.uniform(28, 46), rng.uniform(1.5, 1.9)
    white, dark = tint(rng, "f0efe9", "d8d9d6", "c9773f"), tint(rng, "2b2f36", "5a5e63")
    outer = curve(
        [
            (r, 0.8),
            (r, h * 0.68),
            (r, h * 0.7),
            (r * 1.3, h * 0.74),
            (r * 1.3, h * 0.9),
            (r * 0.8, h * 0.97),
            (0.1, h),
        ],
        70,
    )
    core = lathe([(0, 0.8), *outer], bands(white, dark, (h * 0.6, h * 0.68)))
    parts = [core] + [lathe([(0, 0.9), (0.3, 0.9), (0.6, 0), (0.5, 0), (0, 0.5)], "3a3a3d", 20)]
    if rng.random() < 0.5:
        booster = lathe(
            [(0, 0), (r * 0.7, 0), (r * 0.7, h * 0.45), (r * 0.5, h * 0.5), (0, h * 0.55)],
            bands("f4f4f0", dark, (h * 0.08, h * 0.1, h * 0.4, h * 0.42)),
        )
        parts += [moved(booster, (s * r * 1.75, 0, 0)) for s in (1, -1)]
    return join(parts)


def shuttle(rng: Rng) -> trimesh.Trimesh:
    h, r = rng.uniform(44, 48), 4.2
    tank = lathe(
        [(0, 2), *curve([(r * 0.9, 2), (r, 6), (r, h * 0.72), (r * 0.75, h * 0.88), (0.2, h)], 40)],
        tint(rng, "b5652a", "a8592a"),
    )
    booster = lathe(
        [(0, 0), (2.4, 0), (1.85, 4), (1.85, h * 0.8), (0.9, h * 0.88), (0, h * 0.92)],
        bands("f2f2ee", "55585c", (2, 2.6, h * 0.72, h * 0.74)),
    )
    orbiter = moved(_body([(-h * 0.4, 2.3, -2.2, 2.6), (-h * 0.3, 2.6, -2.4, 2.6), (h * 0.12, 2.4, -2.3, 2.3), (h * 0.24, 1.8, -1.9, 1.1), (h * 0.3, 0.3, -0.8, 0)],
                          bands("26282b", "f4f4f0", (-1.5,)), 3), (0, h * 0.42, r + 3.2), (-90, 0, 0))  # fmt: skip
    wings = mirrored(
        slab(
            [(1.5, h * 0.5), (3.0, h * 0.28), (9.5, h * 0.1), (9.5, h * 0.04), (1.5, h * 0.03)], 0.7, "ececea"
        )
    )
    fin = moved(
        slab([(0, 0), (-6, -5.5), (-6, -9), (0, -11)], 0.6, "ececea"), (0, h * 0.3, r + 5.4), (0, 90, 0)
    )
    return join(
        tank,
        [moved(booster, (s * (r + 1.9), 0, 0)) for s in (1, -1)],
        orbiter,
        [moved(w, (0, 0, r + 1.6)) for w in wings],
        fin,
    )


def boat(rng: Rng) -> trimesh.Trimesh:
    half, w, depth = rng.uniform(1.8, 2.6), rng.uniform(0.65, 0.85), rng.uniform(0.5, 0.65)
    hull_paint = bands(
        tint(rng, "7a2e1d", "2b2f36", "c1121f"), tint(rng, "f4f1ea", "1d5fa8", "e9b000"), (-0.05,)
    )
    rows, ring = (
        curve([(-half, w * 0.75, 0.0), (0, w, -0.1), (half * 0.6, w * 0.7, 0.0), (half, 0.03, 0.22)], 30),
        circle(32, 3),
    )

    def section(z: float, wide: float, up: float) -> np.ndarray:
        low = np.minimum(ring[:, 1], 0)
        return np.column_stack(
            [
                ring[:, 0] * wide * (0.72 + 0.28 * (1 + low)),
                up * 0.8 + low * depth * (0.65 + 0.35 * wide / w) + 0.1 * (ring[:, 1] > 0),
                np.full(32, z),
            ]
        )

    hull = loft(np.stack([section(*row) for row in rows]), hull_paint)
    deck = [box((w * 1.0, 0.4, half * 0.6), (0, 0.22, -half * 0.3), tint(rng, "f4f1ea", "b98b56"), 0.06), box((w * 0.8, 0.16, 0.03), (0, 0.32, 0.005), "2b3a45"),
            box((w * 1.08, 0.05, half * 0.66), (0, 0.44, -half * 0.3), tint(rng, *PAINTS), 0.03)]  # fmt: skip
    if rng.random() < 0.65:
        tall = rng.uniform(2.4, 3.2)
        mast = rod((0, 0, 0.25), (0, tall, 0.25), 0.035, "b98b56")
        cloth = tint(rng, "f8f5ec", "e9c46a", "e76f51")
        sails = [
            moved(slab([(0, 0.75), (0, tall * 0.97), (1.5, 0.75)], 0.03, cloth), (0, 0, 0.2), (0, 90, 0)),
            moved(slab([(0, 0.65), (0, tall * 0.85), (-1.25, 0.35)], 0.03, cloth), (0, 0, 0.35), (0, 90, 0)),
        ]
        return join(hull, deck, mast, sails)
    return join(
        hull,
        deck,
        rod((0, 0.3, -half * 0.3), (0, 1.0, -half * 0.3), 0.025, "8c8c8c"),
        sweep([(0, 0.9, -half * 0.3), (0, 0.9, -half * 0.3 - 0.25)], 0.09, "c1121f", flatten=0.1),
    )


def train(rng: Rng) -> trimesh.Trimesh:
    paint, trim = tint(rng, "2b2f36", "2f5d3a", "7a1f1f", "1d3f72"), tint(rng, "c1121f", "c9a227")
    length, r = rng.uniform(2.6, 3.2), rng.uniform(0.6, 0.7)
    boiler = moved(
        lathe(
            [(0, 0), (r, 0), (r, length * 0.95), (r * 0.9, length), (0, length)],
            bands(paint, "c9a227", (0.5, 0.56, 1.4, 1.46, 2.2, 2.26)),
        ),
        (0, 1.35, -0.4),
        (90, 0, 0),
    )
    stack = lathe([(0, 0), (0.16, 0), (0.16, 0.5), (0.27, 0.75), (0.2, 0.75), (0, 0.6)], "1f1f21")
    cab = [
        box((1.5, 1.6, 1.1), (0, 1.6, -0.9), paint, 0.04),
        box((1.75, 0.1, 1.4), (0, 2.45, -0.9), trim, 0.04),
        *mirrored(box((0.03, 0.5, 0.6), (0.75, 1.95, -0.9), "e8d9a0")),
    ]
    chassis = box((1.3, 0.25, length + 1.3), (0, 0.72, length / 2 - 0.95), trim)
    front = length - 0.35
    domes = [ball((0.25, 0.3, 0.25), (0, 1.35 + r, front * z), "c9a227") for z in (0.25, 0.55)]
    plough = moved(
        slab([(-0.6, 0), (0.6, 0), (0.45, 0.55), (-0.45, 0.55)], 0.25, trim),
        (0, 0.05, front + 0.35),
        (-25, 0, 0),
    )
    lamp = moved(
        lathe([(0, 0), (0.15, 0), (0.15, 0.12), (0, 0.14)], "fff1c2"),
        (0, 1.45 + r * 0.5, front - 0.02),
        (90, 0, 0),
    )
    return join(
        boiler,
        moved(stack, (0, 1.3 + r, front * 0.85)),
        cab,
        chassis,
        domes,
        plough,
        lamp,
        _wheels(0.42, 0.14, 0.68, (-1.0, 0.0, 0.95)),
        _wheels(0.27, 0.12, 0.68, (1.75, front)),
    )


def scooter(rng: Rng) -> trimesh.Trimesh:
    paint = tint(rng, *PAINTS, "7fa99b")
    wheels = [moved(_wheel(0.22, 0.1), (0, 0.22, z)) for z in (0.62, -0.5)]
    rear = _body(
        [(-0.85, 0.08, 0.4, 0.5), (-0.6, 0.22, 0.25, 0.66), (-0.2, 0.2, 0.2, 0.68), (0.0, 0.14, 0.2, 0.5)],
        paint,
        3,
    )
    floor_, seat = (
        box((0.34, 0.06, 0.5), (0, 0.22, 0.12), "3a3a3d", 0.03),
        box((0.26, 0.1, 0.66), (0, 0.74, -0.42), tint(rng, "2b2b2b", "6b3e1d"), 0.06),
    )
    shield = moved(box((0.42, 0.68, 0.06), (0, 0, 0), paint, 0.03), (0, 0.58, 0.42), (-16, 0, 0))
    column = rod((0, 0.3, 0.58), (0, 1.02, 0.36), 0.03, "b0b3b6")
    bars = sweep(
        curve([(-0.34, 1.0, 0.26), (-0.12, 1.04, 0.36), (0.12, 1.04, 0.36), (0.34, 1.0, 0.26)], 14),
        0.018,
        "2b2b2b",
    )
    fender = _body([(0.38, 0.05, 0.36, 0.4), (0.6, 0.09, 0.36, 0.48), (0.84, 0.04, 0.26, 0.32)], paint, 2.5)
    return join(
        wheels,
        rear,
        floor_,
        seat,
        shield,
        column,
        bars,
        fender,
        ball((0.09, 0.09, 0.07), (0, 0.93, 0.46), "fff6d8"),
    )
