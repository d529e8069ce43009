"""`manage.py propose --batch NAME [--wait]`: queue the candidates that the batch's objects still miss."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db.models import Count
from tqdm import tqdm

from backend.catalog.models import Batch
from backend.models import Job
from backend.proposals import services
from workers.waiting import look_for_workers, polls

SHOWN = 10


class Command(BaseCommand):
    """The command."""

    help = "Queue candidates for the objects of a batch; --wait returns when all their jobs have ended."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Options."""
        parser.add_argument("--batch", required=True, help="name of the batch")
        parser.add_argument("--wait", action="store_true", help="return when the candidates are there")

    def handle(self, *args: Any, **options: Any) -> None:
        """Queue, and wait if asked. Exit code 1 when an object ends with fewer than two candidates."""
        batch = Batch.objects.filter(name=options["batch"]).first()
        if batch is None:
            raise CommandError(f"there is no batch {options['batch']}: import_images makes one")
        try:
            sent = services.propose(batch)
        except services.NoProposers as failure:
            raise CommandError(f"nothing can be proposed: {failure} (demo_seed makes them)") from None
        self.stdout.write(f"{sent} jobs sent")
        try:
            look_for_workers()
        except CommandError as nobody:
            if options["wait"]:
                raise
            self.stderr.write(str(nobody))
        if options["wait"]:
            self._wait(batch)
            self._judge(batch)

    def _wait(self, batch: Batch) -> None:
        rows = Job.objects.filter(kind="propose", group__startswith=f"propose:{batch.pk}:")
        with tqdm(total=rows.count(), unit=" jobs", desc="proposing") as bar:
            for _ in polls():
                states = dict(rows.values_list("state").annotate(n=Count("id")))
                live = sum(states.get(state, 0) for state in services.LIVE)
                bar.n = bar.total - live
                bar.set_postfix(failed=states.get("failed", 0), refresh=True)
                if not live:
                    return

    def _judge(self, batch: Batch) -> None:
        short = services.shortfall(batch)
        for target, ready, error in short[:SHOWN]:
            self.stderr.write(f"{target} ({target.pk}): {ready} candidates; {error or 'no job failed'}")
        if short:
            raise CommandError(f"{len(short)} objects of {batch.name} have fewer than two candidates")
        self.stdout.write(f"every object of {batch.name} has candidates")
