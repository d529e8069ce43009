"""Releases that build on others: what they add and take back, and that the chain holds what one release would."""

import random
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from backend import storage
from backend.accounts.access import ApiError
from backend.annotation.models import Alignment, Assignment, Review
from backend.catalog.models import Image
from backend.datasets import services, sql
from backend.datasets.models import PreferencePair, Release, Sample
from backend.proposals.models import Candidate, Proposer
from tests.backend.datasets.rows import PLAIN, POSE, World

pytestmark = pytest.mark.django_db


def freeze(world: World, kind: str = "sft", **options: Any) -> Release:
    """Collect, choose and seal as a worker does, without the files."""
    services.collect([world.batch])
    made = services.begin(kind=kind, batches=[world.batch], **options)
    with connection.cursor() as cursor:
        rows, _removed = services.choose(cursor, made)
    manifest = storage.put(f"manifest of {made.pk}".encode(), "application/json")
    return services.freeze(made, manifest=manifest, rows=rows, counts={})


def ids(rows: Any) -> set[int]:
    return set(rows.values_list("pk", flat=True))


def held(release: Release) -> set[int]:
    """Rows of the chain that ends here, as a reader puts them together."""
    own, back = (
        (release.samples, release.removed_samples)
        if release.kind == "sft"
        else (release.pairs, release.removed_pairs)
    )
    before = held(release.base) if release.base else set()
    assert ids(back) <= before and not ids(own) & (before - ids(back))
    return (before - ids(back)) | ids(own)


def reasons(release: Release) -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute(sql.REMOVED[release.kind], {"release": release.pk})
        return sorted(row[-1] for row in cursor.fetchall())


def test_an_increment_holds_only_what_is_new() -> None:
    world = World()
    world.bracket(world.target(), PLAIN, winner=0)
    first = freeze(world)
    world.bracket(world.target(), PLAIN, winner=1)
    second = freeze(world, base=first)
    third = freeze(world, base=second)
    assert (len(held(first)), second.samples.count(), third.samples.count()) == (1, 1, 0)
    assert held(third) == held(second) == ids(Sample.objects)


def test_what_is_no_longer_wanted_is_taken_back_with_its_reason() -> None:
    world = World()
    targets = [world.target() for _ in range(5)]
    answers = [world.bracket(target, PLAIN, winner=0, r=0.6 + at / 10) for at, target in enumerate(targets)]
    first = freeze(world)
    image = targets[1].image
    image.removed_at = timezone.now()
    image.save(update_fields=["removed_at"])
    Candidate.objects.filter(pk=targets[2].candidates[0].pk).update(state="withdrawn")
    Review.objects.create(assignment=answers[3], reviewer=world.bot, verdict="return")
    second = freeze(world, base=first, min_rating=0.65)
    assert reasons(second) == ["answers changed", "candidate withdrawn", "filtered out", "image removed"]
    assert [row.object_id for row in Sample.objects.filter(pk__in=held(second))] == [targets[4].row.pk]
    assert reasons(freeze(world, base=second, min_rating=0.65)) == []


@pytest.mark.parametrize("kind", ["sft", "dpo"])
def test_what_was_given_as_validation_is_given_again_once_it_is_train(kind: str) -> None:
    world = World()
    targets = [world.target() for _ in range(2)]
    for target in targets:
        world.bracket(target, PLAIN, winner=0)
    first = freeze(world, kind, own_negatives=False)
    turned = Image.objects.filter(pk=targets[0].image.pk)
    turned.update(turned_at=timezone.now())
    second = freeze(world, kind, base=first, own_negatives=False)
    name = {"sft": "samples", "dpo": "pairs"}[kind]
    rows, back = getattr(second, name), getattr(second, f"removed_{name}")
    assert ids(rows) == ids(back) and {row.object_id for row in rows.all()} == {targets[0].row.pk}
    assert set(reasons(second)) == {"now train"} and held(second) == held(first)
    turned.update(turned_at=timezone.now() - timedelta(hours=1))  # long before the second was begun
    third = freeze(world, kind, base=second, own_negatives=False)
    assert (getattr(third, name).count(), reasons(third)) == (0, [])


def test_a_released_sample_whose_pose_changes_is_replaced_in_the_next_release() -> None:
    world = World({"asks_alignment": True})
    target = world.target()
    world.bracket(target, PLAIN, winner=0)
    pose = world.align(target, target.candidates[0])
    first = freeze(world)
    old = first.samples.get()
    Alignment.objects.create(
        assignment=pose.assignment, version=2, candidate=pose.candidate, pointmap=pose.pointmap, by=world.bot,
        R=POSE["R"], t=[0, 0, 3], s=POSE["s"],
    )  # fmt: skip
    assert services.collect([world.batch]).withdrawn == 1
    second = freeze(world, base=first)
    assert list(second.removed_samples.all()) == [old] and second.samples.get().t == [0, 0, 3]
    assert held(second) == ids(Sample.objects.filter(withdrawn_at=None))
    assert first.samples.get().t == old.t, "what is released stays as it is"


def test_a_released_pair_is_replaced_once_its_weight_has_moved() -> None:
    world = World({"overlap": 3})
    target = world.target(2)
    world.bracket(target, [("left", 0, 1)], winner=0)
    first = freeze(world, "dpo")
    world.bracket(target, [("left", 0, 1)], winner=0, by=get_user_model().objects.create(username="eve"))
    second = freeze(world, "dpo", base=first)
    assert [row.weight for row in (first.pairs.get(), second.pairs.get())] == [0.75, 0.9]
    assert second.removed_pairs.get() == first.pairs.get()


def test_only_what_our_own_model_made_is_rejected_unless_asked_otherwise() -> None:
    world = World()
    target = world.target(2)
    other = Proposer.objects.create(name="retrieval", kind="retrieval")
    target.candidates.append(world.candidate(target.row, 9, other))
    world.bracket(target, PLAIN, winner=0)
    own = freeze(world, "dpo")
    assert [row.rejected_id for row in own.pairs.all()] == [target.candidates[1].pk]
    assert freeze(world, "dpo", own_negatives=False).pairs.count() == 2
    widened = freeze(world, "dpo", own_negatives=False, base=own)
    assert [row.rejected_id for row in widened.pairs.all()] == [target.candidates[2].pk]


def test_a_release_of_high_aesthetics_takes_only_such_objects() -> None:
    world = World()
    fine, plain = world.target(), world.target()
    for target in (fine, plain):
        world.bracket(target, PLAIN, winner=0)
    type(fine.row).objects.filter(pk=fine.row.pk).update(aesthetic=True)
    assert [row.object_id for row in freeze(world, aesthetic=True).samples.all()] == [fine.row.pk]


def test_shape_and_texture_are_released_apart() -> None:
    shape, texture = World().batch, World({"name": "coats", "judges": "texture"}).batch
    assert services.begin(kind="sft", batches=[texture]).collection == "texture"
    with pytest.raises(ApiError, match="released apart") as refusal:
        services.begin(kind="sft", batches=[shape, texture])
    assert refusal.value.status_code == 400 and "coats" in refusal.value.message
    with pytest.raises(ApiError, match="street collects shape and the release texture"):
        services.begin(kind="sft", batches=[shape], collection="texture")


@pytest.mark.parametrize("change", ["kind", "collection", "state", "layouts"])
def test_a_base_that_does_not_fit_is_refused(change: str) -> None:
    world = World()
    world.bracket(world.target(), PLAIN, winner=0)
    base = freeze(world)
    options: dict[str, Any] = {"kind": "sft", "batches": [world.batch], "base": base}
    if change == "kind":
        options["kind"] = "dpo"
    elif change == "collection":
        options["batches"] = [World({"name": "coats", "judges": "texture"}).batch]
    elif change == "layouts":
        options["include_fallback_layout"] = True
    else:
        options["base"] = services.begin(kind="sft", batches=[world.batch])
    with pytest.raises(ApiError):
        services.begin(**options)


def test_an_increment_takes_the_batches_of_its_base() -> None:
    world = World()
    world.bracket(world.target(), PLAIN, winner=0)
    base, other = freeze(world), World({"name": "garden"}).batch
    assert set(services.begin(kind="sft", batches=[other], base=base).batches.all()) == {world.batch, other}


def test_what_a_frozen_increment_takes_back_cannot_change() -> None:
    world = World()
    answer = world.bracket(world.target(), PLAIN, winner=0)
    first = freeze(world)
    Review.objects.create(assignment=answer, reviewer=world.bot, verdict="return")
    second = freeze(world, base=first)
    with pytest.raises(IntegrityError), transaction.atomic():
        second.removed_samples.clear()


def _shake(world: World, targets: list[Any], dice: random.Random) -> None:
    """One random change of what there is to release."""
    match dice.randrange(5):
        case 0 | 1:
            targets.append(world.target(2))
            world.bracket(targets[-1], [("left", 0, 1)], winner=0, r=dice.choice([0.6, 0.9]))
        case 2:
            pick = dice.choice(targets).candidates[dice.randrange(2)]
            Candidate.objects.filter(pk=pick.pk).update(state=dice.choice(["ready", "withdrawn"]))
        case 3:
            image = dice.choice(targets).image
            image.removed_at = dice.choice([None, timezone.now()])
            image.save(update_fields=["removed_at"])
        case 4:
            answer = dice.choice(list(Assignment.objects.filter(stage="compare")))
            Review.objects.filter(assignment=answer).delete()
            if dice.random() < 0.6:
                Review.objects.create(assignment=answer, reviewer=world.bot, verdict="return")


@pytest.mark.parametrize("kind", ["sft", "dpo"])
def test_a_chain_holds_what_a_release_without_a_base_holds(kind: str) -> None:
    world, dice, targets = World(), random.Random(7), []
    for _ in range(2):
        targets.append(world.target(2))
        world.bracket(targets[-1], [("left", 0, 1)], winner=0)
    last = freeze(world, kind)
    for _ in range(9):
        for _ in range(dice.randrange(3)):
            _shake(world, targets, dice)
        bar = dice.choice([0, 0.8])
        last = freeze(world, kind, base=last, min_rating=bar)
        rows = Sample if kind == "sft" else PreferencePair
        alone = freeze(world, kind, min_rating=bar)
        assert held(last) == held(alone) == ids(rows.objects.filter(pk__in=held(alone), withdrawn_at=None))
