"""Recipes for trees, flowers, mushrooms and food."""

import numpy as np
import trimesh

from .kit import Blob, ball, bands, box, curve, join, lathe, moved, rod, spots, sweep, tint

Rng = np.random.Generator
GREENS = ("4f7d3a", "6a994e", "386641", "7a8f3c", "2f5d3a")


def tree(rng: Rng) -> trimesh.Trimesh:
    h, crown = rng.uniform(3.5, 6), rng.uniform(1.2, 1.9)
    bark, leaf = tint(rng, "6b4a2f", "5b4636", "8c7a66"), tint(rng, *GREENS, "c9772f")
    trunk = Blob().limb((0, 0.1, 0), (0.1, h * 0.55, 0), 0.2, 0.13, bark)
    leaves = Blob()
    for _ in range(int(rng.integers(6, 10))):
        at = rng.normal(0, 0.42, 3) * crown * [1, 0.6, 1] + [0, h * 0.78, 0]
        leaves.limb(at, at + rng.normal(0, 0.1, 3), crown * rng.uniform(0.38, 0.55), crown * 0.4, leaf)
        trunk.limb((0.08, h * 0.48, 0), at - [0, crown * 0.2, 0], 0.1, 0.05, bark)
    skin = leaves.blend(0.08, 4200, 56)
    bump = rng.normal(0, 6 / crown, (3, 10))
    skin.vertices += skin.vertex_normals * (np.sin(skin.vertices @ bump).mean(1) * 0.2 * crown)[:, None]
    return join(trunk.blend(0.05, 1600, 50), skin)


def pine(rng: Rng) -> trimesh.Trimesh:
    h, r, tiers = rng.uniform(4, 7), rng.uniform(1.0, 1.5), int(rng.integers(4, 7))
    leaf, parts = tint(rng, "2f5d3a", "3d6b4a", "4a7a4f"), []
    for k in np.linspace(0, 1, tiers):
        q, y, tall = r * (1 - 0.72 * k), h * (0.16 + 0.62 * k), h * 0.3 * (1 - 0.3 * k)
        parts.append(
            moved(
                lathe(
                    [
                        (0, y + tall * 0.12),
                        (q, y),
                        (q * 0.96, y + 0.05),
                        *curve([(q * 0.55, y + tall * 0.35), (0.02, y + tall)], 6),
                        (0, y + tall),
                    ],
                    tint(rng, leaf, spread=7),
                    18,
                ),
                turn=(0, rng.uniform(0, 60), 0),
            )
        )
    return join(parts, rod((0, 0, 0), (0, h * 0.4, 0), r * 0.16, tint(rng, "6b4a2f", "5b4636"), r * 0.09))


def palm(rng: Rng) -> trimesh.Trimesh:
    h, bend = rng.uniform(4, 6), rng.uniform(-0.9, 0.9)
    path = curve([(0, 0, 0), (bend * 0.25, h * 0.5, 0), (bend, h, 0)], 24)
    rings = bands(tint(rng, "8c6f4a", "a3865f"), "6b4f33", np.arange(0.1, h, 0.22))
    parts, top, leaf = [sweep(path, np.linspace(0.2, 0.12, 24), rings)], path[-1], tint(rng, *GREENS)
    for a in np.arange(9) * 2 * np.pi / 9 + rng.uniform(0, 1):
        reach, droop = rng.uniform(1.5, 2.0), rng.uniform(0.6, 1.4)
        frond = curve([(0, 0, 0), (reach * 0.45, 0.38, 0), (reach, -droop, 0)], 14)
        parts.append(
            moved(
                sweep(frond, np.r_[0.05, 0.2 * np.sin(np.linspace(0.5, 3.05, 13))], leaf, 8, flatten=0.12),
                top,
                (0, np.degrees(a), 0),
            )
        )
    return join(
        parts,
        [ball(0.13, top + [0.2 * np.cos(a), -0.12, 0.2 * np.sin(a)], "6b4226", 2) for a in (0.3, 2.4, 4.4)],
    )


def flower(rng: Rng) -> trimesh.Trimesh:
    h, r, rings = rng.uniform(0.25, 0.4), rng.uniform(0.06, 0.085), int(rng.integers(1, 4))
    petal, heart, green = (
        tint(rng, "e76f51", "f4a3b5", "f6e27a", "ffffff", "b388d9", "c1121f"),
        tint(rng, "e9b000", "6b3e1d"),
        tint(rng, *GREENS),
    )
    parts, head = [], np.array([0, h, 0])
    for k in range(rings):
        count, tilt, size = int(rng.integers(8, 13)), 12 + 22 * k, r * (1 - 0.24 * k)
        leaf = moved(
            ball((size * 0.3, size * 0.045, size * 0.5), (0, 0, size * 0.62), tint(rng, petal, spread=8), 2),
            turn=(-tilt, 0, 0),
        )
        parts += [
            moved(leaf, head + [0, 0.006 * k, 0], (0, 360 / count * (i + 0.5 * k), 0)) for i in range(count)
        ]
    flower_head = [
        moved(m, -head) for m in [*parts, ball((r * 0.3, r * 0.17, r * 0.3), head + [0, 0.01, 0], heart)]
    ]
    facing = rng.uniform(25, 60)
    bloom = [moved(m, head, (facing, 0, 0)) for m in flower_head]
    stem = sweep(curve([(0, 0, -0.02), (0.012, h * 0.5, -0.02), (0, h, 0)], 14), 0.0045, green)
    blades = [
        moved(ball((0.016, 0.004, 0.055), (0, 0, 0.06), green, 2), (0.006, h * y, -0.01), (-35, turn, 0))
        for y, turn in ((0.25, 60), (0.4, 230))
    ]
    return join(bloom, stem, blades)


def mushroom(rng: Rng) -> trimesh.Trimesh:
    r, h = rng.uniform(0.045, 0.07), rng.uniform(0.07, 0.12)
    top = tint(rng, "c1121f", "8c5a3c", "d9a05b", "b23a48")
    dotted = rng.random() < 0.6
    dome = curve(
        [(r * 0.98, h * 0.72), (r, h * 0.78), (r * 0.75, h * 1.08), (r * 0.3, h * 1.22), (0, h * 1.24)], 20
    )
    cap = lathe([(0, h * 0.74), (r * 0.9, h * 0.71), *dome], bands("efe2c8", top, (h * 0.715,)))
    stalk = lathe(
        [
            (0, 0),
            *curve([(r * 0.42, 0), (r * 0.36, h * 0.12), (r * 0.24, h * 0.5), (r * 0.3, h * 0.78)], 14),
            (0, h * 0.78),
        ],
        tint(rng, "f3ead8", "e6d3b1", spread=6),
    )
    warts = []
    for k, a in (
        [(q, b) for q, n in ((0.3, 4), (0.62, 7), (0.88, 9)) for b in np.arange(n) * 2 * np.pi / n + q]
        if dotted
        else []
    ):
        y = np.interp(-r * k, -dome[:, 0], dome[:, 1])
        warts.append(
            ball((r * 0.1, r * 0.06, r * 0.1), (r * k * np.cos(a), y, r * k * np.sin(a)), "f8f3e6", 1)
        )
    return join(cap, stalk, warts)


def cactus(rng: Rng) -> trimesh.Trimesh:
    h, r, green = rng.uniform(0.2, 0.34), rng.uniform(0.035, 0.05), tint(rng, "4f7d5a", "6a994e", "3d6b4a")
    base, blob = 0.09, Blob()
    blob.limb((0, base, 0), (0, base + h, 0), r, r * 0.92, green)
    for side in (1, -1)[: int(rng.integers(1, 3))]:
        y, reach = base + h * rng.uniform(0.35, 0.6), r * rng.uniform(2.0, 2.6)
        blob.limb((0, y, 0), (side * reach, y + 0.01, 0), r * 0.55, r * 0.55, green).limb(
            (side * reach, y + 0.01, 0), (side * reach, y + h * 0.3, 0), r * 0.55, r * 0.5, green
        )
    pot = lathe(
        [
            (0, 0),
            (r * 1.3, 0),
            (r * 1.8, base * 0.8),
            (r * 2.0, base * 0.8),
            (r * 2.0, base * 1.05),
            (r * 1.75, base * 1.05),
            (r * 1.7, base * 0.92),
            (0, base * 0.92),
        ],
        tint(rng, "b5654a", "2e5f8a", "e9c46a"),
    )
    bloom = ball((0.018, 0.014, 0.018), (0, base + h + r, 0), tint(rng, "f4a3b5", "e76f51", "f6e27a"))
    return join(blob.blend(0.008, 3600, 60), pot, bloom)


def potted_plant(rng: Rng) -> trimesh.Trimesh:
    r, h = rng.uniform(0.08, 0.12), rng.uniform(0.12, 0.18)
    glaze, green = tint(rng, "f4f1ea", "b5654a", "30475e", "4f7d5a"), tint(rng, *GREENS)
    pot = lathe(
        [(0, 0), (r * 0.7, 0), (r, h), (r * 0.92, h), (r * 0.88, h * 0.88), (0, h * 0.88)],
        bands(glaze, tint(rng, glaze, "c9a227", spread=18), (h * 0.5, h * 0.7)),
    )
    soil, leaves = lathe([(0, h * 0.8), (r * 0.87, h * 0.8), (0, h * 0.92)], "3b2a20"), []
    for i in range(int(rng.integers(9, 16))):
        length, rise, wide = rng.uniform(0.2, 0.38), rng.uniform(0.5, 1.0), rng.uniform(0.02, 0.045)
        path = curve(
            [
                (0, h * 0.85, 0),
                (length * 0.35, h + length * rise, 0),
                (length, h + length * rise * rng.uniform(0.3, 1.05), 0),
            ],
            14,
        )
        leaves.append(
            moved(
                sweep(
                    path,
                    np.r_[0.005, 0.006, wide * np.sin(np.linspace(0.4, 3.1, 12))],
                    tint(rng, green, spread=12),
                    10,
                    flatten=0.12,
                ),
                turn=(0, i * 137.5, 0),
            )
        )
    return join(pot, soil, leaves)


def apple(rng: Rng) -> trimesh.Trimesh:
    r = rng.uniform(0.034, 0.042)
    skin = tint(rng, "b3202a", "7fa23a", "d9a52f", "c9463a")
    a = np.linspace(-np.pi / 2, np.pi / 2, 34)
    rows = np.column_stack(
        [
            r * np.cos(a) * (1 + 0.1 * np.sin(a)),
            r * (0.92 * np.sin(a) - 0.22 * np.exp(-((np.cos(a) / 0.28) ** 2)) * np.sign(a)),
        ]
    )
    rows[[0, -1], 0] = 0
    fruit = lathe(rows, bands(skin, tint(rng, skin, spread=16), (r * 0.35, r * 0.62)), 36)
    leaf = moved(
        ball((0.007, 0.0015, 0.014), (0, 0, 0.014), "5c8a3a", 2),
        (0.002, r * 0.95, 0),
        (-25, rng.uniform(0, 360), 0),
    )
    return join(
        fruit,
        sweep(
            [(0, r * 0.6, 0), (0.001, r * 0.9, 0), (0.005, r * 1.2, 0)], [0.0016, 0.0014, 0.0018], "5b3a1e"
        ),
        leaf,
    )


def pear(rng: Rng) -> trimesh.Trimesh:
    r, h, skin = rng.uniform(0.034, 0.04), rng.uniform(0.085, 0.105), tint(rng, "b5b84a", "d9c24f", "9bab3f")
    rows = curve(
        [(0.0, 0.004), (r * 0.55, 0), (r, h * 0.32), (r * 0.62, h * 0.68), (r * 0.42, h * 0.9), (0.0, h)], 40
    )
    return join(
        lathe(rows, skin, 36),
        sweep([(0, h * 0.96, 0), (0.002, h * 1.08, 0), (0.008, h * 1.2, 0)], 0.0017, "5b3a1e"),
    )


def banana(rng: Rng) -> trimesh.Trimesh:
    length, r, bend = rng.uniform(0.15, 0.2), rng.uniform(0.015, 0.02), rng.uniform(0.5, 0.9)
    a = np.linspace(-1, 1, 34)
    path = np.column_stack(
        [length / 2 * np.sin(a * bend) / np.sin(bend), length * 0.5 * (1 - np.cos(a * bend)), 0 * a]
    )
    size = r * np.minimum(1, np.maximum(0.22, 1.6 * (1 - a**4) ** 0.6))
    return join(
        sweep(
            path,
            size,
            bands(
                "4a3a1e", tint(rng, "f2cf3b", "d9d34f", "e3b93a"), (-length * 0.475, length * 0.485), axis=0
            ),
            7,
        )
    )


def pineapple(rng: Rng) -> trimesh.Trimesh:
    r, h = rng.uniform(0.05, 0.06), rng.uniform(0.14, 0.18)
    profile = curve([(r * 0.6, 0), (r, h * 0.35), (r * 0.95, h * 0.7), (r * 0.5, h)], 40)
    body = lathe([(0, 0), *profile, (0, h)], spots(rng, tint(rng, "d9a52f", "c98f2b"), "9c6a22", 0.02), 40)
    around = np.arctan2(body.vertices[:, 2], body.vertices[:, 0])
    bump = np.sin(8 * around + body.vertices[:, 1] * 150) * np.sin(8 * around - body.vertices[:, 1] * 150)
    body.vertices[:, [0, 2]] *= 1 + 0.05 * bump[:, None]
    leaves = []
    for i in range(22):
        out, up = 0.018 + 0.05 * (1 - i / 22), 0.05 + 0.09 * i / 22
        path = curve([(0.005, h * 0.97, 0), (out * 0.6, h + up * 0.55, 0), (out * 1.25, h + up, 0)], 8)
        leaves.append(
            moved(
                sweep(path, np.linspace(0.012, 0.001, 8), tint(rng, "4f7d3a", spread=9), 8, flatten=0.25),
                turn=(0, 137.5 * i, 0),
            )
        )
    return join(body, leaves)


def burger(rng: Rng) -> trimesh.Trimesh:
    r = rng.uniform(0.05, 0.06)
    bun, y, parts = tint(rng, "d9933f", "c9803a", spread=6), 0.018, []
    parts.append(lathe([(0, 0), (r * 0.9, 0), (r, 0.008), (r * 0.97, y), (0, y)], bun))
    for colour, tall, wide in (
        ("6b3a22", 0.015, 1.02),
        (tint(rng, "f2b134", spread=4), 0.004, 1.06),
        ("c8352e", 0.007, 0.95),
        ("6fae45", 0.006, 1.08),
    )[: int(rng.integers(3, 5))]:
        wave = 0.05 if colour == "6fae45" else 0.0
        layer = lathe(
            [
                (0, y),
                (r * wide * 0.96, y),
                (r * wide, y + tall / 2),
                (r * wide * 0.96, y + tall),
                (0, y + tall),
            ],
            colour,
            48,
        )
        layer.vertices[:, [0, 2]] *= (
            1 + wave * np.sin(9 * np.arctan2(layer.vertices[:, 2], layer.vertices[:, 0]))
        )[:, None]
        parts.append(layer)
        y += tall
    dome = curve([(r, y), (r * 1.02, y + 0.01), (r * 0.75, y + 0.032), (0, y + 0.04)], 16)
    seeds = []
    for i in range(26):
        k, a = np.sqrt((i + 0.5) / 26) * 0.75, i * 2.4
        seeds.append(
            ball(
                (0.0022, 0.0012, 0.0015),
                (r * k * np.cos(a), np.interp(-r * k, -dome[:, 0], dome[:, 1]), r * k * np.sin(a)),
                "f6e7c1",
                1,
            )
        )
    return join(parts, lathe([(0, y), *dome], bun), seeds)


def cake(rng: Rng) -> trimesh.Trimesh:
    tiers, r, y, parts = int(rng.integers(1, 4)), rng.uniform(0.11, 0.14), 0.012, []
    cream, trim = tint(rng, "f8ead2", "f4c2cf", "6b3e2a", "cfe3d6"), tint(rng, "c1121f", "ffffff", "8c5a3c")
    parts.append(lathe([(0, 0), (r * 1.25, 0), (r * 1.28, 0.01), (0, 0.012)], "e3e6e8", 48))
    for _ in range(tiers):
        tall = 0.07
        parts.append(
            lathe(
                [(0, y), (r, y), (r, y + tall * 0.92), (r * 0.95, y + tall), (0, y + tall)],
                bands(cream, trim, (y + tall * 0.42, y + tall * 0.52)),
                48,
            )
        )
        parts += [
            ball(0.011, (r * 0.93 * np.cos(a), y + tall, r * 0.93 * np.sin(a)), trim, 2)
            for a in np.arange(14) * 2 * np.pi / 14
        ]
        y, r = y + tall, r * 0.68
    top = [
        rod(
            (0.02 * np.cos(a), y, 0.02 * np.sin(a)),
            (0.02 * np.cos(a), y + 0.06, 0.02 * np.sin(a)),
            0.0035,
            "7fb3d5",
        )
        for a in (0.5, 2.6, 4.7)
    ]
    return join(
        parts,
        top,
        [
            ball((0.005, 0.009, 0.005), (0.02 * np.cos(a), y + 0.068, 0.02 * np.sin(a)), "f6b73c", 2)
            for a in (0.5, 2.6, 4.7)
        ],
    )


def crate(rng: Rng) -> trimesh.Trimesh:
    w, h, d, t = rng.uniform(0.4, 0.55), rng.uniform(0.25, 0.4), rng.uniform(0.3, 0.4), 0.015
    wood, rows = tint(rng, "c19a6b", "a9713b", "8b6f4e"), int(rng.integers(3, 5))
    slat = h / rows
    parts = [box((w, t, d), (0, t / 2, 0), wood)]
    for i in range(rows):
        y, own = slat * (i + 0.5), tint(rng, wood, spread=9)
        parts += [box((w, slat * 0.82, t), (0, y, s * (d / 2 - t / 2)), own) for s in (1, -1)] + [
            box((t, slat * 0.82, d), (s * (w / 2 - t / 2), y, 0), own) for s in (1, -1)
        ]
    parts += [
        box((0.035, h, 0.035), (x * (w / 2 - 0.03), h / 2, z * (d / 2 - 0.03)), wood)
        for x in (1, -1)
        for z in (1, -1)
    ]
    for _ in range(int(rng.integers(5, 9))):
        fruit = ball(
            0.045,
            (rng.uniform(-0.32, 0.32) * w, h * 0.72, rng.uniform(-0.3, 0.3) * d),
            tint(rng, "e07a1f", "c1121f", "7fa23a"),
            2,
        )
        parts.append(fruit)
    return join(parts)
