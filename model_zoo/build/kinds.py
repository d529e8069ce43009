"""The words of a build: what goes in (items), what comes out (samples, refusals), and where chance comes from.

One canonical frame: a mesh centred on the origin, its longest side 1, y-up as a GLB is delivered.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import trimesh

from model_zoo.io.errors import BadInput
from model_zoo.io.scenes import Scene
from model_zoo.raster import Raster

SPLITS = ("train", "validation")
VALIDATION_SHARE = 10  # one photo, one mesh in ten


@dataclass(frozen=True)
class MeshItem:
    """A mesh file of the source, before it is opened."""

    name: str
    sha256: str
    bytes: int = 0
    licence: str = ""
    attribution: str = ""
    category: str = ""


@dataclass(frozen=True)
class PhotoItem:
    """A photo of the source with what lies beside it, before it is opened. `files`: fields of model_zoo.io.plan.Plan."""

    name: str
    sha256: str
    files: Mapping[str, Any] = field(default_factory=dict)
    licence: str = ""
    attribution: str = ""
    # Of a photo that is a row of a release: the rating of its object, and what is told of the mesh people accepted.
    r: float | None = None
    mesh_licence: str = ""
    mesh_attribution: str = ""


@dataclass
class Shape:
    """A mesh in the canonical frame that passed the filter. p_file = centre + side * p_canonical, of the file's mesh.

    occupancy: bool (64, 64, 64) in the model's z-up axes (x, -z, y), solid. measures: what the filter measured.
    """

    item: MeshItem
    mesh: trimesh.Trimesh
    centre: np.ndarray
    side: float
    occupancy: np.ndarray
    measures: dict[str, float]
    signature: np.ndarray  # float32 (K,), alike for near twins whatever their file format, axes and size
    warnings: list[str] = field(default_factory=list)
    latents: dict[str, bytes] = field(default_factory=dict)  # members that an encoder made of it

    @property
    def key(self) -> str:
        """Name of its members in a shard: m and 16 digits of the file's hash."""
        return f"m{self.item.sha256[:16]}"


@dataclass(frozen=True)
class TargetView:
    """A view that a shape's latents are made from: base colours uint8 (H,W,3) on black, depth float32 (H,W), NaN outside;
    p_camera = R p + t of canonical points (OpenCV axes), K (3,3)."""

    rgb: np.ndarray
    depth: np.ndarray
    R: np.ndarray
    t: np.ndarray
    K: np.ndarray


# Members (latent.npz, slat.npz) of a shape seen in these views: model_zoo.build.latents, which needs torch.
Encode = Callable[[Shape, Sequence[TargetView]], dict[str, bytes]]


@dataclass
class Made:
    """One sample: its members by extension ("image.jpg"), the row of its variant's columns, its shape and its photo."""

    key: str
    members: dict[str, bytes]
    row: dict[str, Any]
    shape: Shape
    photo: PhotoItem | None = None


class Unfit(BadInput):
    """Input that can be read but is refused for what was measured on it."""

    def __init__(self, message: str, code: str, measures: Mapping[str, float]) -> None:
        super().__init__(message, code)
        self.measures = dict(measures)


class Away(Exception):
    """A source that cannot be read now. No BadInput: it is no fault of the item, so nothing may refuse the item for it."""


@dataclass(frozen=True)
class Refused:
    """What gave no sample, and why: `code` groups reasons, `measures` are the values that decided."""

    name: str
    code: str
    reason: str
    measures: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def of(cls, name: str, error: BadInput) -> "Refused":
        """The refusal that an error stands for, with its measures where it has some."""
        return cls(name, error.code, error.message, getattr(error, "measures", {}))


@dataclass(frozen=True)
class Settings:
    """A build, whole: the same settings and source give the same plan on any machine."""

    variant: str
    source: str
    seed: int = 0
    limit: int = 0  # meshes (Iso-3DO) or samples (RP-3DO); 0 takes all
    size: int = 512
    views: int = 24
    meshes: str = ""  # another source of meshes than `source`
    encoder: str = ""  # checkpoint folder: store latents too
    renderer: str = (
        "auto"  # "gl", "embree", or what the machine that plans can do; single pixels of outlines differ
    )


@dataclass(frozen=True)
class Work:
    """What one shard is made of: meshes (Iso-3DO), or photos and the pool of meshes to paste into them."""

    number: int
    meshes: tuple[MeshItem, ...] = ()
    photos: tuple[PhotoItem, ...] = ()
    samples: int = 0  # how many to make in this shard at most; 0: as many as there are


@dataclass
class Room:
    """What a builder works with. `shape` and `scene` open an item (kept while it fits) and raise BadInput."""

    settings: Settings
    shape: Callable[[MeshItem], Shape]
    scene: Callable[[PhotoItem], Scene]
    encode: Encode | None = None  # where the settings name an encoder
    raster: Raster = field(default_factory=Raster)


# A variant makes the samples of one shard; nothing it meets may stop it: what cannot be used is yielded as Refused.
Builder = Callable[[Work, Room], Iterator[Made | Refused]]


def chance(seed: int, *words: object) -> np.random.Generator:
    """Random numbers that depend on the seed and these words alone, whatever machine and order."""
    text = "\0".join([str(seed), *map(str, words)])
    return np.random.default_rng(list(hashlib.sha256(text.encode()).digest()))


def side_of(sha256: str) -> str:
    """train or validation by a file's hash: the same file is on the same side in every data set and release."""
    return SPLITS[int(sha256[:8], 16) % VALIDATION_SHARE == 0]
