"""Django admin of training: what ran and what came of it, to look at. Promotion has its own page and command."""

from django.contrib import admin

from backend.readonly import ReadOnlyAdmin
from backend.training.models import Checkpoint, Evaluation, Promotion, TrainingRun


@admin.register(Checkpoint)
class CheckpointAdmin(ReadOnlyAdmin):
    list_display = ("id", "name", "run", "parent", "proposer", "created_at")
    list_select_related = ("run", "parent", "proposer")


@admin.register(TrainingRun)
class TrainingRunAdmin(ReadOnlyAdmin):
    list_display = ("id", "stage", "model", "recipe", "state", "init", "created_at")
    list_filter = ("stage", "state")
    list_select_related = ("init",)


@admin.register(Evaluation)
class EvaluationAdmin(ReadOnlyAdmin):
    list_display = ("id", "checkpoint", "against", "release", "created_at")
    list_select_related = ("checkpoint", "against", "release")


@admin.register(Promotion)
class PromotionAdmin(ReadOnlyAdmin):
    list_display = ("id", "checkpoint", "by", "at", "ended_at")
    list_select_related = ("checkpoint", "by")
