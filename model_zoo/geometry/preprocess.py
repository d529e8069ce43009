"""Photo, mask and pointmap to the six views that condition the model (sam3d_model.md section 4; its crop, padding and shift)."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from model_zoo.io import frames
from model_zoo.io.errors import BadInput
from model_zoo.io.images import check_size
from model_zoo.io.poses import LARGEST

BOX_FACTOR = 1.2


class Views(NamedTuple):
    """views: name -> (C, S, S), images and masks in 0..1, pointmaps normalised with NaN holes; scale, shift (3,)."""

    views: dict[str, Tensor]
    scale: Tensor
    shift: Tensor


def lower_median(values: Tensor) -> Tensor:
    """The lower middle of the finite values of (N,) or, per column, of (N, C)."""
    return values.nanmedian(0).values


def normalisation(points: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Scale and shift (3,) of a pointmap (3, H, W) by the object in its mask (H, W); 1 and 0 without points."""
    inside = points[:, mask > 0.5].T
    inside = inside[inside.isfinite().all(1)]
    if not len(inside):
        return points.new_ones(3), points.new_zeros(3)
    shift = lower_median(inside)
    distance = (points - shift[:, None, None]).abs().amax(0)
    scale = lower_median(distance[distance.isfinite()]).clamp_min(1e-6)
    return scale.expand(3), shift


def crop_box(mask: Tensor) -> tuple[int, int, int, int]:
    """Square box (left, top, right, bottom) 1.2 times the mask's; may leave the picture."""
    rows, columns = mask.any(1).nonzero()[:, 0], mask.any(0).nonzero()[:, 0]
    if not len(rows):
        raise BadInput("the mask is empty: draw or choose the object first")
    x1, x2, y1, y2 = int(columns[0]), int(columns[-1]), int(rows[0]), int(rows[-1])
    if x2 - x1 < 2 or y2 - y1 < 2:
        raise BadInput("the mask is smaller than 3 pixels")
    half = int(max(x2 - x1, y2 - y1, 2) * BOX_FACTOR) // 2
    cx, cy = (x1 + x2) / 2, (y1 + y2) / 2
    return int(cx - half), int(cy - half), int(cx + half), int(cy + half)


def crop(x: Tensor, box: tuple[int, int, int, int], square_fill: float = 0.0) -> Tensor:
    """The box of (C, H, W), 0 outside the picture; a side lost to truncation is padded with `square_fill`."""
    left, top, right, bottom = box
    height, width = x.shape[-2:]
    part = x[:, max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)]
    outside = (max(-left, 0), max(right - width, 0), max(-top, 0), max(bottom - height, 0))
    return squared(F.pad(part, outside), square_fill)


def squared(x: Tensor, fill: float = 0.0) -> Tensor:
    """(C, H, W) padded to a square, centred, the floor half first."""
    height, width = x.shape[-2:]
    across, down = max(height - width, 0), max(width - height, 0)
    return F.pad(x, (across // 2, across - across // 2, down // 2, down - down // 2), value=fill)


def resized(x: Tensor, size: int, smooth: bool) -> Tensor:
    """(C, S, S) at the network's size: images bilinear with antialias, masks and pointmaps nearest."""
    how = {"mode": "bilinear", "antialias": True, "align_corners": False} if smooth else {"mode": "nearest"}
    return F.interpolate(x[None], (size, size), **how)[0]


def prepare(rgb: Tensor, mask: Tensor, points: Tensor, size: int) -> Views:
    """rgb (3,H,W) and mask (1,H,W) in 0..1, points (3,H,W) in PyTorch3D camera axes, not finite = no point there.

    Without a point in the mask (all NaN, all inf) scale is 1 and shift 0, and the model sees no object points. Raises
    BadInput for an empty mask, one under 3 pixels a side, and one that never exceeds one half.
    """
    box = crop_box(mask[0] > 0)
    if not (mask > 0.5).any():
        # The released preprocessing lets this pass with scale 1 and shift 0 (section 16.13).
        raise BadInput("the mask never exceeds one half: was a 0/1 mask divided by 255?", "faint_mask")
    scale, shift = normalisation(points, mask[0])
    normal = (points - shift[:, None, None]) / scale[:, None, None]
    views = {
        "image": resized(crop(rgb, box), size, True),
        "rgb_image": resized(squared(rgb), size, True),
        "mask": resized(crop(mask, box), size, False),
        "rgb_image_mask": resized(squared(mask), size, False),
        "pointmap": resized(crop(normal, box, float("nan")), size, False),
        "rgb_pointmap": resized(squared(normal), size, False),
    }
    return Views(views, scale, shift)


def prepare_photo(rgb: np.ndarray, mask: np.ndarray, pointmap: np.ndarray, size: int) -> Views:
    """rgb uint8 (H,W,3), mask (H,W) bool or 0/1 or 0/255, pointmap float32 (H,W,3) in OpenCV axes with NaN holes.

    A point that is infinite or beyond a million units counts as a hole; a pointmap of another size is resized, nearest.
    Raises BadInput as `prepare`, and for other shapes and types, a mask of another size, or a picture beyond the limits
    of model_zoo.io.images (refused before anything is copied).
    """
    _check(rgb, mask, pointmap)
    with np.errstate(over="ignore"):
        points = torch.from_numpy(np.array(pointmap, np.float32)).permute(2, 0, 1)
    points = torch.where((points.abs() <= LARGEST).all(0), points, points.new_tensor(float("nan")))
    points = points * points.new_tensor(frames.between("opencv", "pytorch3d").diagonal())[:, None, None]
    if points.shape[1:] != mask.shape:
        points = F.interpolate(points[None], mask.shape, mode="nearest")[0]
    image = torch.from_numpy(np.array(rgb)).permute(2, 0, 1).float() / 255
    return prepare(image, torch.from_numpy(mask != 0).float()[None], points, size)


def _check(rgb: np.ndarray, mask: np.ndarray, pointmap: np.ndarray) -> None:
    if rgb.ndim != 3 or rgb.shape[2] != 3 or rgb.dtype != np.uint8:
        raise BadInput(f"the image must be uint8 (H,W,3), not {rgb.dtype} {rgb.shape}", "bad_image")
    if pointmap.ndim != 3 or pointmap.shape[2] != 3 or pointmap.dtype.kind != "f":
        shape = f"{pointmap.dtype} {pointmap.shape}"
        raise BadInput(f"the pointmap must hold numbers (H,W,3), not {shape}", "bad_pointmap")
    for array in (rgb, pointmap):
        check_size(array.shape[1], array.shape[0], min_side=1)
    if mask.shape != rgb.shape[:2]:
        size = "x".join(map(str, mask.shape[::-1]))
        raise BadInput(f"image is {rgb.shape[1]}x{rgb.shape[0]} but mask is {size}", "mask_size")
    if mask.dtype != bool and not any(np.isin(mask, (0, top)).all() for top in (1, 255)):
        raise BadInput("the mask must be bool, 0 and 1, or 0 and 255", "bad_mask")
