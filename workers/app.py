"""The Celery app: how workers listen. What they do is in workers/tasks.py; the truth about jobs is in PostgreSQL."""

import os

from celery import Celery
from django.conf import settings
from kombu import Queue

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "backend.settings")

QUEUES = ("gpu", "cpu", "export", "train", "interactive")
REAP_SECONDS = 15.0
LOOK_SECONDS = 60.0

app = Celery("maquette", broker=settings.REDIS_URL, include=["workers.tasks"])
app.conf.update(
    accept_content=["json"],
    task_serializer="json",
    task_ignore_result=True,  # results are job rows
    task_queues=[Queue(name) for name in QUEUES],
    task_default_queue="cpu",
    # Acknowledged when done: what a killed worker held comes back. Tasks claim their row, so twice does no harm.
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    worker_prefetch_multiplier=1,
    worker_cancel_long_running_tasks_on_connection_loss=False,
    worker_hijack_root_logger=False,
    # Longer than any job; a lost message is found by `reap` long before. With its defaults kombu would look for
    # unacknowledged messages every 100 s only.
    broker_transport_options={
        "visibility_timeout": 12 * 3600,
        "unacked_restore_interval": 3,
        "unacked_restore_throttle": 1,
    },
    broker_connection_retry_on_startup=True,
    beat_schedule={
        "reap": {
            "task": "workers.tasks.reap",
            "schedule": REAP_SECONDS,
            # One that waited behind a long job says nothing new.
            "options": {"queue": "interactive", "expires": REAP_SECONDS},
        },
        "collect": {
            "task": "workers.tasks.collect",
            "schedule": REAP_SECONDS,
            "options": {"queue": "interactive", "expires": REAP_SECONDS},
        },
        "look": {
            "task": "workers.tasks.look",
            "schedule": LOOK_SECONDS,
            "options": {"queue": "cpu", "expires": LOOK_SECONDS},
        },
    },
)
