"""Stage 2.5: what artists send for the hardest objects, the report on each mesh, and what is said about it."""

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models

from backend.annotation.models import Assignment, Task
from backend.catalog.models import Mesh
from backend.models import Job, Upload


class ArtSubmission(models.Model):
    """One version of an artist's mesh for an art task."""

    class State(models.TextChoices):
        CHECKING = "checking"
        REFUSED = "refused"
        IN_REVIEW = "in_review"
        RETURNED = "returned"
        APPROVED = "approved"

    task = models.ForeignKey(Task, on_delete=models.CASCADE, related_name="submissions")
    assignment = models.ForeignKey(Assignment, on_delete=models.CASCADE, related_name="submissions")
    version = models.PositiveSmallIntegerField()
    upload = models.ForeignKey(Upload, on_delete=models.PROTECT)
    mesh = models.ForeignKey(Mesh, on_delete=models.PROTECT, null=True, blank=True)
    job = models.ForeignKey(Job, on_delete=models.SET_NULL, null=True, blank=True)
    state = models.CharField(max_length=10, choices=State.choices, default=State.CHECKING)
    note = models.TextField(blank=True, help_text="the reviewer's words")
    repaired_from = models.ForeignKey(
        "self", on_delete=models.SET_NULL, null=True, blank=True, related_name="repairs"
    )
    fixes = ArrayField(
        models.CharField(max_length=30), default=list, blank=True, help_text="repairs asked for"
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["task", "version"], name="submission_version_once")]


class MeshReport(models.Model):
    """What was measured on a submitted mesh; each finding says what is wrong and how to mend it."""

    submission = models.OneToOneField(ArtSubmission, on_delete=models.CASCADE, related_name="report")
    ok = models.BooleanField()
    findings = models.JSONField(
        default=list, help_text="[{check, level, message, params, advice, fix, picture, points}]"
    )
    pictures = models.JSONField(default=list, help_text="sha256 of each picture; findings name them by place")
    figures = models.JSONField(default=dict, help_text="triangles, extents, watertight, ...")
    created_at = models.DateTimeField(auto_now_add=True)


class Pin(models.Model):
    """A remark on a submission, at a point of its mesh or on the whole."""

    submission = models.ForeignKey(ArtSubmission, on_delete=models.CASCADE, related_name="pins")
    by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    key = models.UUIDField(unique=True, help_text="the client's key: sent twice, pinned once")
    point = ArrayField(
        models.FloatField(), size=3, null=True, blank=True, help_text="x y z in the frame of the GLB"
    )
    text = models.TextField()
    at = models.DateTimeField(auto_now_add=True)
