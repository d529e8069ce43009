"""Asking for candidates and fetching their copies over HTTP."""

import urllib.request
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest

from backend.models import Job
from backend.proposals import services
from backend.proposals.models import Proposer
from tests.backend.proposals.test_services import store

pytestmark = pytest.mark.django_db


def test_a_researcher_asks_for_candidates(stage: SimpleNamespace, people: SimpleNamespace, api: Any) -> None:
    reply = api(people.leo).post(f"/api/v1/batches/{stage.batch.pk}/propose/")
    assert (reply.status_code, reply.json()) == (202, {"jobs": 3})


def test_without_proposers_the_answer_says_so(
    stage: SimpleNamespace, people: SimpleNamespace, api: Any
) -> None:
    Proposer.objects.update(active=False)
    reply = api(people.leo).post(f"/api/v1/batches/{stage.batch.pk}/propose/")
    assert (reply.status_code, reply.json()["error"]["code"]) == (409, "no_proposers")


def test_an_annotator_fetches_a_mesh_by_its_key(
    stage: SimpleNamespace, people: SimpleNamespace, api: Any
) -> None:
    services.propose(stage.batch)
    row = store(Job.objects.first(), 0)
    reply = api(people.ada).get(f"/api/v1/candidates/{row.key}/model.glb")
    assert (reply["Content-Type"], b"".join(reply.streaming_content)) == ("model/gltf-binary", b"viewer")
    picture = api(people.ada).get(f"/api/v1/candidates/{row.key}/thumbnail.png")
    assert b"".join(picture.streaming_content) == b"png"


def test_nothing_in_the_answer_tells_who_made_the_mesh(
    stage: SimpleNamespace, people: SimpleNamespace, api: Any
) -> None:
    services.propose(stage.batch)
    row = store(Job.objects.first(), 0)
    reply = api(people.ada).get(f"/api/v1/candidates/{row.key}/model.glb")
    shown = " ".join(f"{name}: {value}" for name, value in reply.items())
    assert row.viewer.sha256[:16] not in shown and row.proposer.name not in shown


def test_an_unknown_key_is_404(people: SimpleNamespace, api: Any) -> None:
    assert api(people.ada).get(f"/api/v1/candidates/{uuid4()}/model.glb").status_code == 404


def test_from_a_bucket_the_link_holds_the_opaque_key_alone(
    stage: SimpleNamespace, people: SimpleNamespace, api: Any, bucket: Any
) -> None:
    services.propose(stage.batch)
    row = store(Job.objects.first(), 0)
    link = api(people.ada).get(f"/api/v1/candidates/{row.key}/model.glb")["Location"]
    assert f"/view/{row.key}.glb?" in link and row.viewer.sha256[:16] not in link
    assert urllib.request.urlopen(link).read() == b"viewer"
