"""Objects enter a batch's queue once, in order."""

import pytest

from backend.annotation.intake import drawn, enqueue
from backend.annotation.models import Task
from backend.catalog.models import TargetObject
from tests.backend import world

pytestmark = pytest.mark.django_db


def test_an_object_with_a_mask_waits_for_candidates() -> None:
    batch = world.batch(overlap=3)
    enqueue(batch, [world.target("a")])
    task = Task.objects.get()
    assert (task.stage, task.state, task.needed) == ("compare", "waiting", 3)


def test_an_object_without_a_mask_is_drawn_first() -> None:
    target = TargetObject.objects.create(image=world.target("a").image)
    enqueue(world.batch(), [target])
    task = Task.objects.get()
    assert (task.stage, task.state, task.needed) == ("select", "open", 1)


def test_an_object_enters_a_batch_once() -> None:
    batch, target = world.batch(), world.target("a")
    assert [enqueue(batch, [target]), enqueue(batch, [target, target])] == [1, 0]


def test_later_objects_stand_behind_earlier_ones() -> None:
    batch = world.batch()
    for name in "cab":
        enqueue(batch, [world.target(name)])
    names = Task.objects.order_by("sort_key").values_list("object__name", flat=True)
    assert list(names) == ["c", "a", "b"]


def test_a_drawn_object_waits_for_candidates_once() -> None:
    batch = world.batch(overlap=2)
    target = TargetObject.objects.create(image=world.target("a").image)
    enqueue(batch, [target])
    select = Task.objects.get()
    assert drawn(select, select.object).pk == drawn(select, select.object).pk
    after = drawn(select, select.object)
    assert (after.stage, after.needed) == ("compare", 2)
