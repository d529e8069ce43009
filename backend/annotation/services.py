"""The queue: claim, lease, heartbeat, release, skip, escalate, reap. Every change is one conditional statement.

Counters on the task (`n_leased`, `n_done`) change in the same transaction as the assignment, and a CHECK constraint
makes over-assignment impossible even with a bug here.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import IntegrityError, OperationalError, connection, transaction
from django.db.models import F
from django.utils import timezone
from django.utils.translation import gettext as _

from backend.accounts.access import ApiError, record
from backend.accounts.models import User
from backend.annotation.models import Assignment, Task

# Work that is nearest to becoming a sample comes first.
STAGES = (Task.Stage.ALIGN, Task.Stage.COMPARE, Task.Stage.SELECT)
ART_LEASE = timedelta(days=14)

CLAIM = """
WITH live AS (
  UPDATE annotation_assignment SET prefetch = %(prefetch)s, lease_until = now() + %(lease)s
  WHERE id = (SELECT id FROM annotation_assignment
              WHERE user_id = %(user)s AND state = 'leased' AND stage <> 'art'
                AND (prefetch OR NOT %(prefetch)s) AND (%(batch)s::bigint IS NULL OR batch_id = %(batch)s)
              ORDER BY prefetch, id LIMIT 1 FOR UPDATE)
    AND state = 'leased'
  RETURNING id
), pick AS (
  SELECT t.*, room.instructions_version FROM (
    SELECT b.id, b.instructions_version, s.stage FROM catalog_batch b
    CROSS JOIN unnest(%(stages)s::text[]) WITH ORDINALITY AS s(stage, place)
    WHERE b.state = 'open' AND (%(batch)s::bigint IS NULL OR b.id = %(batch)s)
      AND NOT EXISTS (SELECT 1 FROM annotation_assignment mine WHERE mine.user_id = %(user)s AND mine.state = 'leased'
                      AND mine.stage <> 'art' AND mine.batch_id = b.id AND mine.prefetch = %(prefetch)s)
    ORDER BY b.priority DESC, b.id, s.place
  ) room CROSS JOIN LATERAL (
    SELECT t.id, t.batch_id, t.object_id, t.stage FROM annotation_task t
    WHERE t.batch_id = room.id AND t.stage = room.stage AND t.state = 'open' AND t.needed > t.n_leased + t.n_done
      AND (%(task)s::bigint IS NULL OR t.id = %(task)s)
      AND NOT EXISTS (SELECT 1 FROM annotation_assignment a WHERE a.task_id = t.id AND a.user_id = %(user)s
                      AND a.state NOT IN ('released', 'expired'))
    ORDER BY t.priority DESC, t.sort_key, t.id LIMIT 1 FOR UPDATE OF t SKIP LOCKED
  ) t
  WHERE NOT EXISTS (SELECT 1 FROM live) LIMIT 1
), leased AS (
  INSERT INTO annotation_assignment AS a
    (task_id, user_id, batch_id, stage, state, origin, prefetch, fence, lease_until, bracket, instructions_version,
     reason, active_ms, created_at)
  SELECT pick.id, %(user)s, pick.batch_id, pick.stage, 'leased', %(origin)s, %(prefetch)s, 1, now() + %(lease)s,
    CASE WHEN pick.stage = 'compare' THEN ARRAY(
      SELECT c.id FROM proposals_candidate c
      WHERE c.batch_id = pick.batch_id AND c.object_id = pick.object_id AND c.state = 'ready' ORDER BY random())
    ELSE '{}' END, pick.instructions_version, '', 0, now()
  FROM pick
  ON CONFLICT (task_id, user_id) DO UPDATE
    SET state = 'leased', prefetch = EXCLUDED.prefetch, fence = a.fence + 1, lease_until = EXCLUDED.lease_until,
        instructions_version = EXCLUDED.instructions_version
    WHERE a.state IN ('released', 'expired')
  RETURNING id, task_id
), counted AS (
  UPDATE annotation_task t SET n_leased = t.n_leased + 1 FROM leased WHERE t.id = leased.task_id
)
SELECT coalesce((SELECT id FROM live), (SELECT id FROM leased)), EXISTS (SELECT 1 FROM pick)
"""

REAP = """
WITH gone AS (
  UPDATE annotation_assignment SET state = 'expired'
  WHERE id IN (SELECT id FROM annotation_assignment WHERE state = 'leased' AND lease_until < now()
               ORDER BY lease_until LIMIT 1000 FOR UPDATE SKIP LOCKED)
  RETURNING task_id
), counts AS (SELECT task_id, count(*) AS n FROM gone GROUP BY task_id)
UPDATE annotation_task t SET n_leased = t.n_leased - counts.n FROM counts WHERE t.id = counts.task_id
"""


def claim(
    user: User,
    *,
    stages: Sequence[str] = STAGES,
    batch: int | None = None,
    task: int | None = None,
    prefetch: bool = False,
) -> int | None:
    """Lease the next task (or a given one) for `user` and return the assignment's id; the live lease first, None when there is no work.

    One statement. A second tab that asks at the same moment loses the race on the unique index and gets the first
    tab's lease.
    """
    values = {
        "user": user.pk,
        "stages": [str(stage) for stage in stages],
        "batch": batch,
        "task": task,
        "prefetch": prefetch,
        "lease": timedelta(seconds=settings.PREFETCH_SECONDS if prefetch else settings.LEASE_SECONDS),
        "origin": Assignment.Origin.SIMULATION if user.simulated else Assignment.Origin.PERSON,
    }
    for attempt in range(4):
        try:
            with transaction.atomic(), connection.cursor() as cursor:
                cursor.execute(CLAIM, values)
                found, picked = cursor.fetchone()
            # Picked but not leased: the same person's other tab had just leased that very task.
            if found is not None or not picked:
                return found
        except (IntegrityError, OperationalError):
            if attempt == 3:
                raise
    return None


def claim_art(user: User, *, task_id: int | None = None) -> int | None:
    """Lease an art task (a given one, or the next) for days instead of minutes."""
    with transaction.atomic():
        mine = Assignment.objects.filter(user=user, stage=Task.Stage.ART, state=Assignment.State.LEASED)
        found = mine.filter(task_id=task_id).first() if task_id else mine.order_by("id").first()
        if found:
            return found.pk
        room = Task.objects.select_for_update(skip_locked=True, of=("self",)).filter(
            stage=Task.Stage.ART,
            state=Task.State.OPEN,
            needed__gt=F("n_leased") + F("n_done"),
            batch__state="open",
        )
        room = room.exclude(
            assignments__in=Assignment.objects.filter(user=user, state=Assignment.State.SUBMITTED)
        )
        task = (room.filter(pk=task_id) if task_id else room).order_by("-priority", "sort_key", "id").first()
        if task is None:
            return None
        Task.objects.filter(pk=task.pk).update(n_leased=F("n_leased") + 1)
        assignment, created = Assignment.objects.get_or_create(
            task=task,
            user=user,
            defaults={
                "batch_id": task.batch_id,
                "stage": task.stage,
                "lease_until": timezone.now() + ART_LEASE,
            },
        )
        if not created:
            Assignment.objects.filter(pk=assignment.pk).update(
                state=Assignment.State.LEASED, fence=F("fence") + 1, lease_until=timezone.now() + ART_LEASE
            )
        return assignment.pk


def lease_end() -> datetime:
    """When a lease that is renewed now will end."""
    return timezone.now() + timedelta(seconds=settings.LEASE_SECONDS)


def heartbeat(user: User, assignment_id: int, fence: int) -> datetime:
    """Extend a live lease; returns its new end. ApiError 409 when it is lost."""
    until = lease_end()
    moved = Assignment.objects.filter(
        pk=assignment_id, user=user, fence=fence, state=Assignment.State.LEASED
    ).exclude(stage=Task.Stage.ART)
    if not moved.update(lease_until=until):
        raise lease_lost()
    return until


def save_draft(user: User, assignment_id: int, fence: int, draft: Any) -> None:
    """Keep unfinished work on the server. ApiError 409 when the lease is lost (the draft is kept all the same)."""
    rows = Assignment.objects.filter(pk=assignment_id, user=user)
    if not rows.filter(fence=fence, state=Assignment.State.LEASED).update(draft=draft):
        rows.exclude(state=Assignment.State.SUBMITTED).update(draft=draft)
        raise lease_lost()


def end(user: User, assignment_id: int, fence: int, *, state: str, reason: str = "", note: str = "") -> None:
    """Give a lease back without an answer: released, skipped (not shown to this person again) or escalated."""
    with transaction.atomic():
        rows = Assignment.objects.filter(
            pk=assignment_id, user=user, fence=fence, state=Assignment.State.LEASED
        )
        if not rows.update(state=state, reason=reason[:60], finished_at=timezone.now()):
            current = Assignment.objects.filter(pk=assignment_id, user=user, fence=fence).first()
            if current is not None and current.state == state:
                return
            raise lease_lost()
        task_id = Assignment.objects.values_list("task_id", flat=True).get(pk=assignment_id)
        task = Task.objects.filter(pk=task_id)
        task.update(n_leased=F("n_leased") - 1)
        if state == Assignment.State.ESCALATED:
            task.filter(state=Task.State.OPEN).update(
                state=Task.State.ESCALATED, reason=reason[:40], note=note
            )
        record(user, state, f"assignment:{assignment_id}", reason=reason)


def reap_leases() -> int:
    """Take back leases that ran out; returns how many tasks are free again."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(REAP)
        return int(cursor.rowcount)


def lease_lost() -> ApiError:
    """What a zombie tab hears."""
    return ApiError(
        409, "lease_lost", _("This task is no longer yours: the lease ran out or another tab has it.")
    )


def open_tasks(batch_id: int, object_id: int) -> bool:
    """Make an object's compare task claimable once at least two candidates are ready. True if it was moved."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE annotation_task t SET state = 'open', needed = b.overlap FROM catalog_batch b
            WHERE b.id = t.batch_id AND t.batch_id = %s AND t.object_id = %s AND t.stage = 'compare'
              AND t.state = 'waiting'
              AND (SELECT count(*) FROM proposals_candidate c WHERE c.batch_id = t.batch_id
                   AND c.object_id = t.object_id AND c.state = 'ready') >= 2
              AND NOT EXISTS (SELECT 1 FROM backend_job j
                   WHERE j."group" = 'propose:' || t.batch_id || ':' || t.object_id AND j.state IN ('queued', 'running'))
            """,
            [batch_id, object_id],
        )
        return bool(cursor.rowcount)


def open_align(batch_id: int, object_id: int, candidate_id: int, *, note: str = "") -> None:
    """Make the alignment of a chosen mesh claimable, once per mesh; an open one of another mesh is closed."""
    close_align(batch_id, object_id, but=candidate_id)
    rows = Task.objects.filter(batch_id=batch_id, object_id=object_id, stage=Task.Stage.ALIGN)
    last = rows.order_by("-round").first()
    if last is not None and last.candidate_id == candidate_id:
        rows.filter(pk=last.pk, state=Task.State.CANCELLED, n_done=0).update(state=Task.State.OPEN)
        return
    Task.objects.bulk_create(
        [
            Task(
                batch_id=batch_id,
                object_id=object_id,
                stage=Task.Stage.ALIGN,
                round=last.round + 1 if last else 1,
                state=Task.State.OPEN,
                candidate_id=candidate_id,
                sort_key=object_id,
                note=note,
            )
        ],
        ignore_conflicts=True,
    )


def close_align(batch_id: int, object_id: int, *, but: int | None = None) -> None:
    """The object's mesh is not chosen any more: its open alignment is handed to nobody, save that of mesh `but`."""
    rows = Task.objects.filter(
        batch_id=batch_id, object_id=object_id, stage=Task.Stage.ALIGN, state=Task.State.OPEN
    )
    rows.exclude(candidate_id=but).update(state=Task.State.CANCELLED)
