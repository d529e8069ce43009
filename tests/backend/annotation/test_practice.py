"""The guided practice: first answers count, sides are a coin per person, and annotators do it before the first object."""

import uuid
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from backend.annotation.models import GoldPair, PracticeAnswer
from backend.annotation.practice import NEEDED
from backend.models import Job
from tests.backend import world

pytestmark = pytest.mark.django_db
Api = Callable[..., Any]


@pytest.fixture
def gold() -> list[GoldPair]:
    """Six practice objects."""
    into = world.batch("practice", kind="practice", state="closed")
    made = []
    for place in range(1, NEEDED + 1):
        better, worse = world.propose(into, world.target(f"p{place}"), 2)
        made.append(GoldPair.objects.create(better=better, worse=worse, lesson="holes", place=place))
    return made


def answer(client: Any, item: dict[str, Any], side: str) -> dict[str, Any]:
    body = {"answer": side, "active_ms": 900, "key": str(uuid.uuid4())}
    reply = client.post(f"/api/v1/practice/{item['id']}/", body)
    assert reply.status_code == 200
    return reply.json()


def test_nothing_tells_the_better_one_before_the_answer(people: SimpleNamespace, api: Api, gold: list[GoldPair]) -> None:
    reply = api(people.ada).get("/api/v1/practice/")
    found = reply.json()
    assert (len(found["items"]), found["done"], found["needed"]) == (6, 0, 6)
    assert all(each["given"] is None for each in found["items"]) and "holes" not in reply.content.decode()
    assert reply.json() == api(people.ada).get("/api/v1/practice/").json()


def test_sides_are_thrown_per_person_and_object(people: SimpleNamespace, api: Api, gold: list[GoldPair]) -> None:
    better = {str(pair.better.key) for pair in gold}
    sides = [
        [item["left"]["key"] in better for item in api(person).get("/api/v1/practice/").json()["items"]]
        for person in (people.ada, people.rev, people.leo)
    ]
    assert len({tuple(row) for row in sides}) > 1
    assert 0 < sum(map(sum, sides)) < 18


def test_the_first_answer_counts_and_is_explained(people: SimpleNamespace, api: Api, gold: list[GoldPair]) -> None:
    client = api(people.ada)
    item = client.get("/api/v1/practice/").json()["items"][0]
    side = "left" if item["left"]["key"] == str(gold[0].better.key) else "right"
    other = "right" if side == "left" else "left"
    assert answer(client, item, other) == {"right": False, "better": side, "lesson": "holes", "replayed": False}
    assert answer(client, item, side) == {"right": False, "better": side, "lesson": "holes", "replayed": True}
    row = PracticeAnswer.objects.get()
    assert (row.right, row.active_ms) == (False, 900)
    assert client.get("/api/v1/practice/").json()["items"][0]["given"]["right"] is False


def test_work_comes_after_the_practice(people: SimpleNamespace, api: Api, gold: list[GoldPair]) -> None:
    world.task(world.batch(), "a")
    client = api(people.ada)
    for wish in ({}, {"stage": "compare"}, {"prefetch": True}):
        refusal = client.post("/api/v1/next/", wish)
        assert (refusal.status_code, refusal.json()["error"]["code"]) == (409, "practice_first")
    assert client.post("/api/v1/next/", {"stage": "align"}).status_code == 204
    for item in client.get("/api/v1/practice/").json()["items"]:
        answer(client, item, "left")
    assert client.post("/api/v1/next/", {}).status_code == 200


def test_reviewers_simulations_and_an_unfinished_set_ask_for_no_practice(
    people: SimpleNamespace, api: Api, gold: list[GoldPair]
) -> None:
    into = world.batch()
    for name in "abc":
        world.task(into, name)
    assert api(people.rev).post("/api/v1/next/", {}).status_code == 200
    people.ada.simulated = True
    people.ada.save()
    assert api(people.ada).post("/api/v1/next/", {}).status_code == 200
    people.art.role = "annotator"
    people.art.save()
    gold[-1].delete()
    assert api(people.art).post("/api/v1/next/", {}).status_code == 200


def test_an_admin_has_it_made_once(people: SimpleNamespace, api: Api) -> None:
    client = api(people.leo)
    first, again = (client.post("/api/v1/practice/").json()["id"] for _ in range(2))
    assert first == again
    Job.objects.update(state="failed")
    assert client.post("/api/v1/practice/").json()["id"] != first
    better, worse = world.propose(world.batch(), world.target("a"), 2)
    GoldPair.objects.create(better=better, worse=worse, lesson="holes", place=1)
    assert client.post("/api/v1/practice/").json()["error"]["code"] == "practice_exists"
