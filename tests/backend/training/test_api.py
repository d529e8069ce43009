"""Checkpoints, runs and evaluations over HTTP."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from backend.models import Job
from backend.training import services
from backend.training.models import Checkpoint, Evaluation, TrainingRun
from tests.backend.datasets.rows import PLAIN, World
from tests.backend.datasets.test_api import frozen
from tests.backend.training.folders import checkpoint_folder

pytestmark = pytest.mark.django_db
API = "/api/v1"


@pytest.fixture
def tiny(tmp_path: Path) -> Checkpoint:
    return services.register_folder(checkpoint_folder(tmp_path / "tiny"), "tiny-0")


@pytest.fixture
def world() -> World:
    world = World()
    world.bracket(world.target(), PLAIN, winner=0)
    return world


def test_a_run_on_a_release_is_queued_once(
    people: SimpleNamespace, api: Any, tiny: Checkpoint, world: World
) -> None:
    release = frozen(world, "sft")
    fields = {"stage": "sft", "releases": [release.pk], "init": tiny.pk, "steps": 5}
    answer = api(people.res).post(f"{API}/runs/", fields)
    assert answer.status_code == 202
    run = TrainingRun.objects.get()
    assert run.options == {"steps": 5} and run.job == Job.objects.get(kind="train")


def test_a_release_of_the_other_kind_is_refused(
    people: SimpleNamespace, api: Any, tiny: Checkpoint, world: World
) -> None:
    fields = {"stage": "sft", "releases": [frozen(world, "dpo").pk], "init": tiny.pk}
    answer = api(people.res).post(f"{API}/runs/", fields)
    assert answer.status_code == 409 and "kind sft" in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    "fields", [{"stage": "cook"}, {"releases": [987654]}, {"steps": 0}, {"init": 987654}]
)
def test_what_cannot_be_trained_is_refused(
    people: SimpleNamespace, api: Any, world: World, fields: dict[str, Any]
) -> None:
    good = {"stage": "sft", "releases": [frozen(world, "sft").pk]}
    assert api(people.res).post(f"{API}/runs/", {**good, **fields}).status_code == 400
    assert not TrainingRun.objects.exists()


def test_promote_and_demote_by_http(
    people: SimpleNamespace, api: Any, tiny: Checkpoint, tmp_path: Path
) -> None:
    other = services.register_folder(checkpoint_folder(tmp_path / "b", b"b"), "sft-1")
    client = api(people.res)
    for pk in (tiny.pk, other.pk):
        assert client.post(f"{API}/checkpoints/{pk}/promote/").json()["promoted"]
    assert client.post(f"{API}/checkpoints/demote/").json()["name"] == "tiny-0"
    assert client.post(f"{API}/checkpoints/demote/").status_code == 409


def test_a_checkpoint_shows_where_it_came_from(
    people: SimpleNamespace, api: Any, tiny: Checkpoint, world: World, tmp_path: Path
) -> None:
    run = services.start_run(stage="sft", releases=[frozen(world, "sft")], init=tiny)
    made = services.finish_run(run, checkpoint_folder(tmp_path / "out", b"new"))
    seen = api(people.res).get(f"{API}/checkpoints/{made.pk}/").json()
    assert seen["parent"]["name"] == "tiny-0" and seen["run"]["id"] == run.pk
    assert seen["card"]["releases"][0]["sha256"] and seen["simulated_data"] is False


def test_an_evaluation_is_queued(people: SimpleNamespace, api: Any, tiny: Checkpoint, world: World) -> None:
    fields = {"checkpoint": tiny.pk, "against": tiny.pk, "release": frozen(world, "sft").pk}
    assert api(people.res).post(f"{API}/evaluations/", fields).status_code == 202
    assert Evaluation.objects.get().job.kind == "evaluate"


@pytest.mark.parametrize(("route", "statements"), [("checkpoints", 4), ("runs", 5), ("evaluations", 3)])
def test_lists_cost_the_same_however_long(
    people: SimpleNamespace,
    api: Any,
    tiny: Checkpoint,
    world: World,
    tmp_path: Path,
    route: str,
    statements: int,
) -> None:
    client = api(people.res)
    for number in range(2):
        run = services.start_run(stage="sft", releases=[frozen(world, "sft")], init=tiny)
        services.finish_run(run, checkpoint_folder(tmp_path / f"out{number}", str(number).encode()))
        services.start_evaluation(checkpoint=tiny)
        with CaptureQueriesContext(connection) as queries:
            assert len(client.get(f"{API}/{route}/").json()["results"]) >= number + 1
        assert len(queries) == statements


@pytest.mark.parametrize("route", ["checkpoints", "runs", "evaluations"])
def test_annotators_see_none_of_it(people: SimpleNamespace, api: Any, route: str) -> None:
    assert api(people.ada).get(f"{API}/{route}/").status_code == 403
