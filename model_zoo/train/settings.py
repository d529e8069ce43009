"""What a stage is asked to do: the command line's choices over the defaults of its stage and recipe."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from torch import nn

from model_zoo import checkpoint
from model_zoo.examples import Joined, Source, batches
from model_zoo.geometry.model import GeometryModel
from model_zoo.geometry.recipes import GeometryConfig
from model_zoo.io.errors import BadInput
from model_zoo.loader import Pairs, Samples, chains
from model_zoo.loop import LoopConfig
from model_zoo.synthetic import SceneConfig, SyntheticSamples, cached

SYNTHETIC = "synthetic"
OWN_LICENCE = "Apache-2.0"


@dataclass(frozen=True)
class Settings:
    """One run. steps counts optimiser steps; batch counts objects; draws counts (tau, noise) pairs per object."""

    stage: str
    recipe: str
    data: tuple[str, ...]
    out: Path
    where: str | None = None
    init: Path | None = None
    resume: bool = False
    seed: int = 0
    steps: int = 200
    codec_steps: int = 400
    lr: float = 1e-4
    batch: int = 16
    draws: int = 4
    beta: float = 500.0
    anchor: float = 0.0
    strength: float = 1.0
    precision: str = "auto"
    device: str = "auto"
    stored: str = "float32"
    cache: Path | None = None
    scenes: int = SceneConfig.scenes
    shapes: int = SceneConfig.shapes_per_family
    save_every: int = 200


DEFAULTS: dict[str, dict[str, object]] = {
    "pretrain": {"steps": 1650, "lr": 1e-3, "batch": 48, "draws": 2, "stored": "float16"},
    "midtrain": {"steps": 500, "lr": 3e-4, "batch": 32},
    "sft": {"steps": 120, "lr": 1e-4, "batch": 8},
    "dpo": {"steps": 60, "lr": 2.5e-6, "batch": 4, "anchor": 1.0},
    "distill": {"steps": 300, "lr": 1e-4, "batch": 16, "draws": 1},
}


def with_defaults(stage: str, given: Mapping[str, object]) -> Settings:
    """The stage's defaults, then what was given, then `auto` made definite."""
    settings = Settings(stage=stage, **{**DEFAULTS[stage], **given})
    device = settings.device
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise BadInput("no CUDA device is at hand: use --device cpu")
    precision = settings.precision
    if precision == "auto":
        fast = device != "cpu" or torch.cpu._is_amx_tile_supported()
        precision = "bf16" if fast else "fp32"
    return replace(settings, device=device, precision=precision)


def loop_config(s: Settings, steps: int, **changes: object) -> LoopConfig:
    """The loop's settings of a run."""
    plain = LoopConfig(
        steps=steps, lr=s.lr, seed=s.seed, warmup=min(50, max(1, steps // 10)), precision=s.precision,
        device=s.device, save_every=s.save_every, ema=0.999 if steps >= 1000 else 0.98,
    )  # fmt: skip
    return replace(plain, **changes)


def starting_model(s: Settings) -> tuple[GeometryModel, list[dict]]:
    """The model to train and its parents: --init, or fresh weights where the stage may start from nothing."""
    torch.manual_seed(s.seed)
    if s.init is None:
        if s.stage != "pretrain":
            raise BadInput(f"{s.stage} continues from a checkpoint: give --init")
        return checkpoint.fresh(s.recipe).to(s.device), []
    found = checkpoint.load(s.init)
    if found.recipe != s.recipe:
        raise BadInput(f"{s.init.name} is of recipe {found.recipe!r}, not {s.recipe!r}")
    parent = {
        "name": s.init.name,
        "sha256": sha256_of(s.init / checkpoint.WEIGHTS),
        "stage": found.card.get("stage", ""),
        "licence": found.card.get("licence", OWN_LICENCE),
    }
    return found.model.to(s.device), [parent]


def licence_of(parents: Sequence[Mapping]) -> str:
    """What was trained from weights under another licence than ours stays under that one."""
    return next((p["licence"] for p in parents if p["licence"] != OWN_LICENCE), OWN_LICENCE)


def trained(
    model: GeometryModel, prefixes: Sequence[str], left_out: Sequence[str] = ()
) -> dict[str, nn.Parameter]:
    """The parameters that a stage trains, by name prefix."""
    return {
        n: p
        for n, p in model.named_parameters()
        if p.requires_grad and n.startswith(tuple(prefixes)) and not n.startswith(tuple(left_out) or ("\0",))
    }


# Zero in every stage but distil, so that the model behaves as before whatever step size it is told.
STEP_EMBEDDER = ("transformer.d_embedder.",)


def samples(s: Settings, config: GeometryConfig) -> tuple[Joined, list[dict]]:
    """The training examples of every --data and a line about each for the card."""
    chained = dict(chains([name for name in s.data if name != SYNTHETIC]))
    sources, notes = [], []
    for name in s.data:
        if name == SYNTHETIC:
            synthetic = synthetic_samples(s, config)
            sources.append(synthetic)
            notes.append(
                {
                    "name": SYNTHETIC,
                    "rows": len(synthetic),
                    "scene": asdict(scene_config(s)),
                    "simulated": True,
                }
            )
        elif name in chained:
            rows = Samples(name, config, where=s.where, base=chained[name], cache=s.cache or s.out / "cache")
            sources.append(rows)
            notes.append(data_note(rows, s.where))
    return _some(Joined(sources), s), notes


def pairs(s: Settings, config: GeometryConfig) -> tuple[Joined, list[dict]]:
    """The preference pairs of every --data and a line about each for the card."""
    sources = [
        Pairs(name, config, where=s.where, base=base, cache=s.cache or s.out / "cache")
        for name, base in chains(s.data)
    ]
    return _some(Joined(sources), s), [data_note(p, s.where) for p in sources]


def _some(source: Joined, s: Settings) -> Joined:
    if not len(source):
        passed = f" that pass {s.where}" if s.where else ""
        raise BadInput(f"no rows of split train{passed} in {', '.join(s.data)}")
    return source


def scene_config(s: Settings) -> SceneConfig:
    """The distribution of --data synthetic; its seed is fixed, so that runs differ by training alone."""
    return SceneConfig(scenes=s.scenes, shapes_per_family=s.shapes)


def synthetic_samples(s: Settings, config: GeometryConfig) -> SyntheticSamples:
    """The composed training scenes, rendered once and kept beside the run."""
    return cached(scene_config(s), config, s.cache or s.out / "cache")


def data_note(rows: Samples | Pairs, where: str | None) -> dict:
    """What a card says about a data set: where it came from, how much of it, and whether people or a machine answered."""
    return {
        "name": rows.data.name,
        "id": rows.data.manifest.get("id"),
        "hash": rows.data.manifest.get("hash"),
        "rows": len(rows),
        "simulated": rows.simulated,
        **({"where": where} if where else {}),
    }


def stream(source: Source, s: Settings, start: int) -> Iterator:
    """Shuffled batches from a step on."""
    return batches(source, min(s.batch, max(1, len(source))), s.seed, start)


def sha256_of(path: Path) -> str:
    """Hex digest of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def finish(
    s: Settings, model: GeometryModel, parents: list[dict], data: list[dict], figures: Mapping[str, float]
) -> None:
    """Writes the trained model to OUT/checkpoint with its card."""
    card = {
        "stage": s.stage,
        "model": "geometry",
        "recipe": s.recipe,
        "parents": parents,
        "data": data,
        "simulated": any(d.get("simulated") for d in data) or not data,
        "steps": s.steps,
        "seed": s.seed,
        "lr": s.lr,
        "batch": s.batch,
        "precision": s.precision,
        "last_figures": {n: round(v, 6) for n, v in figures.items()},
        "licence": licence_of(parents),
    }
    if s.stage == "dpo":
        card |= {"beta": s.beta, "anchor": s.anchor}
    checkpoint.save(s.out / "checkpoint", model, recipe=s.recipe, card=card, stored=s.stored)
