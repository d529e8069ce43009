"""Build a data set: plan -> shards -> index.

python -m model_zoo.build iso3do --from meshes --out iso           everything, on all cores; run again to resume
python -m model_zoo.build iso3do --from meshes --out iso --plan    only the plan: which shard is made of what
python -m model_zoo.build iso3do --from meshes --out iso --shard 12     one shard of it, on any machine
python -m model_zoo.build iso3do --from meshes --out iso --finish  the index, when all shards are there
"""

import argparse
import os
import sys

from model_zoo.build.finish import FORMAT, finish
from model_zoo.build.kinds import Settings
from model_zoo.build.local import build_all, build_shard, planned, stocks
from model_zoo.build.place import place_of
from model_zoo.build.plan import read_plan, same_build
from model_zoo.build.run import is_done
from model_zoo.build.variants import VARIANTS
from model_zoo.io.errors import BadInput

SIZES = (64, 2048)
RENDERERS = ("gl", "embree")


def parser() -> argparse.ArgumentParser:
    lines = (__doc__ or "").splitlines()
    top = argparse.ArgumentParser(
        prog="python -m model_zoo.build",
        description=lines[0],
        epilog="\n".join(lines[2:]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_arguments(top)
    add_phases(top)
    top.add_argument(
        "--workers", type=int, default=os.cpu_count() or 1, help="processes (default: one per core)"
    )
    return top


def add_arguments(top: argparse.ArgumentParser) -> None:
    """What a build is asked for; `manage.py build` takes the same."""
    top.add_argument("variant", choices=VARIANTS, metavar="|".join(VARIANTS), help="the data set to build")
    top.add_argument(
        "--from", dest="source", required=True, metavar="DIR|s3://…",
        help="folder, ZIP or S3 prefix of meshes (iso3do) or of photos with masks and depth (rp3do)",
    )  # fmt: skip
    top.add_argument("--out", required=True, metavar="DIR|s3://…", help="where the data set goes")
    top.add_argument(
        "--meshes", default="", metavar="DIR|s3://…", help="meshes to paste, where they are not in --from"
    )
    top.add_argument("--limit", type=int, default=0, metavar="N", help="at most N meshes (iso3do) or samples")
    top.add_argument("--seed", type=int, default=0, metavar="S")
    top.add_argument(
        "--size", type=int, default=Settings.size, help="pixels along the longer side of a picture"
    )
    top.add_argument("--views", type=int, default=Settings.views, help="views of a mesh (iso3do)")
    top.add_argument(
        "--encoder",
        default="",
        metavar="CHECKPOINT",
        help="also store the latents that its encoders give (iso3do)",
    )
    top.add_argument(
        "--renderer", choices=("auto", *RENDERERS), default="auto",
        help="OpenGL or rays; auto: OpenGL where the machine that plans has it",
    )  # fmt: skip


def add_phases(top: argparse.ArgumentParser) -> None:
    """The parts of a build that a scheduler runs one by one."""
    phase = top.add_mutually_exclusive_group()
    phase.add_argument("--plan", action="store_true", help="only write the plan")
    phase.add_argument("--shard", type=int, metavar="N", help="only build shard N of the plan that is there")
    phase.add_argument(
        "--finish", action="store_true", help="only make the index of the shards that are there"
    )


def settings_of(args: argparse.Namespace) -> Settings:
    """The build that is asked for. Raises BadInput."""
    for name, place in (("--from", args.source), ("--out", args.out)):
        if not place.strip():
            raise BadInput(f"{name} is empty: name a folder or s3://BUCKET/PREFIX", "bad_argument")
    if not SIZES[0] <= args.size <= SIZES[1]:
        raise BadInput(f"--size: {SIZES[0]} to {SIZES[1]} pixels", "bad_argument")
    if args.limit < 0 or args.seed < 0 or not 1 <= args.views <= 1000:
        raise BadInput("--limit and --seed cannot be negative, --views is 1 to 1000", "bad_argument")
    if args.meshes and args.variant == "iso3do":
        raise BadInput("--meshes: iso3do takes its meshes from --from", "bad_argument")
    if args.encoder and args.variant != "iso3do":
        raise BadInput(
            "--encoder: latents are made with iso3do; rp3do takes them over from --meshes ISO", "bad_argument"
        )
    return Settings(
        args.variant,
        args.source,
        args.seed,
        args.limit,
        args.size,
        args.views,
        args.meshes,
        args.encoder,
        args.renderer,
    )


def run(settings: Settings, args: argparse.Namespace) -> str:
    """Do the phase that is asked for; a line that says what came of it."""
    place = place_of(args.out)
    if args.shard is not None:
        summary = read_plan(place)
        if summary is None or not 0 <= args.shard < summary.shards:
            there = "no plan" if summary is None else f"shards 0 to {summary.shards - 1}"
            raise BadInput(f"there is no shard {args.shard} to build: {args.out} has {there}", "no_shard")
        settings = same_build(summary, settings)
        if is_done(place, args.shard):
            return f"shard {args.shard} is there already"
        rows, refused = build_shard(settings, args.out, args.shard)
        return f"shard {args.shard}: {rows} samples, {refused} refused"
    if not args.finish:
        if args.plan:
            summary, _ = planned(settings, place, stocks(settings))
            return f"{summary.shards} shards planned in {args.out}/plan"
        build_all(settings, args.out, max(1, args.workers))
    summary = read_plan(place)
    if summary is None:
        raise BadInput(f"{args.out} has no plan to finish", "no_plan")
    same_build(summary, settings)
    manifest = finish(summary, place)
    place.tidy()
    counts = manifest["counts"]
    return (
        f"{manifest['id']} ({FORMAT}): {counts['rows']} samples, {counts['shapes']} shapes, "
        f"{counts['refused']} refused (report.md) in {args.out}"
    )


def main(argv: list[str] | None = None) -> int:
    args = parser().parse_args(argv)
    try:
        print(run(settings_of(args), args))
    except BadInput as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stopped; the same command goes on where it was", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
