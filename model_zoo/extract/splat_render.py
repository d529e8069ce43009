"""Pictures of Gaussian splats in plain PyTorch: exact, differentiable, on CPU and GPU; correctness before speed.

EWA splatting: a splat becomes a 2D Gaussian on the picture (its covariance through the local affine camera, widened
by 0.3 pixels^2 against aliasing), splats are composited front to back by the depth of their centres. OpenCV camera (x
right, y down, z forward), pixel centres at integer coordinates, one unit of length throughout.
"""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from model_zoo.extract.splat_colours import rgb_of
from model_zoo.geometry.pose import matrix_of
from model_zoo.io.errors import BadInput
from model_zoo.texture.gaussians import Gaussians

WIDENED = 0.3
LEAST_ALPHA, MOST_ALPHA = 1 / 255, 0.99
NEAR = 1e-3  # nearest depth that is drawn
MARGIN = 0.15  # of the picture's side
FRAGMENTS = 4_000_000  # of splats on pixels handled at once: about 400 MB


class Splatted(NamedTuple):
    """`rgb` (H,W,3) without background, that is times alpha; `alpha` (H,W) in 0..1; `depth` (H,W) the mean depth of
    what is seen, NaN where alpha is 0."""

    rgb: Tensor
    alpha: Tensor
    depth: Tensor


class _Flat(NamedTuple):
    """Splats on the picture, nearest first: centre (N,2), inverse covariance (N,3) as xx, xy, yy, depth (N,), opacity
    (N,), colour (N,3), and the box of pixels (N,4) that they reach: left, top, right, bottom, right and bottom out."""

    centre: Tensor
    inverse: Tensor
    depth: Tensor
    opacity: Tensor
    colour: Tensor
    box: Tensor


def render(splats: Gaussians, K: Tensor, size: tuple[int, int]) -> Splatted:
    """A picture (W, H) of splats that lie in the camera's frame, by the camera K (3,3) without skew.

    Differentiable in the splats and in K. Raises BadInput when a splat is not finite.
    """
    if not all(torch.isfinite(part).all() for part in splats):
        raise BadInput("the Gaussians hold values that are not finite", "bad_features")
    width, height = size
    flat = _flattened(splats, K, size)
    rows = [_band(flat, width, top, bottom) for top, bottom in _bands(flat, height)]
    total = torch.cat(rows)
    alpha, depth = total[:, 3], total[:, 4]
    mean = torch.where(alpha > 0, depth / torch.where(alpha > 0, alpha, 1), torch.nan)
    return Splatted(
        total[:, :3].reshape(height, width, 3), alpha.reshape(height, width), mean.reshape(height, width)
    )


def _flattened(splats: Gaussians, K: Tensor, size: tuple[int, int]) -> _Flat:
    keep = torch.nonzero(splats.xyz[:, 2] > NEAR)[:, 0]
    keep = keep[torch.argsort(splats.xyz[keep, 2].detach(), stable=True)]
    xyz, scaling, rotation = splats.xyz[keep], splats.scaling[keep], splats.rotation[keep]
    opacity = splats.opacity[keep, 0]
    x, y, z = xyz.unbind(1)
    fx, fy, cx, cy = K[0, 0], K[1, 1], K[0, 2], K[1, 2]
    centre = torch.stack([fx * x / z + cx, fy * y / z + cy], 1)
    # The affine camera of a splat far beside the picture would smear it across: it takes that of the margin.
    u = torch.minimum(torch.maximum(x / z, (-MARGIN * size[0] - cx) / fx), ((1 + MARGIN) * size[0] - cx) / fx)
    v = torch.minimum(torch.maximum(y / z, (-MARGIN * size[1] - cy) / fy), ((1 + MARGIN) * size[1] - cy) / fy)
    zero = torch.zeros_like(z)
    affine = torch.stack(
        [torch.stack([fx / z, zero, -fx * u / z], 1), torch.stack([zero, fy / z, -fy * v / z], 1)], 1
    )
    root = affine @ (matrix_of(rotation) * scaling[:, None])
    xx = (root[:, 0] ** 2).sum(1) + WIDENED
    yy = (root[:, 1] ** 2).sum(1) + WIDENED
    xy = (root[:, 0] * root[:, 1]).sum(1)
    determinant = xx * yy - xy**2
    inverse = torch.stack([yy, -xy, xx], 1) / determinant[:, None]
    box = _boxes(centre.detach(), xx.detach(), yy.detach(), opacity.detach(), size)
    return _Flat(centre, inverse, z, opacity, rgb_of(splats.features_dc[keep]), box)


def _boxes(centre: Tensor, xx: Tensor, yy: Tensor, opacity: Tensor, size: tuple[int, int]) -> Tensor:
    """Pixels (N,4) where a splat's alpha can reach the least that counts; empty boxes where it cannot."""
    reach = torch.sqrt(2 * torch.log((opacity / LEAST_ALPHA).clamp_min(1)))
    half = reach[:, None] * torch.sqrt(torch.stack([xx, yy], 1))
    limit = centre.new_tensor(size)
    low = torch.minimum(torch.ceil(centre - half).clamp_min(0), limit)
    high = torch.minimum((torch.floor(centre + half) + 1).clamp_min(0), limit)
    return torch.cat([low, torch.maximum(high, low)], 1).long()


def _bands(flat: _Flat, height: int) -> Iterator[tuple[int, int]]:
    """Rows (top, bottom) of the picture that hold at most so many fragments each, one row at least."""
    left, top, right, bottom = flat.box.unbind(1)
    change = torch.zeros(height + 1, dtype=torch.int64, device=flat.box.device)
    change.index_add_(0, top, right - left).index_add_(0, bottom, left - right)
    per_row = torch.cumsum(change, 0)[:height].tolist()
    start, held = 0, 0
    for row, count in enumerate(per_row):
        if held and held + count > FRAGMENTS:
            yield start, row
            start, held = row, 0
        held += count
    yield start, height


def _band(flat: _Flat, width: int, top: int, bottom: int) -> Tensor:
    """Sums ((bottom - top) * width, 5) of colour, alpha and depth over what is left of the light at each splat."""
    low = flat.box[:, 1].clamp(top, bottom)
    across, down = flat.box[:, 2] - flat.box[:, 0], flat.box[:, 3].clamp(top, bottom) - low
    count = across * down
    splat = torch.repeat_interleave(torch.arange(len(count), device=count.device), count)
    inner = torch.arange(len(splat), device=count.device) - (torch.cumsum(count, 0) - count)[splat]
    column = flat.box[splat, 0] + inner % across[splat]
    row = low[splat] + inner // across[splat]
    dx, dy = column - flat.centre[splat, 0], row - flat.centre[splat, 1]
    xx, xy, yy = flat.inverse[splat].unbind(1)
    alpha = flat.opacity[splat] * torch.exp(-0.5 * (xx * dx**2 + 2 * xy * dx * dy + yy * dy**2))
    seen = torch.nonzero(alpha.detach() >= LEAST_ALPHA)[:, 0]
    pixel = ((row - top) * width + column)[seen]
    pixel, order = torch.sort(pixel, stable=True)  # within a pixel the splats stay nearest first
    splat, alpha = splat[seen][order], alpha[seen][order].clamp_max(MOST_ALPHA)
    # In double precision: the light left is a difference of sums over the whole band.
    passed = torch.cumsum(torch.log1p(-alpha.double()), 0)
    before = torch.cat([passed.new_zeros(1), passed])[:-1]
    first = torch.searchsorted(pixel, pixel)
    weight = (alpha * torch.exp(before - before[first])).to(alpha.dtype)
    each = torch.cat([flat.colour[splat], torch.ones_like(weight)[:, None], flat.depth[splat][:, None]], 1)
    total = flat.centre.new_zeros((bottom - top) * width, 5)
    return total.index_add(0, pixel, weight[:, None] * each)
