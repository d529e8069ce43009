"""Writes releases: shards, index, card and manifest into a folder, a bucket or the blob store.

The same rows give the same bytes: rows by id, no clock and no name of a machine in any file, the id from the content.
"""

import hashlib
import json
import shutil
import tempfile
import time
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.compute as pc
from django.conf import settings
from django.utils.translation import gettext as _

from backend import jobs, storage
from backend.datasets import services
from backend.datasets.models import PreferencePair, Release, Sample
from backend.models import Blob, Job
from model_zoo.io.index_writer import IndexWriter
from model_zoo.io.shards import ShardWriter, file_sha256
from workers import release_card
from workers.release_members import Copier
from workers.release_pictures import Shown, caption
from workers.release_places import MANIFEST, media_type, names, place_for
from workers.release_rows import CANDIDATES, GONE, OBJECTS, ROWS, SCHEMAS, UNIQUE, RowMaker, removed_rows
from workers.release_rows import REMOVED as REMOVED_ROWS
from workers.release_walk import Chunk, Orphan, tables, walk

FORMAT = "maquette-release/2"
FORMATS = ("maquette-release/1", FORMAT)  # what can be verified and loaded
PART_ROWS = 1_000_000
ROWS_PER_GROUP = 20_000
SHARD_BYTES = 512 * 2**20
REMOVED = "index/removed.parquet"
PICTURE = "pictures/objects.jpg"
FILTERS = ("include_simulated", "include_fallback_layout", "collection", "own_negatives", "aesthetic")
Progress = Callable[[int, int], None]


class Writer:
    """One release on its way into a folder. `copy_seconds` and `copy_cpu_seconds` are the time spent on blobs alone,
    `choose_seconds` that on choosing the rows in the database and on sealing the choice."""

    def __init__(self, release: Release, folder: Path, progress: Progress) -> None:
        self.release, self.folder, self.progress = release, folder, progress
        base = str(release.base.uid) if release.base else None
        self.maker = RowMaker(release.kind, release.include_fallback_layout, base)
        self.shown = Shown(release.kind)
        self.copy_seconds = self.copy_cpu_seconds = self.choose_seconds = 0.0
        self._parts = self._in_part = 0
        self._index: IndexWriter | None = None

    def write(self) -> dict[str, Any]:
        """Write everything and return the manifest. UserError when there is nothing to release or a blob is damaged."""
        (self.folder / "index").mkdir(parents=True)
        started = time.perf_counter()
        with services.snapshot(self.release) as contents:
            self.choose_seconds = time.perf_counter() - started
            if contents.rows == contents.removed == 0:
                raise jobs.UserError(nothing(self.release))
            removed = self._removed(contents)
            hashes = self._rows(contents)
            started = time.perf_counter()
        self.choose_seconds += time.perf_counter() - started
        return self._seal(contents.rows, removed, hashes)

    def _rows(self, contents: services.Snapshot) -> dict[str, str]:
        """Write shards and index; the hashes of the shards, by the name of the file."""
        done, counts = 0, self.maker.counts
        counts["objects"] = counts["candidates"] = 0
        with (
            closing(self._chunks(contents)) as chunks,
            ShardWriter(self.folder / "shards", SHARD_BYTES) as shards,
        ):
            copier = Copier(shards, with_fallback=self.release.include_fallback_layout)
            for chunk in chunks:
                with self._copying():
                    objects, candidates = copier.copy(chunk.objects, chunk.candidates)
                rows = chunk.rows()
                self.shown.look(objects, rows)
                self._add(self.maker.table(rows, objects, candidates))
                done += len(rows)
                counts["objects"] += len(objects)
                counts["candidates"] += len(candidates)
                self.progress(done, contents.rows)
            if contents.rows == 0:  # it only takes rows back; its index is there and empty
                self._add(SCHEMAS[self.release.kind].empty_table())
            self._end_part()
            with self._copying():
                shards.close()
        return {f"shards/{shard['name']}": shard["sha256"] for shard in shards.shards}

    def _chunks(self, contents: services.Snapshot) -> Generator[Chunk]:
        """Objects with their candidates and rows, read back from what the database copied out; it copies the rows out
        while the blobs of the first objects are copied."""
        with ExitStack() as opened:

            def scratch() -> IO[bytes]:
                return opened.enter_context(tempfile.TemporaryFile(dir=self.folder))

            objects, candidates, rows = scratch(), scratch(), scratch()
            contents.copy("objects", objects)
            contents.copy("candidates", candidates)
            copied = opened.enter_context(ThreadPoolExecutor(1)).submit(contents.copy, "rows", rows)
            try:
                yield from walk(
                    tables(objects, OBJECTS),
                    tables(candidates, CANDIDATES),
                    tables(rows, ROWS[self.release.kind], copied.result),
                )
            except Orphan as failure:
                message = _("object %(pk)s has no mask; it cannot be part of a release")
                raise jobs.UserError(message % {"pk": failure.number}) from None

    def _removed(self, contents: services.Snapshot) -> int | None:
        """Write which rows of the base no longer count, and return how many; None without a base."""
        if self.release.base is None:
            return None
        with (
            tempfile.TemporaryFile(dir=self.folder) as file,
            IndexWriter(self.folder / REMOVED, GONE, ROWS_PER_GROUP) as index,
        ):
            contents.copy("removed", file)
            for found in tables(file, REMOVED_ROWS):
                index.write_table(removed_rows(self.release.kind, found))
                for row in pc.value_counts(found["reason"]).to_pylist():
                    self.maker.counts["removed: " + row["values"]] += row["counts"]
        return index.rows

    @contextmanager
    def _copying(self) -> Iterator[None]:
        started, cpu = time.perf_counter(), time.process_time()
        yield
        self.copy_seconds += time.perf_counter() - started
        self.copy_cpu_seconds += time.process_time() - cpu

    def _add(self, rows: pa.Table) -> None:
        if self._index is None:
            path = self.folder / "index" / f"part-{self._parts:05d}.parquet"
            self._index = IndexWriter(path, SCHEMAS[self.release.kind], ROWS_PER_GROUP, UNIQUE)
            self._in_part = 0
        some, rest = rows.slice(0, PART_ROWS - self._in_part), rows.slice(PART_ROWS - self._in_part)
        self._index.write_table(some)
        self._in_part += len(some)
        if self._in_part == PART_ROWS:
            self._end_part()
        if len(rest):
            self._add(rest)

    def _end_part(self) -> None:
        if self._index is not None:
            self._index.close()
            self._index = None
            self._parts += 1

    def _seal(self, rows: int, removed: int | None, hashes: dict[str, str]) -> dict[str, Any]:
        """Card and manifest. `hashes`: of the shards, which were hashed while they were written."""
        release, base = self.release, self.release.base
        counts = dict(sorted({**self.maker.counts, "rows": rows}.items()))
        parent = json.loads(storage.read(base.manifest_id)) if base is not None else {}
        as_of = datetime.fromtimestamp(self.maker.created, UTC).isoformat(timespec="milliseconds")
        manifest: dict[str, Any] = {
            "format": FORMAT,
            "kind": release.kind,
            "as_of": max(as_of, parent.get("as_of", "")),  # the newest row of the chain
            "batches": list(release.batches.order_by("id").values_list("name", flat=True)),
            "filters": {name: getattr(release, name) for name in FILTERS}
            | {"min_rating": float(release.min_rating)},
            "counts": counts,
        }
        if base is not None:
            manifest["lineage"] = {
                "base": {"id": parent["id"], "hash": parent["hash"], "uid": str(base.uid)},
                "added": rows,
                "removed": removed,
            }
        manifest["files"] = self._files(hashes)
        self._describe(manifest)
        manifest["files"] = self._files({file["name"]: file["sha256"] for file in manifest["files"]})
        manifest["hash"] = content_hash(manifest)
        manifest["id"] = f"{self.release.kind}-{manifest['hash'][:16]}"
        (self.folder / MANIFEST).write_text(json.dumps(manifest, indent=1, sort_keys=True) + "\n")
        return manifest

    def _describe(self, manifest: dict[str, Any]) -> None:
        """Card, picture and Croissant metadata of the shards and index that are written."""
        stats = release_card.statistics(self.folder, SCHEMAS[self.release.kind])
        pictures = {}
        if self.shown.drawn:
            pictures[PICTURE] = caption(self.release.kind)
            (self.folder / PICTURE).parent.mkdir()
            try:
                (self.folder / PICTURE).write_bytes(self.shown.sheet())
            except (FileNotFoundError, storage.StorageError) as failure:
                message = _("a file is missing from the store (was a photo removed meanwhile?): %(failure)s")
                raise jobs.UserError(message % {"failure": failure}) from None
        (self.folder / "README.md").write_text(release_card.render(manifest, stats, pictures))
        (self.folder / "croissant.json").write_text(release_card.metadata(manifest, stats))

    def _files(self, hashes: dict[str, str]) -> list[dict[str, Any]]:
        """All files by name; `hashes`: those that are known."""
        paths = sorted(path for path in self.folder.rglob("*") if path.is_file())
        return [
            {"name": name, "size": path.stat().st_size, "sha256": hashes.get(name) or file_sha256(path)}
            for path in paths
            for name in [str(path.relative_to(self.folder))]
        ]


def content_hash(manifest: dict[str, Any]) -> str:
    """Hash of all that a manifest says, itself and the id made from it left out."""
    facts = {name: value for name, value in manifest.items() if name not in ("hash", "id")}
    return hashlib.sha256(json.dumps(facts, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def nothing(release: Release) -> str:
    """Why a release would be empty, and which flag would change that."""
    if release.base is not None:
        return _("nothing to release: nothing came or went since release %(pk)s") % {"pk": release.base.pk}
    rows = Sample if release.kind == Release.Kind.SFT else PreferencePair
    found = rows.objects.filter(batch__in=release.batches.all())
    simulated = found.filter(simulated=True).count()
    what = _("samples") if rows is Sample else _("preference pairs")
    batches = ", ".join(release.batches.order_by("id").values_list("name", flat=True))
    if simulated and not release.include_simulated:
        message = _(
            "nothing to release: all %(what)s of %(batches)s that count are simulated; include them by flag"
        )
    else:
        message = _("nothing to release: %(batches)s has no %(what)s that these filters let through")
    return message % {"what": what, "batches": batches}


def release_job(job: Job) -> dict[str, Any]:
    """Write a release's files into the blob store and freeze it; one that is frozen is left alone."""
    release = Release.objects.get(pk=job.args["release"])
    if release.state == Release.State.FROZEN:
        return _result(release)
    Release.objects.filter(pk=release.pk, state=Release.State.FAILED).update(state=Release.State.BUILDING)
    scratch = settings.HOME / "tmp"
    scratch.mkdir(parents=True, exist_ok=True)
    for left in scratch.glob(f"release-{release.pk}-*"):  # of an attempt that was killed
        shutil.rmtree(left, ignore_errors=True)
    files: list[tuple[str, Blob]] = []
    try:
        with tempfile.TemporaryDirectory(prefix=f"release-{release.pk}-", dir=scratch) as folder:
            manifest = build(
                release, Path(folder), _throttled(lambda done, total: jobs.report(job, done / total))
            )
            for name in names(manifest):
                files.append((name, storage.put(Path(folder) / name, media_type(name))))
        sealed = services.freeze(
            release,
            manifest=dict(files)[MANIFEST],
            rows=manifest["counts"]["rows"],
            counts=manifest["counts"],
            files=files,
        )
    except Exception:
        services.fail(release)
        services.erase([blob for _name, blob in files])
        raise
    return _result(sealed)


def build(release: Release, folder: Path, progress: Progress) -> dict[str, Any]:
    """Bring the batches' samples and pairs up to date, then write the release into an empty folder."""
    services.collect(list(release.batches.order_by("id")))
    return Writer(release, folder, progress).write()


def release_to(release: Release, out: str, progress: Progress) -> Release:
    """Write a release to an empty or new folder, or below an empty s3:// prefix, and freeze it."""
    try:
        with place_for(out) as (folder, finish):
            manifest = build(release, folder, _throttled(progress))
            stored, counts = storage.put(folder / MANIFEST, "application/json"), manifest["counts"]

            def freeze(location: str) -> None:
                services.freeze(
                    release, manifest=stored, rows=counts["rows"], counts=counts, location=location
                )

            finish(manifest, freeze)
    except Exception:
        services.discard(release)
        raise
    release.refresh_from_db()
    return release


def _result(release: Release) -> dict[str, Any]:
    return {"release": release.pk, "sha256": release.sha256, "rows": release.rows}


def _throttled(progress: Progress, seconds: float = 0.5) -> Progress:
    last = 0.0

    def call(done: int, total: int) -> None:
        nonlocal last
        if done == total or time.monotonic() - last > seconds:
            last = time.monotonic()
            progress(done, total)

    return call
