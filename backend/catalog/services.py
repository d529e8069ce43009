"""Verbs of the catalog: store what importers parsed, once per content, and hand back the rows.

Nothing here reads a user's bytes: workers parse them with model_zoo.io and pass clean, re-encoded data.
"""

import hashlib
from typing import Any

from django.db import transaction

from backend import storage
from backend.catalog.models import Batch, Image, Instructions, Mesh, Pointmap, TargetObject, Truth

JPEG, PNG, GLB, NPZ, RAW = (
    "image/jpeg",
    "image/png",
    "model/gltf-binary",
    "application/x-npz",
    "application/octet-stream",
)


def store_image(
    *,
    original: bytes,
    media_type: str,
    display: bytes,
    display_type: str,
    size: tuple[int, int],
    name: str,
    licence: str = "",
    attribution: str = "",
    consent: str = "",
) -> tuple[Image, bool]:
    """The image row of these bytes, and whether it is new. `display` is upright, of `size` (W, H), without metadata."""
    # Before anything is stored, since the bytes of a removed photo may have been erased.
    found = Image.objects.filter(blob__sha256=hashlib.sha256(original).hexdigest()).first()
    if found:
        return found, False
    return Image.objects.get_or_create(
        blob=storage.put(original, media_type),
        defaults={
            "display": storage.put(display, display_type),
            "width": size[0],
            "height": size[1],
            "name": name[:300],
            "licence": licence[:100],
            "attribution": attribution,
            "consent": consent[:200],
        },
    )


@transaction.atomic
def store_object(
    image: Image,
    *,
    mask: bytes | None,
    area: int = 0,
    box: list[int] | None = None,
    name: str = "",
    category: str = "",
    by: Any = None,
) -> tuple[TargetObject, bool]:
    """The object of this image and mask (PNG), and whether it is new. Without a mask: the one that waits for its mask."""
    # NULL masks are distinct to PostgreSQL, so the image's row lock keeps two importers apart.
    Image.objects.select_for_update().get(pk=image.pk)
    return TargetObject.objects.get_or_create(
        image=image,
        mask=storage.put(mask, PNG) if mask else None,
        defaults={
            "area": area, "box": box or [], "name": name[:200], "category": category[:100], "drawn_by": by,
        },
    )


def draw_mask(
    target: TargetObject, *, mask: bytes, area: int, box: list[int], category: str = "", by: Any = None
) -> bool:
    """Give an object that waits for one its mask (PNG). False when it has one, or the photo has the same object."""
    if TargetObject.objects.filter(image=target.image_id, mask__sha256=hashlib.sha256(mask).hexdigest()).exists():
        return False
    fields: dict[str, Any] = {"mask": storage.put(mask, PNG), "area": area, "box": box, "drawn_by": by}
    if category:
        fields["category"] = category[:100]
    return bool(TargetObject.objects.filter(pk=target.pk, mask=None).update(**fields))


def store_pointmap(
    image: Image, *, npz: bytes, points: bytes, source: str, metric: bool, camera: dict[str, Any]
) -> tuple[Pointmap, bool]:
    """The pointmap row of these bytes, and whether it is new. `points`: float32 N x 6 (x y z r g b) for the viewer."""
    return Pointmap.objects.get_or_create(
        image=image,
        blob=storage.put(npz, NPZ),
        defaults={"points": storage.put(points, RAW), "source": source, "metric": metric, "camera": camera},
    )


def store_mesh(
    glb: bytes,
    *,
    source: str,
    triangles: int,
    extents: list[float],
    name: str = "",
    category: str = "",
    licence: str = "",
    attribution: str = "",
) -> tuple[Mesh, bool]:
    """The mesh row of this GLB and source, and whether it is new."""
    return Mesh.objects.get_or_create(
        blob=storage.put(glb, GLB),
        source=source,
        defaults={
            "name": name[:200],
            "category": category[:100],
            "triangles": triangles,
            "extents": extents,
            "licence": licence[:100],
            "attribution": attribution,
        },
    )


def store_truth(
    target: TargetObject, mesh: Mesh, *, R: list[float], t: list[float], s: list[float], measured: bool
) -> tuple[Truth, bool]:
    """The known mesh and pose of an object; what is there already stays."""
    return Truth.objects.get_or_create(
        object=target, defaults={"mesh": mesh, "R": R, "t": t, "s": s, "measured": measured}
    )


def best_pointmap(image: Image) -> Pointmap | None:
    """The pointmap to place objects on: the newest, since importers never add a worse one to a better one."""
    return image.pointmaps.select_related("blob", "points").order_by("-id").first()


@transaction.atomic
def create_batch(*, name: str, by: Any = None, instructions: str = "", **settings: Any) -> Batch:
    """A new batch; the name must be free."""
    batch = Batch.objects.create(name=name, created_by=by, **settings)
    return write_instructions(batch, instructions, by=by) if instructions else batch


@transaction.atomic
def write_instructions(batch: Batch, text: str, *, by: Any = None) -> Batch:
    """Make `text` (Markdown) the batch's current instructions, as a new version; the same text again changes nothing."""
    current = Batch.objects.select_for_update().get(pk=batch.pk)
    if current.instructions == text:
        return current
    current.instructions, current.instructions_version = text, current.instructions_version + 1
    Instructions.objects.create(batch=current, version=current.instructions_version, text=text, by=by)
    current.save(update_fields=["instructions", "instructions_version"])
    return current
