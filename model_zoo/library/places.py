"""Recipes for buildings."""

import numpy as np
import trimesh

from .kit import Colour, ball, bands, box, circle, curve, join, lathe, loft, mirrored, moved, rod, slab, tint

Rng = np.random.Generator
WALLS = ("f4ede0", "d9b99b", "b5654a", "e9d8a6", "a3b1b8")
ROOFS = ("8c3b2e", "5b4636", "3d4a54", "a4562f")


def _gable(w: float, d: float, base: float, rise: float, over: float, colour: Colour) -> trimesh.Trimesh:
    x, z = w / 2 + over, d + 2 * over
    drop = over * rise / (w / 2)
    outline = [
        (-x, base - drop),
        (-x, base - drop + 0.14),
        (0, base + rise + 0.16),
        (x, base - drop + 0.14),
        (x, base - drop),
        (0, base + rise),
    ]
    return slab(outline, z, colour)


def house(rng: Rng) -> trimesh.Trimesh:
    w, d, h, rise = rng.uniform(5, 8), rng.uniform(6, 9), rng.uniform(2.8, 5.2), rng.uniform(1.8, 3.2)
    wall, roof = tint(rng, *WALLS), tint(rng, *ROOFS)
    gable = slab([(-w / 2, h), (w / 2, h), (0, h + rise)], d, wall)
    parts = [box((w, h, d), (0, h / 2, 0), wall), gable, _gable(w, d, h, rise, 0.45, roof)]
    parts.append(
        box(
            (1.0, 2.1, 0.12),
            (rng.uniform(-0.2, 0.2) * w, 1.05, d / 2),
            tint(rng, "6b3e1d", "2f5d3a", "7a1f1f"),
        )
    )
    floors = [1.5] if h < 4 else [1.4, 3.9]
    for y in floors:
        for x in (-0.34, 0.34):
            parts += [
                box((1.1, 1.1, 0.1), (x * w, y, d / 2), "ffffff"),
                box((0.94, 0.94, 0.14), (x * w, y, d / 2), "41586a"),
            ]
        for z in (-0.28, 0.0, 0.28):
            parts += mirrored(box((0.1, 1.0, 1.1), (w / 2, y, z * d), "41586a"))
    parts.append(box((0.7, 1.8, 0.7), (w * 0.25, h + rise * 0.75, -d * 0.2), tint(rng, "8c4a3a", "77797c")))
    return join(parts)


def temple(rng: Rng) -> trimesh.Trimesh:
    w, d, columns = rng.uniform(9, 12), rng.uniform(14, 20), int(rng.integers(5, 8))
    stone, h = tint(rng, "e8dfca", "d9cbb0", "c9bfae"), rng.uniform(5, 6.5)
    steps = [box((w + 2.4 - 0.8 * i, 0.4, d + 2.4 - 0.8 * i), (0, 0.2 + 0.4 * i, 0), stone) for i in range(3)]
    column = lathe(
        [
            (0, 0),
            (0.62, 0),
            (0.62, 0.2),
            *curve([(0.48, 0.25), (0.46, h * 0.5), (0.38, h - 0.5)], 8),
            (0.6, h - 0.25),
            (0.6, h),
            (0, h),
        ],
        stone,
        20,
    )
    xs, zs = (
        np.linspace(-w / 2 + 0.6, w / 2 - 0.6, columns),
        np.linspace(-d / 2 + 0.6, d / 2 - 0.6, columns + 4),
    )
    spots = [(x, z) for x in xs for z in (zs[0], zs[-1])] + [
        (x, z) for z in zs[1:-1] for x in (xs[0], xs[-1])
    ]
    top = 1.2 + h
    parts = [moved(column, (x, 1.2, z)) for x, z in spots]
    parts += [
        box((w - 4, h, d - 5), (0, 1.2 + h / 2, 0), tint(rng, stone)),
        box((w + 0.2, 0.9, d + 0.2), (0, top + 0.45, 0), stone),
    ]
    parts += [
        slab([(-w / 2, top + 0.9), (w / 2, top + 0.9), (0, top + 0.9 + w * 0.2)], d - 0.3, stone),
        _gable(w, d, top + 0.9, w * 0.2, 0.4, tint(rng, "b5654a", stone)),
    ]
    return join(steps, parts)


def pagoda(rng: Rng) -> trimesh.Trimesh:
    tiers, sides, r = int(rng.integers(3, 6)), int(rng.choice([4, 6, 8])), rng.uniform(5, 6.5)
    wall, tile, trim = (
        tint(rng, "8c2f26", "a4453a", "7a4a2e"),
        tint(rng, "b5652f", "4f6d5a", "5b5f63"),
        tint(rng, "2f5d50", "3d4a54", "c9a227"),
    )
    parts, y = [lathe([(0, 0), (r * 1.15, 0), (r * 1.15, 0.8), (0, 0.8)], "b8b1a4", sides)], 0.8
    for i in range(tiers):
        tall, q = r * 0.62, r * 0.86
        parts.append(
            lathe(
                [(0, y), (q, y), (q, y + tall), (0, y + tall)],
                bands(wall, "e6d3a8", (y + tall * 0.72, y + tall * 0.86)),
                sides,
            )
        )
        parts += [
            rod((r * np.cos(a), y, r * np.sin(a)), (r * np.cos(a), y + tall, r * np.sin(a)), 0.18, wall)
            for a in np.arange(sides) * 2 * np.pi / sides
        ]
        parts.append(
            lathe(
                [
                    (0, y + tall * 0.08),
                    (r * 1.03, y + tall * 0.08),
                    (r * 1.03, y + tall * 0.18),
                    (0, y + tall * 0.18),
                ],
                trim,
                sides,
            )
        )
        peak = tall * (1.5 if i == tiers - 1 else 0.62)
        tip = 0.02 if i == tiers - 1 else r * 0.74
        eave = r * 1.34
        roof = curve(
            [
                (eave, y + tall * 0.98),
                (r * 1.05, y + tall * 1.02),
                (r * 0.9, y + tall * 1.15),
                (tip, y + tall + peak),
            ],
            10,
        )
        parts.append(
            lathe(
                [(0, y + tall * 0.9), (eave * 0.97, y + tall * 0.9), *roof, (0, y + tall + peak)],
                bands(trim, tile, (y + tall * 1.01,)),
                sides,
            )
        )
        y, r = y + tall + peak * (1 if i == tiers - 1 else 0.55), r * 0.83
    knob = lathe(
        [(0, -0.3), *curve([(0.5, -0.3), (0.35, 0.3), (0.75, 0.9), (0.3, 1.6), (0.05, 2.2)], 16), (0, 2.2)],
        "c9a227",
        20,
    )
    return join(parts, moved(knob, (0, y, 0)))


def lighthouse(rng: Rng) -> trimesh.Trimesh:
    h, r = rng.uniform(14, 20), rng.uniform(2.2, 2.8)
    edges = np.linspace(0.12, 0.9, int(rng.integers(4, 8))) * h
    tower = lathe(
        [(0, 0), *curve([(r, 0), (r * 0.75, h * 0.5), (r * 0.6, h)], 60), (0, h)],
        bands("f4f1ea", tint(rng, "c1121f", "1d3f72", "2b2f36"), edges),
    )
    deck = lathe([(0, h), (r * 0.95, h), (r * 0.95, h + 0.3), (0, h + 0.3)], "3a3d40")
    rail = [
        lathe(
            [
                (r * 0.9, h + y),
                (r * 0.93, h + y),
                (r * 0.93, h + y + 0.06),
                (r * 0.9, h + y + 0.06),
                (r * 0.9, h + y),
            ],
            "3a3d40",
        )
        for y in (0.7, 1.1)
    ]
    posts = [
        rod(
            (r * 0.915 * np.cos(a), h, r * 0.915 * np.sin(a)),
            (r * 0.915 * np.cos(a), h + 1.1, r * 0.915 * np.sin(a)),
            0.05,
            "3a3d40",
        )
        for a in np.arange(12) * np.pi / 6
    ]
    lamp = lathe(
        [(0, h + 0.3), (r * 0.45, h + 0.3), (r * 0.45, h + 2.2), (0, h + 2.2)],
        bands("f6e3a1", "3a3d40", (h + 0.5, h + 0.6, h + 2.0)),
        16,
    )
    dome = lathe(
        [(0, h + 2.2), *curve([(r * 0.6, h + 2.2), (r * 0.4, h + 2.9), (0.05, h + 3.4)], 10), (0, h + 3.8)],
        tint(rng, "c1121f", "2b2f36"),
    )
    return join(tower, deck, rail, posts, lamp, dome, box((0.9, 1.9, 0.4), (0, 0.95, r * 0.96), "5b3a1e"))


def windmill(rng: Rng) -> trimesh.Trimesh:
    h, r = rng.uniform(8, 11), rng.uniform(2.4, 3.0)
    wall, cap = tint(rng, *WALLS), tint(rng, *ROOFS)
    tower = lathe(
        [(0, 0), (r, 0), (r * 0.62, h), (0, h)], bands(wall, tint(rng, "f4f1ea", wall), (h * 0.2,)), 12
    )
    dome = lathe(
        [(0, h), *curve([(r * 0.72, h), (r * 0.6, h + 0.8), (0.1, h + 1.7)], 10), (0, h + 1.7)], cap, 24
    )
    hub, length, start = np.array([0, h + 0.4, r * 0.85]), h * 0.62, rng.uniform(0, 90)
    blades = []
    for i in range(4):
        sail = [
            box((0.12, length, 0.1), (0, length / 2, 0), "5b3a1e"),
            box((0.85, length * 0.78, 0.05), (0.4, length * 0.58, 0), "efe8d6"),
        ]
        blades += [moved(m, hub, (0, 0, start + 90 * i)) for m in sail]
    return join(
        tower,
        dome,
        blades,
        rod(hub - [0, 0, 1.2], hub + [0, 0, 0.2], 0.16, "5b3a1e"),
        box((1.0, 2.0, 0.4), (0, 1.0, r * 0.92), "5b3a1e"),
    )


def castle(rng: Rng) -> trimesh.Trimesh:
    w, h, stone = rng.uniform(9, 12), rng.uniform(5, 6.5), tint(rng, "a8a499", "8f8b84", "c2b59b")
    roof, parts = tint(rng, "8c3b2e", "34506b", "4f5b4a"), []
    for turn in range(4):
        wall = [box((w, h, 0.8), (0, h / 2, w / 2), stone)] + [
            box((0.7, 0.7, 0.8), (x, h + 0.35, w / 2), stone)
            for x in np.arange(-w / 2 + 1.6, w / 2 - 1.2, 1.4)
        ]
        parts += [moved(m, turn=(0, 90 * turn, 0)) for m in wall]
    tall, r = h * rng.uniform(1.3, 1.6), rng.uniform(1.3, 1.7)
    tower = [
        lathe(
            [(0, 0), (r, 0), (r, tall), (r * 1.15, tall), (r * 1.15, tall + 0.6), (0, tall + 0.6)], stone, 24
        ),
        lathe([(0, tall + 0.6), (r * 1.3, tall + 0.6), (0.02, tall + 3.6), (0, tall + 3.6)], roof, 24),
    ]
    parts += [moved(m, (x * w / 2, 0, z * w / 2)) for m in tower for x in (1, -1) for z in (1, -1)]
    keep = w * 0.38
    parts += [
        box((keep, h * 1.7, keep), (0, h * 0.85, 0), stone),
        lathe([(0, h * 1.7), (keep * 0.75, h * 1.7), (0.02, h * 2.3), (0, h * 2.3)], roof, 4),
    ]
    return join(
        parts,
        box((1.8, 2.6, 0.9), (0, 1.3, w / 2 + 0.06), "4a3222"),
        rod((0, h * 2.2, 0), (0, h * 2.7, 0), 0.06, "333333"),
    )


def tower(rng: Rng) -> trimesh.Trimesh:
    h, w, iron = rng.uniform(18, 26), rng.uniform(4.5, 6), tint(rng, "6b5a4a", "8a3b2e", "5a5f66")
    level = np.linspace(0, 1, 8)
    half = w / 2 * (1 - level) ** 1.6 + 0.35
    parts = []
    for a, b, i, j in zip(half, half[1:], level * h, level[1:] * h, strict=False):
        for x, z in ((1, 1), (1, -1), (-1, -1), (-1, 1)):
            nx, nz = -z, x  # the next corner, turning a quarter
            parts += [
                rod((x * a, i, z * a), (x * b, j, z * b), 0.16, iron),
                rod((x * a, i, z * a), (nx * b, j, nz * b), 0.08, iron),
                rod((x * b, j, z * b), (nx * b, j, nz * b), 0.09, iron),
            ]
    decks = [box((2 * half[k] + 0.6, 0.3, 2 * half[k] + 0.6), (0, level[k] * h, 0), iron) for k in (2, 4)]
    return join(parts, decks, rod((0, h - 0.5, 0), (0, h * 1.12, 0), 0.12, iron), ball(0.5, (0, h, 0), iron))


def tent(rng: Rng) -> trimesh.Trimesh:
    w, d, h = rng.uniform(1.5, 2.2), rng.uniform(2.0, 2.8), rng.uniform(1.1, 1.5)
    cloth, dark = tint(rng, "e76f51", "2a9d8f", "e9c46a", "5b7553"), "2b2f36"
    body = slab([(-w / 2, 0), (w / 2, 0), (w * 0.04, h), (-w * 0.04, h)], d, cloth)
    door = slab([(-w * 0.2, 0), (w * 0.2, 0), (0, h * 0.8)], d + 0.02, dark)
    poles = [
        rod((0, 0, s * (d / 2 + 0.03)), (0, h * 1.08, s * (d / 2 + 0.03)), 0.02, "8c8c8c") for s in (1, -1)
    ]
    ropes = [
        rod((0, h * 1.05, s * (d / 2 + 0.03)), (0, 0, s * (d / 2 + 0.8)), 0.012, "efe8d6") for s in (1, -1)
    ]
    fly = loft(
        np.stack(
            [
                np.array(
                    [
                        [-w * 0.55, 0.12, z],
                        [0, h * 1.04, z],
                        [w * 0.55, 0.12, z],
                        [w * 0.55, 0.09, z],
                        [0, h * 1.01, z],
                        [-w * 0.55, 0.09, z],
                    ]
                )
                for z in (-d * 0.46, d * 0.46)
            ]
        ),
        tint(rng, cloth, spread=18),
    )
    return join(body, door, poles, ropes, fly)


def fountain(rng: Rng) -> trimesh.Trimesh:
    stone, r = tint(rng, "c9bfae", "a8a499", "d9cbb0"), rng.uniform(1.3, 1.8)
    water = "6fa8c4"
    basin = lathe(
        [
            (0, 0),
            (r * 1.05, 0),
            (r, 0.12),
            (r, 0.5),
            (r * 1.08, 0.55),
            (r * 1.08, 0.62),
            (r * 0.92, 0.62),
            (r * 0.9, 0.3),
            (0, 0.3),
        ],
        stone,
        8 if rng.random() < 0.5 else 48,
    )
    stem = lathe(
        [(0, 0.2), *curve([(0.32, 0.2), (0.16, 0.6), (0.22, 1.0), (0.14, 1.4), (0.1, 2.1)], 26), (0, 2.1)],
        stone,
    )
    dishes = [
        lathe(
            [
                (0, y - 0.18),
                *curve([(0.12, y - 0.18), (q * 0.7, y - 0.1), (q, y)], 10),
                (q * 0.93, y),
                (q * 0.6, y - 0.06),
                (0, y - 0.08),
            ],
            stone,
        )
        for q, y in ((r * 0.55, 1.25), (r * 0.32, 1.95))
    ]
    pools = [
        lathe([(0, y), (q, y), (q, y + 0.03), (0, y + 0.03)], water)
        for q, y in ((r * 0.9, 0.5), (r * 0.5, 1.2), (r * 0.28, 1.91))
    ]
    return join(basin, stem, dishes, pools, ball(0.16, (0, 2.2, 0), stone))


def well(rng: Rng) -> trimesh.Trimesh:
    r, stone, wood = rng.uniform(0.6, 0.75), tint(rng, "9b968c", "b5a58c"), tint(rng, "6b4226", "8b5a2b")
    wall = lathe(
        [(r, 0), (r, 0.72), (r * 1.08, 0.74), (r * 1.08, 0.84), (r * 0.78, 0.84), (r * 0.78, 0), (r, 0)],
        stone,
        20,
    )
    posts = mirrored(box((0.12, 1.5, 0.12), (r * 0.95, 1.4, 0), wood))
    ring = circle(16)
    drum = loft(
        np.stack(
            [np.column_stack([np.full(16, x), 1.55 + 0.09 * ring[:, 0], 0.09 * ring[:, 1]]) for x in (-r, r)]
        ),
        wood,
    )
    bucket = lathe(
        [(0, 0.95), (0.13, 0.95), (0.16, 1.2), (0.14, 1.2), (0.12, 0.98), (0, 0.98)],
        tint(rng, "8c8c8c", wood),
    )
    roof = moved(_gable(1.2, 2 * r + 0.2, 2.05, 0.5, 0.2, tint(rng, *ROOFS)), turn=(0, 90, 0))
    return join(wall, posts, drum, bucket, roof, rod((0, 1.15, 0), (0, 1.55, 0), 0.012, "d9cbb0"))
