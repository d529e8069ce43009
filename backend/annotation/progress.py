"""Figures for the progress page; each is one grouped query over indexed columns."""

from datetime import timedelta
from typing import Any

from django.db.models import Count, Q, Sum
from django.utils import timezone

from backend.accounts.models import User
from backend.annotation.models import Assignment, Task


def own(user: User) -> dict[str, Any]:
    """What one person has done: today, in all, by stage, and active seconds per answer."""
    done = Assignment.objects.filter(user=user, state=Assignment.State.SUBMITTED)
    today = timezone.now().replace(hour=0, minute=0, second=0, microsecond=0)
    stages = list(done.values("stage").annotate(n=Count("id"), active_ms=Sum("active_ms")).order_by("stage"))
    return {
        "today": done.filter(finished_at__gte=today).count(),
        "total": sum(row["n"] for row in stages),
        "by_stage": [
            {
                "stage": row["stage"],
                "n": row["n"],
                "seconds_each": round(row["active_ms"] / 1000 / row["n"], 1),
            }
            for row in stages
        ],
    }


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
