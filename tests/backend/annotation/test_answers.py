"""Answers over HTTP: brackets, undo, ratings, alignments; each stored once, whatever the network does."""

import uuid
from collections.abc import Callable
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from rest_framework.test import APIClient

from backend.accounts.models import Token
from backend.annotation import services
from backend.annotation.models import Alignment, Assignment, Comparison, Rating, Task
from tests.backend import world

pytestmark = pytest.mark.django_db


class Desk:
    """Ada at her desk, with the assignment in front of her."""

    def __init__(self, client: Any) -> None:
        self.client = client
        self.work = client.post("/api/v1/next/", {}).json()

    def send(self, verb: str, **body: Any) -> Any:
        """POST to the assignment with its fence and, unless given, a fresh key."""
        body = {"fence": self.work["fence"], "key": str(uuid.uuid4()), **body}
        return self.client.post(f"/api/v1/assignments/{self.work['id']}/{verb}/", body)


@pytest.fixture
def desk(people: SimpleNamespace, api: Callable[..., Any]) -> Desk:
    """Ada with an object of three candidates."""
    world.task(world.batch(), "mug", n=3)
    return Desk(api(people.ada))


def test_a_bracket_a_rating_and_the_alignment_opens(desk: Desk) -> None:
    assert desk.send("comparisons", seq=1, answer="left").json()["assignment"]["compare"]["done"] == 1
    body = desk.send("comparisons", seq=2, answer="right").json()["assignment"]["compare"]
    assert body["step"] is None
    assert body["survivor"]["key"]
    assert desk.send("rating", r=0.8).json()["state"] == "submitted"
    task = Task.objects.get(stage="align")
    assert (task.state, task.candidate_id) == ("open", Rating.objects.get().candidate_id)


def test_the_same_key_twice_makes_one_row_and_says_replayed(desk: Desk) -> None:
    key = str(uuid.uuid4())
    desk.send("comparisons", seq=1, answer="left", key=key)
    again = desk.send("comparisons", seq=1, answer="left", key=key)
    assert (again.status_code, again.json()["replayed"]) == (200, True)
    assert Comparison.objects.count() == 1


def test_another_answer_to_a_stored_comparison_is_a_conflict(desk: Desk) -> None:
    desk.send("comparisons", seq=1, answer="left")
    refused = desk.send("comparisons", seq=1, answer="right")
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "already_answered")


def test_a_rating_replayed_is_answered_again_and_counted_once(desk: Desk) -> None:
    desk.send("comparisons", seq=1, answer="left")
    desk.send("comparisons", seq=2, answer="equal")
    key = str(uuid.uuid4())
    desk.send("rating", r=0.8, key=key)
    assert desk.send("rating", r=0.8, key=key).json()["replayed"] is True
    task = Task.objects.get(stage="compare")
    assert (task.n_leased, task.n_done, task.state) == (0, 1, "done")


def test_undo_is_a_further_row_and_shows_the_pair_again(desk: Desk) -> None:
    before = desk.work["compare"]["step"]
    desk.send("comparisons", seq=1, answer="left")
    after = desk.send("undo", seq=2).json()["assignment"]["compare"]["step"]
    assert (after["left"], after["right"], after["seq"]) == (before["left"], before["right"], 3)
    assert Comparison.objects.count() == 2


def test_a_low_rating_escalates_the_object(desk: Desk) -> None:
    desk.send("comparisons", seq=1, answer="left")
    desk.send("comparisons", seq=2, answer="left")
    desk.send("rating", r=0.2, reasons=["too thin", "occlusion"])
    task = Task.objects.get()
    assert (task.state, task.reason) == ("escalated", "occlusion")


def test_a_lease_that_ran_out_is_renewed_while_there_is_room(desk: Desk) -> None:
    Assignment.objects.update(lease_until=timezone.now() - timedelta(hours=1))
    services.reap_leases()
    assert desk.send("comparisons", seq=1, answer="left").status_code == 200
    assert Assignment.objects.get().state == "leased"


def test_a_replay_on_a_lease_that_ran_out_leaves_the_counters_right(desk: Desk) -> None:
    key = str(uuid.uuid4())
    desk.send("comparisons", seq=1, answer="left", key=key)
    Assignment.objects.update(lease_until=timezone.now() - timedelta(hours=1))
    services.reap_leases()
    assert desk.send("comparisons", seq=1, answer="left", key=key).json()["replayed"] is True
    assert (Task.objects.get().n_leased, Assignment.objects.get().state) == (1, "leased")


def test_a_key_of_another_assignment_is_a_conflict_and_stores_nothing(desk: Desk, api: Callable[..., Any]) -> None:
    key = str(uuid.uuid4())
    for seq in (1, 2):
        desk.send("comparisons", seq=seq, answer="left")
    desk.send("rating", r=0.1, key=key)
    world.task(Task.objects.get().batch, "second", n=2)
    again = Desk(desk.client)
    again.send("comparisons", seq=1, answer="left")
    refused = again.send("rating", r=0.9, key=key)
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "conflict")
    assert Assignment.objects.get(pk=again.work["id"]).state == "leased"


def test_a_stolen_lease_is_a_409_and_the_answer_is_kept_as_draft(desk: Desk, people: SimpleNamespace) -> None:
    Assignment.objects.update(lease_until=timezone.now() - timedelta(hours=1))
    services.reap_leases()
    assert services.claim(people.rev) is not None
    refused = desk.send("comparisons", seq=1, answer="left")
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "lease_lost")
    assert Assignment.objects.get(user=people.ada).draft == {"seq": 1, "answer": "left"}


def test_nothing_on_the_wire_tells_which_model_made_a_candidate(desk: Desk) -> None:
    text = str(desk.work)
    assert not any(word in text for word in ("inflation", "retrieval", "flow", "proposer", "seed", "score"))


def align(api: Callable[..., Any], person: Any) -> Desk:
    """A desk with an alignment on it."""
    task = world.task(world.batch(name="align"), "cup", n=2)
    Task.objects.update(stage="align", candidate=task.object.candidates.first())
    return Desk(api(person))


def test_an_alignment_is_stored_with_the_pointmap_it_was_made_on(
    people: SimpleNamespace, api: Callable[..., Any]
) -> None:
    desk = align(api, people.ada)
    assert desk.send("alignment", R=world.IDENTITY, t=[0, 0, 2], s=[1, 1, 1], iou=0.9).status_code == 200
    assert Alignment.objects.get().pointmap.source == "sensor"


@pytest.mark.parametrize("R", [[1, 0, 0, 0, 1, 0, 0, 0, -1], [2, 0, 0, 0, 1, 0, 0, 0, 1], [0] * 9])
def test_what_is_not_a_rotation_is_refused(
    people: SimpleNamespace, api: Callable[..., Any], R: list[float]
) -> None:
    refused = align(api, people.ada).send("alignment", R=R, t=[0, 0, 2], s=[1, 1, 1])
    assert (refused.status_code, list(refused.json()["error"]["fields"])) == (400, ["R"])


def test_a_pose_on_an_old_version_is_a_412(people: SimpleNamespace, api: Callable[..., Any]) -> None:
    refused = align(api, people.ada).send("alignment", R=world.IDENTITY, t=[0, 0, 2], s=[1, 1, 1], version=3)
    assert (refused.status_code, refused.json()["error"]["fields"]) == (412, {"yours": 3, "current": 0})


def test_a_returned_alignment_opens_a_new_round_with_the_note(
    people: SimpleNamespace, api: Callable[..., Any]
) -> None:
    desk = align(api, people.ada)
    desk.send("alignment", R=world.IDENTITY, t=[0, 0, 2], s=[1, 1, 1])
    verdict = {"verdict": "return", "note": "the handle is on the other side"}
    assert api(people.rev).post(f"/api/v1/reviews/{desk.work['id']}/", verdict).status_code == 200
    task = Task.objects.get(round=2)
    assert (task.state, task.note) == ("open", "the handle is on the other side")


def test_a_fix_stores_the_reviewers_pose_as_a_new_version(
    people: SimpleNamespace, api: Callable[..., Any]
) -> None:
    desk = align(api, people.ada)
    desk.send("alignment", R=world.IDENTITY, t=[0, 0, 2], s=[1, 1, 1])
    pose = {"R": world.IDENTITY, "t": [0, 0, 3], "s": [1, 1, 1]}
    api(people.rev).post(f"/api/v1/reviews/{desk.work['id']}/", {"verdict": "fix", "pose": pose})
    assert list(Alignment.objects.order_by("version").values_list("by__username", "t")) == [
        ("ada", [0, 0, 2]),
        ("rev", [0, 0, 3]),
    ]


@pytest.mark.parametrize("protocol", ["king_of_the_hill", "grid"])
def test_a_claim_takes_six_statements_and_a_completing_answer_five(people: SimpleNamespace, protocol: str) -> None:
    world.task(world.batch(protocol=protocol, asks_rating=False, asks_alignment=False), "mug", n=2)
    client = APIClient(HTTP_AUTHORIZATION=f"Bearer {Token.issue(people.ada)[0]}")

    def post(path: str, **body: Any) -> tuple[int, Any]:
        with CaptureQueriesContext(connection) as seen:
            reply = client.post(f"/api/v1/{path}", body, format="json")
        frame = ("SAVEPOINT", "RELEASE", "BEGIN", "COMMIT")
        return len([query for query in seen.captured_queries if not query["sql"].startswith(frame)]), reply.json()

    claims, work = post("next/", stage="compare")
    answer = {"fence": work["fence"], "key": str(uuid.uuid4()), "seq": 1, "answer": "left", "coverage": [0.5, 0.5]}
    submits, _ = post(f"assignments/{work['id']}/comparisons/", **answer)
    assert (claims, submits) == (6, 5)
