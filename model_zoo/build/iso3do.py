"""Iso-3DO (paper 3.1.1, B.1): isolated meshes, each seen from many cameras under random light, with its targets."""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
from PIL import Image

from model_zoo.build import cameras, encode
from model_zoo.build.kinds import Made, Refused, Room, Shape, TargetView, Work
from model_zoo.io.errors import BadInput
from model_zoo.raster import Lighting

LEAST_SHARE = 0.001  # of the picture that the object covers
BLACK = (0, 0, 0)
MEASURES = ("volume", "normal_spread", "stray_area", "stray_extent", "see_through")
COLUMNS: list[tuple[str, pa.DataType]] = [
    ("view", pa.int16()),
    ("mask_share", pa.float32()),
    ("opening", pa.float32()),
    ("distance", pa.float32()),
    ("triangles", pa.int32()),
    *[(name, pa.float32()) for name in MEASURES],
]


def build(work: Work, room: Room) -> Iterator[Made | Refused]:
    """Every view of every mesh of the work; a mesh that cannot be used is one refusal, a view that shows nothing another."""
    for item in work.meshes:
        try:
            shape = room.shape(item)
        except BadInput as error:
            yield Refused.of(item.name, error)
            continue
        views = (_view(shape, number, room) for number in range(room.settings.views))
        if room.encode is None:
            yield from (made for made, _ in views)
            continue
        made, targets = zip(*views, strict=True)
        shape.latents = room.encode(shape, targets)
        yield from made


def _view(shape: Shape, number: int, room: Room) -> tuple[Made | Refused, TargetView]:
    settings, name = room.settings, shape.item.sha256
    camera = cameras.camera(
        settings.seed, name, number, settings.views, np.asarray(shape.mesh.vertices), settings.size
    )
    light = cameras.lighting(settings.seed, name, number)
    seen = room.raster.draw([(shape.mesh, camera)], camera.K, (settings.size, settings.size), light)
    target = TargetView(on_plain(seen.base, seen.alpha, BLACK), seen.depth, camera.R, camera.t, camera.K)
    share = float(seen.mask.mean())
    if share < LEAST_SHARE:
        reason = f"the object covers {share:.3%} of the picture (at least {LEAST_SHARE:.1%})"
        return Refused(
            f"{shape.item.name}, view {number}", "empty_view", reason, {"mask_share": share}
        ), target
    backdrop = cameras.background(settings.seed, name, number)
    depth, span = encode.depth_png(seen.depth)
    members = {
        "image.jpg": encode.jpeg(on_plain(seen.rgb, seen.alpha, backdrop)),
        "target.jpg": encode.jpeg(target.rgb),
        "mask.png": encode.mask_png(seen.mask),
        "depth.png": depth,
        "normal.png": encode.normals_png(seen.normals),
        "json": encode.facts(
            R=camera.R.tolist(),
            t=camera.t.tolist(),
            s=[1.0, 1.0, 1.0],
            K=camera.K.tolist(),
            view=number,
            light=light_facts(light),
            background=list(backdrop),
            **span,
        ),
    }
    row = {
        "view": number,
        "mask_share": share,
        "opening": float(2 * np.degrees(np.arctan(settings.size / 2 / camera.K[0, 0]))),
        "distance": float(camera.t[2]),
        "triangles": int(shape.measures["triangles"]),
        **{key: shape.measures[key] for key in MEASURES},
    }
    return Made(f"{shape.key}_v{number:02d}", members, row, shape), target


def on_plain(rgb: np.ndarray, alpha: np.ndarray, backdrop: tuple[int, int, int]) -> np.ndarray:
    """rgb uint8 (H,W,3) by its coverage alpha uint8 (H,W) over one colour."""
    plain = Image.new("RGB", alpha.shape[::-1], backdrop)
    plain.paste(Image.fromarray(rgb), mask=Image.fromarray(alpha))
    return np.asarray(plain)


def light_facts(light: Lighting) -> dict[str, object]:
    """A lighting as plain values: linear RGB, directions in the camera's frame."""
    return {
        "ambient": list(light.ambient),
        "sky": list(light.sky),
        "lights": [{"towards": list(one.towards), "colour": list(one.colour)} for one in light.lights],
    }
