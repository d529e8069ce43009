"""Training examples from releases and built data sets (torch side of model_zoo.data.reader)."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow.compute as pc
import torch
from torch import Tensor

from model_zoo.data.index import SHAPE
from model_zoo.data.places import S3
from model_zoo.data.reader import DataSet, Pose, Sample, manifest_of
from model_zoo.data.where import joined
from model_zoo.examples import LAYOUT, Example, Pair
from model_zoo.geometry import pose as layout_pose
from model_zoo.geometry.preprocess import Views, prepare_photo
from model_zoo.geometry.recipes import GeometryConfig
from model_zoo.geometry.voxels import at_resolution, unit_frame, voxelise
from model_zoo.io.errors import BadInput, safe_text

TRAIN, VALIDATION = "train", "validation"
SFT, DPO = "sft", "dpo"
# What a built set teaches of the layout (paper Table 1); of those with a scene the pointmap is a condition too.
BUILT = {
    "iso3do": ("6drotation_normalized",),
    "rp3do-fo": ("6drotation_normalized",),
    "rp3do-osr": LAYOUT,
    "rp3do-osa": LAYOUT,
}
SCENES = (SFT, "rp3do-osr", "rp3do-osa")
# Columns that are held; what a built sample needs is in its members.
COLUMNS = {SFT: ("R", "t", "s", "simulated"), DPO: ("weight", "simulated")}
KEPT_BYTES = 2**29


def open_rows(
    place: str | Path,
    split: str | None,
    where: str | None,
    base: Sequence[str | Path],
    kinds: Sequence[str],
    cache: Path | None = None,
) -> DataSet:
    """The rows of a split (None: all) that pass a filter; cache: where what lies in a bucket is kept.

    Raises BadInput for a set of none of these kinds.
    """
    asked = [where] if where else []
    asked += [f"split == {split!r}"] if split else []
    kind = manifest_of(place).get("kind")
    columns = COLUMNS.get(kind, ()) if kind in kinds else ()
    kept = cache if str(place).startswith(S3) else None
    data = DataSet(place, where=joined(*asked) or None, columns=columns, base=base, cache=kept)
    data.require(*kinds)
    return data


def chains(places: Sequence[str]) -> list[tuple[str, list[str]]]:
    """Places to read with the bases of each: a release that another one of them builds on is read as part of that one,
    so that rows which a later release removed are not learnt. Raises BadInput where two build on the same one: its rows
    would be learnt twice."""
    manifests = {place: manifest_of(place) for place in places}
    by_hash = {manifest.get("hash"): place for place, manifest in manifests.items()}

    def base(place: str) -> str | None:
        return by_hash.get(((manifests[place].get("lineage") or {}).get("base") or {}).get("hash"))

    inner = {base(place) for place in places}
    found = []
    for place in places:
        if place not in inner:
            below, at = [], base(place)
            while at is not None:
                below.append(at)
                at = base(at)
            for other, bases in found:
                if twice := [name for name in below if name in bases]:
                    one, another, base_of_both = (safe_text(name, 120) for name in (other, place, twice[0]))
                    raise BadInput(
                        f"{one} and {another} both build on {base_of_both}, whose rows would be learnt twice: train on one"
                        " of them",
                        "wrong_base",
                    )
            found.append((place, below))
    return found


class Shapes:
    """Shapes of rows as a recipe has them, each made once while KEPT_BYTES hold them."""

    def __init__(self, config: GeometryConfig) -> None:
        self.config = config
        self._kept: dict[tuple[int, int], Unit] = {}

    def of(self, sample: Sample, name: str) -> "Unit":
        """The shape that a span of the row names: "mesh", "chosen", "rejected", or the "shape" of a built sample."""
        span = sample.data.spans[name].at(sample.index)
        if span is None:
            raise BadInput(f"row {sample.id} of {sample.data.name} has no {name}", "no_member")
        if span[:2] not in self._kept:
            if len(self._kept) * self.config.resolution**3 > KEPT_BYTES:
                self._kept.clear()
            self._kept[span[:2]] = self._made(sample, name)
        return self._kept[span[:2]]

    def _made(self, sample: Sample, name: str) -> "Unit":
        size, solid = self.config.resolution, self.config.solid
        if name == SHAPE:  # canonical: it is its own unit cube
            return Unit(at_resolution(sample.occupancy(), size, solid=solid), np.zeros(3), 1.0)
        mesh = sample.mesh(name)
        return Unit(voxelise(mesh, size, solid=solid), *unit_frame(mesh))


class Unit(NamedTuple):
    """occupancy bool (G, G, G) of the unit cube; p_mesh = centre + side * p_unit."""

    occupancy: np.ndarray
    centre: np.ndarray
    side: float

    def grid(self) -> Tensor:
        """Occupancy (1, G, G, G) of 0 and 1."""
        return torch.from_numpy(self.occupancy).float()[None]


class Samples:
    """Rows of an SFT release or of a built data set as examples of a recipe. split None takes every row."""

    def __init__(
        self,
        place: str | Path,
        config: GeometryConfig,
        split: str | None = TRAIN,
        *,
        where: str | None = None,
        base: Sequence[str | Path] = (),
        cache: Path | None = None,
    ) -> None:
        self.data, self.config = open_rows(place, split, where, base, (SFT, *BUILT), cache), config
        self.kind = self.data.kind
        self.shapes = Shapes(config)
        self._seen: dict[int, Example] = {}

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: int) -> Example:
        found = self._seen.get(index)
        if found is None:
            found = self._read(self.data.sample(index))
            if (len(self._seen) + 1) * _bytes(found) > KEPT_BYTES:
                self._seen.clear()
            self._seen[index] = found
        return found

    @property
    def simulated(self) -> bool:
        """Whether some answer behind the rows was simulated; a built set is composed by machine altogether."""
        return self.kind in BUILT or simulated(self.data)

    def occupancy(self, index: int) -> Tensor:
        """Occupancy (1, G, G, G) of a row's shape, without its photo."""
        return self._unit(self.data.sample(index)).grid()

    def _unit(self, sample: Sample) -> Unit:
        return self.shapes.of(sample, SHAPE if self.kind in BUILT else "mesh")

    def _read(self, sample: Sample) -> Example:
        ready = _views(sample, self.config, with_points=self.kind in SCENES)
        unit, learnt = self._unit(sample), BUILT.get(self.kind, LAYOUT)
        layout, known = layout_of(sample.pose(), unit.centre, unit.side, ready.scale, ready.shift)
        weights = {name: torch.tensor(float(known and name in learnt)) for name in LAYOUT}
        return Example(ready.views, unit.grid(), layout, weights)


class Pairs:
    """DPO rows of a release as preference pairs of a recipe."""

    def __init__(
        self,
        place: str | Path,
        config: GeometryConfig,
        split: str | None = TRAIN,
        *,
        where: str | None = None,
        base: Sequence[str | Path] = (),
        cache: Path | None = None,
    ) -> None:
        self.data = open_rows(place, split, where, base, (DPO,), cache)
        self.config, self.shapes = config, Shapes(config)

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: int) -> Pair:
        sample = self.data.sample(index)
        chosen, rejected = (self.shapes.of(sample, side).grid() for side in ("chosen", "rejected"))
        views, weight = _views(sample, self.config, with_points=True).views, sample.row["weight"]
        return Pair(views, chosen, rejected, torch.tensor(1.0 if weight is None else float(weight)))

    @property
    def simulated(self) -> bool:
        """Whether some answer behind the rows was simulated."""
        return simulated(self.data)


def simulated(data: DataSet) -> bool:
    """Whether some row of a release was answered by a simulation."""
    return "simulated" in data.facts.column_names and bool(pc.any(data.facts["simulated"]).as_py())


def _views(sample: Sample, config: GeometryConfig, *, with_points: bool) -> Views:
    mask = sample.mask()
    points = sample.points() if with_points else None
    if points is None:
        points = np.full((*mask.shape, 3), np.nan, np.float32)
    return prepare_photo(sample.rgb(), mask, points, config.embedder.image_size)


def _bytes(example: Example) -> int:
    return sum(v.numel() * v.element_size() for v in (*example.views.values(), example.occupancy))


def layout_of(
    stored: Pose | None, centre: np.ndarray, side: float, scale: Tensor, shift: Tensor
) -> tuple[Mapping[str, Tensor], bool]:
    """Layout targets name -> (1, c) of a stored pose, and whether there is one.

    centre (3,), side: the mesh's unit cube (p_mesh = centre + side * p_unit). scale, shift (3,): the pointmap's.
    """
    known = stored is not None
    R, t, s = stored if stored is not None else (np.eye(3), np.array([0.0, 0, 1]), np.ones(3))
    pose = layout_pose.StoredPose(*(torch.from_numpy(np.asarray(v, np.float64))[None] for v in (R, t, s)))
    unit = layout_pose.from_stored(pose, torch.from_numpy(np.asarray(centre))[None], torch.tensor([[side]]))
    targets = layout_pose.encode(unit, scale[None].double(), shift[None].double())
    return {n: v[0].float() for n, v in targets.items()}, known
