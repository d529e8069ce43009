"""Files as the authors release them, with random values, of any size: what `model_zoo.convert` reads."""

from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from model_zoo.checkpoint import KINDS
from model_zoo.convert import BACKBONES, DUPLICATE, FILES

# As released: generators have a key "state_dict" around their tensors, decoders have none.
WRAPPED = ("ss_generator", "slat_generator")


def tensors(kind: str, config, seed: int = 0) -> dict[str, dict[str, Tensor]]:
    """File -> its tensors under the released names; the two image backbones are the same, as in the real files."""
    with torch.device("meta"):
        model = KINDS[kind].model(config)
    dice, files = torch.Generator().manual_seed(seed), {}
    tables = KINDS[kind].tables(config)
    for file, parts in FILES[kind].items():
        files[file] = {}
        for part, prefix in parts.items():
            for name, value in model.get_submodule(part).state_dict().items():
                own = tables.get(KINDS[kind].prefixes[part + "."] + name)
                drawn = torch.rand(value.shape, generator=dice) - 0.5
                files[file][prefix + name] = drawn if own is None else own.clone()
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
