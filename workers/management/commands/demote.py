"""`manage.py demote`: restore the checkpoint that was promoted before."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from backend.jobs import UserError
from backend.training import services


class Command(BaseCommand):
    """The command."""

    help = "End the current promotion and restore the checkpoint that proposed before."

    def handle(self, *args: Any, **options: Any) -> None:
        """Demote; exit code 1 when there is none to go back to."""
        try:
            restored = services.demote()
        except UserError as failure:
            raise CommandError(str(failure)) from None
        self.stdout.write(f"{restored.checkpoint.name} proposes again")
