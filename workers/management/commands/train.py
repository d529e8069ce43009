"""`manage.py train STAGE --data RELEASE... --init CHECKPOINT`: as `python -m model_zoo.train`, on a worker, with rows."""

import shutil
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from tqdm import tqdm

from backend.jobs import UserError
from backend.models import Job
from backend.training import services
from backend.training.models import Checkpoint, TrainingRun
from workers.training_runs import TRAIN_OPTIONS, checkpoint_of, release_of
from workers.waiting import look_for_workers, wait


class Command(BaseCommand):
    """The command."""

    help = "Train a stage on a worker; the run, its log and its checkpoint become rows. Waits for the end."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """The arguments of python -m model_zoo.train; releases also by number, checkpoints also by name."""
        parser.add_argument("stage", choices=TrainingRun.Stage.values)
        parser.add_argument(
            "--model", choices=("geometry", "texture", "ss_vae", "slat_vae"), default="geometry"
        )
        parser.add_argument("--recipe", choices=("tiny", "small", "full"), default="tiny")
        parser.add_argument(
            "--data", nargs="+", required=True, metavar="DIR|ID", help="releases, or the word synthetic"
        )
        parser.add_argument(
            "--init", metavar="CHECKPOINT", help="checkpoint to start from: a name or a folder"
        )
        parser.add_argument(
            "--resume", action="store_true", help="go on with the last run of these arguments that failed"
        )
        parser.add_argument("--out", metavar="DIR", help="also copy the checkpoint to DIR/checkpoint")
        parser.add_argument(
            "--wait", action="store_true", default=True, help="return when it has ended (default)"
        )
        parser.add_argument("--no-wait", action="store_false", dest="wait", help="return when it is queued")
        for name, kind in TRAIN_OPTIONS.items():
            parser.add_argument(f"--{name}", type=kind)

    def handle(self, *args: Any, **options: Any) -> None:
        """Queue, and wait unless told otherwise; exit code 1 when the run fails."""
        try:
            run = self._start(options)
        except UserError as failure:
            raise CommandError(str(failure)) from None
        self.stdout.write(f"run {run.pk} is queued")
        if not options["wait"] or run.job is None:
            return
        look_for_workers()
        with tqdm(total=100, unit="%", desc=f"{run.stage} run {run.pk}", disable=None) as bar:

            def show(job: Job) -> None:
                bar.n = round(job.progress * 100)
                bar.set_postfix_str(job.message or job.state)

            job = wait(run.job.pk, show=show)
        if job.state != Job.State.DONE:
            raise CommandError(
                f"run {run.pk} {job.state}: {job.error.splitlines()[0] if job.error else 'no reason given'}"
            )
        made = Checkpoint.objects.get(run=run)
        if options["out"]:
            shutil.copytree(services.folder_of(made), Path(options["out"]) / "checkpoint", dirs_exist_ok=True)
        self.stdout.write(f"checkpoint {made.name}")

    def _start(self, options: dict[str, Any]) -> TrainingRun:
        names = [name for name in options["data"] if name != services.SYNTHETIC]
        given = {name: options[name.replace("-", "_")] for name in TRAIN_OPTIONS}
        wanted: dict[str, Any] = {
            "stage": options["stage"],
            "model": options["model"],
            "recipe": options["recipe"],
            "init": checkpoint_of(options["init"]) if options["init"] else None,
        }
        releases = [release_of(name) for name in names]
        synthetic = len(names) < len(options["data"])
        chosen = {name: value for name, value in given.items() if value is not None}
        if options["resume"]:
            stored = {**chosen, **({services.SYNTHETIC: True} if synthetic else {})}
            failed = TrainingRun.objects.filter(
                **wanted, options=stored, state=TrainingRun.State.FAILED
            ).order_by("-id")
            run = next((row for row in failed if set(row.releases.all()) == set(releases)), None)
            if run is None or not services.try_again(run):
                raise UserError("no run of these arguments has failed")
            return run
        return services.start_run(**wanted, releases=releases, synthetic=synthetic, options=chosen)
