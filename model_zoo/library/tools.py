"""Recipes for tools and small household things."""

import numpy as np
import trimesh

from .kit import ball, bands, box, circle, curve, join, lathe, loft, moved, rgb_of, rod, slab, sweep, tint

Rng = np.random.Generator
GRIPS = ("c1121f", "e9b000", "1d5fa8", "2b2b2b", "2f7d32", "a9713b")
STEEL = ("9aa0a6", "b4b8bc", "7d848a")


def hammer(rng: Rng) -> trimesh.Trimesh:
    length, steel = rng.uniform(0.28, 0.36), tint(rng, *STEEL, "4a4e52")
    grip = bands(tint(rng, *GRIPS), tint(rng, "a9713b", "8b5a2b", "3a3a3a"), (length * 0.42,))
    profile = curve([(0.013, 0), (0.018, length * 0.12), (0.014, length * 0.4), (0.011, length)], 22)
    handle = moved(lathe([(0, 0), *profile, (0, length)], grip, 20), scale=(1.25, 1, 0.85))
    face = moved(
        lathe([(0, 0), (0.016, 0), (0.017, 0.012), (0.011, 0.022), (0.012, 0.055), (0, 0.055)], steel, 24),
        (0.065, length, 0),
        (0, 0, 90),
    )
    block = box((0.034, 0.036, 0.028), (0, length, 0), steel, 0.005)
    claw = curve(
        [
            (-0.01, length, 0),
            (-0.05, length + 0.006, 0),
            (-0.085, length - 0.018, 0),
            (-0.1, length - 0.04, 0),
        ],
        12,
    )
    prong = sweep(claw, np.linspace(0.012, 0.003, 12), steel, flatten=0.45)
    prongs = [moved(prong, (0, 0, z), (0, turn, 0)) for z, turn in ((0.006, -4), (-0.006, 4))]
    return join(handle, face, block, prongs)


def mallet(rng: Rng) -> trimesh.Trimesh:
    length, r = rng.uniform(0.26, 0.34), rng.uniform(0.032, 0.045)
    wood = tint(rng, "a9713b", "c19a6b", "8b5a2b")
    head = bands(tint(rng, "2b2b2b", "c1121f", wood), tint(rng, "d8b384", "4d4d4d"), (-0.035, 0.035), axis=0)
    barrel = loft(np.stack([np.column_stack([np.full(32, x), *(circle(32) * r * k).T]) for x, k in
                            ((-0.06, 0.9), (-0.055, 1), (-0.035, 1), (-0.03, 1), (0.03, 1), (0.035, 1), (0.055, 1), (0.06, 0.9))]), head)  # fmt: skip
    return join(
        lathe([(0, 0), *curve([(0.012, 0), (0.016, 0.08), (0.012, length)], 16), (0, length)], wood, 20),
        moved(barrel, (0, length, 0)),
    )


def screwdriver(rng: Rng) -> trimesh.Trimesh:
    shaft, grip_length = rng.uniform(0.09, 0.16), rng.uniform(0.09, 0.115)
    colour = bands(tint(rng, *GRIPS), "1c1c1c", (shaft + grip_length * 0.75, shaft + grip_length * 0.82))
    profile = curve(
        [
            (0.006, 0),
            (0.013, 0.1 * grip_length),
            (0.011, 0.3 * grip_length),
            (0.016, 0.65 * grip_length),
            (0.013, grip_length),
        ],
        24,
    )
    grip = lathe([(0, shaft), *(profile + [0, shaft]), (0, shaft + grip_length)], colour, 12)
    blade = box((0.009, 0.022, 0.0018), (0, 0.011, 0), "8d9296")
    return join(grip, rod((0, 0.014, 0), (0, shaft + 0.01, 0), 0.0036, tint(rng, *STEEL)), blade)


def wrench(rng: Rng) -> trimesh.Trimesh:
    length, jaw, steel = rng.uniform(0.15, 0.24), rng.uniform(0.014, 0.02), tint(rng, *STEEL)
    bar = box((0.012, length - jaw * 2, 0.006), (0, length / 2, 0), steel, 0.002)
    a = np.linspace(np.radians(125), np.radians(415), 26)
    outer, mouth = np.column_stack([np.cos(a), np.sin(a)]) * jaw * 1.15, jaw * 0.62
    inner = np.column_stack(
        [
            np.sign(np.cos(a)) * np.minimum(np.abs(np.cos(a)) * jaw, mouth),
            np.maximum(np.sin(a) * jaw, -0.35 * jaw),
        ]
    )
    rings = np.stack(
        [
            np.array([[*o, 0.004], [*o, -0.004], [*i, -0.004], [*i, 0.004]])
            for o, i in zip(outer, inner, strict=True)
        ]
    )
    ring = sweep(
        [(jaw * 0.85 * np.cos(t), jaw * 0.85 * np.sin(t), 0) for t in np.linspace(0, 2 * np.pi, 33)],
        0.005,
        steel,
    )
    return join(
        bar,
        moved(loft(rings, steel), (0, length, 0), (0, 0, rng.uniform(-15, 15))),
        moved(ring, (0, 0.006, 0)),
    )


def saw(rng: Rng) -> trimesh.Trimesh:
    length, tall = rng.uniform(0.34, 0.46), rng.uniform(0.09, 0.12)
    teeth = np.array([(x, 0.006 * (i % 2)) for i, x in enumerate(np.linspace(0, length, 61))])
    blade = slab([*teeth, (length, tall * 0.45), (0, tall)], 0.0022, tint(rng, *STEEL))
    wood = tint(rng, *GRIPS, "a9713b")
    loop = curve(
        [
            (0.0, tall * 0.9, 0),
            (-0.04, tall * 1.0, 0),
            (-0.095, tall * 0.85, 0),
            (-0.085, tall * 0.35, 0),
            (-0.05, 0.0, 0),
            (0.0, tall * 0.1, 0),
        ],
        20,
    )
    plate = slab([(0.03, 0.0), (0.05, tall * 0.5), (0.02, tall), (-0.02, tall), (-0.012, 0.0)], 0.018, wood)
    return join(blade, plate, sweep(loop, 0.012, wood, flatten=1.2))


def spoon(rng: Rng) -> trimesh.Trimesh:
    length, wide = rng.uniform(0.13, 0.2), rng.uniform(0.017, 0.026)
    metal = tint(rng, *STEEL, "c9a227", "b5834a")
    path = curve([(0, 0.014, -length), (0, 0.02, -length * 0.7), (0, 0.008, -0.035), (0, 0.004, -0.02)], 16)
    bowl = ball((wide, 0.009, wide * 1.5), (0, 0.009, 0), metal, 4)
    bowl.vertices[:, 1] = np.where(
        bowl.vertices[:, 1] > 0.009, 0.012 - 0.35 * (bowl.vertices[:, 1] - 0.003), bowl.vertices[:, 1]
    )
    return join(bowl, sweep(path, np.linspace(0.0062, 0.003, 16), metal, flatten=0.45))


def dumbbell(rng: Rng) -> trimesh.Trimesh:
    r, half = rng.uniform(0.05, 0.08), rng.uniform(0.07, 0.09)
    iron = tint(rng, "2b2b2b", "c1121f", "1d5fa8", "4b4b55")
    sides = int(rng.choice([6, 32]))
    disc = lathe(
        [(0, -0.028), (r * 0.86, -0.028), (r, -0.018), (r, 0.018), (r * 0.86, 0.028), (0, 0.028)], iron, sides
    )
    return join(
        rod((-half, 0, 0), (half, 0, 0), 0.015, "a8abad"),
        [moved(disc, (s * half, 0, 0), (0, 0, 90)) for s in (1, -1)],
    )


def candle(rng: Rng) -> trimesh.Trimesh:
    r, h = rng.uniform(0.03, 0.045), rng.uniform(0.09, 0.18)
    wax, brass = tint(rng, "f3e9d2", "b23a48", "5b7553", "e9c46a"), tint(rng, "b08d57", "8d99a6")
    dish = lathe(
        [(0, 0), (r * 1.5, 0), (r * 1.9, 0.016), (r * 1.83, 0.018), (r * 1.4, 0.006), (0, 0.006)], brass
    )
    body = lathe([(0, 0.004), (r, 0.004), (r, h), (r * 0.9, h + 0.003), (0, h - 0.004)], wax)
    flame = lathe(
        [
            (0, h + 0.012),
            *curve([(0.0045, h + 0.015), (0.008, h + 0.024), (0.004, h + 0.04)], 10),
            (0, h + 0.052),
        ],
        "f6b73c",
        20,
    )
    return join(dish, body, rod((0, h - 0.005, 0), (0, h + 0.016, 0), 0.0013, "2a2a2a"), flame)


def book(rng: Rng) -> trimesh.Trimesh:
    parts, y = [], 0.0
    for _ in range(int(rng.integers(1, 5))):
        w, d, t = rng.uniform(0.14, 0.19), rng.uniform(0.2, 0.26), rng.uniform(0.018, 0.045)
        cover = tint(rng, "7a2e2e", "264653", "e9c46a", "3d5a40", "6d597a", "d9a566", spread=22)
        one = [box((w - 0.008, t - 0.006, d - 0.012), (0.004, y + t / 2, 0), "f2ead8"), box((w, 0.004, d), (0, y + 0.002, 0), cover),
               box((w, 0.004, d), (0, y + t - 0.002, 0), cover), box((0.005, t, d), (-w / 2, y + t / 2, 0), cover)]  # fmt: skip
        turn = rng.uniform(-14, 14)
        parts += [moved(m, turn=(0, turn, 0)) for m in one]
        y += t
    return join(parts)


def carton(rng: Rng) -> trimesh.Trimesh:
    w, h, d = rng.uniform(0.12, 0.2), rng.uniform(0.2, 0.3), rng.uniform(0.045, 0.08)
    ground, label = (
        tint(rng, "c1121f", "1d5fa8", "e9b000", "2f7d32", "f2efe8"),
        tint(rng, "ffffff", "f4d35e", "222222"),
    )
    picture = ball(
        (w * 0.3, h * 0.2, 0.004), (0, h * 0.36, d / 2), tint(rng, "e0a33a", "8b5a2b", "e76f51"), 3
    )
    title = [
        box((w * 0.75, h * 0.1, 0.004), (0, h * 0.78, d / 2), label),
        box((w * 0.5, h * 0.045, 0.004), (0, h * 0.67, d / 2), label),
    ]
    return join(box((w, h, d), (0, h / 2, 0), ground, 0.002), picture, title)


def hat(rng: Rng) -> trimesh.Trimesh:
    r, h, brim = rng.uniform(0.085, 0.095), rng.uniform(0.1, 0.15), rng.uniform(0.15, 0.19)
    felt = tint(rng, "5b4636", "2b2b2b", "b9a27c", "7a3b32")
    ribbon = bands(felt, tint(rng, "1a1a1a", "e9c46a", "b23a48"), (0.014, 0.04))
    outer = [
        (brim, 0.012),
        (brim, 0.016),
        (brim * 0.75, 0.006),
        (r, 0.008),
        (r, 0.016),
        (r * 0.98, 0.039),
        (r * 0.97, 0.045),
        (r * 0.88, h * 0.8),
        (r * 0.7, h),
    ]
    crown = lathe(
        [
            *curve(outer, 60),
            (0, h * 0.94),
            (0, h * 0.9),
            *curve(
                [(r * 0.8, h * 0.75), (r * 0.93, 0.02), (r * 0.95, 0.0), (brim * 0.75, 0.0), (brim, 0.012)],
                24,
            ),
        ],
        ribbon,
    )
    return join(moved(crown, scale=(1, 1, 1.18)))


def guitar(rng: Rng) -> trimesh.Trimesh:
    top, side = tint(rng, "d9a05b", "b5651d", "e6c79c", "7a2e1d"), tint(rng, "6b3e1d", "3b2314")
    outline = curve(
        [
            (0, -0.24),
            (0.15, -0.215),
            (0.195, -0.11),
            (0.14, 0.02),
            (0.12, 0.06),
            (0.145, 0.14),
            (0.09, 0.225),
            (0, 0.235),
        ],
        26,
    )
    outline = np.vstack([outline, (outline * [-1, 1])[-2:0:-1]])
    body = slab(
        outline,
        0.09,
        lambda c: (
            np.where((c[:, 2] > 0.044)[:, None], 1, 0) * rgb_of(top)
            + np.where((c[:, 2] > 0.044)[:, None], 0, 1) * rgb_of(side)
        ),
    )
    hole = moved(
        lathe([(0, 0), (0.045, 0), (0.045, 0.002), (0, 0.002)], "1c120b"), (0, 0.07, 0.0452), (90, 0, 0)
    )
    neck = box((0.05, 0.42, 0.022), (0, 0.37, 0.045), "2b1d14", 0.004)
    head = box((0.068, 0.13, 0.018), (0, 0.63, 0.04), side, 0.006)
    pegs = [rod((-0.05, y, 0.04), (0.05, y, 0.04), 0.006, "c9c9c9") for y in (0.59, 0.63, 0.67)]
    strings = [
        rod((x, -0.1, 0.062), (x, 0.62, 0.062), 0.0012, "e6e6e6") for x in np.linspace(-0.018, 0.018, 6)
    ]
    return join(body, hole, neck, head, pegs, strings, box((0.11, 0.022, 0.016), (0, -0.1, 0.052), "2b1d14"))


def clock(rng: Rng) -> trimesh.Trimesh:
    r, colour = rng.uniform(0.055, 0.075), tint(rng, "c1121f", "2a9d8f", "2b2b2b", "c9a227")
    case = moved(
        lathe(
            [
                (0, -0.022),
                (r * 0.9, -0.022),
                (r, -0.014),
                (r, 0.018),
                (r * 0.93, 0.024),
                (r * 0.88, 0.016),
                (0, 0.016),
            ],
            colour,
        ),
        (0, r, 0),
        (90, 0, 0),
    )
    face = moved(
        lathe([(0, 0), (r * 0.87, 0), (r * 0.87, 0.003), (0, 0.003)], "f8f5ec"), (0, r, 0.016), (90, 0, 0)
    )
    ticks = [
        moved(box((0.003, 0.009, 0.002), (0, r * 0.74, 0), "222222"), (0, r, 0.02), (0, 0, -30 * i))
        for i in range(12)
    ]
    hands = [
        moved(box((w, k * r, 0.002), (0, k * r / 2, 0), "111111"), (0, r, 0.021), (0, 0, rng.uniform(0, 360)))
        for w, k in ((0.005, 0.45), (0.003, 0.68))
    ]
    bells = [
        moved(ball((0.022, 0.016, 0.022), (0, 0, 0), "b9bcc0"), (s * r * 0.55, r * 1.95, 0), (0, 0, -s * 28))
        for s in (1, -1)
    ]
    feet = [rod((s * r * 0.5, r * 0.25, 0), (s * r * 0.72, -0.012, 0), 0.005, "b9bcc0") for s in (1, -1)]
    return join(case, face, ticks, hands, bells, feet)
