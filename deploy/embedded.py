"""Embedded PostgreSQL and Redis, shared by every process that works on one MAQUETTE_HOME.

ensure() attaches to the running pair or starts it; the caller then holds a shared file lock until it
exits. A keeper process (deploy/keeper.py) runs the servers and stops them after the last holder.
"""

import atexit
import fcntl
import json
import os
import platform
import subprocess
import sys
import time
from pathlib import Path
from typing import IO, Any

PROJECT = Path(__file__).resolve().parent.parent
START_SECONDS = 60.0
STOP_SECONDS = 20.0

_held: dict[Path, IO[str]] = {}
_VARS = {"postgres": "DATABASE_URL", "redis": "REDIS_URL"}


class ServicesError(RuntimeError):
    """The embedded services cannot run here; the message tells a person what to do."""


def home() -> Path:
    """The folder that holds all data of this installation (MAQUETTE_HOME, default var/)."""
    return Path(os.environ.get("MAQUETTE_HOME") or PROJECT / "var").expanduser().resolve()


def wanted() -> list[str]:
    """The services for which the environment names no real server."""
    return [
        name
        for name, var in (("postgres", "DATABASE_URL"), ("redis", "REDIS_URL"))
        if not os.environ.get(var)
    ]


def ensure(at: Path | None = None, *, durable: bool = True) -> dict[str, str]:
    """Start or attach to the embedded services and export their URLs; {} when both are real servers.

    The calling process (and what it forks) holds the services until it ends or calls release().
    durable=False turns fsync off and is meant for tests.
    """
    names = wanted()
    if not names:
        return {}
    folder = (at or home()) / "services"
    _hold(folder)
    with _locked(folder / "start.lock"):
        state = running(folder)
        if state is None or not set(names) <= set(state["urls"]):
            if state is not None:
                raise ServicesError(
                    f"the embedded services of {folder.parent} run without {' and '.join(names)}; "
                    "stop the other commands that use this folder, then try again"
                )
            state = _start_keeper(folder, names, durable)
    urls = {var: state["urls"][name] for name, var in _VARS.items() if name in names}
    os.environ.update(urls)
    return urls


def revive(urls: dict[str, str], at: Path | None = None) -> bool:
    """For a long-lived holder: start the keeper again if it was killed, and put the addresses into urls.

    True when it had to be started.
    """
    folder = (at or home()) / "services"
    if not urls or not _lock_is_free(folder / "keeper.lock"):
        return False
    with _locked(folder / "start.lock"):
        names = [name for name, var in _VARS.items() if var in urls]
        state = running(folder) or _start_keeper(folder, names, durable=True)
    urls.update({_VARS[name]: state["urls"][name] for name in names})
    os.environ.update(urls)
    return True


def running(folder: Path) -> dict[str, Any] | None:
    """What services.json says, when a keeper is alive and its servers are ready; else None."""
    if _lock_is_free(folder / "keeper.lock"):
        return None
    try:
        state = json.loads((folder.parent / "services.json").read_text())
    except (OSError, ValueError):
        return None
    return state if state.get("ready") else None


def release(at: Path | None = None, *, wait: bool = False) -> None:
    """Let go of the services; with wait=True and nobody else holding them, return once they are gone."""
    folder = (at or home()) / "services"
    held = _held.pop(folder, None)
    if held is None:
        return
    held.close()
    if not wait:
        return
    (folder / "hurry").touch()
    deadline = time.monotonic() + STOP_SECONDS
    while time.monotonic() < deadline and not _lock_is_free(folder / "keeper.lock"):
        if _has_holders(folder / "holders.lock"):
            return
        time.sleep(0.05)


def _hold(folder: Path) -> None:
    """Take the shared lock; it waits out a keeper that is just stopping its servers."""
    if folder in _held:
        return
    _supported()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = (folder / "holders.lock").open("a")
    except OSError as error:
        raise ServicesError(
            f"cannot write to {folder.parent}: {error.strerror}; set MAQUETTE_HOME"
        ) from error
    fcntl.flock(handle, fcntl.LOCK_SH)
    _held[folder] = handle
    atexit.register(handle.close)


def _supported() -> None:
    machine = f"{platform.system()} {platform.machine()}"
    if machine != "Linux x86_64" or sys.version_info[:2] not in ((3, 11), (3, 12)):
        raise ServicesError(
            "embedded PostgreSQL and Redis need Linux x86_64 and Python 3.11 or 3.12; this is "
            f"{machine} with Python {sys.version_info[0]}.{sys.version_info[1]}: "
            "set DATABASE_URL and REDIS_URL to servers of your own"
        )


def _start_keeper(folder: Path, names: list[str], durable: bool) -> dict[str, Any]:
    """Run the keeper in a session of its own, so that a Ctrl-C for the caller does not reach it."""
    logs = folder.parent / "logs"
    logs.mkdir(exist_ok=True)
    log = logs / "services.log"
    (folder.parent / "services.json").unlink(missing_ok=True)
    command = [sys.executable, "-m", "deploy.keeper", str(folder), *names]
    if not durable:
        command.append("--no-fsync")
    with log.open("a") as out:
        start = out.tell()
        keeper = subprocess.Popen(
            command, cwd=PROJECT, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True
        )
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        state = running(folder)
        if state is not None:
            return state
        if keeper.poll() is not None:
            break
        time.sleep(0.03)
    said = [line for line in log.read_text(errors="replace")[start:].splitlines() if line.strip()]
    raise ServicesError(
        f"embedded services did not start: {said[-1] if said else 'no reason given'} (log: {log})"
    )


class _locked:
    """An exclusive lock on a file for the length of a with block."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> None:
        self.handle = self.path.open("a")
        fcntl.flock(self.handle, fcntl.LOCK_EX)

    def __exit__(self, *_: object) -> None:
        self.handle.close()


def _lock_is_free(path: Path) -> bool:
    try:
        with path.open("a") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    except BlockingIOError:
        return False
    except FileNotFoundError:
        return True


def _has_holders(path: Path) -> bool:
    """Whether others hold the shared lock; a keeper that is stopping its servers holds it exclusively instead."""
    with path.open("a") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return False
        except BlockingIOError:
            pass
        try:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            return False
