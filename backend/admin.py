"""Django admin of the shared rows: jobs are watched and retried here; blobs and uploads are only shown."""

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from backend import jobs
from backend.models import Blob, Job, Upload
from backend.readonly import ReadOnlyAdmin


@admin.register(Job)
class JobAdmin(ReadOnlyAdmin):
    """Jobs, newest first."""

    list_display = ["id", "kind", "state", "progress", "attempts", "message", "cost_seconds", "created_at"]
    list_filter = ["state", "kind"]
    actions = ["retry"]
    ordering = ["-id"]

    @admin.action(description=gettext_lazy("Queue failed and cancelled jobs again"), permissions=["view"])
    def retry(self, request: HttpRequest, queryset: QuerySet[Job]) -> None:
        """Says how many of the chosen jobs were queued again."""
        moved = sum(jobs.retry(job) for job in queryset)
        self.message_user(request, _("%(moved)s jobs queued again") % {"moved": moved})


@admin.register(Upload)
class UploadAdmin(ReadOnlyAdmin):
    """Uploads on their way in."""

    list_display = ["id", "user", "filename", "size", "state", "created_at"]
    list_filter = ["state"]
    list_select_related = ["user"]
    ordering = ["-created_at"]


@admin.register(Blob)
class BlobAdmin(ReadOnlyAdmin):
    """Stored bytes by hash."""

    list_display = ["sha256", "size", "media_type", "created_at"]
    search_fields = ["sha256"]
