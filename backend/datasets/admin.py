"""Django admin of the data sets: all read-only, since a release never changes and its rows are answers."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from backend.datasets.models import PreferencePair, Release, Sample


class ReadOnly(admin.ModelAdmin):
    """Rows to look at; they are made by the loop, not by hand."""

    show_full_result_count = False
    list_per_page = 50

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Sample)
class SampleAdmin(ReadOnly):
    list_display = (
        "id",
        "batch",
        "object_id",
        "candidate_id",
        "r",
        "pointmap_source",
        "simulated",
        "created_at",
    )
    list_filter = ("simulated", "pointmap_source")
    list_select_related = ("batch",)
    exclude = ("candidate", "assignment", "alignment")


@admin.register(PreferencePair)
class PreferencePairAdmin(ReadOnly):
    list_display = (
        "id",
        "batch",
        "object_id",
        "chosen_id",
        "rejected_id",
        "weight",
        "simulated",
        "created_at",
    )
    list_filter = ("simulated",)
    list_select_related = ("batch",)
    exclude = ("chosen", "rejected", "assignment")


@admin.register(Release)
class ReleaseAdmin(ReadOnly):
    list_display = ("id", "kind", "state", "rows", "include_simulated", "sha256", "location", "created_at")
    list_filter = ("kind", "state", "include_simulated")
    exclude = ("samples", "pairs")
