"""Django admin of the art cases: submissions and their reports, to look at."""

from django.contrib import admin

from backend.art3do.models import ArtSubmission, MeshReport, Pin
from backend.readonly import ReadOnlyAdmin


@admin.register(ArtSubmission)
class ArtSubmissionAdmin(ReadOnlyAdmin):
    list_display = ("id", "task_id", "version", "state", "created_at")
    list_filter = ("state",)
    readonly_fields = ("task", "assignment", "version", "upload", "mesh", "job", "state")
    show_full_result_count = False


@admin.register(MeshReport)
class MeshReportAdmin(ReadOnlyAdmin):
    list_display = ("id", "submission_id", "ok", "created_at")
    readonly_fields = ("submission", "ok", "findings", "figures")
    show_full_result_count = False


@admin.register(Pin)
class PinAdmin(ReadOnlyAdmin):
    list_display = ("id", "submission_id", "by_id", "at")
    readonly_fields = ("submission", "by", "key", "point", "text")
    show_full_result_count = False
