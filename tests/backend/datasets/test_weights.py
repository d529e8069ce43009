"""How sure a preference pair is: the posterior given every answer about the two."""

import math
import random
from collections import defaultdict
from types import SimpleNamespace
from typing import Any

import pytest
from django.contrib.auth import get_user_model

from backend.annotation.models import Assignment, GoldPair, PracticeAnswer
from backend.datasets.models import PreferencePair
from backend.datasets.services import collect
from tests.backend.datasets.rows import PLAIN, World

pytestmark = pytest.mark.django_db


def person(name: str) -> Any:
    return get_user_model().objects.get_or_create(username=name)[0]


def weights(target: SimpleNamespace) -> dict[tuple[int, int], float]:
    """Weight by the places of chosen and rejected."""
    place = {candidate.pk: at for at, candidate in enumerate(target.candidates)}
    rows = PreferencePair.objects.filter(object=target.row, withdrawn_at=None)
    return {(place[row.chosen_id], place[row.rejected_id]): row.weight for row in rows}


def votes(*winners: int, world: World | None = None) -> SimpleNamespace:
    """An object with two candidates that so many people compared; `winners` are the places they preferred."""
    world = world or World({"overlap": 8})
    target = world.target(2)
    for name, winner in zip("abcdefgh", winners):
        world.bracket(target, [("right" if winner else "left", 0, 1)], winner=winner, by=person(name))
    collect([world.batch])
    return target


def practised(name: str, *, right: int, wrong: int = 0) -> World:
    """A world where a person has given so many right and wrong answers in the practice."""
    world = World({"overlap": 8})
    better, *others = world.target(right + wrong + 1).candidates
    for place, worse in enumerate(others, 1):
        pair = GoldPair.objects.create(better=better, worse=worse, lesson="holes", place=place)
        PracticeAnswer.objects.create(pair=pair, user=person(name), right=place <= right)
    return world


def test_one_vote_weighs_what_people_agree_in() -> None:
    assert weights(votes(0)) == {(0, 1): 0.75}


@pytest.mark.parametrize(
    ("winners", "weight"), [((0, 0), 0.9), ((0, 0, 0), 0.9643), ((0, 0, 1), 0.75), ((0, 1, 0, 0), 0.9)]
)
def test_agreement_raises_and_contradiction_lowers(winners: tuple[int, ...], weight: float) -> None:
    assert weights(votes(*winners)) == {(0, 1): pytest.approx(weight, abs=1e-4)}


@pytest.mark.parametrize("winners", [(0, 1), (1, 0, 0, 1)])
def test_what_is_as_likely_the_other_way_round_is_no_pair(winners: tuple[int, ...]) -> None:
    assert weights(votes(*winners)) == {}


def test_a_minority_is_no_pair_though_it_was_accepted() -> None:
    assert weights(votes(1, 0, 0)) == {(0, 1): 0.75}


def test_who_answers_gold_well_weighs_more() -> None:
    assert weights(votes(0, world=practised("a", right=12))) == {(0, 1): pytest.approx(21 / 24, abs=1e-4)}


def test_who_does_worse_than_a_coin_says_nothing() -> None:
    assert weights(votes(0, world=practised("a", right=1, wrong=9))) == {}


def test_a_gold_pair_inside_a_bracket_counts_too() -> None:
    world = World()
    gold, target = world.target(2), world.target(2)
    GoldPair.objects.create(better=gold.candidates[0], worse=gold.candidates[1], lesson="holes")
    world.bracket(gold, [("left", 0, 1)], winner=0)
    world.bracket(target, [("left", 0, 1)], winner=0)
    collect([world.batch], [target.row.pk])
    assert weights(target) == {(0, 1): pytest.approx(10 / 13, abs=1e-4)}


def test_a_chain_of_ties_makes_no_pair() -> None:
    world = World()
    target = world.target(4)
    world.bracket(target, [("equal", 0, 1), ("equal", 1, 2), ("left", 2, 3)], winner=2)
    collect([world.batch])
    assert weights(target) == {(2, 3): 0.75}


def test_what_tied_with_a_loser_has_lost() -> None:
    world = World()
    target = world.target(3)
    world.bracket(target, [("equal", 0, 1), ("right", 1, 2)], winner=2)
    collect([world.batch])
    assert set(weights(target)) == {(2, 0), (2, 1)}


def test_another_persons_comparison_counts_though_another_candidate_survived() -> None:
    world = World({"overlap": 2})
    target = world.target(3)
    world.bracket(target, PLAIN, winner=0, by=person("a"))
    world.bracket(target, [("right", 0, 1), ("left", 1, 2)], winner=1, by=person("b"), r=0.1)
    collect([world.batch])
    assert weights(target) == {(0, 2): 0.75}, (
        "0 and 1 contradict each other; of 0 and 2 only the first person spoke"
    )


def test_a_simulation_is_heard_in_its_own_pairs_only() -> None:
    world = World({"overlap": 3})
    target = world.target(3)
    world.bracket(target, PLAIN, winner=0, by=person("a"))
    world.bracket(target, [("right", 0, 1), ("right", 1, 2)], winner=2, by=world.bot)
    collect([world.batch])
    assert weights(target) == {(0, 1): 0.75, (0, 2): 0.75, (2, 1): 0.75}


def test_a_second_person_of_the_same_mind_makes_no_second_pair() -> None:
    world = World({"overlap": 2})
    target = world.target(2)
    for name in "ab":
        world.bracket(target, [("left", 0, 1)], winner=0, by=person(name))
    collect([world.batch])
    assert PreferencePair.objects.count() == 1


def _reference(target: SimpleNamespace, people: dict[int, float]) -> dict[tuple[int, int], float]:
    """The same posterior from the rows, in plain Python. people: accuracy by user id."""
    place = {candidate.pk: at for at, candidate in enumerate(target.candidates)}
    odds: dict[tuple[int, int], float] = defaultdict(float)
    wanted = set()
    for answer in Assignment.objects.filter(task__object=target.row).prefetch_related("comparisons"):
        rows = [(row.answer, place[row.left_id], place[row.right_id]) for row in answer.comparisons.all()]
        survivor, said, tied = place[answer.survivor_id], set(), {place[answer.survivor_id]}
        for _ in rows:
            tied |= {end for what, *ends in rows if what == "equal" and set(ends) & tied for end in ends}
        for what, left, right in rows:
            said |= {("left", (left, right)), ("right", (right, left))} & {
                (what, (left, right)),
                (what, (right, left)),
            }
        ahead = {(survivor, other) for other in place.values() if other not in tied}
        for first, second in {pair for _, pair in said} | ahead:
            step = math.log(people[answer.user_id] / (1 - people[answer.user_id]))
            odds[first, second] += step
            odds[second, first] -= step
        wanted |= ahead
    found = {pair: 1 / (1 + math.exp(-odds[pair])) for pair in wanted}
    return {pair: weight for pair, weight in found.items() if round(weight, 4) > 0.5}


def test_random_answers_give_the_same_as_the_formula_in_python() -> None:
    world, dice = practised("d", right=7, wrong=1), random.Random(4)
    for _ in range(12):
        target = world.target(4)
        for name in dice.sample("abcd", dice.randint(1, 4)):
            order, answers = dice.sample(range(4), 4), []
            kept = order[0]
            for other in order[1:]:
                answer = dice.choice(["left", "left", "right", "equal"])
                answers.append((answer, kept, other))
                kept = other if answer == "right" or (answer == "equal" and dice.random() < 0.5) else kept
            world.bracket(target, answers, winner=kept, by=person(name))
        collect([world.batch])
        skill = {person(name).pk: 0.75 for name in "abc"} | {person("d").pk: (9 + 7) / 20}
        assert weights(target) == pytest.approx(_reference(target, skill), abs=1e-4)
