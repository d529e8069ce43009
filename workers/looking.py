"""Looks at photos and their objects: perceptual hash and near-duplicates, and the measures of the high-aesthetics subset.

Photos and drawn masks are looked at when they come in; `look_at_pending` catches up with those from before.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from backend import storage
from backend.catalog.clusters import Seen, SeenObject, settle
from backend.catalog.models import Image, Pointmap, TargetObject
from model_zoo.build.twins import PHOTO_DISTANCE, photo_signature
from model_zoo.finish import looks
from model_zoo.io.depth import decode_pointmap
from model_zoo.io.errors import BadInput
from model_zoo.io.images import load_image, load_mask

AT_ONCE = 100
UNSEEN = TargetObject.objects.filter(looks__isnull=True, mask__isnull=False)


def look_at(images: Sequence[Image], *, rgb: np.ndarray | None = None, fresh: bool = False) -> None:
    """Look at these photos and their objects, as far as that was not done. rgb: the pixels of a single photo, if at hand.

    fresh: the photos have just come in. What cannot be read is noted as looked at, without measures.
    """
    unseen = UNSEEN.filter(image__in=images)
    by_image: dict[int, list[TargetObject]] = {}
    for target in unseen.order_by("id"):
        by_image.setdefault(target.image_id, []).append(target)
    # The newest pointmap is the best one.
    newest = Pointmap.objects.filter(image__in=by_image).order_by("image", "-id").distinct("image")
    pointmaps = {row.image_id: row for row in newest}
    photos, objects = [], []
    for image in images:
        found = image.looks
        if found is None:
            photos.append(_photo(image, rgb))
            found = photos[-1].looks
        depth = _depth(pointmaps.get(image.pk))
        objects += [_object(target, found, depth) for target in by_image.get(image.pk, ())]
    settle(photos, objects, distance=PHOTO_DISTANCE, fresh=fresh)


def look_at_pending(after: int = 0) -> int | None:
    """Look at the next photos past the id `after` that nobody has looked at, or whose objects; the last id, None at the end."""
    photos = Image.objects.filter(looks__isnull=True, pk__gt=after).order_by("pk").values_list("pk", flat=True)
    of_objects = UNSEEN.filter(image__gt=after).order_by("image").values_list("image", flat=True)
    pending = sorted({*photos[:AT_ONCE], *of_objects[:AT_ONCE]})[:AT_ONCE]
    if not pending:
        return None
    look_at(list(Image.objects.filter(pk__in=pending).order_by("pk")))
    return pending[-1]


def twin_of_removed(image: Image) -> str:
    """The name of a removed photo that this one is a near-duplicate of; empty when there is none."""
    cluster = Image.objects.filter(pk=image.pk).values("cluster")
    rows = Image.objects.filter(cluster__in=cluster, removed_at__isnull=False).exclude(pk=image.pk)
    return rows.order_by("pk").values_list("name", flat=True).first() or ""


def _photo(image: Image, rgb: np.ndarray | None) -> Seen:
    if rgb is None:
        try:
            rgb = load_image(storage.read(image.display_id)).rgb
        except (BadInput, storage.StorageError):
            return Seen(image.pk, None, {})
    signature = int(photo_signature(rgb).astype(np.int64))
    return Seen(image.pk, signature, looks.of_photo(rgb))


def _object(target: TargetObject, photo: dict[str, Any], depth: np.ndarray | None) -> SeenObject:
    try:
        mask = load_mask(storage.read(target.mask_id or "")).mask
    except (BadInput, storage.StorageError):
        return SeenObject(target.pk, {}, False)
    found = looks.of_object(mask, depth if depth is not None and depth.shape == mask.shape else None)
    return SeenObject(target.pk, found, bool(photo) and looks.aesthetic(photo, found))


def _depth(row: Pointmap | None) -> np.ndarray | None:
    """Depth (H,W) of a pointmap; None where there is none or it was guessed from the masks."""
    if row is None or row.source == row.Source.FALLBACK:
        return None
    try:
        points, _camera = decode_pointmap(storage.read(row.blob_id))
    except (BadInput, storage.StorageError):
        return None
    return np.asarray(points[..., 2])
