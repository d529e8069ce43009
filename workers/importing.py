"""Importing: model_zoo.io reads a person's files, the catalog stores what was good, and a report names the rest.

Each photo is one transaction, so a crash leaves whole photos only; everything is found again by hash.
"""

import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from django.conf import settings
from django.db import transaction
from django.utils.translation import gettext as _

from backend import jobs, storage
from backend.annotation.intake import enqueue
from backend.catalog import services
from backend.catalog.models import Batch, Image, Mesh, TargetObject
from backend.models import Blob, Job
from model_zoo.io import archives, sniff
from model_zoo.io.depth import Camera, encode_pointmap
from model_zoo.io.errors import BadInput, safe_text
from model_zoo.io.images import encode_png
from model_zoo.io.meshes import export_glb, load_mesh
from model_zoo.io.publish import published
from model_zoo.io.records import parse_jsonl
from model_zoo.io.scenes import Refusal, Scene, scan
from model_zoo.proposers.placing import camera_of
from model_zoo.proposers.pointmap import Model, estimate_pointmap, load_moge
from workers import looking
from workers.masking import box_of

MAX_POINTS = 60_000
MAX_LISTED = 1000
MAX_MESH_BYTES = 128 * 2**20
MESH_NAMES = {".glb", ".gltf", ".obj", ".ply", ".stl", ".zip"}
MEDIA_TYPES = {"JPEG": "image/jpeg", "PNG": "image/png", "WEBP": "image/webp"}
Tick = Callable[[str], Any]


@dataclass
class Report:
    """What was taken, what was refused and why, and what was doubtful."""

    taken: list[str] = field(default_factory=list)
    known: list[str] = field(default_factory=list)
    refused: list[dict[str, str]] = field(default_factory=list)
    warnings: list[dict[str, str]] = field(default_factory=list)
    objects: int = 0

    def refuse(self, name: str, reason: str) -> None:
        """Note a file that no door takes."""
        self.refused.append({"name": safe_text(name, 200), "reason": reason})

    def warn(self, name: str, notes: list[str]) -> None:
        """Note what was doubtful about a file that was taken."""
        self.warnings += [{"name": safe_text(name, 200), "warning": note} for note in notes]

    def to_json(self) -> dict[str, Any]:
        """For a job's result: counts in full, lists cut at a thousand."""
        counts = {name: len(getattr(self, name)) for name in ("taken", "known", "refused", "warnings")}
        lists = {name: getattr(self, name)[:MAX_LISTED] for name in counts}
        return {**lists, "counts": {**counts, "objects": self.objects}}

    def failure(self) -> str:
        """One line when nothing came in, empty otherwise."""
        if self.taken or self.known:
            return ""
        if not self.refused:
            return _("there is nothing to import")
        first = "; ".join(f"{row['name']}: {row['reason']}" for row in self.refused[:3])
        more = len(self.refused) - 3
        if more > 0:
            return _("nothing was taken: %(first)s; and %(more)s more") % {"first": first, "more": more}
        return _("nothing was taken: %(first)s") % {"first": first}


def import_images_job(job: Job) -> dict[str, Any]:
    """The work of an `import_images` job."""
    batch = Batch.objects.get(pk=job.args["batch"])
    with _fetched(job) as path:
        report = import_images(
            path,
            batch,
            licence=job.args.get("licence", ""),
            attribution=job.args.get("attribution", ""),
            consent=job.args.get("consent", ""),
            tick=lambda name: jobs.report(job, 0.5, name),
        )
    return _ended(report)


def import_meshes_job(job: Job) -> dict[str, Any]:
    """The work of an `import_meshes` job."""
    given = {name: job.args.get(name, "") for name in ("category", "licence", "attribution")}
    with _fetched(job) as path:
        return _ended(import_meshes(path, given=given, tick=lambda name: jobs.report(job, 0.5, name)))


def import_images(
    source: Path,
    batch: Batch,
    *,
    licence: str = "",
    attribution: str = "",
    consent: str = "",
    exact: bool = False,
    tick: Tick = lambda name: None,
) -> Report:
    """Bring every photo of a folder, ZIP, COCO file, manifest or single file into a batch."""
    report = Report()
    try:
        for found in _scan(source):
            tick(found.name)
            if isinstance(found, Refusal):
                report.refuse(found.name, found.reason)
                continue
            found.licence, found.attribution = found.licence or licence, found.attribution or attribution
            found.consent = found.consent or consent
            try:
                new, objects = store_scene(found, batch, exact=exact)
            except BadInput as refusal:
                report.refuse(found.name, refusal.message)
                continue
            (report.taken if new else report.known).append(found.name)
            report.objects += objects
            report.warn(found.name, found.warnings)
    except BadInput as refusal:
        report.refuse(source.name, refusal.message)
    return report


def _scan(source: Path) -> Iterator[Scene | Refusal]:
    """model_zoo's scan; a single photo is looked at alone, whatever lies beside it."""
    if source.is_file() and sniff.kind_of(_head(source)) not in ("archive", "json", "records"):
        with tempfile.TemporaryDirectory(prefix="maquette-import-") as folder:
            shutil.copy(source, Path(folder) / source.name)
            yield from scan(Path(folder))
    else:
        yield from scan(source)


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(1 << 16)


def store_scene(scene: Scene, batch: Batch, *, exact: bool = False) -> tuple[bool, int]:
    """Store one photo with its pointmap, objects and truths, queue its objects, and look at it. exact: poses known by
    construction.

    Returns whether anything of it is new, and how many objects entered the batch. Raises BadInput for a removed photo.
    """
    image, fresh, new, entered = _store_scene(scene, batch, exact)
    # Apart from the photo's own transaction: near-duplicates are settled one photo after the other.
    looking.look_at([image], rgb=scene.image.rgb, fresh=fresh)
    if fresh and (name := looking.twin_of_removed(image)):
        scene.warnings.append(
            _("this photo is nearly the same as %(name)s, which was removed") % {"name": name}
        )
    return new, entered


@transaction.atomic
def _store_scene(scene: Scene, batch: Batch, exact: bool) -> tuple[Image, bool, bool, int]:
    """The image, whether it is new, whether anything of it is, and how many of its objects entered the batch."""
    display, display_type = published(scene.image_bytes, scene.image)
    image, fresh_image = services.store_image(
        original=scene.image_bytes,
        media_type=MEDIA_TYPES.get(scene.image.format.upper(), "application/octet-stream"),
        display=display,
        display_type=display_type,
        size=scene.image.size,
        name=scene.name,
        licence=scene.licence,
        attribution=scene.attribution,
        consent=scene.consent,
    )
    if image.removed_at:
        message = _("this photo was removed on %(day)s and stays out: %(reason)s")
        raise BadInput(
            message % {"day": image.removed_at.date().isoformat(), "reason": image.removed_reason}, "removed"
        )
    new = fresh_image | _store_pointmap(scene, image, exact)
    targets: list[TargetObject] = []
    for name, mask in scene.masks.items():
        target, fresh = _store_object(scene, image, name, mask)
        _store_truth(scene, target, name, exact)
        targets.append(target)
        new |= fresh
    if not targets and not image.targets.exists():
        targets.append(services.store_object(image, mask=None, name=scene.name)[0])
    entered = enqueue(batch, targets)
    return image, fresh_image, new or entered > 0, entered


def _store_object(scene: Scene, image: Image, name: str, mask: np.ndarray) -> tuple[TargetObject, bool]:
    target, fresh = services.store_object(
        image,
        mask=encode_png(mask),
        area=int(mask.sum()),
        box=box_of(mask),
        name=name,
        category=scene.categories.get(name, ""),
    )
    return target, fresh


def _store_truth(scene: Scene, target: TargetObject, name: str, exact: bool) -> None:
    """Known mesh and pose of an object, kept apart from everything that annotators see."""
    given, pose = scene.truths.get(name, (None, None))
    if given is None or pose is None:
        return
    try:
        mesh, _new = store_mesh(
            _read(given) if isinstance(given, Path) else given, source=Mesh.Source.TRUTH, name=name
        )
    except BadInput as refusal:
        scene.warnings.append(
            _("objects: the mesh of %(name)s was refused: %(message)s")
            % {"name": safe_text(name), "message": refusal.message}
        )
        return
    services.store_truth(
        target, mesh, R=pose.R.ravel().tolist(), t=pose.t.tolist(), s=pose.s.tolist(), measured=exact
    )


def _store_pointmap(scene: Scene, image: Image, exact: bool) -> bool:
    """The given pointmap, or an estimate for a photo that has none; where it came from stays with it."""
    if given := _given_points(scene, exact):
        points, camera, source = given
    elif image.pointmaps.exists():
        return False
    else:
        known = scene.camera.matrix() if scene.camera else None
        guess = estimate_pointmap(
            scene.image.rgb, list(scene.masks.values()), known, moge(settings.MOGE_WEIGHTS)
        )
        points, camera = guess.points, _camera(guess.K, scene.image.size)
        source = "model" if guess.source == "moge" else guess.source
    row, fresh = services.store_pointmap(
        image,
        npz=encode_pointmap(points, camera),
        points=thin(points, scene.image.rgb),
        source=source,
        metric=source in ("sensor", "render"),
        camera=camera_json(camera),
    )
    return fresh


def _given_points(scene: Scene, exact: bool) -> tuple[np.ndarray, Camera, str] | None:
    if scene.pointmap is None:
        return None
    points = scene.pointmap.points
    source = "render" if exact and scene.pointmap_source == "sensor" else scene.pointmap_source
    try:
        return points, scene.camera or _camera(camera_of(points), scene.image.size), source
    except BadInput as refusal:
        scene.warnings.append(_("the pointmap was left out: %(message)s") % {"message": refusal.message})
        return None


@lru_cache(maxsize=1)
def moge(weights: str) -> Model | None:
    """MoGe when its weights are configured, loaded once in a process; None for the geometric fallback."""
    return load_moge(Path(weights)) if weights else None


def _camera(K: np.ndarray, size: tuple[int, int]) -> Camera:
    return Camera(float(K[0, 0]), float(K[1, 1]), float(K[0, 2]), float(K[1, 2]), size[0], size[1], None)


def camera_json(camera: Camera) -> dict[str, float]:
    """What a pointmap row keeps of its camera."""
    return {name: getattr(camera, name) for name in ("fx", "fy", "cx", "cy", "width", "height")}


def thin(points: np.ndarray, rgb: np.ndarray) -> bytes:
    """Float32 little-endian N x 6 (x y z r g b, colours 0..1) of at most 60,000 valid points, evenly over the picture."""
    valid = np.flatnonzero(np.isfinite(points).all(-1))
    if len(valid) > MAX_POINTS:
        # Steps that are no divisor of the width leave no stripes.
        valid = valid[np.arange(MAX_POINTS) * len(valid) // MAX_POINTS]
    colours = rgb.reshape(-1, 3)[valid].astype(np.float32) / 255
    return np.hstack([points.reshape(-1, 3)[valid], colours]).astype("<f4").tobytes()


def import_meshes(
    source: Path, *, given: dict[str, str] | None = None, tick: Tick = lambda name: None
) -> Report:
    """Bring every mesh of a folder, of a ZIP of meshes, or one file into the library.

    A manifest.jsonl in the folder gives category, licence and attribution by path, and hashes to check.
    """
    report = Report()
    try:
        for name, read, facts in _meshes(source):
            tick(name)
            try:
                row, new, notes = take_mesh(read(), name=name, facts={**(given or {}), **facts})
            except BadInput as refusal:
                report.refuse(name, refusal.message)
                continue
            (report.taken if new else report.known).append(name)
            report.warn(name, notes)
    except BadInput as refusal:
        report.refuse(source.name, refusal.message)
    return report


def take_mesh(data: bytes, *, name: str, facts: dict[str, str]) -> tuple[Mesh, bool, list[str]]:
    """Check one mesh file and store it in the library, with all its maps. Raises BadInput."""
    loaded = load_mesh(data, name=name, maps=True)
    row, new = _store(loaded.mesh, source=Mesh.Source.LIBRARY, name=Path(name).stem, **facts)
    return row, new, loaded.warnings


def store_mesh(data: bytes, *, source: str, name: str = "") -> tuple[Mesh, bool]:
    """Check a mesh given as bytes and store it as clean GLB under this source. Raises BadInput."""
    return _store(load_mesh(data, name=name).mesh, source=source, name=name)


def _store(mesh: Any, *, source: str, name: str, **facts: str) -> tuple[Mesh, bool]:
    return services.store_mesh(
        export_glb(mesh, maps=True),
        source=source,
        triangles=len(mesh.faces),
        extents=[float(side) for side in mesh.extents],
        name=safe_text(name, 200),
        **facts,
    )


def _meshes(source: Path) -> Iterator[tuple[str, Callable[[], bytes], dict[str, str]]]:
    """(name, reader, facts) of every mesh file of a source; BadInput when the source itself cannot be read."""
    if source.is_dir():
        facts = _facts(source)
        files = sorted(path for path in source.rglob("*") if path.is_file() and not path.is_symlink())
        for path in files:
            if path.suffix.lower() in MESH_NAMES:
                name = path.relative_to(source).as_posix()
                yield name, lambda path=path: _read(path), facts.get(name, {})  # type: ignore[misc]
        return
    if not source.is_file():
        raise BadInput(_("there is no file or folder %(name)s") % {"name": source.name})
    data = _read(source)
    members = list(_members(data)) if sniff.kind_of(data) == "archive" else []
    if len(members) > 1:
        for name, read in members:
            yield name, read, {}
        return
    yield source.name, lambda: data, {}


def _members(data: bytes) -> Iterator[tuple[str, Callable[[], bytes]]]:
    """Meshes that stand alone in a ZIP; an OBJ or glTF beside its material files is one bundle, read as a whole."""
    for name, read in archives.safe_members(data):
        if Path(name).suffix.lower() in MESH_NAMES - {".zip"}:
            yield name, read


def _facts(folder: Path) -> dict[str, dict[str, str]]:
    manifest = folder / "manifest.jsonl"
    if not manifest.is_file():
        return {}
    rows = parse_jsonl(_read(manifest), what=manifest.name).rows
    return {
        str(row.get("path")): {
            name: str(row.get(name) or "") for name in ("category", "licence", "attribution")
        }
        for row in rows
    }


def _read(path: Path) -> bytes:
    if path.stat().st_size > MAX_MESH_BYTES:
        raise BadInput(
            _("%(name)s is larger than %(limit)s MB")
            % {"name": safe_text(path.name), "limit": MAX_MESH_BYTES >> 20},
            "too_large",
        )
    return path.read_bytes()


@contextmanager
def _fetched(job: Job) -> Iterator[Path]:
    """The job's blob as a file in a folder of its own; of the person's name only plain characters are left."""
    blob = Blob.objects.get(pk=job.args["blob"])
    name = re.sub(r"[^A-Za-z0-9._-]", "_", job.args["filename"])[-100:].lstrip(".-") or "upload"
    with tempfile.TemporaryDirectory(prefix="maquette-import-") as folder:
        yield storage.fetch(blob, Path(folder), name)


def _ended(report: Report) -> dict[str, Any]:
    if failure := report.failure():
        raise jobs.UserError(failure)
    return report.to_json()
