"""A training run on a worker: from releases to a checkpoint, its log and its figures."""

from pathlib import Path

import pytest

from backend.datasets import services as datasets
from backend.datasets.models import Release
from backend.jobs import UserError
from backend.models import Job
from backend.training import services
from backend.training.models import Checkpoint, Evaluation, TrainingRun
from model_zoo import checkpoint
from model_zoo.data.reader import DataSet
from model_zoo.loader import chains
from tests.backend.datasets.rows import PLAIN, World, job_here
from tests.backend.training.folders import checkpoint_folder
from workers import releasing, training_runs

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("alone")]


def release(kind: str, world: World | None = None, base: Release | None = None, objects: int = 3) -> Release:
    """Three objects that Ada decided, in the store."""
    world = world or World({"asks_alignment": True})
    for _ in range(objects):
        target = world.target()
        world.bracket(target, PLAIN, winner=0)
        world.align(target, target.candidates[0])
    made = datasets.begin(kind=kind, batches=[world.batch], base=base)
    releasing.release_job(job_here(made))
    made.refresh_from_db()
    return made


def test_a_release_is_learnt_together_with_those_it_builds_on(tiny: Checkpoint, tmp_path: Path) -> None:
    world = World({"asks_alignment": True})
    first = release("sft", world)
    second = release("sft", world, first, objects=1)
    run = services.start_run(stage="sft", releases=[second], init=tiny, options={"steps": 2, "batch": 2})
    command = training_runs.train_command(run, tmp_path)
    places = command[command.index("--data") + 1 : command.index("--init")]
    assert len(places) == 2
    [(place, base)] = chains(places)
    assert len(DataSet(place)) == 1 and len(DataSet(place, base=base)) == 4


@pytest.fixture
def tiny(tmp_path: Path) -> Checkpoint:
    checkpoint.save(tmp_path / "tiny", checkpoint.fresh("tiny"), recipe="tiny", card={"simulated": True})
    return services.register_folder(tmp_path / "tiny", "tiny-0")


def work(job: Job) -> Job:
    """What a worker does with the job that was sent."""
    from backend import jobs

    jobs.run(job.pk, training_runs.train if job.kind == "train" else training_runs.evaluate)
    job.refresh_from_db()
    return job


@pytest.mark.parametrize("stage", ["sft"])
def test_a_run_gives_a_checkpoint_with_its_history(tiny: Checkpoint, stage: str) -> None:
    source = release(stage)
    run = services.start_run(stage=stage, releases=[source], init=tiny, options={"steps": 2, "batch": 2})
    job = work(run.job)
    assert job.state == "done", job.error
    run.refresh_from_db()
    made = Checkpoint.objects.get(run=run)
    assert run.state == "done" and run.log[-1]["step"] == 2
    assert made.parent == tiny and made.weights != tiny.weights
    assert made.card["releases"][0]["sha256"] == source.sha256 and made.card["simulated"] is False
    assert made.config["recipe"] == "tiny"


def test_a_finished_run_is_not_done_twice(tiny: Checkpoint, tmp_path: Path) -> None:
    run = services.start_run(stage="sft", synthetic=True, init=tiny)
    made = services.finish_run(run, checkpoint_folder(tmp_path / "out"))
    assert training_runs.train(run.job) == {"checkpoint": made.pk, "name": "sft-" + str(run.pk)}


def test_what_the_trainer_refuses_is_the_runs_error(tmp_path: Path) -> None:
    broken = services.register_folder(checkpoint_folder(tmp_path / "broken"), "broken")
    run = services.start_run(stage="sft", releases=[release("sft")], init=broken)
    job = work(run.job)
    run.refresh_from_db()
    assert (job.state, job.attempts, run.state) == ("failed", 1, "failed")
    assert "broken" in job.error and "Traceback" not in job.error and run.error == job.error


def test_an_evaluation_stores_figures_beside_the_other_checkpoint(tiny: Checkpoint) -> None:
    row = services.start_evaluation(
        checkpoint=tiny, against=tiny, release=release("dpo"), options={"limit": 2, "steps": 1}
    )
    job = work(row.job)
    assert job.state == "done", job.error
    metrics = Evaluation.objects.get(pk=row.pk).metrics
    assert metrics["split"] and any(isinstance(value, float) for value in metrics.values())


def test_a_failed_run_can_be_tried_again(tmp_path: Path) -> None:
    broken = services.register_folder(checkpoint_folder(tmp_path / "broken"), "broken")
    run = services.start_run(stage="sft", synthetic=True, init=broken)
    Job.objects.filter(pk=run.job.pk).update(state="failed")
    TrainingRun.objects.filter(pk=run.pk).update(state="failed", error="out of memory")
    run.refresh_from_db()
    assert services.try_again(run)
    run.refresh_from_db()
    assert (run.state, run.error) == ("queued", "")


def test_a_log_that_was_written_twice_counts_once(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    log.write_text('{"step": 10, "loss": 2}\n{"step": 20, "loss": 1}\n{"step": 20, "loss": 3}\n{"step": 30')
    assert [(point["step"], point["loss"]) for point in training_runs.read_log(log)] == [(10, 2), (20, 3)]


def test_releases_and_checkpoints_are_found_by_folder_or_name(tiny: Checkpoint, tmp_path: Path) -> None:
    assert training_runs.checkpoint_of("tiny-0") == tiny
    checkpoint_folder(tmp_path / "given", b"other")
    assert training_runs.checkpoint_of(str(tmp_path / "given")).name == "given"
    with pytest.raises(UserError, match="no checkpoint named nothing"):
        training_runs.checkpoint_of("nothing")
