"""The rasteriser of the data sets: textured meshes to colour, base colour, coverage, depth, mask, normals, instances.

OpenGL without a window where EGL can be opened (raster_gl.py), embree's rays elsewhere (raster_rays.py); the camera
and the light are the same. Frame: OpenCV camera (x right, y down, z forward); pixel centres at integer coordinates.
Light: Lambert, two-sided, smooth but for creases, with a modest gloss from the material's roughness and metallic
factors, in linear light; `base` has none of it.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np
import trimesh

from model_zoo import raster_gl, raster_rays
from model_zoo.raster_parts import AMBIENT, LIGHTS, Light, Lighting, Picture, Posed

__all__ = ["AMBIENT", "Light", "Lighting", "Picture", "Posed", "Raster"]

BACKENDS = ("auto", "gl", "embree")
log = logging.getLogger(__name__)


class Raster:
    """Draws posed meshes. `backend` is "gl" (raises RuntimeError without EGL), "embree", or "auto": the first that works."""

    def __init__(self, *, backend: str = "auto") -> None:
        if backend not in BACKENDS:
            raise ValueError(f"no backend {backend!r}: there are {', '.join(BACKENDS)}")
        self.backend = "embree" if backend == "embree" else "gl"
        if self.backend == "gl":
            try:
                raster_gl.engine()
            except Exception as error:
                if backend == "gl":
                    raise RuntimeError(f"OpenGL cannot be opened: {error}") from error
                log.warning("OpenGL cannot be opened (%s): pictures are drawn by embree, more slowly", error)
                self.backend = "embree"

    def draw(
        self,
        items: Sequence[tuple[trimesh.Trimesh, Posed]],
        K: np.ndarray,
        size: tuple[int, int],
        lighting: Lighting = AMBIENT,
    ) -> Picture:
        """Draws meshes at their poses (affine maps) into a (W, H) picture of the camera K (3,3).

        Only the window that the meshes cover is drawn. A mesh is read at its first draw and kept while it lives, so
        that a mesh changed in place afterwards is drawn as it was. Raises ValueError for more than 255 items, 16 million faces or 4 lights.
        """
        if (
            len(items) > raster_gl.MOST_ITEMS
            or sum(len(mesh.faces) for mesh, _ in items) >= raster_gl.MOST_FACES
        ):
            raise ValueError("a picture takes at most 255 meshes and 16 million faces")
        if len(lighting.lights) > LIGHTS:
            raise ValueError(f"a picture takes at most {LIGHTS} lights")
        K = np.asarray(K, float)
        if self.backend == "embree":
            return raster_rays.draw(list(items), K, size, lighting)
        return raster_gl.engine().draw(list(items), K, size, lighting)
