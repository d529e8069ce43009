"""The rule-based geometry filter of Iso-3DO (paper B.1): near-zero volume, flat normals, fragments far from the rest.

The paper gives no thresholds; ours were set by looking at what they refuse (model_zoo/LOG.md). A refusal carries every
measured value, and a shape carries them too, so that a data set can be filtered harder without building it again.
"""

import numpy as np
import trimesh
from scipy import ndimage

from model_zoo.build.kinds import Unfit

LEAST_VOLUME = 0.0005
LEAST_SPREAD = 0.02
GAP = 2  # voxels on either side: pieces nearer to each other than about a sixteenth of the longest side hang together
MOST_STRAY_EXTENT = 0.25
MOST_STRAY_AREA = 0.1


def check(mesh: trimesh.Trimesh, occupancy: np.ndarray) -> dict[str, float]:
    """What was measured on a mesh in the canonical frame with its solid occupancy (G,G,G). Raises Unfit."""
    values = measure(mesh, occupancy)
    if values["volume"] < LEAST_VOLUME:
        raise Unfit(
            f"almost no volume: {values['volume']:.2%} of its cube is full (at least {LEAST_VOLUME:.2%})",
            "no_volume",
            values,
        )
    if values["normal_spread"] < LEAST_SPREAD:
        raise Unfit(
            f"flat: {values['normal_spread']:.1%} of the area faces another way than one axis "
            f"(at least {LEAST_SPREAD:.0%})",
            "flat",
            values,
        )
    if values["stray_extent"] > MOST_STRAY_EXTENT and values["stray_area"] < MOST_STRAY_AREA:
        raise Unfit(
            f"fragments far from the main structure: {values['stray_area']:.1%} of the area takes "
            f"{values['stray_extent']:.0%} of the extent",
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
