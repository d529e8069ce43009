"""Proposers and the candidates that they made for an object of a batch."""

import uuid

from django.contrib.postgres.fields import ArrayField
from django.db import models

from backend.catalog.models import Batch, Mesh, TargetObject
from backend.models import Blob, Job


class Proposer(models.Model):
    """Something that turns an object and a seed into candidates. A checkpoint becomes one when it is promoted.

    One of kind `command` is named after the adapter whose command line the settings of the workers hold.
    """

    class Kind(models.TextChoices):
        RETRIEVAL = "retrieval"
        INFLATION = "inflation"
        FLOW = "flow"
        SAM3D = "sam3d"
        COMMAND = "command"
        ARTIST = "artist"
        GOLD = "gold"

    name = models.SlugField(max_length=80, unique=True)
    kind = models.CharField(max_length=12, choices=Kind.choices)
    active = models.BooleanField(default=True)
    share = models.PositiveSmallIntegerField(default=1, help_text="relative part of the N candidates of an object")
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return self.name


# Kinds whose candidates our own models made: the checkpoints, the tiny ones too. Only what they made is rejected in a
# preference pair by default, since others' losers are out of the model's distribution (paper C.3).
OWN_MODELS = (Proposer.Kind.FLOW, Proposer.Kind.SAM3D)


class Candidate(models.Model):
    """One mesh with a pose for one object. `key` is all that annotators' pages ever see of it.

    Pose: p_cam = R diag(s) p_glb + t (column vectors, OpenCV camera, GLB as delivered).
    """

    class State(models.TextChoices):
        READY = "ready"
        WITHDRAWN = "withdrawn"

    batch = models.ForeignKey(Batch, on_delete=models.CASCADE, related_name="candidates")
    object = models.ForeignKey(TargetObject, on_delete=models.CASCADE, related_name="candidates")
    proposer = models.ForeignKey(Proposer, on_delete=models.PROTECT, related_name="candidates")
    job = models.ForeignKey(Job, on_delete=models.SET_NULL, null=True, blank=True)
    seed = models.BigIntegerField()
    state = models.CharField(max_length=10, choices=State.choices, default=State.READY)
    key = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    mesh = models.ForeignKey(Mesh, on_delete=models.PROTECT)
    viewer = models.ForeignKey(Blob, on_delete=models.PROTECT, related_name="+")
    thumbnail = models.ForeignKey(Blob, on_delete=models.PROTECT, related_name="+")
    turntable = models.ForeignKey(
        Blob, on_delete=models.PROTECT, related_name="+", null=True, blank=True,
        help_text="PNG strip of eight views, 45 degrees apart",
    )
    R = ArrayField(models.FloatField(), size=9)
    t = ArrayField(models.FloatField(), size=3)
    s = ArrayField(models.FloatField(), size=3)
    pointmap_source = models.CharField(max_length=10, blank=True, help_text="what the pose was placed on")
    score = models.FloatField(default=0)
    cost_seconds = models.FloatField(default=0)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["batch", "object", "proposer", "seed"], name="candidate_once_per_seed")
        ]
        indexes = [models.Index(fields=["batch", "object", "state"], name="candidate_of_object")]

    def __str__(self) -> str:
        return f"candidate {self.pk}"
