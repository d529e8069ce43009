"""What a build is made from: the meshes and photos of a folder, an S3 prefix, a ZIP or a data set built before.

A manifest.jsonl at the top gives sha256, licence, attribution and category by path; a file whose hash it gives is not
read for the plan, and is refused later when its bytes are others.
"""

import dataclasses
import hashlib
import posixpath
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

from model_zoo.build.kinds import MeshItem, PhotoItem, Refused
from model_zoo.build.place import S3, Bucket
from model_zoo.io.errors import BadInput, safe_text
from model_zoo.io.meshes import LoadedMesh, load_mesh
from model_zoo.io.plan import Plan, PlanRefusal
from model_zoo.io.plans import plan_files
from model_zoo.io.records import parse_jsonl
from model_zoo.io.scenes import Refusal, Scene, load
from model_zoo.io.sniff import kind_of
from model_zoo.io.sources import MAX_FILE_BYTES, FolderSource, Source, ZipSource, check_relative

MANIFEST = "manifest.jsonl"
MESHES = (".glb", ".gltf", ".obj", ".ply", ".stl", ".zip")
# An image in a folder with one of these is a texture, not a photo.
TEXTURED = (".gltf", ".obj", ".mtl")


class BucketSource:
    """The files below an S3 prefix; listed when the names are asked for, read one at a time."""

    def __init__(self, url: str, endpoint: str = "") -> None:
        self._bucket = Bucket(url, endpoint)
        self.title = posixpath.basename(url.rstrip("/"))
        self.warnings: list[str] = []

    @cached_property
    def names(self) -> list[str]:
        """Keys below the prefix."""
        sizes = self._bucket.sizes()
        return [name for name in sizes if name and not name.endswith("/") and not name.startswith("../")]

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
            name = posixpath.join(folder, place)
            if self._bucket.exists(name):
                return self.read(name)
            if not folder:
                return None
            folder = posixpath.dirname(folder)


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

    def __init__(self, files: Source) -> None:
        self.files = files

    @cached_property
    def facts(self) -> dict[str, dict[str, Any]]:
        """Rows of the manifest by path."""
        if MANIFEST not in self.files.names:
            return {}
        rows = parse_jsonl(self.files.read(MANIFEST), what=MANIFEST).rows
        return {str(row.get("path")): row for row in rows}

    def meshes(self) -> Iterator[MeshItem | Refused]:
        """Every mesh file; of files with equal bytes the first."""
        seen: dict[str, str] = {}
        for name in self.files.names:
            if not name.lower().endswith(MESHES):
                continue
            try:
                sha256 = self._hash(name)
            except BadInput as error:
                yield Refused(safe_text(name, 255), error.code, error.message)
                continue
            if sha256 in seen:
                yield Refused(
                    safe_text(name, 255), "duplicate", f"the same bytes as {safe_text(seen[sha256])}"
                )
                continue
            seen[sha256] = name
            row = self.facts.get(name, {})
            said = {key: safe_text(row.get(key) or "", 300) for key in ("licence", "attribution", "category")}
            yield MeshItem(name, sha256, **said)

    def photos(self) -> Iterator[PhotoItem | Refused]:
        """Every photo with its masks, depth and known objects; of photos with equal bytes the first."""
        textured = {posixpath.dirname(name) for name in self.files.names if name.lower().endswith(TEXTURED)}
        seen: dict[str, str] = {}
        for plan in plan_files(self.files, look=False):
            if isinstance(plan, PlanRefusal):
                # Files that belong to no photo are none of a build's business, unless they claim to.
                if not plan.name.lower().endswith((*MESHES, ".jsonl")):
                    yield Refused(plan.name, "no_photo", plan.reason)
                continue
            if posixpath.dirname(plan.image) in textured:
                continue
            try:
                sha256 = plan.hashes.get(plan.image) or self._hash(plan.image)
            except BadInput as error:
                yield Refused(plan.name, error.code, error.message)
                continue
            if sha256 in seen:
                yield Refused(plan.name, "duplicate", f"the same bytes as {seen[sha256]}")
                continue
            seen[sha256] = plan.name
            yield PhotoItem(plan.name, sha256, dataclasses.asdict(plan), plan.licence, plan.attribution)

    def _hash(self, name: str) -> str:
        told = self.facts.get(name, {}).get("sha256")
        if isinstance(told, str) and len(told) == 64:
            return told.lower()
        return hashlib.sha256(self.files.read(name)).hexdigest()

    def mesh_bytes(self, item: MeshItem) -> bytes:
        """An item's file, which must still be what the plan saw. Raises BadInput."""
        return self._same(self.files.read(item.name), item.name, item.sha256)

    def load(self, item: MeshItem) -> LoadedMesh:
        """An item's mesh; material libraries and textures are looked for beside it. Raises BadInput."""
        return load_mesh(self.mesh_bytes(item), name=item.name)

    def scene(self, item: PhotoItem) -> Scene:
        """A photo with what came with it; what was refused of its sidecars is in the warnings. Raises BadInput."""
        refusals = []
        for found in load(self.files, Plan(**item.files)):
            if isinstance(found, Scene):
                self._same(found.image_bytes, item.name, item.sha256)
                found.warnings += [f"{refusal.name}: {refusal.reason}" for refusal in refusals]
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
