"""Stage 1: clicks become jobs, imported masks are confirmed, redrawn or rejected, categories come from the taxonomy."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest

from backend.accounts.models import AuditEvent
from backend.annotation.intake import enqueue
from backend.annotation.models import Assignment, Task
from backend.catalog.models import Batch, TargetObject
from backend.models import Job
from tests.backend import world
from workers import masking

pytestmark = pytest.mark.django_db
SQUARE = [[10, 10, 30, 10, 30, 30, 10, 30]]
Api = Callable[..., Any]


@pytest.fixture
def batch() -> Batch:
    """A batch that checks the mask of its one imported object."""
    made = world.batch(checks_masks=True, taxonomy=["cup", "bowl"])
    enqueue(made, [world.target("a")])
    return made


@pytest.fixture
def call(batch: Batch, people: SimpleNamespace, api: Api) -> Any:
    """call(verb, **body) as ada on the select assignment that she holds."""
    client = api(people.ada)
    held = client.post("/api/v1/next/", {"stage": "select"}).json()

    def post(verb: str, **body: Any) -> Any:
        body = {"fence": held["fence"], "key": str(uuid4()), "active_ms": 900, **body}
        return client.post(f"/api/v1/assignments/{held['id']}/{verb}/", body)

    post.held = held  # type: ignore[attr-defined]
    return post


def stored() -> Any:
    """Run the job that an answer has sent, as a worker does."""
    return masking.store_mask_job(Job.objects.get(kind="store_mask"))


def test_an_imported_mask_is_asked_about_first(batch: Batch, call: Any) -> None:
    assert call.held["stage"] == "select" and call.held["object"]["mask_url"]
    assert not Task.objects.filter(stage="compare").exists()


def test_clicks_become_one_job_a_key(call: Any) -> None:
    key = str(uuid4())
    for _ in range(2):
        reply = call("segment", key=key, positive=[[5, 6]])
        assert reply.status_code == 202
    job = Job.objects.get(kind="segment")
    assert reply.json()["job"]["id"] == job.pk
    assert (job.args["positive"], job.args["negative"], job.args["box"]) == ([[5, 6]], [], None)


@pytest.mark.parametrize("prompt", [{"positive": [[1]]}, {"box": [1, 2, 3]}, {"negative": "x"}, {"positive": [[1, 2]] * 101}])
def test_an_unfit_prompt_is_refused(call: Any, prompt: dict[str, Any]) -> None:
    assert call("segment", **prompt).status_code == 400


def test_only_the_holder_of_the_lease_segments(call: Any) -> None:
    assert call("segment", fence=9, positive=[[5, 6]]).json()["error"]["code"] == "lease_lost"


def test_a_confirmed_mask_goes_on_to_its_candidates(batch: Batch, call: Any) -> None:
    key = str(uuid4())
    assert call("confirm", category="cup", key=key).json()["state"] == "submitted"
    assert call("confirm", category="cup", key=key).json()["replayed"]
    target = batch.tasks.get().object
    stored()
    target.refresh_from_db()
    assert (target.category, Task.objects.get(stage="compare").object_id) == ("cup", target.pk)


def test_a_redrawn_mask_is_a_new_object_beside_the_old_one(batch: Batch, call: Any) -> None:
    old = batch.tasks.get().object
    assert call("mask", polygons=SQUARE, category="bowl").status_code == 200
    stored()
    again = stored()
    new = TargetObject.objects.get(pk=again["object"])
    assert new.pk != old.pk and (new.area, new.category, new.drawn_by.username) == (400, "bowl", "ada")
    assert TargetObject.objects.get(pk=old.pk).mask_id == old.mask_id
    assert Task.objects.get(stage="compare").object_id == new.pk
    assert AuditEvent.objects.filter(verb="redraw_mask").first().detail == {"instead_of": old.pk}


def test_a_rejected_mask_ends_the_work_on_its_object(batch: Batch, call: Any) -> None:
    key = str(uuid4())
    assert call("reject", reason="several objects", key=key).json()["state"] == "submitted"
    assert call("reject", reason="several objects", key=key).json()["replayed"]
    task = batch.tasks.get()
    assert (task.stage, task.state, task.reason, task.n_done) == ("select", "cancelled", "several objects", 1)
    assert Assignment.objects.get().reason == "several objects" and not Job.objects.exists()


def test_the_batch_page_reads_why_a_mask_was_rejected(
    batch: Batch, call: Any, people: SimpleNamespace, api: Api
) -> None:
    call("reject", reason="unclear part")
    rows = api(people.res).get(f"/api/v1/batches/{batch.pk}/objects/").json()["results"]
    assert [row["rejected"] for row in rows] == ["unclear part"]


def test_a_category_outside_the_taxonomy_must_be_flagged(call: Any) -> None:
    refused = call("confirm", category="teapot")
    assert (refused.status_code, list(refused.json()["error"]["fields"])) == (400, ["category"])
    assert call("confirm", category="teapot", outside=True).status_code == 200


def test_a_mask_that_is_not_there_cannot_be_confirmed_or_rejected(people: SimpleNamespace, api: Api) -> None:
    batch = world.batch()
    enqueue(batch, [TargetObject.objects.create(image=world.target("a").image)])
    client = api(people.ada)
    held = client.post("/api/v1/next/", {"stage": "select"}).json()
    for verb, more in (("confirm", {}), ("reject", {"reason": "bad mask"})):
        body = {"fence": held["fence"], "key": str(uuid4()), **more}
        reply = client.post(f"/api/v1/assignments/{held['id']}/{verb}/", body)
        assert reply.json()["error"]["code"] == "no_mask"


def test_the_taxonomy_is_there_for_the_type_ahead(batch: Batch, people: SimpleNamespace, api: Api) -> None:
    reply = api(people.ada).get(f"/api/v1/batches/{batch.pk}/taxonomy/")
    assert reply.json() == {"categories": ["cup", "bowl"]}
