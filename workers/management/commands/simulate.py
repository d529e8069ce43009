"""`manage.py simulate --batch NAME --annotators 8 --noise 0.2`: simulated annotators through the REST API."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from tqdm import tqdm

from backend.catalog.models import Batch
from workers import company
from workers.simulation import simulate


class Command(BaseCommand):
    """The command."""

    help = "Simulated annotators work a batch through the REST API against known truth; answers are marked as simulation."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Options."""
        parser.add_argument("--batch", required=True, help="name of the batch")
        parser.add_argument("--annotators", type=int, default=8, help="how many at once (1 to 64)")
        parser.add_argument(
            "--noise", type=float, default=0.2, help="share of answers that are a coin's, 0 to 1"
        )
        parser.add_argument("--seed", type=int, default=0)
        parser.add_argument(
            "--url", default="", help="a running server; without it one is started for this command"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Exit code 1 when the batch is not there or an answer was refused."""
        if not 1 <= options["annotators"] <= 64 or not 0 <= options["noise"] <= 1:
            raise CommandError("--annotators is 1 to 64 and --noise 0 to 1")
        batch = Batch.objects.filter(name=options["batch"]).first()
        if batch is None:
            raise CommandError(f"there is no batch {options['batch']}: import_images makes one")
        with company.web(options["url"]) as url, tqdm(unit=" tasks", desc="simulating") as bar:
            counts = simulate(
                url,
                batch,
                annotators=options["annotators"],
                noise=options["noise"],
                seed=options["seed"],
                tick=bar.update,
            )
        self.stdout.write(", ".join(f"{n} {what}" for what, n in sorted(counts.items())) or "nothing to do")
