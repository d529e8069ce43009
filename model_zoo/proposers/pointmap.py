"""A pointmap where none was measured: from MoGe if the user has it, else from a documented geometric guess.

The guess (source "fallback"): a 60 degree camera 1.5 m above a flat ground. Each masked object stands upright where
its mask meets the ground and has one depth; everything else lies on the ground or on a far wall behind the objects.
It gives Stage 3 something to work on; it is not a measurement and its scale means nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from model_zoo.io.errors import BadInput
from model_zoo.render import intrinsics, pixel_rays

FIELD_OF_VIEW = 60.0
CAMERA_HEIGHT = 1.5  # metres
HORIZON = 0.38  # of the picture's height from the top, unless an object stands higher
LEAST_DROP = 0.16  # an object's foot lies at least this share of the height below the horizon
Model = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class Estimate:
    """`points` float32 (H,W,3) in the OpenCV camera, NaN invalid; the camera K (3,3); source "fallback" or "moge"."""

    points: np.ndarray
    K: np.ndarray
    source: str


def estimate_pointmap(
    rgb: np.ndarray, masks: Sequence[np.ndarray], K: np.ndarray | None = None, model: Model | None = None
) -> Estimate:
    """Estimates the pointmap of a photograph (H,W,3); masks bool (H,W); K (3,3) if the camera is known."""
    if model is not None:
        points, camera = model(rgb)
        return Estimate(points.astype(np.float32), camera, "moge")
    height, width = rgb.shape[:2]
    camera = intrinsics(FIELD_OF_VIEW, (width, height)) if K is None else np.asarray(K, float)
    feet = [float(np.nonzero(mask.any(1))[0].max()) for mask in masks if mask.any()]
    horizon = min([HORIZON * height, *[foot - LEAST_DROP * height for foot in feet]])
    drop = np.maximum(np.arange(height) - horizon, 1e-6)
    ground = _ground_depth(drop, camera, horizon)
    nearest = {foot: ground[int(foot)] for foot in feet}
    wall = 3.0 * max([*nearest.values(), ground[-1]])
    depth = np.tile(
        np.minimum(np.where(np.arange(height) > horizon, ground, np.inf), wall)[:, None], (1, width)
    )
    for mask in sorted((m for m in masks if m.any()), key=lambda m: np.nonzero(m.any(1))[0].max()):
        depth[mask] = ground[np.nonzero(mask.any(1))[0].max()]
    points = pixel_rays(camera, (width, height)) * depth[..., None]
    return Estimate(points.astype(np.float32), camera, "fallback")


def _ground_depth(drop: np.ndarray, K: np.ndarray, horizon: float) -> np.ndarray:
    """Depth of the ground in the rows `drop` pixels under the horizon of a camera tilted to see that horizon."""
    slope = (K[1, 2] - horizon) / K[1, 1]
    return CAMERA_HEIGHT * np.sqrt(1 + slope**2) / (drop / K[1, 1])


def load_moge(weights: Path, device: str = "cpu") -> Model:
    """The MoGe model as a function rgb uint8 (H,W,3) -> points (H,W,3), K (3,3).

    Raises BadInput with what to install when the package `moge` or the weights file is missing.
    """
    try:
        # Optional and heavy: users bring the package and its weights themselves.
        import torch
        from moge.model.v1 import MoGeModel
    except ImportError as error:
        raise BadInput(f"MoGe cannot be used: {error}. Install the package moge first.", "no_moge") from error
    if not weights.is_file():
        raise BadInput(f"MoGe cannot be used: there is no weights file {weights}", "no_moge")
    network = MoGeModel.from_pretrained(str(weights)).to(device).eval()

    def infer(rgb: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        picture = torch.from_numpy(rgb).permute(2, 0, 1).float().div(255).to(device)
        with torch.inference_mode():
            out = network.infer(picture)
        points, valid, unit = (out[key].cpu().numpy() for key in ("points", "mask", "intrinsics"))
        scale = np.array([[rgb.shape[1]], [rgb.shape[0]], [1.0]])
        return np.where(valid[..., None] > 0, points, np.nan), unit * scale

    return infer
