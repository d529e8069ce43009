"""A web server and a worker for the length of a command, where none is running: simulate and flywheel work alone."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from django.conf import settings
from django.core.management.base import CommandError

from workers.app import QUEUES, app

START_SECONDS = 60


@contextmanager
def _child(name: str, command: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    folder = Path(settings.HOME) / "logs"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{name}.log").open("ab") as log:
        child = subprocess.Popen(
            command, cwd=settings.BASE_DIR, stdout=log, stderr=log, start_new_session=True
        )
    try:
        yield child
    finally:
        for number in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(child.pid, number)
                child.wait(10)
                break
            except ProcessLookupError:
                break
            except subprocess.TimeoutExpired:
                continue


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/healthz", timeout=5) as reply:
            return bool(reply.status == 200)
    except (OSError, urllib.error.URLError):
        return False


def _wait(ready: object, child: subprocess.Popen[bytes], name: str) -> None:
    deadline = time.monotonic() + START_SECONDS
    assert callable(ready)
    while not ready():
        if child.poll() is not None or time.monotonic() > deadline:
            raise CommandError(f"the {name} did not start; see logs/{name}.log in the home folder")
        time.sleep(0.2)


@contextmanager
def web(url: str = "") -> Iterator[str]:
    """Address of the web server: the given one, which must answer, else one started for this command."""
    if url:
        if not _answers(url.rstrip("/")):
            raise CommandError(f"nothing answers at {url}: start it with `make demo`, or leave --url out")
        yield url.rstrip("/")
        return
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [
        sys.executable,
        "-m",
        "gunicorn",
        "backend.wsgi",
        "--bind",
        f"127.0.0.1:{port}",
        "--threads",
        "8",
    ]
    with _child("command-web", command) as child:
        own = f"http://127.0.0.1:{port}"
        _wait(lambda: _answers(own), child, "command-web")
        yield own


@contextmanager
def worker() -> Iterator[None]:
    """A worker on every queue: one that answers already, else one started for this command."""
    if app.control.ping(timeout=2, limit=1):
        yield
        return
    command = [
        sys.executable,
        "-m",
        "celery",
        "-A",
        "workers.app",
        "worker",
        "-Q",
        ",".join(QUEUES),
        "-c",
        "2",
    ]
    with _child("command-worker", command) as child:
        _wait(lambda: app.control.ping(timeout=1, limit=1), child, "command-worker")
        yield
