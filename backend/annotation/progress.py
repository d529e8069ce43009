"""Figures for the progress page; each is one grouped query over indexed columns."""

from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.db import connection
from django.db.models import Count, Q, QuerySet, Sum
from django.db.models.functions import Coalesce, TruncDate
from django.utils import timezone
from django.utils.translation import gettext as _

from backend.accounts.access import ApiError
from backend.accounts.models import User
from backend.annotation.models import Assignment, PracticeAnswer, Task

DAYS = 14


# Days in a row with a submitted answer, walking back from the day before `start`; one index look-up a day.
STREAK = """
WITH RECURSIVE streak AS (
  SELECT %(start)s::date AS day
  UNION ALL
  SELECT day - 1 FROM streak WHERE EXISTS (
    SELECT 1 FROM annotation_assignment
    WHERE user_id = %(user)s AND state = 'submitted'
      AND finished_at >= (day - 1)::timestamp AT TIME ZONE %(tz)s AND finished_at < day::timestamp AT TIME ZONE %(tz)s)
)
SELECT count(*) - 1 FROM streak
"""
# Comparisons of both candidates of a gold pair, in batches that show it; «equal» is not right.
GOLD = """
SELECT count(*), count(*) FILTER (WHERE c.answer IN ('left', 'right') AND c.kept_id = g.better_id)
FROM annotation_assignment a
JOIN catalog_batch b ON b.id = a.batch_id AND b.shows_gold
JOIN annotation_comparison c ON c.assignment_id = a.id
JOIN annotation_goldpair g ON (g.better_id = c.left_id AND g.worse_id = c.right_id)
  OR (g.better_id = c.right_id AND g.worse_id = c.left_id)
WHERE a.user_id = %s
"""


def own(user: User, tz: str = "UTC") -> dict[str, Any]:
    """What one person has done: today, streak, active time, the last 14 days, and gold where it is shown.

    Days are those of `tz`, an IANA name. ApiError 400 when there is no such zone.
    """
    zone = _zone(tz)
    now = timezone.now().astimezone(zone)
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    done = Assignment.objects.filter(user=user, state=Assignment.State.SUBMITTED)
    today = Q(finished_at__gte=midnight)
    stages = list(
        done.values("stage")
        .annotate(
            n=Count("id"),
            n_today=Count("id", filter=today),
            active_today_ms=Coalesce(Sum("active_ms", filter=today), 0),
            active_ms=Sum("active_ms"),
        )
        .order_by("stage")
    )
    n_today = sum(row["n_today"] for row in stages)
    return {
        "today": n_today,
        "total": sum(row["n"] for row in stages),
        "streak": _streak(user, now.date() + timedelta(days=1 if n_today else 0), tz),
        "active_today_ms": sum(row["active_today_ms"] for row in stages),
        "by_stage": [
            {
                "stage": row["stage"],
                "n": row["n"],
                "n_today": row["n_today"],
                "active_today_ms": row["active_today_ms"],
                "seconds_each": round(row["active_ms"] / 1000 / row["n"], 1),
            }
            for row in stages
        ],
        "days": _days(done, midnight, zone),
        "gold": _gold(user),
        "practice": _share(*PracticeAnswer.objects.filter(user=user).aggregate(
            n=Count("id"), right=Count("id", filter=Q(right=True))
        ).values()),
    }  # fmt: skip


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ApiError(400, "invalid", _("tz is a time zone such as Asia/Seoul."), {"tz": [_("unknown")]}) from None


def _streak(user: User, start: date, tz: str) -> int:
    with connection.cursor() as cursor:
        cursor.execute(STREAK, {"start": start, "user": user.pk, "tz": tz})
        return int(cursor.fetchone()[0])


def _days(done: QuerySet[Assignment], midnight: datetime, zone: ZoneInfo) -> list[dict[str, Any]]:
    """The last DAYS days, oldest first, those without work too."""
    days = [midnight.date() - timedelta(days=back) for back in range(DAYS - 1, -1, -1)]
    first = datetime.combine(days[0], time(), tzinfo=zone)
    rows = (
        done.filter(finished_at__gte=first)
        .values(day=TruncDate("finished_at", tzinfo=zone))
        .annotate(n=Count("id"), active_ms=Sum("active_ms"))
    )
    found = {row["day"]: row for row in rows}
    return [
        {"day": day, "n": found[day]["n"] if day in found else 0, "active_ms": found[day]["active_ms"] if day in found else 0}
        for day in days
    ]


def _gold(user: User) -> dict[str, int] | None:
    with connection.cursor() as cursor:
        cursor.execute(GOLD, [user.pk])
        return _share(*cursor.fetchone())


def _share(n: int, right: int) -> dict[str, int] | None:
    return {"n": n, "right": right} if n else None


def batches() -> list[dict[str, Any]]:
    """Tasks of every batch by stage and state."""
    rows = (
        Task.objects.values("batch_id", "batch__name", "stage")
        .annotate(
            waiting=Count("id", filter=Q(state="waiting")),
            open=Count("id", filter=Q(state="open")),
            done=Count("id", filter=Q(state="done")),
            escalated=Count("id", filter=Q(state="escalated")),
            leased=Sum("n_leased"),
        )
        .order_by("-batch_id", "stage")[:400]
    )
    return [{"batch": row.pop("batch__name"), **row} for row in rows]


def people() -> list[dict[str, Any]]:
    """Answers of the last seven days, by person."""
    since = timezone.now() - timedelta(days=7)
    rows = (
        Assignment.objects.filter(finished_at__gte=since)
        .values("user__username", "origin")
        .annotate(
            submitted=Count("id", filter=Q(state="submitted")),
            skipped=Count("id", filter=Q(state="skipped")),
            escalated=Count("id", filter=Q(state="escalated")),
            active_ms=Sum("active_ms"),
        )
        .order_by("-submitted")[:200]
    )
    return [{"user": row.pop("user__username"), **row} for row in rows]
