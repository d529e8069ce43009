"""What an assignment looks like to its page. Candidates are named by their opaque key only (no bias).

Rows are read as plain values, not as model instances: this runs on every claim.
"""

import json
from typing import Any

from django.db import connection

from backend.annotation import bracket
from backend.annotation.answers import salt
from backend.annotation.models import Alignment, Assignment, Comparison, Task
from backend.proposals.models import Candidate

API = "/api/v1"
CARD = ("id", "key", "R", "t", "s")
# Every claim runs this; written out, it costs a fraction of what building it anew would.
ASSIGNMENT = """
SELECT a.id, a.fence, a.stage, a.state, a.lease_until, a.prefetch, a.draft, a.bracket,
  t.candidate_id, t.note, t.reason, t.object_id, o.category, o.mask_id, o.image_id, i.width, i.height,
  p.camera, p.source, p.points_id,
  b.id AS batch_id, b.name, b.alpha, b.allows_neither, b.asks_rating, b.protocol, b.judges,
  b.scale, b.instructions_version
FROM annotation_assignment a
JOIN annotation_task t ON t.id = a.task_id
JOIN catalog_batch b ON b.id = a.batch_id
JOIN catalog_targetobject o ON o.id = t.object_id
JOIN catalog_image i ON i.id = o.image_id
LEFT JOIN LATERAL (
  SELECT camera, source, points_id FROM catalog_pointmap WHERE image_id = i.id ORDER BY id DESC LIMIT 1
) p ON true
WHERE a.id = %s AND (%s::bigint IS NULL OR a.user_id = %s)
"""
OWN = ("id", "fence", "stage", "state", "lease_until", "prefetch", "draft")
BATCH = (
    "name", "alpha", "allows_neither", "asks_rating", "protocol", "judges", "scale", "instructions_version",
)  # fmt: skip


def _card(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "key": str(row["key"]),
        "model_url": f"{API}/candidates/{row['key']}/model.glb",
        "thumbnail_url": f"{API}/candidates/{row['key']}/thumbnail.png",
        "pose": {"R": row["R"], "t": row["t"], "s": row["s"]},
    }


def candidate(row: Candidate) -> dict[str, Any]:
    """A candidate as annotators see it: opaque links and the pose it was proposed with."""
    return _card({name: getattr(row, name) for name in CARD})


def assignment(row_id: int, *, user_id: int | None = None) -> dict[str, Any]:
    """Everything a page needs to work on an assignment, in a fixed number of queries. Assignment.DoesNotExist."""
    with connection.cursor() as cursor:
        cursor.execute(ASSIGNMENT, [row_id, user_id, user_id])
        values = cursor.fetchone()
        if values is None:
            raise Assignment.DoesNotExist
        row = dict(zip([column.name for column in cursor.description], values, strict=True))
    for name in ("draft", "camera", "scale"):
        row[name] = json.loads(row[name]) if row[name] else None
    target = row["object_id"]
    data: dict[str, Any] = {
        **{name: row[name] for name in OWN},
        "note": row["note"],
        "batch": {"id": row["batch_id"], **{name: row[name] for name in BATCH}},
        "object": {
            "id": target,
            "category": row["category"],
            "width": row["width"],
            "height": row["height"],
            "photo_url": f"{API}/images/{row['image_id']}/photo/",
            "mask_url": f"{API}/objects/{target}/mask.png" if row["mask_id"] else None,
            "points_url": f"{API}/objects/{target}/points.bin" if row["points_id"] else None,
            "camera": row["camera"],
            "pointmap_source": row["source"],
        },
    }
    if row["stage"] == Task.Stage.COMPARE:
        data["compare"] = _bracket(row_id, row["bracket"], row["state"], row["asks_rating"])
    elif row["stage"] == Task.Stage.ALIGN and row["candidate_id"]:
        last = Alignment.objects.filter(assignment_id=row_id).order_by("-version").values("version").first()
        card = Candidate.objects.values(*CARD).get(pk=row["candidate_id"])
        data["align"] = {"candidate": _card(card), "version": last["version"] if last else 0}
    elif row["stage"] == Task.Stage.ART:
        near = Candidate.objects.filter(object_id=target, state=Candidate.State.READY).order_by("-score")
        cards = [_card(each) for each in near.values(*CARD)[:8]]
        data["art"] = {"reason": row["reason"], "note": row["note"], "candidates": cards}
    return data


def compare(row: Assignment) -> dict[str, Any]:
    """The bracket of an assignment: the pair to show, or the survivor that waits for its rating."""
    return _bracket(row.pk, row.bracket, row.state, row.batch.asks_rating)


def _bracket(row_id: int, order: list[int], own_state: str, asks_rating: bool) -> dict[str, Any]:
    rows = (
        Comparison.objects.filter(assignment_id=row_id)
        .order_by("seq")
        .values_list("answer", "kept_id", named=True)
    )
    state = bracket.replay(order, list(rows), salt(row_id))
    cards = {each["id"]: _card(each) for each in Candidate.objects.filter(pk__in=order).values(*CARD)}
    step = None
    if state.step:
        step = {"seq": state.next_seq, "left": cards[state.step[0]], "right": cards[state.step[1]]}
    rating_due = state.step is None and state.survivor is not None and asks_rating
    return {
        "step": step,
        "next_seq": state.next_seq,
        "done": state.done,
        "total": state.total,
        "can_undo": state.done > 0 and own_state == Assignment.State.LEASED,
        "survivor": cards[state.survivor] if rating_due and state.survivor else None,
        "candidates": [cards[pk] for pk in order],
    }
