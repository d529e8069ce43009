"""Stage 2.5: what artists send for the hardest objects, and the report on each mesh."""

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
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["task", "version"], name="submission_version_once")]


class MeshReport(models.Model):
    """What was measured on a submitted mesh; each finding says what is wrong and how to mend it."""

    submission = models.OneToOneField(ArtSubmission, on_delete=models.CASCADE, related_name="report")
    ok = models.BooleanField()
    findings = models.JSONField(default=list, help_text="[{check, level, message, fix}]")
    figures = models.JSONField(default=dict, help_text="triangles, extents, watertight, ...")
    created_at = models.DateTimeField(auto_now_add=True)
