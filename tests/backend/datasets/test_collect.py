"""Which answers become samples and preference pairs."""

import uuid

import pytest
from django.db.models import F

from backend.annotation.models import Alignment, Review
from backend.datasets.models import PreferencePair, Sample
from backend.datasets.services import collect, collect_recent
from tests.backend.datasets.rows import PLAIN, POSE, World

pytestmark = pytest.mark.django_db


def pairs() -> set[tuple[int, int]]:
    return set(PreferencePair.objects.values_list("chosen_id", "rejected_id"))


def test_the_winner_is_preferred_over_every_other_candidate() -> None:
    world = World()
    target = world.target(4)
    world.bracket(target, [("left", 0, 1), ("right", 0, 2), ("right", 3, 2)], winner=2)
    collect([world.batch])
    a, b, winner, d = (candidate.pk for candidate in target.candidates)
    assert pairs() == {(winner, a), (winner, b), (winner, d)}
    assert Sample.objects.get().candidate_id == winner


def test_collecting_twice_adds_nothing() -> None:
    world = World()
    world.bracket(world.target(), PLAIN, winner=0)
    collect([world.batch])
    again = collect([world.batch])
    assert (again.samples, again.pairs, again.dropped) == (0, 0, 0)
    assert (Sample.objects.count(), PreferencePair.objects.count()) == (1, 2)


def test_a_survivor_below_the_bar_gives_nothing() -> None:
    world = World({"alpha": 0.5})
    world.bracket(world.target(), PLAIN, winner=0, r=0.49)
    collect([world.batch])
    assert not Sample.objects.exists() and not pairs()


def test_a_tie_with_the_winner_is_no_pair() -> None:
    world = World()
    target = world.target()
    world.bracket(target, [("equal", 0, 1), ("left", 0, 2)], winner=0)
    collect([world.batch])
    assert pairs() == {(target.candidates[0].pk, target.candidates[2].pk)}


def test_a_tie_that_was_undone_is_forgotten() -> None:
    world = World()
    answers = [("equal", 0, 1), ("left", 0, 2), ("undo", 0, 0), ("undo", 0, 0), *PLAIN]
    world.bracket(world.target(), answers, winner=0)
    collect([world.batch])
    assert len(pairs()) == 2


def test_what_was_called_unusable_is_never_chosen() -> None:
    world = World()
    target = world.target()
    world.bracket(target, [("neither", 0, 1)], winner=0, r=None)
    world.batch.asks_rating = False
    world.batch.save(update_fields=["asks_rating"])
    collect([world.batch])
    assert not Sample.objects.exists() and not pairs()


def test_a_grids_survivor_is_preferred_over_the_unpicked_and_the_beaten() -> None:
    world = World()
    target = world.target(8)
    final = [("left", 0, 1), ("right", 2, 3), ("left", 0, 3)]
    world.bracket(target, final, winner=0, picked=[0, 1, 2, 3])
    collect([world.batch])
    first, *others = (candidate.pk for candidate in target.candidates)
    assert pairs() == {(first, other) for other in others}


def test_in_a_knockout_a_tie_with_the_survivor_is_no_pair_and_what_was_dropped_is_worse() -> None:
    world = World()
    target = world.target(8)
    final = [("neither", 0, 1), ("left", 2, 3), ("equal", 2, 4)]
    world.bracket(target, final, winner=2, picked=[0, 1, 2, 3, 4])
    collect([world.batch])
    ids = [candidate.pk for candidate in target.candidates]
    assert pairs() == {(ids[2], ids[place]) for place in (0, 1, 3, 5, 6, 7)}


def test_a_grid_that_was_undone_counts_no_more_than_its_second_try() -> None:
    world = World()
    target = world.target(8)
    answers = [("equal", 0, 1), ("undo", 0, 0), ("undo", 0, 0), ("left", 0, 1), ("left", 2, 3), ("left", 0, 2)]
    answer = world.bracket(target, answers, winner=0, picked=[0, 1, 2, 3])
    answer.comparisons.filter(seq__gte=5).update(seq=F("seq") + 10)
    answer.comparisons.create(seq=5, answer="grid", picked=answer.comparisons.get(seq=1).picked, key=uuid.uuid4())
    collect([world.batch])
    assert len(pairs()) == 7


def test_a_survivor_picked_alone_is_preferred_over_all_the_others() -> None:
    world = World()
    world.bracket(world.target(8), [], winner=5, picked=[5])
    collect([world.batch])
    assert len(pairs()) == 7


def test_without_rating_the_survivor_counts_as_accepted() -> None:
    world = World({"asks_rating": False})
    world.bracket(world.target(), PLAIN, winner=0, r=None)
    collect([world.batch])
    assert Sample.objects.get().r == 1 and len(pairs()) == 2


def test_a_sample_waits_for_its_alignment_but_pairs_do_not() -> None:
    world = World({"asks_alignment": True})
    target = world.target()
    world.bracket(target, PLAIN, winner=0)
    collect([world.batch])
    assert not Sample.objects.exists() and len(pairs()) == 2
    pose = world.align(target, target.candidates[0])
    collect([world.batch])
    sample = Sample.objects.get()
    assert sample.alignment_id == pose.pk and sample.t == POSE["t"] and sample.pointmap_source == "sensor"


def test_where_review_is_asked_only_an_accepted_pose_counts() -> None:
    world = World({"asks_alignment": True, "asks_review": True})
    target = world.target()
    answer = world.bracket(target, PLAIN, winner=0)
    Review.objects.create(assignment=answer, reviewer=world.bot, verdict="accept")
    pose = world.align(target, target.candidates[0])
    collect([world.batch])
    assert not Sample.objects.exists()
    Review.objects.create(assignment=pose.assignment, reviewer=world.bot, verdict="accept")
    collect([world.batch])
    assert Sample.objects.count() == 1


@pytest.mark.parametrize(("verdict", "made"), [(None, 0), ("accept", 1), ("fix", 1), ("return", 0)])
def test_where_review_is_asked_a_rating_counts_once_it_is_judged(verdict: str | None, made: int) -> None:
    world = World({"asks_review": True})
    answer = world.bracket(world.target(), PLAIN, winner=0)
    if verdict:
        Review.objects.create(assignment=answer, reviewer=world.bot, verdict=verdict)
    collect([world.batch])
    assert (Sample.objects.count(), len(pairs())) == (made, 2 * made)


def test_a_reviewers_rating_stands_for_the_annotators() -> None:
    world = World({"alpha": 0.5})
    low, high = (world.bracket(world.target(), PLAIN, winner=0, r=r) for r in (0.3, 0.9))
    Review.objects.create(assignment=low, reviewer=world.bot, verdict="fix", r=0.8)
    Review.objects.create(assignment=high, reviewer=world.bot, verdict="fix", r=0.1)
    collect([world.batch])
    assert list(Sample.objects.values_list("assignment_id", "r")) == [(low.pk, 0.8)]
    assert len(pairs()) == 2


def test_a_reviewers_corrected_pose_replaces_the_first() -> None:
    world = World({"asks_alignment": True})
    target = world.target()
    world.bracket(target, PLAIN, winner=0)
    first = world.align(target, target.candidates[0])
    collect([world.batch])
    fixed = Alignment.objects.create(
        assignment=first.assignment, version=2, candidate=first.candidate, pointmap=first.pointmap, by=world.bot,
        R=POSE["R"], t=[0, 0, 3], s=POSE["s"],
    )  # fmt: skip
    collect([world.batch])
    assert Sample.objects.get().alignment_id == fixed.pk


def test_an_answer_sent_back_by_a_reviewer_drops_its_rows() -> None:
    world = World()
    answer = world.bracket(world.target(), PLAIN, winner=0)
    collect([world.batch])
    Review.objects.create(assignment=answer, reviewer=world.bot, verdict="return")
    assert collect([world.batch]).dropped == 3
    assert not Sample.objects.exists() and not pairs()


def test_one_simulated_answer_marks_the_sample_as_simulated() -> None:
    world = World({"asks_alignment": True})
    target = world.target()
    world.bracket(target, PLAIN, winner=0)
    world.align(target, target.candidates[0], by=world.bot)
    collect([world.batch])
    assert Sample.objects.get().simulated
    assert not PreferencePair.objects.filter(simulated=True).exists()


def test_fresh_answers_are_collected_without_a_release() -> None:
    world = World()
    for _ in range(3):
        world.bracket(world.target(), PLAIN, winner=0)
    assert collect_recent(limit=2).samples == 2
    assert collect_recent(limit=5).samples == 1
    assert len(pairs()) == 6


def test_collecting_some_objects_leaves_the_others_alone() -> None:
    world = World()
    first, second = world.target(), world.target()
    answers = [world.bracket(target, PLAIN, winner=0) for target in (first, second)]
    collect([world.batch])
    Review.objects.create(assignment=answers[1], reviewer=world.bot, verdict="return")
    assert collect([world.batch], [first.row.pk]).dropped == 0
    assert collect([world.batch], [second.row.pk]).dropped == 3
