"""Own progress: today and streak in the person's own time zone, active time by stage, gold where it is shown."""

from collections.abc import Callable
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.utils import timezone

from backend.annotation.models import Assignment, Comparison, GoldPair, PracticeAnswer
from tests.backend import world

pytestmark = pytest.mark.django_db
Api = Callable[..., Any]
SEOUL = ZoneInfo("Asia/Seoul")


def noon(days_ago: int) -> datetime:
    """Noon in Seoul, or now where noon has not come yet."""
    now = timezone.now().astimezone(SEOUL)
    return min(now.replace(hour=12) - timedelta(days=days_ago), now)


def submitted(user: Any, into: Any, name: str, at: datetime, active_ms: int = 60_000) -> Assignment:
    return Assignment.objects.create(
        task=world.task(into, name), user=user, batch=into, stage="compare", state="submitted",
        lease_until=at, finished_at=at, active_ms=active_ms,
    )  # fmt: skip


def own(client: Any, tz: str = "Asia/Seoul") -> dict[str, Any]:
    return client.get("/api/v1/progress/", {"tz": tz}).json()["own"]


def test_days_streak_and_active_time(people: SimpleNamespace, api: Api) -> None:
    into = world.batch()
    for name, days_ago in (("a", 0), ("b", 0), ("c", 1), ("d", 2), ("e", 4)):
        submitted(people.ada, into, name, noon(days_ago))
    found = own(api(people.ada))
    assert (found["today"], found["total"], found["streak"], found["active_today_ms"]) == (2, 5, 3, 120_000)
    assert [day["n"] for day in found["days"][-5:]] == [1, 0, 1, 1, 2] and len(found["days"]) == 14
    [row] = found["by_stage"]
    assert (row["n_today"], row["active_today_ms"], row["seconds_each"]) == (2, 120_000, 60)


def test_a_streak_lives_until_the_day_is_over(people: SimpleNamespace, api: Api) -> None:
    into = world.batch()
    submitted(people.ada, into, "a", noon(1))
    assert own(api(people.ada))["streak"] == 1
    Assignment.objects.update(finished_at=noon(2))
    assert own(api(people.ada))["streak"] == 0


def test_the_days_are_those_of_the_persons_zone(people: SimpleNamespace, api: Api) -> None:
    midnight = timezone.now().astimezone(SEOUL).replace(hour=0, minute=0, second=0, microsecond=0)
    submitted(people.ada, world.batch(), "a", midnight - timedelta(minutes=1))
    found = own(api(people.ada))
    assert (found["today"], found["days"][-2]["n"]) == (0, 1)
    assert api(people.ada).get("/api/v1/progress/", {"tz": "Middle/Earth"}).status_code == 400
    assert api(people.ada).get("/api/v1/progress/", {"tz": "../../etc/passwd"}).status_code == 400


def test_gold_shows_where_the_batch_shows_it_and_practice_stands_apart(people: SimpleNamespace, api: Api) -> None:
    for shows in (True, False):
        into = world.batch(f"gold{shows}", shows_gold=shows)
        for number, kept in enumerate(("better", "worse")):
            work = submitted(people.ada, into, f"{shows}{number}", noon(0))
            better, worse, _ = work.task.object.candidates.order_by("id")
            GoldPair.objects.create(better=better, worse=worse, lesson="holes")
            Comparison.objects.create(
                assignment=work, seq=1, answer="left" if kept == "worse" else "right", left=worse, right=better,
                kept=better if kept == "better" else worse, key="00000000-0000-4000-8000-000000000000",
            )  # fmt: skip
    assert own(api(people.ada))["gold"] == {"n": 2, "right": 1}
    PracticeAnswer.objects.create(pair=GoldPair.objects.first(), user=people.ada, right=True)
    found = own(api(people.ada))
    assert (found["gold"], found["practice"]) == ({"n": 2, "right": 1}, {"n": 1, "right": 1})
    assert (own(api(people.rev))["gold"], own(api(people.rev))["practice"]) == (None, None)


def test_the_page_costs_a_fixed_number_of_queries(
    people: SimpleNamespace, api: Api, django_assert_max_num_queries: Any
) -> None:
    into = world.batch()
    for number in range(12):
        submitted(people.ada, into, f"m{number}", noon(number))
    client = api(people.ada)
    with django_assert_max_num_queries(7):
        assert own(client)["streak"] == 12
