"""Verbs of proposals: share N candidates out among the active proposers, store what they make, count what is there."""

import io
from collections.abc import Iterable
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Count, IntegerField, Max
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Cast
from django.utils.translation import gettext as _

from backend import jobs, storage
from backend.catalog import services as catalog
from backend.catalog.models import Batch, Mesh, TargetObject
from backend.models import Job
from backend.proposals.models import Candidate, Proposer

SEEDS_PER_ROUND = 1000
CHUNK = 1000
LIVE = (Job.State.QUEUED, Job.State.RUNNING)
# The last job of an object fills up what look-alikes and failures left open; retrieval can always give more.
ORDER = {
    Proposer.Kind.INFLATION: 0,
    Proposer.Kind.FLOW: 1,
    Proposer.Kind.SAM3D: 1,
    Proposer.Kind.COMMAND: 1,
    Proposer.Kind.RETRIEVAL: 2,
}


class NoProposers(Exception):
    """Fewer than two proposers are active: a comparison would compare one with itself."""


def add(name: str, kind: str, *, share: int = 1, active: bool = False) -> Proposer:
    """A new proposer, switched off unless asked otherwise. UserError when there is one of this name."""
    row, new = Proposer.objects.get_or_create(
        name=name, defaults={"kind": kind, "share": share, "active": active}
    )
    if not new:
        raise jobs.UserError(_("there is a proposer named %(name)s already") % {"name": name})
    return row


def group_of(batch_id: int, object_id: int) -> str:
    """Name of the group of an object's proposal jobs."""
    return f"propose:{batch_id}:{object_id}"


def shares(proposers: Iterable[Proposer], wanted: int) -> dict[int, int]:
    """How many candidates each proposer makes: by share, the largest remainders rounded up, at least two proposers > 0.

    Raises NoProposers with fewer than two.
    """
    active = sorted(proposers, key=lambda row: (-row.share, row.pk))
    if len(active) < 2:
        raise NoProposers(_("at least two active proposers are needed"))
    total = sum(row.share for row in active) or len(active)
    exact = {row.pk: wanted * (row.share or (total == len(active))) / total for row in active}
    counts = {pk: int(part) for pk, part in exact.items()}
    for pk in sorted(exact, key=lambda pk: counts[pk] - exact[pk])[: wanted - sum(counts.values())]:
        counts[pk] += 1
    if sum(map(bool, counts.values())) < 2 <= wanted:
        counts[active[0].pk] -= 1
        counts[active[1].pk] += 1
    return counts


def propose(batch: Batch, objects: Iterable[int] | None = None, *, by: Any = None) -> int:
    """Queue the missing candidates of a batch's objects; returns how many jobs were sent.

    An object with jobs under way, or with enough candidates, is left alone, so asking twice does no harm.
    """
    active = [row for row in Proposer.objects.filter(active=True) if row.kind in ORDER]
    shares(active, 2)
    sent = 0
    wanted = batch.tasks.filter(stage="compare", state__in=["waiting", "open"], object__mask__isnull=False)
    if objects is not None:
        wanted = wanted.filter(object__in=objects)
    ids = list(wanted.order_by("priority", "sort_key").values_list("object_id", flat=True))
    for start in range(0, len(ids), CHUNK):
        with transaction.atomic():
            sent += _queue(batch, ids[start : start + CHUNK], active, by)
    return sent


def _queue(batch: Batch, ids: list[int], active: list[Proposer], by: Any) -> int:
    """Send the jobs of at most CHUNK objects in a fixed number of statements."""
    # Two people pressing the button at once are put in a row here.
    Batch.objects.select_for_update().get(pk=batch.pk)
    groups = {group_of(batch.pk, pk): pk for pk in ids}
    known = Job.objects.filter(group__in=groups)
    busy = set(known.filter(state__in=LIVE).values_list("group", flat=True))
    number = Cast(KeyTextTransform("round", "args"), IntegerField())
    rounds = dict(known.values_list("group").annotate(last=Max(number)))
    ready = dict(
        Candidate.objects.filter(batch=batch, object__in=ids, state=Candidate.State.READY)
        .values_list("object")
        .annotate(n=Count("id"))
    )
    rows = []
    for group, pk in groups.items():
        missing = batch.n_candidates - ready.get(pk, 0)
        if missing > 0 and group not in busy:
            rows += _jobs_of(batch, pk, active, missing, (rounds.get(group) or 0) + 1)
    return jobs.send_many("propose", rows, by=by)


def _jobs_of(
    batch: Batch, object_id: int, active: list[Proposer], missing: int, number: int
) -> list[dict[str, Any]]:
    counts = shares(active, max(missing, 2))
    return [
        {
            "key": f"propose:{batch.pk}:{object_id}:{row.pk}:{number}",
            "group": group_of(batch.pk, object_id),
            "args": {
                "batch": batch.pk,
                "object": object_id,
                "proposer": row.pk,
                "round": number,
                "seed": (number - 1) * SEEDS_PER_ROUND,
                "count": counts[row.pk],
            },
        }
        for row in sorted(active, key=lambda row: (ORDER[Proposer.Kind(row.kind)], row.pk))
        if counts[row.pk]
    ]


def missing_for(job: Job) -> int:
    """How many candidates a proposal job should add now: its share, or all that is missing when it is the last one."""
    args = job.args
    rows = Candidate.objects.filter(batch=args["batch"], object=args["object"], state=Candidate.State.READY)
    wanted: int = Batch.objects.values_list("n_candidates", flat=True).get(pk=args["batch"])
    room = max(wanted - rows.count(), 0)
    if not Job.objects.filter(group=job.group, state__in=LIVE).exclude(pk=job.pk).exists():
        return room
    first = int(args["seed"])
    mine = rows.filter(proposer=args["proposer"], seed__gte=first, seed__lt=first + SEEDS_PER_ROUND).count()
    return min(room, max(int(args["count"]) - mine, 0))


def store_candidate(
    job: Job,
    *,
    seed: int,
    mesh: Mesh,
    viewer: bytes,
    thumbnail: bytes,
    pose: dict[str, list[float]],
    pointmap_source: str,
    score: float,
    seconds: float,
    turntable: bytes | None = None,
) -> Candidate:
    """Store one candidate of a job; the same seed again gives the row that is there.

    The viewer's copies are also written under the candidate's opaque key, which is all an annotator's page sees.
    """
    args = job.args
    blobs = {"viewer": storage.put(viewer, catalog.GLB), "thumbnail": storage.put(thumbnail, catalog.PNG)}
    if turntable is not None:
        blobs["turntable"] = storage.put(turntable, catalog.PNG)
    row, new = Candidate.objects.get_or_create(
        batch_id=args["batch"],
        object_id=args["object"],
        proposer_id=args["proposer"],
        seed=seed,
        defaults={
            "job": job,
            "mesh": mesh,
            "state": Candidate.State.READY,
            "pointmap_source": pointmap_source,
            "score": score,
            "cost_seconds": seconds,
            **blobs,
            **pose,
        },
    )
    if new:
        publish(row.key, viewer, thumbnail, turntable)
    return row


def publish(key: UUID, viewer: bytes, thumbnail: bytes, turntable: bytes | None = None) -> None:
    """Write a candidate's viewer copy, thumbnail and strip of views under its opaque key."""
    storage.store().write(storage.view_name(key, ".glb"), io.BytesIO(viewer), catalog.GLB)
    storage.store().write(storage.view_name(key, ".png"), io.BytesIO(thumbnail), catalog.PNG)
    if turntable is not None:
        storage.store().write(storage.view_name(key, ".turntable.png"), io.BytesIO(turntable), catalog.PNG)


def shortfall(batch: Batch) -> list[tuple[TargetObject, int, str]]:
    """Objects of a batch whose jobs have ended with fewer than two candidates: object, how many, the first error."""
    waiting = batch.tasks.filter(stage="compare", state="waiting", object__mask__isnull=False)
    targets = {row.pk: row for row in TargetObject.objects.filter(pk__in=waiting.values("object_id"))}
    ready = dict(
        batch.candidates.filter(object__in=targets, state=Candidate.State.READY)
        .values_list("object")
        .annotate(n=Count("id"))
    )
    groups = {group_of(batch.pk, pk): pk for pk in targets}
    errors = dict(
        Job.objects.filter(group__in=groups, state=Job.State.FAILED)
        .order_by("-id")
        .values_list("group", "error")
    )
    return [
        (targets[pk], ready.get(pk, 0), errors.get(group, "").split("\n", 1)[0])
        for group, pk in groups.items()
        if ready.get(pk, 0) < 2
    ]
