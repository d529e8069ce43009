"""The protocols as a pure function; the page's twin plays the same table of cases."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from backend.annotation import bracket

CASES = json.loads((Path(__file__).parents[2] / "bracket_cases.json").read_text())
SIGHT: dict[str, Any] = {"step": None, "picking": False, "survivor": None}


@dataclass
class Row:
    """A comparison row without a database."""

    answer: str
    kept_id: int | None = None
    picked: list[int] = field(default_factory=list)


def thrown(sides: str, ties: str) -> bracket.Coins:
    """Coins written as letters: L is heads."""
    return bracket.Coins([side == "L" for side in sides], [tie == "L" for tie in ties])


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_a_case_is_played_as_the_table_says(case: dict[str, Any]) -> None:
    order, coins, rows = list(range(case["n"])), thrown(case["sides"], case["ties"]), []
    for move in case["play"]:
        state = bracket.replay(order, rows, coins, grid=case["grid"])
        seen = {"step": state.step and list(state.step), "picking": state.picking, "survivor": state.survivor}
        counts = {name: getattr(state, name) for name in ("done", "total") if name in move}
        told = {"answer", "picked"}
        assert {**seen, **counts} == {**SIGHT, **{name: move[name] for name in move if name not in told}}
        assert state.next_seq == len(rows) + 1
        if "answer" in move:
            pair = state.step or (0, 0)
            kept = bracket.keep(move["answer"], *pair, coins.ties[state.done])
            rows.append(Row(move["answer"], kept, move.get("picked", [])))


def test_seven_comparisons_find_the_best_of_eight() -> None:
    candidates = [3, 1, 8, 5, 2, 7, 4, 6]
    rows: list[Row] = []
    while (state := bracket.replay(candidates, rows, bracket.coins("a", 8))).step:
        rows.append(Row("left", max(state.step)))
    assert (len(rows), state.survivor, state.done, state.total) == (7, 8, 7, 7)


def test_the_one_that_comes_first_stands_on_both_sides_about_equally_often() -> None:
    lefts = sum(bracket.coins(f"assignment:{n}", 1).sides[0] for n in range(2000))
    assert 900 < lefts < 1100


def test_coins_fall_the_same_way_again_and_ties_apart_from_sides() -> None:
    assert bracket.coins("a", 8) == bracket.coins("a", 8)
    assert {bracket.coins(f"a{n}", 1).ties[0] == bracket.coins(f"a{n}", 1).sides[0] for n in range(50)} == {True, False}
