"""A drawn mask becomes the object's mask, or goes back with the reason."""

from typing import Any
from uuid import uuid4

import numpy as np
import pytest
from django.utils import timezone

from backend import jobs, storage
from backend.accounts.models import User
from backend.annotation.intake import enqueue
from backend.annotation.models import Assignment, Task
from backend.catalog.models import TargetObject
from backend.models import Job
from model_zoo.io.images import load_mask
from tests.backend import world
from workers import masking

pytestmark = pytest.mark.django_db
SQUARE = [[10, 10, 30, 10, 30, 30, 10, 30]]


def drawn(polygons: list[list[float]]) -> Job:
    """Ada has drawn these polygons; the job that stores them."""
    batch, target = world.batch(), TargetObject.objects.create(image=world.target("a").image)
    enqueue(batch, [target])
    ada = User.objects.create(username="ada")
    assignment = Assignment.objects.create(
        task=Task.objects.get(object=target),
        user=ada,
        batch=batch,
        stage="select",
        state="submitted",
        key=uuid4(),
        lease_until=timezone.now(),
        draft={"polygons": polygons, "category": "cup"},
    )
    return Job.objects.create(
        kind="store_mask", queue="interactive", key="k", args={"assignment": assignment.pk}
    )


def run(job: Job) -> Any:
    jobs.run(job.pk, masking.store_mask_job)
    job.refresh_from_db()
    return job


def test_a_drawing_becomes_the_mask_of_its_object() -> None:
    job = run(drawn(SQUARE))
    target = TargetObject.objects.get(pk=job.result["object"])
    mask = load_mask(storage.read(target.mask)).mask
    assert (mask.shape, target.area, target.box, target.category) == ((48, 64), 400, [10, 10, 30, 30], "cup")
    assert np.count_nonzero(mask) == 400 and target.drawn_by.username == "ada"


def test_the_object_then_waits_for_candidates() -> None:
    run(drawn(SQUARE))
    assert Task.objects.get(stage="compare").state == "waiting"


def test_storing_a_drawing_twice_changes_nothing() -> None:
    job = run(drawn(SQUARE))
    first = job.result
    Job.objects.filter(pk=job.pk).update(state="queued")
    assert run(job).result["object"] == first["object"] and Task.objects.filter(stage="compare").count() == 1


def test_a_drawing_without_area_goes_back_with_the_reason() -> None:
    job = run(drawn([[1, 1, 2, 2]]))
    again = Task.objects.get(stage="select", round=2)
    assert (job.state, again.state) == ("failed", "open")
    assert "polygon" in job.error and "polygon" in again.note
