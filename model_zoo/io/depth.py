"""Depth images, pointmaps and cameras from untrusted bytes.

A pointmap is float32 (H,W,3) in the OpenCV camera (x right, y down, z forward), metres when metric, NaN where
invalid; pixel centres are at integer coordinates.
"""

import math
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model_zoo.io.arrays import NPY_MAGIC, npz_keys, read_npy, read_npz, write_npz
from model_zoo.io.errors import BadInput
from model_zoo.io.images import check_size, decode, open_container
from model_zoo.io.records import parse_json
from model_zoo.io.sniff import describe, kind_of

Points = NDArray[np.float32]

MAX_PIXELS = 16_000_000
MAX_FOCAL = 1e6
DEFAULT_UNIT = 0.001
ASSUMED_FIELD_OF_VIEW = 60.0
UNIT_KEYS = ("depth_png_unit_m", "depth_unit_m", "depth_scale")


@dataclass(frozen=True)
class Camera:
    """Pinhole camera in pixels. depth_scale: metres per unit of an integer depth image, None when not said."""

    fx: float
    fy: float
    cx: float
    cy: float
    width: int
    height: int
    depth_scale: float | None = None

    def matrix(self) -> NDArray[np.float64]:
        """K (3,3)."""
        return np.array([[self.fx, 0, self.cx], [0, self.fy, self.cy], [0, 0, 1]])

    def to_json(self) -> dict[str, float | int]:
        """As load_camera reads it."""
        fields: dict[str, float | int] = {
            "fx": self.fx,
            "fy": self.fy,
            "cx": self.cx,
            "cy": self.cy,
            "width": self.width,
            "height": self.height,
        }
        return fields if self.depth_scale is None else {**fields, "depth_png_unit_m": self.depth_scale}


@dataclass
class LoadedPointmap:
    """points (H,W,3) float32, NaN where invalid; what was doubtful or changed."""

    points: Points
    warnings: list[str] = field(default_factory=list)


def load_camera(data: bytes, size: tuple[int, int] | None = None) -> Camera:
    """Camera JSON: fx, fy, cx, cy in pixels (or K 3x3), width, height, and metres per unit as depth_png_unit_m.

    size (width, height) of the image fills in a missing size and must agree with a given one. Raises BadInput
    naming the field.
    """
    value = parse_json(data, what="camera")
    if not isinstance(value, dict):
        raise BadInput("camera: expected a JSON object", "bad_camera")
    k = value.get("K", value.get("intrinsics"))
    if k is not None:
        value = {**_from_matrix(k), **value}
    numbers = {name: _number(value, name) for name in ("fx", "fy", "cx", "cy")}
    width, height = (_side(value, name) for name in ("width", "height"))
    if size is not None:
        width, height = width or size[0], height or size[1]
        if (width, height) != tuple(size):
            raise BadInput(
                f"camera: it is for {width}x{height} but the image is {size[0]}x{size[1]}", "camera_size"
            )
    camera = Camera(**numbers, width=width, height=height, depth_scale=_unit(value))
    _check_camera(camera)
    return camera


def _from_matrix(k: Any) -> dict[str, Any]:
    if not (
        isinstance(k, list) and len(k) == 3 and all(isinstance(row, list) and len(row) == 3 for row in k)
    ):
        raise BadInput('camera: the field "K" must be a 3x3 matrix', "bad_camera")
    return {"fx": k[0][0], "fy": k[1][1], "cx": k[0][2], "cy": k[1][2]}


def _number(value: dict[str, Any], name: str) -> float:
    number = value.get(name)
    if isinstance(number, bool) or not isinstance(number, int | float):
        state = "is missing" if number is None else "must be a number"
        raise BadInput(f'camera: the field "{name}" {state}', "bad_camera")
    return float(number)


def _side(value: dict[str, Any], name: str) -> int:
    side = value.get(name, 0)
    if type(side) is not int or not 0 <= side <= 100_000:
        raise BadInput(f'camera: the field "{name}" must be a whole number of pixels', "bad_camera")
    return side


def _unit(value: dict[str, Any]) -> float | None:
    for name in UNIT_KEYS:
        if value.get(name) is not None:
            unit = _number(value, name)
            if not 1e-7 <= unit <= 1:
                raise BadInput(
                    f'camera: the field "{name}" is metres per unit (0.001 for millimetres), not {unit:g}',
                    "bad_camera",
                )
            return unit
    return None


def _check_camera(camera: Camera) -> None:
    for name in ("fx", "fy"):
        focal = getattr(camera, name)
        if not math.isfinite(focal) or focal <= 0:
            raise BadInput(f'camera: the field "{name}" must be positive, not {focal:g}', "bad_camera")
        if focal < 1 or focal > MAX_FOCAL:
            raise BadInput(
                f'camera: the field "{name}" is out of range ({focal:g}); give pixels', "bad_camera"
            )
    for name, side in (("cx", camera.width), ("cy", camera.height)):
        centre, reach = getattr(camera, name), side or 50_000
        if not math.isfinite(centre) or not -reach <= centre <= 2 * reach:
            raise BadInput(
                f'camera: the field "{name}" lies far outside the image ({centre:g})', "bad_camera"
            )


def assumed_camera(size: tuple[int, int]) -> Camera:
    """A camera for a photo without intrinsics: 60 degrees along the longer side, principal point in the middle."""
    width, height = size
    focal = 0.5 * max(size) / math.tan(math.radians(ASSUMED_FIELD_OF_VIEW / 2))
    return Camera(focal, focal, (width - 1) / 2, (height - 1) / 2, width, height)


def unproject(depth: NDArray[np.floating[Any]], camera: Camera) -> Points:
    """Points (H,W,3) of a depth image (H,W) in metres along z; a depth that is not finite or not positive gives NaN."""
    height, width = depth.shape
    z = np.where(np.isfinite(depth) & (depth > 0), depth, np.nan).astype(np.float32)
    points = np.empty((height, width, 3), np.float32)
    points[..., 0] = z * ((np.arange(width) - camera.cx) / camera.fx).astype(np.float32)
    points[..., 1] = z * ((np.arange(height) - camera.cy) / camera.fy).astype(np.float32)[:, None]
    points[..., 2] = z
    return points


def load_depth(data: bytes, camera: Camera, size: tuple[int, int] | None = None) -> LoadedPointmap:
    """Pointmap of a depth image: PNG (integer, unit from the camera) or NPY/NPZ (floats are metres).

    size is (width, height) of the photo. Zero, negative and non-finite depth is invalid. Raises BadInput.
    """
    notes: list[str] = []
    raw = _read_depth(data, size, notes)
    height, width = raw.shape
    if (camera.width, camera.height) not in ((0, 0), (width, height)):
        raise BadInput(
            f"depth: it is {width}x{height} but the camera is for {camera.width}x{camera.height}",
            "depth_size",
        )
    depth = _to_metres(raw, camera.depth_scale, notes)
    valid = np.isfinite(depth) & (depth > 0)
    broken = int((~np.isfinite(depth) | (depth < 0)).sum())
    if broken:
        notes.append(f"{broken} depth values that are negative or not finite were masked out")
    if not valid.any():
        raise BadInput("depth: there is no valid depth in the file", "no_depth")
    if valid.sum() > 1 and depth[valid].max() == depth[valid].min():
        notes.append("the depth is flat: every valid pixel has the same value")
    return LoadedPointmap(unproject(depth, camera), notes)


def _read_depth(data: bytes, size: tuple[int, int] | None, notes: list[str]) -> NDArray[np.generic]:
    shape = (None, None) if size is None else (size[1], size[0])
    if data.startswith(NPY_MAGIC):
        return read_npy(data, shape=shape, what="depth")
    kind = kind_of(data)
    if kind == "array":
        return read_npz(data, ("depth",), shape=shape, what="depth")
    if kind != "image":
        raise BadInput(f"depth: expected a 16-bit PNG, NPY or NPZ; this is {describe(data)}", "wrong_kind")
    container = open_container(data)
    if container.format != "PNG":
        raise BadInput(
            f"depth: a lossy format ({container.format}) cannot hold depth; use 16-bit PNG", "lossy_depth"
        )
    check_size(container.width, container.height, pixels=MAX_PIXELS, min_side=1)
    if size is not None and (container.width, container.height) != tuple(size):
        raise BadInput(
            f"depth: it is {container.width}x{container.height} but the image is {size[0]}x{size[1]}",
            "depth_size",
        )
    array = np.asarray(decode(container))
    if array.ndim != 2 or array.dtype == np.bool_:
        raise BadInput(
            "depth: the PNG must have one channel of depth, this is a colour or black-and-white picture",
            "depth_channels",
        )
    if container.bits <= 8:
        notes.append("8-bit depth has low precision; state its unit in the camera as depth_png_unit_m")
    return array


def _to_metres(raw: NDArray[np.generic], unit: float | None, notes: list[str]) -> NDArray[np.float32]:
    if raw.dtype.kind == "b":
        raise BadInput("depth: a boolean array holds no depth", "depth_channels")
    if raw.dtype.kind == "f":
        with np.errstate(over="ignore"):
            return raw.astype(np.float32)
    if unit is None:
        unit = DEFAULT_UNIT
        notes.append("no depth unit is given: millimetres are assumed")
    if raw.dtype.itemsize > 2:
        notes.append(f"integer depth ({raw.dtype}) was converted with {unit:g} metres per unit")
    return (raw.astype(np.float64) * unit).astype(np.float32)


def load_pointmap(data: bytes, size: tuple[int, int] | None = None) -> LoadedPointmap:
    """Pointmap from NPZ (array "pointmap", or the only one) or NPY, shape (H,W,3). Raises BadInput."""
    shape = (None, None, 3) if size is None else (size[1], size[0], 3)
    if data.startswith(NPY_MAGIC):
        raw = read_npy(data, shape=shape, what="pointmap")
    elif kind_of(data) == "array":
        raw = read_npz(data, ("pointmap", "points"), shape=shape, what="pointmap")
    else:
        raise BadInput(f"pointmap: expected NPZ or NPY; this is {describe(data)}", "wrong_kind")
    if raw.dtype.kind != "f":
        raise BadInput(f"pointmap: expected floating point numbers, not {raw.dtype}", "bad_array")
    with np.errstate(over="ignore"):
        points = raw.astype(np.float32)
    return LoadedPointmap(points, _clean_points(points))


def _clean_points(points: Points) -> list[str]:
    """Set points with a coordinate that cannot be used to NaN, in place; what was found."""
    notes = []
    finite = np.isfinite(points).all(axis=2)
    infinite = int(np.isinf(points).any(axis=2).sum())
    if infinite:
        notes.append(f"{infinite} points that are not finite were masked out")
    if not finite.any():
        raise BadInput("pointmap: there is no valid point", "no_depth")
    behind = finite & (points[..., 2] <= 0)
    count = int(behind.sum())
    if 2 * count > finite.sum():
        notes.append(
            "most points lie behind the camera (z negative): is the axis convention wrong? (OpenCV is expected)"
        )
    elif count:
        notes.append(f"{count} points behind the camera were masked out")
        finite &= ~behind
    points[~finite] = np.nan
    return notes


def encode_pointmap(points: NDArray[np.floating[Any]], camera: Camera | None = None) -> bytes:
    """Deterministic NPZ bytes: float32 "pointmap" (H,W,3) and, with a camera, its "K" (3,3)."""
    arrays: dict[str, NDArray[np.generic]] = {"pointmap": np.asarray(points, np.float32)}
    if camera is not None:
        arrays["K"] = camera.matrix()
    return write_npz(arrays)


def decode_pointmap(data: bytes) -> tuple[Points, Camera | None]:
    """What encode_pointmap wrote: points (H,W,3) float32 and the camera, None when none was stored."""
    points = read_npz(data, ("pointmap",), shape=(None, None, 3), what="pointmap").astype(
        np.float32, copy=False
    )
    if "K" not in npz_keys(data):
        return points, None
    k = read_npz(data, ("K",), shape=(3, 3), what="camera").astype(np.float64)
    height, width = points.shape[:2]
    camera = Camera(float(k[0, 0]), float(k[1, 1]), float(k[0, 2]), float(k[1, 2]), width, height)
    _check_camera(camera)
    return points, camera


def with_size(camera: Camera, size: tuple[int, int]) -> Camera:
    """The camera with the image's size (width, height) filled in."""
    return replace(camera, width=size[0], height=size[1])
