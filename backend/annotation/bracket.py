"""The bracket as a pure function: a frozen order of candidates and its comparison rows give what to show next.

King of the hill, as in the paper (A.2): two candidates are shown, the one not chosen is replaced by a fresh one. Grid:
the most plausible are picked from all first, then pairs meet until one is left. On «equal» one of the two is kept at
random; «neither» drops both. Nothing here touches the database; annotator_ui/static/annotator_ui/bracket.js is the
page's twin, and both play the cases of tests/bracket_cases.json.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

UNDO, GRID = "undo", "grid"
PICKS = 4


class Row(Protocol):
    """What a comparison row says to the bracket."""

    answer: str
    kept_id: int | None
    picked: list[int]


@dataclass(frozen=True)
class Coins:
    """Fair coins per step: whether the one that comes first stands left, and whether «equal» keeps the left one."""

    sides: list[bool]
    ties: list[bool]


@dataclass(frozen=True)
class State:
    """Where a bracket stands. `step` is the pair to show (left, right); `picking`: the grid is to be answered.

    With neither it is over: `survivor` is what is left, or None.
    """

    step: tuple[int, int] | None
    picking: bool
    survivor: int | None
    done: int
    total: int
    next_seq: int


def coin(salt: str, index: int) -> bool:
    """A fair coin that falls the same way after every reload."""
    return bool(hashlib.sha256(f"{salt}:{index}".encode()).digest()[0] & 1)


def coins(salt: str, n: int) -> Coins:
    """The coins of a bracket of n candidates; `salt` is fixed per assignment."""
    return Coins([coin(salt, at) for at in range(n)], [coin(salt + ":tie", at) for at in range(n)])


def live(rows: Iterable[Row]) -> list[Row]:
    """Rows that still count: an undo row cancels the last one before it."""
    kept: list[Row] = []
    for row in rows:
        if row.answer == UNDO:
            kept.pop()
        else:
            kept.append(row)
    return kept


def replay(order: Sequence[int], rows: Sequence[Row], thrown: Coins, *, grid: bool = False) -> State:
    """State of the bracket `order` (candidate ids in order of showing) after `rows` (by seq).

    `grid`: the protocol of that name; with no more candidates than would be picked, nothing is picked.
    """
    answers = live(rows)
    picking = grid and len(order) > PICKS
    waiting = list(order)
    for row in answers:
        if row.answer == GRID:
            picking, waiting = False, [pk for pk in order if pk in row.picked]
            continue
        waiting = waiting[2:]
        if row.kept_id is not None:
            # The winner stays on the hill, or waits for the winners of the other pairs.
            waiting.insert(len(waiting) if grid else 0, row.kept_id)
    done = len(answers)
    step = None
    if len(waiting) > 1 and not picking:
        first, second = waiting[:2]
        step = (first, second) if thrown.sides[done] else (second, first)
    return State(
        step=step,
        picking=picking,
        survivor=waiting[0] if waiting and not step and not picking else None,
        done=done,
        total=done + (PICKS if picking else max(len(waiting) - 1, 0)),
        next_seq=len(rows) + 1,
    )


def keep(answer: str, left: int, right: int, tie: bool) -> int | None:
    """Which candidate stays after an answer; `tie` is the step's coin."""
    if answer == "left" or (answer == "equal" and tie):
        return left
    if answer == "right" or answer == "equal":
        return right
    return None
