"""From `make demo` in a fresh clone to the first object ready to compare, then the second start.

Limits: 240 s with warm pip and npm caches (this machine's, whatever they hold), 30 s. Run as: python -m tests.bench.bench_start
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import psycopg2

from tests.processes import free_port

PROJECT = Path(__file__).resolve().parents[2]
FIRST_LIMIT, SECOND_LIMIT = 240.0, 30.0
GIVE_UP = 900.0
READY = "SELECT 1 FROM annotation_task WHERE stage = 'compare' AND state = 'open' LIMIT 1"


class Demo:
    """`make demo` in a folder, as a person would start it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        named = (
            "DATABASE_URL",
            "REDIS_URL",
            "S3_ENDPOINT_URL",
            "MAQUETTE_HOME",
            "HOST",
            "MAKEFLAGS",
            "MAKELEVEL",
        )
        environment = {name: value for name, value in os.environ.items() if name not in named}
        self.output = folder.parent / "printed"
        self.began = time.monotonic()
        with self.output.open("wb") as out:
            self.process = subprocess.Popen(
                ["make", "--no-print-directory", "demo"],
                cwd=folder,
                env={**environment, "PORT": str(free_port())},
                stdout=out,
                stderr=out,
                start_new_session=True,
            )

    def seconds_until(self, true: Callable[[], bool]) -> float:
        """Seconds since the start when the condition came true."""
        while not true():
            if self.process.poll() is not None or time.monotonic() - self.began > GIVE_UP:
                raise RuntimeError(f"make demo did not get there:\n{self.output.read_text()[-3000:]}")
            time.sleep(0.1)
        return time.monotonic() - self.began

    def printed_address(self) -> bool:
        return "Maquette runs at" in self.output.read_text(errors="replace")

    def first_object_ready(self) -> bool:
        """Whether a person who asks for work now would get an object with its candidates."""
        try:
            url = json.loads((self.folder / "var" / "services.json").read_text())["urls"]["postgres"]
            connection = psycopg2.connect(url)
        except (OSError, ValueError, psycopg2.OperationalError):
            return False
        try:
            with connection.cursor() as cursor:
                cursor.execute(READY)
                return cursor.fetchone() is not None
        except psycopg2.Error:
            return False
        finally:
            connection.close()

    def end(self) -> float:
        """Ctrl-C; seconds until it had ended."""
        began = time.monotonic()
        os.killpg(self.process.pid, signal.SIGINT)
        self.process.wait(60)
        return time.monotonic() - began


def main() -> int:
    """0 when both limits hold."""
    place = Path(tempfile.mkdtemp(prefix="maquette-start-"))
    folder = place / "maquette"
    subprocess.run(["git", "clone", "-q", str(PROJECT), str(folder)], check=True)
    demo = Demo(folder)
    try:
        first = demo.seconds_until(demo.first_object_ready)
        address = demo.seconds_until(demo.printed_address)
        end = demo.end()
        demo = Demo(folder)
        second = demo.seconds_until(demo.printed_address)
    finally:
        if demo.process.poll() is None:
            demo.end()
        shutil.rmtree(place, ignore_errors=True)
    print("| start | seconds | limit |\n|---|---|---|")
    print(f"| clone to first object ready | {first:.0f} | {FIRST_LIMIT:.0f} |")
    print(f"| clone to address and logins | {address:.0f} | |")
    print(f"| Ctrl-C to everything ended | {end:.1f} | |")
    print(f"| second start to address | {second:.1f} | {SECOND_LIMIT:.0f} |")
    return 0 if first <= FIRST_LIMIT and second <= SECOND_LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())
