"""`manage.py add_proposer sam3d CHECKPOINT | command NAME`: one more source of candidates, off until it is switched on."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from backend.jobs import UserError
from backend.proposals import services as proposals
from backend.proposals.models import Proposer
from backend.training import services
from model_zoo.pipeline import stages
from workers.training_runs import checkpoint_of

SHARE = 3


class Command(BaseCommand):
    """The command."""

    help = "Add a proposer: our model with given weights, or a command that the workers' settings hold."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """KIND and what it needs."""
        parser.add_argument("kind", choices=[Proposer.Kind.SAM3D, Proposer.Kind.COMMAND])
        parser.add_argument(
            "name",
            help="sam3d: a checkpoint's name or folder, or what python -m model_zoo.convert made of released files; "
            "command: NAME of MAQUETTE_ADAPTER_NAME in small letters, - for _",
        )
        parser.add_argument("--texture", help="sam3d: checkpoint of the second stage, by name or folder")
        parser.add_argument(
            "--share",
            type=int,
            choices=range(1001),
            metavar="N",
            default=SHARE,
            help="relative part of the candidates of an object",
        )
        parser.add_argument("--on", action="store_true", help="switch it on at once")

    def handle(self, *args: Any, **options: Any) -> None:
        """Add it; exit code 1 when it cannot be."""
        try:
            made = self._added(**options)
        except UserError as failure:
            raise CommandError(str(failure)) from None
        if made.kind == Proposer.Kind.COMMAND and made.name not in settings.ADAPTERS:
            self.stderr.write("no command of this name is set on this machine; the workers of the queue gpu need it")
        how = "proposes from now on" if made.active else "is off: switch it on in /admin/"
        self.stdout.write(f"{made.name} {how}")

    def _added(self, kind: str, name: str, texture: str | None, share: int, on: bool, **_: Any) -> Proposer:
        if kind == Proposer.Kind.COMMAND:
            if texture:
                raise UserError("--texture belongs to sam3d")
            return proposals.add(name, kind, share=share, active=on)
        folder, finishing = Path(name), None
        first, second = stages(folder)
        if first == folder:
            geometry = checkpoint_of(name)
        else:
            # The two are called alike in everything that model_zoo.convert makes.
            title = folder.resolve().name
            geometry = services.register_folder(first, f"{title}-{first.name}")
            finishing = services.register_folder(second, f"{title}-{second.name}") if second else None
        if texture:
            finishing = checkpoint_of(texture)
        return services.propose_with(geometry, texture=finishing, share=share, active=on)
