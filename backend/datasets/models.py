"""What comes out: samples (D+), preference pairs (d+ over d-), and frozen releases of them."""

import uuid

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models

from backend.annotation.models import Alignment, Assignment
from backend.catalog.models import Batch, TargetObject
from backend.models import Blob, Job
from backend.proposals.models import Candidate


class Sample(models.Model):
    """An accepted reconstruction D+ = (I, M, S, T, R, t, s, r) with everything it came from."""

    batch = models.ForeignKey(Batch, on_delete=models.PROTECT, related_name="samples")
    object = models.ForeignKey(TargetObject, on_delete=models.PROTECT, related_name="samples")
    candidate = models.ForeignKey(Candidate, on_delete=models.PROTECT, related_name="samples")
    assignment = models.ForeignKey(Assignment, on_delete=models.PROTECT, related_name="samples")
    alignment = models.ForeignKey(Alignment, on_delete=models.PROTECT, null=True, blank=True)
    r = models.FloatField(help_text="rating in [0, 1]; 1 for an approved artist's mesh")
    R = ArrayField(models.FloatField(), size=9, null=True)
    t = ArrayField(models.FloatField(), size=3, null=True)
    s = ArrayField(models.FloatField(), size=3, null=True)
    pointmap_source = models.CharField(max_length=10, blank=True)
    simulated = models.BooleanField(default=False)
    created_at = models.DateTimeField(auto_now_add=True)
    withdrawn_at = models.DateTimeField(
        null=True,
        blank=True,
        help_text="a released row that the answers no longer give; no later release takes it",
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["batch", "object", "candidate"],
                name="sample_current",
                condition=models.Q(withdrawn_at=None),
            )
        ]


class PreferencePair(models.Model):
    """`chosen` is preferred over `rejected` for one object."""

    batch = models.ForeignKey(Batch, on_delete=models.PROTECT, related_name="pairs")
    object = models.ForeignKey(TargetObject, on_delete=models.PROTECT, related_name="pairs")
    chosen = models.ForeignKey(Candidate, on_delete=models.PROTECT, related_name="+")
    rejected = models.ForeignKey(Candidate, on_delete=models.PROTECT, related_name="+")
    assignment = models.ForeignKey(Assignment, on_delete=models.PROTECT, related_name="pairs")
    weight = models.FloatField(
        default=1, help_text="probability that chosen is better, given all answers; over 0.5"
    )
    simulated = models.BooleanField(default=False)
    created_at = models.DateTimeField(auto_now_add=True)
    withdrawn_at = models.DateTimeField(
        null=True,
        blank=True,
        help_text="a released row that the answers no longer give; no later release takes it",
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["assignment", "chosen", "rejected"],
                name="pair_current",
                condition=models.Q(withdrawn_at=None),
            ),
            models.CheckConstraint(name="pair_of_two", condition=~models.Q(chosen=models.F("rejected"))),
        ]


class Release(models.Model):
    """A frozen, hashed export. The rows it holds never change; the hash is the manifest's sha256.

    With a `base` it holds only what the base and those before it do not hold, and lists the rows of theirs that are no
    longer wanted: the whole chain read together is what a release without a base would hold.
    """

    class Kind(models.TextChoices):
        SFT = "sft"
        DPO = "dpo"

    class State(models.TextChoices):
        BUILDING = "building"
        FROZEN = "frozen"
        FAILED = "failed"

    uid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    kind = models.CharField(max_length=4, choices=Kind.choices)
    batches = models.ManyToManyField(Batch, related_name="releases")
    state = models.CharField(max_length=10, choices=State.choices, default=State.BUILDING)
    include_simulated = models.BooleanField(default=False)
    include_fallback_layout = models.BooleanField(default=False)
    min_rating = models.FloatField(default=0)
    base = models.ForeignKey(
        "self", on_delete=models.PROTECT, null=True, blank=True, related_name="increments"
    )
    collection = models.CharField(
        max_length=8,
        choices=Batch.Judges.choices,
        default=Batch.Judges.SHAPE,
        db_default="shape",
        blank=True,
        help_text="shape and texture are never mixed; blank: frozen before they were told apart",
    )
    own_negatives = models.BooleanField(
        default=True, db_default=True, help_text="dpo: only what our own model made is rejected"
    )
    aesthetic = models.BooleanField(
        default=False, db_default=False, help_text="only objects of high aesthetics"
    )
    location = models.CharField(max_length=500, blank=True)
    sha256 = models.CharField(max_length=64, blank=True)
    manifest = models.ForeignKey(Blob, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    rows = models.PositiveBigIntegerField(default=0)
    counts = models.JSONField(default=dict)
    samples = models.ManyToManyField(Sample, related_name="releases")
    pairs = models.ManyToManyField(PreferencePair, related_name="releases")
    removed_samples = models.ManyToManyField(Sample, related_name="removed_by")
    removed_pairs = models.ManyToManyField(PreferencePair, related_name="removed_by")
    job = models.ForeignKey(Job, on_delete=models.SET_NULL, null=True, blank=True)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"{self.kind} release {self.pk}"


class ReleaseFile(models.Model):
    """One file of a frozen release, as stored and hashed."""

    release = models.ForeignKey(Release, on_delete=models.CASCADE, related_name="files")
    name = models.CharField(max_length=200)
    blob = models.ForeignKey(Blob, on_delete=models.PROTECT)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["release", "name"], name="release_file_once")]


class Build(models.Model):
    """A data set of meshes and photos (Iso-3DO, RP-3DO) on its way into a folder or bucket, shard by shard."""

    class State(models.TextChoices):
        PLANNING = "planning"
        BUILDING = "building"
        FINISHING = "finishing"
        DONE = "done"
        FAILED = "failed"

    variant = models.CharField(max_length=20)
    source = models.CharField(max_length=500)
    out = models.CharField(max_length=500, unique=True)
    options = models.JSONField(default=dict)
    state = models.CharField(max_length=10, choices=State.choices, default=State.PLANNING)
    shards = models.PositiveIntegerField(default=0)
    sha256 = models.CharField(max_length=64, blank=True, help_text="hash of the data set's manifest")
    counts = models.JSONField(default=dict)
    error = models.TextField(blank=True)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"{self.variant} build {self.pk}"
