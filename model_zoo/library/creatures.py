"""Recipes for animals: limbs melted into one skin. They look along +z, their left and right are x."""

import numpy as np
import trimesh

from .kit import Blob, Colour, ball, curve, join, mirrored, moved, rod, slab, spots, sweep, tint

Rng = np.random.Generator


def _eyes(x: float, y: float, z: float, size: float) -> list[trimesh.Trimesh]:
    white, pupil = (
        ball(size, (x, y, z), "fdfdf5", 2),
        ball(size * 0.6, (x * 1.04, y, z + size * 0.62), "111111", 2),
    )
    return mirrored(white) + mirrored(pupil)


def _four_legs(
    blob: Blob, x: float, front: float, rear: float, hip: float, thick: float, colour: Colour, foot: Colour
) -> None:
    for z in (front, rear):
        blob.limb((x, hip, z), (x, hip * 0.45, z - thick * 0.3), thick * 1.35, thick, colour, pair=True)
        blob.limb((x, hip * 0.45, z - thick * 0.3), (x, thick, z), thick, thick * 0.9, colour, pair=True)
        blob.limb((x, thick * 0.8, z), (x, thick * 0.8, z + thick), thick * 0.9, thick * 0.8, foot, pair=True)


def cat(rng: Rng) -> trimesh.Trimesh:
    fur, light = tint(rng, "c98b4e", "6e6e72", "2f2d2e", "e8dcc8", "a87b4f"), tint(rng, "f1e6d4", "ffffff")
    coat = spots(rng, fur, tint(rng, "7d5530", "3c3836", "b8946a"), 0.05)
    blob, chubby = Blob(), rng.uniform(0.9, 1.15)
    blob.limb((0, 0.17, -0.13), (0, 0.18, 0.1), 0.065 * chubby, 0.058 * chubby, coat).limb(
        (0, 0.19, 0.1), (0, 0.27, 0.17), 0.05, 0.045, coat
    )
    blob.limb((0, 0.3, 0.18), (0, 0.3, 0.2), 0.058, 0.055, coat).limb(
        (0, 0.275, 0.23), (0, 0.272, 0.245), 0.026, 0.02, light
    )
    blob.limb((0.034, 0.33, 0.18), (0.045, 0.375, 0.175), 0.024, 0.005, coat, pair=True)
    _four_legs(blob, 0.042, 0.11, -0.13, 0.15, 0.02, coat, light)
    tail = curve(
        [(0, 0.19, -0.18), (0, 0.2, -0.27), (0.02, 0.3, -0.3), (rng.uniform(-0.06, 0.06), 0.38, -0.27)], 6
    )
    for a, b in zip(tail, tail[1:], strict=False):
        blob.limb(a, b, 0.02, 0.018, coat)
    return join(
        blob.blend(0.011, 8000, 84),
        _eyes(0.024, 0.313, 0.243, 0.012),
        ball((0.008, 0.006, 0.006), (0, 0.284, 0.268), "c97a7a", 2),
    )


def dog(rng: Rng) -> trimesh.Trimesh:
    fur, ear = tint(rng, "b5793c", "e6d2ac", "3a2f2a", "8a8a8a"), tint(rng, "5f3d20", "2c2623", "9c6b3a")
    coat = spots(rng, fur, ear, 0.12) if rng.random() < 0.4 else fur
    blob, leg = Blob(), rng.uniform(0.2, 0.32)
    y = leg + 0.06
    blob.limb((0, y, -0.2), (0, y + 0.02, 0.16), 0.085, 0.105, coat).limb(
        (0, y + 0.06, 0.2), (0, y + 0.2, 0.27), 0.065, 0.055, coat
    )
    blob.limb((0, y + 0.23, 0.27), (0, y + 0.22, 0.31), 0.08, 0.07, coat).limb(
        (0, y + 0.19, 0.36), (0, y + 0.175, 0.44), 0.045, 0.034, fur
    )
    blob.limb((0.065, y + 0.28, 0.26), (0.1, y + 0.17, 0.27), 0.026, 0.032, ear, pair=True)
    _four_legs(blob, 0.062, 0.16, -0.2, y, 0.03, coat, fur)
    blob.limb((0, y + 0.05, -0.26), (0, y + 0.2, -0.36), 0.028, 0.014, ear)
    return join(
        blob.blend(0.016, 4600),
        _eyes(0.034, y + 0.25, 0.37, 0.013),
        ball((0.018, 0.014, 0.014), (0, y + 0.193, 0.468), "141414", 2),
    )


def rabbit(rng: Rng) -> trimesh.Trimesh:
    fur = tint(rng, "f0ece4", "a08a74", "6f665f", "d9b48f")
    blob, up = Blob(), rng.uniform(0.11, 0.16)
    blob.limb((0, 0.1, -0.06), (0, 0.11, 0.03), 0.085, 0.07, fur).limb(
        (0, 0.15, 0.06), (0, 0.19, 0.09), 0.05, 0.052, fur
    )
    blob.limb((0, 0.21, 0.09), (0, 0.2, 0.12), 0.052, 0.042, fur)
    blob.limb((0.025, 0.25, 0.075), (0.052, 0.25 + up, 0.04), 0.018, 0.017, fur, pair=True)
    blob.limb((0.06, 0.05, -0.05), (0.07, 0.025, 0.06), 0.045, 0.022, fur, pair=True).limb(
        (0.035, 0.08, 0.07), (0.035, 0.018, 0.11), 0.022, 0.018, fur, pair=True
    )
    blob.limb((0, 0.08, -0.15), (0, 0.085, -0.16), 0.03, 0.03, "ffffff")
    return join(
        blob.blend(0.01, 4200), _eyes(0.036, 0.218, 0.137, 0.011), ball(0.008, (0, 0.203, 0.163), "d98c8c", 2)
    )


def giraffe(rng: Rng) -> trimesh.Trimesh:
    coat = spots(rng, tint(rng, "e9c98a", "e2b76a"), tint(rng, "8a5a2b", "7a4520"), 0.22)
    neck, dark = rng.uniform(1.5, 2.0), "4a3222"
    blob, y = Blob(), 1.75
    top = np.array([0, y + 0.3 + neck, 1.25])
    blob.limb((0, y, -0.6), (0, y + 0.2, 0.55), 0.42, 0.46, coat).limb(
        (0, y + 0.3, 0.7), top, 0.3, 0.16, coat
    )
    blob.limb(top + [0, 0.05, 0.02], top + [0, -0.02, 0.3], 0.19, 0.13, coat).limb(
        top + [0, -0.05, 0.35], top + [0, -0.1, 0.5], 0.1, 0.09, "d8b98a"
    )
    blob.limb(top + [0.07, 0.15, -0.02], top + [0.09, 0.36, -0.06], 0.035, 0.045, dark, pair=True)
    blob.limb(top + [0.15, 0.1, -0.05], top + [0.34, 0.13, -0.1], 0.05, 0.03, coat, pair=True)
    _four_legs(blob, 0.24, 0.55, -0.62, y, 0.1, coat, dark)
    blob.limb((0, y + 0.1, -1.0), (0, y - 0.7, -1.15), 0.05, 0.04, coat).limb(
        (0, y - 0.75, -1.15), (0, y - 0.95, -1.15), 0.06, 0.05, dark
    )
    return join(blob.blend(0.05, 9000, 100), _eyes(top[0] + 0.14, top[1] + 0.06, top[2] + 0.2, 0.035))


def horse(rng: Rng) -> trimesh.Trimesh:
    coat, mane = tint(rng, "7b4a25", "3b2a20", "d9cbb5", "a3673a"), tint(rng, "1f1a17", "e8dcc6")
    blob, y = Blob(), 1.05
    blob.limb((0, y + 0.1, -0.5), (0, y + 0.08, 0.4), 0.3, 0.3, coat).limb(
        (0, y + 0.25, 0.55), (0, y + 0.78, 0.92), 0.2, 0.13, coat
    )
    blob.limb((0, y + 0.85, 0.95), (0, y + 0.6, 1.3), 0.13, 0.08, coat).limb(
        (0.06, y + 0.95, 0.9), (0.07, y + 1.06, 0.9), 0.04, 0.015, coat, pair=True
    )
    blob.limb((0, y + 0.42, 0.5), (0, y + 0.92, 0.8), 0.07, 0.06, mane)
    _four_legs(blob, 0.17, 0.42, -0.55, y, 0.075, coat, mane)
    blob.limb((0, y + 0.25, -0.78), (0, y - 0.4, -0.98), 0.09, 0.06, mane)
    return join(blob.blend(0.035, 5200, 72), _eyes(0.1, y + 0.87, 1.02, 0.022))


def elephant(rng: Rng) -> trimesh.Trimesh:
    skin = tint(rng, "8a8d91", "9c9186", "75797f")
    blob, y = Blob(), 1.3
    blob.limb((0, y + 0.3, -0.6), (0, y + 0.3, 0.45), 0.66, 0.64, skin).limb(
        (0, y + 0.6, 0.95), (0, y + 0.6, 1.1), 0.42, 0.4, skin
    )
    blob.limb((0.4, y + 0.75, 0.9), (0.72, y + 0.42, 0.82), 0.12, 0.2, skin, pair=True).limb(
        (0.4, y + 0.45, 0.9), (0.62, y + 0.3, 0.84), 0.12, 0.16, skin, pair=True
    )
    curl = rng.uniform(0.0, 0.5)
    trunk = curve(
        [(0, y + 0.5, 1.4), (0, y + 0.05, 1.68), (0, y - 0.55, 1.72), (0, y - 0.95 + curl, 1.9 + curl * 0.5)],
        7,
    )
    for i, (a, b) in enumerate(zip(trunk, trunk[1:], strict=False)):
        blob.limb(a, b, 0.2 - 0.018 * i, 0.182 - 0.018 * i, skin)
    _four_legs(blob, 0.36, 0.45, -0.65, y, 0.19, skin, skin)
    blob.limb((0, y + 0.4, -1.25), (0, y - 0.4, -1.35), 0.06, 0.035, skin)
    tusks = mirrored(
        sweep(
            curve([(0.2, y + 0.3, 1.35), (0.26, y + 0.02, 1.65), (0.24, y + 0.05, 1.95)], 10),
            np.linspace(0.065, 0.012, 10),
            "f4ecd8",
        )
    )
    return join(blob.blend(0.06, 5600, 72), tusks, _eyes(0.3, y + 0.72, 1.36, 0.04))


def penguin(rng: Rng) -> trimesh.Trimesh:
    black, white, orange = tint(rng, "1d2430", "2b2b30", "33415c"), "f5f3ec", tint(rng, "f2a541", "e07a1f")
    fat = rng.uniform(0.9, 1.12)
    blob = (
        Blob()
        .limb((0, 0.24, -0.02), (0, 0.5, -0.01), 0.2 * fat, 0.14, black)
        .limb((0, 0.66, 0), (0, 0.68, 0.01), 0.125, 0.12, black)
    )
    blob.limb((0, 0.23, 0.05), (0, 0.5, 0.05), 0.175 * fat, 0.115, white).limb(
        (0.045, 0.68, 0.06), (0.045, 0.7, 0.06), 0.075, 0.06, white, pair=True
    )
    blob.limb((0.17, 0.5, 0), (0.28, 0.24, 0.02), 0.045, 0.028, black, pair=True).limb(
        (0.08, 0.03, 0.07), (0.1, 0.025, 0.18), 0.045, 0.035, orange, pair=True
    )
    beak = moved(
        sweep([(0, 0, 0), (0, 0, 0.06), (0, -0.005, 0.11)], [0.035, 0.024, 0.004], orange, flatten=0.6),
        (0, 0.665, 0.1),
    )
    return join(blob.blend(0.02, 9000, 84), beak, _eyes(0.05, 0.715, 0.105, 0.018))


def duck(rng: Rng) -> trimesh.Trimesh:
    body, head, bill = (
        tint(rng, "f4d03f", "8d7b68", "f5f2e9"),
        tint(rng, "f4d03f", "1e6b4a", "f5f2e9"),
        tint(rng, "e67e22", "d9902f"),
    )
    blob, stretch = Blob(), rng.uniform(0.0, 0.12)
    blob.limb((0, 0.1, -0.08), (0, 0.11, 0.08), 0.085, 0.09, body).limb(
        (0, 0.13, -0.13), (0, 0.19, -0.22), 0.05, 0.012, body
    )
    blob.limb((0, 0.15, 0.13), (0, 0.23 + stretch, 0.15), 0.045, 0.038, head).limb(
        (0, 0.26 + stretch, 0.16), (0, 0.26 + stretch, 0.18), 0.055, 0.05, head
    )
    blob.limb((0.085, 0.13, 0.05), (0.075, 0.15, -0.12), 0.035, 0.015, body, pair=True)
    beak = sweep(
        [(0, 0.25 + stretch, 0.22), (0, 0.243 + stretch, 0.26), (0, 0.24 + stretch, 0.29)],
        [0.03, 0.026, 0.014],
        bill,
        flatten=0.35,
    )
    return join(blob.blend(0.014, 4200), beak, _eyes(0.034, 0.28 + stretch, 0.21, 0.01))


def swan(rng: Rng) -> trimesh.Trimesh:
    body, bill = tint(rng, "f8f6f0", "1e1e22", spread=4), tint(rng, "e2711d", "c1121f")
    blob = (
        Blob()
        .limb((0, 0.16, -0.2), (0, 0.17, 0.12), 0.13, 0.17, body)
        .limb((0, 0.22, -0.3), (0, 0.32, -0.46), 0.08, 0.015, body)
    )
    tall = rng.uniform(0.55, 0.68)
    neck = curve(
        [(0, 0.2, 0.24), (0, 0.34, 0.38), (0, tall - 0.12, 0.32), (0, tall, 0.34), (0, tall - 0.04, 0.42)], 9
    )
    for a, b in zip(neck, neck[1:], strict=False):
        blob.limb(a, b, 0.042, 0.04, body)
    blob.limb((0, tall - 0.03, 0.41), (0, tall - 0.06, 0.46), 0.05, 0.036, body)
    blob.limb((0.13, 0.24, 0.08), (0.1, 0.3, -0.35), 0.07, 0.02, body, pair=True)
    beak = sweep(
        [(0, tall - 0.065, 0.48), (0, tall - 0.1, 0.55), (0, tall - 0.12, 0.6)],
        [0.027, 0.022, 0.008],
        bill,
        flatten=0.6,
    )
    return join(blob.blend(0.02, 5200, 76), beak, _eyes(0.03, tall - 0.02, 0.46, 0.009))


def fish(rng: Rng) -> trimesh.Trimesh:
    scale, fin = tint(rng, "e76f51", "3a86a8", "f4a261", "7a9e7e"), tint(rng, "264653", "f4d35e", "c1440e")
    tall = rng.uniform(0.75, 1.15)
    body = moved(Blob().limb((0, 0, -0.1), (0, 0, 0.09), 0.045, 0.085, scale).limb((0, 0, -0.2), (0, 0, -0.1), 0.018, 0.045, scale)
                 .limb((0, -0.005, 0.13), (0, -0.01, 0.19), 0.06, 0.03, scale).blend(0.02, 3000, 50), scale=(0.62, tall, 1))  # fmt: skip
    tail = moved(
        slab([(0, 0), (-0.06, 0.09), (-0.11, 0.12), (-0.08, 0), (-0.11, -0.12), (-0.06, -0.09)], 0.008, fin),
        (0, 0, -0.2),
        (0, -90, 0),
    )
    dorsal = moved(
        slab([(0.07, 0), (0.02, 0.06), (-0.08, 0.055), (-0.1, 0)], 0.006, fin),
        (0, 0.07 * tall, 0),
        (0, -90, 0),
    )
    belly = moved(
        slab([(0.03, 0), (-0.02, -0.05), (-0.06, -0.045), (-0.05, 0)], 0.006, fin),
        (0, -0.06 * tall, 0),
        (0, -90, 0),
    )
    flank = mirrored(
        moved(
            slab([(0, 0.02), (-0.08, 0.035), (-0.07, -0.03), (0, -0.02)], 0.006, fin),
            (0.048, -0.01, 0.06),
            (0, -120, 0),
        )
    )
    return join(body, tail, dorsal, belly, flank, _eyes(0.032, 0.02, 0.155, 0.013))


def teddy(rng: Rng) -> trimesh.Trimesh:
    fur, pale = tint(rng, "9c6b3f", "c89f6d", "6d4c33", "d9c3a5"), tint(rng, "ead7b7", "f3e8d6")
    blob = (
        Blob()
        .limb((0, 0.13, 0), (0, 0.19, 0), 0.1, 0.085, fur)
        .limb((0, 0.14, 0.05), (0, 0.17, 0.045), 0.07, 0.06, pale)
    )
    blob.limb((0, 0.34, 0.01), (0, 0.35, 0.01), 0.088, 0.085, fur).limb(
        (0, 0.325, 0.08), (0, 0.322, 0.09), 0.04, 0.036, pale
    )
    blob.limb((0.07, 0.42, 0), (0.075, 0.425, 0), 0.032, 0.03, fur, pair=True).limb(
        (0.09, 0.22, 0.01), (0.17, 0.14, 0.05), 0.042, 0.036, fur, pair=True
    )
    blob.limb((0.06, 0.06, 0.05), (0.1, 0.05, 0.17), 0.05, 0.046, fur, pair=True).limb(
        (0.1, 0.05, 0.185), (0.1, 0.05, 0.19), 0.042, 0.04, pale, pair=True
    )
    nose = ball((0.016, 0.011, 0.01), (0, 0.34, 0.125), "241a14", 2)
    return join(blob.blend(0.012, 4600, 66), nose, mirrored(ball(0.011, (0.032, 0.368, 0.088), "15100d", 2)))


def snail(rng: Rng) -> trimesh.Trimesh:
    skin, shell = tint(rng, "c9b48a", "8f9779", "b58e6c"), tint(rng, "8c5a3c", "b23a48", "6a7b5c")
    blob = (
        Blob()
        .limb((0, 0.02, -0.09), (0, 0.022, 0.08), 0.015, 0.024, skin)
        .limb((0, 0.03, 0.09), (0, 0.055, 0.115), 0.024, 0.02, skin)
    )
    a = np.linspace(0, 4.6 * np.pi, 70)
    size = np.exp(-a / 7.5)
    spiral = np.column_stack(
        [0.012 * (1 - size), 0.078 + 0.04 * size * np.sin(a - 1.4), -0.01 + 0.04 * size * np.cos(a - 1.4)]
    )
    horns = mirrored(rod((0.008, 0.065, 0.12), (0.02, 0.105, 0.14), 0.003, skin)) + mirrored(
        ball(0.005, (0.02, 0.107, 0.14), "1d1d1d", 2)
    )
    return join(blob.blend(0.008, 2600), sweep(spiral, 0.033 * size + 0.003, shell, 18), horns)
