"""The segmenter that needs no weights of anyone: superpixels, weighed by a small logistic model, and a minimum cut.

A first look at the whole photo finds how far the object goes; a second, at a crop of it, finds the outline.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.special import expit, logit

from model_zoo.segment.cut import cut, enlarge, meant
from model_zoo.segment.features import (
    Hints,
    again_from_box,
    again_from_clicks,
    beyond,
    from_box,
    from_clicks,
    hints_of,
)
from model_zoo.segment.interface import Prompt, Segmentation, check_prompt
from model_zoo.segment.regions import Regions, regions_of

WEIGHTS = Path(__file__).with_name("weights.json")
WHOLE, CROP = 1400, 1000  # superpixels
MARGIN = 0.3  # of the object's sides, around the crop
TRUST = 2.0  # log odds that a mask to correct starts with

Models = dict[str, np.ndarray]


@dataclass(frozen=True)
class Photo:
    """A prepared photograph: its pixels and the superpixels of the whole."""

    rgb: np.ndarray
    regions: Regions


@dataclass(frozen=True)
class View:
    """A part of a photo, x0, y0, x1, y1 in its pixels, with its superpixels and the prompt in their terms."""

    window: tuple[int, int, int, int]
    regions: Regions
    hints: Hints


def load_models(path: Path = WEIGHTS) -> Models:
    """The logistic models by name; each a weight for every figure and, last, the bias."""
    return {name: np.array(values) for name, values in json.loads(path.read_text()).items()}


def belief(model: np.ndarray, figures: np.ndarray) -> np.ndarray:
    """Probability (N) that a superpixel is the object's, of its figures (N,k)."""
    return expit(figures @ model[:-1] + model[-1])


class Builtin:
    """The `Segmenter` for users without weights."""

    name = "builtin"

    def __init__(self, models: Models | None = None) -> None:
        self.models = load_models() if models is None else models

    def prepare(self, rgb: np.ndarray) -> Photo:
        """Superpixels of the whole photo."""
        return Photo(rgb, regions_of(rgb, WHOLE))

    def segment(self, state: Photo, prompt: Prompt) -> Segmentation:
        """See `Segmenter`. A click with no box takes two looks, a box one."""
        height, width = state.rgb.shape[:2]
        check_prompt(prompt, (width, height))
        if prompt.box is not None:
            view = boxed(state, prompt)
            figures = from_box(view.regions, view.hints)
            p = belief(self.models["box"], figures)
            figures = again_from_box(view.regions, view.hints, figures, inside(view, p))
            return outline(state, view, belief(self.models["box_again"], figures))
        view = whole(state, prompt)
        figures = from_clicks(view.regions, view.hints)
        p = belief(self.models["click"], figures)
        p = belief(self.models["click_again"], again_from_clicks(view.regions, view.hints, figures, p))
        view, figures = closer(state, prompt, view, trusting(view, p, prompt.previous))
        return outline(state, view, belief(self.models["crop"], figures))


def whole(photo: Photo, prompt: Prompt) -> View:
    """The whole photo with the prompt's clicks."""
    height, width = photo.rgb.shape[:2]
    clicks = [np.reshape(points, (-1, 2)).astype(float) for points in (prompt.positive, prompt.negative)]
    return View((0, 0, width, height), photo.regions, hints_of(photo.regions, *clicks, None))


def boxed(photo: Photo, prompt: Prompt) -> View:
    """A crop around the prompt's box."""
    height, width = photo.rgb.shape[:2]
    assert prompt.box is not None
    box = np.clip(prompt.box, 0, [width, height, width, height])
    box[2:] = np.maximum(box[2:], box[:2] + 1)
    return _view(photo, prompt, _around(photo, box), box)


def closer(photo: Photo, prompt: Prompt, view: View, p: np.ndarray) -> tuple[View, np.ndarray]:
    """A crop around what the first look believes in, and its superpixels' figures with that belief carried over."""
    found = enlarge(meant(view.regions, view.hints, cut(view.regions, view.hints, p)), photo.rgb.shape[1::-1])
    points = np.argwhere(found)[:, ::-1] if found.any() else np.zeros((0, 2))
    points = np.concatenate([points, np.reshape(prompt.positive, (-1, 2))])
    crop = _view(photo, prompt, _around(photo, np.concatenate([points.min(0), points.max(0) + 1])), None)
    carried = _carried(view, crop, p)
    figures = from_clicks(crop.regions, crop.hints)
    return crop, again_from_clicks(crop.regions, crop.hints, figures, carried)


def trusting(view: View, p: np.ndarray, previous: np.ndarray | None) -> np.ndarray:
    """Beliefs that start from the mask to correct, where there is one."""
    if previous is None:
        return p
    small = Image.fromarray(previous.astype(np.float32)).resize(view.regions.size, Image.Resampling.BOX)
    before = view.regions.mean(np.asarray(small))
    return expit(logit(p.clip(1e-3, 1 - 1e-3)) + TRUST * (2 * before - 1))


def inside(view: View, p: np.ndarray) -> np.ndarray:
    """Beliefs with what the box rules out and the clicks rule in."""
    p = np.where(beyond(view.regions, view.hints), 0.0, p)
    p[view.hints.positive], p[view.hints.negative] = 1.0, 0.0
    return p


def outline(photo: Photo, view: View, p: np.ndarray) -> Segmentation:
    """The mask in the whole photo of beliefs about the superpixels of a view."""
    x0, y0, x1, y1 = view.window
    small = meant(view.regions, view.hints, cut(view.regions, view.hints, p))
    mask = np.zeros(photo.rgb.shape[:2], bool)
    mask[y0:y1, x0:x1] = enlarge(small, (x1 - x0, y1 - y0))
    sure = np.where(small, p[view.regions.labels], 1 - p[view.regions.labels])
    return Segmentation(
        mask, float(sure[small].mean() * sure[~small].mean()) if small.any() and not small.all() else 0.0
    )


def _around(photo: Photo, box: np.ndarray) -> tuple[int, int, int, int]:
    height, width = photo.rgb.shape[:2]
    margin = MARGIN * (box[2:] - box[:2]) + 8
    low, high = np.floor(box[:2] - margin), np.ceil(box[2:] + margin)
    return max(0, int(low[0])), max(0, int(low[1])), min(width, int(high[0])), min(height, int(high[1]))


def _view(photo: Photo, prompt: Prompt, window: tuple[int, int, int, int], box: np.ndarray | None) -> View:
    x0, y0, x1, y1 = window
    regions = regions_of(photo.rgb[y0:y1, x0:x1], CROP)
    clicks = [np.reshape(points, (-1, 2)).astype(float) for points in (prompt.positive, prompt.negative)]
    within = [points[((points >= (x0, y0)) & (points < (x1, y1))).all(1)] - (x0, y0) for points in clicks]
    return View(window, regions, hints_of(regions, *within, None if box is None else box - [x0, y0, x0, y0]))


def _carried(view: View, crop: View, p: np.ndarray) -> np.ndarray:
    """Beliefs about the superpixels of a view (the whole photo) as beliefs about those of a crop."""
    scale = view.regions.scale
    x0, y0, x1, y1 = (value * scale for value in crop.window)
    picture = Image.fromarray(p[view.regions.labels].astype(np.float32))
    width, height = picture.size
    part = (x0, y0, min(x1, width), min(y1, height))
    return crop.regions.mean(
        np.asarray(picture.resize(crop.regions.size, Image.Resampling.BILINEAR, box=part))
    )
