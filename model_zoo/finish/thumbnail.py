"""Pictures of a mesh alone: one for lists, and a strip of eight views for looking at it without a viewer."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import trimesh

from model_zoo.render import Shading, view, views

SIDE = 256
STRIP_SIDE = 224
STRIP_VIEWS = 8
NEUTRAL = Shading(grey=True, samples=2, background=(246, 246, 248), light=(-0.4, -0.8, -0.6))


def thumbnail(mesh: trimesh.Trimesh) -> np.ndarray:
    """uint8 (256,256,3): the shape in neutral grey, seen from the front right and a little above."""
    return view(mesh, (SIDE, SIDE), -30, 20, NEUTRAL).rgb


def turntable(mesh: trimesh.Trimesh, *, textured: bool = False) -> np.ndarray:
    """uint8 (224,1792,3): eight views side by side, 45 degrees apart, in neutral grey or in the mesh's own colours."""
    angles = [(360.0 * number / STRIP_VIEWS, 20.0) for number in range(STRIP_VIEWS)]
    # One ray a pixel: eight views must not cost more than half a second of a proposal.
    shading = replace(NEUTRAL, grey=not textured, samples=1)
    return np.hstack([seen.rgb for seen in views(mesh, angles, (STRIP_SIDE, STRIP_SIDE), shading)])
