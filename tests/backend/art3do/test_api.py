"""The art cases over HTTP."""

import uuid
from types import SimpleNamespace
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test.utils import CaptureQueriesContext

from backend import storage
from backend.annotation.models import Assignment, Rating, Task
from backend.art3do import services
from tests.backend.art3do.cases import checked, claimed, escalated, sent
from tests.backend.datasets.rows import POSE, World

pytestmark = pytest.mark.django_db
API = "/api/v1"


def test_an_artist_claims_a_chosen_case_and_sends_a_file(people: SimpleNamespace, api: Any) -> None:
    world = World()
    escalated(world)
    services.curate(world.batch, name="hard")
    artist = api(people.art)
    case = artist.get(f"{API}/art/tasks/").json()["results"][0]
    assert case["assignment"] is None
    taken = artist.post(f"{API}/next/", {"stage": "art", "task": case["id"]}).json()
    form = {
        "fence": taken["fence"],
        "key": str(uuid.uuid4()),
        "file": SimpleUploadedFile("cup.obj", b"v 0 0 0"),
    }
    answer = artist.post(f"{API}/assignments/{taken['id']}/submission/", form, format="multipart")
    assert answer.status_code == 202 and answer.json()["job"]["kind"] == "check_submission"
    assert artist.get(f"{API}/art/tasks/").json()["results"][0]["submissions"][0]["state"] == "checking"


def test_a_submission_needs_a_file_or_an_upload(people: SimpleNamespace, api: Any) -> None:
    case = claimed(people.art)
    fields = {"fence": 1, "key": str(uuid.uuid4())}
    url = f"{API}/assignments/{case.assignment.pk}/submission/"
    assert api(people.art).post(url, fields).status_code == 400
    assert api(people.art).post(url, {**fields, "upload": str(uuid.uuid4())}).status_code == 400


def test_curate_over_http(people: SimpleNamespace, api: Any) -> None:
    world = World()
    escalated(world)
    url = f"{API}/batches/{world.batch.pk}/curate/"
    assert api(people.leo).post(url, {"name": "hard"}).json()["cases"] == 1
    assert api(people.leo).post(url, {"name": "hard"}).status_code == 409
    assert api(people.res).post(url, {"name": "other"}).status_code == 403


def test_the_reviewer_sees_what_waits_and_decides(people: SimpleNamespace, api: Any) -> None:
    row = checked(sent(people.art, claimed(people.art).assignment))
    reviewer = api(people.rev)
    listed = reviewer.get(f"{API}/submissions/?state=in_review").json()["results"]
    assert [entry["id"] for entry in listed] == [row.pk]
    assert listed[0]["report"]["figures"] == {"triangles": 12}
    model = reviewer.get(listed[0]["model_url"])
    assert b"".join(model.streaming_content).startswith(b"glTF")
    answer = reviewer.post(f"{API}/submissions/{row.pk}/verdict/", {"verdict": "return", "note": "thin"})
    assert answer.json()["state"] == "returned" and answer.json()["note"] == "thin"


def test_a_submission_comes_with_its_place_in_the_photo(people: SimpleNamespace, api: Any) -> None:
    row = checked(sent(people.art, claimed(people.art).assignment))
    found = api(people.rev).get(f"{API}/submissions/{row.pk}/").json()
    assert found["pose"] == POSE and found["object"]["id"] == row.task.object_id
    assert found["object"]["camera"]["fx"] > 0
    assert found["why"]["reason"] == "occlusion" and [each["version"] for each in found["versions"]] == [1]


def test_an_artist_sees_only_the_own_submissions(
    people: SimpleNamespace, api: Any, django_user_model: Any
) -> None:
    row = checked(sent(people.art, claimed(people.art).assignment))
    other = django_user_model.objects.create_user("eve", role="artist")
    assert api(other).get(f"{API}/submissions/{row.pk}/").status_code == 404
    assert api(people.art).get(f"{API}/submissions/{row.pk}/").json()["report"]["ok"] is True


@pytest.mark.parametrize(("route", "statements"), [("art/tasks", 9), ("submissions", 5)])
def test_lists_cost_the_same_however_long(
    people: SimpleNamespace, api: Any, route: str, statements: int
) -> None:
    case = claimed(people.art)
    client = api(people.art)
    for _ in range(2):
        checked(sent(people.art, case.assignment))
        with CaptureQueriesContext(connection) as queries:
            client.get(f"{API}/{route}/")
        assert len(queries) == statements


def test_the_starter_zip_is_a_download(people: SimpleNamespace, api: Any) -> None:
    target = World().target()
    answer = api(people.art).get(f"{API}/objects/{target.row.pk}/starter.zip")
    assert answer["Content-Type"] == "application/zip" and b"".join(answer.streaming_content)[:2] == b"PK"
    assert api(people.ada).get(f"{API}/objects/{target.row.pk}/starter.zip").status_code == 403


def test_a_case_says_why_it_failed_in_codes_and_numbers(people: SimpleNamespace, api: Any) -> None:
    world = World({"alpha": 0.7})
    target = world.target()
    first = world.bracket(target, [("left", 0, 1), ("neither", 0, 2)], winner=0, r=0.3)
    Rating.objects.update(reasons=["wrong shape"])
    world.bracket(target, [("left", 0, 1)], winner=0, r=0.5, by=people.rev)
    Task.objects.filter(pk=first.task_id).update(state="escalated", reason="occlusion", note="behind a vase")
    services.curate(world.batch, name="hard")
    client = api(people.art)
    row = client.get(f"{API}/art/tasks/").json()["results"][0]
    assert row["why"] == {
        "reason": "occlusion", "note": "behind a vase", "alpha": 0.7, "best_r": 0.5, "ratings": 2,
        "chips": {"wrong shape": 1}, "comparisons": 3, "neither": 1,
    }  # fmt: skip
    assert row["returned"] is None
    held = client.post(f"{API}/next/", {"stage": "art", "task": row["id"]}).json()
    case = client.get(f"{API}/assignments/{held['id']}/case/").json()
    assert (
        case["why"] == row["why"] and case["assignment"]["fence"] == held["fence"] and case["versions"] == []
    )


def test_the_artist_reads_what_was_said_of_each_version(people: SimpleNamespace, api: Any) -> None:
    assignment = claimed(people.art).assignment
    first = checked(sent(people.art, assignment))
    said = {"verdict": "return", "note": "thin", "pins": [{"text": "here", "point": [0.5, 0, -1]}]}
    assert api(people.rev).post(f"{API}/submissions/{first.pk}/verdict/", said).status_code == 200
    client = api(people.art)
    back = client.get(f"{API}/art/tasks/").json()["results"][0]["returned"]
    assert (back["note"], back["pins"][0]["text"], back["pins"][0]["point"]) == ("thin", "here", [0.5, 0, -1])
    second = checked(sent(people.art, assignment))
    seen = client.get(f"{API}/submissions/{second.pk}/").json()["versions"]
    assert [(each["version"], each["state"]) for each in seen] == [(1, "returned"), (2, "in_review")]
    assert seen[0]["note"] == "thin" and seen[0]["pins"][0]["by"] == "rev" and seen[1]["pins"] == []
    case = client.get(f"{API}/assignments/{assignment.pk}/case/").json()
    assert case["versions"] == seen and case["returned"] is None


def test_a_case_is_seen_by_its_artist_and_reviewers_only(
    people: SimpleNamespace, api: Any, django_user_model: Any
) -> None:
    url = f"{API}/assignments/{claimed(people.art).assignment.pk}/case/"
    other = django_user_model.objects.create_user("eve", role="artist")
    codes = [api(person).get(url).status_code for person in (people.art, people.rev, other, people.ada)]
    assert codes == [200, 200, 404, 403]


def test_another_artists_return_is_not_shown_on_a_free_case(
    people: SimpleNamespace, api: Any, django_user_model: Any
) -> None:
    case = claimed(people.art)
    services.judge(people.rev, checked(sent(people.art, case.assignment)).pk, verdict="return", note="thin")
    Assignment.objects.update(state="expired")
    Task.objects.update(n_leased=0)
    other = django_user_model.objects.create_user("eve", role="artist")
    assert api(other).get(f"{API}/art/tasks/").json()["results"][0]["returned"] is None


def test_pins_are_stored_once_per_key_and_answered_by_the_artist(people: SimpleNamespace, api: Any) -> None:
    row = checked(sent(people.art, claimed(people.art).assignment))
    url, key = f"{API}/submissions/{row.pk}/pins/", str(uuid.uuid4())
    form = {"key": key, "text": "too thin", "point": [0, 1.5, 0]}
    pinned = [api(people.rev).post(url, form) for _ in range(2)]
    assert [each.status_code for each in pinned] == [201, 201] and pinned[0].json() == pinned[1].json()
    assert api(people.art).post(url, form).json()["error"]["code"] == "key_used"
    assert api(people.art).post(url, {"key": str(uuid.uuid4()), "text": "as in the photo"}).status_code == 201
    listed = api(people.rev).get(f"{API}/submissions/{row.pk}/").json()["pins"]
    assert [(each["by"], each["point"]) for each in listed] == [("rev", [0, 1.5, 0]), ("art", None)]


@pytest.mark.parametrize(
    "wrong", [{"point": [1, 2]}, {"point": ["nan", 0, 0]}, {"point": "abc"}, {"text": ""}, {"key": "x"}]
)
def test_a_pin_without_a_place_or_words_is_refused(people: SimpleNamespace, api: Any, wrong: Any) -> None:
    row = checked(sent(people.art, claimed(people.art).assignment))
    form = {"key": str(uuid.uuid4()), "text": "thin", "point": [0, 0, 0], **wrong}
    assert api(people.rev).post(f"{API}/submissions/{row.pk}/pins/", form).status_code == 400


def test_an_approval_carries_no_pins(people: SimpleNamespace, api: Any) -> None:
    row = checked(sent(people.art, claimed(people.art).assignment))
    form = {"verdict": "approve", "pins": [{"text": "thin"}]}
    assert api(people.rev).post(f"{API}/submissions/{row.pk}/verdict/", form).status_code == 400


def test_nobody_pins_to_or_repairs_another_artists_version(
    people: SimpleNamespace, api: Any, django_user_model: Any
) -> None:
    row = checked(sent(people.art, claimed(people.art).assignment))
    other = api(django_user_model.objects.create_user("eve", role="artist"))
    key = str(uuid.uuid4())
    assert other.post(f"{API}/submissions/{row.pk}/pins/", {"key": key, "text": "x"}).status_code == 404
    form = {"key": key, "fixes": ["merge_vertices"]}
    assert other.post(f"{API}/submissions/{row.pk}/repair/", form).status_code == 404


def test_an_artist_asks_for_repairs(people: SimpleNamespace, api: Any) -> None:
    row = checked(sent(people.art, claimed(people.art).assignment))
    url, form = f"{API}/submissions/{row.pk}/repair/", {"key": str(uuid.uuid4()), "fixes": ["orient_normals"]}
    answers = [api(people.art).post(url, form) for _ in range(2)]
    assert [each.status_code for each in answers] == [202, 202]
    made = answers[1].json()
    assert made["job"]["kind"] == "repair_submission" and made["submission"]["repaired_from"] == row.pk
    assert made["submission"]["version"] == 2 and made["submission"]["fixes"] == ["orient_normals"]
    for wrong in ([], ["make_pretty"], "orient_normals"):
        assert api(people.art).post(url, {"key": str(uuid.uuid4()), "fixes": wrong}).status_code == 400


def test_a_findings_picture_is_served_to_its_artist_and_reviewers(
    people: SimpleNamespace, api: Any, django_user_model: Any
) -> None:
    row = sent(people.art, claimed(people.art).assignment)
    picture = storage.put(b"\x89PNG\r\n\x1a\n", "image/png").pk
    findings = [
        {"check": "flat", "level": "error", "message": "", "picture": 0},
        {"check": "scale", "level": "ok", "message": "", "picture": None},
    ]
    services.conclude(row, ok=False, findings=findings, figures={}, mesh=None, pictures=[picture])
    shown = api(people.art).get(f"{API}/submissions/{row.pk}/").json()["report"]["findings"]
    assert [each["picture_url"] for each in shown] == [f"{API}/submissions/{row.pk}/pictures/0.png", None]
    other = django_user_model.objects.create_user("eve", role="artist")
    for person, status in ((people.art, 200), (people.rev, 200), (other, 404), (people.ada, 403)):
        assert api(person).get(shown[0]["picture_url"]).status_code == status
    reply = api(people.rev).get(shown[0]["picture_url"])
    assert b"".join(reply.streaming_content).startswith(b"\x89PNG") and reply["Content-Type"] == "image/png"
    assert api(people.rev).get(f"{API}/submissions/{row.pk}/pictures/1.png").status_code == 404
