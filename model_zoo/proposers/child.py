"""Runs a command that is not ours: its own process group, a time limit, a bounded memory of what it prints, no leftovers."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

from model_zoo.io.errors import BadInput, safe_text

POLL_SECONDS = 0.02
TAIL_BYTES = 4000
PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None)


def die_with_parent() -> None:
    """Runs in the child: it must not go on, writing, when its parent was killed and another one took the work."""
    _LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def run(command: Sequence[str], folder: Path, *, environment: Mapping[str, str], seconds: float) -> None:
    """Runs a command in a folder until it ends; afterwards nothing of its process group is left.

    It gets no input and exactly this environment. Raises BadInput with one line, its own last one where it said
    something, when it cannot be started, ends with another code than 0, is killed, or takes longer than `seconds`.
    """
    try:
        child = subprocess.Popen(
            list(command),
            cwd=folder,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=die_with_parent,
        )
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise BadInput(f"{safe_text(command[0])} cannot be started: {why}", "no_command") from None
    assert child.stdout is not None
    said = _Tail(child.stdout)
    try:
        in_time = _ended(child.pid, time.monotonic() + seconds)
    finally:
        # The leader is not reaped yet, so the group's number cannot belong to anybody else.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()
    if not in_time:
        raise BadInput(f"it was stopped after {seconds:g} s{said.last_line()}", "timeout")
    if child.returncode < 0:
        raise BadInput(f"it was killed by {_signal(-child.returncode)}{said.last_line()}", "crashed")
    if child.returncode:
        raise BadInput(f"it ended with code {child.returncode}{said.last_line()}", "failed")


def _ended(pid: int, deadline: float) -> bool:
    """Waits for a child without reaping it; False when it has not ended in time."""
    while os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


class _Tail:
    """The end of what a child prints; the rest is read and forgotten, however much it is."""

    def __init__(self, stream: IO[bytes]) -> None:
        self.kept = b""
        self._thread = threading.Thread(target=self._read, args=(stream,), daemon=True)
        self._thread.start()

    def _read(self, stream: IO[bytes]) -> None:
        with stream:
            while part := os.read(stream.fileno(), 1 << 16):
                self.kept = (self.kept + part)[-TAIL_BYTES:]

    def last_line(self) -> str:
        """ ": " and the last line that says something, or nothing."""
        # One that left the group may still hold the pipe: it is not waited for.
        self._thread.join(1.0)
        lines = [line for line in self.kept.decode(errors="replace").splitlines() if line.strip()]
        return f": {safe_text(lines[-1].strip(), 300)}" if lines else ""
