"""Checks a release against itself: every file's hash, every member's, and that every row points at what it names."""

import hashlib
import json
import tarfile
import tempfile
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from django.conf import settings
from django.utils.translation import gettext as _

from backend import jobs
from backend.datasets.models import Release
from backend.models import Job
from model_zoo.io.shards import file_sha256
from workers.release_places import MANIFEST, materialise
from workers.releasing import FORMAT, Progress, content_hash

CHUNK = 1 << 20
KEPT_SHARDS = 3
MAX_PROBLEMS = 20
# Column prefix: (column with the key, how the member's extension begins; photos are JPEG or PNG).
POINTERS = {
    "sft": {
        "image": ("object_key", "image."),
        "mask": ("object_key", "mask.png"),
        "pointmap": ("object_key", "pointmap.npz"),
        "mesh": ("candidate_key", "mesh.glb"),
    },
    "dpo": {
        "image": ("prompt", "image."),
        "mask": ("prompt", "mask.png"),
        "pointmap": ("prompt", "pointmap.npz"),
        "chosen": ("chosen", "mesh.glb"),
        "rejected": ("rejected", "mesh.glb"),
    },
}


@dataclass
class Check:
    """What was looked at, and what is wrong; a release without problems is whole."""

    id: str = ""
    sha256: str = ""
    files: int = 0
    members: int = 0
    rows: int = 0
    problems: list[str] = field(default_factory=list)

    def wrong(self, problem: str) -> None:
        """Note a problem; after MAX_PROBLEMS the picture is clear."""
        if len(self.problems) < MAX_PROBLEMS:
            self.problems.append(problem)


def check(folder: Path, progress: Progress = lambda done, total: None) -> Check:
    """Check the release in a folder, in constant memory."""
    found = Check()
    manifest = _manifest(folder, found)
    if manifest is None:
        return found
    try:
        _files(folder, manifest, found)
        if not found.problems:
            _rows(folder, manifest, found, progress)
    except (KeyError, TypeError, ValueError) as failure:
        found.wrong(
            _("%(manifest)s or the index is not laid out as %(format)s is: %(failure)r")
            % {"manifest": MANIFEST, "format": FORMAT, "failure": failure}
        )
    return found


def _manifest(folder: Path, found: Check) -> dict[str, Any] | None:
    path = folder / MANIFEST
    try:
        manifest = json.loads(path.read_text())
    except (OSError, ValueError):
        found.wrong(
            _("%(folder)s is no release: %(manifest)s is missing or not JSON")
            % {"folder": folder, "manifest": MANIFEST}
        )
        return None
    if (
        not isinstance(manifest, dict)
        or manifest.get("format") != FORMAT
        or manifest.get("kind") not in POINTERS
    ):
        found.wrong(
            _("%(manifest)s does not describe a release of format %(format)s")
            % {"manifest": MANIFEST, "format": FORMAT}
        )
        return None
    found.id, found.sha256 = str(manifest.get("id")), file_sha256(path)
    if (
        content_hash(manifest) != manifest.get("hash")
        or manifest["id"] != f"{manifest['kind']}-{manifest['hash'][:16]}"
    ):
        found.wrong(_("%(manifest)s was changed: its hash is another") % {"manifest": MANIFEST})
    return manifest


def _files(folder: Path, manifest: dict[str, Any], found: Check) -> None:
    listed = {str(file["name"]): file for file in manifest["files"]}
    present = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()} - {MANIFEST}
    for name in sorted(present - listed.keys()):
        found.wrong(_("%(name)s is not part of the release") % {"name": name})
    for name, file in listed.items():
        found.files += 1
        if name not in present:
            found.wrong(_("%(name)s is missing") % {"name": name})
        elif (folder / name).stat().st_size != file["size"] or file_sha256(folder / name) != file["sha256"]:
            found.wrong(_("%(name)s is damaged: its hash is another") % {"name": name})


class _Shards:
    """Members of the shards that rows point at now; rows are in the order of the shards, so a few are enough."""

    def __init__(self, folder: Path, found: Check) -> None:
        self.folder, self.found = folder, found
        self._kept: OrderedDict[str, dict[int, tuple[str, int]]] = OrderedDict()

    def member(self, shard: str, offset: int) -> tuple[str, int] | None:
        """Name and length of the member whose bytes start at `offset`."""
        if shard not in self._kept:
            self._kept[shard] = self._scan(shard)
            if len(self._kept) > KEPT_SHARDS:
                self._kept.popitem(last=False)
        return self._kept[shard].get(offset)

    def _scan(self, shard: str) -> dict[int, tuple[str, int]]:
        """Hash every member of a shard and hold it against the JSON member of its key."""
        members: dict[int, tuple[str, int]] = {}
        hashes: dict[str, str] = {}
        facts: dict[str, dict[str, Any]] = {}
        try:
            for name, offset, length, digest, text in _members(self.folder / "shards" / shard):
                members[offset] = (name, length)
                hashes[name] = digest
                if text:
                    facts[name.removesuffix(".json")] = json.loads(text)
        except (tarfile.TarError, OSError, ValueError) as failure:
            self.found.wrong(
                _("%(shard)s cannot be read: %(failure)s") % {"shard": shard, "failure": failure}
            )
        self.found.members += len(members)
        for name, digest in hashes.items():
            key, _dot, extension = name.partition(".")
            said = facts.get(key, {}).get(f"{extension.partition('.')[0]}_sha256")
            if extension != "json" and said != digest:
                self.found.wrong(
                    _("%(name)s in %(shard)s is not what its facts say") % {"name": name, "shard": shard}
                )
        return members


def _members(path: Path) -> Iterator[tuple[str, int, int, str, bytes]]:
    """Name, offset, length, sha256 and (of JSON members) the text of each member of a tar, in constant memory."""
    with tarfile.open(path, "r:") as archive:
        for info in archive:
            file = archive.extractfile(info)
            if file is None:
                raise tarfile.ReadError(f"{info.name} is no plain file")
            digest, text = hashlib.sha256(), b""
            while chunk := file.read(CHUNK):
                digest.update(chunk)
                if info.name.endswith(".json"):
                    text += chunk
            yield info.name, info.offset_data, info.size, digest.hexdigest(), text
            archive.members = []  # type: ignore[attr-defined]  # tarfile keeps every header it has read


def _rows(folder: Path, manifest: dict[str, Any], found: Check, progress: Progress) -> None:
    kind, filters, total = manifest["kind"], manifest["filters"], manifest["counts"]["rows"]
    shards = _Shards(folder, found)
    for name in sorted(file["name"] for file in manifest["files"] if file["name"].startswith("index/")):
        with pq.ParquetFile(folder / name) as index:
            for batch in index.iter_batches(batch_size=5000):
                for row in batch.to_pylist():
                    _row(row, kind, filters, shards, found)
                    found.rows += 1
                progress(found.rows, total)
    if found.rows != total:
        found.wrong(
            _("the index has %(rows)s rows, the manifest says %(total)s")
            % {"rows": found.rows, "total": total}
        )


def _row(row: dict[str, Any], kind: str, filters: dict[str, Any], shards: _Shards, found: Check) -> None:
    number = row["sample_id" if kind == "sft" else "pair_id"]
    for prefix, (key, extension) in POINTERS[kind].items():
        shard, offset = row[f"{prefix}_shard"], row[f"{prefix}_offset"]
        if shard is None and prefix == "pointmap":
            continue
        name, length = shards.member(shard, offset) or ("", -1)
        if not name.startswith(f"{row[key]}.{extension}") or length != row[f"{prefix}_length"]:
            found.wrong(
                _("row %(number)s: %(prefix)s does not point at %(member)s.%(extension)s")
                % {"number": number, "prefix": prefix, "member": row[key], "extension": extension}
            )
    if row["simulated"] and not filters["include_simulated"]:
        found.wrong(_("row %(number)s is simulated, which this release leaves out") % {"number": number})
    if (
        row.get("R") is not None
        and row["pointmap_source"] == "fallback"
        and not filters["include_fallback_layout"]
    ):
        found.wrong(
            _("row %(number)s has a layout on fallback depth, which this release leaves out")
            % {"number": number}
        )


def verify_job(job: Job) -> dict[str, Any]:
    """Check a frozen release where it lies; the job fails with the problems when it is not whole."""
    release = Release.objects.get(pk=job.args["release"])
    scratch = settings.HOME / "tmp"
    scratch.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="verify-", dir=scratch) as folder:
        found = check(
            materialise(release, Path(folder)), lambda done, total: jobs.report(job, done / max(total, 1))
        )
    if found.sha256 != release.sha256:
        found.wrong(_("the manifest is not the one that was frozen"))
    if found.problems:
        raise jobs.UserError("; ".join(found.problems))
    return {"files": found.files, "members": found.members, "rows": found.rows, "sha256": found.sha256}
