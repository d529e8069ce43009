"""King of the hill as a pure function: a frozen bracket and its comparison rows give the next pair or the survivor.

Protocol of the paper (A.2): two candidates are shown, the one not chosen is replaced by a fresh one; on «equal» one
of the two is kept at random; «neither» drops both. Nothing here touches the database.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

UNDO = "undo"


class Row(Protocol):
    """What a comparison row says to the bracket."""

    answer: str
    kept_id: int | None


@dataclass(frozen=True)
class State:
    """Where a bracket stands. `step` is the pair to show (left, right), or None when it is over."""

    step: tuple[int, int] | None
    survivor: int | None
    done: int
    total: int
    next_seq: int


def coin(salt: str, index: int) -> bool:
    """A fair coin that falls the same way after every reload."""
    return bool(hashlib.sha256(f"{salt}:{index}".encode()).digest()[0] & 1)


def live(rows: Iterable[Row]) -> list[Row]:
    """Rows that still count: an undo row cancels the last one before it."""
    kept: list[Row] = []
    for row in rows:
        if row.answer == UNDO:
            kept.pop()
        else:
            kept.append(row)
    return kept


def replay(bracket: Sequence[int], rows: Sequence[Row], salt: str) -> State:
    """State of `bracket` (candidate ids in order of showing) after `rows` (by seq).

    `salt` is fixed per assignment; it decides on which side the incumbent stands, at every step anew.
    """
    answers = live(rows)
    incumbent: int | None = bracket[0] if bracket else None
    shown = min(len(bracket), 1)
    done = 0
    for row in answers:
        shown += 1
        done += 1
        incumbent = row.kept_id
        if incumbent is None and shown < len(bracket):
            incumbent = bracket[shown]
            shown += 1
    remaining = len(bracket) - shown
    step = None
    if remaining > 0 and incumbent is not None:
        pair = (incumbent, bracket[shown])
        step = pair if coin(salt, done) else (pair[1], pair[0])
    return State(
        step=step,
        survivor=None if step else incumbent,
        done=done,
        total=done + remaining,
        next_seq=len(rows) + 1,
    )


def keep(answer: str, left: int, right: int, salt: str, index: int) -> int | None:
    """Which candidate stays after an answer."""
    if answer == "left":
        return left
    if answer == "right":
        return right
    if answer == "equal":
        return left if coin(salt + ":tie", index) else right
    return None
