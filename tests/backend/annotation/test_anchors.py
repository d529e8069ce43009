"""Anchors: admins choose rated candidates as examples; annotators get them with the object, never of the object itself."""

import uuid
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from backend.annotation.models import Anchor, Assignment, Rating, Task
from backend.catalog.models import Batch
from tests.backend import world

pytestmark = pytest.mark.django_db
Api = Callable[..., Any]


@pytest.fixture
def batch() -> Batch:
    """Two objects to compare."""
    into = world.batch()
    for name in ("mug", "cup"):
        world.task(into, name, n=3)
    return into


def rate(batch: Batch, person: Any, r: float) -> str:
    """Somebody's rating of the first object's first candidate; its opaque key."""
    task = Task.objects.filter(batch=batch).earliest("id")
    candidate = task.object.candidates.earliest("id")
    work = Assignment.objects.create(
        task=task, user=person, batch=batch, stage="compare", state="submitted", lease_until="2026-01-01T00:00Z"
    )
    Rating.objects.create(assignment=work, candidate=candidate, r=r)
    return str(candidate.key)


def test_a_rated_candidate_is_offered_chosen_and_taken_away(batch: Batch, people: SimpleNamespace, api: Api) -> None:
    key, leo = rate(batch, people.rev, 0.7), api(people.leo)
    path = f"/api/v1/batches/{batch.pk}/anchors/"
    assert [(row["candidate"], row["r"]) for row in leo.get(path).json()["rated"]] == [(key, 0.7)]
    made = leo.post(path, {"candidate": key, "r": 0.75, "note": "the handle is too thick"})
    assert made.status_code == 201
    (row,) = leo.get(path).json()["anchors"]
    assert (row["r"], row["note"], row["id"]) == (0.75, "the handle is too thick", made.json()["id"])
    assert leo.post(path, {"candidate": key, "r": 0.2}).json()["error"]["code"] == "conflict"
    for _ in range(2):
        assert leo.delete(f"/api/v1/anchors/{row['id']}/").status_code == 204
    assert not Anchor.objects.exists()


def test_a_candidate_of_another_batch_is_refused(batch: Batch, people: SimpleNamespace, api: Api) -> None:
    refused = api(people.leo).post(f"/api/v1/batches/{batch.pk}/anchors/", {"candidate": str(uuid.uuid4()), "r": 0.5})
    assert (refused.status_code, list(refused.json()["error"]["fields"])) == (400, ["candidate"])


def test_annotators_get_the_anchors_of_other_objects_without_a_further_statement(
    batch: Batch, people: SimpleNamespace, api: Api, django_assert_max_num_queries: Any
) -> None:
    for task in Task.objects.order_by("id"):
        for r, candidate in zip((0.9, 0.2), task.object.candidates.order_by("id")[:2]):
            Anchor.objects.create(batch=batch, candidate=candidate, r=r, note=task.object.name)
    ada = api(people.ada)
    with django_assert_max_num_queries(9):  # two of them log the session in
        work = ada.post("/api/v1/next/", {}).json()
    anchors = work["batch"]["anchors"]
    assert [(row["r"], row["note"]) for row in anchors] == [(0.2, "cup"), (0.9, "cup")]
    assert anchors[0]["thumbnail_url"].startswith("/api/v1/candidates/") and anchors[0]["photo_url"]


def test_a_rating_off_the_scale_is_refused(people: SimpleNamespace, api: Api) -> None:
    scale = [{"r": 0.0, "label": "no"}, {"r": 0.5, "label": "so so"}, {"r": 1.0, "label": "yes"}]
    world.task(world.batch(scale=scale), "mug", n=2)
    ada = api(people.ada)
    work = ada.post("/api/v1/next/", {}).json()

    def send(verb: str, **body: Any) -> Any:
        body |= {"fence": work["fence"], "key": str(uuid.uuid4())}
        return ada.post(f"/api/v1/assignments/{work['id']}/{verb}/", body)

    send("comparisons", seq=1, answer="left", coverage=[0.5, 0.25], active_ms=900)
    refused = send("rating", r=0.7)
    assert (refused.status_code, list(refused.json()["error"]["fields"])) == (400, ["r"])
    assert send("rating", r=0.5, coverage=0.75, active_ms=1200).status_code == 200
    rating = Rating.objects.get()
    assert (rating.r, rating.coverage, rating.active_ms) == (0.5, 0.75, 1200)
    assert rating.assignment.comparisons.get().coverage == [0.5, 0.25]


@pytest.mark.parametrize("coverage", [[0.5], [0.5, 1.5], [0.1, 0.2, 0.3]])
def test_coverage_is_two_shares(people: SimpleNamespace, api: Api, coverage: list[float]) -> None:
    world.task(world.batch(), "mug", n=2)
    ada = api(people.ada)
    work = ada.post("/api/v1/next/", {}).json()
    body = {"fence": work["fence"], "key": str(uuid.uuid4()), "seq": 1, "answer": "left", "coverage": coverage}
    assert ada.post(f"/api/v1/assignments/{work['id']}/comparisons/", body).status_code == 400
