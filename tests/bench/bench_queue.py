"""The queue under load: 100,000 open objects of two candidates; a pair = claim + completing answer, over real HTTP.

Limits (issue «The loop»): one client p95 <= 25 ms each call; 16 closed-loop clients p95 <= 200 ms, >= 80 pairs/s,
<= 8 statements a call, <= 14 CPU-ms a pair (web + database), <= 1.2 times the cost at 1,000 objects. Peer, measured on
two loaded cores: Label Studio 2.3 to 5.8 pairs/s, 44 + 62 statements, 150 to 460 CPU-ms.
"""

import http.client
import json
import os
import resource
import statistics
import subprocess
import sys
import threading
import time
import uuid
from typing import Any

import django
import psutil

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "backend.settings")
django.setup()

from django.core.management import call_command  # noqa: E402
from django.db import connection  # noqa: E402
from django.test.utils import CaptureQueriesContext  # noqa: E402
from rest_framework.test import APIClient  # noqa: E402

from backend.accounts.models import Token, User  # noqa: E402
from backend.catalog.models import Batch  # noqa: E402
from tests.processes import answers, free_port  # noqa: E402

SECONDS = 20
FILL = """
WITH batch AS (
  INSERT INTO catalog_batch (name, kind, state, priority, n_candidates, alpha, overlap, protocol, asks_rating,
    asks_alignment, asks_review, allows_neither, instructions, created_at)
  VALUES (%(name)s, 'mitl', 'paused', 0, %(k)s, 0.5, 1, 'king_of_the_hill', false, false, false, true, '', now())
  RETURNING id
), blob AS (
  INSERT INTO backend_blob (sha256, size, media_type, created_at)
  SELECT lpad(md5(%(name)s || i), 64, '0'), 1, 'image/png', now() FROM generate_series(1, %(n)s) i RETURNING sha256
), image AS (
  INSERT INTO catalog_image (blob_id, display_id, width, height, name, licence, attribution, created_at)
  SELECT sha256, sha256, 64, 48, sha256, '', '', now() FROM blob RETURNING id, blob_id
), object AS (
  INSERT INTO catalog_targetobject (image_id, mask_id, name, category, area, box, created_at)
  SELECT id, blob_id, '', 'mug', 100, '{}', now() FROM image RETURNING id
), candidate AS (
  INSERT INTO proposals_candidate (batch_id, object_id, proposer_id, seed, state, key, mesh_id, viewer_id,
    thumbnail_id, "R", t, s, pointmap_source, score, cost_seconds, created_at)
  SELECT batch.id, object.id, %(proposer)s, seed, 'ready', gen_random_uuid(), %(mesh)s, %(blob)s, %(blob)s,
    '{1,0,0,0,1,0,0,0,1}', '{0,0,1}', '{1,1,1}', '', 0, 0, now()
  FROM batch, object, generate_series(1, %(k)s) seed
)
INSERT INTO annotation_task (batch_id, object_id, stage, state, round, priority, sort_key, needed, n_leased, n_done,
  reason, note, created_at)
SELECT batch.id, object.id, 'compare', 'open', 1, 0, object.id, 1, 0, 0, '', '', now() FROM batch, object
RETURNING batch_id
"""


def fill(name: str, n: int, k: int) -> int:
    """A batch of n open objects with k ready candidates each; returns its id."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT id FROM proposals_proposer WHERE name = 'bench'")
        row = cursor.fetchone()
        if row is None:
            cursor.execute(
                "INSERT INTO proposals_proposer (name, kind, active, share, created_at)"
                " VALUES ('bench', 'inflation', true, 1, now()) RETURNING id"
            )
            row = cursor.fetchone()
            cursor.execute("INSERT INTO backend_blob VALUES (repeat('a', 64), 1, 'model/gltf-binary', now())")
            cursor.execute(
                "INSERT INTO catalog_mesh (blob_id, source, name, category, triangles, extents, licence, attribution,"
                " created_at) VALUES (repeat('a', 64), 'proposer', '', '', 12, '{1,1,1}', '', '', now())"
            )
        cursor.execute("SELECT id FROM catalog_mesh LIMIT 1")
        mesh = cursor.fetchone()[0]
        values = {"name": name, "n": n, "k": k, "proposer": row[0], "mesh": mesh, "blob": "a" * 64}
        cursor.execute(FILL, values)
        batch = cursor.fetchone()[0]
        cursor.execute("ANALYZE")
    return int(batch)


class Client:
    """One annotator with a kept-alive connection."""

    def __init__(self, port: int, token: str, batch: int) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", port)
        self.headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        self.batch = batch
        self.next_ms: list[float] = []
        self.submit_ms: list[float] = []

    def post(self, path: str, body: dict[str, Any], into: list[float]) -> dict[str, Any]:
        """POST, timed; anything but 200 ends the run."""
        started = time.perf_counter()
        self.connection.request("POST", f"/api/v1/{path}", json.dumps(body), self.headers)
        reply = self.connection.getresponse()
        text = reply.read()
        into.append((time.perf_counter() - started) * 1000)
        if reply.status != 200:
            raise RuntimeError(f"{path}: {reply.status} {text[:200]!r}")
        return dict(json.loads(text))

    def pair(self) -> None:
        """Claim an object of two candidates and answer it."""
        work = self.post("next/", {"batch": self.batch, "stage": "compare"}, self.next_ms)
        self.answer(work)

    def answer(self, work: dict[str, Any]) -> dict[str, Any]:
        """One comparison of the assignment in hand."""
        body = {
            "fence": work["fence"],
            "seq": work["compare"]["next_seq"],
            "answer": "left",
            "key": str(uuid.uuid4()),
        }
        return self.post(f"assignments/{work['id']}/comparisons/", {**body, "active_ms": 900}, self.submit_ms)

    def bracket(self) -> None:
        """Claim an object of eight candidates and answer all seven comparisons."""
        work = self.post("next/", {"batch": self.batch, "stage": "compare"}, self.next_ms)
        while work.get("compare", {}).get("step"):
            work = {**work, **self.answer(work)["assignment"]}
            if work["state"] == "submitted":
                return


def cpu_seconds(roots: list[psutil.Process]) -> float:
    """CPU used so far by these processes and all below them."""
    total = 0.0
    for root in roots:
        for process in [root, *root.children(recursive=True)]:
            try:
                times = process.cpu_times()
                total += times.user + times.system + times.children_user + times.children_system
            except psutil.NoSuchProcess:
                continue
    return total


def load(clients: list[Client], roots: list[psutil.Process], work: str) -> dict[str, float]:
    """Run all clients in a closed loop for SECONDS; figures of the whole."""
    stop = time.monotonic() + SECONDS
    done = [0] * len(clients)
    failures: list[Exception] = []

    def loop(index: int) -> None:
        try:
            while time.monotonic() < stop:
                getattr(clients[index], work)()
                done[index] += 1
        except Exception as failure:
            failures.append(failure)

    before, own = cpu_seconds(roots), resource.getrusage(resource.RUSAGE_SELF)
    started = time.monotonic()
    threads = [threading.Thread(target=loop, args=[index]) for index in range(len(clients))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    wall, own_after = time.monotonic() - started, resource.getrusage(resource.RUSAGE_SELF)
    nexts = [ms for client in clients for ms in client.next_ms]
    submits = [ms for client in clients for ms in client.submit_ms]
    for client in clients:
        client.next_ms, client.submit_ms = [], []
    return {
        "per_s": sum(done) / wall,
        "submits_per_s": len(submits) / wall,
        "next_p50": statistics.median(nexts),
        "next_p95": statistics.quantiles(nexts, n=20)[-1],
        "submit_p50": statistics.median(submits),
        "submit_p95": statistics.quantiles(submits, n=20)[-1],
        "cpu_ms": (cpu_seconds(roots) - before) * 1000 / sum(done),
        "client_cpu_ms": (own_after.ru_utime + own_after.ru_stime - own.ru_utime - own.ru_stime)
        * 1000
        / sum(done),
    }


def statements(batch: int, user: User) -> tuple[int, int]:
    """SQL statements of one claim and one completing answer, savepoints apart (they stand for BEGIN and COMMIT)."""
    token, _ = Token.issue(user)
    client = APIClient(HTTP_AUTHORIZATION=f"Bearer {token}", SERVER_NAME="localhost")

    def count(path: str, body: dict[str, Any]) -> tuple[int, Any]:
        with CaptureQueriesContext(connection) as seen:
            reply = client.post(path, body, format="json")
        real = [
            q
            for q in seen.captured_queries
            if not q["sql"].startswith(("SAVEPOINT", "RELEASE", "BEGIN", "COMMIT"))
        ]
        return len(real), reply.json()

    claims, work = count("/api/v1/next/", {"batch": batch, "stage": "compare"})
    body = {"fence": work["fence"], "seq": 1, "answer": "left", "key": str(uuid.uuid4())}
    submits, _ = count(f"/api/v1/assignments/{work['id']}/comparisons/", body)
    return claims, submits


def main() -> None:
    """Fill, serve, measure, print."""
    call_command("migrate", verbosity=0)
    users = [User.objects.create(username=f"bench{n}") for n in range(17)]
    tokens = [Token.issue(user)[0] for user in users[:16]]
    started = time.monotonic()
    large, eight = [fill("queue-large", 100_000, 2)], [fill("queue-eight", 4_000, 8)]
    small = [fill(f"queue-small-{n}", 1_000, 2) for n in range(4)]
    print(f"filled 108,000 objects in {time.monotonic() - started:.0f} s")
    Batch.objects.filter(pk__in=large).update(state="open")
    claims, submits = statements(large[0], users[16])
    port = free_port()
    command = [
        sys.executable,
        "-m",
        "gunicorn",
        "backend.wsgi",
        "--bind",
        f"127.0.0.1:{port}",
        "--workers",
        "2",
    ]
    command += ["--threads", "8", "--keep-alive", "30", "--worker-class", "gthread", "--log-level", "error"]
    server = subprocess.Popen(command)
    try:
        while not answers(f"http://127.0.0.1:{port}/healthz"):
            time.sleep(0.1)
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            postmaster = psutil.Process(cursor.fetchone()[0]).parent()
        assert postmaster is not None
        roots = [psutil.Process(server.pid), postmaster]
        results: dict[str, dict[str, float]] = {}
        for name, batches, clients, work in (
            ("1 client, 100,000 objects", large, 1, "pair"),
            ("16 clients, 100,000 objects", large, 16, "pair"),
            ("16 clients, 4 batches of 1,000 objects", small, 16, "pair"),
            ("16 clients, brackets of 8", eight, 16, "bracket"),
        ):
            Batch.objects.update(state="paused")
            Batch.objects.filter(pk__in=batches).update(state="open")
            people = [Client(port, tokens[n], batches[n % len(batches)]) for n in range(clients)]
            results[name] = load(people, roots, work)
    finally:
        server.terminate()
        server.wait(10)
    print(
        f"statements: next {claims} (limit 8; Label Studio 44), submit {submits} (limit 8; Label Studio 62)"
    )
    for name, r in results.items():
        unit = "brackets" if "brackets" in name else "pairs"
        print(
            f"{name}: {r['per_s']:.0f} {unit}/s ({r['submits_per_s']:.0f} comparisons/s), "
            f"next p50/p95 {r['next_p50']:.1f}/{r['next_p95']:.1f} ms, "
            f"submit {r['submit_p50']:.1f}/{r['submit_p95']:.1f} ms, "
            f"{r['cpu_ms']:.1f} CPU-ms web + database, client {r['client_cpu_ms']:.1f}"
        )
    many, few = results["16 clients, 100,000 objects"], results["16 clients, 4 batches of 1,000 objects"]
    print(
        f"100,000 beside 1,000 objects: {many['cpu_ms'] / few['cpu_ms']:.2f} x CPU (limit 1.2); "
        f"beside Label Studio's best 5.8 pairs/s: {many['per_s'] / 5.8:.0f} x"
    )


if __name__ == "__main__":
    main()
