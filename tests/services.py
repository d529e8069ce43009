"""Early pytest plugin: real PostgreSQL and Redis for the run, in a folder of its own, before Django reads settings.

Under xdist the controller starts them and the workers inherit their addresses; each worker gets its own
blob folder and Redis database (pytest-django makes each its own PostgreSQL database).
"""

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy import embedded

_run: dict[str, Path] = {}


def _worker_number() -> int:
    """0 in the controller or a serial run, else 1, 2, ... of xdist's gw0, gw1, ..."""
    name = os.environ.get("PYTEST_XDIST_WORKER", "")
    return int(name.removeprefix("gw")) + 1 if name else 0


def _start_services() -> None:
    """Once a run: a folder for it and, unless the environment names servers, both services inside."""
    folder = Path(tempfile.mkdtemp(prefix="maquette-test-"))
    _run["folder"] = folder
    os.environ["MAQUETTE_TEST_RUN"] = str(folder)
    # tmp_path too lies here: pytest's own shared folder is closed again by every other run that starts meanwhile.
    os.environ["PYTEST_DEBUG_TEMPROOT"] = str(folder)
    embedded.ensure(folder, durable=False)


def _set_up_process() -> None:
    """Once a process: its own blob folder and Redis database, and settings that do not come from the user."""
    number = _worker_number()
    home = Path(os.environ["MAQUETTE_TEST_RUN"]) / f"home{number}"
    home.mkdir()
    # Static files are the same for all processes: collected once a run, by whoever needs them first.
    static = home.parent / "static"
    static.mkdir(exist_ok=True)
    (home / "static").symlink_to(static)
    os.environ["MAQUETTE_HOME"] = str(home)
    address, _, _ = os.environ["REDIS_URL"].rpartition("/")
    os.environ["REDIS_URL"] = f"{address}/{number + 1}"
    os.environ["SECRET_KEY"] = "only-for-tests-" + "0123456789abcdef" * 3
    os.environ["DEBUG"] = "0"
    # Adapters that go wrong, for the worker that tests share.
    os.environ["MAQUETTE_ADAPTER_CRASHES"] = f"{sys.executable} -S -c 'import os; os.kill(os.getpid(), 11)'"
    os.environ["MAQUETTE_ADAPTER_HANGS"] = f"{sys.executable} -S -c 'import time; time.sleep(600)'"
    os.environ["ADAPTER_SECONDS"] = "3"
    # libpq reads it: a lock that somebody never gives back is an error of the test that waits for it, not a halt of all.
    os.environ["PGOPTIONS"] = "-c lock_timeout=60s"
    # Playwright's event loop runs in the thread that also talks to the database.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"
    os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_load_initial_conftests() -> Iterator[None]:
    """A wrapper runs before pytest-django's own hook, which reads the settings."""
    if not _worker_number():
        _start_services()
    _set_up_process()
    return (yield)


@pytest.hookimpl(trylast=True)
def pytest_unconfigure() -> None:
    folder = _run.pop("folder", None)
    if folder is None:
        return
    embedded.release(folder, wait=True)
    shutil.rmtree(folder, ignore_errors=True)
