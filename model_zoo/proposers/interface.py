"""The one interface of every proposer: an object seen in a photograph in, posed candidate meshes out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import trimesh

from model_zoo.io.poses import Pose


@dataclass(frozen=True)
class ObjectInput:
    """A target object: `rgb` uint8 (H,W,3), `mask` bool (H,W), `pointmap` float32 (H,W,3).

    The pointmap is in the OpenCV camera (x right, y down, z forward), metres when metric, NaN where invalid.
    """

    rgb: np.ndarray
    mask: np.ndarray
    pointmap: np.ndarray
    category: str = ""


@dataclass(frozen=True)
class Proposal:
    """A candidate: a y-up mesh, its pose p_cam = R diag(s) p_mesh + t, a score (higher is better) and its cost.

    `model`: the weights or the other program that made it, with a version. `seed`: the one that makes it again, where a
    proposer has one for each candidate. `library`: the id of the library's mesh that it is, whose licence goes with it.
    """

    mesh: trimesh.Trimesh
    pose: Pose
    score: float
    seconds: float
    model: str = ""
    seed: int | None = None
    library: str = ""


class Proposer(Protocol):
    """Makes candidates; the same input, seed and count give the same meshes and poses."""

    name: str

    def propose(self, obj: ObjectInput, *, seed: int, count: int) -> list[Proposal]:
        """Returns at most `count` proposals, best first. Raises BadInput when the mask or pointmap is empty."""
        ...
