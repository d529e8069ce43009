"""How objects enter a batch's queue. Apart from services.py because importers call it, not annotators."""

from collections.abc import Iterable

from django.db import transaction
from django.db.models import Max

from backend.annotation.models import Task
from backend.catalog.models import Batch, TargetObject


@transaction.atomic
def enqueue(batch: Batch, targets: Iterable[TargetObject]) -> int:
    """Add objects to a batch in the given order; one that is in it stays as it is. Returns how many were added.

    With a mask an object waits for candidates (compare); without one somebody draws it first, and where the batch
    checks masks somebody confirms it first (select).
    """
    Batch.objects.select_for_update().get(pk=batch.pk)
    targets = list(targets)
    known = set(
        Task.objects.filter(batch=batch, object__in=targets).values_list("object_id", flat=True).distinct()
    )
    position = Task.objects.filter(batch=batch).aggregate(last=Max("sort_key"))["last"] or 0
    fresh = [target for target in dict.fromkeys(targets) if target.pk not in known]
    Task.objects.bulk_create(
        [_first_task(batch, target, position + number) for number, target in enumerate(fresh, 1)],
        batch_size=1000,
    )
    return len(fresh)


def drawn(select: Task, target: TargetObject) -> Task:
    """What comes after a select task: the object waits for candidates. Calling it again changes nothing."""
    task, _ = Task.objects.get_or_create(
        batch_id=select.batch_id,
        object=target,
        stage=Task.Stage.COMPARE,
        round=1,
        defaults={"needed": select.batch.overlap, "sort_key": select.sort_key, "priority": select.priority},
    )
    return task


def _first_task(batch: Batch, target: TargetObject, position: int) -> Task:
    task = Task(batch=batch, object=target, sort_key=position)
    if target.mask_id and not batch.checks_masks:
        task.stage, task.state, task.needed = Task.Stage.COMPARE, Task.State.WAITING, batch.overlap
    else:
        task.stage, task.state = Task.Stage.SELECT, Task.State.OPEN
    return task
