"""One command starts everything, keeps it running and leaves nothing behind."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.processes import free_port

PROJECT = Path(__file__).resolve().parents[2]


@dataclass
class Running:
    """A started supervisor: its process, environment, address and what it has printed."""

    process: subprocess.Popen[bytes]
    environment: dict[str, str]
    url: str
    output: Path

    def healthy(self) -> bool:
        try:
            return bool(urllib.request.urlopen(f"{self.url}healthz", timeout=5).status == 200)
        except OSError:
            return False

    def printed(self) -> str:
        return self.output.read_text()

    def members(self) -> dict[int, str]:
        """Every process that works on this home, by pid."""
        mark = f"MAQUETTE_HOME={self.environment['MAQUETTE_HOME']}".encode()
        found = {}
        for entry in Path("/proc").iterdir():
            try:
                if entry.name.isdigit() and mark in (entry / "environ").read_bytes().split(b"\0"):
                    found[int(entry.name)] = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                continue
        return found


def until(true: Callable[[], bool], seconds: float = 40) -> None:
    """Wait for a condition; fail when it does not come true."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.1)


def start(environment: dict[str, str], *words: str) -> "subprocess.CompletedProcess[str]":
    """Run the supervisor to its end."""
    return subprocess.run(
        [sys.executable, "-m", "deploy.supervisor", *words],
        cwd=PROJECT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A supervisor without demo data on services of its own."""
    folder = tmp_path_factory.mktemp("sup")
    port = free_port()
    environment = {**os.environ, "MAQUETTE_HOME": str(folder / "h"), "PORT": str(port)}
    for name in ("DATABASE_URL", "REDIS_URL", "HOST"):
        environment.pop(name, None)
    output = folder / "printed"
    with output.open("wb") as out:
        command = [sys.executable, "-m", "deploy.supervisor", "--empty"]
        process = subprocess.Popen(command, cwd=PROJECT, env=environment, stdout=out, stderr=out)
    made = Running(process, environment, f"http://localhost:{port}/", output)
    try:
        until(lambda: process.poll() is not None or "Maquette runs at" in output.read_text(), seconds=90)
        assert process.poll() is None, output.read_text()
        yield made
    finally:
        process.kill()
        process.wait()


def test_it_prints_the_address_when_the_web_server_answers(running: Running) -> None:
    assert running.url in running.printed()
    assert running.healthy()


def test_a_second_start_tells_where_the_first_one_is(running: Running) -> None:
    second = start(running.environment)
    assert second.returncode == 0
    assert running.url in second.stdout


def leaders(running: Running, words: str) -> set[int]:
    """Pids of the process groups' leaders whose command line has the words."""
    return {pid for pid, command in running.members().items() if words in command and os.getpgid(pid) == pid}


@pytest.mark.parametrize("words", ["gunicorn backend.wsgi", "-Q interactive", "bin/postgres -D"])
def test_a_killed_part_is_started_again(running: Running, words: str) -> None:
    before = leaders(running, words)
    os.kill(min(before), signal.SIGKILL)
    until(lambda: bool(leaders(running, words) - before))
    until(running.healthy)


def test_ctrl_c_ends_all_of_it_with_exit_code_0(running: Running) -> None:
    running.process.send_signal(signal.SIGINT)
    assert running.process.wait(30) == 0
    assert running.members() == {}


def test_a_taken_port_is_one_line_and_exit_code_1(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        done = start({**os.environ, "MAQUETTE_HOME": str(tmp_path), "PORT": port})
    assert done.returncode == 1
    assert f"cannot listen on 127.0.0.1:{port}" in done.stderr
    assert done.stderr.count("\n") == 1


def test_reset_does_not_touch_servers_that_the_user_named(tmp_path: Path) -> None:
    done = start({**os.environ, "MAQUETTE_HOME": str(tmp_path)}, "--reset")
    assert done.returncode == 1
    assert "unset DATABASE_URL" in done.stderr
