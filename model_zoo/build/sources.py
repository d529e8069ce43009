"""What a build is made from: the meshes and photos of a folder, S3 prefix or ZIP, of a release, or of Iso-3DO itself.

A manifest.jsonl at the top gives sha256, licence, attribution and category by path; a file whose hash it gives is not
read for the plan, and is refused later when its bytes are others.
"""

import dataclasses
import hashlib
import json
import posixpath
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

from model_zoo.build.kinds import Away, MeshItem, PhotoItem, Refused, Shape
from model_zoo.build.shapes import open_shape, read_shape
from model_zoo.data.places import S3, Bucket, open_place
from model_zoo.data.reader import MANIFEST as DATA_MANIFEST
from model_zoo.data.reader import DataSet
from model_zoo.io.errors import BadInput, safe_text
from model_zoo.io.meshes import Finder, beside
from model_zoo.io.plan import Plan, PlanRefusal
from model_zoo.io.plans import plan_files
from model_zoo.io.records import parse_json, parse_jsonl
from model_zoo.io.scenes import Refusal, Scene, load
from model_zoo.io.sniff import kind_of
from model_zoo.io.sources import MAX_FILE_BYTES, FolderSource, Source, ZipSource, check_relative

MANIFEST = "manifest.jsonl"
SHA256 = re.compile(r"[0-9a-fA-F]{64}")
NOTED = 8  # bad lines of a manifest that the report shows
MESHES = (".glb", ".gltf", ".obj", ".ply", ".stl", ".zip")
# An image in a folder with one of these is a texture, not a photo.
TEXTURED = (".gltf", ".obj", ".mtl")
SAID = ("licence", "attribution", "category")
EACH = ("masks", "categories")  # of a Plan: what it has of every object
TRAIN = "train"
# Codes of places and sources that say nothing about a file's content: it may be read another time.
DOWN = "s3"
PASSING = (DOWN, "unreadable")
GONE = "missing_file"


class BucketSource:
    """The files below an S3 prefix; listed when the names are asked for, read one at a time."""

    def __init__(self, url: str, endpoint: str = "") -> None:
        self._bucket = Bucket(url, endpoint)
        self.title = posixpath.basename(url.rstrip("/"))
        self.warnings: list[str] = []

    @cached_property
    def names(self) -> list[str]:
        """Keys below the prefix."""
        return [name for name in self._bucket.names("") if not name.endswith("/") and ".." not in name]

    def read(self, name: str) -> bytes:
        """Bytes of an object that is not too large. Raises BadInput."""
        data = self._bucket.read(check_relative(name))
        if len(data) > MAX_FILE_BYTES:
            raise BadInput(f'"{safe_text(name)}" is larger than {MAX_FILE_BYTES >> 20} MB', "too_large")
        return data

    def find_mesh(self, folder: str, reference: str) -> bytes | None:
        """The mesh that objects.json in `folder` names, there or in a folder above it."""
        place = check_relative(reference)
        while True:
            try:
                return self.read(posixpath.join(folder, place))
            except BadInput as error:
                if error.code != "missing_file":
                    raise
            if not folder:
                return None
            folder = posixpath.dirname(folder)


@contextmanager
def at_hand(*codes: str) -> Iterator[None]:
    """Raises Away for errors of these codes and of PASSING, which mean that a source cannot be read now."""
    try:
        yield
    except BadInput as error:
        if error.code in (*PASSING, *codes):
            raise Away(error.message) from None
        raise


def _encodes(name: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in name)


def _misnamed(name: str) -> Refused:
    return Refused(safe_text(name, 255), "bad_name", "its name is not UTF-8: rename it")


class PlannedFiles:
    """The files of a source as a build reads them: one that cannot be read now raises Away, and so does one of `items`
    that is not there."""

    def __init__(self, files: Source, *items: str) -> None:
        self.files, self.items = files, items
        self.title, self.warnings = files.title, files.warnings

    @property
    def names(self) -> list[str]:
        """Those of the source that can be written down."""
        return [name for name in self.files.names if _encodes(name)]

    def read(self, name: str) -> bytes:
        """Bytes of a file. Raises BadInput, Away."""
        with at_hand(*[GONE] * (name in self.items)):
            return self.files.read(name)

    def find_mesh(self, folder: str, reference: str) -> Path | bytes | None:
        """As the source's. Raises BadInput, Away."""
        with at_hand(GONE):
            return self.files.find_mesh(folder, reference)


def open_stock(source: str, endpoint: str = "") -> "Stock":
    """The items that --from or --meshes names. Raises BadInput."""
    place = open_place(source, endpoint)
    try:
        manifest = parse_json(place.read(DATA_MANIFEST), what=DATA_MANIFEST)
    except BadInput:
        return Stock(open_source(source, endpoint))
    manifest = manifest if isinstance(manifest, dict) else {}
    kind = manifest.get("kind")
    if kind == "iso3do":
        return IsoStock(DataSet(source, endpoint=endpoint))
    if kind == "sft":
        return ReleaseStock(DataSet(source, where=f"split == '{TRAIN}'", endpoint=endpoint))
    if not str(manifest.get("format")).startswith("maquette-"):
        return Stock(open_source(source, endpoint))  # somebody's own manifest.json
    raise BadInput(
        f'"{safe_text(source)}" is a data set of kind {safe_text(kind)}: meshes come from a folder or iso3do, photos from a '
        "folder or an SFT release",
        "wrong_kind",
    )


def open_source(source: str, endpoint: str = "") -> Source:
    """The files that --from names. Raises BadInput."""
    if source.startswith(S3):
        return BucketSource(source, endpoint)
    path = Path(source)
    if path.is_dir():
        return FolderSource(path)
    if path.is_file():
        with path.open("rb") as stream:
            if kind_of(stream.read(1 << 16)) == "archive":
                return ZipSource(path, path.stem)
    raise BadInput(f'"{safe_text(source)}" is no folder, ZIP or s3:// prefix', "missing_file")


class Stock:
    """The items of a source, in the order of their names, and how to open them."""

    grows = False  # whether it may list more while a build lasts: then a plan stands for what it had

    def __init__(self, files: Source) -> None:
        self.files = files

    @cached_property
    def facts(self) -> dict[str, dict[str, Any]]:
        """Rows of the manifest by path."""
        return self._manifest[0]

    @cached_property
    def _manifest(self) -> tuple[dict[str, dict[str, Any]], list[Refused]]:
        """Its rows by path, and what of it cannot be used."""
        if MANIFEST not in self.files.names:
            return {}, []
        try:
            records = parse_jsonl(self.files.read(MANIFEST), what=MANIFEST, lenient=True)
        except BadInput as error:
            if error.code in (*PASSING, GONE):
                raise
            return {}, [Refused(MANIFEST, error.code, error.message)]
        faults = list(records.errors)
        for row, line in zip(records.rows, records.lines, strict=True):
            told = row.get("sha256")
            if told is not None and not (isinstance(told, str) and SHA256.fullmatch(told)):
                faults.append(f"line {line}: its sha256 is not 64 hexadecimal digits")
                del row["sha256"]
        shown = "; ".join(faults[:NOTED]) + (
            f"; and {len(faults) - NOTED} more" if len(faults) > NOTED else ""
        )
        return {str(row.get("path")): row for row in records.rows}, [
            Refused(MANIFEST, "bad_line", shown)
        ] * bool(faults)

    @cached_property
    def _by_hash(self) -> dict[str, dict[str, Any]]:
        return {str(row.get("sha256")).lower(): row for row in self.facts.values()}

    def told(self, item: MeshItem) -> MeshItem:
        """The item with what the manifest says of a file of these bytes, where nothing is known of it yet."""
        row = {} if item.licence else self._by_hash.get(item.sha256, {})
        said = {key: safe_text(row[key], 300) for key in SAID if row.get(key) and not getattr(item, key)}
        return dataclasses.replace(item, **said)

    def meshes(self) -> Iterator[MeshItem | Refused]:
        """Every mesh file; of files with equal bytes the first. What of the manifest is not used comes before them."""
        yield from self._manifest[1]
        seen: dict[str, str] = {}
        for name in self.files.names:
            if not name.lower().endswith(MESHES):
                continue
            if not _encodes(name):
                yield _misnamed(name)
                continue
            try:
                sha256 = self._hash(name)
            except BadInput as error:
                if error.code == DOWN:
                    raise
                yield Refused(safe_text(name, 255), error.code, error.message)
                continue
            if sha256 in seen:
                yield Refused(
                    safe_text(name, 255), "duplicate", f"the same bytes as {safe_text(seen[sha256])}"
                )
                continue
            seen[sha256] = name
            row = self.facts.get(name, {})
            said = {key: safe_text(row.get(key) or "", 300) for key in SAID}
            yield MeshItem(name, sha256, **said)

    def photos(self, *, apart: bool = False) -> Iterator[PhotoItem | Refused]:
        """Every photo with its masks, depth and known objects; of photos with equal bytes the first.

        What of the manifest is not used comes before them. apart: an item for every object, where the source knows more
        of an object than its photo (ReleaseStock).
        """
        yield from self._manifest[1]
        textured = {posixpath.dirname(name) for name in self.files.names if name.lower().endswith(TEXTURED)}
        seen: dict[str, str] = {}
        for name in self.files.names:
            if not _encodes(name) and not name.lower().endswith(MESHES):
                yield _misnamed(name)
        for plan in plan_files(PlannedFiles(self.files), look=False):
            if isinstance(plan, PlanRefusal):
                # Files that belong to no photo are none of a build's business, unless they claim to.
                if not plan.name.lower().endswith((*MESHES, ".jsonl")):
                    yield Refused(plan.name, "no_photo", plan.reason)
                continue
            if posixpath.dirname(plan.image) in textured:
                continue
            try:
                plan.hashes = {name: told for name, told in plan.hashes.items() if SHA256.fullmatch(told)}
                sha256 = plan.hashes.get(plan.image, "").lower() or self._hash(plan.image)
            except BadInput as error:
                if error.code == DOWN:
                    raise
                yield Refused(plan.name, error.code, error.message)
                continue
            if sha256 in seen:
                yield Refused(plan.name, "duplicate", f"the same bytes as {seen[sha256]}")
                continue
            seen[sha256] = plan.name
            yield PhotoItem(plan.name, sha256, dataclasses.asdict(plan), plan.licence, plan.attribution)

    def _hash(self, name: str) -> str:
        told = self.facts.get(name, {}).get("sha256")
        if told:
            return str(told).lower()
        return hashlib.sha256(self.files.read(name)).hexdigest()

    def mesh_bytes(self, item: MeshItem) -> bytes:
        """An item's file, which must still be what the plan saw. Raises BadInput, Away."""
        return self._same(PlannedFiles(self.files, item.name).read(item.name), item.name, item.sha256)

    def shape(self, item: MeshItem) -> Shape:
        """An item's shape. Raises BadInput, Away."""
        return open_shape(self.mesh_bytes(item), item, self._beside(item))

    def _beside(self, item: MeshItem) -> Finder:
        """Finds what a mesh names: material libraries, textures and buffers in its folder or near it in the source."""

        files = PlannedFiles(self.files)

        def find(name: str) -> bytes | None:
            try:
                return files.read(beside(posixpath.dirname(item.name), name))
            except BadInput as error:
                if error.code != "missing_file":
                    raise
                return None

        return find

    def scene(self, item: PhotoItem, note: Callable[[Refused], None] = lambda refused: None) -> Scene:
        """A photo with what came with it; note() is told of each file beside it that is refused. Raises BadInput, Away."""
        refusals = []
        plan = Plan(**item.files)
        for found in load(PlannedFiles(self.files, plan.image), plan):
            if isinstance(found, Scene):
                self._same(found.image_bytes, item.name, item.sha256)
                for refusal in refusals:
                    note(Refused(refusal.name, "beside_photo", refusal.reason))
                return found
            refusals.append(found)
        last: Refusal = refusals[-1]
        raise BadInput(last.reason, "refused_photo")

    @staticmethod
    def _same(data: bytes, name: str, sha256: str) -> bytes:
        if hashlib.sha256(data).hexdigest() != sha256:
            raise BadInput(
                f'"{safe_text(name)}" is not the file that the plan (or the manifest) names', "hash_mismatch"
            )
        return data


class IsoStock(Stock):
    """The shapes of an Iso-3DO that was built before: filtered, normalised and made solid already."""

    def __init__(self, data: DataSet) -> None:
        """Holds the number of one row of each shape."""
        self.data = data
        self._rows: dict[str, int] = {}
        for row, key in enumerate(data.facts["shape_id"].to_pylist()):
            self._rows.setdefault(key, row)

    def told(self, item: MeshItem) -> MeshItem:
        """The item as it is."""
        return item

    def meshes(self) -> Iterator[MeshItem | Refused]:
        """Every shape, under the name of the file that it was made of."""
        for key, number in sorted(self._rows.items()):
            row = self.data.row(number)
            name = parse_json(row["provenance"], what="provenance").get("mesh", key)
            yield MeshItem(
                name, row["mesh_sha256"], 0, row["mesh_licence"], row["mesh_attribution"], row["category"]
            )

    def photos(self, *, apart: bool = False) -> Iterator[PhotoItem | Refused]:
        """None."""
        return iter(())

    def shape(self, item: MeshItem) -> Shape:
        """An item's shape, as it is stored. Raises BadInput, Away."""
        key = f"m{item.sha256[:16]}"  # Shape.key
        with at_hand(GONE):
            if key not in self._rows:
                raise BadInput(f"{safe_text(item.name)} is not in {self.data.name}", GONE)
            return read_shape(self.data.shape(self._rows[key]), item)


class ReleaseFiles:
    """A release as files: KEY.jpg with KEY.mask.png, KEY.pointmap.npz and KEY.objects.json, and CANDIDATE.glb.

    KEY is an object's, which is also what the object is called in its photo.
    """

    def __init__(self, data: DataSet) -> None:
        self.data, self.title, self.warnings = data, data.name, list[str]()
        self.photos: dict[str, int] = {}
        self.meshes: dict[str, int] = {}
        keys = zip(*(data.facts[name].to_pylist() for name in ("object_key", "candidate_key")), strict=True)
        for row, (photo, mesh) in enumerate(keys):
            self.photos.setdefault(photo, row)
            self.meshes.setdefault(f"{mesh}.glb", row)

    @property
    def names(self) -> list[str]:
        """The meshes; photos are taken from the index."""
        return sorted(self.meshes)

    def read(self, name: str) -> bytes:
        """Bytes of a member. Raises BadInput."""
        if name in self.meshes:
            return self.data.sample(self.meshes[name])["mesh"]
        key, _, what = name.partition(".")
        if key not in self.photos:
            raise BadInput(f'"{safe_text(name)}" is not in {self.data.name}', "missing_file")
        if what == "objects.json":
            return self._objects(key, self.data.row(self.photos[key]))
        members = {"jpg": "image", "mask.png": "mask", "pointmap.npz": "pointmap"}
        return self.data.sample(self.photos[key])[members.get(what, what)]

    @staticmethod
    def _objects(key: str, row: dict[str, Any]) -> bytes:
        found = {"instance": key, "mesh": f"{row['candidate_key']}.glb"}
        rotation = [row["R"][at : at + 3] for at in (0, 3, 6)]
        return json.dumps({"objects": [{**found, "R": rotation, "t": row["t"], "s": row["s"]}]}).encode()

    def find_mesh(self, folder: str, reference: str) -> bytes | None:
        """The mesh of a candidate."""
        return self.read(reference) if reference in self.meshes else None


class ReleaseStock(Stock):
    """The training rows of an SFT release: its validation photos stay unseen."""

    files: ReleaseFiles

    def __init__(self, data: DataSet) -> None:
        super().__init__(ReleaseFiles(data))

    @cached_property
    def facts(self) -> dict[str, dict[str, Any]]:
        """What the release says of its meshes, by name."""
        columns = {"licence": "mesh_licence", "attribution": "mesh_attribution", "category": "category"}
        data = self.files.data
        rows = ((name, data.row(number)) for name, number in self.files.meshes.items())
        return {name: {key: row.get(column) for key, column in columns.items()} for name, row in rows}

    def photos(self, *, apart: bool = False) -> Iterator[PhotoItem | Refused]:
        """Every photo once with the masks of all its objects; apart: every object, with its rating and its pose where the
        release gives one."""
        found = map(self._object, sorted(self.files.photos))
        yield from found if apart else _together(found)

    def _object(self, key: str) -> PhotoItem:
        files = self.files
        number = files.photos[key]
        row = files.data.row(number)
        plan = Plan(
            key,
            f"{key}.jpg",
            {key: f"{key}.mask.png"},
            {key: row.get("category") or ""},
            pointmap=f"{key}.pointmap.npz" if files.data.spans["pointmap"].at(number) else "",
            objects=f"{key}.objects.json" if row.get("R") is not None else "",
            pointmap_source=row.get("pointmap_source") or "",
            licence=row.get("licence") or "",
            attribution=row.get("attribution") or "",
        )
        said = {name: row.get(name) or "" for name in ("mesh_licence", "mesh_attribution")}
        sha256 = hashlib.sha256(files.read(plan.image)).hexdigest()
        return PhotoItem(
            key, sha256, dataclasses.asdict(plan), plan.licence, plan.attribution, row.get("r"), **said
        )


def _together(objects: Iterable[PhotoItem]) -> Iterator[PhotoItem]:
    """One item for the objects of a photo, under the name of the first, without what is told of single ones."""
    photos: dict[str, list[PhotoItem]] = {}
    for item in objects:
        photos.setdefault(item.sha256, []).append(item)
    for first, *more in photos.values():
        plans = [first.files, *(item.files for item in more)]
        measured = next((plan for plan in plans if plan["pointmap"]), first.files)
        files = {
            **first.files,
            **{name: {key: value for plan in plans for key, value in plan[name].items()} for name in EACH},
            **{name: measured[name] for name in ("pointmap", "pointmap_source")},
            "objects": "",
        }
        yield PhotoItem(first.name, first.sha256, files, first.licence, first.attribution)
