"""A frozen release cannot change, whoever tries and however."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import IntegrityError, transaction

from backend.datasets.models import PreferencePair, Release, Sample
from tests.backend.datasets.rows import PLAIN, World
from tests.backend.datasets.test_api import frozen

pytestmark = pytest.mark.django_db

ATTEMPTS: dict[str, Callable[[Release], Any]] = {
    "its flags": lambda made: Release.objects.filter(pk=made.pk).update(min_rating=0.1),
    "its hash": lambda made: Release.objects.filter(pk=made.pk).update(sha256="0" * 64),
    "its state": lambda made: Release.objects.filter(pk=made.pk).update(state="building"),
    "itself": lambda made: made.delete(),
    "a row of it": lambda made: PreferencePair.objects.update(weight=2),
    "which rows": lambda made: made.pairs.clear(),
    "more rows": lambda made: made.samples.add(Sample.objects.get()),
    "its batches": lambda made: made.batches.clear(),
}


@pytest.mark.parametrize("what", ATTEMPTS)
def test_the_database_refuses_to_change(what: str) -> None:
    world = World()
    world.bracket(world.target(), PLAIN, winner=0)
    made = frozen(world)
    with pytest.raises(IntegrityError), transaction.atomic():
        ATTEMPTS[what](made)


def test_a_job_that_is_deleted_leaves_its_release() -> None:
    made = frozen(World())
    Release.objects.filter(pk=made.pk).update(job=None, created_by=None)
