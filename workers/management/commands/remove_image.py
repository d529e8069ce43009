"""`manage.py remove_image ID|SHA256|NAME --reason TEXT [--erase]`: take a photo out of all work and all later releases."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from backend.datasets import removal
from backend.jobs import UserError


class Command(BaseCommand):
    """The command."""

    help = (
        "Remove a photo on request: its tasks end, no later release holds it, the same bytes are not imported again. "
        "Names the frozen releases that hold it: these never change."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Which photo, why, and whether its bytes go too."""
        parser.add_argument("image", help="id, sha256 (8 digits or more) or name of the photo")
        parser.add_argument(
            "--reason", required=True, help="why it is removed; kept with the photo and in the audit trail"
        )
        parser.add_argument(
            "--erase", action="store_true",
            help="also delete its bytes (photo, masks, points) from the store, unless a release in the store holds it",
        )  # fmt: skip

    def handle(self, *args: Any, **options: Any) -> None:
        """Remove it and say what that touched; exit code 1 when there is no such photo or no reason."""
        reason = options["reason"].strip()
        if not reason:
            raise CommandError("--reason: say why")
        try:
            done = removal.remove(removal.find(options["image"]), reason=reason, erase=options["erase"])
        except UserError as failure:
            raise CommandError(str(failure)) from None
        self.stdout.write(
            f"removed photo {done.image} ({done.name}): {done.tasks} tasks and {done.leases} leases ended"
        )
        for release in done.releases:
            place = release.location or "the store"
            self.stdout.write(
                f"held by {release.kind} release {release.id}: {release.rows} rows, {release.sha256}, in {place}"
            )
        if done.kept_for:
            self.stdout.write(
                f"its bytes stay: releases {', '.join(map(str, done.kept_for))} lie in the store and hold it"
            )
        elif options["erase"]:
            self.stdout.write(f"erased {done.erased} files from the store")
