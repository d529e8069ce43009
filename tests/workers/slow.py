"""A job for tests that takes two seconds and leaves a trace; workers load it with --include."""

import time
from pathlib import Path
from typing import Any

from backend import jobs
from backend.models import Job
from workers.app import app


@app.task(name="workers.tasks.slow")
def slow(job_id: int) -> None:
    """The shell, as in workers/tasks.py."""
    jobs.run(job_id, work)


def work(job: Job) -> dict[str, Any]:
    """Write when it began and ended into the file that the job names."""
    with Path(job.args["log"]).open("a") as log:
        log.write("began\n")
        log.flush()
        time.sleep(2)
        log.write("ended\n")
    return {}
