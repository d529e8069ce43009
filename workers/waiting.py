"""How a command waits for jobs: it looks for a worker first and, where no beat runs, finds lost jobs itself."""

import time
from collections.abc import Iterator
from typing import Any

from django.core.management.base import CommandError

from backend.models import Job
from workers.app import REAP_SECONDS, app
from workers.tasks import reap

POLL_SECONDS = 1.0
PATIENCE_SECONDS = 8.0


def look_for_workers() -> None:
    """CommandError when nobody would take what was queued: a command that waits must not wait for ever."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not app.control.ping(timeout=1.5, limit=1):
        if time.monotonic() > deadline:
            raise CommandError(
                "no worker answers: start one (`make demo`, or celery -A workers.app worker -Q gpu,cpu,export,train); "
                "jobs stay queued"
            )


def polls() -> Iterator[None]:
    """Once now and then every POLL_SECONDS. A job whose worker died or whose message was lost is queued again."""
    reaped = time.monotonic()
    while True:
        yield
        time.sleep(POLL_SECONDS)
        if time.monotonic() - reaped > REAP_SECONDS:
            reap()
            reaped = time.monotonic()


def wait(job_id: int, *, show: Any) -> Job:
    """Poll a job until it ends, calling show(job) meanwhile."""
    for _ in polls():
        job = Job.objects.get(pk=job_id)
        show(job)
        if job.state not in (Job.State.QUEUED, Job.State.RUNNING):
            break
    return job
