"""A child process of the supervisor: its own process group, its log, restart with back-off, and an end without leftovers."""

import contextlib
import ctypes
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import IO

from deploy.embedded import PROJECT

PR_SET_PDEATHSIG = 1
HEALTHY_SECONDS = 60.0
LONGEST_PAUSE = 30.0
LOG_BYTES = 20_000_000
# What to ask a child for, and how long to wait: a warm end, then Celery's cold one, then none.
ENDINGS = ((signal.SIGTERM, 4.0), (signal.SIGQUIT, 3.0), (signal.SIGKILL, 5.0))

_libc = ctypes.CDLL(None, use_errno=True)


def _end_with_parent() -> None:
    """Runs in the child: a SIGTERM when the supervisor dies, even by SIGKILL."""
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


class Child:
    """One command; logs=None lets it print to the terminal."""

    def __init__(self, name: str, command: list[str], logs: Path | None) -> None:
        self.name, self.command = name, command
        self.log = logs / f"{name}.log" if logs else None
        self.process: subprocess.Popen[bytes] | None = None
        self.pause = 1.0
        self.began = 0.0
        self.dead_since: float | None = None
        self.last_exit = ""

    def start(self) -> None:
        self.began = time.monotonic()
        out = self._open_log()
        self.process = subprocess.Popen(
            self.command,
            cwd=PROJECT,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
            preexec_fn=_end_with_parent,
        )
        if out:
            out.close()

    def _open_log(self) -> IO[bytes] | None:
        if self.log is None:
            return None
        if self.log.exists() and self.log.stat().st_size > LOG_BYTES:
            self.log.replace(self.log.with_suffix(".log.1"))
        return self.log.open("ab")

    def poll(self) -> int | None:
        """The exit code once it has ended."""
        return self.process.poll() if self.process else None

    def wait(self) -> int:
        assert self.process is not None
        return self.process.wait()

    def restart_if_dead(self) -> bool:
        """Start it again once its pause is over; the pause doubles while it keeps dying soon. True when started."""
        code = self.poll()
        if code is None:
            return False
        now = time.monotonic()
        if self.dead_since is None:
            self.dead_since = now
            self.last_exit = f"signal {-code}" if code < 0 else f"exit {code}"
            self.kill()  # what its group left behind would hold the port or run jobs twice
            if now - self.began > HEALTHY_SECONDS:
                self.pause = 1.0
        if now - self.dead_since < self.pause:
            return False
        self.pause = min(self.pause * 2, LONGEST_PAUSE)
        self.dead_since = None
        self.start()
        return True

    def ask(self, number: signal.Signals) -> None:
        """Signal the leader only: it ends its own workers in order."""
        if self.process and self.process.poll() is None:
            self.process.send_signal(number)

    def kill(self) -> None:
        """SIGKILL whatever is left of its process group."""
        if self.process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)

    def last_line(self) -> str:
        """The last words of its log."""
        if self.log is None or not self.log.exists():
            return ""
        lines = [line for line in self.log.read_text(errors="replace")[-4000:].splitlines() if line.strip()]
        return lines[-1].removeprefix("Error: ") if lines else ""


def end_all(children: list[Child]) -> None:
    """End all at once, politely first; afterwards no process of their groups is left."""
    for number, seconds in ENDINGS:
        for child in children:
            child.ask(number)
        deadline = time.monotonic() + seconds
        while (
            any(child.process and child.poll() is None for child in children) and time.monotonic() < deadline
        ):
            time.sleep(0.05)
    for child in children:
        child.kill()
