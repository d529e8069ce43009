"""A release of 100,000 preference pairs, beside a plain named cursor that writes the same rows as JSON lines.

Limits (issue «The loop»): >= 15,000 index rows a second apart from copying blobs, memory growth < 200 MB. Peer, measured
on two loaded cores: Label Studio 328 s for 100,000 annotated tasks; a named cursor to JSON lines 34,000 rows a second.
"""

import io
import json
import os
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "backend.settings")
django.setup()

from django.core.management import call_command  # noqa: E402
from django.db import connection, transaction  # noqa: E402
from PIL import Image as Picture  # noqa: E402

from backend import storage  # noqa: E402
from backend.accounts.models import User  # noqa: E402
from backend.catalog.models import Batch, Mesh  # noqa: E402
from backend.datasets import services  # noqa: E402
from backend.proposals.models import Proposer  # noqa: E402
from workers.releasing import Writer  # noqa: E402

PAIRS = 100_000
CANDIDATES = 8
FILL = """
WITH blob AS (
  INSERT INTO backend_blob (sha256, size, media_type, created_at)
  SELECT md5(i::text) || md5('photo ' || i), 1, 'image/jpeg', now() FROM generate_series(1, %(n)s) i RETURNING sha256
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
), rating AS (
  INSERT INTO annotation_rating (assignment_id, candidate_id, r, reasons, at)
  SELECT id, bracket[1], 0.9, '{}', now() FROM assignment
)
INSERT INTO annotation_comparison (assignment_id, seq, answer, left_id, right_id, kept_id, key, reasons, active_ms, at)
SELECT id, seq, 'left', bracket[1], bracket[seq + 1], bracket[1], gen_random_uuid(), '{}', 500, now()
FROM assignment, generate_series(1, %(k)s - 1) seq
"""
PLAIN = """
SELECT p.id, p.object_id, p.chosen_id, p.rejected_id, p.weight, p.simulated, r.r, b.name, a.user_id
FROM datasets_preferencepair p JOIN catalog_batch b ON b.id = p.batch_id JOIN annotation_assignment a ON a.id = p.assignment_id
LEFT JOIN annotation_rating r ON r.assignment_id = p.assignment_id ORDER BY p.object_id, p.id
"""


def fill() -> Batch:
    """100,000 pairs' worth of finished brackets, in SQL; the few blobs are real and shared."""
    picture = io.BytesIO()
    Picture.new("RGB", (640, 480), (90, 120, 60)).save(picture, "JPEG")
    mask = io.BytesIO()
    Picture.new("L", (640, 480), 255).save(mask, "PNG")
    mesh_blob = storage.put(b"glTF" + bytes(6000), "model/gltf-binary")
    mesh = Mesh.objects.create(
        blob=mesh_blob, source="proposer", triangles=100, extents=[1, 1, 1], licence="CC0"
    )
    batch = Batch.objects.create(name="large", asks_alignment=False)
    values = {
        "n": -(-PAIRS // (CANDIDATES - 1)),
        "k": CANDIDATES,
        "batch": batch.pk,
        "photo": storage.put(picture.getvalue(), "image/jpeg").pk,
        "mask": storage.put(mask.getvalue(), "image/png").pk,
        "points": storage.put(bytes(8000), "application/x-npz").pk,
        "glb": mesh_blob.pk,
        "mesh": mesh.pk,
        "proposer": Proposer.objects.create(name="bench", kind="flow").pk,
        "user": User.objects.create_user("ada").pk,
    }
    with connection.cursor() as cursor:
        cursor.execute(FILL, values)
        cursor.execute(ANSWER, values)
        cursor.execute("ANALYZE")
    return batch


def plain(out: Path) -> float:
    """The bare minimum: one named cursor, one JSON line a row. Seconds."""
    started = time.perf_counter()
    with transaction.atomic(), connection.connection.cursor(name="plain") as cursor, out.open("w") as file:
        cursor.itersize = 2000
        cursor.execute(PLAIN)
        for row in cursor:
            file.write(json.dumps(row) + "\n")
    return time.perf_counter() - started


def megabytes() -> float:
    """Largest resident size of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> int:
    """Print the figures; 1 when a limit is missed."""
    call_command("migrate", verbosity=0)
    batch = fill()
    started = time.perf_counter()
    services.collect([batch])
    collected = time.perf_counter() - started
    with tempfile.TemporaryDirectory() as folder:
        lines = plain(Path(folder) / "rows.jsonl")
        before = megabytes()
        release = services.begin(kind="dpo", batches=[batch])
        writer = Writer(release, Path(folder) / "out", lambda done, total: None)
        started, cpu = time.perf_counter(), time.process_time()
        manifest = writer.write()
        seconds, cpu = time.perf_counter() - started, time.process_time() - cpu - writer.copy_cpu_seconds
    growth = megabytes() - before
    rows: Any = manifest["counts"]["rows"]
    rate = rows / (seconds - writer.copy_seconds)
    shards = sum(file["size"] for file in manifest["files"] if file["name"].startswith("shards/"))
    print(
        f"{rows} pairs of {manifest['counts']['objects']} objects, {manifest['counts']['candidates']} candidates"
    )
    print(f"collect (answers to pairs)       {collected:8.1f} s   {rows / collected:10.0f} rows/s")
    print(f"release, all of it               {seconds:8.1f} s   {rows / seconds:10.0f} rows/s")
    print(f"  of it copying blobs            {writer.copy_seconds:8.1f} s   {shards / 2**20:10.0f} MB")
    print(
        f"  apart from copying blobs       {seconds - writer.copy_seconds:8.1f} s   {rate:10.0f} rows/s   (limit 15,000)"
    )
    print(f"    CPU of it, this process        {cpu:8.1f} s   {rows / cpu:10.0f} rows/s")
    print(
        f"named cursor to JSON lines       {lines:8.1f} s   {rows / lines:10.0f} rows/s   ratio {rate * lines / rows:.2f}"
    )
    print(f"memory growth                    {growth:8.0f} MB  (limit 200)")
    return 0 if rows >= PAIRS and rate >= 15_000 and growth < 200 else 1


if __name__ == "__main__":
    sys.exit(main())
