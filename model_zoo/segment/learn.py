"""Fit the built-in segmenter's weights.json on photographs with masks and on composed scenes.

    python -m model_zoo.segment.learn FOLDER [--out weights.json]

FOLDER holds STEM.jpg with STEM.mask_NAME.png, or folders with color.* and mask_NAME.png. Every stage is fitted on
beliefs, and every click simulated on masks, of models that have not seen the photo; the figures printed are of those.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.linear_model import LogisticRegression

from model_zoo.demo.scenes import scenes
from model_zoo.io.images import load_image, load_mask
from model_zoo.segment import builtin
from model_zoo.segment.builtin import WEIGHTS, Builtin, Photo, View, belief
from model_zoo.segment.features import again_from_box, again_from_clicks, beyond, from_box, from_clicks
from model_zoo.segment.interface import Prompt
from model_zoo.segment.simulate import iou, jittered_box, next_click, start_click

FOLDS = 5
CLICKS = 4
BOX_CLICKS = 1
STRENGTH = 0.05  # of the prior that weights are small, inverse
EVERY = 3  # of the superpixels, which are alike, are fitted on
Row = tuple["Case", np.ndarray, np.ndarray]  # figures (n,k) of superpixels and how much the true mask covers
Stages = dict[str, list[Row]]


@dataclass
class Case:
    """One object: photo, true mask (H,W), the fold it is held out in, and the prompt so far."""

    group: str
    photo: Photo
    truth: np.ndarray
    fold: int = 0
    prompt: Prompt = field(default_factory=Prompt)


def photographs(folder: Path) -> list[tuple[str, np.ndarray, np.ndarray]]:
    """(group, rgb, mask) of every mask under a folder; pictures of one sequence are one group."""
    found = []
    for path in sorted(folder.rglob("*mask_*.png")):
        stem = path.name.split(".mask_")[0] if ".mask_" in path.name else ""
        pattern = f"{stem}.jpg" if stem else "color.*"
        rgb = load_image(next(path.parent.glob(pattern)).read_bytes()).rgb
        found.append((re.sub(r"_\d+$", "", stem or path.parent.name), rgb, load_mask(path.read_bytes()).mask))
    return found


def cases_of(folder: Path, composed: int) -> list[Case]:
    """Prepared cases, their groups dealt into folds."""
    rows = photographs(folder)
    for scene in scenes(composed, seed=1):
        rows += [(scene.name, scene.rgb, mask) for mask in scene.masks.values()]
    segmenter, photos, cases = Builtin({}), {}, []
    for group, rgb, mask in rows:
        photo = photos.setdefault(rgb.tobytes(), segmenter.prepare(rgb))
        cases.append(Case(group, photo, mask))
    groups = np.random.default_rng(0).permutation(sorted({case.group for case in cases}))
    fold = {name: number % FOLDS for number, name in enumerate(groups)}
    for case in cases:
        case.fold = fold[case.group]
    return cases


def share(view: View, truth: np.ndarray) -> np.ndarray:
    """How much (N) of each superpixel of a view the true mask covers."""
    x0, y0, x1, y1 = view.window
    part = Image.fromarray(truth[y0:y1, x0:x1].astype(np.float32))
    return view.regions.mean(np.asarray(part.resize(view.regions.size, Image.Resampling.BOX)))


def fit(rows: list[Row]) -> np.ndarray:
    """Weights and bias of one logistic model; every object counts alike, small ones for more per pixel."""
    x = np.concatenate([figures for _, figures, _ in rows])
    y = np.concatenate([truth > 0.5 for _, _, truth in rows])
    weight = [np.full(len(t), 1 / (len(t) * np.sqrt(max((t > 0.5).mean(), 0.0025)))) for _, _, t in rows]
    weights = np.concatenate(weight)
    middle, spread = x.mean(0), x.std(0) + 1e-6
    model = LogisticRegression(C=STRENGTH, max_iter=100)
    model.fit((x - middle) / spread, y, sample_weight=weights / weights.mean())
    slope = model.coef_[0] / spread
    return np.append(slope, model.intercept_[0] - middle @ slope)


def stage(
    seen: Stages, name: str, cases: list[Case], views: list[View], figures: list[np.ndarray]
) -> list[np.ndarray]:
    """Adds a stage's figures and returns held-out beliefs for them. What a box rules out is not fitted on."""
    rows = seen.setdefault(name, [])
    for case, view, given in zip(cases, views, figures):
        possible = np.nonzero(~beyond(view.regions, view.hints))[0][::EVERY]
        rows.append((case, given[possible].astype(np.float32), share(view, case.truth)[possible]))
    models = [fit([row for row in rows if row[0].fold != fold]) for fold in range(FOLDS)]
    return [belief(models[case.fold], given) for case, given in zip(cases, figures)]


def by_clicks(cases: list[Case], seen: Stages) -> list[np.ndarray]:
    """Held-out masks of all cases for the clicks so far."""
    views = [builtin.whole(case.photo, case.prompt) for case in cases]
    first = [from_clicks(view.regions, view.hints) for view in views]
    beliefs = stage(seen, "click", cases, views, first)
    again = [again_from_clicks(v.regions, v.hints, f, p) for v, f, p in zip(views, first, beliefs)]
    beliefs = stage(seen, "click_again", cases, views, again)
    crops = [builtin.closer(c.photo, c.prompt, v, p) for c, v, p in zip(cases, views, beliefs)]
    views, figures = [view for view, _ in crops], [given for _, given in crops]
    beliefs = stage(seen, "crop", cases, views, figures)
    return [builtin.outline(c.photo, v, p).mask for c, v, p in zip(cases, views, beliefs)]


def by_box(cases: list[Case], seen: Stages) -> list[np.ndarray]:
    """Held-out masks of all cases for their box and the clicks so far."""
    views = [builtin.boxed(case.photo, case.prompt) for case in cases]
    first = [from_box(view.regions, view.hints) for view in views]
    beliefs = [builtin.inside(v, p) for v, p in zip(views, stage(seen, "box", cases, views, first))]
    again = [again_from_box(v.regions, v.hints, f, p) for v, f, p in zip(views, first, beliefs)]
    beliefs = stage(seen, "box_again", cases, views, again)
    return [builtin.outline(c.photo, v, p).mask for c, v, p in zip(cases, views, beliefs)]


def rounds(
    cases: list[Case], masks_of: Callable[[list[Case], Stages], list[np.ndarray]], count: int, seen: Stages
) -> None:
    """Prompt, look, click where it is most wrong, `count` times."""
    for number in range(count):
        masks = masks_of(cases, seen)
        ious = np.array([iou(mask, case.truth) for mask, case in zip(masks, cases)])
        names = np.array([case.group.split("_")[0] for case in cases])
        kinds = [f"{name} {ious[names == name].mean():.3f}" for name in sorted(set(names))]
        print(f"{masks_of.__name__} {number}: {ious.mean():.3f} ({', '.join(kinds)})", flush=True)
        for mask, case in zip(masks, cases):
            case.prompt = next_click(case.prompt, mask, case.truth)


def main() -> int:
    """Fit and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--out", type=Path, default=WEIGHTS)
    parser.add_argument("--composed", type=int, default=10, help="composed scenes")
    given = parser.parse_args()
    cases, seen = cases_of(given.folder, given.composed), {}
    rng = np.random.default_rng(0)
    for case in cases:
        case.prompt = Prompt(box=jittered_box(case.truth, rng))
    rounds(cases, by_box, 1 + BOX_CLICKS, seen)
    for case in cases:
        case.prompt = start_click(case.truth)
    rounds(cases, by_clicks, CLICKS, seen)
    models = {name: [float(f"{value:.5g}") for value in fit(rows)] for name, rows in seen.items()}
    given.out.write_text(json.dumps(models, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
