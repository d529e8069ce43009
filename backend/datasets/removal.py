"""Removal of photos on request: out of the queue and of every later release; the bytes too, where no release needs them.

A frozen release never changes. Those that hold a removed photo are named, so that a person can decide about them.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from django.db import connection, transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext as _

from backend import jobs, storage
from backend.accounts.access import record
from backend.annotation.withdrawing import withdraw
from backend.catalog.models import Image
from backend.datasets.services import SEAL_LOCK

# Frozen releases with rows of these photos, and how many; `stored`: their files lie in our own store.
HOLDING = """
SELECT r.id, r.kind, r.sha256, r.location, sum(held.n)::bigint AS rows,
       EXISTS (SELECT 1 FROM datasets_releasefile f WHERE f.release_id = r.id) AS stored
FROM (
  SELECT l.release_id, count(*) AS n FROM catalog_targetobject o
  JOIN datasets_sample s ON s.object_id = o.id JOIN datasets_release_samples l ON l.sample_id = s.id
  WHERE o.image_id = ANY(%(images)s) GROUP BY l.release_id
  UNION ALL
  SELECT l.release_id, count(*) FROM catalog_targetobject o
  JOIN datasets_preferencepair p ON p.object_id = o.id JOIN datasets_release_pairs l ON l.preferencepair_id = p.id
  WHERE o.image_id = ANY(%(images)s) GROUP BY l.release_id
) held JOIN datasets_release r ON r.id = held.release_id
WHERE r.state = 'frozen' GROUP BY r.id ORDER BY r.id
"""
# How many removed photos each of these releases holds: from the few that are removed to the releases.
REMOVED_IN = """
SELECT release_id, count(DISTINCT image_id) FROM (
  SELECT l.release_id, o.image_id FROM catalog_image i JOIN catalog_targetobject o ON o.image_id = i.id
  JOIN datasets_sample s ON s.object_id = o.id JOIN datasets_release_samples l ON l.sample_id = s.id
  WHERE i.removed_at IS NOT NULL AND l.release_id = ANY(%(releases)s)
  UNION ALL
  SELECT l.release_id, o.image_id FROM catalog_image i JOIN catalog_targetobject o ON o.image_id = i.id
  JOIN datasets_preferencepair p ON p.object_id = o.id JOIN datasets_release_pairs l ON l.preferencepair_id = p.id
  WHERE i.removed_at IS NOT NULL AND l.release_id = ANY(%(releases)s)
) held GROUP BY release_id
"""
# The bytes of a photo: itself, its display copy, its masks and pointmaps, where nothing of another photo has the same.
BYTES = """
WITH own AS (
  SELECT blob_id AS sha256 FROM catalog_image WHERE id = %(image)s
  UNION SELECT display_id FROM catalog_image WHERE id = %(image)s
  UNION SELECT mask_id FROM catalog_targetobject WHERE image_id = %(image)s AND mask_id IS NOT NULL
  UNION SELECT blob_id FROM catalog_pointmap WHERE image_id = %(image)s
  UNION SELECT points_id FROM catalog_pointmap WHERE image_id = %(image)s AND points_id IS NOT NULL
)
SELECT sha256 FROM own w
WHERE NOT EXISTS (SELECT 1 FROM catalog_image i WHERE i.id <> %(image)s AND w.sha256 IN (i.blob_id, i.display_id))
  AND NOT EXISTS (SELECT 1 FROM catalog_targetobject o WHERE o.image_id <> %(image)s AND o.mask_id = w.sha256)
  AND NOT EXISTS (SELECT 1 FROM catalog_pointmap p WHERE p.image_id <> %(image)s AND w.sha256 IN (p.blob_id, p.points_id))
ORDER BY sha256
"""


@dataclass(frozen=True)
class Holding:
    """A frozen release that holds rows of a removed photo."""

    id: int
    kind: str
    sha256: str
    location: str
    rows: int
    stored: bool


@dataclass(frozen=True)
class Removal:
    """What a removal did. `erased`: files deleted from the store; `kept_for`: releases in our store that need them."""

    image: int
    name: str
    tasks: int
    leases: int
    releases: list[Holding] = field(default_factory=list)
    erased: int = 0
    kept_for: list[int] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """For the API."""
        return asdict(self)


def find(reference: str) -> Image:
    """The photo of this id, hash (from 8 digits on) or name. UserError when there is none, or several of that name."""
    if reference.isascii() and reference.isdigit() and len(reference) < 12:
        by_id = Image.objects.filter(pk=int(reference)).first()
        if by_id:
            return by_id
    wanted = Q(name=reference)
    if len(reference) >= 8:
        wanted |= Q(blob__sha256__startswith=reference.lower())
    found = list(Image.objects.filter(wanted).order_by("pk")[:4])
    if not found:
        raise jobs.UserError(_("there is no photo %(name)r") % {"name": reference})
    if len(found) > 1:
        ids = ", ".join(str(row.pk) for row in found)
        raise jobs.UserError(
            _("%(name)r is not one photo but several; take the id: %(ids)s") % {"name": reference, "ids": ids}
        )
    return found[0]


def remove(image: Image, *, reason: str, erase: bool = False, by: Any = None) -> Removal:
    """Take a photo out for good; doing it again does what was left undone, and keeps the first reason.

    Three short transactions, each in the order in which answers lock, so that it never waits in a circle: from the first
    one on the database opens no task of the photo (annotation 0004), then tasks and leases end.
    """
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [SEAL_LOCK])
        # FOR UPDATE waits for tasks that are being made right now: they hold the photo's key.
        row = Image.objects.select_for_update().get(pk=image.pk)
        if row.removed_at is None:
            row.removed_at, row.removed_reason, row.removed_by = timezone.now(), reason, by
            row.save(update_fields=["removed_at", "removed_reason", "removed_by"])
        record(by, "remove_image", f"image:{row.pk}", reason=reason, erase=erase)
    tasks, leases = withdraw([row.pk])
    releases = holding([row.pk])
    needed = [release.id for release in releases if release.stored]
    erased = _erase(row) if erase and not needed else 0
    return Removal(row.pk, row.name, tasks, leases, releases, erased, needed if erase else [])


def holding(images: Sequence[int]) -> list[Holding]:
    """The frozen releases that hold rows of these photos, oldest first."""
    with connection.cursor() as cursor:
        cursor.execute(HOLDING, {"images": list(images)})
        return [Holding(*row) for row in cursor.fetchall()]


def removed_in(releases: Sequence[int]) -> dict[int, int]:
    """How many removed photos each of these releases holds; those without any are left out."""
    with connection.cursor() as cursor:
        cursor.execute(REMOVED_IN, {"releases": list(releases)})
        return dict(cursor.fetchall())


def _erase(image: Image) -> int:
    """Delete the photo's bytes from the store; rows and hashes stay, so that the same bytes stay out."""
    with connection.cursor() as cursor:
        cursor.execute(BYTES, {"image": image.pk})
        found = [row[0] for row in cursor.fetchall()]
    return sum(storage.erase(sha256) for sha256 in found)
