"""Checks a built data set against itself: every file's hash, and that every row points at what it names.

python -m model_zoo.build.verify DIR|s3://…
"""

import argparse
import hashlib
import json
import sys
import tempfile
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from model_zoo.build.finish import FORMAT, MANIFEST, sealed
from model_zoo.build.place import TMP, Place, place_of
from model_zoo.io.errors import BadInput, safe_text
from model_zoo.io.records import parse_json
from model_zoo.io.shards import file_sha256

MOST = 20  # problems after which the picture is clear
LEFT_OUT = ("plan/", "parts/", f"{TMP}/")  # of the building, not of the data set
FILE = {"name": str, "size": int, "sha256": str}  # what a manifest tells of a file
ROW = {"id": str, "shard": str} | {
    f"{prefix}{name}": kind
    for prefix in ("", "shape_")
    for name, kind in (("offset", int), ("length", int), ("sha256", str))
}


def problems(place: Place) -> Iterator[str]:
    """What is wrong, a line each. Memory: 8 bytes a row, the rows of one shard; one shard on disk."""
    manifest = parse_json(place.read(MANIFEST), what=MANIFEST)
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise BadInput(f"{MANIFEST} does not describe a data set of format {FORMAT}", "bad_manifest")
    told = dict(manifest)
    if "kind" not in manifest or sealed(manifest) != told:
        yield f"{MANIFEST} was changed: its hash is another"
    files = {file["name"]: file for file in _files_of(manifest)}
    there = {name for name in place.names("") if not name.startswith(LEFT_OUT)} - {MANIFEST}
    yield from (f"{name} is not part of the data set" for name in sorted(there - files.keys()))
    with tempfile.TemporaryDirectory(prefix="maquette-verify-") as scratch:
        folder = Path(scratch)
        path = folder / "file"
        for name in sorted(files):
            if not name.startswith("shards/"):
                yield from _file(place, files[name], path)
        parts = [name for name in sorted(files) if name.startswith("index/")]
        ids = array("Q")
        for name in parts:
            try:
                place.fetch(name, path)
            except BadInput:  # which is told above
                continue
            try:
                for shard, found in _by_shard(path):
                    ids.extend(_short(row["id"]) for row in found)
                    yield from _shard(place, files, shard, found, folder / "shard")
            except BadInput as error:
                yield f"{safe_text(name)} {error.message}"
        yield from _repeated(place, parts, ids, path)
        counts = manifest.get("counts")
        said = counts.get("rows") if isinstance(counts, dict) else "nothing"
        if len(ids) != said:
            yield f"the index has {len(ids)} rows, the manifest says {safe_text(said)}"


def _files_of(manifest: dict[str, Any]) -> list[dict[str, Any]]:
    """The files that a manifest names; what is no file of it is left out."""
    files = manifest.get("files")
    return [file for file in files if _is(file, FILE)] if isinstance(files, list) else []


def _is(row: Any, kinds: dict[str, type]) -> bool:
    """Whether it is a row with values of these kinds, of which no number is negative."""
    return isinstance(row, dict) and all(
        isinstance(row.get(name), kind) and (kind is not int or row[name] >= 0)
        for name, kind in kinds.items()
    )


def _short(key: str) -> int:
    """A short hash of a row's id."""
    return int.from_bytes(hashlib.blake2b(str(key).encode(), digest_size=8).digest())


def _repeated(place: Place, parts: list[str], ids: "array[int]", path: Path) -> Iterator[str]:
    """Ids that several rows have; the index is read again for their names, where there are some."""
    values, counts = np.unique(np.array(ids, np.uint64), return_counts=True)
    several = dict(zip(values[counts > 1].tolist(), counts[counts > 1].tolist(), strict=True))
    for name in parts if several else []:
        try:
            place.fetch(name, path)
            for _, rows in _by_shard(path):
                for row in rows:
                    if (number := several.pop(_short(row["id"]), 0)) > 1:
                        yield f"{number} rows have the id {safe_text(row['id'])}"
        except BadInput:  # which is told above
            continue


def _shard(
    place: Place, files: dict[str, dict[str, Any]], shard: str, rows: list[dict[str, Any]], path: Path
) -> Iterator[str]:
    """What is wrong with a shard and with the rows that point at it."""
    file = files.get(f"shards/{shard}")
    if file is None:
        yield f"{len(rows)} rows point at {safe_text(shard)}, which is not part of the data set"
        return
    yield from _file(place, file, path)
    if path.stat().st_size:
        yield from _spans(path, shard, rows)


def _file(place: Place, told: dict[str, Any], path: Path) -> Iterator[str]:
    try:
        place.fetch(told["name"], path)
    except BadInput as error:
        path.write_bytes(b"")
        yield error.message
        return
    if path.stat().st_size != told["size"] or file_sha256(path) != told["sha256"]:
        yield f"{told['name']} is damaged: its hash is another"


def _by_shard(part: Path) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """The rows of a part of the index, shard by shard: they lie in the shards' order. Raises BadInput."""
    shard, found = "", list[dict[str, Any]]()
    try:
        with pq.ParquetFile(part) as index:
            for batch in index.iter_batches(batch_size=5000, columns=list(ROW)):
                for row in batch.to_pylist():
                    if not _is(row, ROW):
                        raise BadInput(
                            f"has a row that names no bytes of a shard ({row.get('id')})", "bad_index"
                        )
                    if row["shard"] != shard and found:
                        yield shard, found
                        found = []
                    shard = row["shard"]
                    found.append(row)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise BadInput(f"cannot be read as a part of an index: {error}", "bad_index") from None
    if found:
        yield shard, found


def _spans(path: Path, shard: str, rows: list[dict[str, Any]]) -> Iterator[str]:
    known: dict[tuple[int, int], str] = {}
    with path.open("rb") as file:
        for row in rows:
            for prefix in ("", "shape_"):
                at = (row[f"{prefix}offset"], row[f"{prefix}length"])
                if at not in known:
                    file.seek(at[0])
                    known[at] = hashlib.sha256(file.read(at[1])).hexdigest()
                if known[at] != row[f"{prefix}sha256"]:
                    yield f"row {row['id']}: the bytes at {at[0]} of {shard} are not those that it names"


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m model_zoo.build.verify", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("place", metavar="DIR|s3://…")
    place = parser.parse_args(argv).place
    try:
        found = [line for line, _ in zip(problems(place_of(place)), range(MOST))]
        manifest = json.loads(place_of(place).read(MANIFEST))
    except BadInput as error:
        found = [error.message]
    for line in found:
        print(f"error: {line}", file=sys.stderr)
    if found:
        return 1
    print(f"{manifest['id']} is whole: {len(manifest['files'])} files, {manifest['counts']['rows']} rows")
    return 0


if __name__ == "__main__":
    sys.exit(main())
