"""Command line of the training stages.

python -m model_zoo.train pretrain --model geometry --data synthetic --recipe tiny --out DIR --seed 0
"""

import argparse
import sys
from pathlib import Path

from model_zoo.geometry.recipes import RECIPES
from model_zoo.io.errors import BadInput
from model_zoo.train import distill, dpo, pretrain, sft
from model_zoo.train.settings import with_defaults

STAGES = {
    "pretrain": pretrain.run,
    "midtrain": pretrain.run,
    "sft": sft.run,
    "dpo": dpo.run,
    "distill": distill.run,
}
WHAT = {
    "pretrain": "from nothing: occupancy codec, then flow matching",
    "midtrain": "flow matching on harder data, from --init",
    "sft": "flow matching on a release of accepted samples, from --init",
    "dpo": "preference pairs of a release, from --init",
    "distill": "few-step sampling by the shortcut objective, from --init",
}
MODELS = ("geometry", "texture", "ss_vae", "slat_vae")


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="python -m model_zoo.train", description="Train a stage of the model.")
    stages = top.add_subparsers(dest="stage", required=True, metavar="STAGE")
    for name in STAGES:
        p = stages.add_parser(
            name, help=WHAT[name], description=WHAT[name], argument_default=argparse.SUPPRESS
        )
        p.add_argument("--model", choices=MODELS, default="geometry")
        p.add_argument(
            "--data",
            nargs="+",
            required=True,
            metavar="DIR",
            help="releases or built data sets (folders or s3://BUCKET/PREFIX), or the word synthetic",
        )
        p.add_argument(
            "--where", metavar="FILTER", help="take only rows such as \"r >= 0.8 and category == 'mug'\""
        )
        p.add_argument("--recipe", choices=sorted(RECIPES), default="tiny")
        p.add_argument(
            "--out",
            type=Path,
            required=True,
            metavar="DIR",
            help="OUT/checkpoint, OUT/log.jsonl and OUT/state go here",
        )
        p.add_argument("--init", type=Path, metavar="CHECKPOINT", help="checkpoint folder to start from")
        p.add_argument("--resume", action="store_true", help="continue the run in --out")
        p.add_argument("--steps", type=positive(int), help="optimiser steps")
        p.add_argument("--seed", type=int)
        p.add_argument("--lr", type=positive(float))
        p.add_argument("--batch", type=positive(int), help="objects per step")
        p.add_argument("--draws", type=positive(int), help="noise draws per object and step")
        p.add_argument("--precision", choices=("auto", "fp32", "bf16"))
        p.add_argument("--device", help="auto, cpu or cuda")
        p.add_argument("--stored", choices=("float32", "float16"), help="precision of the written weights")
        p.add_argument(
            "--save-every", type=positive(int), dest="save_every", help="steps between saved states"
        )
        if name == "pretrain":
            p.add_argument(
                "--codec-steps", type=positive(int), dest="codec_steps", help="steps of the occupancy codec"
            )
        if name == "dpo":
            p.add_argument("--beta", type=positive(float))
            p.add_argument("--anchor", type=float, help="weight of the winner's own error")
        if name == "distill":
            p.add_argument("--strength", type=float, help="guidance baked into the targets")
        p.add_argument("--scenes", type=positive(int), help="pictures that --data synthetic composes")
        p.add_argument("--shapes", type=positive(int), help="shapes of each family in --data synthetic")
        p.add_argument(
            "--cache",
            type=Path,
            metavar="DIR",
            help="where rendered scenes and what is read from buckets are kept (default: OUT/cache)",
        )
    return top


def positive(kind):
    """An argparse type that accepts numbers above zero."""

    def parse(text: str):
        value = kind(text)
        if value <= 0:
            raise ValueError
        return value

    parse.__name__ = f"positive {kind.__name__}"
    return parse


def main(argv: list[str] | None = None) -> int:
    given = vars(parser().parse_args(argv))
    stage, model = given.pop("stage"), given.pop("model")
    try:
        if model != "geometry":
            raise BadInput(f"model {model} arrives with a later version: this one trains --model geometry")
        settings = with_defaults(stage, {**given, "data": tuple(given["data"])})
        STAGES[stage](settings)
    except BadInput as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stopped; --resume continues from the last saved state", file=sys.stderr)
        return 130
    print(f"checkpoint written to {settings.out / 'checkpoint'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
