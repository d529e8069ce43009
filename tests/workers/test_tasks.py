"""Every kind of job has its task, and every task its kind: nothing is sent that nobody runs."""

from datetime import timedelta

import pytest
from django.utils import timezone

from backend import jobs
from backend.models import Job
from workers import tasks
from workers.app import app

PREFIX = "workers.tasks."


def names() -> set[str]:
    return {name.removeprefix(PREFIX) for name in app.tasks if name.startswith(PREFIX)}


def test_every_kind_of_job_has_a_task_and_every_task_its_kind() -> None:
    assert names() - {"reap", "collect", "look"} == set(jobs.KINDS)


def test_every_task_acknowledges_late() -> None:
    assert all(app.tasks[PREFIX + name].acks_late for name in names())


@pytest.mark.django_db
def test_reap_queues_a_dead_workers_job_again() -> None:
    job = Job.objects.create(
        kind="propose",
        queue="gpu",
        key="k",
        state="running",
        lease_until=timezone.now() - timedelta(seconds=1),
    )
    tasks.reap()
    job.refresh_from_db()
    assert job.state == "queued"
