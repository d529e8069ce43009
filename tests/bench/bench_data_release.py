"""A release of 1,000,000 preference pairs, beside a plain named cursor and a plain COPY of the same rows; and its shards
beside `tar` of the same blobs.

Limits (issue «The data sets»): >= 50,000 index rows a second apart from copying blobs, shards at >= 70 % of what tar
reaches on the same disk in the same run, memory flat: writing 1,000,000 pairs takes at most 60 MB more than writing and
verifying 100,000. The pairs share a few small blobs; the shards of the comparison hold blobs of usual sizes, no two alike.
"""

import argparse
import hashlib
import io
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "backend.settings")
django.setup()

import numpy as np  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.db import connection, transaction  # noqa: E402
from PIL import Image as Picture  # noqa: E402

from backend import storage  # noqa: E402
from backend.accounts.models import User  # noqa: E402
from backend.catalog.models import Batch, Mesh  # noqa: E402
from backend.datasets import services  # noqa: E402
from backend.proposals.models import Proposer  # noqa: E402
from model_zoo.io.shards import ShardWriter, Stored  # noqa: E402
from workers.release_check import check  # noqa: E402
from workers.releasing import Writer  # noqa: E402

CANDIDATES = 8
SMALL, LARGE = 100_000, 1_000_000
ROWS_A_SECOND, TAR_SHARE, GROWTH_MB = 50_000, 0.7, 60
MEMBERS = {"image.jpg": 150_000, "mask.png": 5_000, "pointmap.npz": 1_000_000, "mesh.glb": 800_000}
FILL = """
WITH blob AS (
  INSERT INTO backend_blob (sha256, size, media_type, created_at)
  SELECT md5(%(batch)s || 'b' || i) || md5('photo ' || i), 1, 'image/jpeg', now() FROM generate_series(1, %(n)s) i
  RETURNING sha256
), image AS (
  INSERT INTO catalog_image (blob_id, display_id, width, height, name, licence, attribution, created_at)
  SELECT sha256, %(photo)s, 64, 48, sha256, 'CC0', 'somebody', now() FROM blob RETURNING id
), pointmap AS (
  INSERT INTO catalog_pointmap (image_id, blob_id, source, metric, camera, created_at)
  SELECT id, %(points)s, 'sensor', true, '{"fx": 60, "fy": 60, "cx": 32, "cy": 24, "width": 64, "height": 48}', now() FROM image
), object AS (
  INSERT INTO catalog_targetobject (image_id, mask_id, name, category, area, box, created_at)
  SELECT id, %(mask)s, '', 'mug', 100, '{}', now() FROM image RETURNING id
), task AS (
  INSERT INTO annotation_task (batch_id, object_id, stage, state, round, priority, sort_key, needed, n_leased, n_done,
    reason, note, created_at)
  SELECT %(batch)s, id, 'compare', 'done', 1, 0, id, 1, 0, 1, '', '', now() FROM object RETURNING id, object_id
)
INSERT INTO proposals_candidate (batch_id, object_id, proposer_id, seed, state, key, mesh_id, viewer_id, thumbnail_id,
  "R", t, s, pointmap_source, score, cost_seconds, created_at)
SELECT %(batch)s, object_id, %(proposer)s, seed, 'ready', gen_random_uuid(), %(mesh)s, %(glb)s, %(glb)s,
  '{1,0,0,0,1,0,0,0,1}', '{0,0,1}', '{1,1,1}', 'sensor', 0, 0, now() FROM task, generate_series(1, %(k)s) seed
"""
ANSWER = """
WITH assignment AS (
  INSERT INTO annotation_assignment (task_id, user_id, batch_id, stage, state, origin, prefetch, fence, lease_until,
    bracket, survivor_id, reason, active_ms, created_at, finished_at)
  SELECT t.id, %(user)s, t.batch_id, 'compare', 'submitted', 'person', false, 1, now(), ids, ids[1], '', 1000, now(), now()
  FROM annotation_task t JOIN (SELECT object_id, array_agg(id ORDER BY id) AS ids FROM proposals_candidate
                               WHERE batch_id = %(batch)s GROUP BY object_id) c ON c.object_id = t.object_id
  WHERE t.batch_id = %(batch)s RETURNING id, bracket
)
INSERT INTO annotation_rating (assignment_id, candidate_id, r, reasons, at)
SELECT id, bracket[1], 0.9, '{}', now() FROM assignment
"""
# The pairs that such answers give, added at once: what is measured here is how a release is written.
PAIRS = """
INSERT INTO datasets_preferencepair (batch_id, object_id, chosen_id, rejected_id, assignment_id, weight, simulated, created_at)
SELECT a.batch_id, t.object_id, a.bracket[1], other, a.id, 1, false, now()
FROM annotation_assignment a JOIN annotation_task t ON t.id = a.task_id CROSS JOIN LATERAL unnest(a.bracket[2:]) AS other
WHERE a.batch_id = %(batch)s
"""
PLAIN = """
SELECT p.id, p.object_id, p.chosen_id, p.rejected_id, p.weight, p.simulated, r.r, b.name, a.user_id
FROM datasets_preferencepair p JOIN catalog_batch b ON b.id = p.batch_id JOIN annotation_assignment a ON a.id = p.assignment_id
LEFT JOIN annotation_rating r ON r.assignment_id = p.assignment_id WHERE p.batch_id = {batch} ORDER BY p.object_id, p.id
"""


def blobs() -> dict[str, object]:
    """The few real blobs that all pairs share, and who made them."""
    picture, mask = io.BytesIO(), io.BytesIO()
    Picture.new("RGB", (640, 480), (90, 120, 60)).save(picture, "JPEG")
    Picture.new("L", (640, 480), 255).save(mask, "PNG")
    mesh_blob = storage.put(b"glTF" + bytes(300), "model/gltf-binary")
    mesh = Mesh.objects.create(
        blob=mesh_blob, source="proposer", triangles=100, extents=[1, 1, 1], licence="CC0"
    )
    return {
        "k": CANDIDATES,
        "photo": storage.put(picture.getvalue(), "image/jpeg").pk,
        "mask": storage.put(mask.getvalue(), "image/png").pk,
        "points": storage.put(bytes(300), "application/x-npz").pk,
        "glb": mesh_blob.pk,
        "mesh": mesh.pk,
        "proposer": Proposer.objects.create(name="bench", kind="flow").pk,
        "user": User.objects.create_user("ada").pk,
    }


def fill(pairs: int, values: dict[str, object]) -> Batch:
    """A batch with this many pairs of finished brackets, in SQL."""
    batch = Batch.objects.create(name=f"batch-{pairs}", asks_alignment=False)
    values = {**values, "n": -(-pairs // (CANDIDATES - 1)), "batch": batch.pk}
    with connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")  # no look-up of foreign keys while filling
        for statement in (FILL, ANSWER, PAIRS):
            cursor.execute(statement, values)
            cursor.execute("ANALYZE")
        cursor.execute("SET session_replication_role = origin")
    return batch


def plain(batch: Batch, folder: Path) -> tuple[float, float]:
    """The bare minimum, twice: one named cursor, one JSON line a row; and COPY to CSV. Seconds."""
    query, seconds = PLAIN.format(batch=batch.pk), []
    with transaction.atomic(), (folder / "rows.jsonl").open("w") as file:
        started = time.perf_counter()
        with connection.connection.cursor(name="plain") as cursor:
            cursor.itersize = 2000
            cursor.execute(query)
            for row in cursor:
                file.write(json.dumps(row) + "\n")
        seconds.append(time.perf_counter() - started)
    with connection.cursor() as cursor, (folder / "rows.csv").open("wb") as file:
        started = time.perf_counter()
        cursor.copy_expert(f"COPY ({query}) TO STDOUT (FORMAT csv, HEADER)", file)
        seconds.append(time.perf_counter() - started)
    return seconds[0], seconds[1]


def megabytes() -> float:
    """Largest resident size of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def release(pairs: int, values: dict[str, object], folder: Path) -> tuple[float, float]:
    """Write one release of `pairs` pairs and print its figures; index rows a second apart from copying blobs, and the
    largest size of the process when it was written."""
    batch = fill(pairs, values)
    cursor, copied = plain(batch, folder)
    before = megabytes()
    made = services.begin(kind="dpo", batches=[batch])
    writer = Writer(made, folder / f"out-{pairs}", lambda done, total: None)
    started, cpu = time.perf_counter(), time.process_time()
    manifest = writer.write()
    seconds = time.perf_counter() - started
    cpu = time.process_time() - cpu
    rows = manifest["counts"]["rows"]
    apart = seconds - writer.copy_seconds - writer.choose_seconds
    size = sum(file["size"] for file in manifest["files"] if file["name"].startswith("shards/"))
    print(
        f"{rows} pairs of {manifest['counts']['objects']} objects, {manifest['counts']['candidates']} candidates"
    )
    print(f"  all of it                      {seconds:8.1f} s   {rows / seconds:10.0f} rows/s")
    print(f"  choosing the rows (freeze)     {writer.choose_seconds:8.1f} s")
    print(f"  copying blobs                  {writer.copy_seconds:8.1f} s   {size / 2**20:10.0f} MB")
    print(
        f"  index: copy out, join, write   {apart:8.1f} s   {rows / apart:10.0f} rows/s (limit {ROWS_A_SECOND})"
    )
    print(f"    CPU of this process          {cpu - writer.copy_cpu_seconds:8.1f} s")
    print(f"  named cursor to JSON lines     {cursor:8.1f} s   {rows / cursor:10.0f} rows/s, fewer columns")
    print(f"  COPY to CSV                    {copied:8.1f} s   {rows / copied:10.0f} rows/s, fewer columns")
    written = megabytes()
    print(f"  memory: {before:.0f} MB before, {written:.0f} MB at most", flush=True)
    started = time.perf_counter()
    found = check(writer.folder)
    seconds = time.perf_counter() - started
    print(
        f"  verified                       {seconds:8.1f} s   {rows / seconds:10.0f} rows/s, {found.members} members"
    )
    print(f"  memory: {megabytes():.0f} MB at most", flush=True)
    shutil.rmtree(writer.folder)
    return 0 if found.problems else rows / apart, written


def shards(folder: Path, megabyte: int) -> float:
    """Share of tar's speed that ShardWriter reaches on the same files, each once warm, written through to the disk."""
    chance, members, total = np.random.default_rng(0), [], 0
    (folder / "blobs").mkdir()
    while total < megabyte * 2**20:
        for name, size in MEMBERS.items():
            data = chance.bytes(int(size * chance.uniform(0.5, 1.5)))
            path = folder / "blobs" / hashlib.sha256(data).hexdigest()
            path.write_bytes(data)
            members.append((name, path, len(data)))
            total += len(data)
    (folder / "names").write_text("".join(f"{path.name}\n" for _, path, _ in members))
    os.sync()
    times: dict[str, list[float]] = {"tar": [], "shards": []}
    for turn in range(5):
        target = folder / f"{turn}.tar"
        started = time.perf_counter()
        subprocess.run(["tar", "-cf", target, "-C", folder / "blobs", "-T", folder / "names"], check=True)
        subprocess.run(["sync", target], check=True)
        times["tar"].append(time.perf_counter() - started)
        target.unlink()
        os.sync()
        started, cpu = time.perf_counter(), time.process_time()
        with ShardWriter(folder / f"shards-{turn}") as writer:
            for number in range(0, len(members), len(MEMBERS)):
                some = members[number : number + len(MEMBERS)]
                writer.write(
                    f"o{number:09d}", {name: Stored(path.name, size, str(path)) for name, path, size in some}
                )
        times["shards"].append(time.perf_counter() - started)
        cpu = time.process_time() - cpu
        for path in (folder / f"shards-{turn}").iterdir():
            path.unlink()
        os.sync()
    tar, ours = (min(times[name]) for name in ("tar", "shards"))
    print(f"{len(members)} blobs, {total / 2**20:.0f} MB, through to the disk, best of 5 turns each")
    print(
        f"  tar                            {tar:8.2f} s   {total / tar / 2**20:10.0f} MB/s   {times['tar']}"
    )
    print(
        f"  shards, each member verified   {ours:8.2f} s   {total / ours / 2**20:10.0f} MB/s   {times['shards']}"
    )
    print(f"  share of tar                   {tar / ours:8.2f}     (limit {TAR_SHARE})", flush=True)
    return tar / ours


def main() -> int:
    """Print the figures; 1 when a limit is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=LARGE)
    parser.add_argument("--megabytes", type=int, default=1500, help="of blobs for the comparison with tar")
    options = parser.parse_args()
    call_command("migrate", verbosity=0)
    with tempfile.TemporaryDirectory() as folder:
        share = shards(Path(folder), options.megabytes)
    with tempfile.TemporaryDirectory() as folder:
        values = blobs()
        release(min(SMALL, options.pairs), values, Path(folder))
        small = (
            megabytes()
        )  # of writing and verifying; both hold a shard's worth or two, however many there are
        rate, written = release(options.pairs, values, Path(folder)) if options.pairs > SMALL else (0, small)
        growth = written - small
    print(f"memory from {SMALL} to {options.pairs} pairs  {growth:+8.0f} MB  (limit {GROWTH_MB})")
    return 0 if rate >= ROWS_A_SECOND and share >= TAR_SHARE and growth < GROWTH_MB else 1


if __name__ == "__main__":
    sys.exit(main())
