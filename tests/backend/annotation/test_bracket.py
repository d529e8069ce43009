"""The king of the hill, as a pure function."""

from dataclasses import dataclass

import pytest

from backend.annotation import bracket


@dataclass
class Row:
    """A comparison row without a database."""

    answer: str
    kept_id: int | None = None


def test_seven_comparisons_find_the_best_of_eight() -> None:
    candidates = [3, 1, 8, 5, 2, 7, 4, 6]
    rows: list[Row] = []
    while (state := bracket.replay(candidates, rows, "a")).step:
        rows.append(Row("left", max(state.step)))
    assert (len(rows), state.survivor, state.done, state.total) == (7, 8, 7, 7)


def test_an_undo_brings_back_the_pair_that_was_shown_on_the_same_sides() -> None:
    before = bracket.replay([1, 2, 3], [], "a")
    after = bracket.replay([1, 2, 3], [Row("left", 1), Row("undo")], "a")
    assert after.step == before.step
    assert after.next_seq == 3


def test_undo_twice_takes_back_two_comparisons() -> None:
    rows = [Row("left", 1), Row("left", 3), Row("undo"), Row("undo")]
    assert bracket.replay([1, 2, 3, 4], rows, "a").done == 0


def test_neither_drops_both_and_goes_on_with_two_fresh_ones() -> None:
    state = bracket.replay([1, 2, 3, 4], [Row("neither")], "a")
    assert state.step is not None
    assert set(state.step) == {3, 4}


@pytest.mark.parametrize(("candidates", "survivor"), [([1, 2], None), ([1, 2, 3], 3)])
def test_after_neither_a_last_fresh_one_survives_alone(candidates: list[int], survivor: int | None) -> None:
    state = bracket.replay(candidates, [Row("neither")], "a")
    assert (state.step, state.survivor) == (None, survivor)


def test_the_incumbent_stands_on_both_sides_about_equally_often() -> None:
    lefts = sum(bracket.replay([1, 2], [], f"assignment:{n}").step == (1, 2) for n in range(2000))
    assert 900 < lefts < 1100


def test_equal_keeps_one_of_the_two_by_a_coin_that_is_stable() -> None:
    kept = {bracket.keep("equal", 1, 2, f"a{n}", 0) for n in range(50)}
    assert kept == {1, 2}
    assert bracket.keep("equal", 1, 2, "a", 0) == bracket.keep("equal", 1, 2, "a", 0)
