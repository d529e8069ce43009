"""Verbs of builds: data sets that model_zoo.build makes of meshes and photos, shard by shard on any number of workers.

A build goes planning -> building -> finishing -> done. Its jobs are the truth about its shards; whoever ends the last of
them, or the beat, moves it on.
"""

from typing import Any

from django.db import transaction
from django.db.models import Count, Q
from django.utils.translation import gettext as _

from backend import jobs
from backend.accounts.access import record
from backend.datasets.models import Build
from backend.models import Job

UNDER_WAY = (Build.State.PLANNING, Build.State.BUILDING, Build.State.FINISHING)


def group_of(build: Build) -> str:
    """The group of a build's jobs."""
    return f"build:{build.pk}"


@transaction.atomic
def begin(*, variant: str, source: str, out: str, options: dict[str, Any], by: Any = None) -> Build:
    """Start a build, or go on with the one in this place: failed shards are queued again, finished ones are kept.

    UserError when the place holds another build, or a finished one.
    """
    wanted = {"variant": variant, "source": source, "options": options}
    build, new = Build.objects.select_for_update().get_or_create(
        out=out, defaults={**wanted, "created_by": by}
    )
    if not new and any(getattr(build, name) != value for name, value in wanted.items()):
        raise jobs.UserError(
            _("build %(pk)s in %(out)s is another one; choose a new place") % {"pk": build.pk, "out": out}
        )
    if build.state == Build.State.DONE:
        raise jobs.UserError(_("build %(pk)s in %(out)s is finished") % {"pk": build.pk, "out": out})
    record(by, "build", f"build:{build.pk}", variant=variant, out=out)
    if new:
        jobs.send(
            "build_plan",
            key=f"{group_of(build)}:plan",
            group=group_of(build),
            args={"build": build.pk},
            by=by,
        )
    else:
        for job in Job.objects.filter(
            group=group_of(build), state__in=[Job.State.FAILED, Job.State.CANCELLED]
        ):
            jobs.retry(job)
        if build.state == Build.State.FAILED:
            _move(build, Build.State.BUILDING if build.shards else Build.State.PLANNING)
    return build


@transaction.atomic
def planned(build: Build, shards: int, missing: list[int]) -> None:
    """The plan is written: queue the shards that are missing."""
    _move(build, Build.State.BUILDING, shards=shards)
    rows = [
        {
            "key": f"{group_of(build)}:{number}",
            "group": group_of(build),
            "args": {"build": build.pk, "shard": number},
        }
        for number in missing
    ]
    jobs.send_many("build_shard", rows, by=build.created_by)


def settle(build: Build) -> None:
    """Move a build on when nothing of it is queued or at work any more. Safe to call at any time, by anybody."""
    group = Job.objects.filter(group=group_of(build))
    counted = group.aggregate(
        open=Count("pk", filter=Q(state__in=[Job.State.QUEUED, Job.State.RUNNING])),
        failed=Count("pk", filter=Q(state__in=[Job.State.FAILED, Job.State.CANCELLED])),
    )
    if counted["open"] or build.state not in UNDER_WAY:
        return
    if counted["failed"]:
        first = group.filter(state__in=[Job.State.FAILED, Job.State.CANCELLED]).order_by("pk").first()
        said = first.error.splitlines()[0] if first and first.error else _("cancelled")
        _move(build, Build.State.FAILED, error=said)
    elif build.state == Build.State.BUILDING:
        with transaction.atomic():
            _move(build, Build.State.FINISHING)
            jobs.send(
                "build_finish", key=f"{group_of(build)}:finish", group=group_of(build), args={"build": build.pk},
                by=build.created_by,
            )  # fmt: skip


def settle_all() -> None:
    """The same for every build under way: a worker may have died between its last shard and the step after it."""
    for build in Build.objects.filter(state__in=UNDER_WAY):
        settle(build)


def finished(build: Build, manifest: dict[str, Any]) -> None:
    """The data set is whole."""
    _move(build, Build.State.DONE, sha256=manifest["hash"], counts=manifest["counts"], error="")


def progress(build: Build) -> float:
    """How much of it is done, 0 to 1."""
    if build.state == Build.State.DONE:
        return 1.0
    shards = Job.objects.filter(group=group_of(build), kind="build_shard")
    done = shards.filter(state=Job.State.DONE).count() + build.shards - shards.count()
    running = sum(shards.filter(state=Job.State.RUNNING).values_list("progress", flat=True))
    return min(0.99, (done + running) / build.shards) if build.shards else 0.0


def _move(build: Build, state: str, **fields: Any) -> None:
    Build.objects.filter(pk=build.pk).update(state=state, **fields)
    build.refresh_from_db()
