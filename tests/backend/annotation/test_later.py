"""Work found again: put aside and taken up as it was, in hand, sent back; and a clear no where it cannot be."""

import uuid
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from django.utils import timezone

from backend.annotation import services
from backend.annotation.models import Assignment, Comparison, Review, Task
from backend.art3do.models import ArtSubmission
from backend.models import Upload
from tests.backend import world

pytestmark = pytest.mark.django_db
Api = Callable[..., Any]


def begun(client: Any) -> tuple[dict[str, Any], Task]:
    """An assignment with one answer, and its task."""
    work = client.post("/api/v1/next/", {}).json()
    body = {"fence": work["fence"], "seq": 1, "answer": "left", "key": str(uuid.uuid4())}
    assert client.post(f"/api/v1/assignments/{work['id']}/comparisons/", body).status_code == 200
    return work, Task.objects.get(assignments=work["id"])


def aside(client: Any, work: dict[str, Any], reason: str = "") -> Any:
    return client.post(f"/api/v1/assignments/{work['id']}/postpone/", {"fence": work["fence"], "reason": reason})


def resumed(client: Any, work: dict[str, Any]) -> Any:
    return client.post(f"/api/v1/assignments/{work['id']}/resume/")


def test_work_put_aside_is_found_again_as_it_was_left(people: SimpleNamespace, api: Api) -> None:
    world.task(world.batch(), "a")
    client = api(people.ada)
    work, task = begun(client)
    assert aside(client, work, "ask about the lid").status_code == 200
    task.refresh_from_db()
    assert task.n_leased == 0
    [row] = client.get("/api/v1/work/").json()["postponed"]
    assert (row["assignment"], row["reason"], row["stage"]) == (work["id"], "ask about the lid", "compare")
    back = resumed(client, work).json()
    assert (back["state"], back["fence"], back["compare"]["done"]) == ("leased", work["fence"] + 1, 1)
    assert (client.get("/api/v1/work/").json()["postponed"], Comparison.objects.count()) == ([], 1)
    assert [row["assignment"] for row in client.get("/api/v1/work/").json()["live"]] == [work["id"]]


def test_what_was_put_aside_is_not_handed_out_again_but_others_may_have_it(people: SimpleNamespace, api: Api) -> None:
    world.task(world.batch(), "a")
    work, _ = begun(api(people.ada))
    aside(api(people.ada), work)
    assert api(people.ada).post("/api/v1/next/", {}).status_code == 204
    assert api(people.rev).post("/api/v1/next/", {}).status_code == 200
    refusal = resumed(api(people.ada), work)
    assert (refusal.status_code, refusal.json()["error"]["code"]) == (409, "no_room")


def test_one_object_at_a_time_in_a_batch(people: SimpleNamespace, api: Api) -> None:
    into = world.batch()
    world.task(into, "a")
    world.task(into, "b")
    client = api(people.ada)
    work, _ = begun(client)
    aside(client, work)
    assert client.post("/api/v1/next/", {}).json()["id"] != work["id"]
    assert resumed(client, work).json()["error"]["code"] == "other_active"


@pytest.mark.parametrize(("state", "code"), [("paused", "batch_not_open"), ("closed", "batch_not_open")])
def test_a_batch_that_is_not_open_waits(state: str, code: str, people: SimpleNamespace, api: Api) -> None:
    into = world.batch()
    world.task(into, "a")
    work, _ = begun(api(people.ada))
    aside(api(people.ada), work)
    into.__class__.objects.update(state=state)
    assert resumed(api(people.ada), work).json()["error"]["code"] == code


def test_putting_aside_and_taking_up_twice_changes_nothing(people: SimpleNamespace, api: Api) -> None:
    world.task(world.batch(), "a")
    client = api(people.ada)
    work, task = begun(client)
    assert [aside(client, work).status_code for _ in range(2)] == [200, 200]
    assert [resumed(client, work).json()["fence"] for _ in range(2)] == [2, 2]
    task.refresh_from_db()
    assert task.n_leased == 1
    assert aside(client, work).json()["error"]["code"] == "lease_lost"  # a tab from before
    assert resumed(api(people.rev), work).status_code == 404


def sent_back(people: SimpleNamespace, note: str) -> Task:
    """A submitted comparison of ada that a reviewer returned: the open task of the next round."""
    first = world.task(world.batch(), "a")
    Task.objects.filter(pk=first.pk).update(state="done", n_done=1)
    old = Assignment.objects.create(
        task=first, user=people.ada, batch=first.batch, stage="compare", state="submitted", lease_until=timezone.now()
    )
    Review.objects.create(assignment=old, reviewer=people.rev, verdict="return", note=note)
    return Task.objects.create(
        batch=first.batch, object=first.object, stage="compare", round=2, state="open", note=note
    )


def test_what_a_reviewer_sent_back_is_found_with_the_words_and_taken(people: SimpleNamespace, api: Api) -> None:
    task = sent_back(people, "the lid is missing")
    world.task(task.batch, "another")
    client = api(people.ada)
    client.post("/api/v1/next/", {"prefetch": True})
    [row] = client.get("/api/v1/work/").json()["returned"]
    assert (row["task"], row["note"], row["assignment"]) == (task.pk, "the lid is missing", None)
    assert api(people.rev).get("/api/v1/work/").json()["returned"] == []
    found = client.post("/api/v1/next/", {"task": task.pk}).json()
    assert (found["note"], found["object"]["id"]) == ("the lid is missing", task.object_id)
    assert client.get("/api/v1/work/").json()["returned"] == []


def test_a_certain_task_is_refused_while_another_is_in_hand_or_it_is_gone(people: SimpleNamespace, api: Api) -> None:
    task = sent_back(people, "again")
    other = world.task(task.batch, "another")
    services.claim(people.ada, task=other.pk)
    refusal = api(people.ada).post("/api/v1/next/", {"task": task.pk})
    assert refusal.json()["error"]["code"] == "other_active"
    services.claim(people.leo, task=task.pk)
    Assignment.objects.filter(user=people.ada, state="leased").update(state="skipped")
    assert api(people.ada).post("/api/v1/next/", {"task": task.pk}).json()["error"]["code"] == "no_room"
    assert api(people.ada).post("/api/v1/next/", {"task": 999999}).status_code == 404


def test_an_artist_finds_the_mesh_that_came_back(people: SimpleNamespace, api: Api) -> None:
    into = world.batch(kind="art3do")
    task = Task.objects.create(batch=into, object=world.target("a"), stage="art", state="open", note="close the lid")
    held = services.claim_art(people.art)
    upload = Upload.objects.create(user=people.art, filename="lid.glb", size=1)
    ArtSubmission.objects.create(task=task, assignment_id=held, version=1, upload=upload, state="returned")
    found = api(people.art).get("/api/v1/work/").json()
    assert [(row["assignment"], row["note"]) for row in found["returned"]] == [(held, "close the lid")]
    assert found["live"] == []


def test_the_first_page_asks_a_fixed_number_of_questions(
    people: SimpleNamespace, api: Api, django_assert_max_num_queries: Any
) -> None:
    into = world.batch()
    for name in "abcdef":
        task = world.task(into, name)
        Assignment.objects.create(
            task=task, user=people.ada, batch=into, stage="compare", state="postponed", lease_until=timezone.now()
        )
    client = api(people.ada)
    with django_assert_max_num_queries(7):
        assert len(client.get("/api/v1/work/").json()["postponed"]) == 6
