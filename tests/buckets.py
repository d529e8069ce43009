"""Fixtures for tests that need an S3: moto's server in a process of its own, and the configured store on it."""

import sys
from collections.abc import Iterator
from typing import Any

import pytest

from tests import processes

KEYS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1"}


@pytest.fixture(scope="session")
def bucket_server() -> Iterator[str]:
    """Address of the server; needs a test database, as every process of a test run does."""
    port = processes.free_port()
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with processes.running("moto", command) as child:
        processes.wait_for(lambda: processes.answers(url), seconds=60, child=child, log="moto")
        yield url


@pytest.fixture
def bucket(bucket_server: str, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The configured store, an S3Store, is a bucket on that server."""
    from backend import storage

    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    settings.S3_ENDPOINT_URL, settings.S3_BUCKET = bucket_server, "maquette"
    storage.store.cache_clear()
    yield storage.store()
    storage.store.cache_clear()
