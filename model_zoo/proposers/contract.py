"""Whether a command keeps to the protocol (PROTOCOL.md): the test that every adapter has to pass.

python -m model_zoo.proposers.contract [--seconds S] [--env NAME=VALUE] COMMAND...
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from model_zoo.finish.dedupe import occupancy, same_shape
from model_zoo.io.errors import BadInput
from model_zoo.io.poses import Pose
from model_zoo.library import make
from model_zoo.proposers import child
from model_zoo.proposers.command import PROTOCOL, Answer, CommandProposer, write_request
from model_zoo.proposers.interface import ObjectInput
from model_zoo.render import intrinsics, render, view_rotation

SIZE = (256, 256)
SEED, COUNT = 7, 2
LEAST_SCORE = 0.2  # outline and depth of the best candidate; far below what any model reaches, far above a wrong frame
# What a command may rely on besides what is named.
ENVIRONMENT = {"PATH": os.defpath, "LANG": "C.UTF-8"}


def rendered_mug() -> ObjectInput:
    """A mug seen from above in front of nothing, with its true points."""
    K = intrinsics(45, SIZE)
    pose = Pose(view_rotation(35, 25), np.array([0.02, 0.01, 0.5]), np.full(3, 1.2))
    seen = render(make("mug", 1), pose, K, SIZE)
    return ObjectInput(seen.rgb, seen.mask, seen.points(K), "mug")


def check(proposer: CommandProposer) -> Iterator[str]:
    """One line for everything that holds. Raises BadInput with one line for the first that does not."""
    mug = rendered_mug()
    first = proposer.ask(mug, seed=SEED, count=COUNT)
    shapes = _shapes(first)
    yield f"{COUNT} candidates were asked for, {len(first.made)} given, by {first.model}"
    again = _shapes(proposer.ask(mug, seed=SEED, count=COUNT))
    if not all(same_shape(a, b) for a, b in zip(shapes, again, strict=True)):
        raise BadInput("the same seed gives other shapes when it is asked again")
    yield "the same seed gives the same shapes again"
    (alone,) = _shapes(proposer.ask(mug, seed=SEED + 1, count=1))
    if not same_shape(shapes[1], alone):
        raise BadInput("candidate 1 of a seed is not candidate 0 of the next: it depends on the count")
    yield "a candidate depends on its own seed alone"
    if np.array_equal(shapes[0], shapes[1]):
        raise BadInput("two seeds give one and the same shape")
    yield "two seeds give two shapes"
    best = proposer.placed(replace(first, made=first.made[:1]), mug, SEED)[0]
    if best.score < LEAST_SCORE:
        raise BadInput(f"posed, it covers the object only to {best.score:.2f}: is the frame right, is y up?")
    how = "with a pose of its own" if first.made[0] and first.made[0].pose else "turned and fitted here"
    yield f"outline and depth agree to {best.score:.2f}, {how}"
    _refuses(proposer, "protocol", PROTOCOL + 98, mug)
    yield "a request of another protocol ends in an error and no result"


def _shapes(answer: Answer) -> list[np.ndarray]:
    if any(made is None for made in answer.made):
        raise BadInput(f"a candidate of a plain mug failed{answer.why}")
    return [occupancy(made.mesh) for made in answer.made if made is not None]


def _refuses(proposer: CommandProposer, field: str, value: int, obj: ObjectInput) -> None:
    with tempfile.TemporaryDirectory(prefix="maquette-") as name:
        folder = Path(name)
        write_request(folder, obj, seed=SEED, count=1)
        request = json.loads((folder / "request.json").read_text())
        (folder / "request.json").write_text(json.dumps({**request, field: value}))
        try:
            child.run(
                [*proposer.command, name], folder, environment=proposer.environment, seconds=proposer.seconds
            )
        except BadInput as refusal:
            if refusal.code == "failed" and not (folder / "result.json").exists():
                return
        raise BadInput(f"a request with {field} {value} must end with a code other than 0 and no result.json")


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m model_zoo.proposers.contract", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--seconds", type=float, default=900, help="of one call")
    parser.add_argument(
        "--env", action="append", default=[], metavar="NAME=VALUE", help="passed on; HOME, for one"
    )
    parser.add_argument("command", nargs=argparse.REMAINDER)
    args = parser.parse_args(argv)
    if not args.command:
        parser.error("name the command")
    named = dict(pair.split("=", 1) for pair in args.env if "=" in pair)
    # The command runs in another folder.
    words = [str(Path(word).absolute()) if Path(word).is_file() else word for word in args.command]
    proposer = CommandProposer(words, environment={**ENVIRONMENT, **named}, seconds=args.seconds)
    try:
        for line in check(proposer):
            print(f"ok: {line}", flush=True)
    except BadInput as fault:
        print(f"error: {fault}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
