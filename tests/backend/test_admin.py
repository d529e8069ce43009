"""Django's admin opens for the administrator, on every kind of row, and for nobody else."""

from types import SimpleNamespace
from typing import Any

import pytest
from django.contrib import admin
from django.urls import reverse

from backend import jobs
from backend.models import Job
from backend.proposals.models import Candidate
from tests.backend import world

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def plain_static_files(settings: Any) -> None:
    """Pages of the admin name static files, which these tests do not collect."""
    settings.STORAGES = {
        **settings.STORAGES,
        "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
    }


MODELS = sorted(admin.site._registry, key=lambda model: model._meta.label)


def page(model: Any) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model._meta.label)
def test_every_list_opens(client: Any, people: SimpleNamespace, model: Any) -> None:
    client.force_login(people.leo)
    assert client.get(page(model)).status_code == 200


def test_a_researcher_stays_outside(client: Any, people: SimpleNamespace) -> None:
    client.force_login(people.res)
    assert client.get(page(Job)).status_code == 302


def test_a_failed_job_is_retried_from_the_list(client: Any, people: SimpleNamespace) -> None:
    job = Job.objects.create(kind="propose", queue="gpu", key="k", state="failed")
    client.force_login(people.leo)
    client.post(page(Job), {"action": "retry", "_selected_action": [job.pk]})
    job.refresh_from_db()
    assert job.state == jobs.Job.State.QUEUED


def test_candidates_are_withdrawn_by_an_action(client: Any, people: SimpleNamespace) -> None:
    task = world.task(world.batch(), "mug", n=2)
    client.force_login(people.leo)
    chosen = list(task.object.candidates.values_list("pk", flat=True)[:1])
    client.post(page(Candidate), {"action": "withdraw", "_selected_action": chosen})
    assert Candidate.objects.get(state="withdrawn").pk == chosen[0]
