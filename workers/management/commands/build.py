"""`manage.py build VARIANT --from SOURCE --out PLACE`: as `python -m model_zoo.build`, shard by shard on the workers."""

from argparse import ArgumentParser
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from tqdm import tqdm

from backend.datasets import builds
from backend.datasets.models import Build
from backend.jobs import UserError
from model_zoo.build.__main__ import add_arguments, settings_of
from model_zoo.build.place import S3
from model_zoo.io.errors import BadInput
from workers.building import LIBRARY
from workers.waiting import look_for_workers, polls


class Command(BaseCommand):
    """The command."""

    help = (
        "Build a data set (Iso-3DO, RP-3DO) on the workers, one job per shard, and wait for it. --from and --meshes may "
        "also be the word library: the platform's own meshes. Run it again to go on with a build that failed."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """The arguments of python -m model_zoo.build, without its phases."""
        add_arguments(parser)
        parser.add_argument("--no-wait", action="store_false", dest="wait", help="return when it is queued")

    def handle(self, *args: Any, **options: Any) -> None:
        """Queue, and wait unless told otherwise; exit code 1 when the build fails."""
        try:
            wanted = asdict(settings_of(SimpleNamespace(**options)))  # type: ignore[arg-type]
            variant, source = wanted.pop("variant"), _absolute(wanted.pop("source"))
            wanted |= {name: _absolute(wanted[name]) for name in ("meshes", "encoder") if wanted[name]}
            build = builds.begin(
                variant=variant, source=source, out=_absolute(options["out"]), options=wanted
            )
        except (BadInput, UserError) as failure:
            raise CommandError(str(failure)) from None
        self.stdout.write(f"build {build.pk} is queued")
        if options["wait"]:
            look_for_workers()
            self._wait(build)

    def _wait(self, build: Build) -> None:
        with tqdm(total=100, unit="%", desc=f"{build.variant} build {build.pk}", disable=None) as bar:
            for _ in polls():
                build.refresh_from_db()
                bar.n = round(builds.progress(build) * 100)
                bar.set_postfix_str(build.state)
                if build.state in (Build.State.DONE, Build.State.FAILED):
                    break
        if build.state == Build.State.FAILED:
            raise CommandError(f"build {build.pk} failed: {build.error}")
        counts = build.counts
        self.stdout.write(
            f"{build.variant}-{build.sha256[:16]}: {counts['rows']} samples, {counts['shapes']} shapes, "
            f"{counts['refused']} refused (report.md) in {build.out}"
        )


def _absolute(place: str) -> str:
    """A path as any process of this machine finds it; the library and S3 stay as they are."""
    return place if place == LIBRARY or place.startswith(S3) else str(Path(place).resolve())
