"""Many clients at once, killed at random: nothing is lost, doubled or over-assigned."""

from pathlib import Path

import pytest

from backend.accounts.models import User
from tests import campaign, processes
from tests.backend import world


@pytest.mark.django_db(transaction=True)
def test_thirty_two_clients_in_dying_processes_keep_the_books_right(tmp_path: Path) -> None:
    users = [User.objects.create(username=f"c{n}").pk for n in range(campaign.PROCESSES * campaign.CLIENTS)]
    into = world.batch(overlap=3, asks_alignment=False)
    for number in range(60):
        world.task(into, f"object {number}", n=4)
    acknowledged = campaign.run(tmp_path, processes.environment(), users, seconds=10)
    figures = campaign.check(acknowledged)
    assert figures["acknowledged"] > 100
    assert figures["submitted"] > 20
