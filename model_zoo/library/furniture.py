"""Recipes for furniture and lamps."""

import numpy as np
import trimesh

from .kit import Colour, ball, box, curve, join, lathe, mirrored, moved, rod, sweep, tint

Rng = np.random.Generator
WOODS = ("8b5a2b", "c19a6b", "5b3a1e", "d8b384", "3c2f2f", "efe8dc")
CLOTHS = ("7a8b99", "a4463f", "4d6a53", "c7a03c", "2f3e55", "b9a18e")


def _legs(
    half_x: float, half_z: float, top: float, thickness: float, splay: float, colour: Colour
) -> list[trimesh.Trimesh]:
    return [
        rod((x * (half_x + splay), 0, z * (half_z + splay)), (x * half_x, top, z * half_z), thickness * 0.75, colour, thickness)
        for x in (1, -1) for z in (1, -1)
    ]  # fmt: skip


def chair(rng: Rng) -> trimesh.Trimesh:
    w, d, seat, back = (
        rng.uniform(0.4, 0.48),
        rng.uniform(0.4, 0.46),
        rng.uniform(0.43, 0.48),
        rng.uniform(0.38, 0.52),
    )
    wood, lean = tint(rng, *WOODS), rng.uniform(0.03, 0.09)
    pad = box((w, 0.045, d), (0, seat, 0), tint(rng, *CLOTHS) if rng.random() < 0.5 else wood, 0.02)
    posts = mirrored(
        rod((w / 2 - 0.03, seat, -d / 2 + 0.03), (w / 2 - 0.03, seat + back, -d / 2 - lean), 0.018, wood)
    )
    at = lambda s: (0, seat + back * s, -d / 2 + 0.03 - (lean + 0.03) * s)  # noqa: E731
    if rng.random() < 0.5:
        rails = [
            box((w - 0.05, 0.06, 0.018), at(s), wood, 0.008)
            for s in np.linspace(0.35, 0.95, rng.integers(2, 5))
        ]
    else:
        across = np.linspace(-w / 2 + 0.08, w / 2 - 0.08, rng.integers(3, 6))
        rails = [rod((x, *at(0.02)[1:]), (x, *at(0.9)[1:]), 0.009, wood) for x in across]
        rails.append(box((w - 0.03, 0.07, 0.022), at(0.93), wood, 0.01))
    return join(
        pad, posts, rails, _legs(w / 2 - 0.035, d / 2 - 0.035, seat, 0.02, rng.uniform(0, 0.03), wood)
    )


def armchair(rng: Rng) -> trimesh.Trimesh:
    w, d, seat, back = (
        rng.uniform(0.72, 0.9),
        rng.uniform(0.7, 0.82),
        rng.uniform(0.36, 0.42),
        rng.uniform(0.75, 0.95),
    )
    cloth, arm = tint(rng, *CLOTHS), rng.uniform(0.11, 0.15)
    base = box((w, seat - 0.17, d), (0, seat / 2 + 0.02, 0), cloth, 0.04)
    cushion = box((w - 2 * arm, 0.14, d - 0.1), (0, seat, 0.04), tint(rng, cloth, spread=10), 0.05)
    rest = moved(
        box((w - 0.04, back - 0.2, 0.17), (0, 0, 0), cloth, 0.06),
        (0, 0.2 + (back - 0.2) / 2, -d / 2 + 0.06),
        (-6, 0, 0),
    )
    arms = mirrored(box((arm, seat + 0.08, d), (w / 2 - arm / 2, (seat + 0.2) / 2 + 0.08, 0), cloth, 0.05))
    return join(
        base, cushion, rest, arms, _legs(w / 2 - 0.08, d / 2 - 0.08, 0.12, 0.022, 0.01, tint(rng, *WOODS))
    )


def stool(rng: Rng) -> trimesh.Trimesh:
    r, h = rng.uniform(0.15, 0.19), rng.uniform(0.42, 0.72)
    wood = tint(rng, *WOODS)
    seat = lathe([(0, h - 0.035), (r * 0.95, h - 0.035), (r, h - 0.02), (r * 0.97, h), (0, h - 0.006)], wood)
    count, spread = int(rng.integers(3, 5)), rng.uniform(1.0, 1.25)
    angles = np.arange(count) * 2 * np.pi / count + 0.4
    spoke = lambda a, k, y: (r * k * np.cos(a), y, r * k * np.sin(a))  # noqa: E731
    legs = [rod(spoke(a, spread, 0), spoke(a, 0.6, h - 0.02), 0.013, wood, 0.018) for a in angles]
    ring_at = 0.35 * h
    k = spread + (0.6 - spread) * 0.35
    ring = sweep([spoke(a, k, ring_at) for a in np.linspace(0, 2 * np.pi, 33)], 0.009, wood)
    return join(seat, legs, ring)


def table(rng: Rng) -> trimesh.Trimesh:
    w, d, h = rng.uniform(1.0, 1.6), rng.uniform(0.65, 0.9), rng.uniform(0.7, 0.76)
    wood = tint(rng, *WOODS)
    top = box((w, 0.035, d), (0, h - 0.018, 0), wood, 0.02)
    apron = box((w - 0.16, 0.09, d - 0.16), (0, h - 0.08, 0), wood)
    return join(
        top,
        apron,
        _legs(w / 2 - 0.1, d / 2 - 0.1, h - 0.03, rng.uniform(0.025, 0.04), rng.uniform(-0.01, 0.05), wood),
    )


def round_table(rng: Rng) -> trimesh.Trimesh:
    r, h = rng.uniform(0.35, 0.55), rng.uniform(0.5, 0.75)
    wood, metal = tint(rng, *WOODS), tint(rng, "2b2b2b", "8c8c8c", *WOODS)
    top = lathe([(0, h - 0.03), (r, h - 0.03), (r * 1.01, h - 0.015), (r, h), (0, h)], wood, 56)
    stem = lathe(
        [
            (0, 0),
            *curve([(r * 0.55, 0), (r * 0.5, 0.03), (0.05, 0.08), (0.035, h * 0.4), (0.06, h - 0.04)], 26),
            (0, h - 0.02),
        ],
        metal,
    )
    return join(top, stem)


def bench(rng: Rng) -> trimesh.Trimesh:
    w, seat = rng.uniform(1.2, 1.7), rng.uniform(0.42, 0.46)
    wood, iron = tint(rng, *WOODS), tint(rng, "2b2b2b", "3f4a3c", *WOODS)
    seats = [box((w, 0.03, 0.085), (0, seat, z), wood, 0.01) for z in (-0.15, -0.05, 0.05, 0.15)]
    backs = [box((w, 0.085, 0.03), (0, seat + y, -0.23 - 0.12 * y), wood, 0.01) for y in (0.16, 0.28, 0.4)]
    side = w / 2 - 0.12
    frame = [rod((side, 0, 0.2), (side, seat + 0.18, 0.17), 0.022, iron), rod((side, 0, -0.26), (side, seat, -0.2), 0.022, iron),
             rod((side, seat, -0.2), (side, seat + 0.46, -0.28), 0.02, iron), rod((side, seat - 0.03, -0.22), (side, seat - 0.03, 0.2), 0.018, iron),
             rod((side, seat + 0.18, 0.2), (side, seat + 0.2, -0.25), 0.024, iron)]  # fmt: skip
    return join(seats, backs, [half for part in frame for half in mirrored(part)])


def shelf(rng: Rng) -> trimesh.Trimesh:
    w, d, h, boards = (
        rng.uniform(0.6, 1.0),
        rng.uniform(0.25, 0.34),
        rng.uniform(1.0, 1.9),
        int(rng.integers(3, 6)),
    )
    wood = tint(rng, *WOODS)
    sides = mirrored(box((0.025, h, d), (w / 2, h / 2, 0), wood))
    levels = np.linspace(0.05, h - 0.012, boards)
    parts = [box((w, 0.024, d), (0, y, 0), wood) for y in levels] + [
        box((w, h - 0.05, 0.01), (0, h / 2, -d / 2 + 0.005), wood)
    ]
    for y in levels[:-1]:
        x = -w / 2 + 0.03
        while x < w / 2 - 0.1 - rng.uniform(0, 0.25):
            t, tall = rng.uniform(0.025, 0.055), rng.uniform(0.55, 0.85) * (levels[1] - levels[0])
            parts.append(
                box(
                    (t * 0.94, tall, d * 0.7),
                    (x + t / 2, y + 0.012 + tall / 2, -0.02),
                    tint(rng, *CLOTHS, spread=25),
                )
            )
            x += t
    return join(sides, parts)


def cabinet(rng: Rng) -> trimesh.Trimesh:
    w, d, h, rows = (
        rng.uniform(0.45, 0.9),
        rng.uniform(0.38, 0.48),
        rng.uniform(0.6, 1.0),
        int(rng.integers(2, 5)),
    )
    wood = tint(rng, *WOODS)
    front, knob = tint(rng, wood, spread=14), tint(rng, "c9a227", "333333", "dddddd")
    tall = (h - 0.1) / rows
    parts = [
        box((w, h - 0.08, d), (0, h / 2 + 0.03, 0), wood),
        box((w + 0.04, 0.03, d + 0.04), (0, h, 0), wood, 0.012),
    ]
    for i in range(rows):
        y = 0.09 + tall * (i + 0.5)
        parts += [box((w - 0.05, tall - 0.02, 0.02), (0, y, d / 2 + 0.008), front, 0.004),
                  *mirrored(ball(0.014, (w * 0.22, y, d / 2 + 0.03), knob, 2))]  # fmt: skip
    return join(parts, _legs(w / 2 - 0.05, d / 2 - 0.05, 0.08, 0.025, 0, wood))


def bed(rng: Rng) -> trimesh.Trimesh:
    w, length, h = rng.uniform(0.95, 1.6), rng.uniform(1.95, 2.1), rng.uniform(0.85, 1.1)
    wood, cloth = tint(rng, *WOODS), tint(rng, *CLOTHS)
    parts = [box((w, 0.16, length), (0, 0.26, 0), wood), box((w - 0.04, 0.2, length - 0.06), (0, 0.42, 0.0), "f2efe8", 0.06),
             box((w + 0.02, 0.13, length * 0.62), (0, 0.475, length * 0.17), cloth, 0.05),
             box((w, h, 0.05), (0, h / 2 + 0.05, -length / 2), wood, 0.02), box((w, h * 0.5, 0.05), (0, h * 0.25 + 0.05, length / 2), wood, 0.02)]  # fmt: skip
    pillows = int(w > 1.2) + 1
    parts += [moved(box((w / pillows * 0.75, 0.13, 0.38), (0, 0, 0), "ffffff", 0.06), (x, 0.55, -length * 0.36), (18, 0, 0))
              for x in (np.arange(pillows) - (pillows - 1) / 2) * w / pillows]  # fmt: skip
    return join(parts, _legs(w / 2 - 0.05, length / 2 - 0.05, 0.2, 0.03, 0, wood))


def sofa(rng: Rng) -> trimesh.Trimesh:
    w, d, seats = rng.uniform(1.6, 2.2), rng.uniform(0.8, 0.95), int(rng.integers(2, 4))
    cloth = tint(rng, *CLOTHS)
    inner = (w - 0.36) / seats
    parts = [box((w, 0.26, d), (0, 0.24, 0), cloth, 0.04), box((w, 0.62, 0.2), (0, 0.5, -d / 2 + 0.1), cloth, 0.08),
             *mirrored(box((0.18, 0.48, d), (w / 2 - 0.09, 0.36, 0), cloth, 0.07))]  # fmt: skip
    for x in (np.arange(seats) - (seats - 1) / 2) * inner:
        parts += [box((inner - 0.015, 0.15, d - 0.22), (x, 0.43, 0.1), tint(rng, cloth, spread=6), 0.05),
                  moved(box((inner - 0.03, 0.36, 0.14), (0, 0, 0), tint(rng, cloth, spread=6), 0.06), (x, 0.66, -d / 2 + 0.27), (-12, 0, 0))]  # fmt: skip
    return join(parts, _legs(w / 2 - 0.1, d / 2 - 0.1, 0.12, 0.022, 0, tint(rng, *WOODS)))


def floor_lamp(rng: Rng) -> trimesh.Trimesh:
    h, r = rng.uniform(1.35, 1.7), rng.uniform(0.17, 0.24)
    metal, shade = tint(rng, "333333", "b08d57", "a7a9ac"), tint(rng, "f3e2c0", "e6ddd0", "c96f4a")
    top = rng.uniform(0.55, 0.9)
    base = lathe(
        [(0, 0), (0.15, 0), (0.15, 0.015), (0.03, 0.035), (0.013, 0.06), (0.013, h - 0.25), (0, h - 0.25)],
        metal,
    )
    hood = lathe(
        [(r, h - 0.32), (r * top, h), (r * top - 0.008, h), (r - 0.008, h - 0.32), (r, h - 0.32)], shade, 44
    )
    return join(base, hood, ball(0.045, (0, h - 0.2, 0), "fff4cf"))


def table_lamp(rng: Rng) -> trimesh.Trimesh:
    h, r = rng.uniform(0.4, 0.58), rng.uniform(0.12, 0.17)
    body, shade = tint(rng, "2e5f8a", "b03a2e", "d9d2c5", "4f7d5a"), tint(rng, "f3e2c0", "efe6d8", "d8b9a0")
    belly = rng.uniform(0.05, 0.085)
    foot = lathe(
        [
            (0, 0),
            *curve([(0.065, 0), (0.06, 0.015), (belly, h * 0.25), (0.022, h * 0.5), (0.012, h * 0.62)], 26),
            (0, h * 0.66),
        ],
        body,
    )
    hood = lathe(
        [(r, h * 0.55), (r * 0.6, h), (r * 0.6 - 0.006, h), (r - 0.006, h * 0.55), (r, h * 0.55)], shade, 44
    )
    return join(
        foot,
        hood,
        rod((0, h * 0.6, 0), (0, h * 0.9, 0), 0.006, "888888"),
        ball(0.035, (0, h * 0.75, 0), "fff4cf"),
    )


def desk_lamp(rng: Rng) -> trimesh.Trimesh:
    colour, metal = tint(rng, "c1121f", "1f2d3d", "2a9d8f", "e9c46a"), "9aa0a6"
    lower, upper = rng.uniform(0.24, 0.3), rng.uniform(0.24, 0.3)
    a, b = np.radians(rng.uniform(95, 115)), np.radians(rng.uniform(25, 50))
    elbow = np.array([lower * np.cos(a), 0.03 + lower * np.sin(a), 0])
    head = elbow + [upper * np.cos(b), upper * np.sin(b), 0]
    profile = np.vstack(
        [
            [0, 0.05],
            *curve([(0.02, 0.05), (0.03, 0.0), (0.075, -0.09)], 12),
            [0.07, -0.09],
            [0.02, 0.0],
            [0, 0.0],
        ]
    )
    hood = moved(lathe(profile, colour), head, (0, 0, rng.uniform(15, 40)))
    base = lathe([(0, 0), (0.085, 0), (0.085, 0.018), (0.07, 0.03), (0, 0.03)], colour)
    return join(
        base,
        rod((0, 0.02, 0), elbow, 0.008, metal),
        rod(elbow, head, 0.008, metal),
        ball(0.014, elbow, colour),
        hood,
    )


def umbrella(rng: Rng) -> trimesh.Trimesh:
    r, h, ribs = rng.uniform(0.45, 0.6), rng.uniform(0.8, 0.95), 8
    colour, other = tint(rng, "b23a48", "264653", "e9c46a", "1f2d3d"), tint(rng, "f4f1ea", "b23a48", "2a9d8f")
    angle = lambda c: np.floor((np.arctan2(c[:, 2], c[:, 0]) / (2 * np.pi) + 1) * ribs).astype(int) % 2  # noqa: E731
    pair = np.array([[int(x[i : i + 2], 16) for i in (0, 2, 4)] for x in (colour, other)], float)
    canopy = lathe([(0.002, h), *curve([(r * 0.35, h - 0.015), (r * 0.75, h - 0.1), (r, h - 0.24)], 12),
                    *curve([(r - 0.004, h - 0.246), (r * 0.74, h - 0.107), (r * 0.35, h - 0.022)], 10), (0.002, h - 0.008)],
                   lambda c: pair[angle(c)], 48)  # fmt: skip
    hook = curve([(0, 0.12, 0), (0, 0.04, 0), (0.03, 0.0, 0), (0.07, 0.02, 0), (0.075, 0.06, 0)], 16)
    return join(
        canopy,
        rod((0, 0.1, 0), (0, h + 0.05, 0), 0.007, "777777"),
        sweep(hook, 0.012, tint(rng, "5b3a1e", "222222")),
    )
