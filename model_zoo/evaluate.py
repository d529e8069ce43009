"""Scores a checkpoint on samples it was not trained on, beside another checkpoint or beside plain image retrieval.

python -m model_zoo.evaluate CHECKPOINT --data DIR [--against CHECKPOINT|retrieval] [--out scores.json]
"""

import argparse
import json
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from model_zoo import checkpoint, metrics
from model_zoo.data.reader import manifest_of
from model_zoo.examples import Example, Source, collate
from model_zoo.geometry import pose
from model_zoo.geometry.model import GeometryModel
from model_zoo.geometry.recipes import GeometryConfig
from model_zoo.io.errors import BadInput
from model_zoo.loader import VALIDATION, Pairs, Samples
from model_zoo.synthetic import SceneConfig, cached
from model_zoo.train.objectives import preference

SYNTHETIC, RETRIEVAL = "synthetic", "retrieval"
HELD_OUT = SceneConfig(split="val", shapes_per_family=6, scenes=300)
BATCH = 16
POSE_PARTS = {
    "rotation_degrees": "6drotation_normalized",
    "translation": "translation",
    "scale_error": "scale",
}
BETTER_LOW = {"chamfer", "rotation_degrees", "translation", "scale_error"}


class Data(NamedTuple):
    """What is scored: examples, what to call them, and whether a simulation made their truth."""

    examples: Source[Example]
    name: str
    split: str
    simulated: bool


class Prediction(NamedTuple):
    """Occupancy bool (G, G, G) and, from a model, the layout latents name -> (1, c)."""

    occupancy: np.ndarray
    layout: dict[str, Tensor] | None


def open_data(
    name: str, config: GeometryConfig, cache: Path | None, limit: int, where: str | None = None
) -> Data:
    """The validation split of a release, of a built set or of the composed scenes; all rows of a set that has none.

    Of the composed scenes only as many are rendered as `limit` examples need; they are the first of all.
    """
    if name == SYNTHETIC:
        held_out = replace(HELD_OUT, scenes=min(HELD_OUT.scenes, 2 * limit))
        return Data(cached(held_out, config, cache), SYNTHETIC, VALIDATION, True)
    held, split = Samples(name, config, VALIDATION, where=where, cache=cache), VALIDATION
    if not len(held):
        held, split = Samples(name, config, None, where=where, cache=cache), "all"
    if not len(held):
        raise BadInput(f"{Path(name).name} holds no rows to score")
    return Data(held, held.data.name, split, held.simulated)


def predict(
    model: GeometryModel,
    examples: Source[Example],
    indices: Iterable[int],
    *,
    seed: int,
    steps: int,
    strength: float,
) -> Iterable[Prediction]:
    """One sample of each example, in order."""
    indices = list(indices)
    for start in tqdm(range(0, len(indices), BATCH), desc="sampling", disable=None):
        batch = collate([examples[i] for i in indices[start : start + BATCH]])
        latents = model.sample(batch.views, seed=seed + start, steps=steps, strength=strength)
        with torch.no_grad():
            full = (model.decode_shape(latents["shape"])[:, 0] > 0).numpy()
        for row, grid in enumerate(full):
            yield Prediction(grid, {n: v[row] for n, v in latents.items() if n != "shape"})


def retrieve(
    gallery: Source[Example], examples: Source[Example], indices: Iterable[int]
) -> Iterable[Prediction]:
    """The baseline: the shape of the training example whose crop looks most alike (colour, mask, depth; 12 x 12)."""
    known = np.stack([_look(gallery[i]) for i in tqdm(range(len(gallery)), desc="gallery", disable=None)])
    squares = (known**2).sum(1)
    for i in indices:
        nearest = int((squares - 2 * known @ _look(examples[i])).argmin())
        yield Prediction(gallery[nearest].occupancy[0].numpy() > 0.5, None)


def _look(example: Example) -> np.ndarray:
    mask = example.views["mask"]
    depth = example.views["pointmap"][2:].nan_to_num().clamp(-2, 2)
    depth = depth * torch.nn.functional.interpolate(mask[None], depth.shape[-2:])[0]
    parts = [example.views["image"] * mask, mask, depth]
    small = [torch.nn.functional.adaptive_avg_pool2d(p, 12).flatten() for p in parts]
    return torch.cat([small[0] * 0.5, small[1], small[2]]).numpy()


def score(
    predictions: Iterable[Prediction], examples: Source[Example], indices: Iterable[int]
) -> list[dict[str, float]]:
    """One row of figures per example; pose figures where both the model and the truth have a pose."""
    rows = []
    for i, prediction in zip(indices, predictions, strict=True):
        example = examples[i]
        truth = example.occupancy[0].numpy() > 0.5
        voxels = metrics.voxel_scores(prediction.occupancy, truth)
        row = {"f1": voxels.f1, "viou": voxels.iou}
        row["chamfer"] = metrics.chamfer(
            metrics.surface_points(prediction.occupancy), metrics.surface_points(truth)
        )
        if prediction.layout is not None:
            figures = _pose_figures(prediction.layout, example.layout)
            row |= {n: v for n, v in figures.items() if float(example.layout_weight[POSE_PARTS[n]]) > 0}
        rows.append(row)
    return rows


def _pose_figures(got: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> dict[str, float]:
    """Rotation in degrees, translation in object sizes, and scale as a factor minus one."""
    one, none = torch.ones(1, 3), torch.zeros(1, 3)
    a, b = (pose.decode({n: v[None] for n, v in side.items()}, one, none) for side in (got, wanted))
    size = float(b.scale[0, 0])
    return {
        "rotation_degrees": metrics.rotation_degrees(
            a.rotation[0].double().numpy(), b.rotation[0].double().numpy()
        ),
        "translation": float((a.translation - b.translation).norm()) / size,
        "scale_error": float(np.expm1(abs(np.log(float(a.scale[0, 0]) / size)))),
    }


def summary(rows: list[dict[str, float]]) -> dict[str, float]:
    """Means over the rows that have a figure, and medians of the pose errors."""
    means = {}
    for name in dict.fromkeys(n for row in rows for n in row):
        values = [row[name] for row in rows if name in row]
        means[name] = round(float(np.mean(values)), 4)
        if name in ("rotation_degrees", "translation", "scale_error"):
            means[f"{name}_median"] = round(float(np.median(values)), 4)
    return means


def by_family(rows: list[dict[str, float]], data: Data, indices: list[int]) -> dict[str, float]:
    """Mean F1 per family of composed scenes; empty for releases."""
    if not hasattr(data.examples, "family"):
        return {}
    groups: dict[str, list[float]] = {}
    for i, row in zip(indices, rows, strict=True):
        groups.setdefault(data.examples.family(i), []).append(row["f1"])
    return {n: round(float(np.mean(v)), 3) for n, v in sorted(groups.items())}


def pair_accuracy(
    model: GeometryModel, reference: GeometryModel, pairs: Pairs, limit: int, seed: int
) -> dict[str, float]:
    """How often the implicit reward of `model` over `reference` prefers the chosen candidate (training.md 1.5)."""
    from_pairs = []
    for i in tqdm(range(min(limit, len(pairs))), desc="pairs", disable=None):
        from_pairs.append(_implicit_margin(model, reference, collate([pairs[i]]), seed + i))
    margins = np.array(from_pairs)
    return {
        "pair_accuracy": round(float((margins > 0).mean()), 4),
        "pair_margin": round(float(margins.mean()), 6),
    }


@torch.no_grad()
def _implicit_margin(
    model: GeometryModel, reference: GeometryModel, batch, seed: int, draws: int = 8
) -> float:
    generator = torch.Generator().manual_seed(seed)
    _, figures = preference(model, reference, batch, generator, beta=1.0, draws=draws, anchor=0.0)
    return -float(figures["delta"])


def evaluate_pairs(args: argparse.Namespace, model: GeometryModel) -> dict:
    """The report on a DPO release: how often the checkpoint prefers what people chose, more than its reference does."""
    if not args.against or args.against == RETRIEVAL:
        raise BadInput("a DPO release is scored against a reference: give --against CHECKPOINT")
    pairs, split = Pairs(args.data, model.config, VALIDATION, where=args.where, cache=args.cache), VALIDATION
    if not len(pairs):
        pairs, split = Pairs(args.data, model.config, None, where=args.where, cache=args.cache), "all"
    if not len(pairs):
        raise BadInput(f"{Path(args.data).name} holds no pairs to score")
    figures = pair_accuracy(model, checkpoint.load(Path(args.against)).model, pairs, args.limit, args.seed)
    return {"data": pairs.data.name, "split": split, "examples": min(args.limit, len(pairs)), "seed": args.seed,
            "simulated": pairs.simulated,
            "results": {args.checkpoint.name: figures}}  # fmt: skip


def table(results: Mapping[str, Mapping[str, float]]) -> str:
    """The figures as aligned text, one column per contestant."""
    names = list(dict.fromkeys(n for r in results.values() for n in r))
    head = f"{'':26}" + "".join(f"{c[:20]:>22}" for c in results)
    lines = [head]
    for name in names:
        arrow = "lower is better" if name.removesuffix("_median") in BETTER_LOW else ""
        lines.append(
            f"{name:26}"
            + "".join(f"{r.get(name, float('nan')):22.4f}" for r in results.values())
            + f"  {arrow}"
        )
    return "\n".join(lines)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m model_zoo.evaluate", description=__doc__.splitlines()[0])
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument(
        "--data",
        default=SYNTHETIC,
        metavar="DIR",
        help="a release or built data set, or the word synthetic (default)",
    )
    parser.add_argument("--where", metavar="FILTER", help='score only rows such as "r >= 0.8"')
    parser.add_argument("--against", metavar="CHECKPOINT", help="another checkpoint, or the word retrieval")
    parser.add_argument("--limit", type=int, default=200, help="examples to score at most")
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--strength", type=float, default=1.0, help="guidance s; the paper's w is 1 + s")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="write the figures as JSON")
    parser.add_argument("--record", action="store_true", help="write the figures on the checkpoint's card")
    parser.add_argument(
        "--cache", type=Path, help="where composed scenes and what is read from buckets are kept"
    )
    args = parser.parse_args(argv)
    try:
        report = evaluate(args)
    except BadInput as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"{report['examples']} examples of {report['data']}, split {report['split']}"
          + (", truth from a simulation" if report["simulated"] else ""))  # fmt: skip
    print(table(report["results"]))
    if args.record:
        checkpoint.note(args.checkpoint, "evaluation", report)
    if args.out:
        args.out.write_text(json.dumps(report, indent=1) + "\n")
    return 0


@torch.no_grad()
def evaluate(args: argparse.Namespace) -> dict:
    """The whole report of one call."""
    found = checkpoint.load(args.checkpoint)
    if args.data != SYNTHETIC and manifest_of(args.data).get("kind") == "dpo":
        return evaluate_pairs(args, found.model)
    data = open_data(args.data, found.model.config, args.cache, args.limit, args.where)
    indices = list(range(min(args.limit, len(data.examples))))
    report = {"data": data.name, "split": data.split, "simulated": data.simulated, "examples": len(indices),
              "steps": args.steps, "strength": args.strength, "seed": args.seed, "results": {}}  # fmt: skip

    def add(name: str, predictions: Iterable[Prediction]) -> None:
        began = time.perf_counter()
        rows = score(predictions, data.examples, indices)
        seconds = (time.perf_counter() - began) / len(indices)
        report["results"][name] = {**summary(rows), "seconds_per_sample": round(seconds, 4)}
        families = by_family(rows, data, indices)
        if families:
            report.setdefault("f1_by_family", {})[name] = families

    how = {"seed": args.seed, "steps": args.steps, "strength": args.strength}
    add(args.checkpoint.name, predict(found.model, data.examples, indices, **how))
    if args.against == RETRIEVAL:
        if args.data != SYNTHETIC:
            raise BadInput("the retrieval baseline is defined for --data synthetic")
        gallery = cached(SceneConfig(), found.model.config, args.cache)
        add(RETRIEVAL, retrieve(gallery, data.examples, indices))
    elif args.against:
        other = checkpoint.load(Path(args.against))
        if other.model.config.resolution != found.model.config.resolution:
            raise BadInput("both checkpoints must have the same occupancy grid")
        name = Path(args.against).name
        add(
            name if name != args.checkpoint.name else f"{name} (against)",
            predict(other.model, data.examples, indices, **how),
        )
    return report


if __name__ == "__main__":
    sys.exit(main())
