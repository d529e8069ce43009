"""Real server and worker processes for tests, on the test database and Redis of the calling pytest process."""

import fcntl
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
from urllib.parse import quote

from model_zoo.proposers.child import die_with_parent

PROJECT = Path(__file__).resolve().parent.parent
CHROMIUM_FLAGS = [
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--no-sandbox",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-default-apps",
    "--no-first-run",
    "--disable-features=OptimizationHints,MediaRouter,Translate,AutofillServerCommunication"
    ",WebUIOmniboxPopup,WebUIOmniboxAimPopup",  # each new page starts a renderer for them: 0.7 s of CPU
]


def environment() -> dict[str, str]:
    """This process's environment with DATABASE_URL on the test database instead of the configured one."""
    from django.db import connection

    settings = connection.settings_dict
    host, port = quote(settings["HOST"] or "", safe=""), settings["PORT"]
    login = quote(settings["USER"] or "", safe="")
    if settings["PASSWORD"]:
        login += ":" + quote(settings["PASSWORD"], safe="")
    url = f"postgres://{login}@{host}{f':{port}' if port else ''}/{settings['NAME']}"
    return {**os.environ, "DATABASE_URL": url}


def free_port() -> int:
    """A loopback port that is free right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(name: str, command: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    """The command in a process group of its own; output in MAQUETTE_HOME/NAME.log; the whole group ends with the block."""
    log = Path(os.environ["MAQUETTE_HOME"]) / f"{name}.log"
    with log.open("ab") as out:
        child = subprocess.Popen(
            command,
            cwd=PROJECT,
            env=environment(),
            stdout=out,
            stderr=out,
            start_new_session=True,
            preexec_fn=die_with_parent,
        )
    try:
        yield child
    finally:
        stop(child)


def stop(child: subprocess.Popen[bytes], seconds: float = 8) -> None:
    """SIGTERM, then SIGKILL for the group of a child started with start_new_session."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(child.pid, number)
            child.wait(seconds)
        except ProcessLookupError:
            return
        except subprocess.TimeoutExpired:
            continue


@contextmanager
def web(workers: int = 1, threads: int = 4) -> Iterator[str]:
    """gunicorn serving the project; yields its address once it answers."""
    with running_web(workers, threads) as (url, _):
        yield url


@contextmanager
def running_web(
    workers: int = 1, threads: int = 4, port: int | None = None
) -> Iterator[tuple[str, "subprocess.Popen[bytes]"]]:
    """The same with its process, for tests that kill it and start it again at the same address."""
    collect_static()
    port = port or free_port()
    command = [sys.executable, "-m", "gunicorn", "backend.wsgi", "--bind", f"127.0.0.1:{port}"]
    command += ["--workers", str(workers), "--threads", str(threads), "--timeout", "60"]
    with running("web", command) as child:
        url = f"http://127.0.0.1:{port}"
        wait_for(lambda: answers(f"{url}/healthz"), seconds=40, child=child, log="web")
        yield url, child


def collect_static() -> None:
    """Static files for all processes of this test run, once; a template that names one needs them."""
    from django.conf import settings
    from django.core.management import call_command

    root = Path(settings.STATIC_ROOT).resolve()
    with (root.parent / "static.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (root / "staticfiles.json").exists():
            call_command("collectstatic", interactive=False, verbosity=0)


def answers(url: str) -> bool:
    """Whether the address answers at all; an error page is an answer too."""
    try:
        urllib.request.urlopen(url, timeout=5).close()
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
    return True


@contextmanager
def worker(
    queues: str = "gpu,cpu,export,train,interactive", concurrency: int = 1, include: str = ""
) -> Iterator[subprocess.Popen[bytes]]:
    """A Celery worker on the given queues, with the tasks of one further module; yields once it listens."""
    command = [sys.executable, "-m", "celery", "-A", "workers.app", "worker", "-Q", queues]
    command += ["-c", str(concurrency), "-l", "INFO", "-n", f"test-{os.getpid()}-{time.monotonic_ns()}@%h"]
    command += ["--without-gossip", "--without-mingle", *(["--include", include] if include else [])]
    log = Path(os.environ["MAQUETTE_HOME"]) / "worker.log"
    start = log.stat().st_size if log.exists() else 0
    with running("worker", command) as child:
        wait_for(lambda: b" ready." in log.read_bytes()[start:], seconds=90, child=child, log="worker")
        yield child


def drain(seconds: float = 20) -> None:
    """Drop queued messages and wait until no worker holds one, so that no job reaches into the next test."""
    import redis

    server = redis.from_url(os.environ["REDIS_URL"])
    server.delete("gpu", "cpu", "export", "train", "interactive", "slow")
    deadline = time.monotonic() + seconds
    while server.hlen("unacked") and time.monotonic() < deadline:
        time.sleep(0.1)
    server.delete("unacked", "unacked_index")  # what a killed worker held


def wait_for(ready: "object", *, seconds: float, child: subprocess.Popen[bytes], log: str) -> None:
    """Poll ready() until true; fail with the end of the process's log when it dies or takes too long."""
    assert callable(ready)
    deadline = time.monotonic() + seconds
    while not ready():
        if child.poll() is not None or time.monotonic() > deadline:
            tail = (Path(os.environ["MAQUETTE_HOME"]) / f"{log}.log").read_text(errors="replace")[-2000:]
            raise RuntimeError(f"{log} did not come up:\n{tail}")
        time.sleep(0.1)
