"""What was seen of photos: their measures, their near-duplicates, and the side of the split that these share.

Photos whose perceptual hashes differ in few bits are linked; linked photos form a cluster, named after its smallest id.
A cluster's side is that of its first photo, drawn by the hash of its bytes. Where clusters of both sides turn out to be
one it becomes train (train wins): nothing near a training photo may stay in validation, and what was released as train
is never validated on. `turned_at` remembers when, so that an increment takes back what its bases gave as validation.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db import connection, transaction

from backend.catalog.models import Image

LOCK = 0x636C7573  # one settles at a time: two could each miss the other's photo
VALIDATION_SHARE = 10  # one cluster in ten

STORE = """
UPDATE catalog_image i SET signature = v.signature, looks = v.looks
FROM unnest(%(ids)s::bigint[], %(signatures)s::bigint[], %(looks)s::jsonb[]) AS v(id, signature, looks) WHERE i.id = v.id
"""
OBJECTS = """
UPDATE catalog_targetobject o SET looks = v.looks, aesthetic = v.aesthetic
FROM unnest(%(ids)s::bigint[], %(looks)s::jsonb[], %(aesthetic)s::boolean[]) AS v(id, looks, aesthetic) WHERE o.id = v.id
"""
# Hashes within seven bits of each other have a band of 16 in which at most one differs (pigeonhole; multi-index hashing,
# Norouzi et al. 2012): 68 look-ups in the indexes of the bands find them all. OFFSET 0 holds the planner to look-ups.
_BAND = """
  SELECT a.label AS one, i.label AS other FROM asked a CROSS JOIN flips f CROSS JOIN LATERAL (
    SELECT coalesce(cluster, id) AS label, signature FROM catalog_image
    WHERE ((signature >> {shift}) & 65535) = (((a.signature >> {shift}) & 65535) # f.flip) AND signature IS NOT NULL OFFSET 0
  ) i WHERE bit_count((i.signature # a.signature)::bit(64)) <= %(distance)s
"""
LINKS = """
WITH flips AS (
  SELECT 0::bigint AS flip UNION ALL SELECT 1::bigint << bit FROM generate_series(0, 15) AS bit
), asked AS (
  SELECT coalesce(cluster, id) AS label, signature FROM catalog_image WHERE id = ANY(%(ids)s) AND signature IS NOT NULL
)
""" + " UNION ".join(_BAND.format(shift=shift) for shift in (0, 16, 32, 48))
# The side of photo `i`: that of its cluster of near-duplicates; before it was looked at, by the hash of its own bytes.
SIDE = """coalesce(i.side, CASE WHEN ('x' || left(i.blob_id, 8))::bit(32)::bigint %% 10 = 0 THEN 'validation' ELSE 'train' END)"""
MERGE = f"""
UPDATE catalog_image i SET cluster = v.cluster, side = v.side,
  turned_at = CASE WHEN v.side = 'train' AND {SIDE} = 'validation' THEN clock_timestamp() ELSE i.turned_at END
FROM unnest(%(labels)s::bigint[], %(clusters)s::bigint[], %(sides)s::text[]) AS v(label, cluster, side)
WHERE (i.cluster = v.label OR (i.id = v.label AND i.cluster IS NULL)) AND (i.cluster, i.side) IS DISTINCT FROM (v.cluster, v.side)
"""


@dataclass(frozen=True)
class Seen:
    """A photo that was looked at: a signed 64-bit hash (None: it cannot be read) and its measures."""

    image: int
    signature: int | None
    looks: dict[str, Any]


@dataclass(frozen=True)
class SeenObject:
    """An object that was looked at: its measures, and whether it is of high aesthetics."""

    target: int
    looks: dict[str, Any]
    aesthetic: bool


def settle(photos: Sequence[Seen], objects: Sequence[SeenObject], *, distance: int, fresh: bool) -> None:
    """Store what was seen, and bring the photos together with their near-duplicates, at most `distance` (0 to 7) bits off.

    fresh: the photos are new. One that was there before may have been released by its own hash, so its side counts.
    """
    if not 0 <= distance <= 7:
        raise ValueError(f"near-duplicates within {distance} bits: 0 to 7 can be found")
    with transaction.atomic(), connection.cursor() as cursor:
        if objects:
            cursor.execute(OBJECTS, {
                "ids": [each.target for each in objects],
                "looks": [json.dumps(each.looks) for each in objects],
                "aesthetic": [each.aesthetic for each in objects],
            })  # fmt: skip
        if not photos:
            return
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
        values = {
            "ids": [each.image for each in photos],
            "signatures": [each.signature for each in photos],
            "looks": [json.dumps(each.looks) for each in photos],
        }
        cursor.execute(STORE, values)
        cursor.execute(LINKS, {"ids": values["ids"], "distance": distance})
        _merge(cursor, _groups(cursor.fetchall()), fresh)


def _groups(links: Sequence[tuple[int, int]]) -> list[list[int]]:
    """Labels (a cluster's name, or the id of a photo without one) that belong together, in rising order."""
    root: dict[int, int] = {}

    def top(label: int) -> int:
        while root.setdefault(label, label) != label:
            root[label] = label = root[root[label]]
        return label

    for one, other in links:
        first, second = sorted((top(one), top(other)))
        root[second] = first
    groups: dict[int, list[int]] = {}
    for label in sorted(root):
        groups.setdefault(top(label), []).append(label)
    return list(groups.values())


def _merge(cursor: Any, groups: list[list[int]], fresh: bool) -> None:
    """Give each group one cluster and one side."""
    labels = [label for group in groups for label in group]
    rows = Image.objects.filter(pk__in=labels).values_list("pk", "side", "blob_id")
    sides = {pk: (side, side_of(sha256)) for pk, side, sha256 in rows}
    of_group = []
    for group in groups:
        held = {sides[label][0] or (None if fresh else sides[label][1]) for label in group} - {None}
        side = sides[group[0]][1] if not held else "train" if "train" in held else "validation"
        of_group += [(group[0], side)] * len(group)
    cursor.execute(MERGE, {
        "labels": labels,
        "clusters": [cluster for cluster, _ in of_group],
        "sides": [side for _, side in of_group],
    })  # fmt: skip


def side_of(sha256: str) -> str:
    """train or validation by the hash of a file, one in ten to validation; the rule of every data set of ours."""
    return str(Image.Side.TRAIN if int(sha256[:8], 16) % VALIDATION_SHARE else Image.Side.VALIDATION)
