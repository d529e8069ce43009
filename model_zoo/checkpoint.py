"""Checkpoint folders: weights.safetensors + config.json + card.json. Strict both ways; nothing is ever unpickled.

python -m model_zoo.checkpoint SOURCE TARGET     a copy with half-precision weights, to ship
"""

import argparse
import hashlib
import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from model_zoo.geometry import model as geometry
from model_zoo.geometry import recipes as geometry_recipes
from model_zoo.geometry.embedder import share_backbones
from model_zoo.geometry.transformer import grid_position
from model_zoo.io.errors import BadInput
from model_zoo.texture import model as texture
from model_zoo.texture import recipes as texture_recipes
from model_zoo.texture.decoders import spread_offsets
from model_zoo.weights import WeightFile, raw, renamed, write

WEIGHTS, CONFIG, CARD = "weights.safetensors", "config.json", "card.json"
STORED = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}


class Kind(NamedTuple):
    """A model that checkpoints hold: its class, its config's, its recipes, our part -> its prefix in the file, and the
    fixed tables of a config by their names there."""

    model: Callable[..., nn.Module]
    config: type
    recipes: Mapping[str, Callable]
    prefixes: Mapping[str, str]
    tables: Callable[..., dict[str, Tensor]]


def _geometry_tables(c: geometry_recipes.GeometryConfig) -> dict[str, Tensor]:
    name = geometry.PREFIXES["transformer."] + "latent_mapping.shape.pos_emb"
    return {name: grid_position(c.transformer.grid, c.transformer.width)}


def _texture_tables(c: texture_recipes.TextureConfig) -> dict[str, Tensor]:
    counts = {"gaussian_decoder.": 32, "gaussian_decoder_4.": 4}
    return {texture.PREFIXES[part] + "offset_perturbation": spread_offsets(n) for part, n in counts.items()}


KINDS = {
    "geometry": Kind(
        geometry.GeometryModel,
        geometry_recipes.GeometryConfig,
        geometry_recipes.RECIPES,
        geometry.PREFIXES,
        _geometry_tables,
    ),
    "texture": Kind(
        texture.TextureModel,
        texture_recipes.TextureConfig,
        texture_recipes.RECIPES,
        texture.PREFIXES,
        _texture_tables,
    ),
}


class Checkpoint(NamedTuple):
    """A loaded model with the facts that came with it."""

    model: nn.Module
    card: dict
    recipe: str


class Absent(nn.Module):
    """Stands where a checkpoint has no weights for a part, such as an encoder that was not released."""

    def __init__(self, part: str) -> None:
        super().__init__()
        self.part = part

    def forward(self, *_: object) -> None:
        raise self._refusal()

    def __getattr__(self, name: str) -> object:
        # The part's own methods, such as a decoder's; what torch asks a module for begins with an underscore.
        if name.startswith("_") or name == "part":
            return super().__getattr__(name)
        raise self._refusal()

    def _refusal(self) -> BadInput:
        return BadInput(f"this checkpoint has no {self.part}: it was made without", "absent_part")

    def halved(self, *_: object) -> "Absent":
        """Nothing to halve."""
        return self


def fresh(recipe: str, kind: str = "geometry") -> nn.Module:
    """A model of a recipe with start weights from torch's current seed."""
    model = KINDS[kind].model(KINDS[kind].recipes[recipe]())
    model.initialise()
    return model


def kind_of(model: nn.Module) -> str:
    """The name of a model's kind. Raises KeyError for another class."""
    return {kind.model: name for name, kind in KINDS.items()}[type(model)]


def kind_in(folder: Path) -> str:
    """The kind of model that a checkpoint folder holds. Raises BadInput when it is none."""
    kind = str(_read_json(folder, CONFIG).get("model"))
    if kind not in KINDS:
        raise BadInput(f"{folder.name} is a checkpoint of model {kind!r}, not one of {', '.join(KINDS)}")
    return kind


def save(folder: Path, model: nn.Module, *, recipe: str, card: dict, stored: str = "float32") -> None:
    """Writes the three files, the weights under their released names; the same weights give the same bytes.

    Parts that share their parameters are stored once, absent ones not at all; the config says so.
    """
    folder.mkdir(parents=True, exist_ok=True)
    kind = kind_of(model)
    state = renamed(model.state_dict(), KINDS[kind].prefixes)
    shared = tied(state)
    state = {n: state[n] for n in sorted(state) if not n.startswith(tuple(shared) or ("\0",))}
    write(folder / WEIGHTS, {n: tuple(v.shape) for n, v in state.items()}, STORED[stored], state.values())
    (folder / WEIGHTS).chmod(0o644)  # a worker may be another user
    absent = {name for name, part in model.named_children() if isinstance(part, Absent)}
    write_config(folder, model.config, kind=kind, recipe=recipe, stored=stored, absent=absent, shared=shared)
    write_card(folder, card)


def write_card(folder: Path, card: dict) -> None:
    """card.json: where the weights come from, and the commit of this code."""
    _write_json(folder / CARD, {"git": git_commit(), **card})


def write_config(
    folder: Path, config: object, *, kind: str, recipe: str, stored: str, absent: set[str], shared: Mapping[str, str],
    borrowed: Mapping[str, object] | None = None,
) -> None:  # fmt: skip
    """config.json: how to build the model, and what of it the weights file holds."""
    data = {"model": kind, "recipe": recipe, "stored": stored, "config": config.to_json()}
    more = {"absent": sorted(absent), "shared": dict(shared), "borrowed": borrowed}
    _write_json(folder / CONFIG, data | {name: value for name, value in more.items() if value})


def tied(state: Mapping[str, Tensor]) -> dict[str, str]:
    """Prefix -> prefix of another part with the very same tensors, as after loading a backbone that is stored once."""
    first: dict[tuple, str] = {}
    pairs: dict[str, str] = {}
    for name, value in sorted(state.items()):
        other = first.setdefault((value.data_ptr(), value.shape, value.dtype), name)
        if other != name and value.numel():
            a, b = name.split("."), other.split(".")
            while a and b and a[-1] == b[-1]:
                a, b = a[:-1], b[:-1]
            pairs[".".join(a) + "."] = ".".join(b) + "."
    whole = {}
    for target, source in pairs.items():
        twins = [(v, state.get(source + n[len(target) :])) for n, v in state.items() if n.startswith(target)]
        if all(twin is not None and twin.data_ptr() == value.data_ptr() for value, twin in twins):
            whole[target] = source
    return whole


def _write_json(path: Path, data: dict) -> None:
    path.write_text(json.dumps(data, indent=1, sort_keys=True) + "\n")


def load(
    folder: Path,
    kind: str = "geometry",
    *,
    dtype: torch.dtype = torch.float32,
    beside: nn.Module | None = None,
) -> Checkpoint:
    """The model of a kind, its parameters in `dtype`, with its card.

    What the checkpoint borrows from the folder beside it comes from there, or from `beside`, the geometry model that
    was loaded from it: then both models hold the same backbone. Raises BadInput for a missing file, another model,
    or any name or shape that is off.
    """
    config, card = _read_json(folder, CONFIG), _read_json(folder, CARD)
    if config.get("model") != kind:
        raise BadInput(f"{folder.name} is a checkpoint of model {config.get('model')!r}, not of {kind}")
    try:
        with torch.device("meta"):
            model = KINDS[kind].model(KINDS[kind].config.from_json(config["config"]))
        for part in config.get("absent", ()):
            KINDS[kind].prefixes[f"{part}."]  # a part of this model, or a KeyError
            setattr(model, part, Absent(part))
        state = {n: v.to(dtype) for n, v in _read_weights(folder).items()}
        state |= _borrowed(folder, config.get("borrowed"), dtype, beside)
        _share(state, config.get("shared", {}))
        prefixes = {theirs: ours for ours, theirs in KINDS[kind].prefixes.items()}
        model.load_state_dict(renamed(state, prefixes), strict=True, assign=True)
        if "shared" in config or "borrowed" in config:
            share_backbones(*[m.embedder for m in (beside, model) if m is not None])
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        if isinstance(error, BadInput):
            raise
        raise BadInput(f"{folder.name} does not describe a {kind} model: {error}") from error
    except RuntimeError as error:
        fault = str(error).splitlines()[1:2] or [str(error)]
        raise BadInput(f"{folder.name}: weights do not fit the config: {fault[0].strip()}") from error
    return Checkpoint(model.eval(), card, str(config.get("recipe", "")))


def _borrowed(
    folder: Path, entry: dict | None, dtype: torch.dtype, beside: nn.Module | None
) -> dict[str, Tensor]:
    """The tensors that a checkpoint has from the geometry checkpoint beside it, which must still be the same ones."""
    if entry is None:
        return {}
    wanted = entry["prefixes"]
    if beside is not None:
        state = renamed(beside.state_dict(keep_vars=True), KINDS["geometry"].prefixes)
    else:
        file = WeightFile(folder.parent / "geometry" / WEIGHTS)
        state = {n: file.get(n) for n in file.names if n.startswith(tuple(wanted.values()))}
        if digest(state) != entry["sha256"]:
            raise BadInput(
                f"{folder.name} needs the geometry checkpoint that it was converted with beside it"
            )
        state = {n: v.to(dtype) for n, v in state.items()}
    return {
        target + n[len(source) :]: v
        for target, source in wanted.items()
        for n, v in state.items()
        if n.startswith(source)
    }


def digest(state: Mapping[str, Tensor]) -> str:
    """Hash of tensors in the order of their names."""
    whole = hashlib.sha256()
    for name in sorted(state):
        whole.update(raw(state[name]))
    return whole.hexdigest()


def _share(state: dict[str, Tensor], shared: Mapping[str, str]) -> None:
    """Fills in what is stored once: one parameter for all who share it. Raises KeyError where it is stored twice."""
    for target, source in shared.items():
        for name in [n for n in state if n.startswith(source)]:
            twin = target + name[len(source) :]
            if twin in state:
                raise KeyError(f"{twin} is stored and said to be shared")
            if not isinstance(state[name], nn.Parameter):
                state[name] = nn.Parameter(state[name])
            state[twin] = state[name]


def _read_weights(folder: Path) -> dict[str, Tensor]:
    try:
        return load_file(folder / WEIGHTS)
    except OSError as error:
        raise BadInput(f"{folder.name} has no {WEIGHTS}") from error
    except SafetensorError as error:
        raise BadInput(f"{folder.name}/{WEIGHTS} is not a safetensors file: {error}") from error


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
        found = load(args.source, kind_in(args.source))
    except BadInput as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    card = {k: v for k, v in found.card.items() if k != "git"} | {"git": found.card.get("git", "")}
    save(args.target, found.model, recipe=found.recipe, card=card, stored="float16")
    print(f"{args.target}: {(args.target / WEIGHTS).stat().st_size / 1e6:.1f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
