"""What an assignment looks like to its page. Candidates are named by their opaque key only (no bias).

Rows are read as plain values, not as model instances: this runs on every claim.
"""

import json
from typing import Any

from django.db import connection

from backend.annotation import bracket
from backend.annotation.answers import salt
from backend.annotation.models import Alignment, Assignment, Comparison, Task
from backend.catalog.models import Batch
from backend.proposals.models import Candidate

API = "/api/v1"
CARD = ("id", "key", "R", "t", "s", "turntable_id")
# Every claim runs this; written out, it costs a fraction of what building it anew would.
ASSIGNMENT = """
SELECT a.id, a.fence, a.stage, a.state, a.lease_until, a.prefetch, a.draft, a.bracket,
  t.candidate_id, t.note, t.reason, t.object_id, o.category, o.mask_id, o.image_id, i.width, i.height,
  p.camera, p.source, p.points_id,
  b.id AS batch_id, b.name, b.alpha, b.allows_neither, b.asks_rating, b.protocol, b.judges,
  b.scale, b.instructions_version,
  CASE WHEN a.stage = 'compare' AND b.asks_rating THEN (
    SELECT json_agg(json_build_object('r', n.r, 'note', n.note, 'key', c.key, 'turntable_id', c.turntable_id,
                                      'image', e.image_id, 'box', e.box, 'width', f.width, 'height', f.height) ORDER BY n.r, n.id)
    FROM annotation_anchor n
    JOIN proposals_candidate c ON c.id = n.candidate_id
    JOIN catalog_targetobject e ON e.id = c.object_id
    JOIN catalog_image f ON f.id = e.image_id
    WHERE n.batch_id = b.id AND c.object_id <> t.object_id
  ) END AS anchors
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
        **pictures(row),
        "pose": {"R": row["R"], "t": row["t"], "s": row["s"]},
    }


def pictures(row: dict[str, Any]) -> dict[str, Any]:
    """Addresses of a candidate's pictures by its opaque key; the strip of eight views is null where there is none."""
    here = f"{API}/candidates/{row['key']}"
    turntable = f"{here}/turntable.png" if row["turntable_id"] else None
    return {"thumbnail_url": f"{here}/thumbnail.png", "turntable_url": turntable}


def anchor(row: dict[str, Any]) -> dict[str, Any]:
    """An example of what a rating means: r, note, the mesh's pictures, and where its object is in which photo."""
    photo = {"photo_url": f"{API}/images/{row['image']}/photo/", "width": row["width"], "height": row["height"]}
    return {"r": row["r"], "note": row["note"], **pictures(row), **photo, "box": row["box"]}


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
    for name in ("draft", "camera", "scale", "anchors"):
        row[name] = json.loads(row[name]) if isinstance(row[name], str) else row[name]
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
        data["batch"]["anchors"] = [anchor(each) for each in row["anchors"] or []]
        data["compare"] = _bracket(row_id, row["bracket"], row["state"], row["asks_rating"], row["protocol"])
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
    """The bracket of an assignment: the grid or the pair to show, or the survivor that waits for its rating."""
    return _bracket(row.pk, row.bracket, row.state, row.batch.asks_rating, row.batch.protocol)


def _bracket(row_id: int, order: list[int], own_state: str, asks_rating: bool, protocol: str) -> dict[str, Any]:
    """What the page needs to show this step, and to play on by itself while its answers are on their way."""
    rows = list(
        Comparison.objects.filter(assignment_id=row_id)
        .order_by("seq")
        .values_list("answer", "kept_id", "picked", named=True)
    )
    thrown = bracket.coins(salt(row_id), len(order))
    state = bracket.replay(order, rows, thrown, grid=protocol == Batch.Protocol.GRID)
    cards = {each["id"]: _card(each) for each in Candidate.objects.filter(pk__in=order).values(*CARD)}
    key = {pk: card["key"] for pk, card in cards.items()}
    step = None
    if state.step:
        step = {"seq": state.next_seq, "left": cards[state.step[0]], "right": cards[state.step[1]]}
    rating_due = state.survivor is not None and asks_rating
    return {
        "step": step,
        "picking": state.picking,
        "next_seq": state.next_seq,
        "done": state.done,
        "total": state.total,
        "can_undo": state.done > 0 and own_state == Assignment.State.LEASED,
        "survivor": cards[state.survivor] if rating_due and state.survivor else None,
        "candidates": [cards[pk] for pk in order],
        "coins": {"sides": thrown.sides, "ties": thrown.ties},
        "history": [
            {"answer": row.answer, "kept": key.get(row.kept_id), "picked": [key[pk] for pk in row.picked]}
            for row in bracket.live(rows)
        ],
    }
