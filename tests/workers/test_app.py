"""The Celery app: it listens to every queue, knows every job, and works a message that arrives twice only once.

What a killed worker held is in tests/test_crashes.py.
"""

import time
from pathlib import Path

import pytest

from backend import jobs
from backend.models import Job
from tests import processes
from workers.app import QUEUES, app


def registered() -> set[str]:
    """Names of the tasks that a worker offers, Celery's own left out."""
    app.loader.import_default_modules()
    return {name for name in app.tasks if not name.startswith("celery.")}


def test_every_kind_of_job_has_its_task_and_every_task_its_kind() -> None:
    assert registered() - {"workers.tasks.reap", "workers.tasks.collect", "workers.tasks.look"} == {f"workers.tasks.{kind}" for kind in jobs.KINDS}


def test_every_kind_of_job_goes_to_a_queue_that_is_listened_to() -> None:
    assert {kind.queue for kind in jobs.KINDS.values()} <= set(QUEUES)


def test_the_schedule_names_registered_tasks_and_queues() -> None:
    for entry in app.conf.beat_schedule.values():
        assert entry["task"] in registered()
        assert entry["options"]["queue"] in QUEUES


def until(job: Job, state: str, seconds: float = 30) -> Job:
    """The row once it is in that state; fails when it does not get there."""
    deadline = time.monotonic() + seconds
    while job.state != state:
        assert time.monotonic() < deadline, f"still {job.state}: {job.error}"
        time.sleep(0.05)
        job.refresh_from_db()
    return job


def start_slow_job(key: str, log: Path) -> Job:
    """A job of tests/workers/slow.py, on a queue that no other test's worker listens to."""
    job = Job.objects.create(kind="slow", queue="slow", key=key, args={"log": str(log)}, max_attempts=3)
    jobs.ring([job])
    return job


@pytest.mark.django_db(transaction=True)
def test_a_message_that_arrives_twice_is_worked_once(tmp_path: Path) -> None:
    with processes.worker("slow", include="tests.workers.slow", concurrency=2):
        job = start_slow_job("slow:2", tmp_path / "log")
        jobs.ring([job, job])
        until(job, Job.State.DONE)
        processes.drain()
    assert (tmp_path / "log").read_text().split() == ["began", "ended"]
