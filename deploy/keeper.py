"""The process that runs embedded PostgreSQL and Redis: starts them, restarts a dead one, stops with the last holder.

Started by deploy/embedded.py, never by hand: python -m deploy.keeper FOLDER postgres redis [--no-fsync]
"""

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from deploy.embedded import ServicesError
from deploy.servers import Postgres, Redis

LINGER_SECONDS = 2.0  # commands typed one after the other find the servers still warm
POLL_SECONDS = 0.2


class Keeper:
    """Owns the servers of one folder for as long as somebody holds its lock."""

    def __init__(self, folder: Path, names: list[str], *, fsync: bool) -> None:
        self.folder = folder
        self.servers: dict[str, Postgres | Redis] = {}
        if "postgres" in names:
            self.servers["postgres"] = Postgres(folder, fsync=fsync)
        if "redis" in names:
            self.servers["redis"] = Redis(folder)
        self.children: dict[str, subprocess.Popen[bytes]] = {}
        self.stopping = False

    def start(self) -> None:
        for name, server in self.servers.items():
            self.children[name] = server.start()
        for name, server in self.servers.items():
            server.wait_ready(self.children[name])
        self._write()

    def keep(self) -> None:
        """Return once nobody has held the services for a moment, or on a signal."""
        free_since: float | None = None
        backoff = 0.5
        with (self.folder / "holders.lock").open("a") as holders:
            while not self.stopping:
                if _try_lock(holders.fileno()):
                    free_since = free_since or time.monotonic()
                    hurry = (self.folder / "hurry").exists()
                    if hurry or time.monotonic() - free_since > LINGER_SECONDS:
                        # Still locked: a newcomer waits until the servers are down, then starts afresh.
                        self.stop()
                        return
                    fcntl.flock(holders, fcntl.LOCK_UN)
                else:
                    free_since = None
                backoff = self._mend(backoff)
                time.sleep(POLL_SECONDS)
        self.stop()

    def _mend(self, backoff: float) -> float:
        """Start a dead server again; the pause doubles while it keeps dying."""
        for name, child in self.children.items():
            if child.poll() is None:
                continue
            print(f"{name} ended with {child.returncode}; starting it again", flush=True)
            time.sleep(backoff)
            try:
                self.children[name] = self.servers[name].start()
                self.servers[name].wait_ready(self.children[name])
                self._write()
            except (ServicesError, OSError) as error:
                print(error, flush=True)
            return min(backoff * 2, 10.0)
        return backoff

    def stop(self) -> None:
        (self.folder.parent / "services.json").unlink(missing_ok=True)
        (self.folder / "hurry").unlink(missing_ok=True)
        for name, child in self.children.items():
            if child.poll() is None:
                child.send_signal(self.servers[name].stop_signal)
        for child in self.children.values():
            try:
                child.wait(10)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
        for server in self.servers.values():
            server.clean()

    def _write(self) -> None:
        state = {
            "ready": True,
            "keeper": os.getpid(),
            "pids": {name: child.pid for name, child in self.children.items()},
            "urls": {name: server.url for name, server in self.servers.items()},
        }
        path = self.folder.parent / "services.json"
        fresh = path.with_suffix(".new")
        fresh.touch(mode=0o600)
        fresh.write_text(json.dumps(state, indent=1) + "\n")
        fresh.rename(path)


def _try_lock(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    except BlockingIOError:
        return False


def main(arguments: list[str]) -> int:
    """Run until the last holder has gone; 1 with one line on stderr when a server cannot start."""
    fsync = "--no-fsync" not in arguments
    folder, *names = [word for word in arguments if not word.startswith("--")]
    keeper_lock = (Path(folder) / "keeper.lock").open("a")
    deadline = time.monotonic() + 2.0
    while not _try_lock(keeper_lock.fileno()):  # whoever asks whether a keeper runs holds it for an instant
        if time.monotonic() > deadline:
            print("another keeper runs here already", file=sys.stderr)
            return 1
        time.sleep(0.01)
    (Path(folder) / "hurry").unlink(missing_ok=True)
    keeper = Keeper(Path(folder), names, fsync=fsync)

    def stop(*_: object) -> None:
        keeper.stopping = True

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    try:
        keeper.start()
    except (ServicesError, OSError) as error:
        keeper.stop()
        print(error, file=sys.stderr)
        return 1
    keeper.keep()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
