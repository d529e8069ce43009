"""What a completing answer brings about: the assignment closes, and its object goes to what comes next."""

from collections.abc import Sequence
from uuid import UUID

from django.db import connection
from django.db.models.functions import Coalesce

from backend.annotation import services
from backend.annotation.models import Assignment, Rating, Review, Task

REASONS = ("complex geometry", "occlusion", "transparency", "small object", "other")

# The answer's end in one statement: the assignment closes, the task counts it, the audit trail names it.
FINISH = """
WITH closed AS (
  UPDATE annotation_assignment SET state = 'submitted', survivor_id = %(survivor)s, key = %(key)s::uuid,
    active_ms = active_ms + %(active_ms)s, finished_at = now()
  WHERE id = %(assignment)s
), audited AS (
  INSERT INTO accounts_auditevent (user_id, verb, subject, detail, at)
  VALUES (%(user)s, 'submitted', 'assignment:' || %(assignment)s, jsonb_build_object('stage', %(stage)s::text), now())
)
UPDATE annotation_task SET n_leased = n_leased - 1, n_done = n_done + 1,
  state = CASE WHEN n_done + 1 >= needed AND state = 'open' THEN 'done' ELSE state END
WHERE id = %(task)s RETURNING object_id, n_done >= needed
"""


def finish(
    assignment: Assignment,
    *,
    key: UUID,
    active_ms: int,
    survivor: int | None,
    r: float | None,
    reasons: Sequence[str] = (),
) -> None:
    """Close an assignment with its completing answer and route the object to what comes next."""
    assignment.state, assignment.survivor_id, assignment.key = Assignment.State.SUBMITTED, survivor, key
    values = {
        "survivor": survivor,
        "key": str(key),
        "active_ms": active_ms,
        "assignment": assignment.pk,
        "user": assignment.user_id,
        "stage": assignment.stage,
        "task": assignment.task_id,
    }
    with connection.cursor() as cursor:
        cursor.execute(FINISH, values)
        object_id, complete = cursor.fetchone()
    if assignment.stage == Task.Stage.COMPARE and complete:
        _route(assignment, object_id, survivor, r, reasons)


def _route(
    assignment: Assignment, object_id: int, survivor: int | None, r: float | None, reasons: Sequence[str]
) -> None:
    """After the last needed bracket: the best survivor at or above alpha goes to Stage 3, else the object escalates."""
    batch = assignment.batch
    chosen, best = survivor, r
    if batch.overlap > 1:
        chosen, best = best_rated(assignment.task_id) or (chosen, best)
    if chosen is None or (batch.asks_rating and (best is None or best < batch.alpha)):
        # The kind of difficulty, where the annotator named one: art cases are drawn evenly over the kinds.
        reason = next((each for each in reasons if each in REASONS), "below alpha")
        Task.objects.filter(pk=assignment.task_id).update(state=Task.State.ESCALATED, reason=reason)
    elif batch.asks_alignment:
        services.open_align(batch.pk, object_id, chosen)


def best_rated(task_id: int) -> tuple[int, float] | None:
    """The candidate that a task's people rated highest and its r; a reviewer's r counts, what was sent back does not."""
    rows = Rating.objects.filter(assignment__task_id=task_id).exclude(
        assignment__review__verdict=Review.Verdict.RETURN
    )
    rows = rows.annotate(counts=Coalesce("assignment__review__r", "r")).order_by("-counts", "id")
    return rows.values_list("candidate_id", "counts").first()
