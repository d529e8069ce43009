"""What is worked on: batches, images with their pointmaps, objects (image + mask), and meshes."""

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models

from backend.models import Blob


class Batch(models.Model):
    """Objects worked under one configuration: N candidates, the bar alpha, overlap, protocol."""

    class State(models.TextChoices):
        OPEN = "open"
        PAUSED = "paused"
        CLOSED = "closed"

    class Kind(models.TextChoices):
        MITL = "mitl"
        ART = "art3do"
        PRACTICE = "practice"

    class Protocol(models.TextChoices):
        KING_OF_THE_HILL = "king_of_the_hill"
        GRID = "grid"

    class Judges(models.TextChoices):
        SHAPE = "shape"
        TEXTURE = "texture"

    name = models.SlugField(max_length=60, unique=True)
    kind = models.CharField(max_length=8, choices=Kind.choices, default=Kind.MITL)
    state = models.CharField(max_length=8, choices=State.choices, default=State.OPEN)
    priority = models.IntegerField(default=0)
    n_candidates = models.PositiveSmallIntegerField(default=8)
    alpha = models.FloatField(default=0.5, help_text="bar a rating must reach, 0..1")
    overlap = models.PositiveSmallIntegerField(default=1, help_text="people who compare each object")
    protocol = models.CharField(max_length=20, choices=Protocol.choices, default=Protocol.KING_OF_THE_HILL)
    asks_rating = models.BooleanField(default=True)
    asks_alignment = models.BooleanField(default=True)
    asks_review = models.BooleanField(default=False, help_text="alignments wait for a reviewer")
    allows_neither = models.BooleanField(default=True)
    judges = models.CharField(
        max_length=8, choices=Judges.choices, default=Judges.SHAPE, db_default="shape",
        help_text="shape is judged untextured, texture textured; the collection its rows belong to",
    )
    checks_masks = models.BooleanField(
        default=False, db_default=False, help_text="imported masks are confirmed or rejected in Stage 1 first"
    )
    taxonomy = ArrayField(
        models.CharField(max_length=100), default=list, db_default=[], blank=True, help_text="categories offered in Stage 1"
    )
    scale = models.JSONField(
        default=list, db_default=[], blank=True,
        help_text="levels of the rating, [{r, label}, ...] with r rising; empty: any value in [0, 1]",
    )
    shows_gold = models.BooleanField(
        default=False, db_default=False, help_text="people see their accuracy on gold pairs"
    )
    instructions = models.TextField(blank=True, help_text="Markdown, the current version")
    instructions_version = models.PositiveIntegerField(default=0, db_default=0)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name_plural = "batches"
        constraints = [
            models.CheckConstraint(name="batch_alpha_0_1", condition=models.Q(alpha__gte=0, alpha__lte=1)),
            models.CheckConstraint(
                name="batch_n_candidates_2_50", condition=models.Q(n_candidates__gte=2, n_candidates__lte=50)
            ),
            models.CheckConstraint(name="batch_overlap_1_20", condition=models.Q(overlap__gte=1, overlap__lte=20)),
        ]

    def __str__(self) -> str:
        return self.name


class Instructions(models.Model):
    """One version of a batch's instructions (Markdown), kept for ever: answers say which version their person had."""

    batch = models.ForeignKey(Batch, on_delete=models.CASCADE, related_name="instruction_versions")
    version = models.PositiveIntegerField()
    text = models.TextField(blank=True)
    by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True)
    at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name_plural = "instructions"
        constraints = [models.UniqueConstraint(fields=["batch", "version"], name="instructions_version_once")]

    def __str__(self) -> str:
        return f"{self.batch_id} version {self.version}"


class Image(models.Model):
    """A photo, upright; `blob` is what was given, `display` the re-encoded copy without private metadata.

    Near-duplicates (clusters.py) share `cluster`, the smallest id among them, and `side`, the split they all belong to;
    both are null until the photo has been looked at. A removed photo stays as a row, so that its bytes stay out.
    """

    class Side(models.TextChoices):
        TRAIN = "train"
        VALIDATION = "validation"

    blob = models.OneToOneField(Blob, on_delete=models.PROTECT, related_name="+")
    display = models.ForeignKey(Blob, on_delete=models.PROTECT, related_name="+")
    width = models.PositiveIntegerField()
    height = models.PositiveIntegerField()
    name = models.CharField(max_length=300)
    licence = models.CharField(max_length=100, blank=True)
    attribution = models.TextField(blank=True)
    consent = models.CharField(
        max_length=200, blank=True, db_default="", help_text="what those shown agreed to, as given; blank: unknown"
    )
    signature = models.BigIntegerField(null=True, blank=True, help_text="64-bit perceptual hash")
    cluster = models.BigIntegerField(null=True, blank=True, help_text="smallest id of its near-duplicates")
    side = models.CharField(max_length=10, choices=Side.choices, null=True, blank=True)
    turned_at = models.DateTimeField(null=True, blank=True, help_text="when its side went from validation to train")
    looks = models.JSONField(null=True, blank=True, help_text="brightness, contrast, colourfulness, sharpness")
    removed_at = models.DateTimeField(null=True, blank=True)
    removed_reason = models.TextField(blank=True, db_default="")
    removed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        indexes = [
            models.Index(fields=["cluster"], name="image_cluster", condition=models.Q(cluster__isnull=False)),
            models.Index(fields=["id"], name="image_unseen", condition=models.Q(looks__isnull=True)),
            models.Index(fields=["id"], name="image_removed", condition=models.Q(removed_at__isnull=False)),
            models.Index(fields=["id"], name="image_turned", condition=models.Q(turned_at__isnull=False)),
            # The four bands of 16 bits by which near-duplicates are found.
            *(
                models.Index(
                    models.F("signature").bitrightshift(shift).bitand(0xFFFF), name=f"image_band_{shift}",
                    condition=models.Q(signature__isnull=False),
                )
                for shift in (0, 16, 32, 48)
            ),
        ]

    def __str__(self) -> str:
        return self.name


class Pointmap(models.Model):
    """One 3D point per pixel (OpenCV camera frame, NaN = invalid), with where it came from."""

    class Source(models.TextChoices):
        SENSOR = "sensor"
        MODEL = "model"
        FALLBACK = "fallback"
        RENDER = "render"

    image = models.ForeignKey(Image, on_delete=models.CASCADE, related_name="pointmaps")
    blob = models.ForeignKey(Blob, on_delete=models.PROTECT, related_name="+", help_text="npz, (H, W, 3) float32")
    points = models.ForeignKey(
        Blob, on_delete=models.PROTECT, related_name="+", null=True, blank=True, help_text="thinned copy for the viewer"
    )
    source = models.CharField(max_length=10, choices=Source.choices)
    metric = models.BooleanField(default=False)
    camera = models.JSONField(help_text="fx, fy, cx, cy in pixels of the image, width, height")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["image", "blob"], name="pointmap_once")]

    def __str__(self) -> str:
        return f"{self.image_id} {self.source}"


class TargetObject(models.Model):
    """Image + mask: one object to reconstruct. Without a mask it waits for someone to draw one (Stage 1)."""

    image = models.ForeignKey(Image, on_delete=models.CASCADE, related_name="targets")
    mask = models.ForeignKey(Blob, on_delete=models.PROTECT, related_name="+", null=True, blank=True)
    name = models.CharField(max_length=200, blank=True)
    category = models.CharField(max_length=100, blank=True)
    drawn_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True)
    area = models.PositiveIntegerField(default=0, help_text="pixels inside the mask")
    box = ArrayField(models.PositiveIntegerField(), size=4, default=list, help_text="x0, y0, x1, y1 of the mask")
    looks = models.JSONField(null=True, blank=True, help_text="how much of it is cut off, in pieces or hidden")
    aesthetic = models.BooleanField(
        default=False, db_default=False, help_text="unhidden and in a bright, contrasty, colourful, sharp photo"
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name = "object"
        constraints = [models.UniqueConstraint(fields=["image", "mask"], name="object_once")]
        indexes = [
            models.Index(
                fields=["image"], name="object_unseen", condition=models.Q(looks__isnull=True, mask__isnull=False)
            )
        ]

    def __str__(self) -> str:
        return self.name or f"object {self.pk}"


class Mesh(models.Model):
    """A mesh as given (GLB, y-up): from the library, a proposer, or an artist."""

    class Source(models.TextChoices):
        LIBRARY = "library"
        PROPOSER = "proposer"
        ARTIST = "artist"
        TRUTH = "truth"

    blob = models.ForeignKey(Blob, on_delete=models.PROTECT, related_name="+")
    source = models.CharField(max_length=10, choices=Source.choices)
    name = models.CharField(max_length=200, blank=True)
    category = models.CharField(max_length=100, blank=True)
    triangles = models.PositiveIntegerField()
    extents = ArrayField(models.FloatField(), size=3)
    licence = models.CharField(max_length=100, blank=True)
    attribution = models.TextField(blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name_plural = "meshes"
        constraints = [models.UniqueConstraint(fields=["blob", "source"], name="mesh_once_per_source")]

    def __str__(self) -> str:
        return self.name or f"mesh {self.pk}"


class Truth(models.Model):
    """Known mesh and pose of an object (synthetic or fitted scenes). Never shown to annotators."""

    object = models.OneToOneField(TargetObject, on_delete=models.CASCADE, related_name="truth")
    mesh = models.ForeignKey(Mesh, on_delete=models.PROTECT)
    R = ArrayField(models.FloatField(), size=9)
    t = ArrayField(models.FloatField(), size=3)
    s = ArrayField(models.FloatField(), size=3)
    measured = models.BooleanField(default=False, help_text="exact by construction, not fitted")
