"""The shape in which Gaussian splats travel between decoder, renderer and export."""

from typing import NamedTuple

from torch import Tensor


class Gaussians(NamedTuple):
    """N activated splats in the object frame (z-up unit cube centred at 0)."""

    xyz: Tensor  # (N, 3)
    features_dc: Tensor  # (N, 3) colour as SH degree 0: rgb = 0.5 + 0.28209479 dc
    scaling: Tensor  # (N, 3) standard deviations, same unit as xyz
    rotation: Tensor  # (N, 4) unit quaternions wxyz
    opacity: Tensor  # (N, 1) in 0..1
