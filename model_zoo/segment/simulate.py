"""A person who points at a known mask: first click, box with a shaky hand, and clicks where a result is most wrong."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy import ndimage

from model_zoo.segment.interface import Point, Prompt

SHAKE = 0.05  # of the box's sides


def start_click(truth: np.ndarray) -> Prompt:
    """A click at the point of the mask (H,W) that is furthest from its edge."""
    return Prompt(positive=(_middle(truth)[0],))


def jittered_box(truth: np.ndarray, rng: np.random.Generator) -> tuple[float, float, float, float]:
    """The mask's box, each side off by up to 5 % of the box, within the photo."""
    rows, columns = np.nonzero(truth)
    box = np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1], float)
    box += rng.uniform(-SHAKE, SHAKE, 4) * np.tile(box[2:] - box[:2], 2)
    x0, y0, x1, y1 = np.clip(box, 0, np.tile(truth.shape[::-1], 2))
    return float(x0), float(y0), float(x1), float(y1)


def next_click(prompt: Prompt, mask: np.ndarray, truth: np.ndarray) -> Prompt:
    """The prompt and one click more, in the middle of the largest error; the same when there is none."""
    (missed, depth), (extra, height) = _middle(truth & ~mask), _middle(mask & ~truth)
    if max(depth, height) == 0:
        return prompt
    if depth >= height:
        return replace(prompt, positive=(*prompt.positive, missed))
    return replace(prompt, negative=(*prompt.negative, extra))


def iou(mask: np.ndarray, truth: np.ndarray) -> float:
    """Intersection over union of two masks, one of them not empty."""
    return float((mask & truth).sum() / (mask | truth).sum())


def _middle(region: np.ndarray) -> tuple[Point, float]:
    """The pixel centre of a region that is furthest from its edge (the photo's edge counts), and how far."""
    depth = ndimage.distance_transform_edt(np.pad(region, 1))[1:-1, 1:-1]
    row, column = np.unravel_index(depth.argmax(), depth.shape)
    return (float(column) + 0.5, float(row) + 0.5), float(depth.max())
