"""RP-3DO Object Swap (paper B.2.2, B.2.3): an object of a photo with depth is taken out and a mesh put in its place.

OS-R: a random mesh in a random rotation, t and s from the scene. OS-A: the mesh, pose and mask that people accepted.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from scipy.ndimage import uniform_filter

from model_zoo.build import encode, inpaint, site
from model_zoo.build.kinds import Made, MeshItem, PhotoItem, Refused, Room, Shape, Unfit, Work, chance, side_of
from model_zoo.io.errors import BadInput
from model_zoo.io.poses import Pose
from model_zoo.raster import Light, Lighting, Picture, Raster

RANDOM, ANNOTATED = "rp3do-osr", "rp3do-osa"
PER_OBJECT = 5  # samples of OS-R that one object of a photo gives, as the paper has: 5.95 M of 1.20 M images
DRAWS = 8  # of a mesh and a rotation for one sample
LEAST_VISIBLE = 0.2  # of the mesh's pixels
LEAST_OCCLUDED = 0.1  # of the contour
LEAST_SUPPORTED = 0.3  # of the contour in the lowest tenth
LEAST_IN_FRAME = 0.9  # of the mesh's points
LEAST_PIXELS = 0.001  # of the picture that the visible part covers
BEHIND = 0.01  # of the depth: what lies less behind the scene than this is drawn
COLUMNS: list[tuple[str, pa.DataType]] = [
    ("instance", pa.string()),
    ("mask_share", pa.float32()),
    ("visible", pa.float32()),
    ("occluded", pa.float32()),
    ("supported", pa.float32()),
    ("draws", pa.int16()),
]


@dataclass(frozen=True)
class _Place:
    """One object of a photo, taken out: what is behind it, and its box."""

    photo: PhotoItem
    name: str
    view: site.View
    background: inpaint.Background
    box: site.Box


@dataclass(frozen=True)
class _Drawn:
    """A mesh drawn into a place and what was measured: `hidden` bool (H,W) the part of it that the scene hides."""

    pose: Pose
    picture: Picture
    hidden: np.ndarray
    measures: dict[str, float]


def build_random(work: Work, room: Room) -> Iterator[Made | Refused]:
    raster = Raster()
    for photo in work.photos:
        try:
            scene = room.scene(photo)
            view = site.view_of(scene, room.settings.size)
        except BadInput as error:
            yield Refused.of(photo.name, error)
            continue
        masks = {name: site.resized_mask(mask, view.size) for name, mask in scene.masks.items()}
        closed = inpaint.close_gaps(view.rgb, view.z)
        pool = [mesh for mesh in work.meshes if side_of(mesh.sha256) == side_of(photo.sha256)]
        for name, mask in masks.items():
            others = [other for key, other in masks.items() if key != name]
            try:
                background = inpaint.without(view.rgb, closed, mask, others)
                place = _Place(photo, name, view, background, site.box_of(view, mask, background.plane))
            except BadInput as error:
                yield Refused.of(f"{photo.name}: {name}", error)
                continue
            for number in range(PER_OBJECT):
                yield _sample(place, number, pool, room, raster)


def _sample(place, number, pool, room, raster):
    rng = chance(room.settings.seed, RANDOM, place.photo.sha256, place.name, number)
    last = None
    for draw in range(DRAWS):
        shape = room.shape(pool[rng.integers(len(pool))])
        vertices = np.asarray(shape.mesh.vertices)
        pose = site.fitted(vertices, site.random_rotation(rng), place.box)
        drawn = _draw(place, shape, pose, raster)
        last = _fault(drawn.measures)
        if last is None:
            return _made(place, number, shape, drawn, draw + 1)
    code, reason = last
    return Refused(f"{place.photo.name}: {place.name}, sample {number}", code, reason, drawn.measures)


def _draw(place, shape, pose, raster):
    view, scene = place.view, place.background.depth
    light = Lighting((Light((0.3, -0.8, -0.5), (1.2,) * 3),), (0.35,) * 3)
    picture = raster.draw([(shape.mesh, pose)], view.K, view.size, light)
    hidden = hidden_part(picture, scene)
    visible = picture.mask & ~hidden
    cues = site.cues_of(visible, picture.depth, scene)
    measures = {
        "in_frame": site.share_in_frame(np.asarray(shape.mesh.vertices), pose, view),
        "mask_share": float(visible.mean()),
        "visible": float(visible.sum() / max(picture.mask.sum(), 1)),
        "occluded": cues.occluded,
        "supported": cues.supported,
    }
    return _Drawn(pose, picture, hidden, measures)


def hidden_part(picture: Picture, scene: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore"):
        hidden = picture.mask & (scene < picture.depth * (1 - BEHIND))
    inside = picture.mask.astype(np.float32)
    return picture.mask & (uniform_filter(hidden.astype(np.float32), 5) > 0.5 * uniform_filter(inside, 5))


def _fault(m):
    if m["in_frame"] < LEAST_IN_FRAME: return "leaves_frame", "x"
    if m["visible"] < LEAST_VISIBLE: return "hidden", "x"
    if m["mask_share"] < LEAST_PIXELS: return "small", "x"
    if m["supported"] < LEAST_SUPPORTED and m["occluded"] < LEAST_OCCLUDED: return "no_cue", "x"
    return None


def _made(place, number, shape, drawn, draws):
    visible = drawn.picture.mask & ~drawn.hidden
    alpha = (drawn.picture.alpha / 255.0 * (1 - uniform_filter(drawn.hidden.astype(np.float32), 3)))[..., None]
    image = np.rint(place.background.rgb * (1 - alpha) + drawn.picture.rgb * alpha).astype(np.uint8)
    depth = np.where(visible, drawn.picture.depth, np.where(place.background.hole, place.background.depth, place.view.z))
    d, span = encode.depth_png(depth)
    members = {"image.jpg": encode.jpeg(image), "mask.png": encode.mask_png(visible), "whole.png": encode.mask_png(drawn.picture.mask), "depth.png": d,
       "json": encode.facts(**drawn.pose.to_json(), K=place.view.K.tolist(), **span, measures=drawn.measures, draws=draws)}
    return Made(f"p{place.photo.sha256[:16]}_{place.name}_{number}"[:60], members, {"draws": draws, **drawn.measures}, shape)
