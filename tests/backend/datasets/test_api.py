"""Releases over HTTP: who may, what is refused, what is queued."""

from types import SimpleNamespace
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from backend import storage
from backend.datasets import removal, services
from backend.datasets.models import Release
from backend.models import Job
from tests.backend.datasets.rows import PLAIN, World

pytestmark = pytest.mark.django_db
URL = "/api/v1/releases/"


def frozen(world: World, kind: str = "dpo", **options: Any) -> Release:
    """A frozen release whose only file is its manifest."""
    services.collect([world.batch])
    made = services.begin(kind=kind, batches=[world.batch], **options)
    (made.pairs if kind == "dpo" else made.samples).set(
        (world.batch.pairs if kind == "dpo" else world.batch.samples).all()
    )
    manifest = storage.put(f"manifest of {made.pk}".encode(), "application/json")
    return services.freeze(made, manifest=manifest, rows=2, counts={}, files=[("manifest.json", manifest)])


def test_freezing_queues_one_job(people: SimpleNamespace, api: Any) -> None:
    batch = World().batch
    answer = api(people.res).post(URL, {"kind": "sft", "batches": [batch.pk]})
    assert answer.status_code == 202
    assert answer.json()["release"]["state"] == "building"
    assert Job.objects.get().args == {"release": answer.json()["release"]["id"]}


@pytest.mark.parametrize(
    "fields",
    [{"kind": "jpg"}, {"batches": []}, {"batches": [987654]}, {"min_rating": 2}, {"min_rating": "NaN"}],
)
def test_what_cannot_be_frozen_is_refused(people: SimpleNamespace, api: Any, fields: dict[str, Any]) -> None:
    answer = api(people.res).post(URL, {"kind": "sft", "batches": [World().batch.pk], **fields})
    assert answer.status_code == 400 and answer.json()["error"]["fields"]
    assert not Release.objects.exists()


@pytest.mark.parametrize(
    ("name", "status"), [("ada", 403), ("art", 403), ("rev", 403), ("sam", 401), ("leo", 200)]
)
def test_only_researchers_and_admins_see_releases(
    people: SimpleNamespace, api: Any, name: str, status: int
) -> None:
    assert api(getattr(people, name)).get(URL).status_code == status


def test_the_list_costs_the_same_however_long(people: SimpleNamespace, api: Any) -> None:
    world = World()
    client = api(people.res)
    counts = []
    for _ in range(2):
        frozen(world)
        with CaptureQueriesContext(connection) as queries:
            client.get(URL)
        counts.append(len(queries))
    assert counts == [5, 5]


def test_a_file_of_a_release_downloads_in_ranges(people: SimpleNamespace, api: Any) -> None:
    made = frozen(World())
    listed = api(people.res).get(f"{URL}{made.pk}/files/").json()["results"]
    answer = api(people.res).get(listed[0]["url"], headers={"Range": "bytes=0-7"})
    assert answer.status_code == 206 and b"".join(answer.streaming_content) == b"manifest"


@pytest.mark.parametrize("path", ["releases/1/files/%00", "releases/?kind=%00"])
def test_an_address_with_a_nul_is_nowhere(people: SimpleNamespace, api: Any, path: str) -> None:
    assert api(people.res).get(f"/api/v1/{path}").status_code == 404


def test_two_releases_compare_by_their_rows(people: SimpleNamespace, api: Any) -> None:
    world = World()
    world.bracket(world.target(), PLAIN, winner=0)
    first = frozen(world)
    world.bracket(world.target(), PLAIN, winner=0)
    second = frozen(world)
    answer = api(people.res).get(f"{URL}{second.pk}/compare/{first.pk}/")
    assert answer.json() == {"added": 2, "removed": 0, "common": 2}


def test_releases_of_two_kinds_do_not_compare(people: SimpleNamespace, api: Any) -> None:
    world = World()
    first, second = frozen(world), frozen(world, "sft")
    assert api(people.res).get(f"{URL}{second.pk}/compare/{first.pk}/").status_code == 400


def test_verifying_twice_at_once_is_one_job(people: SimpleNamespace, api: Any) -> None:
    made = frozen(World())
    answers = [api(people.res).post(f"{URL}{made.pk}/verify/") for _ in range(2)]
    assert [answer.status_code for answer in answers] == [202, 202]
    assert Job.objects.count() == 1


def test_a_release_says_what_it_builds_on_and_how_many_removed_photos_it_holds(
    people: SimpleNamespace, api: Any
) -> None:
    world = World()
    target = world.target()
    world.bracket(target, PLAIN, winner=0)
    first = frozen(world)
    second = services.begin(kind="dpo", base=first)
    manifest = storage.put(b"second", "application/json")
    services.freeze(second, manifest=manifest, rows=0, counts={})
    removal.remove(target.image, reason="asked")
    client = api(people.res)
    listed = {row["id"]: row for row in client.get(URL).json()["results"]}
    assert (listed[first.pk]["removed_images"], listed[second.pk]["removed_images"]) == (1, 0)
    assert (listed[second.pk]["base"], listed[second.pk]["collection"]) == (first.pk, "shape")
    lineage = client.get(f"{URL}{second.pk}/").json()["lineage"]
    assert [(row["id"], row["sha256"], row["distance"]) for row in lineage] == [(first.pk, first.sha256, 1)]
    assert [row["distance"] for row in client.get(f"{URL}{first.pk}/").json()["lineage"]] == [-1]


def test_a_release_over_http_takes_every_option(people: SimpleNamespace, api: Any) -> None:
    world = World({"judges": "texture"})
    world.bracket(world.target(), PLAIN, winner=0)
    base = frozen(world)
    options = {
        "own_negatives": False,
        "aesthetic": True,
        "collection": "texture",
        "base": base.pk,
        "min_rating": 0.5,
    }
    made = api(people.res).post(URL, {"kind": "dpo", **options}).json()["release"]
    assert {name: made[name] for name in options} == options
    assert [batch["id"] for batch in made["batches"]] == [world.batch.pk]


@pytest.mark.parametrize(
    ("fields", "at", "message"),
    [
        ({"base": 987654}, "base", "no release 987654"),
        ({"collection": "texture"}, "batches", "shape and texture are released apart"),
        ({"collection": "colour"}, "collection", "colour"),
    ],
)
def test_what_does_not_fit_together_is_refused_by_name(
    people: SimpleNamespace, api: Any, fields: dict[str, Any], at: str, message: str
) -> None:
    answer = api(people.res).post(URL, {"kind": "sft", "batches": [World().batch.pk], **fields})
    assert answer.status_code == 400 and at in answer.json()["error"]["fields"]
    assert message in answer.json()["error"]["message"]
