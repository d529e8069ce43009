"""Training examples from releases: parquet index plus tar shards, read one member at a time (torch-side of model_zoo.io.shards)."""

import json
import os
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import torch
from torch import Tensor

from model_zoo.examples import Example, Pair
from model_zoo.geometry import pose as layout_pose
from model_zoo.geometry.preprocess import prepare_photo
from model_zoo.geometry.recipes import GeometryConfig
from model_zoo.geometry.voxels import unit_frame, voxelise
from model_zoo.io.depth import decode_pointmap
from model_zoo.io.errors import BadInput
from model_zoo.io.images import load_image, load_mask
from model_zoo.io.meshes import load_mesh

TRAIN, VALIDATION = "train", "validation"


class Release:
    """An exported release: its manifest, index rows and members."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            self.manifest = json.loads((folder / "manifest.json").read_text())
            parts = sorted((folder / "index").glob("part-*.parquet"))
            self.rows = [row for part in parts for row in pq.read_table(part).to_pylist()]
        except (OSError, ValueError) as error:
            raise BadInput(f"{folder.name} is not a release: {error}") from error

    def require(self, kind: str) -> None:
        """Raises BadInput unless the release is of this kind ("sft" or "dpo")."""
        found = self.manifest.get("kind")
        if found != kind:
            raise BadInput(f"{self.folder.name} is a release of kind {found!r}, this stage reads {kind!r}")

    def member(self, row: dict, name: str) -> bytes | None:
        """Bytes of the member that columns NAME_shard, NAME_offset and NAME_length point at; None where empty."""
        if row.get(f"{name}_shard") is None:
            return None
        path = self.folder / "shards" / Path(row[f"{name}_shard"]).name
        try:
            with path.open("rb") as file:
                data = os.pread(file.fileno(), row[f"{name}_length"], row[f"{name}_offset"])
        except OSError as error:
            raise BadInput(f"release member is missing: {error}") from error
        if len(data) != row[f"{name}_length"]:
            raise BadInput(f"{path.name} ends before the member that the index names")
        return data

    def photo(self, row: dict) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """rgb (H,W,3) uint8, mask (H,W) bool, pointmap (H,W,3) float32, all NaN where the row has none."""
        rgb = load_image(self._needed(row, "image")).rgb
        mask = load_mask(self._needed(row, "mask"), rgb.shape[1::-1]).mask
        stored = self.member(row, "pointmap")
        points = decode_pointmap(stored)[0] if stored else np.full((*mask.shape, 3), np.nan, np.float32)
        return rgb, mask, points

    def mesh(self, row: dict, name: str = "mesh"):
        """The delivered mesh of a member."""
        return load_mesh(self._needed(row, name)).mesh

    def _needed(self, row: dict, name: str) -> bytes:
        data = self.member(row, name)
        if data is None:
            raise BadInput(f"row without {name} in release {self.folder.name}")
        return data


def _occupancy(mesh, config: GeometryConfig) -> Tensor:
    grid = voxelise(mesh, config.resolution, solid=config.solid)
    return torch.from_numpy(grid).float()[None]


class ReleaseSamples:
    """SFT rows of a release as examples of a recipe. split None takes every row."""

    def __init__(self, folder: Path, config: GeometryConfig, split: str | None = TRAIN) -> None:
        self.release, self.config = Release(folder), config
        self.release.require("sft")
        self.rows = [r for r in self.release.rows if split is None or r.get("split") == split]
        self._seen: dict[int, Example] = {}

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> Example:
        if index not in self._seen:
            if len(self._seen) > 2000:  # decoded examples are small, but a release may be large
                self._seen.clear()
            self._seen[index] = self._read(self.rows[index])
        return self._seen[index]

    def _read(self, row: dict) -> Example:
        ready = prepare_photo(*self.release.photo(row), self.config.embedder.image_size)
        mesh = self.release.mesh(row)
        layout, weight = layout_of(row, mesh, ready.scale, ready.shift)
        return Example(ready.views, _occupancy(mesh, self.config), layout, torch.tensor(weight))


class ReleasePairs:
    """DPO rows of a release as preference pairs of a recipe."""

    def __init__(self, folder: Path, config: GeometryConfig, split: str | None = TRAIN) -> None:
        self.release, self.config = Release(folder), config
        self.release.require("dpo")
        self.rows = [r for r in self.release.rows if split is None or r.get("split") == split]
        self._grids: dict[tuple, Tensor] = {}

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> Pair:
        row = self.rows[index]
        ready = prepare_photo(*self.release.photo(row), self.config.embedder.image_size)
        weight = torch.tensor(1.0 if row.get("weight") is None else float(row["weight"]))
        return Pair(ready.views, self._grid(row, "chosen"), self._grid(row, "rejected"), weight)

    def _grid(self, row: dict, side: str) -> Tensor:
        key = (row[f"{side}_shard"], row[f"{side}_offset"])
        if key not in self._grids:
            self._grids[key] = _occupancy(self.release.mesh(row, side), self.config)
        return self._grids[key]


def layout_of(row: dict, mesh, scale: Tensor, shift: Tensor) -> tuple[dict[str, Tensor], float]:
    """Layout targets name -> (1, c) of a row's stored pose, and their weight: 0 where the row has no pose."""
    known = row.get("R") is not None and row.get("t") is not None and row.get("s") is not None
    R = torch.tensor(row["R"] if known else [1.0, 0, 0, 0, 1, 0, 0, 0, 1], dtype=torch.float64).view(1, 3, 3)
    t = torch.tensor(row["t"] if known else [0.0, 0, 1], dtype=torch.float64)[None]
    s = torch.tensor(row["s"] if known else [1.0, 1, 1], dtype=torch.float64)[None]
    centre, side = unit_frame(mesh)
    stored = layout_pose.StoredPose(R, t, s)
    unit = layout_pose.from_stored(stored, torch.from_numpy(np.asarray(centre))[None], torch.tensor([[side]]))
    targets = layout_pose.encode(unit, scale[None].double(), shift[None].double())
    return {n: v[0].float() for n, v in targets.items()}, float(known)
