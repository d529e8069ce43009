"""Training runs and evaluations: bring releases and checkpoints to this machine, run model_zoo in a child process, keep
what it gives. The child is the same command that a training machine without Django runs."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.conf import settings
from django.utils.translation import gettext as _

from backend import jobs
from backend.datasets.models import Release
from backend.datasets.services import find
from backend.models import Job
from backend.training import services
from backend.training.models import Checkpoint, Evaluation, TrainingRun
from model_zoo.io.shards import file_sha256
from model_zoo.proposers.child import die_with_parent
from workers.release_places import MANIFEST, materialise

SHIPPED = settings.BASE_DIR / "model_zoo" / "checkpoints" / "tiny"
POLL_SECONDS = 1.0
EVALUATE_OPTIONS = {"limit": int, "steps": int, "seed": int, "strength": float}
TRAIN_OPTIONS = {
    "steps": int,
    "seed": int,
    "lr": float,
    "batch": int,
    "draws": int,
    "precision": str,
    "device": str,
    "stored": str,
    "save-every": int,
    "codec-steps": int,
    "beta": float,
    "anchor": float,
    "strength": float,
    "scenes": int,
    "shapes": int,
}


def train(job: Job) -> dict[str, Any]:
    """Run one training stage and store its checkpoint; a run whose checkpoint is stored already is left alone."""
    run = TrainingRun.objects.select_related("init").get(pk=job.args["run"])
    made = Checkpoint.objects.filter(run=run).first()
    if made is not None:
        services.move_run(run, TrainingRun.State.DONE)
        return {"checkpoint": made.pk, "name": made.name}
    services.move_run(run, TrainingRun.State.RUNNING)
    folder = settings.HOME / "runs" / str(run.pk)
    folder.mkdir(parents=True, exist_ok=True)
    try:
        _run_child(train_command(run, folder), folder, lambda: _report_training(job, run, folder))
        made = services.finish_run(run, folder / "out" / "checkpoint")
    except Exception as failure:
        services.move_run(run, TrainingRun.State.FAILED, error=str(failure))
        raise
    return {"checkpoint": made.pk, "name": made.name}


def train_command(run: TrainingRun, folder: Path) -> list[str]:
    """The command line of a run; releases and the start checkpoint are fetched to this machine first."""
    command = [
        sys.executable,
        "-m",
        "model_zoo.train",
        run.stage,
        "--model",
        run.model,
        "--recipe",
        run.recipe,
    ]
    # A release that builds on others is read with them: what it removed is not learnt.
    chained = [part for release in run.releases.order_by("id") for part in _with_bases(release)]
    data = [str(materialise(release)) for release in dict.fromkeys(chained)]
    options = dict(run.options)
    command += ["--data", *data, *([services.SYNTHETIC] if options.pop(services.SYNTHETIC, False) else [])]
    if run.init is not None:
        command += ["--init", str(services.folder_of(run.init))]
    for name, value in sorted(options.items()):
        command += [f"--{name}", str(value)]
    # An attempt that was killed left its last saved state here.
    return [*command, "--resume", "--out", str(folder / "out")]


def _with_bases(release: Release) -> Iterator[Release]:
    part: Release | None = release
    while part is not None:
        yield part
        part = part.base


def _report_training(job: Job, run: TrainingRun, folder: Path) -> None:
    points = read_log(folder / "out" / "log.jsonl")
    if not points:
        return
    services.log(run, points)
    step, steps = points[-1].get("step"), points[-1].get("steps") or run.options.get("steps")
    if isinstance(step, int) and isinstance(steps, int) and steps > 0:
        jobs.report(
            job, min(step / steps, 0.99), _("step %(step)s of %(steps)s") % {"step": step, "steps": steps}
        )


def read_log(path: Path) -> list[dict[str, Any]]:
    """The metrics written so far, one point a step; a line that is still being written is left for the next time."""
    if not path.is_file():
        return []
    points: dict[tuple[Any, Any], dict[str, Any]] = {}
    for line in path.read_text().split("\n")[:-1]:
        point = json.loads(line)
        # A resumed run writes the steps after its saved state a second time.
        points[point.get("stage"), point.get("step")] = point
    return list(points.values())


def evaluate(job: Job) -> dict[str, Any]:
    """Measure a checkpoint (and the one it is held against) in a child process and store the figures."""
    row = Evaluation.objects.select_related("checkpoint", "against", "release").get(pk=job.args["evaluation"])
    folder = settings.HOME / "evaluations" / str(row.pk)
    folder.mkdir(parents=True, exist_ok=True)
    _run_child(evaluate_command(row, job, folder), folder, lambda: None)
    services.keep_metrics(row, json.loads((folder / "report.json").read_text()))
    return {"evaluation": row.pk}


def evaluate_command(row: Evaluation, job: Job, folder: Path) -> list[str]:
    """The command line of an evaluation."""
    command = [sys.executable, "-m", "model_zoo.evaluate", str(services.folder_of(row.checkpoint))]
    if row.release is not None:
        command += ["--data", str(materialise(row.release))]
    if row.against is not None:
        command += ["--against", str(services.folder_of(row.against))]
    for name in EVALUATE_OPTIONS:
        if name in job.args:
            command += [f"--{name}", str(job.args[name])]
    # Composed scenes are the same for every evaluation: rendered once a machine.
    command += ["--cache", str(settings.HOME / "synthetic")]
    return [*command, "--out", str(folder / "report.json")]


def _run_child(command: list[str], folder: Path, tick: Any) -> None:
    """Run to the end, calling `tick` meanwhile. UserError with the child's own line when it refuses its input (exit 1 or 2)."""
    with (folder / "output.log").open("w+") as output:
        child = subprocess.Popen(
            command,
            cwd=settings.BASE_DIR,
            stdout=output,
            stderr=subprocess.STDOUT,
            preexec_fn=die_with_parent,
        )
        try:
            while True:
                try:
                    code = child.wait(POLL_SECONDS)
                    break
                except subprocess.TimeoutExpired:
                    tick()
        finally:
            if child.poll() is None:
                child.kill()
                child.wait()
        tick()
        if code:
            output.seek(0)
            said = [line for line in output.read()[-4000:].splitlines() if line.strip()] or ["no output"]
            if code in (1, 2) and not any(line.startswith("Traceback") for line in said):
                raise jobs.UserError(said[-1].removeprefix("error: "))
            raise RuntimeError(f"{command[2]} ended with code {code}: {said[-1]}")


def release_of(reference: str) -> Release:
    """The frozen release in a folder, or with this number, uid or hash. UserError when there is none."""
    manifest = Path(reference) / MANIFEST
    return find(file_sha256(manifest)) if manifest.is_file() else find(reference)


def checkpoint_of(reference: str) -> Checkpoint:
    """The checkpoint of this name, or the one in a folder, which is then kept under the folder's name."""
    folder = Path(reference)
    return (
        services.register_folder(folder, folder.resolve().name)
        if folder.is_dir()
        else services.named(reference)
    )


def base_checkpoint() -> Checkpoint:
    """The checkpoint that proposes now; the shipped one is registered and promoted where there is none."""
    current = services.promoted()
    if current is not None:
        return current
    checkpoint = services.register_folder(SHIPPED, "tiny-0")
    services.promote(checkpoint)
    return checkpoint
