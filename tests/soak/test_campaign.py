"""The queue campaign at length: five minutes, 3,000 objects, three people each."""

from pathlib import Path

import pytest

from backend.accounts.models import User
from tests import campaign, processes
from tests.backend import world


@pytest.mark.django_db(transaction=True)
def test_the_books_are_right_after_five_minutes_of_killing(tmp_path: Path) -> None:
    users = [User.objects.create(username=f"c{n}").pk for n in range(campaign.PROCESSES * campaign.CLIENTS)]
    into = world.batch(overlap=3, asks_alignment=False)
    for number in range(3000):
        world.task(into, f"object {number}", n=4)
    figures = campaign.check(campaign.run(tmp_path, processes.environment(), users, seconds=300))
    print(figures)
    assert figures["acknowledged"] > 3000
