"""Verbs of the data sets: collect samples and pairs, freeze a release and read it back as one snapshot.

Files are written by workers/releasing.py; nothing here reads bytes.
"""

import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import IO, Any

from django.db import connection, connections, transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext as _

from backend import jobs, storage
from backend.accounts.access import ApiError, record
from backend.catalog.models import Batch
from backend.datasets import sql
from backend.datasets.models import Release, ReleaseFile
from backend.models import Blob, Job
from backend.proposals.models import OWN_MODELS
from backend.words import word

# Releases that are being sealed share it, a removal has it alone: a photo is removed either before its release is checked
# for such photos, or after it is frozen and named among those that hold the photo.
SEAL_LOCK = 0x7365616C
COMMAND_TIME = timedelta(days=1)
# One collector or choice a batch at a time: two could each drop what the other just added or chose.
LOCK = "SELECT id FROM catalog_batch WHERE id = ANY(%(batches)s) ORDER BY id FOR NO KEY UPDATE"
LOAD_DATASETS = """\
from datasets import load_dataset
rows = load_dataset("parquet", data_files="{path}/index/part-*.parquet", split="train")
print(rows[0])"""
LOAD_WEBDATASET = """\
import glob, webdataset
members = webdataset.WebDataset(sorted(glob.glob("{path}/shards/*.tar")), shardshuffle=False)
print(next(iter(members)).keys())"""


@dataclass(frozen=True)
class Collected:
    """How many rows one collect added (or brought up to date), dropped (no longer given by the answers, and in no
    release) and withdrew (the same, but in a release)."""

    samples: int
    pairs: int
    dropped: int
    withdrawn: int


def collect(batches: Sequence[Batch], objects: Sequence[int] | None = None) -> Collected:
    """Bring the samples and preference pairs of these batches (or some of their objects) up to date with the answers.

    Safe to repeat and to run beside itself; a row that is in a release is at most marked as withdrawn.
    """
    return _collect([batch.pk for batch in batches], None if objects is None else list(objects))


def collect_recent(limit: int = 200) -> Collected:
    """The same for the objects of open batches that were answered last, so that pages need not wait for a release."""
    with connection.cursor() as cursor:
        cursor.execute(sql.RECENT, {"limit": limit})
        found = cursor.fetchall()
    if not found:
        return Collected(0, 0, 0, 0)
    return _collect(sorted({row[0] for row in found}), sorted({row[1] for row in found}))


def _collect(batches: list[int], objects: list[int] | None) -> Collected:
    values = {"batches": batches, "objects": objects}
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(LOCK, values)
        added, dropped, withdrawn = [], 0, 0
        for drop, add in ((sql.DROP_SAMPLES, sql.ADD_SAMPLES), (sql.DROP_PAIRS, sql.ADD_PAIRS)):
            cursor.execute(drop, values)
            gone, kept = cursor.fetchone()
            dropped, withdrawn = dropped + gone, withdrawn + kept
            cursor.execute(add, values)
            added.append(cursor.rowcount)
    return Collected(samples=added[0], pairs=added[1], dropped=dropped, withdrawn=withdrawn)


def named(names: Sequence[str]) -> list[Batch]:
    """The batches of these names, in the order of their ids. UserError names those that are not there."""
    found = list(Batch.objects.filter(name__in=names).order_by("id"))
    if missing := sorted(set(names) - {batch.name for batch in found}):
        raise jobs.UserError(_("no batch named %(names)s") % {"names": ", ".join(missing)})
    return found


@transaction.atomic
def begin(
    *,
    kind: str,
    batches: Sequence[Batch] = (),
    include_simulated: bool = False,
    include_fallback_layout: bool = False,
    min_rating: float = 0,
    own_negatives: bool = True,
    aesthetic: bool = False,
    collection: str = "",
    base: Release | None = None,
    by: Any = None,
) -> Release:
    """A release that is still to be frozen. With a base it takes the base's batches too.

    `collection`: shape or texture; blank: that of its batches. ApiError 400 when the batches collect both, or the base
    is of another kind or collection, or has other layouts.
    """
    if base is not None:
        batches = [*batches, *base.batches.exclude(pk__in=[batch.pk for batch in batches])]
    collection = _collection(collection, batches)
    if base is not None and (
        base.kind != kind or base.collection != collection or base.state != Release.State.FROZEN
    ):
        message = _(
            "Release %(pk)s cannot be the base: a base is a frozen release of the same kind and collection."
        )
        raise ApiError(400, "invalid", message % {"pk": base.pk}, {"base": [_("does not fit")]})
    if base is not None and base.include_fallback_layout != include_fallback_layout:
        message = _("Release %(pk)s and what builds on it must agree on layouts placed on guessed depth.")
        raise ApiError(400, "invalid", message % {"pk": base.pk}, {"base": [_("does not fit")]})
    release = Release.objects.create(
        kind=kind,
        include_simulated=include_simulated,
        include_fallback_layout=include_fallback_layout,
        min_rating=min_rating,
        own_negatives=own_negatives,
        aesthetic=aesthetic,
        collection=collection,
        base=base,
        created_by=by,
    )
    release.batches.set(batches)
    names, builds_on = [batch.name for batch in batches], {"base": base.pk} if base else {}
    record(by, "release", f"release:{release.pk}", kind=kind, batches=names, **builds_on)
    return release


def _collection(wanted: str, batches: Sequence[Batch]) -> str:
    """What these batches collect. ApiError 400 names the first that collects something else."""
    if not batches:
        raise ApiError(400, "invalid", _("A release takes at least one batch."), {"batches": [_("required")]})
    wanted = wanted or batches[0].judges
    for batch in batches:
        if batch.judges != wanted:
            message = _(
                "Batch %(name)s collects %(what)s and the release %(wanted)s: shape and texture are released apart."
            )
            values = {"name": batch.name, "what": word(batch.judges), "wanted": word(wanted)}
            raise ApiError(400, "invalid", message % values, {"batches": [message % values]})
    return wanted


@transaction.atomic
def order(release: Release, *, by: Any = None) -> Job:
    """Send a release to a worker, which writes its files to the store."""
    job = jobs.send("release", key=f"release:{release.pk}", args={"release": release.pk}, by=by)
    Release.objects.filter(pk=release.pk).update(job=job)
    release.job = job
    return job


def check_again(release: Release, *, by: Any = None) -> Job:
    """Have a worker verify a frozen release; asking while that runs gives the running job."""
    prefix = f"verify_release:{release.pk}:"
    ended = Job.objects.filter(key__startswith=prefix, state__in=[Job.State.DONE, Job.State.FAILED]).count()
    return jobs.send("verify_release", key=f"{prefix}{ended}", args={"release": release.pk}, by=by)


class Snapshot:
    """A release's rows as they stood at one moment. `rows`: how many were chosen; `removed`: how many rows of the
    releases it builds on it takes back."""

    def __init__(self, link: Any, release: Release, rows: int, removed: int = 0) -> None:
        self._link, self._release, self.rows, self.removed = link, release, rows, removed

    def copy(self, what: str, into: IO[bytes]) -> None:
        """Write "objects", "candidates", "rows" or "removed" (columns as in sql.py) as CSV with a header, the first
        three ordered by object: the database's own bytes, no Python object per row."""
        statement = {
            "objects": sql.OBJECTS,
            "candidates": sql.CANDIDATES,
            "rows": sql.ROWS,
            "removed": sql.REMOVED,
        }[what][self._release.kind]
        with self._link.cursor() as cursor:
            query = cursor.mogrify(statement, {"release": self._release.pk}).decode()
            cursor.copy_expert(f"COPY ({query}) TO STDOUT (FORMAT csv, HEADER)", into)


@contextmanager
def snapshot(release: Release) -> Iterator[Snapshot]:
    """Choose the rows of a release, and read them in one REPEATABLE READ transaction.

    The choice is committed first, with the batches locked: a collector that comes while files are written finds the rows
    in a release and leaves them as they are. It runs on a connection of its own, so that progress is visible meanwhile.
    """
    own = connections["default"].copy()
    try:
        own.ensure_connection()
        link = own.connection
        link.set_session(autocommit=False)
        with link.cursor() as cursor:
            cursor.execute(LOCK, {"batches": list(release.batches.values_list("pk", flat=True))})
            chosen, removed = choose(cursor, release)
        link.commit()
        link.set_session(isolation_level="REPEATABLE READ")
        with link.cursor() as cursor:
            cursor.execute("SET LOCAL work_mem = '64MB'")  # the sorts of the copies
        yield Snapshot(link, release, chosen, removed)
        link.commit()
    finally:
        own.close()


def choose(cursor: Any, release: Release) -> tuple[int, int]:
    """Choose a release's rows anew; returns how many it adds, and how many of its bases' it takes back."""
    values = {
        "release": release.pk,
        "batches": list(release.batches.order_by("id").values_list("pk", flat=True)),
        "min_rating": release.min_rating,
        "include_simulated": release.include_simulated,
        "aesthetic": release.aesthetic,
        "own_negatives": release.own_negatives,
        "own_models": list(OWN_MODELS),
    }
    cursor.execute(sql.THAW[release.kind], values)
    counts = []
    for statement in (sql.FREEZE, sql.FREEZE_REMOVED):
        cursor.execute(statement[release.kind], values)
        counts.append(cursor.rowcount)
    return counts[0], counts[1]


@transaction.atomic
def freeze(
    release: Release,
    *,
    manifest: Blob,
    rows: int,
    counts: dict[str, Any],
    location: str = "",
    files: Sequence[tuple[str, Blob]] = (),
) -> Release:
    """Seal a release whose files are written. From here on the database refuses to change it.

    UserError when it is frozen already or was given up, or a photo of it was removed while the files were written.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock_shared(%s)", [SEAL_LOCK])
        cursor.execute(sql.REMOVED_MEANWHILE[release.kind], {"release": release.pk})
        if removed := cursor.fetchone():
            message = _("photo %(name)s was removed while the release was written: freeze it again")
            raise jobs.UserError(message % {"name": removed[0]})
    for name, blob in files:
        if storage.store().size(storage.blob_name(blob.sha256)) is None:
            raise storage.StorageError(f"{name} is gone from the store: the release is written again")
    ReleaseFile.objects.filter(release=release).delete()
    ReleaseFile.objects.bulk_create(
        ReleaseFile(release=release, name=name, blob=blob) for name, blob in files
    )
    moved = Release.objects.filter(pk=release.pk, state=Release.State.BUILDING).update(
        state=Release.State.FROZEN,
        sha256=manifest.sha256,
        manifest=manifest,
        rows=rows,
        counts=counts,
        location=location,
    )
    if not moved:
        raise jobs.UserError(_("release %(pk)s is frozen already, or was given up") % {"pk": release.pk})
    release.refresh_from_db()
    return release


@transaction.atomic
def fail(release: Release) -> None:
    """Mark a release whose files a worker could not write, and let go of its rows; its job says why."""
    moved = Release.objects.filter(pk=release.pk, state=Release.State.BUILDING).update(
        state=Release.State.FAILED
    )
    if moved:
        with connection.cursor() as cursor:
            cursor.execute(sql.THAW[release.kind], {"release": release.pk})


def erase(blobs: Sequence[Blob]) -> None:
    """Delete the files of a release that was not sealed, for a photo may be in them that was removed; what is another
    release's stays. One that is about to be sealed with the same bytes is written again (see `freeze`)."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [SEAL_LOCK])
        kept = {
            *ReleaseFile.objects.filter(blob__in=blobs).values_list("blob_id", flat=True),
            *Release.objects.filter(manifest__in=blobs).values_list("manifest_id", flat=True),
        }
        for blob in blobs:
            if blob.pk not in kept:
                storage.erase(blob.sha256)


def settle() -> None:
    """Let go of the rows of releases that nobody will freeze: the job is over, its worker died for good; or a command
    was killed, of whose release nothing was heard for a day."""
    over = Q(job__state__in=[Job.State.FAILED, Job.State.CANCELLED])
    killed = Q(job=None, created_at__lt=timezone.now() - COMMAND_TIME)
    for release in Release.objects.filter(over | killed, state=Release.State.BUILDING):
        fail(release)


def discard(release: Release) -> None:
    """Forget a release that a command could not write; the person who ran it has read why."""
    Release.objects.filter(pk=release.pk).exclude(state=Release.State.FROZEN).delete()


def find(reference: str) -> Release:
    """The frozen release with this number, uid or hash (from 8 digits on). UserError when there is none."""
    wanted = Q()
    if reference.isascii() and reference.isdigit() and len(reference) < 12:
        wanted |= Q(pk=int(reference))
    try:
        wanted |= Q(uid=uuid.UUID(reference))
    except ValueError:
        if len(reference) >= 8:
            wanted |= Q(sha256__startswith=reference.lower())
    found = (
        Release.objects.filter(wanted, state=Release.State.FROZEN).order_by("id").first() if wanted else None
    )
    if found is None:
        raise jobs.UserError(_("no frozen release %(name)r") % {"name": reference})
    return found


def lineage(release: Release) -> list[dict[str, Any]]:
    """The releases that this one builds on, nearest first (distance 1, 2, ...), after those that build on it (-1)."""
    with connection.cursor() as cursor:
        cursor.execute(sql.LINEAGE, {"release": release.pk})
        names = ("id", "sha256", "rows", "distance", "created_at")
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def difference(mine: Release, theirs: Release) -> dict[str, int]:
    """How many rows `mine` has that `theirs` has not, the other way round, and both. ApiError 400 across kinds."""
    if mine.kind != theirs.kind:
        message = _("A release of %(mine)s and one of %(theirs)s have no rows in common.")
        raise ApiError(400, "invalid", message % {"mine": mine.kind, "theirs": theirs.kind})
    table, column = sql.COMPARE[mine.kind]
    with connection.cursor() as cursor:
        cursor.execute(
            sql.DIFFERENCE.format(table=table, column=column), {"mine": mine.pk, "theirs": theirs.pk}
        )
        added, removed, common = cursor.fetchone()
    return {"added": added, "removed": removed, "common": common}


def loading_lines(path: str) -> dict[str, str]:
    """The three lines that load a release's folder with each library."""
    return {"datasets": LOAD_DATASETS.format(path=path), "webdataset": LOAD_WEBDATASET.format(path=path)}
