"""Cameras and lights of rendered views, drawn from the distributions below; numbers only, no pictures.

The paper names 24 views of one centred object and random light, and no distribution (section 3.1.1, B.1, B.3). Ours:
directions  a Fibonacci sphere of as many points as views, turned at random: any direction is as likely, none is bare
roll        uniform within 10 degrees, so that the mesh's y axis is nearly upright in the picture
opening     of the picture's side, 15 to 60 degrees, uniform
distance    so that the object fills the picture's side but a margin of 4 to 12 % on each side; half its longest side
            stays free in front of the camera
light       1 to 3 directions, the first within 80 degrees of the camera, the others anywhere; powers 0.5 to 1.1 and 0.1
            to 0.5, beside 0.12 to 0.4 of even light and 0 to 0.2 of sky from above; 3,200 to 9,000 kelvin
exposure    all of it scaled so that the brightest direction that faces the camera gets 0.55 to 1.15 of white
background  one colour: half of them greys, half any colour
"""

from dataclasses import dataclass

import numpy as np

from model_zoo.build.kinds import chance
from model_zoo.io.frames import rotation_from_quaternion
from model_zoo.raster import Light, Lighting
from model_zoo.render import intrinsics

OPENING = (15.0, 60.0)
MARGIN = (0.04, 0.12)
ROLL = 10.0
CLEAR = 0.5
KEY_CONE = 80.0
KEY, FILL, EVEN, SKY = (0.5, 1.1), (0.1, 0.5), (0.12, 0.4), (0.0, 0.2)
EXPOSURE = (0.55, 1.15)
KELVIN = (3200.0, 9000.0)
DIGITS = 9  # what is stored is what is drawn, on any machine


@dataclass(frozen=True)
class Camera:
    """p_camera = R p + t of canonical points p (OpenCV frame), and K (3,3); pixel centres at integer coordinates."""

    R: np.ndarray
    t: np.ndarray
    K: np.ndarray

    def apply(self, points: np.ndarray) -> np.ndarray:
        """Camera points (N,3) of canonical points (N,3)."""
        return points @ self.R.T + self.t


def camera(seed: int, name: str, view: int, views: int, vertices: np.ndarray, size: int) -> Camera:
    """The camera of one view of `views` of a canonical mesh with `vertices` (V,3), for a square picture of `size`.

    `name` is the mesh file's hash: the same mesh gets the same cameras in any build of the seed.
    """
    away = directions(seed, name, views)[view]
    draw = chance(seed, name, view, "camera")
    opening, margin = draw.uniform(*OPENING), draw.uniform(*MARGIN)
    R = np.round(facing(away, draw.uniform(-ROLL, ROLL)), DIGITS)
    points = vertices @ R.T
    half = np.tan(np.radians(opening) / 2) * (1 - 2 * margin)
    fit = (np.abs(points[:, :2]).max(1) / half - points[:, 2]).max()
    distance = max(float(fit), CLEAR - float(points[:, 2].min()))
    t = np.round([0.0, 0.0, distance], 6)
    return Camera(R, t, np.round(intrinsics(opening, (size, size)), DIGITS))


def directions(seed: int, name: str, views: int) -> np.ndarray:
    """Unit vectors (views,3) from the object to its cameras: a Fibonacci sphere, turned at random."""
    return fibonacci(views) @ turn(chance(seed, name, "sphere"))


def fibonacci(count: int) -> np.ndarray:
    """Unit vectors (count,3) spread evenly over the sphere."""
    k = np.arange(count)
    height = 1 - (2 * k + 1) / count
    around = k * np.pi * (3 - np.sqrt(5))
    ring = np.sqrt(1 - height**2)
    return np.stack([ring * np.cos(around), height, ring * np.sin(around)], 1)


def turn(draw: np.random.Generator) -> np.ndarray:
    """A rotation (3,3), every one as likely: from a unit quaternion."""
    w, x, y, z = (q := draw.normal(size=4)) / np.linalg.norm(q)
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )


def facing(away: np.ndarray, roll: float) -> np.ndarray:
    """R (3,3) of a camera that looks at the origin from the direction `away`, the y axis up but for a roll in degrees."""
    forward = -away / np.linalg.norm(away)
    up = np.array([0.0, 1.0, 0.0]) if abs(forward[1]) < 0.999 else np.array([0.0, 0.0, 1.0])
    right = np.cross(forward, up)
    right /= np.linalg.norm(right)
    down = np.cross(forward, right)
    c, s = np.cos(np.radians(roll)), np.sin(np.radians(roll))
    return np.stack([c * right + s * down, c * down - s * right, forward])


def lighting(seed: int, name: str, view: int) -> Lighting:
    """The random light of a condition image, in its camera's frame."""
    draw = chance(seed, name, view, "light")
    towards, colours = [], []
    for k in range(draw.integers(1, 4)):
        towards.append(_within(draw, KEY_CONE if k == 0 else 180.0))
        colours.append(draw.uniform(*(KEY if k == 0 else FILL)) * blackbody(draw.uniform(*KELVIN)))
    even = draw.uniform(*EVEN) * blackbody(draw.uniform(*KELVIN))
    sky = draw.uniform(*SKY) * blackbody(KELVIN[1])
    got = even + sky * (0.5 - 0.5 * FACING[:, 1:2])
    got = got + np.clip(FACING @ np.transpose(towards), 0, None) @ np.array(colours)
    scale = draw.uniform(*EXPOSURE) / float((got @ LUMINANCE).max())
    lights = tuple(Light(_numbers(t), _numbers(scale * c)) for t, c in zip(towards, colours, strict=True))
    return Lighting(lights, _numbers(scale * even), _numbers(scale * sky))


def _within(draw: np.random.Generator, degrees: float) -> np.ndarray:
    """A unit vector within so many degrees of the direction to the camera, every one as likely."""
    z = draw.uniform(np.cos(np.radians(degrees)), 1.0)
    around, ring = draw.uniform(0, 2 * np.pi), np.sqrt(1 - z * z)
    return np.array([ring * np.cos(around), ring * np.sin(around), -z])


def _numbers(values: np.ndarray) -> tuple[float, float, float]:
    x, y, z = (round(float(v), DIGITS) for v in values)
    return x, y, z


def blackbody(kelvin: float) -> np.ndarray:
    """Linear sRGB (3,) of a black body's light at luminance 1 (Kim et al. 2002 for the locus), 2,222 to 25,000 kelvin."""
    m = 1000 / kelvin
    if kelvin <= 4000:
        x = ((-0.2661239 * m - 0.2343589) * m + 0.8776956) * m + 0.179910
        y = ((-0.9549476 * x - 1.37418593) * x + 2.09137015) * x - 0.16748867
    else:
        x = ((-3.0258469 * m + 2.1070379) * m + 0.2226347) * m + 0.240390
        y = ((3.0817580 * x - 5.87338670) * x + 3.75112997) * x - 0.37001483
    xyz = np.array([x / y, 1.0, (1 - x - y) / y])
    to_rgb = [[3.2406, -1.5372, -0.4986], [-0.9689, 1.8758, 0.0415], [0.0557, -0.2040, 1.0570]]
    return np.clip(np.array(to_rgb) @ xyz, 0, None)


def background(seed: int, name: str, view: int) -> tuple[int, int, int]:
    """The plain sRGB background of a condition image."""
    draw = chance(seed, name, view, "background")
    grey = draw.random() < 0.5
    values = np.repeat(draw.integers(0, 256), 3) if grey else draw.integers(0, 256, 3)
    red, green, blue = map(int, values)
    return red, green, blue


LUMINANCE = np.array([0.2126, 0.7152, 0.0722])
FACING = np.array([n for n in fibonacci(512) if n[2] < 0])  # normals of surfaces that a camera sees


def random_rotation(rng: np.random.Generator) -> np.ndarray:
    """R (3,3), uniform on SO(3): a quaternion of normal numbers (Shoemake 1992)."""
    return rotation_from_quaternion(rng.normal(size=4))
