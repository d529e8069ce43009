"""Checks a release against itself: every file's hash, every member's, and that every row points at what it names. With the
releases that it builds on at hand, that the chain holds every row once.

Each byte of the shards is read once. Memory: the members of two shards, one batch of rows, and 8 bytes a row.
"""

import json
import tempfile
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from django.conf import settings
from django.utils.translation import gettext as _

from backend import jobs
from backend.datasets.models import Release
from backend.models import Job
from model_zoo.io.errors import BadInput
from model_zoo.io.shards import Member, ShardReader, file_sha256
from workers.release_places import MANIFEST, index_of, materialise
from workers.releasing import FORMATS, REMOVED, Progress, content_hash

BATCH_ROWS = 20_000
BATCH_MEMBERS = 10_000
KEPT_SHARDS = 2
MAX_PROBLEMS = 20
# Column prefix: column with the key, and what the member may be called after it.
OBJECT_MEMBERS = {"image": ("image.jpg", "image.png"), "mask": ("mask.png",), "pointmap": ("pointmap.npz",)}
POINTERS: dict[str, dict[str, tuple[str, tuple[str, ...]]]] = {
    "sft": {
        **{name: ("object_key", members) for name, members in OBJECT_MEMBERS.items()},
        "mesh": ("candidate_key", ("mesh.glb",)),
    },
    "dpo": {
        **{name: ("prompt", members) for name, members in OBJECT_MEMBERS.items()},
        "chosen": ("chosen", ("mesh.glb",)),
        "rejected": ("rejected", ("mesh.glb",)),
    },
}
NUMBER = {"sft": "sample_id", "dpo": "pair_id"}


@dataclass
class Check:
    """What was looked at, and what is wrong; a release without problems is whole. `chain`: releases it builds on that
    were held against it."""

    id: str = ""
    sha256: str = ""
    files: int = 0
    members: int = 0
    rows: int = 0
    chain: int = 0
    problems: list[str] = field(default_factory=list)

    def wrong(self, problem: str) -> None:
        """Note a problem; after MAX_PROBLEMS the picture is clear."""
        if len(self.problems) < MAX_PROBLEMS:
            self.problems.append(problem)


def check(folder: Path, progress: Progress = lambda done, total: None, bases: Sequence[Path] = ()) -> Check:
    """Check the release in a folder. `bases`: folders with manifest and index of those it builds on, in any order."""
    found = Check()
    manifest = _manifest(folder, found)
    if manifest is None:
        return found
    try:
        _files(folder, manifest, found)
        if not found.problems:
            added, removed = _Rows(folder, manifest, found).walk(progress), _removed(folder, manifest, found)
            if bases:
                _chain(manifest, added, removed, bases, found)
    except (KeyError, TypeError, ValueError, pa.ArrowException) as failure:
        found.wrong(
            _("%(manifest)s or the index is not laid out as %(format)s is: %(failure)r")
            % {"manifest": MANIFEST, "format": manifest["format"], "failure": failure}
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
        or manifest.get("format") not in FORMATS
        or manifest.get("kind") not in POINTERS
    ):
        found.wrong(
            _("%(manifest)s does not describe a release of format %(format)s")
            % {"manifest": MANIFEST, "format": " or ".join(FORMATS)}
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
    """All files but the bytes of the shards, which are hashed while they are read."""
    listed = {str(file["name"]): file for file in manifest["files"]}
    present = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()} - {MANIFEST}
    for name in sorted(present - listed.keys()):
        found.wrong(_("%(name)s is not part of the release") % {"name": name})
    for name, file in listed.items():
        found.files += 1
        if name not in present:
            found.wrong(_("%(name)s is missing") % {"name": name})
        elif (folder / name).stat().st_size != file["size"] or (
            not name.startswith("shards/") and file_sha256(folder / name) != file["sha256"]
        ):
            _damaged(name, found)


def _damaged(name: str, found: Check) -> None:
    found.wrong(_("%(name)s is damaged: its hash is another") % {"name": name})


@dataclass
class _Members:
    """The members of a shard by ascending offset."""

    offsets: np.ndarray
    lengths: np.ndarray
    names: pa.Array
    hashes: pa.Array


class _Shards:
    """Members of the shards that rows point at now; rows are in the order of the shards, so a few are enough."""

    def __init__(self, folder: Path, manifest: dict[str, Any], found: Check) -> None:
        self.folder, self.found = folder, found
        self._unread = {
            file["name"].removeprefix("shards/"): file["sha256"]
            for file in manifest["files"]
            if file["name"].startswith("shards/")
        }
        self._listed = set(self._unread)
        self._kept: OrderedDict[str, _Members] = OrderedDict()

    def members(self, shard: str) -> _Members | None:
        """What lies in a shard; None when the release has no such shard."""
        if shard not in self._listed:
            return None
        if shard not in self._kept:
            self._kept[shard] = self._read(shard)
            if len(self._kept) > KEPT_SHARDS:
                self._kept.popitem(last=False)
        return self._kept[shard]

    def rest(self) -> None:
        """Read the shards that no row points at."""
        for shard in sorted(self._unread):
            self._read(shard)

    def _read(self, shard: str) -> _Members:
        """Hash a shard and every member of it, and hold each against the JSON member of its key."""
        reader = ShardReader(self.folder / "shards" / shard)
        columns: list[pa.RecordBatch] = []
        waiting: list[Member] = []
        try:
            for _key, sample in groupby(reader, key=lambda member: member.name.partition(".")[0]):
                members = list(sample)
                self._facts(members, shard)
                waiting += members
                if len(waiting) >= BATCH_MEMBERS:  # a Python object each is ten times what Arrow needs
                    columns.append(_columns(waiting))
                    waiting = []
        except (BadInput, OSError, ValueError) as failure:
            self.found.wrong(
                _("%(shard)s cannot be read: %(failure)s") % {"shard": shard, "failure": failure}
            )
        table = pa.Table.from_batches([*columns, _columns(waiting)]).combine_chunks()
        wanted = self._unread.pop(shard, None)
        if wanted is not None:  # for the first time
            self.found.members += len(table)
            if reader.sha256 != wanted:
                _damaged(f"shards/{shard}", self.found)
        names, hashes = (table[name].chunk(0) for name in ("name", "sha256"))
        return _Members(table["offset"].to_numpy(), table["length"].to_numpy(), names, hashes)

    def _facts(self, members: list[Member], shard: str) -> None:
        """Hold the members of one key against its JSON member."""
        facts: dict[str, Any] = {}
        for member in members:
            if member.text:
                facts |= json.loads(member.text)
        for member in members:
            extension = member.name.partition(".")[2]
            if extension != "json" and facts.get(f"{extension.partition('.')[0]}_sha256") != member.sha256:
                self.found.wrong(
                    _("%(name)s in %(shard)s is not what its facts say")
                    % {"name": member.name, "shard": shard}
                )


def _columns(members: list[Member]) -> pa.RecordBatch:
    return pa.record_batch(
        {
            "offset": pa.array([member.offset for member in members], pa.int64()),
            "length": pa.array([member.length for member in members], pa.int64()),
            "name": pa.array([member.name for member in members], pa.string()),
            "sha256": pa.array([member.sha256 for member in members], pa.string()),
        }
    )


class _Rows:
    """The index held against the shards."""

    def __init__(self, folder: Path, manifest: dict[str, Any], found: Check) -> None:
        self.folder, self.manifest, self.found = folder, manifest, found
        self.kind, self.filters = manifest["kind"], manifest["filters"]
        self.shards = _Shards(folder, manifest, found)

    def walk(self, progress: Progress) -> np.ndarray:
        """Check all rows; their numbers, ascending."""
        total, numbers = self.manifest["counts"]["rows"], [np.zeros(0, np.int64)]
        for part in _parts(self.manifest):
            with pq.ParquetFile(self.folder / part) as index:
                for batch in index.iter_batches(batch_size=BATCH_ROWS):
                    numbers.append(self._batch(pa.Table.from_batches([batch])))
                    self.found.rows += len(batch)
                    progress(self.found.rows, total)
        self.shards.rest()
        if self.found.rows != total:
            self.found.wrong(
                _("the index has %(rows)s rows, the manifest says %(total)s")
                % {"rows": self.found.rows, "total": total}
            )
        return _once(np.concatenate(numbers), self.found)

    def _batch(self, rows: pa.Table) -> np.ndarray:
        for prefix in POINTERS[self.kind]:
            self._pointers(rows, prefix)
        number = rows[NUMBER[self.kind]]
        if not self.filters["include_simulated"]:
            self._refuse(
                rows, rows["simulated"], _("row %(number)s is simulated, which this release leaves out")
            )
        if "R" in rows.column_names and not self.filters["include_fallback_layout"]:
            placed = pc.and_(pc.is_valid(rows["R"]), pc.equal(rows["pointmap_source"], "fallback"))
            text = _("row %(number)s has a layout on fallback depth, which this release leaves out")
            self._refuse(rows, placed, text)
        if "id" in rows.column_names:
            same = pc.equal(pc.cast(pc.utf8_slice_codeunits(rows["id"], 1), pa.int64()), number)
            self._refuse(rows, pc.invert(same), _("row %(number)s has the id of another row"))
        return number.to_numpy()

    def _refuse(self, rows: pa.Table, wrong: pa.ChunkedArray, text: str, **words: str) -> None:
        for number in rows[NUMBER[self.kind]].filter(pc.fill_null(wrong, True)).to_pylist()[:MAX_PROBLEMS]:
            self.found.wrong(text % {"number": number, **words})

    def _pointers(self, rows: pa.Table, prefix: str) -> None:
        """Whether each row's place of one member is that of a member of this name, length and hash."""
        key, names = POINTERS[self.kind][prefix]
        right = np.zeros(len(rows), bool)
        shard = rows[f"{prefix}_shard"]
        if prefix == "pointmap":
            right |= pc.is_null(shard).to_numpy()
        for name in pc.unique(shard).drop_null().to_pylist():
            members = self.shards.members(name)
            if members is None or not len(members.offsets):
                continue
            here = np.flatnonzero(pc.fill_null(pc.equal(shard, name), False).to_numpy())
            some = rows.take(here)
            offsets = some[f"{prefix}_offset"].to_numpy()
            at = np.minimum(np.searchsorted(members.offsets, offsets), len(members.offsets) - 1)
            fits = (members.offsets[at] == offsets) & (
                members.lengths[at] == some[f"{prefix}_length"].to_numpy()
            )
            there = members.names.take(at)
            wanted = [pc.binary_join_element_wise(some[key], member, ".") for member in names]
            fits &= np.any([pc.equal(each, there).to_numpy() for each in wanted], axis=0)
            if f"{prefix}_sha256" in rows.column_names:
                fits &= pc.equal(some[f"{prefix}_sha256"], members.hashes.take(at)).to_numpy()
            right[here] = fits
        text = _(
            "row %(number)s: %(prefix)s does not point at a member %(member)s of its object or candidate"
        )
        self._refuse(rows, pa.chunked_array([~right]), text, prefix=prefix, member=names[0])


def _parts(manifest: dict[str, Any]) -> list[str]:
    names = (file["name"] for file in manifest["files"])
    return sorted(name for name in names if name.startswith("index/part-"))


def _once(numbers: np.ndarray, found: Check) -> np.ndarray:
    """The numbers, ascending; a problem when one is there twice."""
    unique, counts = np.unique(numbers, return_counts=True)
    for number in unique[counts > 1][:MAX_PROBLEMS]:
        found.wrong(_("row %(number)s is there twice") % {"number": number})
    return unique


def _removed(folder: Path, manifest: dict[str, Any], found: Check) -> np.ndarray:
    """Numbers of the rows that the release takes back from those it builds on; what its lineage says is checked."""
    lineage = manifest.get("lineage")
    if lineage is None:
        return np.zeros(0, np.int64)
    ids = pq.read_table(folder / REMOVED, columns=["id"])["id"]
    removed = _once(pc.cast(pc.utf8_slice_codeunits(ids, 1), pa.int64()).to_numpy(), found)
    if (lineage["added"], lineage["removed"]) != (found.rows, len(ids)):
        found.wrong(_("the lineage counts other rows than the index has"))
    return removed


def _chain(
    manifest: dict[str, Any], added: np.ndarray, removed: np.ndarray, bases: Sequence[Path], found: Check
) -> None:
    """Hold a release's rows against what those that it builds on hold together."""
    known = {}
    for folder in bases:
        facts = json.loads((folder / MANIFEST).read_text())
        known[facts["hash"]] = (folder, facts)
    chain, step = [], manifest
    while (lineage := step.get("lineage")) is not None:
        if lineage["base"]["hash"] not in known:
            found.wrong(_("the base %(base)s is not at hand") % {"base": lineage["base"]["id"]})
            return
        folder, step = known[lineage["base"]["hash"]]
        chain.append((folder, step))
    held = np.zeros(0, np.int64)
    for folder, facts in reversed(chain):
        held = _after(
            held, _numbers(folder, facts), _removed(folder, facts, Check(rows=facts["counts"]["rows"])), found
        )
    _after(held, added, removed, found)
    found.chain = len(chain)


def _numbers(folder: Path, manifest: dict[str, Any]) -> np.ndarray:
    column = NUMBER[manifest["kind"]]
    parts = [pq.read_table(folder / part, columns=[column])[column].to_numpy() for part in _parts(manifest)]
    return np.concatenate([np.zeros(0, np.int64), *parts])


def _after(held: np.ndarray, added: np.ndarray, removed: np.ndarray, found: Check) -> np.ndarray:
    """What a chain holds after one more release of it, which may take a row back and give it again."""
    for number in np.setdiff1d(removed, held)[:MAX_PROBLEMS]:
        found.wrong(_("row %(number)s is taken back, but no release before holds it") % {"number": number})
    held = np.setdiff1d(held, removed)
    for number in np.intersect1d(held, added)[:MAX_PROBLEMS]:
        found.wrong(_("row %(number)s is in a release that this one builds on too") % {"number": number})
    return np.union1d(held, added)


def verify_job(job: Job) -> dict[str, Any]:
    """Check a frozen release where it lies; the job fails with the problems when it is not whole."""
    release = Release.objects.get(pk=job.args["release"])
    scratch = settings.HOME / "tmp"
    scratch.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="verify-", dir=scratch) as name:
        folder = Path(name)
        found = check(
            materialise(release, folder / "release"),
            lambda done, total: jobs.report(job, done / max(total, 1)),
            bases_of(release, folder),
        )
    if found.sha256 != release.sha256:
        found.wrong(_("the manifest is not the one that was frozen"))
    if found.problems:
        raise jobs.UserError("; ".join(found.problems))
    return {"files": found.files, "members": found.members, "rows": found.rows, "sha256": found.sha256}


def bases_of(release: Release, scratch: Path) -> list[Path]:
    """Manifest and index of the releases that one builds on, fetched; none when one of them is no longer there."""
    folders: list[Path] = []
    try:
        while release.base is not None:
            release = release.base
            folders.append(index_of(release, scratch / f"base-{release.pk}"))
    except jobs.UserError:
        return []
    return folders
