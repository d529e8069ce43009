"""The queue and the answers: tasks, assignments (leases), comparisons, ratings, alignments, reviews."""

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q

from backend.catalog.models import Batch, Pointmap, TargetObject
from backend.proposals.models import Candidate


class Task(models.Model):
    """One step of one object in one batch; claimable while it is open and has room for another person."""

    class Stage(models.TextChoices):
        SELECT = "select"
        COMPARE = "compare"
        ALIGN = "align"
        ART = "art"

    class State(models.TextChoices):
        WAITING = "waiting"
        OPEN = "open"
        DONE = "done"
        ESCALATED = "escalated"
        CANCELLED = "cancelled"

    batch = models.ForeignKey(Batch, on_delete=models.CASCADE, related_name="tasks")
    object = models.ForeignKey(TargetObject, on_delete=models.CASCADE, related_name="tasks")
    stage = models.CharField(max_length=8, choices=Stage.choices)
    state = models.CharField(max_length=10, choices=State.choices, default=State.WAITING)
    round = models.PositiveSmallIntegerField(default=1, help_text="a returned task is a new round")
    candidate = models.ForeignKey(
        Candidate,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        help_text="the chosen mesh, for align and art",
    )
    priority = models.IntegerField(default=0)
    sort_key = models.BigIntegerField(default=0)
    needed = models.PositiveSmallIntegerField(default=1)
    n_leased = models.PositiveSmallIntegerField(default=0)
    n_done = models.PositiveSmallIntegerField(default=0)
    reason = models.CharField(
        max_length=40, blank=True, help_text="why it was escalated, or the kind of art case"
    )
    note = models.TextField(blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["batch", "object", "stage", "round"], name="task_once"),
            models.CheckConstraint(
                name="task_not_over_assigned", condition=Q(needed__gte=F("n_leased") + F("n_done"))
            ),
        ]
        indexes = [
            models.Index(
                F("batch"),
                F("stage"),
                F("priority").desc(),
                F("sort_key"),
                F("id"),
                name="task_claimable",
                condition=Q(state="open", needed__gt=F("n_leased") + F("n_done")),
            ),
            models.Index(fields=["batch", "stage", "state"], name="task_progress"),
        ]

    def __str__(self) -> str:
        return f"{self.stage} {self.object_id}"


class Assignment(models.Model):
    """One person's lease on a task, and the frame of that person's answer. `fence` tells a zombie tab from a live one."""

    class State(models.TextChoices):
        LEASED = "leased"
        SUBMITTED = "submitted"
        SKIPPED = "skipped"
        RELEASED = "released"
        POSTPONED = "postponed"
        EXPIRED = "expired"
        ESCALATED = "escalated"

    class Origin(models.TextChoices):
        PERSON = "person"
        SIMULATION = "simulation"

    task = models.ForeignKey(Task, on_delete=models.CASCADE, related_name="assignments")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="assignments")
    batch = models.ForeignKey(Batch, on_delete=models.CASCADE, related_name="+")
    stage = models.CharField(max_length=8, choices=Task.Stage.choices)
    state = models.CharField(max_length=10, choices=State.choices, default=State.LEASED)
    origin = models.CharField(max_length=10, choices=Origin.choices, default=Origin.PERSON)
    prefetch = models.BooleanField(default=False)
    fence = models.PositiveIntegerField(default=1)
    lease_until = models.DateTimeField()
    bracket = ArrayField(
        models.BigIntegerField(), default=list, help_text="candidate ids in the order of showing"
    )
    survivor = models.ForeignKey(
        Candidate,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        help_text="what the bracket kept",
    )
    key = models.UUIDField(
        unique=True, null=True, blank=True, help_text="the client's key of the completing answer"
    )
    draft = models.JSONField(null=True, blank=True)
    instructions_version = models.PositiveIntegerField(
        default=0, db_default=0, help_text="of the batch's instructions, as the person had them"
    )
    reason = models.CharField(max_length=60, blank=True)
    active_ms = models.PositiveIntegerField(default=0)
    created_at = models.DateTimeField(auto_now_add=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["task", "user"], name="assignment_once_per_person"),
            models.UniqueConstraint(
                fields=["user", "batch", "prefetch"],
                name="one_active_one_prefetched",
                condition=Q(state="leased") & ~Q(stage="art"),
            ),
        ]
        indexes = [
            models.Index(fields=["lease_until"], name="assignment_leases", condition=Q(state="leased")),
            models.Index(fields=["user", "-finished_at"], name="assignment_of_user"),
            models.Index(fields=["batch", "stage", "state", "-id"], name="assignment_review"),
        ]

    def __str__(self) -> str:
        return f"assignment {self.pk} {self.state}"


class Comparison(models.Model):
    """One answer inside a bracket, append-only; undo is a further row."""

    class Answer(models.TextChoices):
        LEFT = "left"
        RIGHT = "right"
        EQUAL = "equal"
        NEITHER = "neither"
        GRID = "grid"
        UNDO = "undo"

    assignment = models.ForeignKey(Assignment, on_delete=models.CASCADE, related_name="comparisons")
    seq = models.PositiveSmallIntegerField()
    answer = models.CharField(max_length=8, choices=Answer.choices)
    left = models.ForeignKey(Candidate, on_delete=models.PROTECT, related_name="+", null=True)
    right = models.ForeignKey(Candidate, on_delete=models.PROTECT, related_name="+", null=True)
    kept = models.ForeignKey(Candidate, on_delete=models.PROTECT, related_name="+", null=True)
    key = models.UUIDField()
    picked = ArrayField(
        models.BigIntegerField(), default=list, db_default=[], blank=True,
        help_text="grid: the candidates that go on to the knockout",
    )
    reasons = ArrayField(models.CharField(max_length=40), default=list, blank=True)
    active_ms = models.PositiveIntegerField(default=0)
    coverage = ArrayField(
        models.FloatField(), default=list, db_default=[], blank=True,
        help_text="share of directions from which left and right were seen, 0..1",
    )
    at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["assignment", "seq"], name="comparison_once_per_seq")]


class Rating(models.Model):
    """r in [0, 1]: how good the survivor of a bracket is, against the batch's bar alpha."""

    assignment = models.OneToOneField(Assignment, on_delete=models.CASCADE, related_name="rating")
    candidate = models.ForeignKey(Candidate, on_delete=models.PROTECT, related_name="ratings")
    r = models.FloatField()
    reasons = ArrayField(models.CharField(max_length=40), default=list, blank=True)
    active_ms = models.PositiveIntegerField(default=0, db_default=0)
    coverage = models.FloatField(null=True, blank=True, help_text="share of directions from which it was seen, 0..1")
    at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.CheckConstraint(name="rating_0_1", condition=Q(r__gte=0, r__lte=1))]


class Alignment(models.Model):
    """Pose of a chosen mesh on the pointmap: p_cam = R diag(s) p_glb + t (OpenCV camera). New version, new row."""

    assignment = models.ForeignKey(Assignment, on_delete=models.CASCADE, related_name="alignments")
    version = models.PositiveSmallIntegerField(default=1)
    candidate = models.ForeignKey(Candidate, on_delete=models.PROTECT, related_name="alignments")
    pointmap = models.ForeignKey(Pointmap, on_delete=models.PROTECT, related_name="+")
    by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    R = ArrayField(models.FloatField(), size=9)
    t = ArrayField(models.FloatField(), size=3)
    s = ArrayField(models.FloatField(), size=3)
    iou = models.FloatField(null=True, blank=True, help_text="mask IoU as the page measured it")
    depth_residual = models.FloatField(
        null=True, blank=True, help_text="mean |z - z of the pointmap| / z, as the page measured it"
    )
    active_ms = models.PositiveIntegerField(default=0, db_default=0)
    at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["assignment", "version"], name="alignment_version_once")
        ]


class Review(models.Model):
    """A reviewer's verdict on a submitted assignment; what needs review becomes a sample only when accepted."""

    class Verdict(models.TextChoices):
        ACCEPT = "accept"
        FIX = "fix"
        RETURN = "return"

    assignment = models.OneToOneField(Assignment, on_delete=models.CASCADE, related_name="review")
    reviewer = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    verdict = models.CharField(max_length=8, choices=Verdict.choices)
    r = models.FloatField(null=True, blank=True, help_text="fix of a rating: the reviewer's r, which counts")
    note = models.TextField(blank=True)
    at = models.DateTimeField(auto_now_add=True)


class Anchor(models.Model):
    """An example of what a rating means in a batch: a candidate with its r, shown beside the scale."""

    batch = models.ForeignKey(Batch, on_delete=models.CASCADE, related_name="anchors")
    candidate = models.ForeignKey(Candidate, on_delete=models.CASCADE, related_name="+")
    r = models.FloatField()
    note = models.CharField(max_length=200, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["batch", "candidate"], name="anchor_once"),
            models.CheckConstraint(name="anchor_0_1", condition=Q(r__gte=0, r__lte=1)),
        ]


class Problem(models.Model):
    """What somebody reports about an object while working on it, or a salient object outside the taxonomy."""

    class Kind(models.TextChoices):
        PROBLEM = "problem"
        OUTSIDE = "outside_taxonomy"

    object = models.ForeignKey(TargetObject, on_delete=models.CASCADE, related_name="problems")
    batch = models.ForeignKey(Batch, on_delete=models.CASCADE, related_name="problems")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    kind = models.CharField(max_length=20, choices=Kind.choices, default=Kind.PROBLEM)
    stage = models.CharField(max_length=8, choices=Task.Stage.choices)
    note = models.TextField()
    place = ArrayField(
        models.FloatField(), size=2, null=True, blank=True, help_text="x, y in pixels of the upright photo"
    )
    key = models.UUIDField(unique=True, help_text="the client's key: sent twice, stored once")
    at = models.DateTimeField(auto_now_add=True)
    settled_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+", null=True, blank=True
    )
    settled_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes = [models.Index(fields=["batch", "-id"], name="problem_open", condition=Q(settled_at=None))]


class GoldPair(models.Model):
    """Two candidates of one object of which one is certainly better, and why; with a place it is a practice object."""

    better = models.ForeignKey(Candidate, on_delete=models.CASCADE, related_name="+")
    worse = models.ForeignKey(Candidate, on_delete=models.CASCADE, related_name="+")
    lesson = models.CharField(max_length=30, help_text="what is wrong with the worse one, as a code")
    place = models.PositiveSmallIntegerField(null=True, blank=True, unique=True, help_text="1, 2, ... in the practice")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["better", "worse"], name="gold_pair_once")]


class PracticeAnswer(models.Model):
    """A person's answer to a practice object; the first one counts."""

    pair = models.ForeignKey(GoldPair, on_delete=models.CASCADE, related_name="answers")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="practice")
    right = models.BooleanField()
    active_ms = models.PositiveIntegerField(default=0)
    at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["pair", "user"], name="practice_answer_once")]
