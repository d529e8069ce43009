"""The picture on a release's card: photos with the outline of the mask beside renderings of the meshes of one row."""

from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
from PIL import Image

from backend import storage
from backend.proposals.models import Candidate
from model_zoo.build.sheet import contact_sheet, outlined
from model_zoo.io.errors import BadInput
from model_zoo.io.images import encode_jpeg, load_image, load_mask
from workers.release_rows import MESHES

SHOWN = 12
SIDE = 224
# Spreads consecutive numbers over 64 bits (2**64 over the golden ratio).
SPREAD = np.uint64(0x9E3779B97F4A7C15)


@dataclass
class Shown:
    """Objects that stand for all of a release, drawn by their numbers; each with its first row's candidates."""

    kind: str
    drawn: list[tuple[int, str, str, tuple[int, ...]]] = field(default_factory=list)

    def look(self, objects: pa.Table, rows: pa.Table) -> None:
        """Consider some objects, ascending, and their rows."""
        numbers = objects["id"].to_numpy()
        places = numbers.astype(np.uint64) * SPREAD
        order = np.argsort(places)[:SHOWN]
        first = np.searchsorted(rows["object_id"].to_numpy(), numbers[order])
        names = ["candidate"] if self.kind == "sft" else list(MESHES["dpo"])
        found = rows.select([f"{name}_id" for name in names]).take(first)
        for place, target, row in zip(
            places[order].tolist(),
            objects.select(["image", "mask"]).take(order).to_pylist(),
            found.to_pylist(),
            strict=True,
        ):
            self.drawn.append((place, target["image"], target["mask"], tuple(row.values())))
        self.drawn = sorted(self.drawn)[:SHOWN]

    def sheet(self) -> bytes:
        """A JPEG, the same for the same objects."""
        wanted = [number for *_, candidates in self.drawn for number in candidates]
        thumbnails = dict(Candidate.objects.filter(pk__in=wanted).values_list("pk", "thumbnail_id"))
        tiles = []
        for _place, image, mask, candidates in self.drawn:
            tiles.append(_photo(image, mask))
            tiles += [_rendering(thumbnails[number]) for number in candidates]
        across = len(self.drawn[0][3]) + 1 if self.drawn else 1
        return encode_jpeg(contact_sheet(tiles, columns=across * (6 // across), side=SIDE), quality=85)


def _photo(image: str, mask: str) -> np.ndarray:
    picture = Image.fromarray(load_image(storage.read(image)).rgb)
    inside = Image.fromarray(load_mask(storage.read(mask), picture.size).mask)
    picture.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    return outlined(np.asarray(picture), np.asarray(inside.resize(picture.size, Image.Resampling.NEAREST)))


def _rendering(sha256: str) -> np.ndarray:
    """The stored thumbnail; an empty tile where there is none to look at."""
    try:
        return load_image(storage.read(sha256)).rgb
    except (BadInput, storage.StorageError):
        return np.full((SIDE, SIDE, 3), 64, np.uint8)


def caption(kind: str) -> str:
    """What the sheet shows."""
    meshes = "the chosen mesh" if kind == "sft" else "the chosen and a rejected mesh"
    return f"Objects drawn at random: the photo with the outline of the mask, then {meshes}."
