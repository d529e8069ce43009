"""Claiming: the live lease first, one task for one person, prefetch apart, reaping."""

from datetime import timedelta
from types import SimpleNamespace

import pytest
from django.utils import timezone

from backend.accounts.access import ApiError
from backend.annotation import services
from backend.annotation.models import Assignment, Task
from tests.backend import world

pytestmark = pytest.mark.django_db


def test_a_reload_gets_the_same_lease(people: SimpleNamespace) -> None:
    into = world.batch()
    world.task(into, "a")
    world.task(into, "b")
    assert services.claim(people.ada) == services.claim(people.ada)


def test_two_people_get_two_objects_and_a_third_gets_none(people: SimpleNamespace) -> None:
    into = world.batch()
    world.task(into, "a")
    world.task(into, "b")
    first, second = services.claim(people.ada), services.claim(people.rev)
    assert first != second
    assert services.claim(people.leo) is None


def test_prefetch_leases_one_more_and_next_turns_it_into_the_active_one(people: SimpleNamespace) -> None:
    into = world.batch()
    for name in "abc":
        world.task(into, name)
    active = services.claim(people.ada)
    ahead = services.claim(people.ada, prefetch=True)
    assert services.claim(people.ada, prefetch=True) == ahead != active
    services.end(people.ada, active, 1, state="released")
    assert services.claim(people.ada) == ahead
    assert not Assignment.objects.get(pk=ahead).prefetch


def test_a_paused_batch_hands_out_nothing(people: SimpleNamespace) -> None:
    world.task(world.batch(state="paused"), "a")
    assert services.claim(people.ada) is None


def test_a_skipped_object_is_not_shown_to_that_person_again(people: SimpleNamespace) -> None:
    world.task(world.batch(), "a")
    services.end(people.ada, services.claim(people.ada), 1, state="skipped", reason="mask is wrong")
    assert services.claim(people.ada) is None
    assert services.claim(people.rev) is not None


def test_reaping_frees_the_task_and_the_next_claim_raises_the_fence(people: SimpleNamespace) -> None:
    task = world.task(world.batch(), "a")
    held = services.claim(people.ada)
    Assignment.objects.update(lease_until=timezone.now() - timedelta(hours=1))
    assert services.reap_leases() == 1
    assert Task.objects.get(pk=task.pk).n_leased == 0
    assert services.claim(people.ada) == held
    assert Assignment.objects.get(pk=held).fence == 2


def test_a_heartbeat_with_an_old_fence_hears_that_the_lease_is_lost(people: SimpleNamespace) -> None:
    world.task(world.batch(), "a")
    held = services.claim(people.ada)
    with pytest.raises(ApiError) as refusal:
        services.heartbeat(people.ada, held, 7)
    assert (refusal.value.status_code, refusal.value.code) == (409, "lease_lost")


def test_claiming_is_one_statement(people: SimpleNamespace, django_assert_num_queries) -> None:  # noqa: ANN001
    world.task(world.batch(), "a")
    with django_assert_num_queries(3):  # savepoint, claim, release
        services.claim(people.ada)


def test_the_bracket_is_frozen_at_claim_with_every_ready_candidate(people: SimpleNamespace) -> None:
    task = world.task(world.batch(), "a", n=5)
    held = Assignment.objects.get(pk=services.claim(people.ada))
    world.propose(task.batch, world.target("other"), 1)
    assert sorted(held.bracket) == sorted(task.object.candidates.values_list("id", flat=True))


def test_an_artist_leases_art_tasks_for_days(people: SimpleNamespace) -> None:
    task = world.task(world.batch(), "a")
    Task.objects.filter(pk=task.pk).update(stage="art")
    held = Assignment.objects.get(pk=services.claim_art(people.art, task_id=task.pk))
    assert held.lease_until > timezone.now() + timedelta(days=13)
    assert services.claim_art(people.art) == held.pk


def test_an_object_opens_only_when_two_candidates_are_ready(people: SimpleNamespace) -> None:
    task = world.task(world.batch(), "a", n=1)
    Task.objects.update(state="waiting")
    assert not services.open_tasks(task.batch_id, task.object_id)
    candidate = task.object.candidates.get()
    candidate.pk, candidate.seed, candidate.key = None, 9, "12345678-1234-5678-1234-567812345678"
    candidate.save()
    assert services.open_tasks(task.batch_id, task.object_id)
