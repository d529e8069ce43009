"""Taking photos out of the queue: no task of theirs is handed out any more, and open leases end."""

from collections.abc import Sequence

from django.db import connection, transaction

REASON = "photo removed"

# By rising id, as an answer goes from an object's comparison to its alignment, so that the two never wait in a circle.
CANCEL = """
UPDATE annotation_task SET state = 'cancelled', reason = %(reason)s
WHERE id IN (SELECT t.id FROM annotation_task t JOIN catalog_targetobject o ON o.id = t.object_id
             WHERE o.image_id = ANY(%(images)s) AND t.state IN ('waiting', 'open', 'escalated') ORDER BY t.id FOR UPDATE OF t)
"""
END_LEASES = """
WITH ended AS (
  UPDATE annotation_assignment a SET state = 'released', reason = %(reason)s, finished_at = now()
  FROM annotation_task t JOIN catalog_targetobject o ON o.id = t.object_id
  WHERE t.id = a.task_id AND o.image_id = ANY(%(images)s) AND a.state = 'leased'
  RETURNING a.task_id
), counted AS (
  UPDATE annotation_task t SET n_leased = t.n_leased - c.n
  FROM (SELECT task_id, count(*) AS n FROM ended GROUP BY task_id) c WHERE t.id = c.task_id
)
SELECT count(*) FROM ended
"""


def withdraw(images: Sequence[int]) -> tuple[int, int]:
    """Cancel the open tasks of these photos, which are marked as removed already, and end the leases on them.

    Two transactions, tasks first: after it nobody claims, and a lease is ended in the order in which answers lock. Whoever
    has one in hand hears `lease_lost` and goes on to the next task. Returns how many tasks and leases.
    """
    values = {"images": list(images), "reason": REASON}
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(CANCEL, values)
        tasks = cursor.rowcount
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(END_LEASES, values)
        leases = cursor.fetchone()[0]
    return tasks, leases
