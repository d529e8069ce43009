"""Copies the blobs of a release into its shards, each checked against its hash while it is copied."""

from collections.abc import Iterator, Mapping
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
Members = Mapping[str, bytes | Stored]


class Copier:
    """Writes the members of objects and candidates. UserError names what is damaged or missing."""

    def __init__(self, shards: ShardWriter, *, with_fallback: bool) -> None:
        self.shards, self.with_fallback, self._store = shards, with_fallback, storage.store()
        self._root = f"{self._store.root}/" if isinstance(self._store, storage.LocalStore) else ""

    def copy(self, objects: pa.Table, candidates: pa.Table) -> tuple[pa.Table, pa.Table]:
        """Write each object's photo, mask, pointmap and facts, then mesh and facts of each of its candidates; both tables,
        ordered by object, come back with the columns of the places."""
        places, mesh_places = _Places(OBJECT_MEMBERS), _Places(("mesh",))
        facts = candidate_facts(candidates, with_fallback=self.with_fallback)
        theirs = groupby(_walk(candidates, CANDIDATE, facts), key=itemgetter(0))
        for target in _walk(objects, OBJECT, object_facts(objects)):
            places.add(self._object(*target))
            for _number, *candidate in next(theirs)[1]:
                mesh_places.add(self._candidate(*candidate))
        return places.beside(objects), mesh_places.beside(candidates)

    def _object(
        self, number: int, image: str, size: int, kind: str, mask: str, mask_size: int,
        points: str | None, points_size: int, facts: str,
    ) -> list[dict[str, Any]]:  # fmt: skip
        members: dict[str, bytes | Stored] = {
            f"image.{PICTURES[kind]}": self._stored(image, size),
            "json": _line(facts),
            "mask.png": self._stored(mask, mask_size),
        }
        if points is not None:
            members["pointmap.npz"] = self._stored(points, points_size)
        return self._write(object_key(number), members)

    def _candidate(self, number: int, mesh: str, size: int, facts: str) -> list[dict[str, Any]]:
        return self._write(
            candidate_key(number), {"json": _line(facts), "mesh.glb": self._stored(mesh, size)}
        )

    def _stored(self, sha256: str, size: int) -> Stored:
        name = storage.blob_name(sha256)
        if self._root:
            return Stored(sha256, size, self._root + name)
        return Stored(sha256, size, lambda: self._store.open(name))

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
