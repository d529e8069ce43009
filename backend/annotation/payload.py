"""What an assignment looks like to its page. Candidates are named by their opaque key only (no bias).

Rows are read as plain values: this runs on every claim, and building model instances was a third of its cost.
"""

from typing import Any

from django.db.models import OuterRef, Subquery

from backend.annotation import bracket
from backend.annotation.answers import salt
from backend.annotation.models import Alignment, Assignment, Comparison, Task
from backend.catalog.models import Pointmap
from backend.proposals.models import Candidate

API = "/api/v1"
CARD = ("id", "key", "R", "t", "s")
OWN = ("id", "fence", "stage", "state", "lease_until", "prefetch", "draft", "bracket", "task__candidate")
BATCH = ("id", "name", "alpha", "allows_neither", "asks_rating", "instructions")
OBJECT = ("id", "category", "mask", "image", "image__width", "image__height")
FIELDS = (
    *OWN,
    *(f"batch__{name}" for name in BATCH),
    *(f"task__object__{name}" for name in OBJECT),
    "task__note",
    "task__reason",
)


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
    newest = Pointmap.objects.filter(image=OuterRef("task__object__image")).order_by("-id").values("id")[:1]
    rows = Assignment.objects.filter(pk=row_id).annotate(pointmap=Subquery(newest))
    if user_id is not None:
        rows = rows.filter(user_id=user_id)
    row = rows.values(*FIELDS, "pointmap").get()
    point = Pointmap.objects.filter(pk=row["pointmap"]).values("camera", "source", "points").first() or {}
    target, image = row["task__object__id"], row["task__object__image"]
    data: dict[str, Any] = {
        **{name: row[name] for name in OWN[:7]},
        "note": row["task__note"],
        "batch": {name: row[f"batch__{name}"] for name in BATCH},
        "object": {
            "id": target,
            "category": row["task__object__category"],
            "width": row["task__object__image__width"],
            "height": row["task__object__image__height"],
            "photo_url": f"{API}/images/{image}/photo/",
            "mask_url": f"{API}/objects/{target}/mask.png" if row["task__object__mask"] else None,
            "points_url": f"{API}/objects/{target}/points.bin" if point.get("points") else None,
            "camera": point.get("camera"),
            "pointmap_source": point.get("source"),
        },
    }
    if row["stage"] == Task.Stage.COMPARE:
        data["compare"] = _bracket(row_id, row["bracket"], row["state"], row["batch__asks_rating"])
    elif row["stage"] == Task.Stage.ALIGN and row["task__candidate"]:
        last = Alignment.objects.filter(assignment_id=row_id).order_by("-version").values("version").first()
        card = Candidate.objects.values(*CARD).get(pk=row["task__candidate"])
        data["align"] = {"candidate": _card(card), "version": last["version"] if last else 0}
    elif row["stage"] == Task.Stage.ART:
        near = Candidate.objects.filter(object_id=target, state=Candidate.State.READY).order_by("-score")
        cards = [_card(each) for each in near.values(*CARD)[:8]]
        data["art"] = {"reason": row["task__reason"], "note": row["task__note"], "candidates": cards}
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
