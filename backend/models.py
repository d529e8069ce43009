"""Rows that every app shares: stored blobs, uploads on their way in, and jobs (the truth behind Celery)."""

import uuid

from django.conf import settings
from django.db import models


class Blob(models.Model):
    """Content-addressed bytes in the store; rows elsewhere point here, nothing is ever overwritten."""

    sha256 = models.CharField(primary_key=True, max_length=64)
    size = models.BigIntegerField()
    media_type = models.CharField(max_length=100)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="blob_sha256_is_hex", condition=models.Q(sha256__regex=r"^[0-9a-f]{64}$")
            ),
            models.CheckConstraint(name="blob_size_not_negative", condition=models.Q(size__gte=0)),
        ]

    def __str__(self) -> str:
        return f"{self.sha256[:12]} ({self.media_type}, {self.size} bytes)"


class Upload(models.Model):
    """Bytes a person is sending; they become a blob only after finalise checked size and hash."""

    class State(models.TextChoices):
        OPEN = "open"
        STORED = "stored"
        REFUSED = "refused"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="uploads")
    filename = models.CharField(max_length=300)
    size = models.BigIntegerField()
    sha256 = models.CharField(max_length=64, blank=True)
    state = models.CharField(max_length=10, choices=State.choices, default=State.OPEN)
    in_parts = models.BooleanField(default=False, help_text="sent in parts, so that it can be resumed")
    ticket = models.CharField(max_length=1024, blank=True, help_text="the bucket's id of the parts")
    key = models.UUIDField(null=True, blank=True, help_text="the client's key: announced twice, made once")
    blob = models.ForeignKey(Blob, on_delete=models.PROTECT, null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user", "key"], name="upload_once_per_key")]

    def __str__(self) -> str:
        return f"{self.filename} ({self.state})"


class Job(models.Model):
    """One piece of asynchronous work. The row is the truth; the Celery message only says «look»."""

    class State(models.TextChoices):
        QUEUED = "queued"
        RUNNING = "running"
        DONE = "done"
        FAILED = "failed"
        CANCELLED = "cancelled"

    kind = models.CharField(max_length=30)
    queue = models.CharField(max_length=15)
    group = models.CharField(
        max_length=80, blank=True, help_text="jobs that are waited for together, e.g. propose:3:17"
    )
    key = models.CharField(
        max_length=200, unique=True, help_text="same key, same work: sending twice makes one row"
    )
    args = models.JSONField(default=dict)
    state = models.CharField(max_length=10, choices=State.choices, default=State.QUEUED)
    attempts = models.PositiveSmallIntegerField(default=0)
    max_attempts = models.PositiveSmallIntegerField(default=3)
    worker = models.CharField(max_length=120, blank=True)
    sent_at = models.DateTimeField(null=True, blank=True)
    lease_until = models.DateTimeField(null=True, blank=True)
    progress = models.FloatField(default=0)
    message = models.CharField(max_length=300, blank=True)
    result = models.JSONField(default=dict, blank=True)
    error = models.TextField(blank=True)
    cost_seconds = models.FloatField(default=0)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes = [
            models.Index(fields=["group", "state"], name="job_group_state"),
            models.Index(fields=["lease_until"], name="job_running", condition=models.Q(state="running")),
            models.Index(fields=["sent_at"], name="job_queued", condition=models.Q(state="queued")),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.pk} {self.state}"
