"""The one interface of every segmenter: a photograph prepared once, then a mask for every click or box."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from model_zoo.io.errors import BadInput

Point = tuple[float, float]


@dataclass(frozen=True)
class Prompt:
    """What a person pointed at, in pixels of the full photo, (0,0) at its top left corner, x to the right.

    positive and negative are clicks (x, y); box is x0, y0, x1, y1; previous is the mask (H,W) to correct.
    """

    positive: tuple[Point, ...] = ()
    negative: tuple[Point, ...] = ()
    box: tuple[float, float, float, float] | None = None
    previous: np.ndarray | None = None


@dataclass(frozen=True)
class Segmentation:
    """mask bool (H,W) of the full photo, and how far the segmenter trusts it (0..1)."""

    mask: np.ndarray
    score: float


class Segmenter(Protocol):
    """Cuts the object out that a prompt points at; the same photo and prompt give the same mask."""

    name: str

    def prepare(self, rgb: np.ndarray) -> Any:
        """What every prompt on this photo (H,W,3 uint8) shares: the slow part, kept by the caller."""
        ...

    def segment(self, state: Any, prompt: Prompt) -> Segmentation:
        """The mask for a prompt; it may be empty. Raises BadInput when the prompt does not fit the photo."""
        ...


def check_prompt(prompt: Prompt, size: tuple[int, int]) -> None:
    """Refuse a prompt that points at nothing in a photo of this size (width, height)."""
    width, height = size
    if not prompt.positive and prompt.box is None:
        raise BadInput("click on the object or draw a box around it", "no_prompt")
    for x, y in (*prompt.positive, *prompt.negative):
        if not (0 <= x < width and 0 <= y < height):
            raise BadInput(f"the click ({x:g}, {y:g}) lies outside the photo ({width}x{height})", "bad_click")
    if prompt.box is not None:
        x0, y0, x1, y1 = prompt.box
        if not (x0 < x1 and y0 < y1 and x0 < width and y0 < height and x1 > 0 and y1 > 0):
            raise BadInput("the box is empty or lies outside the photo", "bad_box")
    if prompt.previous is not None and prompt.previous.shape != (height, width):
        raise BadInput("the mask to correct has another size than the photo", "mask_size")
