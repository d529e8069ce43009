"""Django admin of the data sets: all read-only, since a release never changes and its rows are answers."""

from django.contrib import admin

from backend.datasets.models import Build, PreferencePair, Release, Sample
from backend.readonly import ReadOnlyAdmin


@admin.register(Sample)
class SampleAdmin(ReadOnlyAdmin):
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
class PreferencePairAdmin(ReadOnlyAdmin):
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
class ReleaseAdmin(ReadOnlyAdmin):
    list_display = ("id", "kind", "collection", "state", "base_id", "rows", "include_simulated", "sha256", "location", "created_at")
    list_filter = ("kind", "collection", "state", "include_simulated")
    exclude = ("samples", "pairs", "removed_samples", "removed_pairs")


@admin.register(Build)
class BuildAdmin(ReadOnlyAdmin):
    list_display = ("id", "variant", "state", "shards", "source", "out", "sha256", "created_at")
    list_filter = ("variant", "state")
