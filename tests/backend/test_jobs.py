"""Job rows are the truth: claimed once, retried while there are attempts, and never lost."""

from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from django.utils import timezone, translation

from backend import jobs
from backend.models import Job

pytestmark = pytest.mark.django_db


def queue(key: str = "k", **fields: Any) -> Job:
    return Job.objects.create(kind="propose", queue="gpu", key=key, sent_at=timezone.now(), **fields)


def run(job: Job, work: Any = lambda job: {"made": 1}) -> Job:
    jobs.run(job.pk, work)
    job.refresh_from_db()
    return job


def refuse(job: Job) -> None:
    raise jobs.UserError("this is no photo")


def crash(job: Job) -> None:
    raise RuntimeError("no memory")


def test_sending_a_key_twice_makes_one_row() -> None:
    sent = [jobs.send("propose", key="k", args={}) for _ in range(2)]
    assert sent[0].pk == sent[1].pk


def test_sending_many_makes_only_the_new_ones() -> None:
    queue("a")
    assert jobs.send_many("propose", [{"key": key, "args": {}} for key in "abc"]) == 2


def test_a_job_ends_with_its_result() -> None:
    job = run(queue())
    assert (job.state, job.result, job.progress, job.attempts) == ("done", {"made": 1}, 1, 1)


def test_a_job_that_ended_is_not_run_again() -> None:
    job = run(queue())
    assert run(job, crash).state == "done"


def test_a_persons_mistake_fails_at_once_in_their_words() -> None:
    job = run(queue(), refuse)
    assert (job.state, job.error, job.attempts) == ("failed", "this is no photo", 1)


def test_a_crash_is_tried_again_until_attempts_are_used_up() -> None:
    job = queue(max_attempts=2)
    assert [run(job, crash).state for _ in range(2)] == ["queued", "failed"]
    assert job.error.startswith("RuntimeError: no memory")


def test_a_failed_job_can_be_tried_again_by_hand() -> None:
    job = run(queue(), refuse)
    assert jobs.retry(job)
    assert run(job).state == "done"


def test_only_an_ended_job_can_be_retried() -> None:
    assert not jobs.retry(queue())


def test_a_dead_workers_job_is_queued_again() -> None:
    job = queue(state="running", attempts=1, lease_until=timezone.now() - timedelta(seconds=1))
    assert jobs.reap() == 1
    job.refresh_from_db()
    assert job.state == "queued"


def test_a_job_whose_workers_keep_dying_fails() -> None:
    job = queue(state="running", attempts=3, lease_until=timezone.now() - timedelta(seconds=1))
    jobs.reap()
    job.refresh_from_db()
    assert (job.state, job.error) == ("failed", "the worker died and no attempts are left")


def test_a_live_workers_job_is_left_alone() -> None:
    queue(state="running", attempts=1, lease_until=timezone.now() + timedelta(seconds=30))
    assert jobs.reap() == 0


def test_what_nobody_picked_up_is_rung_again() -> None:
    job = queue()
    Job.objects.filter(pk=job.pk).update(sent_at=timezone.now() - timedelta(minutes=5))
    assert (jobs.reap(), jobs.reap()) == (1, 0)


def test_a_worker_that_lost_its_lease_cannot_write_the_end() -> None:
    job = queue()

    def overtaken(job: Job) -> dict[str, int]:
        Job.objects.filter(pk=job.pk).update(attempts=2)
        return {"made": 1}

    assert run(job, overtaken).state == "running"


def test_progress_of_a_lost_attempt_is_not_written() -> None:
    job = queue(state="running", attempts=2)
    stale = Job(pk=job.pk, attempts=1)
    jobs.report(stale, 0.9, "late")
    job.refresh_from_db()
    assert job.progress == 0


def test_a_job_speaks_the_language_of_the_person_who_waits(people: SimpleNamespace) -> None:
    people.leo.preferences = {"language": "ko"}
    people.leo.save(update_fields=["preferences"])
    spoken = []
    for person in (people.leo, people.ada, None):
        job = jobs.send("release", key=f"release:{person}", args={}, by=person)
        jobs.run(job.pk, lambda job: spoken.append(translation.get_language()))
    assert spoken == ["ko", "en", "en"]


def test_a_passing_job_is_forgotten_after_a_day_and_others_are_kept() -> None:
    old = jobs.passing(timezone.now() - timedelta(hours=26))
    fit = jobs.send("fit", key="fit", args={})
    assert fit.group == jobs.passing(timezone.now())
    for number, fields in enumerate(({"group": old, "state": "done"}, {"group": old}, {"state": "done"})):
        queue(f"row{number}", **fields)
    Job.objects.filter(key="row1").update(state="running", lease_until=timezone.now() + timedelta(minutes=1))
    jobs.reap()
    assert set(Job.objects.values_list("key", flat=True)) == {"fit", "row1", "row2"}
