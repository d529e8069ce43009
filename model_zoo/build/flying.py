"""RP-3DO Flying Occlusions (paper 3.1.2, B.2.1): a target mesh and an occluder, rendered into a natural photo.

M_vis = M_obj * (1 - M_occluder). A pair is kept when 0.1 <= visible / whole <= 0.9 of the thing behind; in one third of
the samples the target is the occluder itself, seen whole. What is seen of the target covers 0.2 % of the image or more.

Drawn for each sample: rotations uniform on SO(3); the target's size, as its longest side across the shorter side of
the photo, log-uniform in SIZES, at a place even over the photo's middle; or, where the photo has instance masks, the
size and place of one of them give or take JITTER. The occluder's size is the target's times a number log-uniform in
RATIOS, and its place even among those that hide an allowed share. The field of view is uniform in VIEWS. The light is
the photo's (light.py), its direction turned and its strength changed a little by chance.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
from PIL import Image

from model_zoo.build import encode
from model_zoo.build.cameras import random_rotation
from model_zoo.build.iso3do import light_facts
from model_zoo.build.kinds import (
    Made,
    MeshItem,
    PhotoItem,
    Refused,
    Room,
    Shape,
    Unfit,
    Work,
    chance,
    side_of,
)
from model_zoo.build.light import Look, look_of, nearby, scaled
from model_zoo.build.paste import paste
from model_zoo.io.errors import BadInput
from model_zoo.io.poses import Pose
from model_zoo.io.scenes import Scene
from model_zoo.raster import Light, Picture, Raster
from model_zoo.raster_parts import unit
from model_zoo.render import intrinsics

VARIANT = "rp3do-fo"
PER_PHOTO = 5  # samples of one photo, as the paper has: 55.1 M of 11.17 M images
SHARES = (0.1, 0.9)  # visible / whole
LEAST_SHARE = 0.002  # of the image that what is seen of the target covers
ROLES = ("target", "occluder")
OCCLUDER_SHARE = 1 / 3
DRAWS = 10  # of a pair, for one sample
PLACES = 24  # of the occluder, tried on the masks alone, for one draw
SIZES = (0.2, 0.7)
RATIOS = (0.5, 1.3)
JITTER = 0.2
VIEWS = (35.0, 65.0)  # degrees, across the longer side
TURN, STRENGTH = 0.35, 0.2  # of the light: about 20 degrees, and a fifth, one standard deviation
NEARER = (0.6, 0.85)  # the occluder's depth over the target's
INSIDE = 0.4  # of its size: how near to the photo's edge an object's middle may come
COLUMNS: list[tuple[str, pa.DataType]] = [
    ("role", pa.string()),
    ("visible", pa.float32()),
    ("mask_share", pa.float32()),
    ("instance", pa.string()),
    ("draws", pa.int16()),
    ("other_sha256", pa.string()),
    ("other_licence", pa.string()),
    ("other_attribution", pa.string()),
]


@dataclass(frozen=True)
class Backdrop:
    """A photo uint8 (H,W,3) at the build's size, its instance masks bool (H,W) by name, and its look."""

    photo: PhotoItem
    rgb: np.ndarray
    masks: dict[str, np.ndarray]
    look: Look


@dataclass(frozen=True)
class Thing:
    """A mesh drawn somewhere: its pose, the picture of the whole photo's size, and the look of the place."""

    shape: Shape
    pose: Pose
    picture: Picture
    look: Look


@dataclass(frozen=True)
class Pair:
    """Two things, the second before the first. visible: the part of the first's pixels that the second leaves; mask_share:
    what is seen of the target, of the whole image."""

    behind: Thing
    before: Thing
    K: np.ndarray
    visible: float
    mask_share: float
    instance: str


def build(work: Work, room: Room) -> Iterator[Made | Refused]:
    """PER_PHOTO samples of every photo of the work, `work.samples` at most in all.

    A photo gets meshes of its own side (train or validation) only. A mesh that cannot be opened is refused once.
    """
    raster, left, meshes = room.raster, work.samples or None, list(work.meshes)
    # A limit takes a little of every photo rather than much of a few.
    each = min(PER_PHOTO, -(-work.samples // max(len(work.photos), 1))) if work.samples else PER_PHOTO
    for photo in work.photos:
        if left == 0:
            return
        try:
            backdrop = backdrop_of(photo, room.scene(photo), room.settings.size)
        except BadInput as error:
            yield Refused.of(photo.name, error)
            continue
        for number in range(each):
            if left == 0:
                return
            for made in _sample(backdrop, number, meshes, room, raster):
                left = None if left is None else left - isinstance(made, Made)
                yield made


def backdrop_of(photo: PhotoItem, scene: Scene, size: int) -> Backdrop:
    """The photo with its longer side `size`, and its masks with it."""
    width, height = scene.image.size
    scale = size / max(width, height)
    to = (max(round(width * scale), 1), max(round(height * scale), 1))
    rgb = np.asarray(Image.fromarray(scene.image.rgb).resize(to, Image.Resampling.LANCZOS, reducing_gap=3))
    masks = {name: _nearest(mask, to) for name, mask in sorted(scene.masks.items())}
    points = None if scene.pointmap is None else _nearest(scene.pointmap.points, to)
    return Backdrop(
        photo, rgb, {name: mask for name, mask in masks.items() if mask.any()}, look_of(rgb, points)
    )


def _nearest(values: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Values (H,W,...) at the nearest pixels of a (W, H) picture."""
    rows, columns = (
        np.minimum(((np.arange(n) + 0.5) * old / n).astype(int), old - 1)
        for n, old in zip(size[::-1], values.shape[:2], strict=True)
    )
    return values[rows][:, columns]


def _sample(
    backdrop: Backdrop, number: int, meshes: list[MeshItem], room: Room, raster: Raster
) -> Iterator[Made | Refused]:
    """One sample, after the refusals of meshes that cannot be opened; or the refusal of the sample."""
    rng = chance(room.settings.seed, VARIANT, backdrop.photo.sha256, number)
    name = f"{backdrop.photo.name}, sample {number}"
    role = ROLES[rng.random() < OCCLUDER_SHARE]
    last = Refused(name, "no_mesh", "no mesh of the photo's side (train or validation) can be opened")
    for draw in range(DRAWS):
        shapes: list[Shape] = []
        while len(shapes) < 2:
            side = side_of(backdrop.photo.sha256)
            pool = [mesh for mesh in meshes if side_of(mesh.sha256) == side]
            others = [mesh for mesh in pool if not shapes or mesh != shapes[0].item] or pool
            if not others:
                yield last
                return
            item = others[rng.integers(len(others))]
            try:
                shapes.append(room.shape(item))
            except BadInput as error:
                meshes.remove(item)
                yield Refused.of(item.name, error)
        try:
            pair = _pair(backdrop, shapes, role, rng, raster)
            yield _made(backdrop, number, pair, role, draw + 1, rng)
            return
        except Unfit as error:
            last = Refused(name, error.code, f"{error.message}, the last of {draw + 1} draws", error.measures)
    yield last


def _pair(
    backdrop: Backdrop, shapes: list[Shape], role: str, rng: np.random.Generator, raster: Raster
) -> Pair:
    """Two shapes in the photo, the target in a role. Raises Unfit where what is visible is too much or too little."""
    height, width = backdrop.rgb.shape[:2]
    K = intrinsics(rng.uniform(*VIEWS), (width, height))
    side, place, instance = _site(backdrop, rng)
    distance = rng.uniform(2, 4)
    behind = _thing(backdrop, shapes[0], K, side, place, distance, rng, raster)
    whole = int(behind.picture.mask.sum())
    other = side * np.exp(rng.uniform(*np.log(RATIOS)))
    R, nearer = random_rotation(rng), distance * rng.uniform(*NEARER)
    light = _varied(backdrop.look, rng)
    first = raster.mask([(shapes[1].mesh, _pose(K, R, other, place, nearer))], K, (width, height))
    move = _move(behind.picture.mask, first, 0.5 * (side + other), rng)
    if move is None:
        raise Unfit("nowhere does the occluder hide an allowed share", "visible", {"visible": 0.0})
    where = (place[0] + move[0], place[1] + move[1])
    before = _thing(backdrop, shapes[1], K, other, where, nearer, rng, raster, R, light)
    left = int((behind.picture.mask & ~before.picture.mask).sum())
    seen = left if role == ROLES[0] else int(before.picture.mask.sum())
    visible, share = left / max(whole, 1), seen / before.picture.mask.size
    measures = {"visible": visible, "mask_share": share}
    if not SHARES[0] <= visible <= SHARES[1]:
        raise Unfit(
            f"{visible:.0%} of the target is visible: not between {SHARES[0]:.0%} and {SHARES[1]:.0%}",
            "visible",
            measures,
        )
    if share < LEAST_SHARE:
        raise Unfit(
            f"what is seen of the target covers {share:.2%} of the image, at least {LEAST_SHARE:.1%} is needed",
            "too_small",
            measures,
        )
    return Pair(behind, before, K, visible, share, instance)


def _site(backdrop: Backdrop, rng: np.random.Generator) -> tuple[float, tuple[float, float], str]:
    """Size in pixels and place (x, y) of the target, and the instance whose mask they are taken from, or ""."""
    height, width = backdrop.rgb.shape[:2]
    short = min(width, height)
    if backdrop.masks:
        instance = list(backdrop.masks)[rng.integers(len(backdrop.masks))]
        y, x = np.nonzero(backdrop.masks[instance])
        box = max(np.ptp(x) + 1, np.ptp(y) + 1)
        side = float(np.clip(box * np.exp(rng.normal(0, JITTER)), SIZES[0] * short, SIZES[1] * short))
        middle = np.array([x.min() + x.max(), y.min() + y.max()]) / 2 + rng.normal(0, JITTER / 2, 2) * side
    else:
        instance, side = "", float(short * np.exp(rng.uniform(*np.log(SIZES))))
        middle = rng.uniform(0, 1, 2) * (width, height)
    margin = INSIDE * side
    x, y = np.clip(middle, margin, np.maximum(np.array([width, height]) - 1 - margin, margin))
    return side, (float(x), float(y)), instance


def _move(
    behind: np.ndarray, before: np.ndarray, reach: float, rng: np.random.Generator
) -> tuple[int, int] | None:
    """A shift (x, y) of the mask `before` (H,W) after which an allowed share of the mask `behind` is left."""
    whole = behind.sum()
    y, x = np.nonzero(before)
    if not whole or not len(x):
        return None
    for _ in range(PLACES):
        way, far = rng.uniform(0, 2 * np.pi), reach * rng.uniform(0.1, 0.9)
        dx, dy = round(far * np.cos(way)), round(far * np.sin(way))
        inside = (x + dx >= 0) & (x + dx < behind.shape[1]) & (y + dy >= 0) & (y + dy < behind.shape[0])
        left = whole - behind[y[inside] + dy, x[inside] + dx].sum()
        if inside.mean() > 0.5 and SHARES[0] * 1.2 <= left / whole <= SHARES[1] * 0.97:
            return dx, dy
    return None


def _thing(
    backdrop: Backdrop,
    shape: Shape,
    K: np.ndarray,
    side: float,
    place: tuple[float, float],
    distance: float,
    rng: np.random.Generator,
    raster: Raster,
    R: np.ndarray | None = None,
    look: Look | None = None,
) -> Thing:
    height, width = backdrop.rgb.shape[:2]
    pose = _pose(K, random_rotation(rng) if R is None else R, side, place, distance)
    box = tuple(round(n) for n in (*(np.array(place) - side / 2), *(np.array(place) + side / 2)))
    look = nearby(look or _varied(backdrop.look, rng), backdrop.rgb, box)
    return Thing(shape, pose, raster.draw([(shape.mesh, pose)], K, (width, height), look.lighting), look)


def _pose(K: np.ndarray, R: np.ndarray, side: float, place: tuple[float, float], distance: float) -> Pose:
    """The pose at a distance that shows the mesh's longest side `side` pixels long around `place` (x, y)."""
    t = distance * (np.linalg.inv(K) @ [*place, 1])
    return Pose(R, t, np.full(3, side * distance / K[0, 0]))


def _varied(look: Look, rng: np.random.Generator) -> Look:
    """The look under a light that is turned, and brighter or darker, a little."""
    (light,) = look.lighting.lights
    turned = unit(np.asarray(light.towards) + rng.normal(0, TURN / np.sqrt(2), 3))
    gain = float(np.exp(rng.normal(0, STRENGTH)))
    x, y, z = (float(n) for n in turned)
    lighting = replace(look.lighting, lights=(Light((x, y, z), light.colour),), shadows=True)
    return replace(look, lighting=scaled(lighting, gain))


def _made(
    backdrop: Backdrop, number: int, pair: Pair, role: str, draws: int, rng: np.random.Generator
) -> Made:
    image = backdrop.rgb
    for thing in (pair.behind, pair.before):
        image = paste(image, thing.picture, thing.look, rng)
    target, other = (pair.behind, pair.before) if role == ROLES[0] else (pair.before, pair.behind)
    whole = target.picture.mask
    mask = whole & ~pair.before.picture.mask if role == ROLES[0] else whole
    row = {
        "role": role,
        "visible": pair.visible if role == ROLES[0] else 1.0,
        "mask_share": pair.mask_share,
        "instance": pair.instance,
        "draws": draws,
    }
    item = other.shape.item
    members = {
        "image.jpg": encode.jpeg(image),
        "mask.png": encode.mask_png(mask),
        "whole.png": encode.mask_png(whole),
        "json": encode.facts(
            **target.pose.to_json(),
            K=pair.K.tolist(),
            **row,
            light=light_facts(target.look.lighting),
            other={"sha256": item.sha256, **other.pose.to_json()},
        ),
    }
    row |= {
        "other_sha256": item.sha256,
        "other_licence": item.licence,
        "other_attribution": item.attribution,
        "other_signature": other.shape.signature,
    }
    return Made(f"p{backdrop.photo.sha256[:16]}_{number:02d}", members, row, target.shape, backdrop.photo)
