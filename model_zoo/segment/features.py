"""What speaks for each superpixel being part of the object: figures that a logistic model weighs (see learn.py)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from model_zoo.segment.regions import Regions, between

EDGE = 1.12  # superpixels beyond this many half sides of a box cannot be the object


@dataclass(frozen=True)
class Hints:
    """A prompt in terms of superpixels: clicked ones for and against; the box in working pixels."""

    positive: np.ndarray
    negative: np.ndarray
    box: np.ndarray | None = None


def hints_of(regions: Regions, positive: np.ndarray, negative: np.ndarray, box: np.ndarray | None) -> Hints:
    """Clicks (n,2) and box (4) of the picture that the regions are of; a superpixel clicked both ways counts as in."""
    inside = regions.at(positive)
    against = np.setdiff1d(regions.at(negative), inside)
    return Hints(inside, against, None if box is None else box * regions.scale)


def from_clicks(regions: Regions, hints: Hints) -> np.ndarray:
    """Figures (N,k) of positive clicks (at least one) and negative ones, in any part of a picture."""
    width, height = regions.size
    diagonal = float(np.hypot(width, height))
    x, y = regions.centre.T
    to_border = np.minimum.reduce([x, y, width - x, height - y])
    border = to_border < 6
    near, toward = _one_side(regions, hints.positive, diagonal)
    border_walked, border_highest = regions.geodesics(border)
    mean_look = regions.looks[hints.positive].mean(0)
    columns = [
        np.exp(near[0]),
        *near,
        *[column - column.max() for column in toward],
        border_highest,
        np.log1p(border_walked),
        regions.density(1, regions.area * border),
        np.log(regions.alike[1] @ regions.area / regions.area.sum()),
        np.log(to_border / diagonal + 0.01),
        x / width,
        y / height,
        np.log1p(np.linalg.norm(regions.looks - mean_look, axis=1)),
    ]
    if len(hints.negative):
        against, away = _one_side(regions, hints.negative, diagonal)
        against = [(far - close).clip(-4, 4) for far, close in zip(against, near)]
        away = [(far - close).clip(-6, 6) for far, close in zip(away, toward)]
        columns += [*against, *away, np.ones(len(x))]
    else:
        columns += [np.zeros(len(x))] * (len(near) + len(toward) + 1)
    ranks = [np.argsort(np.argsort(column)) / len(x) for column in (*near[1:4], *toward)]
    return np.stack(columns + ranks, axis=1)


def from_box(regions: Regions, hints: Hints) -> np.ndarray:
    """Figures (N,k) of a box and, where there are any, of clicks."""
    u, v, side = _in_box(regions, hints)
    outside = beyond(regions, hints)
    gap = np.hypot(np.maximum(np.abs(u) - 1, 0), np.maximum(np.abs(v) - 1, 0)) / 2
    around = regions.area * outside * np.exp(-gap / 0.3)
    middle = regions.area * np.exp(-2 * (u * u + v * v)) * ~outside
    close = np.exp(between(regions.centre) / (-2 * (0.25 * side) ** 2)) * (regions.area * outside)
    total = close.sum(1)
    local = ((regions.alike[1] * close).sum(1) + 1e-5 * total.max()) / (total + 0.01 * total.max() + 1e-9)
    nearest = np.sqrt(regions.apart[:, outside].min(1)) if outside.any() else np.full(len(u), 50.0)
    walked, highest = regions.geodesics(outside)
    drawn = [
        regions.density(0, around),
        regions.density(1, around),
        np.log(local + 1e-4),
        np.log1p(nearest),
        regions.density(1, middle),
        np.log1p(walked),
        highest,
        *regions.diffusion(around),
        *regions.diffusion(middle),
    ]
    inside = ~outside
    standard = [
        (column - column[inside].mean()) / (column[inside].std() + 1e-6) for column in drawn if inside.any()
    ]
    shape = [u, v, np.abs(u), np.abs(v), u * u, v * v, np.maximum(np.abs(u), np.abs(v)), (u * v) ** 2]
    clicked = [_influence(regions, clicks, side) for clicks in (hints.positive, hints.negative)]
    return np.stack([*shape, *drawn, *standard, *clicked[0], *clicked[1]], axis=1)


def again_from_box(regions: Regions, hints: Hints, first: np.ndarray, p: np.ndarray) -> np.ndarray:
    """The first figures (N,k) and further ones of a first belief p (N) that a superpixel of a box is the object's."""
    u, v, side = _in_box(regions, hints)
    outside = beyond(regions, hints)
    gap = np.hypot(np.maximum(np.abs(u) - 1, 0), np.maximum(np.abs(v) - 1, 0)) / 2
    weight = regions.area * p
    rest = regions.area * np.where(outside, np.exp(-gap / 0.3), 1 - p)
    close = np.exp(between(regions.centre) / (-2 * (0.25 * side) ** 2)) * regions.alike[1]
    walked, highest = regions.geodesics(outside | (p < 0.15)) - regions.geodesics(p > 0.85)
    typical = p[~outside].mean() if not outside.all() else 0.0
    columns = [
        *_likeness(regions, close, weight, rest, p),
        walked.clip(-10, 10),
        highest,
        np.full(len(p), typical),
        p - typical,
    ]
    return np.concatenate([first, np.stack(columns, axis=1)], axis=1)


def again_from_clicks(regions: Regions, hints: Hints, first: np.ndarray, p: np.ndarray) -> np.ndarray:
    """The first figures (N,k) and further ones of a first belief p (N) that a superpixel is the clicked object's."""
    weight = regions.area * p
    mass = max(float(weight.sum()), 1e-3)
    side, middle = np.sqrt(mass), (regions.centre * weight[:, None]).sum(0) / mass
    reach = np.linalg.norm(regions.centre - middle, axis=1) / side
    rest = regions.area * (1 - p) * np.exp(-reach / 2)
    close = np.exp(between(regions.centre) / (-2 * (0.7 * side) ** 2)) * regions.alike[1]
    sure = p > max(0.7, float(np.quantile(p, 0.97)) - 1e-6)
    walked, highest = regions.geodesics(p < 0.1) - regions.geodesics(sure)
    columns = [
        *_likeness(regions, close, weight, rest, p),
        walked.clip(-10, 10),
        highest,
        np.full(len(p), np.log(mass / regions.area.sum())),
        reach.clip(0, 4),
        reach.clip(0, 4) ** 2,
    ]
    return np.concatenate([first, np.stack(columns, axis=1)], axis=1)


def _likeness(
    regions: Regions, close: np.ndarray, weight: np.ndarray, rest: np.ndarray, p: np.ndarray
) -> list[np.ndarray]:
    """Odds of a belief p (N), its neighbours' beliefs, and whether looks are those of the object or of the rest."""
    odds = np.log((p + 0.02) / (1 - p + 0.02))
    narrow, wide = (regions.density(kernel, weight) - regions.density(kernel, rest) for kernel in (0, 1))
    mixed = regions.mixing @ p
    walks = [(to - fro).clip(-6, 6) for to, fro in zip(regions.diffusion(weight), regions.diffusion(rest))]
    return [
        odds,
        narrow,
        wide,
        np.log((close @ weight + 1e-3) / (close @ rest + 1e-3)),
        mixed,
        regions.mixing @ (regions.mixing @ mixed),
        *walks,
        np.clip(odds, -3, 3) * np.clip(wide, -3, 3),
    ]


def beyond(regions: Regions, hints: Hints) -> np.ndarray:
    """Superpixels (bool N) that a given box rules out."""
    if hints.box is None:
        return np.zeros(len(regions.area), bool)
    u, v, _ = _in_box(regions, hints)
    return np.maximum(np.abs(u), np.abs(v)) > EDGE


def _in_box(regions: Regions, hints: Hints) -> tuple[np.ndarray, np.ndarray, float]:
    """Centres in half sides from the middle of the box, and the side of a square as large."""
    assert hints.box is not None
    low, high = hints.box[:2], hints.box[2:]
    u, v = ((regions.centre - (low + high) / 2) / ((high - low) / 2)).T
    return u, v, float(np.sqrt(np.prod(high - low)))


def _one_side(
    regions: Regions, clicks: np.ndarray, diagonal: float
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Distances of every kind to clicked superpixels, and where their likes and walks from them are."""
    reach = between_some(regions, clicks)
    seeds = np.zeros(len(regions.area), bool)
    seeds[clicks] = True
    walked, highest = regions.geodesics(seeds)
    weight = regions.area * np.exp(-reach / (2 * (0.02 * diagonal) ** 2) - regions.apart[clicks] / 450).sum(0)
    distances = [
        np.log(np.sqrt(reach.min(0)) / diagonal + 0.01),
        np.log1p(walked),
        highest,
        np.log1p(np.sqrt(regions.apart[clicks].min(0))),
        -regions.density(1, weight),
        -regions.density(0, weight),
    ]
    return distances, regions.diffusion(weight)


def between_some(regions: Regions, some: np.ndarray) -> np.ndarray:
    """Squared distances (n,N) in working pixels from some superpixels to all."""
    return ((regions.centre[some][:, None] - regions.centre[None]) ** 2).sum(2)


def _influence(regions: Regions, clicks: np.ndarray, side: float) -> list[np.ndarray]:
    """How near (1 at a click, 0 far off or without clicks) superpixels are, by edges, by place and by looks."""
    if not len(clicks):
        return [np.zeros(len(regions.area))] * 4
    seeds = np.zeros(len(regions.area), bool)
    seeds[clicks] = True
    walked, highest = regions.geodesics(seeds)
    reach = np.sqrt(between_some(regions, clicks).min(0)) / side
    looks = np.sqrt(regions.apart[clicks].min(0))
    return [np.exp(-walked / 4), np.exp(-highest), np.exp(-reach / 0.15), np.exp(-looks / 10 - reach / 0.3)]
