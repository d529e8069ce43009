"""Photographs with their masks, depth, camera and known objects, from a folder, ZIP, COCO JSON or manifest.

Sidecars are found by name: STEM.mask_NAME.png, STEM.depth.png, STEM.pointmap.npz, STEM.camera.json beside
STEM.jpg; or a folder per scene with color.*, mask_NAME.png, depth.png, pointmap.npz, camera.json, objects.json.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model_zoo.io.coco import ANNOTATIONS, plan_coco
from model_zoo.io.depth import Camera, LoadedPointmap, assumed_camera, load_camera, load_depth, load_pointmap
from model_zoo.io.errors import BadInput, safe_text
from model_zoo.io.images import LoadedImage, LoadedMask, Mask, check_mask, load_image, load_mask
from model_zoo.io.plan import Plan, PlanRefusal
from model_zoo.io.plans import plan_files, plan_manifest
from model_zoo.io.poses import Pose
from model_zoo.io.records import parse_json
from model_zoo.io.segmentations import decode_segmentation
from model_zoo.io.sniff import kind_of
from model_zoo.io.sources import FolderSource, SingleSource, Source, ZipSource

CUT_OUT = "object"


@dataclass
class Refusal:
    """Something that was not taken, and why."""

    name: str
    reason: str


@dataclass
class Scene:
    """One photograph and what came with it. truths: object -> (mesh file or bytes or None, its pose)."""

    name: str
    image_bytes: bytes
    image: LoadedImage
    masks: dict[str, Mask] = field(default_factory=dict)
    categories: dict[str, str] = field(default_factory=dict)
    pointmap: LoadedPointmap | None = None
    pointmap_source: str = ""
    camera: Camera | None = None
    truths: dict[str, tuple[Path | bytes | None, Pose]] = field(default_factory=dict)
    licence: str = ""
    attribution: str = ""
    consent: str = ""
    warnings: list[str] = field(default_factory=list)


def scan(source: Path | str | bytes, *, title: str = "upload") -> Iterator[Scene | Refusal]:
    """Every scene of a folder, ZIP or single photo (path or bytes), COCO instances JSON or MANIFEST.jsonl, in turn.

    title: what to call a scene of bytes that have no name.

    Raises BadInput when the source as a whole cannot be read; a bad file inside it gives a Refusal.
    """
    files, plans = _open(source, title)
    taken = 0
    for plan in plans:
        if isinstance(plan, PlanRefusal):
            yield Refusal(plan.name, plan.reason)
            continue
        for found in load(files, plan):
            if isinstance(found, Scene):
                taken += 1
                found.warnings = (files.warnings if taken == 1 else []) + found.warnings
            yield found


def load(files: Source, plan: Plan) -> Iterator[Scene | Refusal]:
    """The scene of one plan after what was refused of it; no scene where its photo was refused."""
    return _Loader(files, plan).load()


def _open(source: Path | str | bytes, title: str) -> tuple[Source, Iterator[Plan | PlanRefusal]]:
    if isinstance(source, bytes):
        files = ZipSource(source, title) if kind_of(source) == "archive" else SingleSource(title, source)
        return files, plan_files(files)
    path = Path(source)
    if path.is_dir():
        folder = FolderSource(path)
        return folder, plan_files(folder)
    if not path.is_file():
        raise BadInput(f'there is no file or folder "{safe_text(path)}"', "missing_file")
    with path.open("rb") as stream:
        kind = kind_of(stream.read(1 << 16))
    if kind == "archive":
        archive = ZipSource(path, path.stem)
        return archive, plan_files(archive)
    if path.suffix.lower() == ".jsonl" or kind == "records":
        folder = FolderSource(path.parent)
        return folder, plan_manifest(folder, folder.read(path.name))
    if kind == "json":
        # COCO keeps its JSON in a folder beside those of the images.
        folder = FolderSource(path.parent.parent if path.parent.name == ANNOTATIONS else path.parent)
        name = path.relative_to(folder.root).as_posix()
        return folder, plan_coco(folder, folder.read(name), name)
    single = SingleSource(path.name, path)
    return single, plan_files(single)


class _Loader:
    """Reads what one plan names; every file that fails becomes a Refusal and the rest goes on."""

    def __init__(self, files: Source, plan: Plan) -> None:
        self.files, self.plan = files, plan
        self.refusals: list[Refusal] = []

    def load(self) -> Iterator[Scene | Refusal]:
        plan = self.plan
        try:
            data = self._read(plan.image)
            image = load_image(data, name=plan.image)
            self._check_size(image)
        except BadInput as error:
            yield Refusal(safe_text(plan.image, 255), error.message)
            return
        scene = Scene(
            plan.name,
            data,
            image,
            licence=plan.licence,
            attribution=plan.attribution,
            consent=plan.consent,
            warnings=[*plan.warnings, *image.warnings],
        )
        self._load_masks(scene)
        self._load_geometry(scene)
        if plan.objects:
            self._load_truths(scene, plan.objects)
        yield from self.refusals
        yield scene

    def _read(self, name: str) -> bytes:
        """Bytes of a file, with the hash that a manifest gives for it."""
        data = self.files.read(name)
        wanted = self.plan.hashes.get(name)
        if wanted and hashlib.sha256(data).hexdigest() != wanted.lower():
            raise BadInput(f'the sha256 of "{safe_text(name)}" does not match the manifest', "hash_mismatch")
        return data

    def _refuse(self, name: str, error: BadInput) -> None:
        self.refusals.append(Refusal(safe_text(name, 255), error.message))

    def _check_size(self, image: LoadedImage) -> None:
        if self.plan.size and tuple(self.plan.size) != image.size:
            width, height = self.plan.size
            raise BadInput(
                f"the image is {image.size[0]}x{image.size[1]} but its JSON says {width}x{height}",
                "image_size",
            )

    def _load_masks(self, scene: Scene) -> None:
        for name, planned in self.plan.masks.items():
            where = planned if isinstance(planned, str) else f"{scene.name}: {name}"
            try:
                loaded = self._mask(planned, scene.image.size)
            except BadInput as error:
                self._refuse(where, error)
                continue
            scene.masks[name] = loaded.mask
            scene.categories[name] = self.plan.categories.get(name, "")
            scene.warnings += [f"{name}: {line}" for line in loaded.warnings]
        if not self.plan.masks and scene.image.alpha is not None:
            self._mask_from_alpha(scene, scene.image.alpha)

    def _mask(self, planned: str | dict[str, Any], size: tuple[int, int]) -> LoadedMask:
        if isinstance(planned, str):
            return load_mask(self._read(planned), size, name=planned)
        return check_mask(*decode_segmentation(planned, size))

    def _mask_from_alpha(self, scene: Scene, alpha: NDArray[np.uint8]) -> None:
        try:
            loaded = check_mask(alpha >= 128)
        except BadInput as error:
            scene.warnings.append(f"the alpha channel is no mask: {error.message}")
            return
        scene.masks[CUT_OUT] = loaded.mask
        scene.categories[CUT_OUT] = self.plan.categories.get(CUT_OUT, "")
        scene.warnings += ["the alpha channel is used as the mask", *loaded.warnings]

    def _load_geometry(self, scene: Scene) -> None:
        plan, size = self.plan, scene.image.size
        if plan.camera:
            try:
                scene.camera = load_camera(self._read(plan.camera), size)
            except BadInput as error:
                self._refuse(plan.camera, error)
        name = plan.pointmap or plan.depth
        if not name:
            return
        if not plan.pointmap and plan.camera and scene.camera is None:
            scene.warnings.append("the depth was left out because its camera was refused")
            return
        try:
            data = self._read(name)
            loaded = (
                load_pointmap(data, size)
                if plan.pointmap
                else load_depth(data, scene.camera or assumed_camera(size), size)
            )
        except BadInput as error:
            self._refuse(name, error)
            return
        scene.pointmap, scene.pointmap_source = loaded, plan.pointmap_source or "sensor"
        scene.warnings += [f"pointmap: {line}" for line in loaded.warnings]
        if scene.camera is None and not plan.pointmap:
            # Depth through a guessed camera is no measurement: what is placed on it must not pass for truth.
            scene.pointmap_source = "fallback"
            scene.warnings.append("no camera came with the depth: a field of view of 60 degrees is assumed")

    def _load_truths(self, scene: Scene, name: str) -> None:
        try:
            value = parse_json(self._read(name), what="objects")
            items = value.get("objects") if isinstance(value, dict) else None
            if not isinstance(items, list):
                raise BadInput('objects: expected {"objects": [...]}', "bad_objects")
            for item in items:
                self._load_truth(scene, item, name)
        except BadInput as error:
            self._refuse(name, error)

    def _load_truth(self, scene: Scene, item: Any, name: str) -> None:
        if not isinstance(item, dict) or not isinstance(item.get("instance"), str):
            raise BadInput('objects: an entry has no "instance"', "bad_objects")
        instance = item["instance"]
        pose = Pose.from_json(item)
        if instance not in scene.masks:
            scene.warnings.append(f'objects: "{safe_text(instance)}" has no mask and was left out')
            return
        folder = name.rpartition("/")[0]
        mesh = self.files.find_mesh(folder, item["mesh"]) if item.get("mesh") else None
        if mesh is None:
            scene.warnings.append(f'objects: the mesh of "{safe_text(instance)}" was not found')
        scene.truths[instance] = (mesh, pose)
