"""Files as the authors release them, with random values, of any size: what `model_zoo.convert` reads."""

from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from model_zoo.checkpoint import KINDS
from model_zoo.convert import BACKBONES, DUPLICATE, FILES

# As released: generators have a key "state_dict" around their tensors, decoders have none.
WRAPPED = ("ss_generator", "slat_generator")


def states(kind: str, config) -> dict[str, dict[str, tuple[str, Tensor]]]:
    """File -> released name -> (our stored name, a tensor of its shape without data)."""
    with torch.device("meta"):
        model = KINDS[kind].model(config)
    prefixes = KINDS[kind].prefixes
    return {
        file: {
            prefix + name: (prefixes[part + "."] + name, value)
            for part, prefix in parts.items()
            for name, value in model.get_submodule(part).state_dict().items()
        }
        for file, parts in FILES[kind].items()
    }


def tensors(kind: str, config, seed: int = 0) -> dict[str, dict[str, Tensor]]:
    """File -> its tensors under the released names; the two image backbones are the same, as in the real files."""
    dice, tables = torch.Generator().manual_seed(seed), KINDS[kind].tables(config)
    files = {
        file: {
            name: tables[stored].clone()
            if stored in tables
            else torch.rand(value.shape, generator=dice) - 0.5
            for name, (stored, value) in state.items()
        }
        for file, state in states(kind, config).items()
    }
    # One backbone in every embedder of both stages, whatever the seed.
    for generator in (files[name] for name in WRAPPED if name in files):
        same = torch.Generator().manual_seed(99)
        for name in [n for n in generator if n.startswith(BACKBONES[0])]:
            generator[name] = torch.rand(generator[name].shape, generator=same) - 0.5
            generator[BACKBONES[1] + name[len(BACKBONES[0]) :]] = generator[name].clone()
    if "ss_generator" in files:
        files["ss_generator"] |= {DUPLICATE + n: v.clone() for n, v in files["ss_decoder"].items()}
    return files


def written(folder: Path, files: dict[str, dict[str, Tensor]], *, suffix: str = ".ckpt") -> list[str]:
    """Writes the files and returns the converter's options that name them."""
    options = []
    folder.mkdir(parents=True, exist_ok=True)
    for name, state in files.items():
        path = folder / f"{name}{suffix}"
        if suffix == ".safetensors":
            save_file(state, path)
        else:
            torch.save({"state_dict": state} if name in WRAPPED else state, path)
        options += ["--" + name.replace("_", "-"), str(path)]
    return options
