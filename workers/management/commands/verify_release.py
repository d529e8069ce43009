"""`manage.py verify_release DIR|ID`: hash every file and member again and check every row."""

import tempfile
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from tqdm import tqdm

from backend.datasets import services
from backend.jobs import UserError
from workers.release_check import bases_of, check
from workers.release_places import materialise


class Command(BaseCommand):
    """The command."""

    help = (
        "Check a release: every file's hash, every member's, and that every row points at what it names. "
        "Of one that builds on others, also that the chain holds every row once."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """DIR or ID, and folders of what it builds on."""
        parser.add_argument("release", metavar="DIR|ID", help="a release's folder, its number, uid or sha256")
        parser.add_argument(
            "--base",
            action="append",
            default=[],
            metavar="DIR",
            type=Path,
            help="folder of a release that the one in DIR builds on; once for each of the chain (with ID they are known)",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Print what was found; exit code 1 with each problem on a line when something is wrong."""
        try:
            with (
                self._opened(options["release"]) as (folder, sha256, known),
                tqdm(unit=" rows", desc="checking", disable=None) as bar,
            ):

                def show(done: int, total: int) -> None:
                    bar.total, bar.n = total, done
                    bar.refresh()

                found = check(folder, show, [*known, *options["base"]])
        except UserError as failure:
            raise CommandError(str(failure)) from None
        if sha256 and found.sha256 and found.sha256 != sha256:
            found.wrong("the manifest is not the one that was frozen")
        if found.problems:
            raise CommandError("\n".join(found.problems))
        self.stdout.write(
            f"{found.id} is whole: {found.files} files, {found.members} members, {found.rows} rows; sha256 {found.sha256}"
            + (f"; the chain of {found.chain + 1} releases holds every row once" if found.chain else "")
        )

    @contextmanager
    def _opened(self, reference: str) -> Iterator[tuple[Path, str, list[Path]]]:
        """The release's folder and, when it is known here, the hash with which it was frozen and what it builds on."""
        if Path(reference).is_dir():
            yield Path(reference), "", []
            return
        release = services.find(reference)
        scratch = settings.HOME / "tmp"
        scratch.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="verify-", dir=scratch) as name:
            folder = Path(name)
            yield materialise(release, folder / "release"), release.sha256, bases_of(release, folder)
