"""Layout optimisation at test time: a sampled pose becomes one that agrees with the mask and the pointmap (paper E.3).

A pose from the network is a sample, not a fit (sam3d_model.md section 13). Here it is fitted by `fit` (ICP with the
outline), then polished by render-and-compare: the silhouette's edge and the depth of every pixel follow the pose
differentiably, and gradient descent raises the soft IoU. Kept only where the mask's IoU grows.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
import trimesh
from scipy.ndimage import distance_transform_edt
from scipy.spatial.transform import Rotation
from torch import Tensor
from torch.nn import functional as F

from model_zoo.finish.fit import fit
from model_zoo.finish.fit_target import Fit, Target, rim_of
from model_zoo.io.errors import BadInput
from model_zoo.io.poses import Pose
from model_zoo.proposers.placing import LEAST_POINTS, camera_of

STEPS, RATE = 40, 0.01  # of the polish; a step is about a hundredth of a radian, of the size, of the scale
BETAS = 0.7, 0.95  # of Adam, written out below: the first step of torch.optim imports for two seconds
BLUR = 2.0, 0.6  # pixels of the window over which the silhouette's edge fades, first and last
DEPTH_WEIGHT = 2.0  # of the mean depth error against the IoU, as in Fit.merit
FARTHEST = 0.2  # sizes; a pixel that is farther off pulls no more
STEEPEST = 0.2  # cosine; the depth of a surface seen at a flatter angle is not followed
BORDER = 2  # pixels; a mask so close to the picture's edge is taken to go on beyond it
GAIN = 1e-3  # IoU that counts as better


@dataclass(frozen=True)
class Layout:
    """The pose, whether it is a new one, why not otherwise, and the mask's IoU of the given and of the returned pose
    (what other things cover left out); NaN where nothing could be compared."""

    pose: Pose
    accepted: bool
    reason: str
    iou_before: float
    iou: float


def optimise(
    mesh: trimesh.Trimesh, pose: Pose, pointmap: np.ndarray, mask: np.ndarray, K: np.ndarray | None = None
) -> Layout:
    """The pose of a y-up mesh refined in turn, place and scale on a pointmap (H,W,3) and a mask (H,W), OpenCV camera.

    K (3,3) is estimated from the pointmap where it is not given. The pose given comes back, flagged and with the
    reason, where the mask is empty, too small or at the picture's border, where the pointmap holds no object points,
    and where no better pose is found. One input gives one result.
    """
    reason = refusal(mask, pointmap)
    if reason:
        return Layout(pose, False, reason, float("nan"), float("nan"))
    try:
        K = camera_of(pointmap) if K is None else K
        found = fit(mesh, pose, pointmap, mask, K, seconds=float("inf"), wide=False)
    except BadInput as error:
        return Layout(pose, False, error.message, float("nan"), float("nan"))
    target = Target(mesh, pose, pointmap, mask, K)
    before = target.judge(pose)
    with one_thread():
        best = max(target.judge(found.pose), _polished(target, found.pose), key=_merit)
    if best.iou < before.iou + GAIN:
        return Layout(pose, False, "no pose with a better silhouette was found", before.iou, before.iou)
    return Layout(best.pose, True, "", before.iou, best.iou)


@contextmanager
def one_thread() -> Iterator[None]:
    """Torch on one core: on tensors as small as the window's, several wait for each other, six times as long."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def refusal(mask: np.ndarray, pointmap: np.ndarray) -> str:
    """Why there is nothing to optimise on, or ""."""
    if mask.shape != pointmap.shape[:2]:
        return f"the mask is {mask.shape} but the pointmap is {pointmap.shape[:2]}"
    if mask.sum() < LEAST_POINTS:
        return "the mask is empty or has only a few pixels"
    inner = mask[BORDER:-BORDER, BORDER:-BORDER]
    if inner.sum() < mask.sum():
        return "the mask touches the border of the picture: part of the object may be beyond it"
    if np.isfinite(pointmap[mask]).all(-1).sum() < LEAST_POINTS:
        return "the pointmap has no points on the object"
    return ""


class _Move:
    """A similarity of the camera's space about a point, by theta (7,): turn in radians, way in sizes, log of growth."""

    def __init__(self, middle: np.ndarray, size: float, theta: Tensor | None = None) -> None:
        self.theta = torch.zeros(7, dtype=torch.float64) if theta is None else theta
        self.theta.requires_grad_()
        self.middle, self.size = torch.from_numpy(middle), size

    def __call__(self, points: Tensor) -> Tensor:
        """Where camera points (N,3) of the unmoved mesh are."""
        (x, y, z), way, growth = self.theta.split((3, 3, 1))
        o = torch.zeros_like(x)
        spin = torch.stack([o, -z, y, z, o, -x, -y, x, o]).reshape(3, 3)
        turned = (points - self.middle) @ torch.linalg.matrix_exp(spin).T
        return self.middle + way * self.size + growth.exp() * turned

    def back(self, points: Tensor) -> Tensor:
        """Where moved camera points (N,3) were; no gradient."""
        R, way, growth = self._parts()
        return self.middle + (points - self.middle - torch.from_numpy(way)) / growth @ torch.from_numpy(R)

    def pose(self, start: Pose) -> Pose:
        """The moved pose."""
        R, way, growth = self._parts()
        middle = self.middle.numpy()
        return Pose(R @ start.R, middle + way + growth * R @ (start.t - middle), start.s * growth)

    def _parts(self) -> tuple[np.ndarray, np.ndarray, float]:
        theta = self.theta.detach().numpy()
        return Rotation.from_rotvec(theta[:3]).as_matrix(), theta[3:6] * self.size, float(np.exp(theta[6]))


def _polished(target: Target, start: Pose) -> Fit:
    """Gradient descent (Adam) on the soft IoU and the depth from a pose; the best pose on the way."""
    best = target.judge(start)
    move = _Move(start.apply(target.middle[None])[0], target.size)
    speed, power = np.zeros(7), np.zeros(7)
    for step in range(STEPS):
        pose, done = move.pose(start), step / STEPS
        best = max(best, target.judge(pose), key=_merit)
        if np.isfinite(target.look(pose)[0]).sum() < LEAST_POINTS:
            return best
        loss = _loss(target, move, pose, BLUR[0] + (BLUR[1] - BLUR[0]) * done)
        slope = torch.autograd.grad(loss, move.theta)[0].numpy()
        if not target.has_relief:
            slope[:3] = 0  # a card says nothing about the rotation
        speed, power = (
            b * old + (1 - b) * new for b, old, new in zip(BETAS, (speed, power), (slope, slope**2))
        )
        fair, spread = (x / (1 - b ** (step + 1)) for b, x in zip(BETAS, (speed, power)))
        with torch.no_grad():
            move.theta -= torch.from_numpy(RATE * (1 - 0.9 * done) * fair / (np.sqrt(spread) + 1e-8))
    return max(best, target.judge(move.pose(start)), key=_merit)


def _merit(found: Fit) -> float:
    return found.merit


def _loss(target: Target, move: _Move, pose: Pose, blur: float) -> Tensor:
    """1 - soft IoU + the weighted mean depth error in sizes, at the pose that `move` stands for."""
    depth, face, covered = target.look(pose)
    points = target.rays * depth[..., None]
    silhouette = _silhouette(target, move, points, blur)
    mask = torch.from_numpy(target.window.mask).double()
    counted = torch.from_numpy(~covered).double()
    both = (silhouette * mask * counted).sum()
    loss = 1 - both / ((silhouette + mask) * counted).sum().sub(both).clamp_min(1e-6)
    measured = np.isfinite(depth) & np.isfinite(target.window.depth)
    if measured.any():
        loss = loss + DEPTH_WEIGHT * _depth_error(
            target, move, pose, points[measured], face[measured], measured
        )
    return loss


def _silhouette(target: Target, move: _Move, points: np.ndarray, blur: float) -> Tensor:
    """Soft silhouette (h,w): a sigmoid of the distance to the mesh's outline, which moves with the points of its rim.

    To first order the outline moves as the surface that it touches, so that the value is that of the exact mesh and
    the gradient is exact without a soft rasteriser.
    """
    found = np.isfinite(points[..., 2])
    distance = np.where(found, 0.5 - distance_transform_edt(found), distance_transform_edt(~found) - 0.5)
    down, across = np.gradient(distance)
    away = np.stack([across, down], -1)
    away /= np.maximum(np.linalg.norm(away, axis=-1, keepdims=True), 1e-6)
    rim = rim_of(found)
    row, column = distance_transform_edt(~rim, return_indices=True)[1]
    edge = torch.from_numpy(points[rim])
    K = torch.from_numpy(target.window.K)
    moved = move(move.back(edge)) @ K.T
    pixel = moved[:, :2] / moved[:, 2:]
    number = np.zeros(rim.shape, int)
    number[rim] = np.arange(rim.sum())
    shift = (pixel - pixel.detach())[torch.from_numpy(number[row, column])]
    outwards = (shift * torch.from_numpy(away)).sum(-1)
    return torch.sigmoid((outwards - torch.from_numpy(distance)) / blur)


def _depth_error(
    target: Target, move: _Move, pose: Pose, points: np.ndarray, face: np.ndarray, measured: np.ndarray
) -> Tensor:
    """Mean robust error of the depth in sizes, at fixed pixels, while the surface (its planes) moves through them."""
    normals = torch.from_numpy(target.normals(pose, face))
    rays = torch.from_numpy(target.rays[measured])
    here = torch.from_numpy(points)
    steep = (normals * rays).sum(-1)
    steep = torch.where(steep.abs() < STEEPEST, STEEPEST * steep.sign() + (steep == 0) * STEEPEST, steep)
    moved = ((move(move.back(here)) - here) * normals).sum(-1) / steep
    off = (here[:, 2] + moved - torch.from_numpy(target.window.depth[measured])) / target.size
    return F.smooth_l1_loss(off.clamp(-FARTHEST, FARTHEST), torch.zeros_like(off), beta=0.01)
