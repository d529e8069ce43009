"""Start the whole product on one machine and keep it running: python -m deploy.supervisor [--reset] [--empty]

Embedded services where the environment names none, migrations, static files, demo data, web server, workers and
beat. Ctrl-C or SIGTERM ends all of them. --reset starts over, --empty leaves out the demo data. PORT (8000) and
HOST (127.0.0.1) say where the web server listens.
"""

import fcntl
import hashlib
import json
import os
import shutil
import signal
import socket
import sys
import time
import urllib.request
from pathlib import Path
from typing import IO

from deploy import embedded
from deploy.children import Child, end_all
from deploy.console import Step, show_box

WEB_READY_SECONDS = 90.0
DEMO_DATA = (
    "services",
    "services.json",
    "blobs",
    "static",
    "logs",
    "beat",
    "cache",
    "evaluations",
    "tmp",
    "uploads",
    "logins.json",
    "secret_key",
    "releases",
    "checkpoints",
    "runs",
)


class Stop(Exception):
    """Somebody asked the supervisor to end."""


class StartError(RuntimeError):
    """It cannot start; the message tells a person what to do."""


def main(arguments: list[str]) -> int:
    """0 after a clean stop or when it runs already, 1 with one line when it cannot start."""
    if set(arguments) - {"--reset", "--empty"}:
        print("usage: python -m deploy.supervisor [--reset] [--empty]", file=sys.stderr)
        return 2
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    home = embedded.home()
    try:
        if "--reset" in arguments:
            reset(home)
        home.mkdir(parents=True, exist_ok=True)
        lock = only_one(home)
        if lock is None:
            return 0
        return Supervisor(home, demo="--empty" not in arguments).run()
    except (StartError, embedded.ServicesError) as error:
        print(f"Error: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"Error: {error}", file=sys.stderr)
        return 1


def only_one(home: Path) -> IO[str] | None:
    """The lock of the one supervisor of this home, or None after telling where the running one is."""
    lock = (home / "supervisor.lock").open("a+")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        print("already running")
        show_box(live(home).get("url", "starting"), home)
        return None
    return lock


def live(home: Path) -> dict[str, str]:
    """What the running supervisor wrote about itself: pid and url."""
    try:
        return dict(json.loads((home / "supervisor.json").read_text()))
    except (OSError, ValueError):
        return {}


def reset(home: Path) -> None:
    """Stop a running demo and delete its data; never touches servers that the user named."""
    if os.environ.get("DATABASE_URL") or os.environ.get("S3_ENDPOINT_URL"):
        raise StartError(
            "demo-reset deletes embedded data only: unset DATABASE_URL and S3_ENDPOINT_URL first"
        )
    if not home.is_dir():
        return
    with (home / "supervisor.lock").open("a") as lock:
        if not _try_lock(lock) and (pid := live(home).get("pid")):
            print("stopping the running demo")
            os.kill(int(pid), signal.SIGTERM)
        deadline = time.monotonic() + 30
        while not _try_lock(lock):
            if time.monotonic() > deadline:
                raise StartError("the running demo does not stop; end it with Ctrl-C first")
            time.sleep(0.2)
    if embedded.running(home / "services") is not None:
        time.sleep(3)  # commands that just ended let the services linger
    if embedded.running(home / "services") is not None:
        raise StartError(f"other commands still use {home}; end them first")
    for name in DEMO_DATA:
        path = home / name
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    print(f"deleted the demo's data in {home}")


def _try_lock(handle: IO[str]) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    except BlockingIOError:
        return False


class Supervisor:
    """Runs the steps in order, then watches the children until asked to stop."""

    def __init__(self, home: Path, *, demo: bool) -> None:
        self.home, self.demo = home, demo
        self.logs = home / "logs"
        self.logs.mkdir(exist_ok=True)
        self.host = os.environ.get("HOST") or "127.0.0.1"
        self.port = _port()
        shown = "localhost" if self.host in ("127.0.0.1", "0.0.0.0", "::") else self.host
        self.url = f"http://{shown}:{self.port}/"
        self.urls: dict[str, str] = {}
        self.children: list[Child] = []
        self.asked = 0

    def run(self) -> int:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._ask)
        try:
            self.start()
            while True:
                self.watch()
        except Stop:
            print("\nstopping", flush=True)
            return 0
        finally:
            signal.signal(signal.SIGINT, self._hasten)
            end_all(self.children)
            embedded.release(self.home, wait=True)
            (self.home / "supervisor.json").unlink(missing_ok=True)

    def _ask(self, *_: object) -> None:
        if not self.asked:
            self.asked = 1
            raise Stop

    def _hasten(self, *_: object) -> None:
        for child in self.children:
            child.kill()

    def start(self) -> None:
        """Everything up to the box with address and logins."""
        _check_port(self.host, self.port)
        with Step("services"):
            self.urls = embedded.ensure(self.home)
        allow_own_name(self.host)
        # Two proposals at once share the cores instead of fighting for them.
        os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 2) // 2)))
        self.manage("migrate", "migrate", "--noinput", "-v0")
        self.collect_static()
        with Step("web server, workers, beat"):
            self.children = [Child(name, command, self.logs) for name, command in self.commands().items()]
            for child in self.children:
                child.start()
            self._announce()
            self.wait_for_web()
        seed = self.start_seed() if self.demo else None
        show_box(self.url, self.home)
        if seed:
            self.wait_for_seed(seed)

    def start_seed(self) -> Child:
        """Begin to make the demo's people and data; returns once the logins are there."""
        seed = Child("demo_seed", [sys.executable, "manage.py", "demo_seed", "--url", self.url], None)
        seed.start()
        self.children.append(seed)
        while not (self.home / "logins.json").exists() and seed.poll() is None:
            time.sleep(0.05)
        return seed

    def wait_for_seed(self, seed: Child) -> None:
        """Watch the others while the demo data comes in; without it the product still runs."""
        print("  demo data: the first objects are ready soon, the others fill in behind", flush=True)
        while seed.poll() is None:
            self.watch(without=seed)
        self.children.remove(seed)
        if seed.poll():
            print("demo data failed (see above); try again: .venv/bin/python manage.py demo_seed", flush=True)
        else:
            print(f"  demo data complete after {time.monotonic() - seed.began:.0f} s", flush=True)

    def commands(self) -> dict[str, list[str]]:
        """What runs, by name. Proposals and trainings never keep the interactive queue waiting."""
        celery = [sys.executable, "-m", "celery", "-A", "workers.app"]
        worker = [*celery, "worker", "-l", "INFO", "--without-gossip", "--without-mingle"]
        web = [
            sys.executable,
            "-m",
            "gunicorn",
            "backend.wsgi",
            "--bind",
            f"{_bracket(self.host)}:{self.port}",
        ]
        web += ["--workers", "3", "--threads", "4", "--timeout", "120", "--graceful-timeout", "5"]
        (self.home / "beat").mkdir(exist_ok=True)
        return {
            "web": web,
            "worker": [*worker, "-Q", "gpu,cpu,export,train", "-c", "2", "-n", "main@%h"],
            "interactive": [*worker, "-Q", "interactive", "-c", "1", "-n", "interactive@%h"],
            "beat": [*celery, "beat", "-l", "INFO", "-s", str(self.home / "beat" / "schedule"), "--pidfile="],
        }

    def manage(self, title: str, *arguments: str) -> None:
        """One manage.py command as a child, so that Ctrl-C ends it like the others."""
        command = [sys.executable, "manage.py", *arguments]
        step = Child(arguments[0], command, self.logs)
        with Step(title):
            step.start()
            try:
                code = step.wait()
            finally:
                step.kill()
        if code:
            raise StartError(f"{title}: {step.last_line()} (log: {step.log})")

    def collect_static(self) -> None:
        """Static files, unless nothing they are made from has changed since the last time."""
        mark, state = self.home / "static" / ".made-from", static_sources()
        if mark.exists() and mark.read_text() == state:
            return
        mark.unlink(missing_ok=True)
        self.manage("static files", "collectstatic", "--noinput", "-v0", "--clear")
        mark.write_text(state)

    def wait_for_web(self) -> None:
        deadline = time.monotonic() + WEB_READY_SECONDS
        while not healthy(self.host, self.port):
            web = self.children[0]
            if web.poll() is not None or time.monotonic() > deadline:
                raise StartError(
                    f"the web server does not answer: {web.last_line()} (log: {self.logs / 'web.log'})"
                )
            time.sleep(0.1)

    def watch(self, without: Child | None = None) -> None:
        """One round: start again what has died, each child with its own growing pause."""
        known = dict(self.urls)
        if embedded.revive(self.urls, self.home):
            print("started the embedded services again", flush=True)
        if known != self.urls:  # its port was taken: whoever talks to the old address starts afresh
            for child in self.children:
                child.kill()
        for child in self.children:
            if child is not without and child.restart_if_dead():
                print(f"{child.name} had ended ({child.last_exit}); started again", flush=True)
        time.sleep(0.5)

    def _announce(self) -> None:
        path = self.home / "supervisor.json"
        path.write_text(json.dumps({"pid": str(os.getpid()), "url": self.url}) + "\n")


def healthy(host: str, port: int) -> bool:
    """Whether /healthz says that the web server and what it needs work."""
    local = "127.0.0.1" if host in ("0.0.0.0", "::") else host
    request = urllib.request.Request(
        f"http://{_bracket(local)}:{port}/healthz", headers={"Host": "localhost"}
    )
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def static_sources() -> str:
    """Size and time of every file that decides what collectstatic makes."""
    root = embedded.PROJECT
    files = [path for path in sorted((root / "annotator_ui").rglob("*")) if "__pycache__" not in path.parts]
    files += [root / "backend" / "settings.py", root / "backend" / "storage.py"]
    files += [root / "node_modules" / ".package-lock.json", Path(sys.prefix) / ".runtime"]
    facts = [(str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in files if path.is_file()]
    return hashlib.sha256(repr(facts).encode()).hexdigest()


def allow_own_name(host: str) -> None:
    """Bound to more than this machine, the web server also answers to the machine's own names."""
    if host in ("127.0.0.1", "localhost") or os.environ.get("ALLOWED_HOSTS"):
        return
    names = ["localhost", "127.0.0.1", "[::1]", host, socket.gethostname(), socket.getfqdn()]
    os.environ["ALLOWED_HOSTS"] = ",".join(dict.fromkeys(names))


def _port() -> int:
    word = os.environ.get("PORT") or "8000"
    if not word.isdigit() or not 0 < int(word) < 65536:
        raise StartError(f"PORT must be a number from 1 to 65535, not {word!r}")
    return int(word)


def _check_port(host: str, port: int) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise StartError(
                f"cannot listen on {host}:{port} ({error.strerror}): choose another, PORT={port + 1} make demo"
            ) from error


def _bracket(host: str) -> str:
    return f"[{host}]" if ":" in host else host


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
