"""Writes releases: shards, index, card and manifest into a folder, a bucket or the blob store.

The same rows give the same bytes: rows by id, no clock and no name of a machine in any file, the id from the content.
"""

import hashlib
import json
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.conf import settings
from django.utils.translation import gettext as _

from backend import jobs, storage
from backend.datasets import services
from backend.datasets.models import PreferencePair, Release, Sample
from backend.models import Job
from model_zoo.io.shards import IndexWriter, ShardWriter, file_sha256
from workers import release_card
from workers.release_places import MANIFEST, media_type, names, place_for
from workers.release_rows import SCHEMAS, RowMaker, candidate_facts, candidate_key, object_facts, object_key

FORMAT = "maquette-release/1"
PICTURES = {"image/jpeg": "jpg", "image/png": "png"}
PART_ROWS = 1_000_000
IMAGE_SUFFIXES = {"image/jpeg": "jpg", "image/png": "png"}
SHARD_BYTES = 512 * 2**20
Progress = Callable[[int, int], None]


class Writer:
    """One release on its way into a folder. `copy_seconds` and `copy_cpu_seconds` are the time spent on blobs alone."""

    def __init__(self, release: Release, folder: Path, progress: Progress) -> None:
        self.release, self.folder, self.progress = release, folder, progress
        self.maker = RowMaker(release.kind, release.include_fallback_layout)
        self.copy_seconds = self.copy_cpu_seconds = 0.0
        self._parts = 0
        self._index: IndexWriter | None = None

    def write(self) -> dict[str, Any]:
        """Write everything and return the manifest. UserError when there is nothing to release or a blob is damaged."""
        done = 0
        with (
            services.snapshot(self.release) as contents,
            ShardWriter(self.folder / "shards", SHARD_BYTES) as shards,
        ):
            if contents.rows == 0:
                raise jobs.UserError(nothing(self.release))
            for entry in contents.entries():
                places, meshes = self._members(shards, entry)
                for row in self.maker.rows(entry.target, places, meshes, entry.rows):
                    self._add(row)
                done += len(entry.rows)
                self.maker.counts["objects"] += 1
                self.maker.counts["candidates"] += len(entry.candidates)
                self.progress(done, contents.rows)
            if done != contents.rows:
                raise jobs.UserError(
                    _("%(n)s rows belong to objects without a mask") % {"n": contents.rows - done}
                )
            self._end_part()
            with self._copying():
                shards.close()
        return self._seal(done, {f"shards/{shard['name']}": shard["sha256"] for shard in shards.shards})

    def _members(self, shards: ShardWriter, entry: services.Entry) -> tuple[dict[str, Any], dict[int, Any]]:
        """Copy one object's blobs, each once; returns its columns, and each candidate with the place of its mesh."""
        target = entry.target
        with self._copying():
            members = {
                f"image.{PICTURES[target.image_type]}": blob(target.image, _("the photo of object %(pk)s") % {"pk": target.id}),
                "mask.png": blob(target.mask, _("the mask of object %(pk)s") % {"pk": target.id}),
                "json": object_facts(target),
            }
            if target.pointmap:
                members["pointmap.npz"] = blob(
                    target.pointmap, _("the pointmap of object %(pk)s") % {"pk": target.id}
                )
            columns: dict[str, Any] = {f"pointmap_{part}": None for part in ("shard", "offset", "length")}
            for row in shards.write(object_key(target.id), members):
                name = row["member"].partition(".")[0]
                if name != "json":
                    columns |= {f"{name}_{part}": value for part, value in _place(row).items()}
            meshes = {}
            for candidate in entry.candidates:
                pose = self.release.include_fallback_layout or candidate.pointmap_source != "fallback"
                data = {
                    "mesh.glb": blob(
                        candidate.mesh, _("the mesh of candidate %(pk)s") % {"pk": candidate.id}
                    ),
                    "json": candidate_facts(candidate, with_pose=pose),
                }
                rows = {row["member"]: row for row in shards.write(candidate_key(candidate.id), data)}
                meshes[candidate.id] = (candidate, _place(rows["mesh.glb"]))
        return columns, meshes

    @contextmanager
    def _copying(self) -> Iterator[None]:
        started, cpu = time.perf_counter(), time.process_time()
        yield
        self.copy_seconds += time.perf_counter() - started
        self.copy_cpu_seconds += time.process_time() - cpu

    def _add(self, row: dict[str, Any]) -> None:
        if self._index is None:
            path = self.folder / "index" / f"part-{self._parts:05d}.parquet"
            path.parent.mkdir(exist_ok=True)
            self._index = IndexWriter(path, SCHEMAS[self.release.kind])
            self._in_part = 0
        self._index.write(row)
        self._in_part += 1
        if self._in_part == PART_ROWS:
            self._end_part()

    def _end_part(self) -> None:
        if self._index is not None:
            self._index.close()
            self._index = None
            self._parts += 1

    def _seal(self, rows: int, hashes: dict[str, str]) -> dict[str, Any]:
        """Card and manifest. `hashes`: of the shards, which were hashed while they were written."""
        counts = dict(sorted({**self.maker.counts, "rows": rows}.items()))
        manifest: dict[str, Any] = {
            "format": FORMAT,
            "kind": self.release.kind,
            "as_of": datetime.fromtimestamp(float(self.maker.created), UTC).isoformat(
                timespec="milliseconds"
            ),
            "batches": list(self.release.batches.order_by("id").values_list("name", flat=True)),
            "filters": {
                "include_simulated": self.release.include_simulated,
                "include_fallback_layout": self.release.include_fallback_layout,
                "min_rating": float(self.release.min_rating),
            },
            "counts": counts,
        }
        (self.folder / "README.md").write_text(release_card.render(manifest, SCHEMAS[self.release.kind]))
        paths = sorted(path for path in self.folder.rglob("*") if path.is_file())
        manifest["files"] = [
            {"name": name, "size": path.stat().st_size, "sha256": hashes.get(name) or file_sha256(path)}
            for path in paths
            for name in [str(path.relative_to(self.folder))]
        ]
        manifest["hash"] = content_hash(manifest)
        manifest["id"] = f"{self.release.kind}-{manifest['hash'][:16]}"
        (self.folder / MANIFEST).write_text(json.dumps(manifest, indent=1, sort_keys=True) + "\n")
        return manifest


def _place(row: dict[str, Any]) -> dict[str, Any]:
    return {part: row[part] for part in ("shard", "offset", "length")}


def content_hash(manifest: dict[str, Any]) -> str:
    """Hash of all that a manifest says, itself and the id made from it left out."""
    facts = {name: value for name, value in manifest.items() if name not in ("hash", "id")}
    return hashlib.sha256(json.dumps(facts, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def blob(sha256: str, what: str) -> bytes:
    """A blob's bytes, checked. UserError names what is damaged or missing."""
    try:
        data = storage.read(sha256)
    except storage.StorageError:
        raise jobs.UserError(
            _("%(what)s is missing from the store (blob %(blob)s)") % {"what": what, "blob": sha256[:12]}
        ) from None
    if hashlib.sha256(data).hexdigest() != sha256:
        raise jobs.UserError(
            _("%(what)s is damaged in the store (blob %(blob)s)") % {"what": what, "blob": sha256[:12]}
        )
    return data


def nothing(release: Release) -> str:
    """Why a release would be empty, and which flag would change that."""
    rows = Sample if release.kind == Release.Kind.SFT else PreferencePair
    found = rows.objects.filter(batch__in=release.batches.all())
    simulated = found.filter(simulated=True).count()
    what = _("samples") if rows is Sample else _("preference pairs")
    batches = ", ".join(release.batches.order_by("id").values_list("name", flat=True))
    if simulated and not release.include_simulated:
        message = _("nothing to release: all %(what)s of %(batches)s that count are simulated; include them by flag")
    else:
        message = _("nothing to release: %(batches)s has no %(what)s that these filters let through")
    return message % {"what": what, "batches": batches}


def release_job(job: Job) -> dict[str, Any]:
    """Write a release's files into the blob store and freeze it; one that is frozen is left alone."""
    release = Release.objects.get(pk=job.args["release"])
    if release.state == Release.State.FROZEN:
        return _result(release)
    scratch = settings.HOME / "tmp"
    scratch.mkdir(parents=True, exist_ok=True)
    for left in scratch.glob(f"release-{release.pk}-*"):  # of an attempt that was killed
        shutil.rmtree(left, ignore_errors=True)
    try:
        with tempfile.TemporaryDirectory(prefix=f"release-{release.pk}-", dir=scratch) as folder:
            manifest = build(
                release, Path(folder), _throttled(lambda done, total: jobs.report(job, done / total))
            )
            files = [(name, storage.put(Path(folder) / name, media_type(name))) for name in names(manifest)]
    except Exception:
        services.fail(release)
        raise
    sealed = services.freeze(
        release,
        manifest=dict(files)[MANIFEST],
        rows=manifest["counts"]["rows"],
        counts=manifest["counts"],
        files=files,
    )
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
            stored = storage.put(folder / MANIFEST, "application/json")
            location = finish(manifest)
    except Exception:
        services.discard(release)
        raise
    counts = manifest["counts"]
    return services.freeze(release, manifest=stored, rows=counts["rows"], counts=counts, location=location)


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
