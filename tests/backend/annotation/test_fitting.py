"""Fit over HTTP: who may ask, and that one press is one job."""

import uuid
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from backend.annotation.models import Assignment
from backend.models import Job
from tests.backend import world
from tests.backend.annotation.test_answers import Desk, align

pytestmark = pytest.mark.django_db
POSE = {"R": world.IDENTITY, "t": [0, 0, 2], "s": [1, 1, 1]}


@pytest.fixture
def desk(people: SimpleNamespace, api: Callable[..., Any]) -> Desk:
    return align(api, people.ada)


def test_a_press_sends_one_job_with_the_pose_and_the_candidates_own(desk: Desk, people: SimpleNamespace) -> None:
    key = str(uuid.uuid4())
    replies = [desk.send("fit", pose=POSE, key=key) for _ in range(2)]
    assert [reply.status_code for reply in replies] == [202, 202]
    job = Job.objects.get()
    assert (job.kind, job.queue, job.created_by) == ("fit", "interactive", people.ada)
    assert (job.args["assignment"], job.args["pose"], job.args["start"]["t"]) == (desk.work["id"], POSE, [0, 0, 1])
    assert desk.client.get(f"/api/v1/jobs/{replies[0].json()['job']['id']}/").status_code == 200


def test_a_lost_lease_fits_nothing(desk: Desk) -> None:
    Assignment.objects.update(fence=7)
    refused = desk.send("fit", pose=POSE)
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "lease_lost")
    assert not Job.objects.exists()


def test_a_reviewer_fits_what_was_submitted_and_another_annotator_does_not(
    desk: Desk, people: SimpleNamespace, api: Callable[..., Any]
) -> None:
    path, body = f"/api/v1/assignments/{desk.work['id']}/fit/", {"pose": POSE, "key": str(uuid.uuid4())}
    assert api(people.rev).post(path, body).status_code == 404
    desk.send("alignment", **POSE)
    assert api(people.rev).post(path, body).status_code == 202
    people.sam = people.ada.__class__.objects.create(username="sam", role="annotator")
    assert api(people.sam).post(path, body).status_code == 404


def test_a_pose_that_mirrors_is_refused(desk: Desk) -> None:
    assert desk.send("fit", pose={**POSE, "R": [1, 0, 0, 0, 1, 0, 0, 0, -1]}).status_code == 400
