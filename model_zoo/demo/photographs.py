"""Real photographs found inside the scikit-image and scikit-learn wheels, with masks that we drew.

Nothing is downloaded. The masks are polygons in masks.json, in pixels from the top left corner (CC0-1.0).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from model_zoo.io.errors import BadInput
from model_zoo.io.images import load_image
from model_zoo.io.segmentations import rasterise_polygons

MASKS = Path(__file__).with_name("masks.json")


@dataclass(frozen=True)
class Source:
    """Where a photograph lies inside an installed package, and on what terms."""

    package: str
    path: str
    licence: str
    attribution: str


SOURCES = {
    "coffee": Source(
        "skimage", "data/coffee.png", "CC0-1.0", "Rachel Michetti, courtesy of Pikolo Espresso Bar"
    ),
    "cat": Source("skimage", "data/chelsea.png", "CC0-1.0", "Stefan van der Walt"),
    "rocket": Source("skimage", "data/rocket.jpg", "Public domain", "SpaceX, launch of DSCOVR"),
    "astronaut": Source("skimage", "data/astronaut.png", "Public domain", "NASA, portrait of Eileen Collins"),
    "temple": Source(
        "sklearn",
        "datasets/images/china.jpg",
        "CC-BY-2.0",
        "danielbuechele, flickr.com/photos/danielbuechele/6061409035",
    ),
    "flower": Source(
        "sklearn",
        "datasets/images/flower.jpg",
        "CC-BY-2.0",
        "vultilion, flickr.com/photos/vultilion/6056698931",
    ),
}


@dataclass(frozen=True)
class Photograph:
    """One photograph: its file as shipped (`data`), `rgb` uint8 (H,W,3), `masks` name -> bool (H,W), category = name."""

    name: str
    suffix: str
    data: bytes
    rgb: np.ndarray
    masks: dict[str, np.ndarray]
    licence: str
    attribution: str


def photographs() -> list[Photograph]:
    """All photographs of the demo batch. Raises BadInput naming the package when one is not installed."""
    polygons = json.loads(MASKS.read_text())
    return [_photograph(name, source, polygons[name]) for name, source in SOURCES.items()]


def _photograph(name: str, source: Source, polygons: dict[str, list[list[float]]]) -> Photograph:
    path = _folder(source.package) / source.path
    if not path.is_file():
        raise BadInput(f"the demo photograph {source.path} is not in the installed package {source.package}")
    data = path.read_bytes()
    rgb = load_image(data).rgb
    size = (rgb.shape[1], rgb.shape[0])
    masks: dict[str, np.ndarray] = {}
    taken = np.zeros(rgb.shape[:2], bool)
    for mask, outline in polygons.items():  # the nearer object comes first and keeps the border pixels
        masks[mask] = rasterise_polygons(outline, size) & ~taken
        taken |= masks[mask]
    return Photograph(name, path.suffix, data, rgb, masks, source.licence, source.attribution)


def _folder(package: str) -> Path:
    # The spec says where the package lies without importing it: these packages are slow to import.
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise BadInput(f"the package {package}, which carries demo photographs, is not installed")
    return Path(spec.submodule_search_locations[0])
