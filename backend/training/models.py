"""Training runs on releases, the checkpoints they give, evaluations, and promotions to proposer."""

from django.conf import settings
from django.db import models

from backend.datasets.models import Release
from backend.models import Blob, Job
from backend.proposals.models import Proposer


class Checkpoint(models.Model):
    """Weights with configuration and card, stored by hash."""

    name = models.SlugField(max_length=80, unique=True)
    run = models.ForeignKey(
        "TrainingRun", on_delete=models.SET_NULL, null=True, blank=True, related_name="checkpoints"
    )
    parent = models.ForeignKey(
        "self", on_delete=models.SET_NULL, null=True, blank=True, related_name="children"
    )
    weights = models.ForeignKey(Blob, on_delete=models.PROTECT, related_name="+")
    config = models.JSONField()
    card = models.JSONField()
    texture = models.ForeignKey(
        "self", on_delete=models.PROTECT, null=True, blank=True, related_name="geometries",
        help_text="the second stage that finishes its shapes when it proposes",
    )
    proposer = models.OneToOneField(
        Proposer, on_delete=models.PROTECT, null=True, blank=True, related_name="checkpoint"
    )
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return self.name


class TrainingRun(models.Model):
    """One stage of training: what it read, where it started, how it goes."""

    class Stage(models.TextChoices):
        PRETRAIN = "pretrain"
        MIDTRAIN = "midtrain"
        SFT = "sft"
        DPO = "dpo"
        DISTILL = "distill"

    class State(models.TextChoices):
        QUEUED = "queued"
        RUNNING = "running"
        DONE = "done"
        FAILED = "failed"

    stage = models.CharField(max_length=10, choices=Stage.choices)
    model = models.CharField(max_length=20, default="geometry")
    recipe = models.CharField(max_length=10, default="tiny")
    releases = models.ManyToManyField(Release, related_name="runs")
    init = models.ForeignKey(
        Checkpoint, on_delete=models.PROTECT, null=True, blank=True, related_name="runs_from"
    )
    options = models.JSONField(default=dict, blank=True)
    state = models.CharField(max_length=10, choices=State.choices, default=State.QUEUED)
    log = models.JSONField(default=list, help_text="metrics by step, thinned")
    error = models.TextField(blank=True)
    job = models.ForeignKey(Job, on_delete=models.SET_NULL, null=True, blank=True)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"{self.stage} run {self.pk}"


class Evaluation(models.Model):
    """Measured quality of a checkpoint, beside the one it is held against."""

    checkpoint = models.ForeignKey(Checkpoint, on_delete=models.CASCADE, related_name="evaluations")
    against = models.ForeignKey(
        Checkpoint, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    release = models.ForeignKey(
        Release, on_delete=models.PROTECT, null=True, blank=True, help_text="none: synthetic"
    )
    metrics = models.JSONField(default=dict)
    job = models.ForeignKey(Job, on_delete=models.SET_NULL, null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)


class Promotion(models.Model):
    """Which checkpoint proposes since when; demote goes back to the one before."""

    checkpoint = models.ForeignKey(Checkpoint, on_delete=models.PROTECT, related_name="promotions")
    by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True)
    at = models.DateTimeField(auto_now_add=True)
    ended_at = models.DateTimeField(null=True, blank=True)
