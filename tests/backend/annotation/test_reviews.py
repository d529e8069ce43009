"""Reviews over HTTP: what waits, before and after, and what each verdict does to the object."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from backend.annotation.models import Alignment, Assignment, Rating, Review, Task
from tests.backend import world
from tests.backend.annotation.test_answers import Desk, align

pytestmark = pytest.mark.django_db
POSE = {"R": world.IDENTITY, "t": [0, 0, 3], "s": [1, 1, 1]}


@pytest.fixture
def aligned(people: SimpleNamespace, api: Callable[..., Any]) -> Desk:
    """Ada's alignment, submitted, in a batch that asks for review."""
    desk = align(api, people.ada)
    Task.objects.get().batch.__class__.objects.update(asks_review=True)
    desk.send(
        "alignment", R=world.IDENTITY, t=[0, 0, 2], s=[1, 1, 1], iou=0.8, depth_residual=0.02, active_ms=900
    )
    return desk


def rated(people: SimpleNamespace, api: Callable[..., Any], r: float, **options: Any) -> Desk:
    """Ada's bracket of three with its rating."""
    world.task(world.batch(asks_review=True, **options), "mug", n=3)
    desk = Desk(api(people.ada))
    for seq in (1, 2):
        desk.send("comparisons", seq=seq, answer="left")
    desk.send("rating", r=r)
    return desk


def judge(api: Callable[..., Any], person: Any, desk: Desk, **verdict: Any) -> Any:
    return api(person).post(f"/api/v1/reviews/{desk.work['id']}/", verdict)


def test_the_candidates_own_pose_stands_beside_every_version(
    aligned: Desk, people: SimpleNamespace, api: Callable[..., Any]
) -> None:
    body = api(people.rev).get(f"/api/v1/reviews/{aligned.work['id']}/").json()
    assert body["candidate"]["pose"]["t"] == [0, 0, 1]
    (version,) = body["versions"]
    assert (version["by"], version["pose"]["t"], version["iou"]) == ("ada", [0, 0, 2], 0.8)
    assert (version["depth_residual"], version["active_ms"], body["active_ms"]) == (0.02, 900, 900)
    assert body["object"]["camera"]["fx"] == 60


def test_waiting_answers_are_listed_by_stage_without_ones_own(
    aligned: Desk, people: SimpleNamespace, api: Callable[..., Any]
) -> None:
    def waiting(person: Any, query: str) -> list[Any]:
        return [row["iou"] for row in api(person).get(f"/api/v1/reviews/?{query}").json()["results"]]

    assert waiting(people.rev, "stage=align") == [0.8]
    assert waiting(people.rev, "stage=compare") == []
    assert waiting(people.rev, "stage=align&batch=999") == []
    Assignment.objects.update(user=people.rev)
    assert waiting(people.rev, "stage=align") == []


def test_a_list_of_many_takes_as_many_queries_as_a_list_of_one(
    aligned: Desk, people: SimpleNamespace, api: Callable[..., Any], django_assert_max_num_queries: Any
) -> None:
    client = api(people.rev)
    for number in range(3):
        task = world.task(Task.objects.first().batch, f"cup{number}", n=2)
        Task.objects.filter(pk=task.pk).update(stage="align", candidate=task.object.candidates.first())
        Desk(aligned.client).send("alignment", **POSE)
    with django_assert_max_num_queries(4):
        assert len(client.get("/api/v1/reviews/").json()["results"]) == 4
    with django_assert_max_num_queries(12):
        client.get(f"/api/v1/reviews/{aligned.work['id']}/")


def test_a_fix_keeps_what_the_reviewers_page_measured(
    aligned: Desk, people: SimpleNamespace, api: Callable[..., Any]
) -> None:
    pose = {**POSE, "iou": 0.95, "depth_residual": 0.01, "active_ms": 400}
    assert judge(api, people.rev, aligned, verdict="fix", pose=pose).status_code == 200
    fixed = Alignment.objects.get(version=2)
    assert (fixed.by, fixed.iou, fixed.depth_residual, fixed.active_ms) == (people.rev, 0.95, 0.01, 400)


def test_a_second_verdict_is_a_conflict_and_the_same_one_is_not(
    aligned: Desk, people: SimpleNamespace, api: Callable[..., Any]
) -> None:
    fix = {"verdict": "fix", "pose": POSE}
    assert [judge(api, people.rev, aligned, **fix).status_code for _ in range(2)] == [200, 200]
    moved = {**POSE, "t": [0, 0, 9]}
    assert judge(api, people.rev, aligned, verdict="fix", pose=moved).status_code == 409
    assert judge(api, people.leo, aligned, verdict="accept").status_code == 409
    assert Alignment.objects.count() == 2


def test_nobody_judges_the_own_answer(
    aligned: Desk, people: SimpleNamespace, api: Callable[..., Any]
) -> None:
    Assignment.objects.update(user=people.rev)
    assert judge(api, people.rev, aligned, verdict="accept").status_code == 403


@pytest.mark.parametrize(
    ("verdict", "field"), [({"verdict": "return"}, "note"), ({"verdict": "fix"}, "pose")]
)
def test_a_verdict_that_lacks_something_says_what(
    aligned: Desk, people: SimpleNamespace, api: Callable[..., Any], verdict: dict[str, str], field: str
) -> None:
    refused = judge(api, people.rev, aligned, **verdict)
    assert (refused.status_code, list(refused.json()["error"]["fields"])) == (400, [field])
    assert not Review.objects.exists()


@pytest.mark.parametrize("value", ["nan", "inf"])
def test_what_is_no_number_is_refused(
    aligned: Desk, people: SimpleNamespace, api: Callable[..., Any], value: str
) -> None:
    pose = {**POSE, "t": [0, 0, value]}
    assert judge(api, people.rev, aligned, verdict="fix", pose=pose).status_code == 400


def test_a_second_tabs_pose_is_a_choice_and_then_a_newer_version(aligned: Desk) -> None:
    refused = aligned.send("alignment", **POSE)
    fields = refused.json()["error"]["fields"]
    assert (refused.status_code, fields["current"], fields["pose"]["t"]) == (412, 1, [0, 0, 2])
    assert aligned.send("alignment", **POSE, version=1).status_code == 200
    assert list(Alignment.objects.order_by("version").values_list("t", flat=True)) == [[0, 0, 2], [0, 0, 3]]
    assert Task.objects.get().n_done == 1


def test_after_a_verdict_the_annotator_stores_no_newer_pose(
    aligned: Desk, people: SimpleNamespace, api: Callable[..., Any]
) -> None:
    judge(api, people.rev, aligned, verdict="accept")
    assert aligned.send("alignment", **POSE, version=1).json()["error"]["code"] == "already_reviewed"


def test_a_rating_fixed_below_the_bar_closes_the_alignment_and_escalates(
    people: SimpleNamespace, api: Callable[..., Any]
) -> None:
    desk = rated(people, api, 0.9)
    assert Task.objects.get(stage="align").state == "open"
    assert judge(api, people.rev, desk, verdict="fix", r=0.2).status_code == 200
    assert (Task.objects.get(stage="align").state, Task.objects.get(stage="compare").state) == (
        "cancelled",
        "escalated",
    )
    assert (Rating.objects.get().r, Review.objects.get().r) == (0.9, 0.2)


def test_a_rating_fixed_to_the_bar_opens_the_alignment(
    people: SimpleNamespace, api: Callable[..., Any]
) -> None:
    desk = rated(people, api, 0.2)
    judge(api, people.rev, desk, verdict="fix", r=0.9)
    task = Task.objects.get(stage="align")
    assert (task.state, task.candidate_id) == ("open", Rating.objects.get().candidate_id)
    assert Task.objects.get(stage="compare").state == "done"


def test_a_rating_sent_back_closes_the_alignment_and_opens_a_round(
    people: SimpleNamespace, api: Callable[..., Any]
) -> None:
    desk = rated(people, api, 0.9)
    judge(api, people.rev, desk, verdict="return", note="look at the back")
    assert Task.objects.get(stage="align").state == "cancelled"
    assert Task.objects.get(stage="compare", round=2).note == "look at the back"


def test_the_next_rounds_survivor_is_aligned_where_the_first_ones_was_closed(
    people: SimpleNamespace, api: Callable[..., Any]
) -> None:
    desk = rated(people, api, 0.9)
    judge(api, people.rev, desk, verdict="return", note="look at the back")
    Task.objects.filter(stage="align").update(candidate=Task.objects.first().object.candidates.last())
    again = Desk(api(people.leo))
    for seq in (1, 2):
        again.send("comparisons", seq=seq, answer="left")
    again.send("rating", r=0.9)
    survivor = Rating.objects.latest("id").candidate_id
    assert Task.objects.get(stage="align", state="open").candidate_id == survivor


def test_of_several_ratings_the_reviewers_counts_as_it_stands(
    people: SimpleNamespace, api: Callable[..., Any]
) -> None:
    desk = rated(people, api, 0.9, overlap=2)
    second = Desk(api(people.leo))
    for seq in (1, 2):
        second.send("comparisons", seq=seq, answer="left")
    judge(api, people.rev, desk, verdict="fix", r=0.1)
    second.send("rating", r=0.4)
    assert not Task.objects.filter(stage="align").exists()
    assert Task.objects.get().state == "escalated"


def test_the_other_candidates_of_the_bracket_are_shown_beside_a_rating(
    people: SimpleNamespace, api: Callable[..., Any]
) -> None:
    desk = rated(people, api, 0.6)
    client = api(people.rev)
    assert [row["r"] for row in client.get("/api/v1/reviews/?stage=compare").json()["results"]] == [0.6]
    body = client.get(f"/api/v1/reviews/{desk.work['id']}/").json()
    assert len(body["others"]) == 2 and body["candidate"]["key"] not in {c["key"] for c in body["others"]}
    text = str(body)
    assert not any(word in text for word in ("inflation", "retrieval", "flow", "proposer", "seed", "score"))


def test_the_notes_of_earlier_rounds_are_told(
    aligned: Desk, people: SimpleNamespace, api: Callable[..., Any]
) -> None:
    judge(api, people.rev, aligned, verdict="return", note="the handle is on the other side")
    second = Desk(api(people.leo))
    second.send("alignment", **POSE)
    body = api(people.rev).get(f"/api/v1/reviews/{second.work['id']}/").json()
    assert [(row["user"], row["note"]) for row in body["history"]] == [
        ("ada", "the handle is on the other side")
    ]
