"""Asynchronous work: the only place that sends Celery messages, and the transitions of job rows.

PostgreSQL is the truth, Celery the doorbell: a message carries a job id, a worker claims the row, and what was
lost on the way is re-queued by `reap`.
"""

import socket
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from celery import Celery
from django.conf import settings
from django.db import connection, transaction
from django.db.models import F, Q
from django.utils import timezone, translation
from django.utils.translation import gettext_noop

from backend.models import Job

HEARTBEAT_SECONDS = 10
LEASE_SECONDS = 60
RESEND_SECONDS = 60
DIED = gettext_noop("the worker died and no attempts are left")


@dataclass(frozen=True)
class Kind:
    """How one kind of job runs: its queue by need, and how often a crash may be retried."""

    queue: str
    max_attempts: int = 3


KINDS: dict[str, Kind] = {
    "import_images": Kind("cpu"),
    "import_meshes": Kind("cpu"),
    "make_practice": Kind("cpu"),
    "propose": Kind("gpu"),
    "segment": Kind("interactive"),
    "store_mask": Kind("interactive"),
    "check_submission": Kind("interactive"),
    "repair_submission": Kind("interactive"),
    "fit": Kind("interactive"),
    "release": Kind("export"),
    "verify_release": Kind("export"),
    "build_plan": Kind("cpu"),
    "build_shard": Kind("cpu"),
    "build_finish": Kind("export"),
    "train": Kind("train", max_attempts=2),
    "evaluate": Kind("train"),
}

# Kinds that only answer the person who waits: their rows are grouped by the hour and deleted after a day.
PASSING = frozenset({"fit", "segment"})
KEPT = timedelta(days=1)
FORGET = """
DELETE FROM backend_job WHERE id IN (
  SELECT id FROM backend_job WHERE "group" >= 'passing:' AND "group" < %s AND state IN ('done', 'failed', 'cancelled')
  LIMIT 1000)
"""

_doorbell = Celery("maquette", broker=settings.REDIS_URL, set_as_current=False)


class UserError(Exception):
    """The input is at fault, not the machine: the job fails at once, with this message for the person."""


def send(kind: str, *, key: str, args: dict[str, Any], group: str = "", by: Any = None) -> Job:
    """Create the job row once per key and ring the worker after commit. Returns the row, new or not."""
    spec = KINDS[kind]
    if kind in PASSING:
        group = passing(timezone.now())
    job, created = Job.objects.get_or_create(
        key=key,
        defaults={
            "kind": kind,
            "queue": spec.queue,
            "group": group,
            "args": args,
            "max_attempts": spec.max_attempts,
            "created_by": by,
            "sent_at": timezone.now(),
        },
    )
    if created:
        transaction.on_commit(lambda: ring([job]))
    return job


def passing(at: datetime) -> str:
    """Group of the passing jobs that were sent in the hour of `at`; later hours sort behind it."""
    return f"passing:{at:%Y-%m-%dT%H}"


def send_many(kind: str, rows: list[dict[str, Any]], *, by: Any = None) -> int:
    """Like `send` for many jobs {key, args, group} in a few statements. Returns how many are new."""
    spec, now = KINDS[kind], timezone.now()
    known = set(Job.objects.filter(key__in=[row["key"] for row in rows]).values_list("key", flat=True))
    fresh = [row for row in rows if row["key"] not in known]
    made = Job.objects.bulk_create(
        [
            Job(
                kind=kind,
                queue=spec.queue,
                max_attempts=spec.max_attempts,
                created_by=by,
                sent_at=now,
                key=row["key"],
                args=row["args"],
                group=row.get("group", ""),
            )
            for row in fresh
        ],
        batch_size=1000,
    )
    if made:
        transaction.on_commit(lambda: ring(made))
    return len(made)


def ring(jobs: list[Job]) -> None:
    """Ask workers to look at these rows. A lost message does no harm: `reap` rings again."""
    with _doorbell.producer_or_acquire() as producer:
        for job in jobs:
            _doorbell.send_task(
                f"workers.tasks.{job.kind}", args=[job.pk], queue=job.queue, producer=producer
            )


def retry(job: Job) -> bool:
    """Queue a failed or cancelled job again; False if it is in another state."""
    moved = Job.objects.filter(pk=job.pk, state__in=[Job.State.FAILED, Job.State.CANCELLED]).update(
        state=Job.State.QUEUED,
        attempts=0,
        error="",
        message="",
        progress=0,
        sent_at=timezone.now(),
        finished_at=None,
    )
    if moved:
        transaction.on_commit(lambda: ring([job]))
    return bool(moved)


def claim(job_id: int) -> Job | None:
    """Take a queued job, or None when another worker has it or it has ended."""
    now = timezone.now()
    moved = Job.objects.filter(pk=job_id, state=Job.State.QUEUED).update(
        state=Job.State.RUNNING,
        worker=socket.gethostname(),
        attempts=F("attempts") + 1,
        started_at=now,
        lease_until=now + timedelta(seconds=LEASE_SECONDS),
    )
    return Job.objects.get(pk=job_id) if moved else None


@contextmanager
def heartbeat(job: Job) -> Iterator[None]:
    """Extend the lease from a side thread while the block runs, so that only a dead worker loses its job."""
    stop = threading.Event()

    def beat() -> None:
        while not stop.wait(HEARTBEAT_SECONDS):
            Job.objects.filter(pk=job.pk, state=Job.State.RUNNING, attempts=job.attempts).update(
                lease_until=timezone.now() + timedelta(seconds=LEASE_SECONDS)
            )
        connection.close()

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def run(job_id: int, work: Callable[[Job], dict[str, Any] | None]) -> None:
    """Claim a job, do the work, write how it ended. Safe to call twice: the second call finds nothing to claim."""
    job = claim(job_id)
    if job is None:
        return
    started = time.monotonic()
    state, result, error = Job.State.DONE, {}, ""
    try:
        with heartbeat(job), translation.override(language_of(job)):
            result = work(job) or {}
    except UserError as failure:
        state, error = Job.State.FAILED, str(failure)
    except Exception as failure:
        # A broken worker may be replaced; the work itself gets its remaining attempts.
        state = Job.State.QUEUED if job.attempts < job.max_attempts else Job.State.FAILED
        error = f"{type(failure).__name__}: {failure}\n{traceback.format_exc(limit=8)}"
    ended = Job.objects.filter(pk=job.pk, state=Job.State.RUNNING, attempts=job.attempts).update(
        state=state,
        result=result,
        error=error,
        progress=1 if state == Job.State.DONE else F("progress"),
        cost_seconds=F("cost_seconds") + (time.monotonic() - started),
        finished_at=None if state == Job.State.QUEUED else timezone.now(),
        lease_until=None,
        sent_at=timezone.now(),
    )
    if ended and state == Job.State.QUEUED:
        ring([job])


def language_of(job: Job) -> str:
    """The language of the person who waits for a job, in which its messages are kept."""
    chosen = job.created_by.preferences.get("language") if job.created_by else None
    return str(chosen or settings.LANGUAGE_CODE)


def report(job: Job, progress: float, message: str = "") -> None:
    """Write how far a running job is (0..1) and one line for the person who waits."""
    Job.objects.filter(pk=job.pk, attempts=job.attempts).update(progress=progress, message=message[:300])


def reap() -> int:
    """Re-queue what died (lease over), ring again for what no worker has picked up, delete passing jobs of yesterday.

    Returns how many were rung.
    """
    now = timezone.now()
    dead = Q(state=Job.State.RUNNING, lease_until__lt=now)
    Job.objects.filter(dead, attempts__gte=F("max_attempts")).update(
        state=Job.State.FAILED,
        error=DIED,
        finished_at=now,
        lease_until=None,
    )
    stale = Q(state=Job.State.QUEUED, sent_at__lt=now - timedelta(seconds=RESEND_SECONDS))
    with transaction.atomic():
        rows = list(Job.objects.select_for_update(skip_locked=True).filter(dead | stale).order_by("id")[:500])
        Job.objects.filter(pk__in=[row.pk for row in rows]).update(
            state=Job.State.QUEUED, sent_at=now, lease_until=None
        )
    ring(rows)
    with connection.cursor() as cursor:
        cursor.execute(FORGET, [passing(now - KEPT)])
    return len(rows)
