"""Checkpoint folders: weights.safetensors + config.json + card.json. Strict both ways; nothing is ever unpickled.

python -m model_zoo.checkpoint SOURCE TARGET     a copy with half-precision weights, to ship
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from model_zoo.geometry.model import GeometryModel, own_names, released_names
from model_zoo.geometry.recipes import RECIPES, GeometryConfig
from model_zoo.io.errors import BadInput

WEIGHTS, CONFIG, CARD = "weights.safetensors", "config.json", "card.json"
STORED = {"float32": torch.float32, "float16": torch.float16}


class Checkpoint(NamedTuple):
    """A loaded model with the facts that came with it."""

    model: GeometryModel
    card: dict
    recipe: str


def fresh(recipe: str) -> GeometryModel:
    """A model of a recipe with start weights from torch's current seed."""
    model = GeometryModel(RECIPES[recipe]())
    model.initialise()
    return model


def save(folder: Path, model: GeometryModel, *, recipe: str, card: dict, stored: str = "float32") -> None:
    """Writes the three files, the weights under their released names; the same weights give the same bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    state = {n: _stored(v, STORED[stored]) for n, v in released_names(model.state_dict()).items()}
    save_file(dict(sorted(state.items())), folder / WEIGHTS)
    (folder / WEIGHTS).chmod(0o644)  # the library makes it private, and a worker may be another user
    config = {"model": "geometry", "recipe": recipe, "stored": stored, "config": model.config.to_json()}
    _write_json(folder / CONFIG, config)
    _write_json(folder / CARD, {"git": git_commit(), **card})


def _stored(value: Tensor, dtype: torch.dtype) -> Tensor:
    return value.detach().to("cpu", dtype).contiguous()


def _write_json(path: Path, data: dict) -> None:
    path.write_text(json.dumps(data, indent=1, sort_keys=True) + "\n")


def load(folder: Path) -> Checkpoint:
    """The model in fp32 with its card. Raises BadInput for a missing file, another model, or any name or shape that is off."""
    config, card = _read_json(folder, CONFIG), _read_json(folder, CARD)
    if config.get("model") != "geometry":
        raise BadInput(f"{folder.name} is a checkpoint of model {config.get('model')!r}, not of geometry")
    try:
        settings = GeometryConfig.from_json(config["config"])
        state = own_names(load_file(folder / WEIGHTS))
        with torch.device("meta"):
            model = GeometryModel(settings)
        model.load_state_dict({n: v.float() for n, v in state.items()}, strict=True, assign=True)
    except OSError as error:
        raise BadInput(f"{folder.name} has no {WEIGHTS}") from error
    except SafetensorError as error:
        raise BadInput(f"{folder.name}/{WEIGHTS} is not a safetensors file: {error}") from error
    except (KeyError, TypeError) as error:
        raise BadInput(f"{folder.name} does not describe a geometry model: {error}") from error
    except RuntimeError as error:
        fault = str(error).splitlines()[1:2] or [str(error)]
        raise BadInput(f"{folder.name}: weights do not fit the config: {fault[0].strip()}") from error
    return Checkpoint(model.eval(), card, str(config.get("recipe", "")))


def note(folder: Path, name: str, value: object) -> None:
    """Writes one more fact on a checkpoint's card."""
    _write_json(folder / CARD, {**_read_json(folder, CARD), name: value})


def _read_json(folder: Path, name: str) -> dict:
    try:
        data = json.loads((folder / name).read_text())
    except OSError as error:
        raise BadInput(f"{folder} is not a checkpoint: no {name}") from error
    except ValueError as error:
        raise BadInput(f"{folder.name}/{name} is not JSON: {error}") from error
    if not isinstance(data, dict):
        raise BadInput(f"{folder.name}/{name} is not a JSON object")
    return data


def git_commit() -> str:
    """The commit of this code, or "" outside a checkout."""
    try:
        command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m model_zoo.checkpoint", description="Halve a checkpoint's size."
    )
    parser.add_argument("source", type=Path)
    parser.add_argument("target", type=Path)
    args = parser.parse_args(argv)
    try:
        found = load(args.source)
    except BadInput as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    card = {k: v for k, v in found.card.items() if k != "git"} | {"git": found.card.get("git", "")}
    save(args.target, found.model, recipe=found.recipe, card=card, stored="float16")
    print(f"{args.target}: {(args.target / WEIGHTS).stat().st_size / 1e6:.1f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
