"""The rule-based geometry filter of Iso-3DO (paper B.1): near-zero volume, flat normals, fragments far from the rest.

The paper gives no thresholds; ours were set by looking at what they refuse (model_zoo/LOG.md). A refusal carries every
measured value, and a shape carries them too, so that a data set can be filtered harder without building it again.
"""

import numpy as np
import trimesh
from scipy import ndimage

from model_zoo.build.kinds import Unfit

LEAST_VOLUME = (
    0.0015  # of the cube, 393 voxels: a pencil (0.0029) and a wrench (0.0028) stay, a needle of 1:50 goes
)
LEAST_SPREAD = (
    0.03  # paper, flat or bent by a fifth, and a card of 1 % thickness go; a disc of 2 % (0.039) stays
)
GAP = (
    2  # voxels on either side: pieces nearer to each other than a sixteenth of the longest side hang together
)
STRAY_EXTENT = 0.1
PROBES = 20_000  # points of the surface at which its alpha is read
STRAY_DENSITY = 0.2  # area over squared extent: a speck has none, a lampshade on air 1.1, a far saucer 0.7


def check(mesh: trimesh.Trimesh, occupancy: np.ndarray) -> dict[str, float]:
    """What was measured on a mesh in the canonical frame with its solid occupancy (G,G,G). Raises Unfit.

    Refused: `no_volume`, fewer full voxels than a thin rod has; `flat`, a sheet; `stray_fragments`, the longest side
    is more than a tenth longer for pieces with little area for so much extent (two equal pieces apart stay).
    """
    values = measure(mesh, occupancy)
    volume, spread = values["volume"], values["normal_spread"]
    area, extent = values["stray_area"], values["stray_extent"]
    if volume < LEAST_VOLUME:
        raise Unfit(
            f"almost no volume: {volume:.3%} of its cube is full (at least {LEAST_VOLUME:.2%})",
            "no_volume",
            values,
        )
    if spread < LEAST_SPREAD:
        raise Unfit(
            f"flat: its normals spread {spread:.3f} about one axis (at least {LEAST_SPREAD}, a ball 0.667)",
            "flat",
            values,
        )
    if extent > STRAY_EXTENT and area < STRAY_DENSITY * extent**2:
        raise Unfit(
            f"fragments far from the main structure: {area:.2%} of the area makes up {extent:.0%} of the extent",
            "stray_fragments",
            values,
        )
    return values


def measure(mesh: trimesh.Trimesh, occupancy: np.ndarray) -> dict[str, float]:
    """The measures of a mesh in the canonical frame (centred, longest side 1, y-up).

    volume: share of the cube's voxels that are full, those that the surface touches included.
    normal_spread: 1 - the largest eigenvalue of the mean of n n^T by area: 0 for a sheet, 2/3 for a ball.
    stray_area, stray_extent, stray_volume: what lies off the main structure (the piece with the most area, pieces near
    each other being one): its share of the area and of the full voxels, and by how much the longest side would shrink
    without it.
    see_through: share of the area that glTF's alpha lets the light through; pictures show it as if it did not.
    """
    corners = np.asarray(mesh.vertices)[np.asarray(mesh.faces)]
    cross = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    doubled = np.linalg.norm(cross, axis=1)
    normals = cross / np.maximum(doubled, 1e-30)[:, None]
    scatter = (normals * doubled[:, None]).T @ normals / doubled.sum()
    values = {
        "volume": float(occupancy.mean()),
        "normal_spread": float(1 - np.linalg.eigvalsh(scatter)[-1]),
        **_stray(corners, doubled, occupancy),
        "see_through": _see_through(mesh, doubled),
    }
    return {name: round(max(value, 0.0), 6) for name, value in values.items()}


def _stray(corners: np.ndarray, area: np.ndarray, occupancy: np.ndarray) -> dict[str, float]:
    grid = len(occupancy)
    ball = ndimage.generate_binary_structure(3, 3)
    pieces, count = ndimage.label(
        ndimage.binary_dilation(occupancy, ball, iterations=GAP), ndimage.generate_binary_structure(3, 1)
    )
    if count < 2:
        return {"stray_area": 0.0, "stray_extent": 0.0, "stray_volume": 0.0}
    x, y, z = corners.mean(1).T
    voxel = ((np.stack([x, -z, y], 1) + 0.5) * grid).astype(int).clip(0, grid - 1)
    piece = pieces[tuple(voxel.T)]
    areas = np.bincount(piece, area, count + 1)
    main = int(areas.argmax())
    kept = corners[piece == main].reshape(-1, 3)
    full = np.bincount(pieces[occupancy], minlength=count + 1)
    return {
        "stray_area": float(1 - areas[main] / areas.sum()),
        "stray_extent": float(1 - np.ptp(kept, axis=0).max()),
        "stray_volume": float(1 - full[main] / full.sum()),
    }


def _see_through(mesh: trimesh.Trimesh, area: np.ndarray) -> float:
    material, uv = getattr(mesh.visual, "material", None), getattr(mesh.visual, "uv", None)
    mode = getattr(material, "alphaMode", None)
    if material is None or mode not in ("MASK", "BLEND"):
        return 0.0
    alpha = np.full(PROBES, 1.0 if material.baseColorFactor is None else material.baseColorFactor[3] / 255)
    image = material.baseColorTexture
    if image is not None and uv is not None and image.mode == "RGBA":
        # Evenly by area; within the triangles by a sequence that fills the square evenly (R2), folded into one half.
        share = np.arange(PROBES) + 0.5
        face = np.searchsorted(np.cumsum(area), share / PROBES * area.sum()).clip(max=len(area) - 1)
        weights = np.outer(share, (0.7548776662, 0.5698402910)) % 1
        weights = np.where(weights.sum(1, keepdims=True) > 1, 1 - weights, weights)
        corners = np.nan_to_num(np.asarray(uv, float)[np.asarray(mesh.faces)[face]])
        at = corners[:, 0] + np.einsum("nk,nki->ni", weights, corners[:, 1:] - corners[:, :1])
        texels = np.asarray(image)[::-1, :, 3]  # v grows upwards
        row, column = (
            np.floor(at[:, k] * texels.shape[1 - k]).astype(int) % texels.shape[1 - k] for k in (1, 0)
        )
        alpha *= texels[row, column] / 255
    if mode == "MASK":
        return float((alpha < (0.5 if material.alphaCutoff is None else material.alphaCutoff)).mean())
    return float(1 - alpha.mean())
