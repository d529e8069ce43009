"""Checks a built data set against itself: every file's hash, and that every row points at what it names.

python -m model_zoo.build.verify DIR|s3://…
"""

import argparse
import hashlib
import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from model_zoo.build.finish import FORMAT, MANIFEST, sealed
from model_zoo.build.place import TMP, Place, place_of
from model_zoo.io.errors import BadInput, safe_text
from model_zoo.io.records import parse_json
from model_zoo.io.shards import file_sha256

MOST = 20  # problems after which the picture is clear
LEFT_OUT = ("plan/", "parts/", f"{TMP}/")  # of the building, not of the data set


def problems(place: Place) -> Iterator[str]:
    """What is wrong, a line each. Memory: the rows of one part of the index, one shard on disk."""
    manifest = parse_json(place.read(MANIFEST), what=MANIFEST)
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise BadInput(f"{MANIFEST} does not describe a data set of format {FORMAT}", "bad_manifest")
    told = dict(manifest)
    if sealed(manifest) != told:
        yield f"{MANIFEST} was changed: its hash is another"
    files = {file["name"]: file for file in manifest["files"]}
    there = {name for name in place.names("") if not name.startswith(LEFT_OUT)} - {MANIFEST}
    yield from (f"{name} is not part of the data set" for name in sorted(there - files.keys()))
    with tempfile.TemporaryDirectory(prefix="maquette-verify-") as scratch:
        folder = Path(scratch)
        path = folder / "file"
        for name in sorted(files):
            if not name.startswith("shards/"):
                yield from _file(place, files[name], path)
        rows = 0
        for name in (name for name in sorted(files) if name.startswith("index/")):
            path.write_bytes(place.read(name))
            for shard, found in _by_shard(path):
                rows += len(found)
                if files.get(f"shards/{shard}") is None:
                    yield f"{len(found)} rows point at {safe_text(shard)}, which is not part of the data set"
                    continue
                yield from _file(place, files[f"shards/{shard}"], folder / "shard")
                yield from _spans(folder / "shard", shard, found)
        if rows != manifest["counts"]["rows"]:
            yield f"the index has {rows} rows, the manifest says {manifest['counts']['rows']}"


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
    """The rows of a part of the index, shard by shard: they lie in the shards' order."""
    names = ["id", "shard"] + [f"{p}{n}" for p in ("", "shape_") for n in ("offset", "length", "sha256")]
    shard, found = "", list[dict[str, Any]]()
    with pq.ParquetFile(part) as index:
        for batch in index.iter_batches(batch_size=5000, columns=names):
            for row in batch.to_pylist():
                if row["shard"] != shard and found:
                    yield shard, found
                    found = []
                shard = row["shard"]
                found.append(row)
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
