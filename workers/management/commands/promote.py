"""`manage.py promote CHECKPOINT`: make it the flow proposer in place of the one before."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from backend.jobs import UserError
from backend.training import services
from workers.training_runs import checkpoint_of


class Command(BaseCommand):
    """The command."""

    help = "Make a checkpoint the flow proposer; `demote` goes back to the one before."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """CHECKPOINT."""
        parser.add_argument(
            "checkpoint", help="name of a checkpoint, or a checkpoint folder, which is then kept by its name"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Promote; exit code 1 when there is no such checkpoint."""
        try:
            found = checkpoint_of(options["checkpoint"])
            services.promote(found)
        except UserError as failure:
            raise CommandError(str(failure)) from None
        self.stdout.write(f"{found.name} proposes from now on")
