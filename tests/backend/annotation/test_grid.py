"""The protocol «grid» over HTTP: four of eight are picked, then a knockout; picks are kept as a row like any answer."""

import uuid
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from backend.annotation.models import Assignment, Comparison, Task
from backend.proposals.models import Candidate
from tests.backend import world
from tests.backend.annotation.test_answers import Desk

pytestmark = pytest.mark.django_db
Open = Callable[..., Desk]


@pytest.fixture
def desk(people: SimpleNamespace, api: Callable[..., Any]) -> Open:
    """desk(n, **options): Ada with an object of n candidates in a grid batch."""

    def opened(n: int = 8, **options: Any) -> Desk:
        world.task(world.batch(protocol="grid", **options), "mug", n=n)
        return Desk(api(people.ada))

    return opened


def keys(desk: Desk, n: int) -> list[str]:
    return [card["key"] for card in desk.work["compare"]["candidates"]][:n]


def pick(desk: Desk, picked: list[str], seq: int = 1) -> Any:
    return desk.send("comparisons", seq=seq, answer="grid", picked=picked)


def test_four_are_picked_and_the_knockout_finds_the_survivor(desk: Open) -> None:
    ada = desk()
    assert (ada.work["compare"]["picking"], ada.work["compare"]["step"]) == (True, None)
    after = pick(ada, keys(ada, 4)).json()["assignment"]["compare"]
    assert (after["picking"], after["done"], after["total"]) == (False, 1, 4)
    for seq in (2, 3, 4):
        after = ada.send("comparisons", seq=seq, answer="left").json()["assignment"]["compare"]
    assert after["step"] is None and after["survivor"]["key"] in keys(ada, 4)
    row = Comparison.objects.get(answer="grid")
    assert sorted(row.picked) == sorted(Candidate.objects.filter(key__in=keys(ada, 4)).values_list("pk", flat=True))


def test_a_reload_in_mid_knockout_goes_on_there(desk: Open) -> None:
    ada = desk()
    pick(ada, keys(ada, 4))
    told = ada.send("comparisons", seq=2, answer="equal").json()["assignment"]["compare"]
    found = ada.client.get(f"/api/v1/assignments/{ada.work['id']}/").json()["compare"]
    assert found == told
    assert [row["answer"] for row in found["history"]] == ["grid", "equal"]


def test_undo_takes_back_the_grid_too(desk: Open) -> None:
    ada = desk()
    pick(ada, keys(ada, 4))
    back = ada.send("undo", seq=2).json()["assignment"]["compare"]
    assert (back["picking"], back["can_undo"], back["next_seq"]) == (True, False, 3)
    assert Comparison.objects.count() == 2


@pytest.mark.parametrize("n", [0, 3, 5])
def test_exactly_four_are_picked_where_everything_must_be_ranked(desk: Open, n: int) -> None:
    ada = desk(allows_neither=False)
    refused = pick(ada, keys(ada, n))
    assert (refused.status_code, list(refused.json()["error"]["fields"])) == (400, ["picked"])
    assert not Comparison.objects.exists()


def test_none_is_usable_ends_the_object_without_a_survivor(desk: Open) -> None:
    assert pick(desk(), []).json()["assignment"]["state"] == "submitted"
    assert (Task.objects.get().state, Assignment.objects.get().survivor_id) == ("escalated", None)


@pytest.mark.parametrize("picked", [[str(uuid.uuid4())], "twice"])
def test_strangers_and_doubles_are_not_picked(desk: Open, picked: Any) -> None:
    ada = desk()
    refused = pick(ada, keys(ada, 1) * 2 if picked == "twice" else picked)
    assert (refused.status_code, list(refused.json()["error"]["fields"])) == (400, ["picked"])


def test_a_pair_is_no_answer_to_the_grid_nor_the_grid_to_a_pair(desk: Open) -> None:
    ada = desk()
    early = ada.send("comparisons", seq=1, answer="left")
    assert (early.status_code, early.json()["error"]["code"]) == (409, "grid_due")
    pick(ada, keys(ada, 4))
    late = pick(ada, keys(ada, 4), seq=2)
    assert (late.status_code, late.json()["error"]["code"]) == (409, "no_grid")


def test_with_four_candidates_the_knockout_begins_at_once(desk: Open) -> None:
    assert desk(4).work["compare"]["step"]


def test_the_same_grid_sent_twice_is_one_row(desk: Open) -> None:
    ada, key = desk(), str(uuid.uuid4())
    body = {"seq": 1, "answer": "grid", "picked": keys(ada, 4), "key": key}
    ada.send("comparisons", **body)
    assert ada.send("comparisons", **body).json()["replayed"] is True
    assert Comparison.objects.count() == 1
