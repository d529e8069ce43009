"""Embedded PostgreSQL and Redis: shared, mended, ended with the last who uses them."""

import json
import os
import platform
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

import psycopg2
import pytest
import redis

from deploy import embedded

PROJECT = Path(__file__).resolve().parents[2]
HOLD = "from deploy import embedded; embedded.ensure(durable=False); print('up', flush=True); import time; time.sleep(60)"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A home of its own whose services are gone when the test ends."""
    for name in ("DATABASE_URL", "REDIS_URL"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("MAQUETTE_HOME", str(tmp_path / "h"))
    yield tmp_path / "h"
    embedded.release(tmp_path / "h", wait=True)
    # Exactly as before for the other tests: what ensure() exported is not what monkeypatch removed.
    for name in ("DATABASE_URL", "REDIS_URL"):
        os.environ.pop(name, None)


def state(home: Path) -> dict[str, dict[str, int]]:
    """services.json, once the keeper has written it."""
    until(lambda: (home / "services.json").exists())
    return dict(json.loads((home / "services.json").read_text()))


def until(true: Callable[[], bool], seconds: float = 15) -> None:
    """Wait for a condition; fail when it does not come true."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def connects() -> bool:
    """Whether PostgreSQL at DATABASE_URL answers."""
    host = unquote(urlsplit(os.environ["DATABASE_URL"]).hostname or "")
    try:
        psycopg2.connect(host=host, user="postgres", dbname="maquette", connect_timeout=5).close()
    except psycopg2.OperationalError:
        return False
    return True


def alive(pid: int) -> bool:
    """Whether the process exists and is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def test_it_starts_both_and_exports_their_addresses(home: Path) -> None:
    urls = embedded.ensure(home, durable=False)
    assert os.environ["DATABASE_URL"] == urls["DATABASE_URL"]
    assert connects()
    assert redis.from_url(urls["REDIS_URL"]).ping()


def test_it_leaves_servers_that_the_environment_names_alone(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgres://db.example/maquette")
    monkeypatch.setenv("REDIS_URL", "redis://redis.example/0")
    assert embedded.ensure(home) == {}
    assert not home.exists()


def test_another_process_shares_them_and_the_last_one_ends_them(home: Path) -> None:
    other = subprocess.Popen([sys.executable, "-c", HOLD], cwd=PROJECT, stdout=subprocess.PIPE)
    assert other.stdout is not None
    assert other.stdout.readline() == b"up\n"
    pids = state(home)["pids"]
    embedded.ensure(home, durable=False)
    assert state(home)["pids"] == pids
    other.kill()
    other.communicate()
    assert connects()
    embedded.release(home, wait=True)
    assert not any(alive(pid) for pid in pids.values())


def test_a_killed_server_comes_back_at_the_same_address(home: Path) -> None:
    urls = embedded.ensure(home, durable=False)
    pids = state(home)["pids"]
    for pid in pids.values():
        os.kill(pid, signal.SIGKILL)
    until(lambda: all(state(home)["pids"][name] != pids[name] for name in pids) and connects())
    assert state(home)["urls"] == {"postgres": urls["DATABASE_URL"], "redis": urls["REDIS_URL"]}


def test_a_killed_keeper_is_replaced_and_no_server_runs_twice(home: Path) -> None:
    urls = embedded.ensure(home, durable=False)
    before = state(home)
    os.kill(int(before["keeper"]), signal.SIGKILL)  # type: ignore[call-overload]
    until(lambda: embedded.revive(urls, home))
    assert connects()
    assert not any(alive(pid) for pid in before["pids"].values())


def test_a_long_path_gets_a_short_socket_folder(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deep = tmp_path / ("long" * 20) / "h"
    monkeypatch.setenv("MAQUETTE_HOME", str(deep))
    embedded.ensure(deep, durable=False)
    assert connects()
    embedded.release(deep, wait=True)


def test_other_machines_get_a_clear_line(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "arm64")
    with pytest.raises(embedded.ServicesError, match="set DATABASE_URL and REDIS_URL"):
        embedded.ensure(home)
