"""`manage.py flywheel --iterations K --recipe tiny --out DIR`: the closed loop with simulated annotators, and a report."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from backend.proposals.models import Proposer
from workers import company, flywheel


class Command(BaseCommand):
    """The command."""

    help = "Scenes, candidates, simulated answers, releases, SFT, DPO, evaluation, promotion; K times, with a report."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Options."""
        parser.add_argument("--iterations", type=int, default=2)
        parser.add_argument("--recipe", choices=("tiny", "small", "full"), default="tiny")
        parser.add_argument(
            "--out", type=Path, required=True, help="folder for report.md, report.json, report.png"
        )
        parser.add_argument("--scenes", type=int, default=8, help="new scenes per iteration")
        parser.add_argument("--annotators", type=int, default=8)
        parser.add_argument("--noise", type=float, default=0.2)
        parser.add_argument("--alpha", type=float, default=0.3, help="bar of the batches")
        parser.add_argument(
            "--steps", type=int, default=None, help="training steps per stage (default: the recipe's)"
        )
        parser.add_argument("--held-out", type=int, default=60, help="synthetic objects an evaluation scores")
        parser.add_argument("--seed", type=int, default=0)
        parser.add_argument(
            "--url", default="", help="a running server; without it one is started for this command"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Exit code 1 with one line when a step fails."""
        if min(options["iterations"], options["scenes"], options["held_out"]) < 1 or not 1 <= options["annotators"] <= 64:
            raise CommandError("--iterations, --scenes and --held-out are at least 1, --annotators 1 to 64")
        if not 0 <= options["noise"] <= 1 or not 0 <= options["alpha"] <= 1:
            raise CommandError("--noise and --alpha are between 0 and 1")
        out: Path = options["out"]
        if out.exists() and any(out.iterdir()):
            raise CommandError(f"{out} is not empty: name a new folder")
        if not Proposer.objects.filter(active=True).exclude(kind=Proposer.Kind.ARTIST).exists():
            raise CommandError("there are no proposers yet: run `manage.py demo_seed` first")
        names = ("iterations", "recipe", "scenes", "annotators", "noise", "alpha", "steps", "held_out", "seed")
        plan = flywheel.Plan(**{name: options[name] for name in names})
        with company.web(options["url"]) as url, company.worker():
            turns = flywheel.run(plan, url, self.stdout.write)
        self.stdout.write(f"report: {flywheel.write_report(plan, turns, out)}")
