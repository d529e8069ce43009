"""Answers: comparisons and their undo, ratings, alignments, masks. Each is idempotent by the client's key.

An answer locks its assignment row first, so one assignment's answers are serial; the lease and its fence are checked
under that lock, and the task's counters move in the same transaction.
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import F
from django.utils import timezone
from django.utils.translation import gettext as _

from backend import jobs
from backend.accounts.access import ApiError, record
from backend.accounts.models import User
from backend.annotation import bracket, services
from backend.annotation.models import Alignment, Assignment, Comparison, Rating, Review, Task
from backend.annotation.routing import finish
from backend.catalog.models import Batch, Pointmap
from backend.proposals.models import Candidate

MASK_REASONS = ("bad mask", "several objects", "unclear part")


@dataclass(frozen=True)
class Outcome:
    """What became of an answer. `replayed`: the same key had been stored before."""

    assignment: Assignment
    replayed: bool = False


def salt(assignment_id: int) -> str:
    """What an assignment's coins are thrown with."""
    return f"assignment:{assignment_id}"


def hold(user: User, assignment_id: int, fence: int, draft: Any = None) -> Assignment:
    """Lock an assignment for its owner. A lease that ran out is renewed while its task has room, else 409 lease_lost."""
    assignment = (
        Assignment.objects.select_for_update(of=("self",))
        .select_related("batch")
        .filter(pk=assignment_id, user=user)
        .first()
    )
    if assignment is None:
        raise ApiError(404, "not_found", _("You have no such assignment."))
    assignment.user = user
    if assignment.state == Assignment.State.SUBMITTED or (
        assignment.fence == fence and assignment.state == Assignment.State.LEASED
    ):
        return assignment
    if assignment.fence == fence and assignment.state == Assignment.State.EXPIRED:
        room = Task.objects.filter(
            pk=assignment.task_id, state=Task.State.OPEN, needed__gt=F("n_leased") + F("n_done")
        )
        clash = Assignment.objects.filter(
            user=user, batch_id=assignment.batch_id, prefetch=False, state=Assignment.State.LEASED
        )
        if not clash.exists() and room.update(n_leased=F("n_leased") + 1):
            assignment.state, assignment.prefetch = Assignment.State.LEASED, False
            Assignment.objects.filter(pk=assignment.pk).update(
                state=assignment.state, prefetch=False, lease_until=services.lease_end()
            )
            return assignment
    if draft is not None:
        Assignment.objects.filter(pk=assignment.pk).update(draft=draft)
    raise _Lost()


class _Lost(Exception):
    """Carries a lost lease out of the transaction block, so that the kept draft is committed."""


def _answer(function: Any) -> Any:
    """Run an answer in one transaction; what a unique index refuses is a conflict for the client, not a crash."""

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Outcome:
        try:
            with transaction.atomic():
                try:
                    return function(*args, **kwargs)
                except _Lost as failure:
                    lost = failure
        except IntegrityError:
            raise ApiError(
                409,
                "conflict",
                _("Another answer came first, or its key was used before. Load the task again."),
            ) from None
        raise services.lease_lost() from lost

    return call


@_answer
def compare(
    user: User,
    assignment_id: int,
    *,
    fence: int,
    seq: int,
    answer: str,
    key: UUID,
    active_ms: int,
    reasons: Sequence[str] = (),
    picked: Sequence[UUID] = (),
    coverage: Sequence[float] = (),
) -> Outcome:
    """Store one comparison, the grid's picks (opaque keys of candidates) or an undo.

    Same key: the stored state again; another key for a stored seq: 409.
    """
    assignment = hold(user, assignment_id, fence, {"seq": seq, "answer": answer})
    rows = list(Comparison.objects.filter(assignment=assignment).order_by("seq"))
    if seq <= len(rows):
        if rows[seq - 1].key == key and rows[seq - 1].answer == answer:
            return Outcome(assignment, replayed=True)
        raise ApiError(
            409, "already_answered", _("This comparison has an answer already."), {"seq": [_("already answered")]}
        )
    if assignment.state == Assignment.State.SUBMITTED:
        raise ApiError(409, "already_submitted", _("This object is finished."))
    if assignment.stage != Task.Stage.COMPARE:
        raise ApiError(409, "wrong_stage", _("This assignment is not a comparison."))
    state = standing(assignment, rows)
    if seq != state.next_seq:
        raise ApiError(
            409,
            "out_of_order",
            _("The next answer is number %(seq)s.") % {"seq": state.next_seq},
            {"seq": [_("out of order")]},
        )
    row = Comparison(
        assignment=assignment, seq=seq, answer=answer, key=key, active_ms=active_ms, reasons=list(reasons), coverage=list(coverage)
    )
    if answer == Comparison.Answer.UNDO:
        if state.done == 0:
            raise ApiError(409, "nothing_to_undo", _("There is no comparison to undo."))
    elif answer == Comparison.Answer.GRID:
        row.picked = _picks(assignment, state, picked)
    else:
        _decide(assignment, state, row)
    row.save(force_insert=True)
    after = standing(assignment, [*rows, row])
    rating_due = after.survivor is not None and assignment.batch.asks_rating
    over = after.step is None and not after.picking
    if over and answer != Comparison.Answer.UNDO and not rating_due:
        finish(assignment, key=key, active_ms=active_ms, survivor=after.survivor, r=None)
        return Outcome(assignment)
    Assignment.objects.filter(pk=assignment.pk).update(
        active_ms=F("active_ms") + active_ms, lease_until=services.lease_end()
    )
    return Outcome(assignment)


def _decide(assignment: Assignment, state: bracket.State, row: Comparison) -> None:
    """Write into a comparison's row which pair was shown and which of it stays."""
    if state.picking:
        raise ApiError(409, "grid_due", _("The grid comes first: pick the most plausible candidates."))
    if state.step is None:
        raise ApiError(409, "bracket_over", _("Every candidate has been compared; the rating is due."))
    if row.answer == Comparison.Answer.NEITHER and not assignment.batch.allows_neither:
        raise ApiError(
            400, "invalid", _("This batch has no answer «neither»."), {"answer": [_("not allowed here")]}
        )
    row.left_id, row.right_id = state.step
    tie = bracket.coin(salt(assignment.pk) + ":tie", state.done)
    row.kept_id = bracket.keep(row.answer, *state.step, tie)


def _picks(assignment: Assignment, state: bracket.State, picked: Sequence[UUID]) -> list[int]:
    """Ids of the candidates that go on from the grid: four, or fewer where the batch lets people call some unusable."""
    if not state.picking:
        raise ApiError(409, "no_grid", _("There is no grid to pick from now."))
    few, wanted = len(picked) < bracket.PICKS, set(picked)
    if len(wanted) > bracket.PICKS or len(wanted) != len(picked) or (few and not assignment.batch.allows_neither):
        message = _("Pick %(n)s different candidates.") % {"n": bracket.PICKS}
        raise ApiError(400, "invalid", message, {"picked": [message]})
    ids = dict(Candidate.objects.filter(pk__in=assignment.bracket).values_list("key", "pk"))
    if wanted - ids.keys():
        message = _("A picked candidate is not of this object.")
        raise ApiError(400, "invalid", message, {"picked": [message]})
    return [ids[key] for key in picked]


def standing(assignment: Assignment, rows: Sequence[bracket.Row]) -> bracket.State:
    """Where an assignment's bracket stands after these comparison rows."""
    thrown = bracket.coins(salt(assignment.pk), len(assignment.bracket))
    grid = assignment.batch.protocol == Batch.Protocol.GRID
    return bracket.replay(assignment.bracket, rows, thrown, grid=grid)


@_answer
def rate(
    user: User,
    assignment_id: int,
    *,
    fence: int,
    r: float,
    reasons: Sequence[str] = (),
    key: UUID,
    active_ms: int,
    coverage: float | None = None,
) -> Outcome:
    """Store the rating of a bracket's survivor, which completes the assignment."""
    assignment = hold(user, assignment_id, fence, {"r": r})
    if (stored := _stored(assignment, key)) is not None:
        return stored
    rows = list(Comparison.objects.filter(assignment=assignment).order_by("seq"))
    state = standing(assignment, rows)
    if assignment.stage != Task.Stage.COMPARE or state.survivor is None:
        raise ApiError(409, "rating_not_due", _("There is no survivor to rate yet."))
    levels = [level["r"] for level in assignment.batch.scale]
    if levels and r not in levels:
        message = _("r is one of this batch's levels: %(levels)s.") % {"levels": ", ".join(map(str, levels))}
        raise ApiError(400, "invalid", message, {"r": [message]})
    Rating.objects.create(
        assignment=assignment, candidate_id=state.survivor, r=r, reasons=list(reasons), active_ms=active_ms, coverage=coverage
    )
    finish(assignment, key=key, active_ms=active_ms, survivor=state.survivor, r=r, reasons=reasons)
    return Outcome(assignment)


@_answer
def align(
    user: User,
    assignment_id: int,
    *,
    fence: int,
    R: list[float],
    t: list[float],
    s: list[float],
    iou: float | None,
    depth_residual: float | None,
    version: int,
    key: UUID,
    active_ms: int,
) -> Outcome:
    """Store the pose of the chosen mesh on the object's pointmap, which completes the assignment.

    `version` is the one that the page has seen (0: none). After a 412 the annotator may store a newer one, until a
    reviewer has judged.
    """
    assignment = hold(user, assignment_id, fence, {"R": R, "t": t, "s": s})
    if assignment.stage != Task.Stage.ALIGN:
        raise ApiError(409, "wrong_stage", _("This assignment is not an alignment."))
    submitted = assignment.state == Assignment.State.SUBMITTED
    if submitted and assignment.key == key:
        return Outcome(assignment, replayed=True)
    last = check_version(assignment, version)
    pose = {"R": R, "t": t, "s": s, "iou": iou, "depth_residual": depth_residual, "active_ms": active_ms}
    if submitted:
        return _replace(assignment, last, pose, key)
    task = Task.objects.select_related("object").get(pk=assignment.task_id)
    pointmap = Pointmap.objects.filter(image_id=task.object.image_id).order_by("-id").first()
    if pointmap is None:
        raise ApiError(409, "no_pointmap", _("This image has no pointmap to align on."))
    Alignment.objects.create(
        assignment=assignment, candidate_id=task.candidate_id, pointmap=pointmap, by=user, **pose
    )
    finish(assignment, key=key, active_ms=active_ms, survivor=task.candidate_id, r=None)
    return Outcome(assignment)


def _replace(assignment: Assignment, last: Alignment | None, pose: dict[str, Any], key: UUID) -> Outcome:
    """The annotator's own newer pose over one that was stored from another tab."""
    if last is None or Review.objects.filter(assignment=assignment).exists():
        raise ApiError(409, "already_reviewed", _("A reviewer has judged this alignment already."))
    repose(assignment.user, last, pose)
    Assignment.objects.filter(pk=assignment.pk).update(
        key=key, active_ms=F("active_ms") + pose["active_ms"], finished_at=timezone.now()
    )
    return Outcome(assignment)


@_answer
def draw(
    user: User,
    assignment_id: int,
    *,
    fence: int,
    polygons: list[list[float]] | None,
    category: str,
    outside: bool,
    key: UUID,
    active_ms: int,
) -> Outcome:
    """Store a drawn mask (polygons in pixels of the upright photo), or with None confirm the imported one.

    A worker rasterises it and opens what comes next. `outside`: the category is not of the batch's taxonomy.
    """
    drawing = {"polygons": polygons, "category": category}
    assignment = hold(user, assignment_id, fence, drawing)
    if (stored := _stored(assignment, key)) is not None:
        return stored
    if assignment.stage != Task.Stage.SELECT:
        raise ApiError(409, "wrong_stage", _("This assignment asks for no mask."))
    if polygons is None and not Task.objects.filter(pk=assignment.task_id, object__mask__isnull=False).exists():
        raise ApiError(409, "no_mask", _("There is no imported mask to confirm: outline the object."))
    taxonomy = assignment.batch.taxonomy
    if taxonomy and not outside and category not in taxonomy:
        message = _("Choose a category of this batch, or flag the object as outside its taxonomy.")
        raise ApiError(400, "invalid", message, {"category": [message]})
    Assignment.objects.filter(pk=assignment.pk).update(draft=drawing)
    finish(assignment, key=key, active_ms=active_ms, survivor=None, r=None)
    jobs.send("store_mask", key=f"store_mask:{assignment.pk}", args={"assignment": assignment.pk}, by=user)
    return Outcome(assignment)


@_answer
def reject(user: User, assignment_id: int, *, fence: int, reason: str, key: UUID, active_ms: int) -> Outcome:
    """Store that an imported mask is no object; the object's work in this batch ends with the reason."""
    assignment = hold(user, assignment_id, fence, {"reason": reason})
    if (stored := _stored(assignment, key)) is not None:
        return stored
    task = Task.objects.select_related("object").get(pk=assignment.task_id)
    if assignment.stage != Task.Stage.SELECT or task.object.mask_id is None:
        raise ApiError(409, "no_mask", _("There is no imported mask to reject."))
    finish(assignment, key=key, active_ms=active_ms, survivor=None, r=None)
    Assignment.objects.filter(pk=assignment.pk).update(reason=reason)
    Task.objects.filter(pk=task.pk).update(state=Task.State.CANCELLED, reason=reason)
    record(user, "reject_mask", f"object:{task.object_id}", reason=reason)
    return Outcome(assignment)


def _stored(assignment: Assignment, key: UUID) -> Outcome | None:
    """The outcome of an answer that is stored already; 409 when it was another answer."""
    if assignment.state != Assignment.State.SUBMITTED:
        return None
    if assignment.key == key:
        return Outcome(assignment, replayed=True)
    raise ApiError(409, "already_submitted", _("This assignment has another answer already."))


def check_version(assignment: Assignment, version: int) -> Alignment | None:
    """The last stored pose; 412 when it is not the one that was seen: both versions and the stored pose are named."""
    last = assignment.alignments.select_related("by").order_by("-version").first()
    current = last.version if last else 0
    if version == current:
        return last
    fields: dict[str, Any] = {"yours": version, "current": current}
    if last is not None:
        fields |= {"by": last.by.username, "pose": {"R": last.R, "t": last.t, "s": last.s}}
    raise ApiError(412, "version_conflict", _("Another pose was stored meanwhile."), fields)


def repose(by: User, last: Alignment, pose: dict[str, Any]) -> Alignment:
    """A new version over `last`, of the same mesh on the same pointmap. pose: R, t, s and what the page measured."""
    return Alignment.objects.create(
        assignment_id=last.assignment_id,
        version=last.version + 1,
        candidate_id=last.candidate_id,
        pointmap_id=last.pointmap_id,
        by=by,
        **pose,
    )
