"""The closed loop with simulated annotators (Algorithm 1 of the paper): scenes, candidates, answers, release, SFT, DPO,
evaluation, promotion, and again. Every step is the public one: the commands' own functions, jobs on a worker, REST answers.
"""

import json
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from django.core.management import call_command
from django.core.management.base import CommandError
from django.db.models import Avg, Count
from matplotlib.figure import Figure
from tqdm import tqdm

from backend.annotation.models import Assignment, Rating
from backend.catalog.models import Batch
from backend.datasets import services as datasets
from backend.datasets.models import PreferencePair, Release, Sample
from backend.models import Job
from backend.proposals.models import Candidate
from backend.training import services as training
from backend.training.models import Checkpoint, Evaluation, TrainingRun
from model_zoo.demo.__main__ import scene_files
from model_zoo.demo.scenes import scenes
from workers import importing, simulation
from workers.training_runs import base_checkpoint
from workers.waiting import wait

STAGES = ("sft", "dpo")


@dataclass(frozen=True)
class Plan:
    """What a flywheel is asked to do."""

    iterations: int
    recipe: str
    scenes: int
    annotators: int
    noise: float
    alpha: float
    steps: int | None
    held_out: int
    seed: int


@dataclass
class Turn:
    """What one iteration did and measured."""

    iteration: int
    batch: str
    objects: int = 0
    candidates: dict[str, int] = field(default_factory=dict)
    winners: dict[str, int] = field(default_factory=dict)
    answers: dict[str, int] = field(default_factory=dict)
    mean_rating: float | None = None
    accepted: int = 0
    samples: int = 0
    pairs: int = 0
    checkpoints: dict[str, dict[str, Any]] = field(default_factory=dict)
    proposer_after: str = ""


def run(plan: Plan, url: str, say: Callable[[str], None]) -> list[Turn]:
    """All iterations; later ones pool the releases of the earlier ones."""
    stem, batches, turns = _free_stem(), [], []
    for iteration in range(1, plan.iterations + 1):
        name = f"{stem}-{iteration}"
        batch = Batch.objects.create(name=name, alpha=plan.alpha)
        batches.append(batch)
        turn = Turn(iteration, name)
        turns.append(turn)
        say(f"iteration {iteration}: {plan.scenes} new scenes in batch {name}")
        _scenes(batch, plan, iteration)
        call_command("propose", batch=name, wait=True)
        with tqdm(unit=" tasks", desc="simulating") as bar:
            counts = simulation.simulate(
                url,
                batch,
                annotators=plan.annotators,
                noise=plan.noise,
                seed=plan.seed + iteration,
                tick=bar.update,
            )
        turn.answers = dict(counts)
        _figures(batch, turn)
        _train(plan, batches, turn, say)
    return turns


def _free_stem() -> str:
    number = 1
    while Batch.objects.filter(name__startswith=f"flywheel-{number}-").exists():
        number += 1
    return f"flywheel-{number}"


def _scenes(batch: Batch, plan: Plan, iteration: int) -> None:
    """Import freshly composed scenes, whose truth is exact."""
    with tempfile.TemporaryDirectory() as folder:
        for scene in scenes(plan.scenes, seed=1000 + 100 * plan.seed + iteration):
            target = Path(folder) / f"{batch.name}_{scene.name}"
            target.mkdir()
            for name, data in scene_files(scene).items():
                (target / Path(name).name).write_bytes(data)
        report = importing.import_images(Path(folder), batch)
    if failure := report.failure():
        raise CommandError(failure)


def _figures(batch: Batch, turn: Turn) -> None:
    """Who proposed, who won, how good the survivors were rated."""
    ready = Candidate.objects.filter(batch=batch, state=Candidate.State.READY)
    turn.objects = ready.values("object").distinct().count()
    turn.candidates = dict(ready.values_list("proposer__name").annotate(n=Count("id")))
    won = Assignment.objects.filter(batch=batch, stage="compare", state="submitted", survivor__isnull=False)
    turn.winners = dict(won.values_list("survivor__proposer__name").annotate(n=Count("id")))
    rated = Rating.objects.filter(assignment__batch=batch)
    turn.mean_rating = rated.aggregate(mean=Avg("r"))["mean"]
    turn.accepted = rated.filter(r__gte=batch.alpha).count()


def _train(plan: Plan, batches: list[Batch], turn: Turn, say: Callable[[str], None]) -> None:
    """SFT on all samples so far, DPO on all pairs so far, evaluate each, promote what measures no worse."""
    before = base_checkpoint()
    turn.proposer_after = before.name
    current = before
    datasets.collect(batches)
    turn.samples = Sample.objects.filter(batch__in=batches, withdrawn_at=None).count()
    turn.pairs = PreferencePair.objects.filter(batch__in=batches, withdrawn_at=None).count()
    for stage, rows in ((TrainingRun.Stage.SFT, turn.samples), (TrainingRun.Stage.DPO, turn.pairs)):
        if rows == 0:
            say(f"no rows to {stage} on: every survivor was below alpha")
            continue
        release = _release(stage, batches)
        options: dict[str, Any] = {"seed": plan.seed}
        if plan.steps:
            options["steps"] = plan.steps
        run = training.start_run(
            stage=stage, releases=[release], init=current, recipe=plan.recipe, options=options
        )
        _done(run.job, f"{stage} on {release.rows} rows")
        current = Checkpoint.objects.filter(run=run).latest("id")
        turn.checkpoints[stage] = {"name": current.name, **_evaluate(current, before, plan)}
    best = _better(turn)
    if best:
        training.promote(training.named(best))
        turn.proposer_after = best
        say(f"{best} proposes from now on")
    elif turn.checkpoints:
        say(f"{before.name} goes on proposing: what was trained measures worse")


def _better(turn: Turn) -> str | None:
    """The trained checkpoint with the best F1, if it is at least that of the one before; the later stage wins ties."""
    measured = [(score(each) or 0.0, order, each) for order, each in enumerate(turn.checkpoints.values())]
    if not measured:
        return None
    f1, _, found = max(measured, key=lambda entry: entry[:2])
    return str(found["name"]) if f1 >= (score(found.get("against", {})) or 0.0) else None


def _release(kind: str, batches: list[Batch]) -> Release:
    """Freeze what the batches hold, simulated answers included: they are all there is here. Every negative counts, since
    in the first turns our own model makes few."""
    release = datasets.begin(kind=kind, batches=batches, include_simulated=True, own_negatives=False)
    _done(datasets.order(release), f"release {kind}")
    release.refresh_from_db()
    return release


def _evaluate(checkpoint: Checkpoint, against: Checkpoint, plan: Plan) -> dict[str, Any]:
    """Metrics of a checkpoint on held-out synthetic objects, beside the one before."""
    options = {"limit": plan.held_out, "seed": plan.seed}
    row = training.start_evaluation(checkpoint=checkpoint, against=against, options=options)
    _done(row.job, f"evaluate {checkpoint.name}")
    return dict(Evaluation.objects.get(pk=row.pk).metrics)


def _done(job: Job | None, what: str) -> None:
    """Wait for a job with a bar; its failure is the flywheel's."""
    assert job is not None
    with tqdm(total=100, desc=what, unit="%") as bar:

        def show(row: Job) -> None:
            bar.n = round(row.progress * 100)
            bar.refresh()

        ended = wait(job.pk, show=show)
    if ended.state != Job.State.DONE:
        raise CommandError(f"{what}: {ended.error.splitlines()[0] if ended.error else ended.state}")


def score(measured: dict[str, Any]) -> float | None:
    """F1 of a turn's checkpoint in its evaluation, None when the stage did not run."""
    value = measured.get("f1")
    return None if value is None else float(value)


def before(turn: Turn) -> float | None:
    """F1 of the checkpoint that proposed in a turn, measured beside what was trained in it."""
    return next((score(each.get("against", {})) for each in turn.checkpoints.values()), None)


def write_report(plan: Plan, turns: list[Turn], out: Path) -> Path:
    """report.md, report.json and plots in `out`; everything says that the annotators were simulated."""
    out.mkdir(parents=True, exist_ok=True)
    (out / "report.json").write_text(
        json.dumps({"plan": asdict(plan), "turns": [asdict(turn) for turn in turns]}, indent=1, default=str)
        + "\n"
    )
    numbers = [turn.iteration for turn in turns]
    figure = Figure(figsize=(15, 4.2), layout="constrained")
    axes = figure.subplots(1, 3)
    axes[0].plot(numbers, [turn.mean_rating for turn in turns], "o-", label="mean rating r of survivors")
    axes[0].plot(
        numbers,
        [turn.accepted / max(turn.objects, 1) for turn in turns],
        "s--",
        label="share at or above alpha",
    )
    axes[0].set(title="Best of N", xlabel="iteration", ylim=(0, 1.05), xticks=numbers)
    names = sorted({name for turn in turns for name in turn.candidates})
    bottom = [0.0] * len(turns)
    for name in names:
        shares = [turn.winners.get(name, 0) / max(sum(turn.winners.values()), 1) for turn in turns]
        axes[1].bar(numbers, shares, bottom=bottom, label=name)
        bottom = [a + b for a, b in zip(bottom, shares, strict=True)]
    axes[1].set(title="Who made the survivors", xlabel="iteration", ylim=(0, 1), xticks=numbers)
    lines = {f"after {stage}": [score(turn.checkpoints.get(stage, {})) for turn in turns] for stage in STAGES}
    lines["the proposer before"] = [before(turn) for turn in turns]
    for label, values in lines.items():
        points = list(zip(numbers, values, strict=True))
        points = [(n, value) for n, value in points if value is not None]
        if points:
            axes[2].plot(*zip(*points, strict=True), "s--" if "before" in label else "o-", label=label)
    axes[2].set(title="F1 on held-out synthetic objects", xlabel="iteration", xticks=numbers)
    for axis in axes:
        if axis.get_legend_handles_labels()[1]:
            axis.legend(fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=2)
    figure.suptitle("Flywheel with simulated annotators", fontsize=11)
    figure.savefig(out / "report.png", dpi=110)
    (out / "report.md").write_text(_markdown(plan, turns))
    return out / "report.md"


def _markdown(plan: Plan, turns: list[Turn]) -> str:
    lines = [
        "# Flywheel report",
        "",
        f"All answers were **simulated** ({plan.annotators} annotators who know the truth, {plan.noise:.0%} of their"
        " answers a coin's) on composed scenes with exact depth. Nothing here measures people.",
        "",
        "![plots](report.png)",
        "",
        "| iteration | objects | candidates | survivors by proposer | mean r | r >= alpha | samples | pairs | F1 before | F1 after SFT | F1 after DPO | proposes next |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for turn in turns:
        won = ", ".join(f"{name} {n}" for name, n in sorted(turn.winners.items()))
        scores = [before(turn), *(score(turn.checkpoints.get(stage, {})) for stage in STAGES)]
        cells = [
            turn.iteration,
            turn.objects,
            sum(turn.candidates.values()),
            won,
            "-" if turn.mean_rating is None else f"{turn.mean_rating:.3f}",
            turn.accepted,
            turn.samples,
            turn.pairs,
            *("-" if value is None else f"{value:.3f}" for value in scores),
            turn.proposer_after,
        ]
        lines.append("| " + " | ".join(str(cell) for cell in cells) + " |")
    changes = [
        f"mean rating {a.mean_rating:.3f} -> {b.mean_rating:.3f} (iteration {a.iteration} to {b.iteration})"
        for a, b in pairwise(turns)
        if a.mean_rating is not None and b.mean_rating is not None
    ]
    return "\n".join([*lines, "", *(f"- {change}" for change in changes), ""])
