"""Turns released SAM 3D Objects files that you hold into checkpoint folders, OUT/geometry and OUT/texture.

python -m model_zoo.convert --ss-generator F --ss-decoder F [--ss-encoder F]
    [--slat-generator F --slat-decoder-gs F --slat-decoder-gs-4 F --slat-decoder-mesh F] --out OUT [--dtype float16]
python -m model_zoo.convert --dinov2 F [--recipe full] --out OUT     a fresh geometry model on DINOv2's own weights
The weights stay under the licence of their authors. Nothing is downloaded, and of a file only tensors are read.
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from model_zoo import checkpoint
from model_zoo.checkpoint import KINDS, STORED
from model_zoo.geometry.embedder import share_backbones
from model_zoo.io.errors import BadInput
from model_zoo.weights import WeightFile, some, write

LICENCE = "SAM License: converted from the released files, to be used and passed on under that licence only"
DINO_LICENCE = "Apache-2.0"
TABLE_ERROR = 2e-3  # of a fixed table that was stored in half precision
BACKBONES = [f"_base_models.condition_embedder.module_list.{i}.backbone." for i in (0, 1)]
DUPLICATE = "_base_models.decoder."  # ss_generator repeats the occupancy decoder

GENERATOR = {
    "embedder": "_base_models.condition_embedder.",
    "transformer": "_base_models.generator.reverse_fn.backbone.",
}
# File -> our part -> the prefix that its tensors have there.
FILES = {
    "geometry": {"ss_generator": GENERATOR, "ss_decoder": {"decoder": ""}, "ss_encoder": {"encoder": ""}},
    "texture": {
        "slat_generator": GENERATOR,
        "slat_decoder_gs": {"gaussian_decoder": ""},
        "slat_decoder_gs_4": {"gaussian_decoder_4": ""},
        "slat_decoder_mesh": {"mesh_decoder": ""},
    },
}
NEEDED = {"geometry": ("ss_generator", "ss_decoder"), "texture": ("slat_generator",)}


class Plan(NamedTuple):
    """What becomes one checkpoint folder: stored name -> where its tensor is, and how the config describes the rest."""

    kind: str
    config: object
    sources: dict[str, tuple[WeightFile, str]]
    absent: set[str]
    files: dict[str, WeightFile]


def planned(kind: str, config: object, files: Mapping[str, WeightFile]) -> Plan:
    """The plan of a kind, every name and shape checked against the model. Raises BadInput listing what does not fit."""
    prefixes = KINDS[kind].prefixes
    with torch.device("meta"):
        model = KINDS[kind].model(config)
    sources: dict[str, tuple[WeightFile, str]] = {}
    parts: set[str] = set()
    for file_name, file in files.items():
        held = FILES[kind][file_name]
        wanted = {}
        for part, prefix in held.items():
            shapes = {n: tuple(v.shape) for n, v in model.get_submodule(part).state_dict().items()}
            wanted |= {prefix + n: (prefixes[part + "."] + n, shape) for n, shape in shapes.items()}
        _check(file_name, file, {n: shape for n, (_, shape) in wanted.items()})
        sources |= {stored: (file, n) for n, (stored, _) in wanted.items()}
        parts |= set(held)
    _check_duplicate(files)
    absent = {name for name, _ in model.named_children()} - parts
    return Plan(kind, config, dict(sorted(sources.items())), absent, dict(files))


def _check(what: str, file: WeightFile, wanted: Mapping[str, tuple[int, ...]]) -> None:
    """Exactly the wanted tensors, but for the duplicate decoder, in their shapes."""
    found = {n for n in file.names if not (what == "ss_generator" and n.startswith(DUPLICATE))}
    faults = [
        f"{len(names)} {label}: {some(names)}"
        for label, names in (("missing", set(wanted) - found), ("left over", found - set(wanted)))
        if names
    ]
    if faults:
        raise BadInput(
            f"{file.path.name} is not the {what} of this size; tensors {'; '.join(faults)}", "other_model"
        )
    shapes = {n: tuple(file.get(n).shape) for n in wanted}
    wrong = [f"{n} is {shapes[n]}, not {shape}" for n, shape in wanted.items() if shapes[n] != shape]
    if wrong:
        raise BadInput(
            f"{file.path.name}: {len(wrong)} tensors of another shape: {some(wrong)}", "other_model"
        )
    odd = [n for n in wanted if not file.get(n).is_floating_point()]
    if odd:
        raise BadInput(
            f"{file.path.name}: {len(odd)} tensors are not floating point: {some(odd)}", "other_model"
        )


def _check_duplicate(files: Mapping[str, WeightFile]) -> None:
    generator, decoder = files.get("ss_generator"), files.get("ss_decoder")
    if generator is None or decoder is None:
        return
    copies = [n for n in generator.names if n.startswith(DUPLICATE)]
    differing = [
        n for n in copies
        if n[len(DUPLICATE) :] not in decoder.names or not _same(generator.get(n), decoder.get(n[len(DUPLICATE) :]))
    ]  # fmt: skip
    if differing:
        raise BadInput(
            f"{generator.path.name} repeats another decoder than {decoder.path.name}: "
            f"{len(differing)} of {len(copies)} tensors differ: {some(differing)}",
            "other_decoder",
        )


def _same(a: Tensor, b: Tensor) -> bool:
    return a.shape == b.shape and a.dtype == b.dtype and torch.equal(a, b)


def alike(one: Plan, prefix: str, other: Plan, other_prefix: str) -> bool:
    """Whether all tensors below two prefixes are equal, bit for bit."""
    names = {n[len(prefix) :] for n in one.sources if n.startswith(prefix)}
    if names != {n[len(other_prefix) :] for n in other.sources if n.startswith(other_prefix)}:
        return False
    return all(_same(_tensor(one, prefix + n), _tensor(other, other_prefix + n)) for n in sorted(names))


def _tensor(plan: Plan, stored: str) -> Tensor:
    file, name = plan.sources[stored]
    return file.get(name)


def convert(
    plans: list[Plan], out: Path, *, recipe: str, stored: str = "float32", apart: bool = False
) -> list[Path]:
    """Writes one folder per plan, each whole or not at all, tensor by tensor; image backbones that are equal once.

    `apart` keeps the second model from borrowing the backbone of the first. Raises BadInput for a value that is not
    finite, a fixed table that is not ours, or a folder that is there already.
    """
    taken = [out / plan.kind for plan in plans if (out / plan.kind).exists()]
    if taken:
        raise BadInput(f"{taken[0]} is there already: choose another --out", "exists")
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".converting-", dir=out) as work:
        made, first = [], None
        for plan in plans:
            shared = {BACKBONES[1]: BACKBONES[0]} if alike(plan, BACKBONES[1], plan, BACKBONES[0]) else {}
            borrowed = {}
            if first is not None and not apart:
                own = [b for b in BACKBONES if b not in shared]
                borrowed = {b: BACKBONES[0] for b in own if alike(plan, b, first, BACKBONES[0])}
            folder = Path(work) / plan.kind
            _write(plan, folder, recipe=recipe, stored=stored, shared=shared, borrowed=borrowed)
            made.append(folder)
            first = first or plan
        return [folder.rename(out / folder.name) for folder in made]


def _write(
    plan: Plan,
    folder: Path,
    *,
    recipe: str,
    stored: str,
    shared: Mapping[str, str],
    borrowed: Mapping[str, str],
) -> None:
    folder.mkdir()
    left_out = (*shared, *borrowed) or ("\0",)
    names = [n for n in plan.sources if not n.startswith(left_out)]
    shapes = {n: tuple(_tensor(plan, n).shape) for n in names}
    write(folder / checkpoint.WEIGHTS, shapes, STORED[stored], _checked(plan, names, STORED[stored]))
    entry = None
    if borrowed:
        file = WeightFile(folder.parent / "geometry" / checkpoint.WEIGHTS)
        lent = {n: file.get(n) for n in file.names if n.startswith(tuple(borrowed.values()))}
        entry = {"prefixes": dict(borrowed), "sha256": checkpoint.digest(lent)}
    checkpoint.write_config(
        folder, plan.config, kind=plan.kind, recipe=recipe, stored=stored, absent=plan.absent, shared=shared,
        borrowed=entry,
    )  # fmt: skip
    files = {name: file.facts() for name, file in plan.files.items()}
    checkpoint.write_card(
        folder, {"stage": "released", "model": plan.kind, "files": files, "licence": LICENCE}
    )


def _checked(plan: Plan, names: list[str], dtype: torch.dtype) -> Iterator[Tensor]:
    """The tensors in their stored type, each checked."""
    tables = KINDS[plan.kind].tables(plan.config)
    for name in names:
        value = _tensor(plan, name)
        if not value.isfinite().all():
            raise BadInput(f"{plan.sources[name][0].path.name}: {name} holds NaN or infinity", "not_finite")
        if name in tables:
            _check_table(plan, name, value, tables[name])
        short = value.to(dtype)
        if not short.isfinite().all():
            raise BadInput(f"{name} does not fit {dtype}: use --dtype bfloat16 or float32", "not_finite")
        yield short


def _check_table(plan: Plan, name: str, value: Tensor, own: Tensor) -> None:
    """A fixed table (positions of the shape tokens, offsets of the Gaussians) must be the one that our code makes."""
    off = float((value.float() - own).abs().max())
    if off > TABLE_ERROR:
        raise BadInput(
            f"{plan.sources[name][0].path.name}: {name} differs from our table by {off:.3g}", "other_table"
        )


def use_backbone(model: nn.Module, file: WeightFile) -> None:
    """Puts DINOv2 weights with hub names into both image embedders of a model, which then share one backbone."""
    embedders = model.embedder.module_list[:2]
    wanted = {n: tuple(v.shape) for n, v in embedders[0].backbone.state_dict().items()}
    _check("DINOv2 backbone", file, wanted)
    state = {n: nn.Parameter(file.get(n).float().clone()) for n in wanted}
    if not all(value.isfinite().all() for value in state.values()):
        raise BadInput(f"{file.path.name} holds NaN or infinity", "not_finite")
    for embedder in embedders:
        embedder.backbone.load_state_dict(state, strict=True, assign=True)
    share_backbones(model.embedder)


def main(argv: list[str] | None = None) -> int:
    args = _arguments(argv)
    try:
        made = _from_dino(args) if args.dinov2 else _from_released(args)
    except (BadInput, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    for folder in made:
        size = (folder / checkpoint.WEIGHTS).stat().st_size
        print(f"{folder}: {size / 1e9:.2f} GB {args.dtype}")
    return 0


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m model_zoo.convert",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    for kind, files in FILES.items():
        for name in files:
            option = "--" + name.replace("_", "-")
            parser.add_argument(
                option, type=Path, help=f"the released {name}, .ckpt or .safetensors ({kind})"
            )
    parser.add_argument(
        "--dinov2", type=Path, help="dinov2_vitl14_reg4_pretrain.pth, for a fresh geometry model"
    )
    parser.add_argument(
        "--recipe", default="full", help="size of the models in the files: full is the released one"
    )
    parser.add_argument("--dtype", choices=sorted(STORED), default="float32", help="of the stored weights")
    parser.add_argument(
        "--apart", action="store_true", help="texture gets its own copy of a backbone that is the same"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the fresh weights around --dinov2")
    parser.add_argument("--out", type=Path, required=True)
    return parser.parse_args(argv)


def _from_released(args: argparse.Namespace) -> list[Path]:
    plans = []
    for kind, names in FILES.items():
        given = {n: path for n in names if (path := getattr(args, n)) is not None}
        if not given:
            continue
        lacking = [n for n in NEEDED[kind] if n not in given]
        if lacking:
            raise BadInput(f"{kind} needs --{lacking[0].replace('_', '-')} too", "missing_file")
        plans.append(
            planned(kind, _config(kind, args.recipe), {n: WeightFile(path) for n, path in given.items()})
        )
    if not plans:
        raise BadInput(
            "name the files: --ss-generator and --ss-decoder, --slat-generator, or --dinov2", "missing_file"
        )
    return convert(plans, args.out, recipe=args.recipe, stored=args.dtype, apart=args.apart)


def _config(kind: str, recipe: str) -> object:
    if recipe not in KINDS[kind].recipes:
        raise BadInput(f"{kind} has no recipe {recipe!r}: {sorted(KINDS[kind].recipes)}")
    return KINDS[kind].recipes[recipe]()


def _from_dino(args: argparse.Namespace) -> list[Path]:
    folder, file = args.out / "geometry", WeightFile(args.dinov2)
    if folder.exists():
        raise BadInput(f"{folder} is there already: choose another --out", "exists")
    _config("geometry", args.recipe)
    torch.manual_seed(args.seed)
    model = checkpoint.fresh(args.recipe)
    use_backbone(model, file)
    card = {"stage": "fresh", "seed": args.seed, "files": {"dinov2": file.facts()}, "licence": DINO_LICENCE}
    checkpoint.save(folder, model, recipe=args.recipe, card=card, stored=args.dtype)
    return [folder]


if __name__ == "__main__":
    sys.exit(main())
