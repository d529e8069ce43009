"""`manage.py evaluate CHECKPOINT --data RELEASE [--against CHECKPOINT]`: as `python -m model_zoo.evaluate`, on a worker."""

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from tqdm import tqdm

from backend.jobs import UserError
from backend.models import Job
from backend.training import services
from backend.training.models import Evaluation
from workers.training_runs import EVALUATE_OPTIONS, checkpoint_of, release_of
from workers.waiting import look_for_workers, wait


class Command(BaseCommand):
    """The command."""

    help = (
        "Measure a checkpoint on a worker, beside another one; the figures become a row. Waits for the end."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """The arguments of python -m model_zoo.evaluate; releases also by number, checkpoints also by name."""
        parser.add_argument("checkpoint", help="name or folder of a checkpoint")
        parser.add_argument(
            "--data", default=services.SYNTHETIC, metavar="DIR|ID", help="a release, or the word synthetic"
        )
        parser.add_argument("--against", metavar="CHECKPOINT", help="name or folder of another checkpoint")
        parser.add_argument("--out", metavar="FILE", help="also write the figures as JSON")
        parser.add_argument(
            "--wait", action="store_true", default=True, help="return when it has ended (default)"
        )
        parser.add_argument("--no-wait", action="store_false", dest="wait", help="return when it is queued")
        for name, kind in EVALUATE_OPTIONS.items():
            parser.add_argument(f"--{name}", type=kind)

    def handle(self, *args: Any, **options: Any) -> None:
        """Queue, and wait unless told otherwise; exit code 1 when the evaluation fails."""
        try:
            row = services.start_evaluation(
                checkpoint=checkpoint_of(options["checkpoint"]),
                against=checkpoint_of(options["against"]) if options["against"] else None,
                release=None if options["data"] == services.SYNTHETIC else release_of(options["data"]),
                options={name: options[name] for name in EVALUATE_OPTIONS if options[name] is not None},
            )
        except UserError as failure:
            raise CommandError(str(failure)) from None
        if not options["wait"] or row.job is None:
            self.stdout.write(f"evaluation {row.pk} is queued")
            return
        look_for_workers()
        with tqdm(desc=f"evaluation {row.pk}", bar_format="{desc} {elapsed} {postfix}", disable=None) as bar:
            job = wait(row.job.pk, show=lambda job: bar.set_postfix_str(job.state))
        if job.state != Job.State.DONE:
            raise CommandError(
                f"evaluation {row.pk} {job.state}: {(job.error or 'no reason given').splitlines()[0]}"
            )
        metrics = Evaluation.objects.get(pk=row.pk).metrics
        if options["out"]:
            with open(options["out"], "w") as file:
                json.dump(metrics, file, indent=1)
        against = metrics.get("against", {})
        self.stdout.write(
            f"{metrics.get('examples')} examples of {metrics.get('data')}, split {metrics.get('split')}"
        )
        for name, value in metrics.items():
            if isinstance(value, float):
                self.stdout.write(
                    f"{name:26}{value:12.4f}" + (f"{against[name]:12.4f}" if name in against else "")
                )
