"""The last step of a build: the shards' rows become one index with splits, and report, card and manifest are written.

Files: index/part-00000.parquet, report.jsonl and report.md, pictures/samples.jpg, README.md, croissant.json and
manifest.json. The manifest comes last; it lists every file with its hash, and what lacks it is no data set.
"""

import hashlib
import io
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from model_zoo.build import twins
from model_zoo.build.encode import jpeg
from model_zoo.build.kinds import SPLITS, chance, side_of
from model_zoo.build.place import Place
from model_zoo.build.plan import Summary
from model_zoo.build.run import SIGNATURES, report_name, rows_name, schema_of, tar_name
from model_zoo.build.sheet import contact_sheet, outlined
from model_zoo.build.variants import VARIANTS
from model_zoo.data.reader import Members
from model_zoo.io import card, croissant
from model_zoo.io.errors import BadInput, safe_text
from model_zoo.io.index_writer import IndexWriter
from model_zoo.io.records import parse_json
from model_zoo.io.shards import file_sha256

FORMAT = "maquette-data/1"
MANIFEST = "manifest.json"
NEITHER = "none"
PART_ROWS = 1_000_000
UNIQUE = ("id", "offset", "length", "sha256")  # columns whose values do not repeat
EXAMPLES = 8  # of each reason, in report.md
SHEET = "pictures/samples.jpg"
SHOWN = 100
MESHES = (("mesh_sha256", "shape_signature"), ("other_sha256", "other_signature"))  # seen in a sample
PHOTO = ("photo_sha256", "photo_signature")
SIGNED = (*MESHES, PHOTO)
PUBLISHED = "2026-11-26"  # of this layout: a build has no clock
RENDERED = (
    "The objects are rendered meshes, not photographed ones: nobody rated or placed them, unless the column r or the "
    "provenance says so."
)


def finish(summary: Summary, place: Place) -> dict[str, Any]:
    """Write everything but the shards of a build whose shards are all done; the manifest. Raises BadInput."""
    missing = [number for number in range(summary.shards) if not place.exists(report_name(number))]
    if missing:
        shown = ", ".join(map(str, missing[:10])) + (", ..." if len(missing) > 10 else "")
        raise BadInput(f"{len(missing)} of {summary.shards} shards are not built yet ({shown})", "unfinished")
    with place.scratch() as folder:
        counts = Counter[str]()
        written = Written(place, folder)
        shards = write_report(summary, place, written, counts)
        if not counts["rows"]:
            raise BadInput("nothing was built: every item was refused, see report.md", "nothing_built")
        check_ids(summary, place)
        shown = write_index(summary, place, written, counts)
        written.file(SHEET, sheet(place, shown, folder / "sheet.jpg"))
        manifest = {
            "format": FORMAT,
            "kind": summary.variant,
            "settings": summary.settings,
            "plan": summary.hash,
            "counts": dict(sorted(counts.items())),
            "files": sorted([*shards, *written.files], key=lambda file: file["name"]),
        }
        describe(summary, manifest, written)
        manifest["files"] = sorted([*shards, *written.files], key=lambda file: file["name"])
        manifest = sealed(manifest)
        written.text(MANIFEST, json.dumps(manifest, indent=1, sort_keys=True) + "\n")
    return manifest


def sealed(manifest: dict[str, Any]) -> dict[str, Any]:
    """The manifest with the hash of all that it says, and the id made from it."""
    facts = {name: value for name, value in manifest.items() if name not in ("hash", "id")}
    text = json.dumps(facts, sort_keys=True, separators=(",", ":"))
    digest = hashlib.sha256(text.encode()).hexdigest()
    return {**facts, "hash": digest, "id": f"{facts['kind']}-{digest[:16]}"}


class Written:
    """Puts files into a place and remembers what they are."""

    def __init__(self, place: Place, folder: Path) -> None:
        self.place, self.folder = place, folder
        self.files: list[dict[str, Any]] = []

    def file(self, name: str, path: Path) -> None:
        """Take over a finished file of the folder."""
        size, sha256 = path.stat().st_size, file_sha256(path)
        self.place.put(name, path)
        self.files.append({"name": name, "size": size, "sha256": sha256})

    def text(self, name: str, text: str) -> None:
        """A small file."""
        path = self.folder / "file"
        path.write_text(text)
        self.file(name, path)


def write_report(
    summary: Summary, place: Place, written: Written, counts: Counter[str]
) -> list[dict[str, Any]]:
    """report.jsonl (every shape with what was measured, everything refused with the reason) and report.md.

    Returns the shards as files of the manifest; adds up `counts`.
    """
    shards: list[dict[str, Any]] = []
    reasons: dict[str, list[dict[str, Any]]] = {}
    refused_codes = Counter[str]()
    seen: set[tuple[str, str]] = set()
    path = written.folder / "report.jsonl"
    with path.open("w") as lines:

        def refused(one: dict[str, Any]) -> None:
            # A mesh that several shards meet is refused by each of them for the same reason.
            if (one["name"], one["code"]) in seen:
                return
            seen.add((one["name"], one["code"]))
            refused_codes[one["code"]] += 1
            if len(examples := reasons.setdefault(one["code"], [])) < EXAMPLES:
                examples.append(one)
            lines.write(json.dumps({"refused": one}, sort_keys=True) + "\n")

        for one in summary.refused:
            refused(one)
        shapes: set[str] = set()
        for number in range(summary.shards):
            report = parse_json(place.read(report_name(number)), what="report")
            assert isinstance(report, dict)
            counts["rows"] += report["rows"]
            if report["rows"]:
                shards.append(
                    {"name": f"shards/{report['shard']}", "size": report["bytes"], "sha256": report["sha256"]}
                )
            for key, measures in report["shapes"].items():
                if key not in shapes:
                    shapes.add(key)
                    lines.write(json.dumps({"shape": key, "measures": measures}, sort_keys=True) + "\n")
            for one in report["refused"]:
                refused(one)
    counts["shapes"], counts["shards"], counts["refused"] = len(shapes), len(shards), len(seen)
    counts.update({f"refused_{code}": number for code, number in refused_codes.items()})
    written.file("report.jsonl", path)
    written.text("report.md", report_text(summary, counts, refused_codes, reasons))
    return shards


def report_text(
    summary: Summary, counts: Counter[str], codes: Counter[str], reasons: dict[str, list[dict[str, Any]]]
) -> str:
    """report.md: what was built, and what was refused, by reason, with some of each and the values that decided."""
    lines = [
        f"# Report of {summary.variant}",
        "",
        f"{counts['rows']} samples with {counts['shapes']} shapes in {counts['shards']} shards; {counts['refused']} refused.",
        "",
        "Planned: " + ", ".join(f"{number} {name}" for name, number in sorted(summary.counts.items())) + ".",
        "Settings: "
        + ", ".join(f"{name} {value!r}" for name, value in sorted(_meant(summary).items()))
        + ".",
        "",
        "Every refused item and what was measured of every shape is a line of report.jsonl.",
        "",
    ]
    for code, number in codes.most_common():
        lines += [
            f"## Refused: {code} ({number})",
            "",
            "| what | why | measured |",
            "| --- | --- | --- |",
        ]
        for one in reasons[code]:
            measured = ", ".join(f"{name} {value:.4g}" for name, value in sorted(one["measures"].items()))
            lines.append(f"| {_cell(one['name'])} | {_cell(one['reason'])} | {measured} |")
        if number > EXAMPLES:
            lines.append(f"| and {number - EXAMPLES} more | | |")
        lines.append("")
    return "\n".join(lines)


def _meant(summary: Summary) -> dict[str, Any]:
    """The settings that mean something for the variant."""
    pasted = summary.variant != "iso3do"
    return {name: value for name, value in summary.settings.items() if not (pasted and name == "views")}


def _cell(text: str) -> str:
    return safe_text(text, 300).replace("|", "\\|")


def check_ids(summary: Summary, place: Place) -> None:
    """Raises BadInput where an id is that of two samples. Memory: 8 bytes a sample."""

    def hashed(table: pa.Table) -> np.ndarray:
        digests = (hashlib.sha256(key.encode()).digest()[:8] for key in table["id"].to_pylist())
        return np.frombuffer(b"".join(digests), np.uint64)

    hashes = np.sort(np.concatenate([hashed(table) for table in _tables(summary, place, ["id"])]))
    twice = hashes[1:][hashes[1:] == hashes[:-1]]
    if not len(twice):
        return
    names = [tar_name(summary.variant, number) for number in range(summary.shards)]
    found: dict[str, str] = {}
    for number, table in _numbered(summary, place, ["id"]):
        for key in table.filter(pa.array(np.isin(hashed(table), twice)))["id"].to_pylist():
            if key in found:
                raise BadInput(
                    f"the id {safe_text(key)} is that of two samples, in {found[key]} and {names[number]}: build the "
                    "set anew in another --out",
                    "repeated_id",
                )
            found[key] = names[number]


def write_index(
    summary: Summary, place: Place, written: Written, counts: Counter[str]
) -> list[dict[str, Any]]:
    """The parquet index, part by part, in the order of the shards; some rows drawn at random, to be shown."""
    rng = chance(summary.settings["seed"], "sheet")
    drawn = set(rng.choice(counts["rows"], min(SHOWN, counts["rows"]), replace=False).tolist())
    shown: list[dict[str, Any]] = []
    seen = 0
    sides = Sides(_signatures(summary, place))
    schema = schema_of(summary.variant)
    writer, path, part = None, written.folder / "part.parquet", 0
    for table in _tables(summary, place):
        splits = sides.splits(table)
        counts.update(f"split_{name}" for name in splits)
        at = table.schema.get_field_index("split")
        table = table.set_column(at, "split", pa.array(splits, pa.string()))
        writer = writer or IndexWriter(path, schema, unique=UNIQUE)
        writer.write_table(table.select(schema.names))
        places = table.select(["id", "shard", "offset", "length"])
        shown += [places.slice(i, 1).to_pylist()[0] for i in range(len(table)) if seen + i in drawn]
        seen += len(table)
        if seen >= (part + 1) * PART_ROWS or seen == counts["rows"]:
            writer.close()
            written.file(f"index/part-{part:05d}.parquet", path)
            writer, part = None, part + 1
    return shown


def sheet(place: Place, rows: list[dict[str, Any]], path: Path) -> Path:
    """A picture of samples side by side: each image with the outline of its mask. What cannot be shown is left out."""
    pictures = []
    for row in rows:
        data = place.read_at(f"shards/{row['shard']}", row["offset"], row["length"])
        members = Members(data, row["id"])
        with suppress(Exception):  # a decoder may raise anything on bytes that are broken
            pictures.append(outlined(_decoded(members["image"]), _decoded(members["mask"])))
    path.write_bytes(jpeg(contact_sheet(pictures, columns=10)))
    return path


def _decoded(data: bytes) -> np.ndarray:
    """A picture of a sample, however small: rgb uint8 (H,W,3) or mask bool (H,W), as encode.py writes them."""
    with Image.open(io.BytesIO(data), formats=["JPEG", "PNG"]) as picture:
        return np.asarray(picture)


def describe(summary: Summary, manifest: dict[str, Any], written: Written) -> None:
    """README.md (the card) and croissant.json of what is written so far."""
    counts, variant = manifest["counts"], VARIANTS[summary.variant]
    schema = schema_of(summary.variant)
    place = written.place
    names = [file["name"] for file in manifest["files"] if file["name"].startswith("index/")]

    def index() -> Iterator[pa.RecordBatch]:
        for name in names:
            yield from pq.ParquetFile(pa.BufferReader(place.read(name))).iter_batches()

    stats = card.statistics(index())
    licences = sorted(
        {*stats["counts"].get("licence", {}), *stats["counts"].get("mesh_licence", {})} - {"unknown"}
    )
    facts = {
        "samples": counts["rows"],
        "shapes": counts["shapes"],
        "shards": counts["shards"],
        "refused": f"{counts['refused']} (report.md says what and why)",
        **{name: value for name, value in _meant(summary).items() if value not in ("", 0)},
        "seed": summary.settings["seed"],
        "plan": summary.hash,
    }
    text = card.render(
        variant.title,
        variant.about,
        facts,
        schema,
        stats=stats,
        pictures={
            SHEET: f"{min(SHOWN, counts['rows'])} samples drawn at random, with the outline of the mask"
        },
        refused={
            code.removeprefix("refused_"): n for code, n in counts.items() if code.startswith("refused_")
        },
        notes=[
            RENDERED,
            "Licence and attribution are those of each photo and mesh, in the columns and JSON members.",
        ],
    )
    written.text("README.md", text)
    jsonld = croissant.describe(
        manifest,
        schema,
        name=summary.variant,
        description=variant.about,
        licence=licences[0] if len(licences) == 1 else "see the columns licence and mesh_licence",
        published=PUBLISHED,
    )
    written.text("croissant.json", croissant.text(jsonld))


def _tables(summary: Summary, place: Place, columns: list[str] | None = None) -> Iterator[pa.Table]:
    """The rows of every shard that has some."""
    return (table for _, table in _numbered(summary, place, columns))


def _numbered(
    summary: Summary, place: Place, columns: list[str] | None = None
) -> Iterator[tuple[int, pa.Table]]:
    """The same with the number of the shard."""
    for number in range(summary.shards):
        if place.exists(rows_name(number)):
            yield number, pq.read_table(pa.BufferReader(place.read(rows_name(number))), columns=columns)


def _signatures(summary: Summary, place: Place) -> Iterable[pa.Table]:
    there = schema_of(summary.variant, SIGNATURES).names
    return _tables(summary, place, [name for pair in SIGNED for name in pair if name in there])


class Sides:
    """The split of every mesh and photo of a build, so that nothing in validation has a near twin in training: no photo,
    no target, and no other mesh that is seen beside a target.

    A file's side is told from its hash (kinds.side_of), the same in every data set. Where near twins (twins.py) lie on
    both sides, those of the validation side are in neither. Memory: one signature per mesh and photo, not per sample.
    """

    def __init__(self, tables: Iterable[pa.Table]) -> None:
        meshes: dict[str, np.ndarray] = {}
        photos: dict[str, int] = {}
        for table in tables:
            for name, signature in MESHES:
                for key, at in _first(table[name]) if name in table.column_names else ():
                    meshes.setdefault(key, np.asarray(table[signature][at].as_py(), np.float32))
            for key, at in _first(table["photo_sha256"]):
                photos.setdefault(key, table["photo_signature"][at].as_py())
        self.meshes = _sides(list(meshes), twins.clusters(np.stack(list(meshes.values()))) if meshes else [])
        hashes = np.array(list(photos.values()), np.uint64)
        self.photos = _sides(list(photos), twins.photo_clusters(hashes) if photos else [])

    def splits(self, table: pa.Table) -> list[str]:
        """train, validation or none of every row."""
        sides = [
            [None if key is None else of[key] for key in table[name].to_pylist()]
            for of, name in ((self.photos, PHOTO[0]), *((self.meshes, name) for name, _ in MESHES))
            if name in table.column_names
        ]
        # What a row has not got has no side.
        rows = [set(row) - {None} for row in zip(*sides, strict=True)]
        return [row.pop() if len(row) == 1 else NEITHER for row in rows]


def _first(column: pa.ChunkedArray) -> Iterator[tuple[str, int]]:
    """Every value of a column with the number of its first row; nulls left out."""
    encoded = column.combine_chunks().dictionary_encode()
    codes = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False)
    values, at = np.unique(codes, return_index=True)
    return (
        (encoded.dictionary[code].as_py(), int(i)) for code, i in zip(values, at, strict=True) if code >= 0
    )


def _sides(keys: list[str], clusters: Iterable[int]) -> dict[str, str]:
    train, validation = SPLITS
    own = {key: side_of(key) for key in keys}
    of = dict(zip(keys, clusters, strict=True))
    mixed = {of[key] for key in keys if own[key] == train}
    return {key: NEITHER if own[key] == validation and of[key] in mixed else own[key] for key in keys}
