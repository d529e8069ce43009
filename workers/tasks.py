"""Celery tasks: one thin shell per kind of job, named after it. The work is in the other modules of this package."""

import os

from billiard import current_process

from backend import jobs
from backend.annotation.services import reap_leases
from backend.datasets import builds
from backend.datasets import services as datasets
from workers import (
    art,
    building,
    fitting,
    importing,
    looking,
    masking,
    practice,
    proposing,
    release_check,
    releasing,
    segmenting,
    training_runs,
)
from workers.app import app


@app.task(name="workers.tasks.reap", acks_late=True)
def reap() -> None:
    """What died or was lost: leases of people, jobs of workers, and objects whose last proposal job died."""
    reap_leases()
    dying = proposing.dying()
    jobs.reap()
    for job_id in dying:
        proposing.settle(job_id)
    builds.settle_all()
    datasets.settle()


@app.task(name="workers.tasks.collect", acks_late=True)
def collect() -> None:
    """Samples and pairs from the latest answers; a release collects everything again."""
    datasets.collect_recent()


@app.task(name="workers.tasks.look", acks_late=True)
def look() -> None:
    """Photos that came in before there were clusters and measures, or whose import broke off: some at a time."""
    looking.look_at_pending()


@app.task(name="workers.tasks.import_images", acks_late=True)
def import_images(job_id: int) -> None:
    """Photos into a batch."""
    jobs.run(job_id, importing.import_images_job)


@app.task(name="workers.tasks.import_meshes", acks_late=True)
def import_meshes(job_id: int) -> None:
    """Meshes into the library."""
    jobs.run(job_id, importing.import_meshes_job)


@app.task(name="workers.tasks.make_practice", acks_late=True)
def make_practice(job_id: int) -> None:
    """Gold pairs for the guided practice."""
    jobs.run(job_id, practice.make_practice_job)


@app.task(name="workers.tasks.propose", acks_late=True)
def propose(job_id: int) -> None:
    """Candidates of one proposer for one object."""
    jobs.run(job_id, proposing.propose_job)
    # After the job has ended, since an object opens when no job of it is under way.
    proposing.settle(job_id)
    leave_when_spoiled()


def leave_when_spoiled() -> None:
    """End this process of the pool after an error of the device, which stays with it; the pool starts another one.

    The job's row has been written by then, and its message comes back: to nobody, or to the next attempt.
    """
    if proposing.shelf.spoiled and current_process().name != "MainProcess":
        os._exit(1)


@app.task(name="workers.tasks.segment", acks_late=True)
def segment(job_id: int) -> None:
    """An outline from clicks or a box, for the person who waits."""
    jobs.run(job_id, segmenting.segment_job)


@app.task(name="workers.tasks.store_mask", acks_late=True)
def store_mask(job_id: int) -> None:
    """A drawn mask onto its object."""
    jobs.run(job_id, masking.store_mask_job)


@app.task(name="workers.tasks.release", acks_late=True)
def release(job_id: int) -> None:
    """A release's files into the store."""
    jobs.run(job_id, releasing.release_job)


@app.task(name="workers.tasks.verify_release", acks_late=True)
def verify_release(job_id: int) -> None:
    """A frozen release held against its hashes."""
    jobs.run(job_id, release_check.verify_job)


@app.task(name="workers.tasks.build_plan", acks_late=True)
def build_plan(job_id: int) -> None:
    """The plan of a data set, and a job for each of its shards."""
    jobs.run(job_id, building.plan_job)
    building.settle(job_id)


@app.task(name="workers.tasks.build_shard", acks_late=True)
def build_shard(job_id: int) -> None:
    """One shard of a data set."""
    jobs.run(job_id, building.shard_job)
    building.settle(job_id)


@app.task(name="workers.tasks.build_finish", acks_late=True)
def build_finish(job_id: int) -> None:
    """The index of a data set."""
    jobs.run(job_id, building.finish_job)
    building.settle(job_id)


@app.task(name="workers.tasks.train", acks_late=True)
def train(job_id: int) -> None:
    """One stage of training."""
    jobs.run(job_id, training_runs.train)


@app.task(name="workers.tasks.evaluate", acks_late=True)
def evaluate(job_id: int) -> None:
    """Figures of a checkpoint."""
    jobs.run(job_id, training_runs.evaluate)


@app.task(name="workers.tasks.check_submission", acks_late=True)
def check_submission(job_id: int) -> None:
    """The report on an artist's mesh."""
    jobs.run(job_id, art.check_job)


@app.task(name="workers.tasks.repair_submission", acks_late=True)
def repair_submission(job_id: int) -> None:
    """A repaired version of an artist's mesh, and the report on it."""
    jobs.run(job_id, art.repair_job)


@app.task(name="workers.tasks.fit", acks_late=True)
def fit(job_id: int) -> None:
    """A pose refined on photo and points."""
    jobs.run(job_id, fitting.fit_job)
