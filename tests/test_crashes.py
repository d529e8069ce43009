"""SIGKILL in the middle: a worker in mid-task, the web server in mid-request. Work resumes and nothing is doubled."""

import http.client
import json
import os
import signal
import threading
import time
import uuid
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.db import connection
from django.utils import timezone

from backend import jobs
from backend.accounts.models import Token
from backend.annotation.models import Comparison, Task
from backend.models import Job
from tests import processes
from tests.backend import world

pytestmark = pytest.mark.django_db(transaction=True)


def until(condition: Any, seconds: float = 60) -> None:
    """Wait for a condition; fail when it does not come true."""
    stop = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < stop, "it did not happen in time"
        time.sleep(0.1)


def test_a_killed_workers_job_is_done_by_the_next_one_and_only_once(
    people: SimpleNamespace, slow_batch: Any
) -> None:
    with processes.worker("slow") as first:
        job = slow_batch()
        until(lambda: Job.objects.get(pk=job.pk).state == "running")
        os.killpg(first.pid, signal.SIGKILL)
        first.wait()
    assert Job.objects.get(pk=job.pk).state == "running"
    # Its lease would run out by itself; the test does not wait for the minute.
    Job.objects.filter(pk=job.pk).update(lease_until=timezone.now())
    assert jobs.reap() == 1
    with processes.worker("slow"):
        until(lambda: Job.objects.get(pk=job.pk).state == "done", 120)
    done = Job.objects.get(pk=job.pk)
    assert done.attempts == 2
    assert done.result["counts"]["taken"] + done.result["counts"]["known"] == 12


@pytest.fixture
def slow_batch(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Twelve photos to import, enough to be killed in the middle, on a queue that no other test's worker listens to."""
    import io
    import zipfile

    import numpy as np
    from PIL import Image as Picture

    from backend import storage

    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for number in range(12):
            photo, mask = io.BytesIO(), io.BytesIO()
            pixels = np.random.default_rng(number).integers(0, 255, (700, 900, 3), dtype=np.uint8)
            Picture.fromarray(pixels).save(photo, "JPEG")
            shape = np.zeros((700, 900), dtype=np.uint8)
            shape[200:500, 200:600] = 255
            Picture.fromarray(shape).save(mask, "PNG")
            archive.writestr(f"p{number}.jpg", photo.getvalue())
            archive.writestr(f"p{number}.mask_box.png", mask.getvalue())

    monkeypatch.setitem(jobs.KINDS, "import_images", jobs.Kind("slow"))

    def send() -> Job:
        blob = storage.put(packed.getvalue(), "application/zip")
        args = {"batch": world.batch().pk, "blob": blob.sha256, "filename": "photos.zip"}
        return jobs.send("import_images", key=f"import:{uuid.uuid4()}", args=args)

    return send


def test_an_answer_in_a_killed_web_server_is_stored_once_when_the_page_sends_it_again(
    people: SimpleNamespace,
) -> None:
    task = world.task(world.batch(asks_rating=False, asks_alignment=False), "mug", n=2)
    token, _ = Token.issue(people.ada)
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}

    def post(url: str, path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        line = http.client.HTTPConnection(urlsplit(url).netloc, timeout=30)
        line.request("POST", f"/api/v1/{path}", json.dumps(body), headers)
        reply = line.getresponse()
        return reply.status, json.loads(reply.read())

    outcome: list[Any] = []
    with processes.running_web() as (url, child):
        _, work = post(url, "next/", {})
        body = {"fence": work["fence"], "seq": 1, "answer": "left", "key": str(uuid.uuid4()), "active_ms": 5}
        path = f"assignments/{work['id']}/comparisons/"

        def answer() -> None:
            try:
                outcome.append(post(url, path, body))
            except (OSError, http.client.HTTPException) as broken:
                outcome.append(broken)

        # Holding the row makes the request wait inside its transaction, and there the server dies.
        connection.set_autocommit(False)
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1 FROM annotation_assignment WHERE id = %s FOR UPDATE", [work["id"]])
            request = threading.Thread(target=answer)
            request.start()
            time.sleep(1.0)
            os.killpg(child.pid, signal.SIGKILL)
            request.join()
        connection.rollback()
        connection.set_autocommit(True)
    assert isinstance(outcome[0], Exception)
    assert Comparison.objects.count() == 0
    with processes.running_web() as (url, _):
        assert post(url, path, body)[0] == 200
        assert post(url, path, body)[1]["replayed"] is True
    task.refresh_from_db()
    assert (Comparison.objects.count(), task.n_leased, task.n_done) == (1, 0, 1)
    assert Task.objects.get(pk=task.pk).state == "done"
