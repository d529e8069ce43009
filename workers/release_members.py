"""Copies the blobs of a release into its shards, each checked against its hash while it is copied."""

from collections import deque
from collections.abc import Generator, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from itertools import groupby
from operator import itemgetter
from typing import Any

import pyarrow as pa
from django.utils.translation import gettext as _

from backend import jobs, storage
from model_zoo.io.shards import DamagedMember, ShardWriter, Stored
from workers.release_facts import candidate_facts, candidate_key, object_facts, object_key
from workers.release_rows import OBJECT_MEMBERS, PLACE

PICTURES = {"image/jpeg": "jpg", "image/png": "png"}
OBJECT = (
    "id",
    "image",
    "image_size",
    "image_type",
    "mask",
    "mask_size",
    "pointmap",
    "pointmap_size",
)
CANDIDATE = ("object_id", "id", "mesh", "mesh_size")
FETCHERS = 16
AHEAD_BYTES, AHEAD_SAMPLES = 128 * 2**20, 64
Members = Mapping[str, bytes | Stored]
Sample = tuple[str, Members]


class Copier:
    """Writes the members of objects and candidates. UserError names what is damaged or missing."""

    def __init__(self, shards: ShardWriter, *, with_fallback: bool) -> None:
        self.shards, self.with_fallback, self._store = shards, with_fallback, storage.store()
        self._root = f"{self._store.root}/" if isinstance(self._store, storage.LocalStore) else ""

    def copy(self, objects: pa.Table, candidates: pa.Table) -> tuple[pa.Table, pa.Table]:
        """Write each object's photo, mask, pointmap and facts, then mesh and facts of each of its candidates; both tables,
        ordered by object, come back with the columns of the places."""
        places, meshes = _Places(OBJECT_MEMBERS), _Places(("mesh",))
        samples = self._samples(objects, candidates)
        with closing(samples if self._root else self._ahead(samples)) as ready:
            for key, members in ready:
                (meshes if "mesh.glb" in members else places).add(self._write(key, members))
        return places.beside(objects), meshes.beside(candidates)

    def _samples(self, objects: pa.Table, candidates: pa.Table) -> Generator[Sample]:
        """Key and members of each object, followed by those of its candidates."""
        facts = candidate_facts(candidates, with_fallback=self.with_fallback)
        theirs = groupby(_walk(candidates, CANDIDATE, facts), key=itemgetter(0))
        for number, image, size, kind, mask, mask_size, points, points_size, text in _walk(
            objects, OBJECT, object_facts(objects)
        ):
            members: dict[str, bytes | Stored] = {
                f"image.{PICTURES[kind]}": self._stored(image, size),
                "json": _line(text),
                "mask.png": self._stored(mask, mask_size),
            }
            if points is not None:
                members["pointmap.npz"] = self._stored(points, points_size)
            yield object_key(number), members
            for _object, candidate, mesh, size, text in next(theirs)[1]:
                yield candidate_key(candidate), {"json": _line(text), "mesh.glb": self._stored(mesh, size)}

    def _ahead(self, samples: Iterator[Sample]) -> Generator[Sample]:
        """Samples whose blobs are fetched from the bucket, many at once, while those before are written."""
        waiting: deque[tuple[str, Members, int]] = deque()
        held = 0
        with ThreadPoolExecutor(FETCHERS) as pool:
            for key, members in samples:
                size = sum(data.length for data in members.values() if isinstance(data, Stored))
                fetched: Members = {name: self._fetched(pool, data) for name, data in members.items()}
                waiting.append((key, fetched, size))
                held += size
                while held > AHEAD_BYTES or len(waiting) > AHEAD_SAMPLES:
                    key, fetched, size = waiting.popleft()
                    held -= size
                    yield key, fetched
            for key, fetched, _size in waiting:
                yield key, fetched

    def _fetched(self, pool: ThreadPoolExecutor, data: bytes | Stored) -> bytes | Stored:
        if not isinstance(data, Stored):
            return data
        coming = pool.submit(storage.read, data.sha256)
        return Stored(data.sha256, data.length, lambda: [coming.result()])

    def _stored(self, sha256: str, size: int) -> Stored:
        return Stored(sha256, size, self._root + storage.blob_name(sha256))

    def _write(self, key: str, members: Members) -> list[dict[str, Any]]:
        try:
            return self.shards.write(key, members)
        except DamagedMember as failure:
            text = _("%(what)s is damaged in the store (blob %(blob)s)")
            raise jobs.UserError(text % _named(failure.key, failure.member, members)) from None
        except (FileNotFoundError, storage.StorageError):
            missing = next(
                name for name, data in members.items()
                if isinstance(data, Stored) and self._store.size(storage.blob_name(data.sha256)) is None
            )  # fmt: skip
            text = _("%(what)s is missing from the store (blob %(blob)s)")
            raise jobs.UserError(text % _named(key, missing, members)) from None


class _Places:
    """Where each thing's members went, as columns NAME_shard, NAME_offset, NAME_length, NAME_sha256; nulls for none."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self._columns: dict[str, dict[str, list[Any]]] = {
            name: {part: [] for part in PLACE} for name in names
        }

    def add(self, rows: list[dict[str, Any]]) -> None:
        found = {row["member"].partition(".")[0]: row for row in rows}
        for name, columns in self._columns.items():
            row = found.get(name) or {}
            for part, values in columns.items():
                values.append(row.get(part))

    def beside(self, table: pa.Table) -> pa.Table:
        for name, columns in self._columns.items():
            for part, values in columns.items():
                table = table.append_column(f"{name}_{part}", pa.array(values, PLACE[part]))
        return table


def _walk(table: pa.Table, columns: tuple[str, ...], facts: pa.ChunkedArray) -> Iterator[tuple[Any, ...]]:
    return zip(*(table[name].to_pylist() for name in columns), facts.to_pylist(), strict=True)


def _line(facts: str) -> bytes:
    return facts.encode() + b"\n"


def _named(key: str, member: str, members: Members) -> dict[str, str]:
    """What a message says about a member: in words whose it is, and its blob."""
    data = members[member]
    assert isinstance(data, Stored)
    words = {
        "image": _("the photo of object %(pk)s"),
        "mask": _("the mask of object %(pk)s"),
        "pointmap": _("the pointmap of object %(pk)s"),
        "mesh": _("the mesh of candidate %(pk)s"),
    }
    what = words[member.partition(".")[0]] % {"pk": int(key[1:])}
    return {"what": what, "blob": data.sha256[:12]}
