"""A frozen release cannot change, whoever tries and however."""

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from backend import jobs, storage
from backend.annotation.models import Review
from backend.datasets import removal, services
from backend.datasets.models import PreferencePair, Release, Sample
from backend.jobs import UserError
from backend.models import Job
from tests.backend.datasets.rows import PLAIN, World
from tests.backend.datasets.test_api import frozen

pytestmark = pytest.mark.django_db

ATTEMPTS: dict[str, Callable[[Release], Any]] = {
    "its flags": lambda made: Release.objects.filter(pk=made.pk).update(min_rating=0.1),
    "its hash": lambda made: Release.objects.filter(pk=made.pk).update(sha256="0" * 64),
    "its state": lambda made: Release.objects.filter(pk=made.pk).update(state="building"),
    "itself": lambda made: made.delete(),
    "a row of it": lambda made: PreferencePair.objects.update(weight=2),
    "which rows": lambda made: made.pairs.clear(),
    "more rows": lambda made: made.samples.add(Sample.objects.get()),
    "its batches": lambda made: made.batches.clear(),
}


@pytest.mark.parametrize("what", ATTEMPTS)
def test_the_database_refuses_to_change(what: str) -> None:
    world = World()
    world.bracket(world.target(), PLAIN, winner=0)
    made = frozen(world)
    with pytest.raises(IntegrityError), transaction.atomic():
        ATTEMPTS[what](made)


def test_a_job_that_is_deleted_leaves_its_release() -> None:
    made = frozen(World())
    Release.objects.filter(pk=made.pk).update(job=None, created_by=None)


@pytest.mark.django_db(transaction=True)
def test_answers_that_come_while_files_are_written_leave_the_chosen_rows_alone() -> None:
    world = World({"overlap": 3})
    target = world.target(2)
    world.bracket(target, [("left", 0, 1)], winner=0)
    services.collect([world.batch])
    made = services.begin(kind="dpo", batches=[world.batch])
    with services.snapshot(made) as contents:
        eve = get_user_model().objects.create(username="eve")
        answer = world.bracket(target, [("left", 0, 1)], winner=0, by=eve)
        found = services.collect([world.batch])
        assert (found.pairs, found.dropped, found.withdrawn) == (1, 0, 1)
        Review.objects.create(assignment=answer, reviewer=world.bot, verdict="return")
        services.collect([world.batch])
        assert contents.rows == 1
    assert [row.weight for row in made.pairs.all()] == [0.75]
    services.fail(made)
    assert not made.pairs.exists() and made.samples.count() == 0


def begun() -> tuple[Any, Release]:
    """An object that Ada decided, and a release that is begun and will hold it."""
    world = World()
    target = world.target()
    world.bracket(target, PLAIN, winner=0)
    services.collect([world.batch])
    return target, services.begin(kind="sft", batches=[world.batch])


@pytest.mark.django_db(transaction=True)
def test_a_photo_that_is_removed_while_files_are_written_stops_the_release() -> None:
    target, made = begun()
    with services.snapshot(made):
        removal.remove(target.image, reason="asked")
    manifest = storage.put(b"manifest", "application/json")
    with pytest.raises(UserError, match=r"photo 1\.jpg was removed while the release was written"):
        services.freeze(made, manifest=manifest, rows=1, counts={})


@pytest.mark.django_db(transaction=True)
def test_a_removal_waits_for_a_release_that_is_being_sealed_and_names_it() -> None:
    target, made = begun()
    with services.snapshot(made):
        pass
    manifest = storage.put(b"manifest", "application/json")
    named: list[removal.Holding] = []

    def take_out() -> None:
        named.extend(removal.remove(target.image, reason="asked").releases)
        connection.close()

    other = threading.Thread(target=take_out)
    with transaction.atomic():
        services.freeze(made, manifest=manifest, rows=1, counts={})
        other.start()
        other.join(0.5)
        assert other.is_alive() and not named
    other.join(20)
    assert [row.id for row in named] == [made.pk]


@pytest.mark.django_db
def test_a_release_whose_job_failed_for_good_lets_go_of_its_rows() -> None:
    _, made = begun()
    job = services.order(made)
    with connection.cursor() as cursor:
        services.choose(cursor, made)
    services.settle()
    assert made.samples.count() == 1  # its job may still come
    Job.objects.filter(pk=job.pk).update(state="failed", error=jobs.DIED)
    services.settle()
    made.refresh_from_db()
    assert (made.state, made.samples.count()) == ("failed", 0)


@pytest.mark.django_db
def test_a_release_of_a_command_that_was_killed_lets_go_of_its_rows_after_a_day() -> None:
    _, made = begun()
    with connection.cursor() as cursor:
        services.choose(cursor, made)
    services.settle()
    assert made.samples.count() == 1  # the command may still be writing
    Release.objects.filter(pk=made.pk).update(created_at=timezone.now() - timedelta(days=2))
    services.settle()
    assert made.samples.count() == 0


@pytest.mark.django_db
def test_files_of_a_release_that_was_not_sealed_go_and_what_others_hold_stays() -> None:
    manifest, shard, alone = (storage.put(name, "application/x-tar") for name in (b"m", b"shared", b"alone"))
    _, made = begun()
    services.freeze(made, manifest=manifest, rows=1, counts={}, files=[("shards/a.tar", shard)])
    services.erase([manifest, shard, alone])
    there = [storage.store().size(storage.blob_name(blob.sha256)) for blob in (manifest, shard, alone)]
    assert there == [1, 6, None]


@pytest.mark.django_db
def test_a_release_whose_file_went_meanwhile_is_not_sealed() -> None:
    _, made = begun()
    gone = storage.put(b"gone", "application/x-tar")
    services.erase([gone])
    with pytest.raises(storage.StorageError, match=r"shards/a\.tar is gone from the store"):
        services.freeze(made, manifest=gone, rows=1, counts={}, files=[("shards/a.tar", gone)])
    made.refresh_from_db()
    assert made.state == "building"
