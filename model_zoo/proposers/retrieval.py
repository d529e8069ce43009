"""Retrieval: the meshes of a library that look most like the object, posed as in their best view.

Every mesh is described once from 48 views (features.py); the index is cached as an NPZ file of plain arrays.
"""

from __future__ import annotations

import time
import zipfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import trimesh

from model_zoo.finish.fit import fit
from model_zoo.io.arrays import write_npz
from model_zoo.io.errors import BadInput
from model_zoo.io.meshes import load_mesh
from model_zoo.io.poses import Pose
from model_zoo.library import families, make
from model_zoo.proposers.features import SIDE, describe, similarity_to
from model_zoo.proposers.interface import ObjectInput, Proposal
from model_zoo.proposers.placing import camera_of, object_depth, overlap, place, towards, window_of
from model_zoo.proposers.turning import ANGLES
from model_zoo.render import RayTree, Shading, view_rotation, views

SHORTLIST = 3  # meshes placed and judged for each proposal that is wanted
JITTER = 0.02  # how much the seed stirs the ranking
PER_CATEGORY = 3
NAMED_BONUS = 0.25  # for a mesh of the category that a person gave the object, or of its kin
KIN = (
    {"cup", "mug"},
    {"rocket", "launcher", "shuttle"},
    {"temple", "pagoda"},
    {"plane", "airplane"},
    {"camel", "horse"},
    {"goat", "dog"},
)
LIKENESS_OF_OUTLINE = 1.6  # how much the overlap of the posed outline counts beside the likeness of the views
MeshLoader = Callable[[str], trimesh.Trimesh]


@dataclass(frozen=True)
class Index:
    """Described views: `owner` (N,) index into `mesh_ids`, `angle` (N,) into ANGLES, and the features (N, ...)."""

    mesh_ids: list[str]
    owner: np.ndarray
    angle: np.ndarray
    outlines: np.ndarray
    edges: np.ndarray
    colours: np.ndarray

    @classmethod
    def build(cls, meshes: Iterable[tuple[str, trimesh.Trimesh]]) -> Index:
        """Renders and describes every (mesh_id, mesh); about 0.15 s a mesh. A mesh that shows nothing is left out."""
        ids, owner, angle, described = [], [], [], []
        for mesh_id, mesh in meshes:
            for number, seen in enumerate(
                views(mesh, ANGLES, (SIDE + 8, SIDE + 8), Shading(background=(0, 0, 0)))
            ):
                if seen.mask.any():
                    owner.append(len(ids))
                    angle.append(number)
                    described.append(describe(seen.rgb, seen.mask))
            ids.append(mesh_id)
        columns = [np.stack(column) for column in zip(*described, strict=True)] or [
            np.zeros((0, n)) for n in (1024, 576, 100)
        ]
        return cls(ids, np.array(owner, int), np.array(angle, int), *columns)

    def save(self, path: Path) -> None:
        """Writes the index as NPZ; the same index gives the same bytes."""
        ids = np.frombuffer("\n".join(self.mesh_ids).encode(), np.uint8)
        arrays = {"mesh_ids": ids, "owner": self.owner, "angle": self.angle, "outlines": self.outlines}
        path.write_bytes(write_npz({**arrays, "edges": self.edges, "colours": self.colours}))

    @classmethod
    def load(cls, path: Path) -> Index:
        """Reads what `save` wrote. Raises BadInput on anything else."""
        try:
            with np.load(path, allow_pickle=False) as stored:
                arrays = {
                    name: stored[name]
                    for name in ("mesh_ids", "owner", "angle", "outlines", "edges", "colours")
                }
        except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
            raise BadInput(f"{path.name} is not a retrieval index: {error}", "bad_index") from error
        ids = arrays.pop("mesh_ids").tobytes().decode().split("\n")
        return cls(ids, **arrays)


class Retrieval:
    """The proposer over an index; `load` gives the mesh of an id."""

    name = "retrieval"

    def __init__(self, index: Index, load: MeshLoader) -> None:
        self.index, self.load = index, load

    @classmethod
    def over_library(cls, each: int = 1) -> Retrieval:
        """Over our own parametric library, `each` meshes a category; builds the index, about 10 s."""
        ids = [f"{category}_{number:02d}" for category in families() for number in range(1, each + 1)]
        load = lambda mesh_id: make(mesh_id.rsplit("_", 1)[0], int(mesh_id.rsplit("_", 1)[1]))  # noqa: E731
        return cls(Index.build((mesh_id, load(mesh_id)) for mesh_id in ids), load)

    @classmethod
    def over_folder(cls, folder: Path, cache: Path | None = None) -> Retrieval:
        """Over the GLB files of a folder; the index is kept in `cache` and used again while the names are the same."""
        ids = sorted(path.stem for path in folder.glob("*.glb"))
        load = lambda mesh_id: load_mesh((folder / f"{mesh_id}.glb").read_bytes(), name=mesh_id).mesh  # noqa: E731
        if cache is not None and cache.is_file():
            index = Index.load(cache)
            if index.mesh_ids == ids:
                return cls(index, load)
        index = Index.build((mesh_id, load(mesh_id)) for mesh_id in ids)
        if cache is not None:
            index.save(cache)
        return cls(index, load)

    def propose(self, obj: ObjectInput, *, seed: int, count: int) -> list[Proposal]:
        """At most `count` different meshes, best first. Raises BadInput on an empty mask or pointmap."""
        started = time.perf_counter()
        K = camera_of(obj.pointmap)
        window, depth = window_of(obj.mask, obj.pointmap, K), object_depth(obj.mask, obj.pointmap)
        ray = towards(obj.mask, K)
        placed = []
        for mesh_id, likeness, angles in self.ranked(obj, seed=seed)[: SHORTLIST * count]:
            mesh = self.load(mesh_id)
            tree = RayTree(mesh)
            poses = [place(tree, ray @ view_rotation(*ANGLES[angle]), window, depth) for angle in angles]
            outlines = [overlap(np.isfinite(window.look(tree, pose)), window.mask) for pose in poses]
            best = int(np.argmax(outlines))
            placed.append(
                (likeness + LIKENESS_OF_OUTLINE * outlines[best], likeness, mesh, poses[best], mesh_id)
            )
        placed.sort(key=lambda row: -row[0])
        shared = (time.perf_counter() - started) / max(count, 1)
        fitted = [replace(self._fitted(*row[1:4], obj, K, shared), library=row[4]) for row in placed[:count]]
        return sorted(fitted, key=lambda proposal: -proposal.score)

    def _fitted(
        self,
        likeness: float,
        mesh: trimesh.Trimesh,
        pose: Pose,
        obj: ObjectInput,
        K: np.ndarray,
        shared: float,
    ) -> Proposal:
        started = time.perf_counter()
        found = fit(mesh, pose, obj.pointmap, obj.mask, K)
        score = (likeness + LIKENESS_OF_OUTLINE * found.iou - 2.0 * found.depth_error) / 3.2
        return Proposal(mesh, found.pose, score=float(score), seconds=shared + time.perf_counter() - started)

    def ranked(self, obj: ObjectInput, *, seed: int) -> list[tuple[str, float, list[int]]]:
        """Meshes by likeness, at most three of one category: (mesh_id, likeness, best angles as indices of ANGLES)."""
        index = self.index
        likeness = similarity_to(describe(obj.rgb, obj.mask), index.outlines, index.edges, index.colours)
        stir = (
            np.random.default_rng(seed).gumbel(0, JITTER, len(index.mesh_ids))
            if seed
            else np.zeros(len(index.mesh_ids))
        )
        wanted = obj.category.lower().replace("_", "-")
        named = {wanted}.union(*[kin for kin in KIN if wanted in kin]) - {""}
        ranking = []
        for number, mesh_id in enumerate(index.mesh_ids):
            own = np.flatnonzero(index.owner == number)
            if len(own):
                best = own[np.argsort(-likeness[own])[:2]]
                bonus = NAMED_BONUS if _category(mesh_id) in named else 0.0
                ranking.append(
                    (float(likeness[best[0]] + stir[number] + bonus), mesh_id, index.angle[best].tolist())
                )
        ranking.sort(key=lambda row: (-row[0], row[1]))
        taken: dict[str, int] = {}
        chosen = []
        for score, mesh_id, angles in ranking:
            taken[_category(mesh_id)] = taken.get(_category(mesh_id), 0) + 1
            if taken[_category(mesh_id)] <= PER_CATEGORY:
                chosen.append((mesh_id, score, angles))
        return chosen


def _category(mesh_id: str) -> str:
    return mesh_id.rsplit("_", 1)[0].lower().replace("_", "-")
