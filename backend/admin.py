"""Django admin of the shared rows: jobs are watched and retried here; blobs and uploads are only shown."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from backend import jobs
from backend.models import Blob, Job, Upload


class Shown(admin.ModelAdmin):
    """Rows that the product writes and nobody edits."""

    list_per_page = 50
    show_full_result_count = False

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Job)
class JobAdmin(Shown):
    """Jobs, newest first."""

    list_display = ["id", "kind", "state", "progress", "attempts", "message", "cost_seconds", "created_at"]
    list_filter = ["state", "kind"]
    actions = ["retry"]
    ordering = ["-id"]

    @admin.action(description="Queue failed and cancelled jobs again", permissions=["view"])
    def retry(self, request: HttpRequest, queryset: QuerySet[Job]) -> None:
        """Says how many of the chosen jobs were queued again."""
        moved = sum(jobs.retry(job) for job in queryset)
        self.message_user(request, f"{moved} jobs queued again")


@admin.register(Upload)
class UploadAdmin(Shown):
    """Uploads on their way in."""

    list_display = ["id", "user", "filename", "size", "state", "created_at"]
    list_filter = ["state"]
    list_select_related = ["user"]
    ordering = ["-created_at"]


@admin.register(Blob)
class BlobAdmin(Shown):
    """Stored bytes by hash."""

    list_display = ["sha256", "size", "media_type", "created_at"]
    search_fields = ["sha256"]
