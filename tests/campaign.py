"""The queue campaign: clients in processes that are killed at random claim, answer, skip and let leases run out.

`run` starts the processes against the test database and checks the books afterwards. As a program
(`python -m tests.campaign LOG USER_ID ...`) it is one of those processes: a thread for each user.
"""

import os
import random
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections import Counter
from functools import partial
from pathlib import Path

PROCESSES = 8
CLIENTS = 4


def client(user_id: int, log: int) -> None:
    """One annotator without end: claims, answers brackets, sometimes repeats a request, sometimes falls asleep."""
    from django.db import connection

    from backend.accounts.access import ApiError
    from backend.accounts.models import User
    from backend.annotation import answers, services
    from backend.annotation.models import Assignment, Comparison

    user, dice = User.objects.get(pk=user_id), random.Random()
    while True:
        held = services.claim(user, stages=["compare"], prefetch=dice.random() < 0.2)
        if held is None:
            connection.close()
            time.sleep(0.05)
            continue
        row = Assignment.objects.get(pk=held)
        try:
            if dice.random() < 0.05:
                time.sleep(1.5)  # the lease runs out in the annotator's hands
            if dice.random() < 0.05:
                services.end(user, held, row.fence, state="skipped", reason="campaign")
                continue
            while True:
                rows = list(Comparison.objects.filter(assignment=row).order_by("seq"))
                state = answers.standing(row, rows)
                key = uuid.uuid4()
                send = partial(
                    answers.rate, user, held, fence=row.fence, r=0.9, key=key, active_ms=1
                )
                if state.step is not None:
                    say = {
                        "seq": state.next_seq,
                        "answer": dice.choice(["left", "right", "equal"]),
                    }
                    send = partial(answers.compare, user, held, fence=row.fence, key=key, active_ms=1, **say)
                send()
                os.write(log, f"{held} {key}\n".encode())
                if dice.random() < 0.2:
                    assert send().replayed
                if state.step is None:
                    break
        except ApiError as refusal:
            if refusal.status_code != 409:
                raise


def run(folder: Path, environment: dict[str, str], users: list[int], seconds: float) -> list[tuple[int, str]]:
    """Let PROCESSES x CLIENTS work, killing a process about every second; the acknowledged answers.

    At least `seconds`, and on a busy machine until 200 answers are in, at most two minutes more.
    """
    from backend.annotation import services

    children: list[subprocess.Popen[bytes]] = []

    def start(slot: int) -> subprocess.Popen[bytes]:
        mine = [str(user) for user in users[slot * CLIENTS : (slot + 1) * CLIENTS]]
        command = [sys.executable, "-m", "tests.campaign", str(folder / f"acknowledged-{slot}"), *mine]
        return subprocess.Popen(command, env={**environment, "LEASE_SECONDS": "1", "PREFETCH_SECONDS": "1"})

    try:
        children = [start(slot) for slot in range(PROCESSES)]
        started = time.monotonic()
        while (past := time.monotonic() - started) < seconds or (
            past < seconds + 120 and len(_acknowledged(folder)) < 200
        ):
            time.sleep(random.uniform(0.5, 1.5))
            services.reap_leases()
            slot = random.randrange(PROCESSES)
            if children[slot].poll() is not None:
                raise AssertionError(f"a client process ended by itself with {children[slot].returncode}")
            children[slot].send_signal(signal.SIGKILL)
            children[slot].wait()
            children[slot] = start(slot)
    finally:
        for child in children:
            child.kill()
            child.wait()
    return _acknowledged(folder)


def _acknowledged(folder: Path) -> list[tuple[int, str]]:
    """What the processes wrote down after the service had returned."""
    lines = [line.split() for path in folder.glob("acknowledged-*") for line in path.read_text().splitlines()]
    return [(int(line[0]), line[1]) for line in lines if len(line) == 2 and len(line[1]) == 36]


def _settle() -> None:
    """Wait until the server has ended what the killed processes had under way."""
    from django.db import connection

    busy, stop = True, time.monotonic() + 60
    while busy:
        assert time.monotonic() < stop, "a killed process's statements are still running"
        time.sleep(0.2)
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
                " AND pid <> pg_backend_pid() AND state <> 'idle'"
            )
            busy = cursor.fetchone()[0] > 0


def check(acknowledged: list[tuple[int, str]]) -> dict[str, int]:
    """Recount everything: no task over-assigned, counters right, every acknowledged answer stored exactly once."""
    from backend.annotation.models import Assignment, Comparison, Task

    _settle()
    states = Counter(Assignment.objects.values_list("task_id", "state"))
    for task in Task.objects.filter(stage="compare"):
        leased, done = states[task.pk, "leased"], states[task.pk, "submitted"]
        counted = (task.n_leased, task.n_done)
        assert counted == (leased, done), f"task {task.pk}: counters say {counted}, rows {(leased, done)}"
        assert leased + done <= task.needed, f"task {task.pk} is over-assigned"
    pairs = Counter(Assignment.objects.values_list("task_id", "user_id"))
    assert max(pairs.values()) == 1, "one person twice on one task"
    stored = Counter((row, str(key)) for row, key in Comparison.objects.values_list("assignment_id", "key"))
    stored += Counter(
        (row, str(key)) for row, key in Assignment.objects.exclude(key=None).values_list("id", "key")
    )
    lost = [entry for entry in acknowledged if stored[entry] != 1]
    assert not lost, f"{len(lost)} acknowledged answers are not stored once"
    assert len(acknowledged) == len(set(acknowledged))
    ends = sum(1 for state in states.elements() if state[1] == "submitted")
    return {
        "acknowledged": len(acknowledged),
        "submitted": ends,
        "expired": sum(n for s, n in states.items() if s[1] == "expired"),
    }


def main() -> None:
    """One process of the campaign."""
    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "backend.settings")
    django.setup()
    log = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    threads = [threading.Thread(target=client, args=[int(user), log]) for user in sys.argv[2:]]
    failures: list[object] = []
    threading.excepthook = lambda args: (failures.append(args), sys.__excepthook__(*args[:3]), os._exit(3))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    main()
