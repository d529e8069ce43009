"""What a scene is to be read from: the files of one photograph, named before any of them is opened."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from model_zoo.io.errors import safe_text


@dataclass
class Plan:
    """The files of one scene. A mask is a file name or a COCO segmentation as it stands."""

    name: str
    image: str
    masks: dict[str, str | dict[str, Any]] = field(default_factory=dict)
    categories: dict[str, str] = field(default_factory=dict)
    depth: str = ""
    pointmap: str = ""
    camera: str = ""
    objects: str = ""
    pointmap_source: str = ""
    licence: str = ""
    attribution: str = ""
    consent: str = ""
    size: tuple[int, int] | None = None
    hashes: dict[str, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


@dataclass
class PlanRefusal:
    """A file that belongs to no scene, and why."""

    name: str
    reason: str


Plans = Iterator[Plan | PlanRefusal]


def category_of(mask: str) -> str:
    """The word in a mask's name: "1_mouse_traps" and "mouse_traps_3" are both "mouse traps"."""
    return re.sub(r"^\d+[_-]+|[_-]+\d+$", "", mask).replace("_", " ").strip()


def text_of(row: dict[str, Any], key: str) -> str:
    """A text of a JSON row, safe to show; empty when it is none."""
    return safe_text(row[key], 1000) if isinstance(row.get(key), str) else ""
