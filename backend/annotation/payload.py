"""What an assignment looks like to its page. Candidates are named by their opaque key only (no bias)."""

from typing import Any

from backend.annotation import bracket
from backend.annotation.answers import salt
from backend.annotation.models import Alignment, Assignment, Comparison, Task
from backend.catalog.models import Pointmap
from backend.proposals.models import Candidate

API = "/api/v1"


def candidate(row: Candidate) -> dict[str, Any]:
    """A candidate as annotators see it: opaque links and the pose it was proposed with."""
    return {
        "key": str(row.key),
        "model_url": f"{API}/candidates/{row.key}/model.glb",
        "thumbnail_url": f"{API}/candidates/{row.key}/thumbnail.png",
        "pose": {"R": row.R, "t": row.t, "s": row.s},
    }


def assignment(row_id: int, *, user_id: int | None = None) -> dict[str, Any]:
    """Everything a page needs to work on an assignment, in a fixed number of queries."""
    rows = Assignment.objects.select_related("batch", "task__object__image", "task__candidate")
    row = rows.get(pk=row_id) if user_id is None else rows.get(pk=row_id, user_id=user_id)
    target, image, batch = row.task.object, row.task.object.image, row.batch
    pointmap = (
        Pointmap.objects.filter(image=image).only("camera", "source", "points_id").order_by("-id").first()
    )
    data: dict[str, Any] = {
        "id": row.pk,
        "fence": row.fence,
        "stage": row.stage,
        "state": row.state,
        "lease_until": row.lease_until,
        "prefetch": row.prefetch,
        "draft": row.draft,
        "note": row.task.note,
        "batch": {
            "id": batch.pk,
            "name": batch.name,
            "alpha": batch.alpha,
            "allows_neither": batch.allows_neither,
            "asks_rating": batch.asks_rating,
            "instructions": batch.instructions,
        },
        "object": {
            "id": target.pk,
            "category": target.category,
            "width": image.width,
            "height": image.height,
            "photo_url": f"{API}/images/{image.pk}/photo/",
            "mask_url": f"{API}/objects/{target.pk}/mask.png" if target.mask_id else None,
            "points_url": f"{API}/objects/{target.pk}/points.bin"
            if pointmap and pointmap.points_id
            else None,
            "camera": pointmap.camera if pointmap else None,
            "pointmap_source": pointmap.source if pointmap else None,
        },
    }
    if row.stage == Task.Stage.COMPARE:
        data["compare"] = compare(row)
    elif row.stage == Task.Stage.ALIGN and row.task.candidate:
        last = Alignment.objects.filter(assignment=row).order_by("-version").first()
        data["align"] = {"candidate": candidate(row.task.candidate), "version": last.version if last else 0}
    elif row.stage == Task.Stage.ART:
        data["art"] = art(row)
    return data


def compare(row: Assignment) -> dict[str, Any]:
    """The bracket of an assignment: the pair to show, or the survivor that waits for its rating."""
    comparisons = list(Comparison.objects.filter(assignment=row).order_by("seq"))
    state = bracket.replay(row.bracket, comparisons, salt(row))
    found = {each.pk: each for each in Candidate.objects.filter(pk__in=row.bracket)}
    cards = {pk: candidate(each) for pk, each in found.items()}
    step = None
    if state.step:
        step = {"seq": state.next_seq, "left": cards[state.step[0]], "right": cards[state.step[1]]}
    rating_due = state.step is None and state.survivor is not None and row.batch.asks_rating
    return {
        "step": step,
        "next_seq": state.next_seq,
        "done": state.done,
        "total": state.total,
        "can_undo": state.done > 0 and row.state == Assignment.State.LEASED,
        "survivor": cards[state.survivor] if rating_due and state.survivor else None,
        "candidates": [cards[pk] for pk in row.bracket],
    }


def art(row: Assignment) -> dict[str, Any]:
    """Why an object came to an artist, what the closest candidates were, and what was sent so far."""
    candidates = Candidate.objects.filter(object_id=row.task.object_id, state=Candidate.State.READY).order_by(
        "-score"
    )
    return {
        "reason": row.task.reason,
        "note": row.task.note,
        "candidates": [candidate(each) for each in candidates[:8]],
    }
