"""Commands that wait: what was lost on the way is found by the command itself where no beat runs."""

from datetime import timedelta

import pytest
from django.core.management import CommandError
from django.utils import timezone

from backend.models import Job
from workers import waiting

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize(
    "lost",
    [
        {"state": "queued", "sent_at": timezone.now() - timedelta(hours=1)},
        {"state": "running", "attempts": 1, "lease_until": timezone.now() - timedelta(hours=1)},
    ],
    ids=["its message was lost", "its worker died"],
)
def test_a_lost_job_is_queued_again(worker: None, monkeypatch: pytest.MonkeyPatch, lost: dict) -> None:
    monkeypatch.setattr(waiting, "REAP_SECONDS", 0)
    job = Job.objects.create(kind="verify_release", key="lost", queue="export", args={"release": 0}, **lost)
    seen = []
    ended = waiting.wait(job.pk, show=lambda row: seen.append(row.state))
    assert seen[0] == lost["state"]
    assert ended.state == "failed" and ended.attempts > lost.get("attempts", 0)


def test_nobody_waits_for_ever_where_no_worker_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting.app.control, "ping", lambda **_: [])
    monkeypatch.setattr(waiting, "PATIENCE_SECONDS", 0)
    with pytest.raises(CommandError, match="no worker answers"):
        waiting.look_for_workers()
