"""The art cases over HTTP."""

import uuid
from types import SimpleNamespace
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test.utils import CaptureQueriesContext

from backend.art3do import services
from tests.backend.art3do.cases import checked, claimed, escalated, sent
from tests.backend.datasets.rows import World

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


def test_an_artist_sees_only_the_own_submissions(
    people: SimpleNamespace, api: Any, django_user_model: Any
) -> None:
    row = checked(sent(people.art, claimed(people.art).assignment))
    other = django_user_model.objects.create_user("eve", role="artist")
    assert api(other).get(f"{API}/submissions/{row.pk}/").status_code == 404
    assert api(people.art).get(f"{API}/submissions/{row.pk}/").json()["report"]["ok"] is True


@pytest.mark.parametrize(("route", "statements"), [("art/tasks", 5), ("submissions", 4)])
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
