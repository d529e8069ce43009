"""RP-3DO Object Swap (paper B.2.2, B.2.3): an object of a photo with depth is taken out and a mesh put in its place.

OS-R, step by step: (1) the object's centroid and box, from the pointmap inside its mask (site.box_of); (2) it is taken
out of photo and depth (inpaint.without); (3) a random mesh in a random rotation, as large as fits the box, resting on
its bottom (site.fitted); (4) of it is drawn what the scene does not hide (hidden_part); (5) dropped when less than 20 %
shows; (6) the pointmap gets the mesh's surface where it shows; (7) dropped unless its foot rests on something or 10 %
of its contour is hidden (site.cues_of). A dropped one is drawn again, up to DRAWS times.
OS-A: the mesh, pose and mask that people accepted, rendered in place in the light that the object has in the photo.
A photo is resized so that its longer side is the build's size; its K with it.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import ceil
from pathlib import Path

import numpy as np
import pyarrow as pa
from scipy.ndimage import binary_erosion, uniform_filter
from scipy.optimize import nnls

from model_zoo.build import encode, inpaint, site
from model_zoo.build.cameras import random_rotation
from model_zoo.build.exemplar import smooth
from model_zoo.build.iso3do import light_facts, on_plain
from model_zoo.build.kinds import (
    SPLITS,
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
from model_zoo.build.light import LUMA, Look, look_of, nearby
from model_zoo.build.paste import contact_shadow, paste
from model_zoo.build.shapes import open_shape
from model_zoo.io.errors import BadInput
from model_zoo.io.poses import Pose
from model_zoo.io.scenes import Scene
from model_zoo.raster import Light, Lighting, Picture, Raster
from model_zoo.raster_parts import TO_LINEAR

RANDOM, ANNOTATED = "rp3do-osr", "rp3do-osa"
PER_OBJECT = 5  # OS-R samples of one object, as the paper has: 5.95 M of 1.20 M images
DRAWS = 8  # of a mesh and a rotation, looked at, for one sample
TURNS = 24  # of a mesh and a rotation, measured, for one that fills its box
LEAST_FILL = 0.3  # of the box's width times height that a mesh spans
LEAST_VISIBLE = 0.2  # of the mesh's pixels
LEAST_OCCLUDED = 0.1  # of the contour
LEAST_SUPPORTED = 0.3  # of the contour at the mesh's foot
LEAST_IN_FRAME = 0.9  # of the mesh's points
LEAST_IN_ONE = 0.75  # of the visible pixels in one piece: noisy depth cuts a mesh to shreds
LEAST_SHARE, MOST_SHARE = 0.001, 0.6  # of the picture that an object covers
TIGHT = 0.006  # of the photo's longer side: what is taken out around an object that is drawn in place
LEAST_IOU = 0.75  # of OS-A's visible part with the mask that people drew
SMOOTH = 0.005  # of the photo's longer side
DIRECTIONS = 200  # tried for the light on an annotated object
LEAST_LIT = 150  # pixels that tell it
BEHIND = 0.01  # of its depth that a mesh may be behind the scene and still be drawn: noise, and contact
COLUMNS: list[tuple[str, pa.DataType]] = [
    ("instance", pa.string()),
    ("mask_share", pa.float32()),
    ("visible", pa.float32()),
    ("occluded", pa.float32()),
    ("supported", pa.float32()),
    ("draws", pa.int16()),
    ("iou", pa.float32()),
]


@dataclass(frozen=True)
class Place:
    """An object of a photo, taken out. view: the photo as it was; background: without the object."""

    photo: PhotoItem
    scene: Scene
    name: str
    view: site.View
    look: Look
    mask: np.ndarray
    background: inpaint.Background

    @property
    def title(self) -> str:
        """For a report."""
        return f"{self.photo.name}: {self.name}"

    @property
    def key(self) -> str:
        """p, 16 digits of the photo's hash, and 8 of its name's and mask's: two objects may have equal masks."""
        digest = hashlib.sha256(self.name.encode() + b"\0" + np.packbits(self.mask).tobytes()).hexdigest()
        return f"p{self.photo.sha256[:16]}_{digest[:8]}"


@dataclass(frozen=True)
class Pasted:
    """A mesh in a place. hidden bool (H,W): the part of it behind the scene; measures: what decides on it."""

    shape: Shape
    pose: Pose
    look: Look
    picture: Picture
    hidden: np.ndarray
    measures: dict[str, float]

    @property
    def visible(self) -> np.ndarray:
        """bool (H,W)."""
        return self.picture.mask & ~self.hidden


class Pool:
    """The meshes of a shard that photos of one side may get. `refused`: those that could not be opened, once each."""

    def __init__(self, items: Sequence[MeshItem], room: Room) -> None:
        self.items, self.room = items, room
        self.refused: dict[str, Refused] = {}

    def draw(self, box: site.Box, rng: np.random.Generator) -> tuple[Shape, Pose] | None:
        """A mesh in a random rotation and its pose in the box; None when no mesh can be opened.

        Of up to TURNS draws the first that fills the box, else the one that fills it best: without this a long mesh
        across a narrow box would be a speck in a large hole. So rotations of long meshes are a little less than uniform.
        """
        best, most = None, -1.0
        for _ in range(TURNS if self.items else 0):
            item, R = self.items[rng.integers(len(self.items))], random_rotation(rng)
            if item.sha256 in self.refused:
                continue
            try:
                shape = self.room.shape(item)
            except BadInput as error:
                self.refused[item.sha256] = Refused.of(item.name, error)
                continue
            pose, fill = site.fitted(np.asarray(shape.mesh.vertices), R, box)
            if fill > most:
                best, most = (shape, pose), fill
            if fill >= LEAST_FILL:
                break
        return best


def build_random(
    work: Work, room: Room, inpainter: inpaint.Inpainter = inpaint.fill
) -> Iterator[Made | Refused]:
    """OS-R: PER_OBJECT samples of every object of the work's photos, or `work.samples` in all.

    A photo gets meshes of its own side (train or validation) only.
    """
    left = work.samples or None
    raster = room.raster
    pools = {side: Pool([m for m in work.meshes if side_of(m.sha256) == side], room) for side in SPLITS}
    for place in _places(work, room, inpainter):
        if isinstance(place, Refused):
            yield place
            continue
        try:
            box = site.box_of(place.view, place.mask, place.background.plane)
        except BadInput as error:
            yield Refused.of(place.title, error)
            continue
        pool = pools[side_of(place.photo.sha256)]
        # A limit takes a little of every object rather than much of a few.
        share = work.samples / (len(work.photos) * len(place.scene.masks))
        for number in range(min(PER_OBJECT, ceil(share)) if work.samples else PER_OBJECT):
            if left == 0:
                break
            made = _random(place, box, number, pool, room, raster)
            left = None if left is None else left - isinstance(made, Made)
            yield made
        if left == 0:
            break
    for pool in pools.values():
        yield from pool.refused.values()


def _places(
    work: Work, room: Room, inpainter: inpaint.Inpainter, annotated: bool = False
) -> Iterator[Place | Refused]:
    """Every object of every photo with its background; one object at a time, so that its meshes share it."""
    for photo in work.photos:
        try:
            scene = room.scene(photo)
            if not scene.masks:
                raise BadInput("the photo has no mask", "no_mask")
            view = site.view_of(scene, room.settings.size)
        except BadInput as error:
            yield Refused.of(photo.name, error)
            continue
        masks = {name: site.resized_mask(mask, view.size) for name, mask in sorted(scene.masks.items())}
        closed = inpaint.close_gaps(view.rgb, view.z)
        look = look_of(view.rgb, site.View(view.rgb, closed, view.K).pointmap())
        for name in sorted(scene.truths) if annotated else masks:
            others = [other for key, other in masks.items() if key != name]
            margin = TIGHT if annotated else inpaint.MARGIN
            try:
                _check_mask(masks[name])
                background = inpaint.without(
                    view.rgb, closed, masks[name], others, inpainter=inpainter, margin=margin
                )
            except BadInput as error:
                yield Refused.of(f"{photo.name}: {name}", error)
            else:
                yield Place(photo, scene, name, view, look, masks[name], background)


def _check_mask(mask: np.ndarray) -> None:
    share = float(mask.mean())
    if not LEAST_SHARE <= share <= MOST_SHARE:
        raise Unfit(
            f"the mask covers {share:.2%} of the photo: not between {LEAST_SHARE:.1%} and {MOST_SHARE:.0%}",
            "bad_mask",
            {"mask_share": share},
        )


def _random(
    place: Place, box: site.Box, number: int, pool: Pool, room: Room, raster: Raster
) -> Made | Refused:
    """One OS-R sample: draws until one passes."""
    rng = chance(room.settings.seed, RANDOM, place.key, number)
    title = f"{place.title}, sample {number}"
    last = Refused(title, "no_mesh", "no mesh of the photo's side (train or validation) can be opened")
    for draw in range(DRAWS):
        found = pool.draw(box, rng)
        if found is None:
            return last
        pasted = _draw(place, *found, raster)
        fault = _fault(pasted.measures)
        if fault is None:
            return _made(place, pasted, f"{place.key}_{number:02d}", {"draws": draw + 1}, rng)
        last = Refused(title, fault[0], f"{fault[1]}; this was the last of {draw + 1} draws", pasted.measures)
    return last


def _draw(place: Place, shape: Shape, pose: Pose, raster: Raster) -> Pasted:
    """The mesh as it would be seen in the place, under the light there, and what was measured."""
    view, scene = place.view, place.background.depth
    look = nearby(place.look, view.rgb, _box(place.mask))
    picture = raster.draw([(shape.mesh, pose)], view.K, view.size, look.lighting)
    hidden = hidden_part(picture, scene)
    visible = picture.mask & ~hidden
    cues = site.cues_of(visible, picture.depth, scene)
    measures = {
        "in_frame": site.share_in_frame(np.asarray(shape.mesh.vertices), pose, view),
        "mask_share": float(visible.mean()),
        "visible": float(visible.sum() / max(picture.mask.sum(), 1)),
        "in_one": site.share_in_one(visible),
        "occluded": cues.occluded,
        "supported": cues.supported,
    }
    return Pasted(shape, pose, look, picture, hidden, measures)


def _box(mask: np.ndarray) -> tuple[int, int, int, int]:
    """Left, top, right, bottom of a mask and as much around it as it is large."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    margin = int(max(np.ptp(rows), np.ptp(columns))) // 2
    return (
        int(columns[0]) - margin,
        int(rows[0]) - margin,
        int(columns[-1]) + margin + 1,
        int(rows[-1]) + margin + 1,
    )


def hidden_part(picture: Picture, scene: np.ndarray) -> np.ndarray:
    """The pixels (H,W) of a mesh that the scene hides: where it is nearer by more than noise and contact can be.

    What most of a pixel's neighbours on the mesh say counts, within about 0.6 % of the photo's side, against a sensor's
    speckles, and for the soft rim around the mesh. Where nothing was measured, nothing hides.
    """
    window = 3 + 2 * int(SMOOTH * max(scene.shape))
    with np.errstate(invalid="ignore"):
        hidden = picture.mask & (scene < picture.depth * (1 - BEHIND))
    near, far = (uniform_filter(a.astype(np.float32), window) for a in (picture.mask, hidden))
    return (picture.alpha > 0) & (far > 0.5 * near)


def _fault(measures: dict[str, float]) -> tuple[str, str] | None:
    """Code and reason why a paste is dropped, None when it is kept (paper B.2.2, steps 5 and 7)."""
    limits = {
        "in_frame": (LEAST_IN_FRAME, "leaves_frame", "{:.0%} of the mesh lies in the picture, at least {:.0%} must"),
        "visible": (LEAST_VISIBLE, "hidden", "{:.0%} of the mesh is visible, at least {:.0%} must be"),
        "in_one": (LEAST_IN_ONE, "scattered", "the largest piece that shows is {:.0%} of what shows, at least {:.0%} must be"),
        "mask_share": (LEAST_SHARE, "too_small", "{:.3%} of the picture shows the mesh, at least {:.1%} must"),
    }  # fmt: skip
    for name, (least, code, text) in limits.items():
        if measures[name] < least:
            return code, text.format(measures[name], least)
    if measures["supported"] < LEAST_SUPPORTED and measures["occluded"] < LEAST_OCCLUDED:
        return "no_cue", (
            f"nothing tells how far the mesh is: {measures['supported']:.0%} of its foot rests on something "
            f"(at least {LEAST_SUPPORTED:.0%}) and {measures['occluded']:.0%} of its contour is hidden "
            f"(at least {LEAST_OCCLUDED:.0%})"
        )
    return None


def build_annotated(
    work: Work, room: Room, inpainter: inpaint.Inpainter = smooth
) -> Iterator[Made | Refused]:
    """OS-A: one sample of every object of the work's photos that has an accepted mesh and pose (Scene.truths).

    The mesh covers nearly all of the hole that its object leaves, so the rim is filled smoothly unless another inpainter
    is given. work.meshes: where an accepted mesh is among them (by its hash), its licence and category come from there.
    """
    raster, left = room.raster, work.samples or None
    items = {mesh.sha256: mesh for mesh in work.meshes}
    for place in _places(work, room, inpainter, annotated=True):
        if left == 0:
            return
        if isinstance(place, Refused):
            yield place
            continue
        try:
            yield _annotated(place, items, room, raster)
        except BadInput as error:
            yield Refused.of(place.title, error)
        else:
            left = None if left is None else left - 1


def _annotated(place: Place, items: dict[str, MeshItem], room: Room, raster: Raster) -> Made:
    """The mesh where people put it: same mesh, pose and mask, in matched light.

    The visible part is the render's: all of it inside the people's mask, for there they saw the object; outside the mask
    less what the scene hides. So what shows and what the target shows are the same pixels.
    """
    shape, pose = _accepted(place, items)
    pasted = _draw(place, shape, pose, raster)
    hidden = pasted.hidden & ~place.mask
    visible = pasted.picture.mask & ~hidden
    iou = float((visible & place.mask).sum() / max((visible | place.mask).sum(), 1))
    measures = pasted.measures | {"iou": iou, "mask_share": float(visible.mean())}
    measures["visible"] = float(visible.sum() / max(pasted.picture.mask.sum(), 1))
    if iou < LEAST_IOU:
        raise Unfit(
            f"the mesh at its pose and the mask agree by an IoU of {iou:.2f}, at least {LEAST_IOU} is needed",
            "mask_mismatch",
            measures,
        )
    look = pasted.look
    lighting = matched_light(look.untoned(place.view.rgb), pasted.picture, visible & place.mask)
    picture = pasted.picture
    if lighting is not None:
        look = replace(look, lighting=lighting)
        picture = raster.draw([(shape.mesh, pose)], place.view.K, place.view.size, lighting)
    key = f"{place.key}_{shape.key}"
    rng = chance(room.settings.seed, ANNOTATED, key)
    pasted = Pasted(shape, pose, look, picture, hidden, measures)
    return _made(place, pasted, key, {"draws": 1}, rng, target=True)


def _accepted(place: Place, items: dict[str, MeshItem]) -> tuple[Shape, Pose]:
    """The accepted mesh as a shape, and its pose for the canonical frame. Raises BadInput."""
    given, pose = place.scene.truths[place.name]
    if given is None:
        raise BadInput("the accepted mesh of the object was not found", "no_mesh")
    data = given.read_bytes() if isinstance(given, Path) else given
    sha256 = hashlib.sha256(data).hexdigest()
    category = place.scene.categories.get(place.name, "")
    photo = place.photo
    own = MeshItem(place.name, sha256, len(data), photo.mesh_licence, photo.mesh_attribution, category)
    shape = open_shape(data, items.get(sha256, own))
    return shape, Pose(pose.R, pose.t + pose.R @ (pose.s * shape.centre), pose.s * shape.side)


def matched_light(rgb: np.ndarray, picture: Picture, where: np.ndarray) -> Lighting | None:
    """The light under which the picture's base colours are most like the photo's on `where` bool (H,W).

    Ambient, sky and one directional light: of DIRECTIONS of it the one with the least squares in linear luminance (none
    of the three below zero), then the three in each channel. Burnt-out pixels count as they are: without them the rest
    would be too dark. None where too little is seen to tell.
    """
    sure = binary_erosion(where, iterations=2) & (picture.base.max(-1) > 40)
    at = np.flatnonzero(sure)
    if len(at) < LEAST_LIT:
        return None
    at = at[:: 1 + len(at) // 800]
    seen, base = (TO_LINEAR[a.reshape(-1, 3)[at]].astype(float) for a in (rgb, picture.base))
    normals = picture.normals.reshape(-1, 3)[at].astype(float)
    even = np.stack([np.ones(len(at)), 0.5 - 0.5 * normals[:, 1]], 1)

    def solve(towards: np.ndarray, base: np.ndarray, seen: np.ndarray) -> tuple[np.ndarray, float]:
        direct = np.maximum(normals @ towards, 0)
        return nnls(np.c_[even, direct] * base[:, None], seen)

    turns = np.arange(DIRECTIONS) * 2.399963  # a golden spiral over what can light the side that is seen
    z = 0.3 - 1.3 * (np.arange(DIRECTIONS) + 0.5) / DIRECTIONS
    spiral = np.stack([np.sqrt(1 - z * z) * np.cos(turns), np.sqrt(1 - z * z) * np.sin(turns), z], 1)
    off = [solve(towards, base @ LUMA, seen @ LUMA)[1] for towards in spiral]
    towards = spiral[int(np.argmin(off))]
    ambient, sky, direct = np.stack([solve(towards, base[:, c], seen[:, c])[0] for c in range(3)], 1).tolist()
    return Lighting((Light(tuple(towards.tolist()), tuple(direct)),), tuple(ambient), tuple(sky))


def _made(
    place: Place,
    pasted: Pasted,
    key: str,
    row: dict[str, float],
    rng: np.random.Generator,
    target: bool = False,
) -> Made:
    """The sample's members; its pointmap is the scene's with the surface of the mesh where that is visible.

    Where the old object was, the pointmap is what the background was taken to be; elsewhere it is as measured.
    """
    view, background, picture = place.view, place.background, pasted.picture
    plane = background.plane
    behind = site.View(background.rgb, background.depth, view.K).pointmap()
    vertices = np.asarray(pasted.shape.mesh.vertices)
    shadow = None
    if not target:  # the shadow of an object that stays in place is in the photo
        thing = pasted.pose.apply(vertices[:: 1 + len(vertices) // 20_000])
        down = (0.0, 1.0, 0.0) if plane is None else plane @ view.K
        shadow = contact_shadow(behind, thing, down=down)
    image = paste(background.rgb, picture, pasted.look, rng, hidden=pasted.hidden, shadow=shadow)
    scene = np.where(background.hole, background.depth, view.z)
    depth, span = encode.depth_png(np.where(pasted.visible, picture.depth, scene))
    row = {n: pasted.measures[n] for n, _ in COLUMNS if n in pasted.measures} | row
    members = {
        "image.jpg": encode.jpeg(image),
        "mask.png": encode.mask_png(pasted.visible),
        "whole.png": encode.mask_png(picture.mask),
        "depth.png": depth,
        "json": encode.facts(
            **pasted.pose.to_json(),
            K=view.K.tolist(),
            **span,
            instance=place.name,
            **row,
            light=light_facts(pasted.look.lighting),
        ),
    }
    if target:
        alpha = picture.alpha * ~pasted.hidden
        members["target.jpg"] = encode.jpeg(on_plain(picture.base, alpha, (0, 0, 0)))
    return Made(key, members, {"instance": place.name, **row}, pasted.shape, place.photo)
