"""Django admin of the queue: tasks may be re-prioritised or cancelled, answers are only shown."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from backend.annotation.models import Alignment, Assignment, Comparison, Rating, Review, Task
from backend.readonly import ReadOnlyAdmin


@admin.register(Task)
class TaskAdmin(admin.ModelAdmin):
    """Tasks: priority, note and reason may change; counters and stages are the queue's."""

    list_display = [
        "id",
        "batch",
        "object_id",
        "stage",
        "state",
        "round",
        "priority",
        "needed",
        "n_leased",
        "n_done",
    ]
    list_filter = ["stage", "state"]
    list_select_related = ["batch"]
    list_per_page = 50
    show_full_result_count = False
    fields = ["priority", "reason", "note"]
    ordering = ["-id"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Tasks come from imports and from the loop."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """What was answered stays."""
        return False


@admin.register(Assignment)
class AssignmentAdmin(ReadOnlyAdmin):
    """Leases and answers, newest first."""

    list_display = [
        "id",
        "user",
        "batch",
        "stage",
        "state",
        "origin",
        "lease_until",
        "active_ms",
        "finished_at",
    ]
    list_filter = ["stage", "state", "origin"]
    list_select_related = ["user", "batch"]
    ordering = ["-id"]


@admin.register(Comparison)
class ComparisonAdmin(ReadOnlyAdmin):
    """Answers inside brackets."""

    list_display = [
        "id",
        "assignment_id",
        "seq",
        "answer",
        "left_id",
        "right_id",
        "kept_id",
        "active_ms",
        "at",
    ]
    list_filter = ["answer"]
    ordering = ["-id"]


@admin.register(Rating)
class RatingAdmin(ReadOnlyAdmin):
    """Ratings of survivors."""

    list_display = ["id", "assignment_id", "candidate_id", "r", "at"]
    ordering = ["-id"]


@admin.register(Alignment)
class AlignmentAdmin(ReadOnlyAdmin):
    """Poses."""

    list_display = ["id", "assignment_id", "version", "candidate_id", "by", "iou", "at"]
    list_select_related = ["by"]
    ordering = ["-id"]


@admin.register(Review)
class ReviewAdmin(ReadOnlyAdmin):
    """Verdicts."""

    list_display = ["id", "assignment_id", "reviewer", "verdict", "at"]
    list_filter = ["verdict"]
    list_select_related = ["reviewer"]
    ordering = ["-id"]
