"""Reported problems: stored once, in the right batch, seen and settled by those who run it."""

import uuid
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from backend.annotation.models import Problem, Task
from tests.backend import world

pytestmark = pytest.mark.django_db
Api = Callable[..., Any]


def body(task: Task, **changes: Any) -> dict[str, Any]:
    return {"key": str(uuid.uuid4()), "batch": task.batch_id, "stage": "compare", "note": "two mugs in one mask", **changes}


def report(client: Any, task: Task, given: dict[str, Any]) -> Any:
    return client.post(f"/api/v1/objects/{task.object_id}/problems/", given)


def test_a_report_sent_twice_is_stored_once(people: SimpleNamespace, api: Api) -> None:
    task = world.task(world.batch(), "a")
    given = body(task, place=[10, 20])
    first, again = (report(api(people.ada), task, given) for _ in range(2))
    assert (first.status_code, again.json()) == (201, first.json())
    row = Problem.objects.get()
    assert (row.user, row.note, row.place, row.kind) == (people.ada, "two mugs in one mask", [10, 20], "problem")
    assert report(api(people.rev), task, given).status_code == 409


def test_a_report_must_say_something_about_an_object_of_that_batch(people: SimpleNamespace, api: Api) -> None:
    task = world.task(world.batch(), "a")
    elsewhere = world.batch("cups")
    wrong = [{"note": "  "}, {"place": [9999, 1]}, {"place": [1]}, {"stage": "cook"}, {"kind": "rumour"}]
    assert [report(api(people.ada), task, body(task, **each)).status_code for each in wrong] == [400] * 5
    assert report(api(people.ada), task, body(task, batch=elsewhere.pk)).status_code == 404
    assert Problem.objects.count() == 0


def test_those_who_run_the_batch_see_it_until_it_is_settled(people: SimpleNamespace, api: Api) -> None:
    task = world.task(world.batch(), "a")
    report(api(people.ada), task, body(task))
    listed = f"/api/v1/batches/{task.batch_id}/problems/"
    [row] = api(people.rev).get(listed).json()["results"]
    assert (row["note"], row["user"], row["object"]["category"]) == ("two mugs in one mask", "ada", "mug")
    settled = [api(person).post(f"/api/v1/problems/{row['id']}/settle/").json() for person in (people.rev, people.leo)]
    assert settled[0]["settled_at"] == settled[1]["settled_at"]
    assert Problem.objects.get().settled_by == people.rev
    assert api(people.rev).get(listed).json()["results"] == []
    assert api(people.rev).post("/api/v1/problems/999999/settle/").status_code == 404
