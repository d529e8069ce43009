"""Fixtures that all tests share: the people, an API client, a web server, a worker and a browser, all real."""

import functools
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests import processes

pytest_plugins = ["tests.buckets", "tests.second_try"]
PASSWORD = "correct horse battery"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
ROLES = {
    "ada": "annotator",
    "art": "artist",
    "rev": "reviewer",
    "res": "researcher",
    "leo": "admin",
}


@pytest.fixture(scope="session")
def test_data() -> Path:
    """The shared photos, RGB-D scenes, meshes and hostile files."""
    default = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("MAQUETTE_TEST_DATA") or default)
    if not folder.is_dir():
        pytest.skip(f"no test data in {folder}: set MAQUETTE_TEST_DATA")
    return folder


@functools.cache
def _hashed() -> str:
    """PASSWORD as stored; hashing is slow on purpose, so once a session."""
    from django.contrib.auth.hashers import make_password

    return make_password(PASSWORD)


@pytest.fixture
def people(db: None) -> SimpleNamespace:
    """ada annotates, art is an artist, rev reviews, res researches, leo administers; sam is a stranger (no account)."""
    from django.contrib.auth import get_user_model

    users = get_user_model().objects
    made = {
        name: users.create(
            username=name, password=_hashed(), role=role, is_staff=role == "admin", is_superuser=role == "admin"
        )
        for name, role in ROLES.items()
    }
    return SimpleNamespace(**made, sam=None)


@pytest.fixture
def api() -> Callable[..., Any]:
    """api(person) is a client logged in as that person; api(None) is a stranger's. Requests are JSON."""
    from rest_framework.test import APIClient

    def client(person: Any = None) -> APIClient:
        made = APIClient()
        made.default_format = "json"
        if person is not None:
            made.force_login(person)
        return made

    return client


@pytest.fixture(scope="session")
def static_files() -> None:
    """Collected static files: for tests that render a page without the live server."""
    processes.collect_static()


@pytest.fixture(scope="session")
def web_server(django_db_setup: None, django_db_blocker: Any) -> Iterator[str]:
    """gunicorn on this process's test database, one for the session. Tests ask for live_url."""
    with processes.web() as url:
        yield url


@pytest.fixture
def live_url(transactional_db: None, web_server: str) -> str:
    """Address of a real web server that sees what the test commits."""
    return web_server


@pytest.fixture(scope="session")
def worker_process(django_db_setup: None) -> Iterator[None]:
    """A Celery worker on all queues, one for the session. Tests ask for worker."""
    with processes.worker():
        yield


@pytest.fixture
def worker(transactional_db: None, worker_process: None) -> None:
    """A real worker that runs the jobs the test sends."""


@pytest.fixture(autouse=True)
def no_job_outlives_its_test(request: pytest.FixtureRequest) -> Iterator[None]:
    """Queued jobs are dropped and running ones awaited before the database is emptied, which would deadlock with them.

    Also for tests without worker: the session's worker takes what they queue once another test has started it.
    """
    yield
    marker = request.node.get_closest_marker("django_db")
    if (marker and marker.kwargs.get("transaction")) or "transactional_db" in request.fixturenames:
        processes.drain()


@pytest.fixture
def proposers(transactional_db: None, tmp_path: Path) -> None:
    """Proposers as demo_seed sets them up, over six library meshes."""
    from tests.loop import set_up_proposers

    set_up_proposers(tmp_path)


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Chromium with software WebGL and without background network traffic."""
    if os.environ.get("SKIP_BROWSER") == "1":
        pytest.skip("SKIP_BROWSER=1")
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None:
        pytest.fail("chromium is missing: apt-get install chromium, or set SKIP_BROWSER=1")
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=15_000)
    with sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=program, args=processes.CHROMIUM_FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser: Any, live_url: str) -> Iterator[Any]:
    """A fresh page at the live server; a script error on it fails the test."""
    context = browser.new_context(base_url=live_url, viewport={"width": 1400, "height": 900})
    opened = context.new_page()
    opened.set_default_timeout(15_000)
    errors: list[str] = []
    opened.on("pageerror", lambda error: errors.append(str(error)))
    yield opened
    context.close()
    assert not errors, f"script errors on the page: {errors}"


@pytest.fixture
def sign_in(page: Any, live_url: str) -> Callable[[str], Any]:
    """sign_in("ada") gives the page her session; the login form itself has its own tests."""
    from django.contrib.auth import get_user_model
    from django.test import Client

    def enter(name: str) -> Any:
        client = Client()
        client.force_login(get_user_model().objects.get(username=name))
        session = client.cookies["sessionid"].value
        page.context.add_cookies([{"name": "sessionid", "value": session, "url": live_url}])
        return page

    return enter


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """GPU tests skip with a reason where there is no CUDA device."""
    marked = [item for item in items if item.get_closest_marker("gpu")]
    if not marked:
        return
    import torch

    if not torch.cuda.is_available():
        for item in marked:
            item.add_marker(pytest.mark.skip(reason="no CUDA device"))
