"""The plan of a build: what every shard is made of, told from names and hashes before anything is opened.

The same source, seed and settings give the same plan on any machine, wherever the source lies. plan/plan.json says
what is planned as a whole, plan/000012.json what shard 12 is made of.
"""

import dataclasses
import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from model_zoo.build.kinds import MeshItem, PhotoItem, Refused, Settings, Work, chance, side_of
from model_zoo.build.place import TMP, Place
from model_zoo.build.sources import Stock
from model_zoo.io.errors import BadInput, safe_text
from model_zoo.io.records import parse_json

FORMAT = "maquette-plan/1"
PLAN = "plan/plan.json"
BEGUN = re.compile(rf"plan/\d{{6}}\.json|{re.escape(TMP)}/.*")  # what a plan leaves that was killed
# A shard of 64 meshes in 24 views of 512 px is about 350 MB, one of 400 photos about 300 MB.
MESHES_PER_SHARD = 64
PHOTOS_PER_SHARD = 400
# A small source is cut finer, so that several cores have something to do; its shards are smaller than 256 MB.
SHARDS_AT_LEAST = 8
POOL = 64  # meshes that the photos of one shard share: each is opened once and pasted many times
CUT_OUTS = (".png", ".webp")  # may have their mask in their alpha channel
NO_POSE = "nobody accepted a mesh and a pose for an object of it (objects.json, or a row of a release)"


class Summary(NamedTuple):
    """plan.json as a value. `hash` covers the settings and every shard's work, no path and no time."""

    variant: str
    settings: dict[str, Any]
    shards: int
    counts: dict[str, int]
    refused: list[dict[str, Any]]
    hash: str


def make_plan(settings: Settings, stock: Stock, meshes: Stock, place: Place) -> Summary:
    """Write the plan of a build into its place and return its summary. Raises BadInput when nothing can be built.

    settings.renderer must be a definite one.
    """
    summary, works = plan_of(settings, stock, meshes)
    with place.scratch() as folder:
        for work in works:
            _put(place, folder, f"plan/{work.number:06d}.json", _text(dataclasses.asdict(work)))
        _put(place, folder, PLAN, _text({"format": FORMAT, **summary._asdict()}))
    return summary


def plan_of(settings: Settings, stock: Stock, meshes: Stock) -> tuple[Summary, list[Work]]:
    """The plan of a build, which is written nowhere: its summary and its shards. Raises BadInput as make_plan."""
    refused: list[Refused] = []
    told: set[tuple[str, str, str]] = set()  # what photos and meshes of one source both tell of its manifest

    def kept(found: Iterator[Any]) -> list[Any]:
        items = []
        for item in found:
            if not isinstance(item, Refused):
                items.append(item)
            elif (key := (item.name, item.code, item.reason)) not in told:
                told.add(key)
                refused.append(item)
        return items

    if settings.variant == "iso3do":
        works = list(iso_works(settings, kept(meshes.meshes())))
    else:
        photos = kept(stock.photos(apart=settings.variant == "rp3do-osa"))
        photos = [photo for photo in photos if _has_what_it_takes(settings.variant, photo, refused)]
        pool = [] if settings.variant == "rp3do-osa" else kept(meshes.meshes())
        works = list(paste_works(settings, photos, pool))
    if not works:
        raise BadInput(_nothing(settings, refused), "nothing_to_build")
    counts = {
        "meshes": len({item.sha256 for work in works for item in work.meshes}),
        "photos": len({item.sha256 for work in works for item in work.photos}),
        "refused": len(refused),
    }
    digest = hashlib.sha256(_text(portable(settings)).encode())
    for work in works:
        digest.update(_text(dataclasses.asdict(work)).encode())
    left_out = [dataclasses.asdict(one) for one in refused]
    values = settings.variant, portable(settings), len(works), counts, left_out, digest.hexdigest()
    return Summary(*values), works


def iso_works(settings: Settings, items: list[MeshItem]) -> Iterator[Work]:
    """Iso-3DO: every mesh once, in an order drawn from the seed, so that --limit is a random part."""
    order = chance(settings.seed, "meshes").permutation(len(items))
    chosen = [items[i] for i in order][: settings.limit or None]
    each = per_shard(len(chosen), MESHES_PER_SHARD)
    for number, start in enumerate(range(0, len(chosen), each)):
        yield Work(number, meshes=tuple(chosen[start : start + each]))


def paste_works(settings: Settings, photos: list[PhotoItem], pool: list[MeshItem]) -> Iterator[Work]:
    """RP-3DO: every photo once with a pool of meshes, which has meshes of either side (kinds.side_of) where there are."""
    if settings.variant != "rp3do-osa" and not pool:
        return
    order = chance(settings.seed, "photos").permutation(len(photos))
    chosen = [photos[i] for i in order][: settings.limit or None]
    each = per_shard(len(chosen), PHOTOS_PER_SHARD)
    sides: dict[str, list[MeshItem]] = {}
    for i in chance(settings.seed, "meshes").permutation(len(pool)):
        sides.setdefault(side_of(pool[i].sha256), []).append(pool[i])
    parts = [chosen[start : start + each] for start in range(0, len(chosen), each)]
    for number, part in enumerate(parts):
        few = _shared(settings.limit, len(parts), number) if settings.limit else 0
        yield Work(number, _pool(sides, len(pool), number), tuple(part), few)


def _has_what_it_takes(variant: str, photo: PhotoItem, refused: list[Refused]) -> bool:
    """Whether a photo has the files that its variant cannot do without; what has not is noted."""
    files, code, reason = photo.files, "", ""
    if variant == "rp3do-osa" and not files.get("objects"):
        code, reason = "no_pose", NO_POSE
    elif variant != "rp3do-fo" and not (files.get("depth") or files.get("pointmap")):
        code, reason = "no_pointmap", "the photo has no depth or pointmap"
    elif variant != "rp3do-fo" and not (files.get("masks") or files["image"].lower().endswith(CUT_OUTS)):
        code, reason = "no_mask", "the photo has no mask"
    if code:
        refused.append(Refused(photo.name, code, reason))
    return not code


def per_shard(count: int, most: int) -> int:
    """Items of one shard."""
    return max(1, min(most, -(-count // SHARDS_AT_LEAST)))


def _shared(limit: int, parts: int, number: int) -> int:
    """How many of `limit` samples part `number` makes."""
    return limit // parts + (number < limit % parts)


def _pool(sides: dict[str, list[MeshItem]], count: int, number: int) -> tuple[MeshItem, ...]:
    """The next POOL meshes of a walk through all of them that goes round, each side in its share of the whole."""
    found: list[MeshItem] = []
    for items in sides.values():
        share = len(items) if count <= POOL else max(1, round(POOL * len(items) / count))
        found += [items[(number * share + i) % len(items)] for i in range(min(share, len(items)))]
    return tuple(found)


def read_plan(place: Place) -> Summary | None:
    """The plan that is in a place, None where there is none. Raises BadInput when it is not one."""
    if not place.exists(PLAN):
        return None
    value = parse_json(place.read(PLAN), what=PLAN)
    if not isinstance(value, dict) or value.pop("format", None) != FORMAT:
        raise BadInput(f"{PLAN} is not a plan of format {FORMAT}", "bad_plan")
    try:
        return Summary(**value)
    except TypeError:
        raise BadInput(f"{PLAN} is not a plan of format {FORMAT}", "bad_plan") from None


def check_free(place: Place, settings: Settings) -> None:
    """Raises BadInput when a place without a plan holds files, which a build would overwrite, or is part of a source."""
    for source in filter(None, (settings.source, settings.meshes)):
        if place.within(source):
            raise BadInput(
                f"--out lies in {source}, which the build reads: choose another --out", "bad_place"
            )
    foreign = next((name for name in place.names("") if not BEGUN.fullmatch(name)), None)
    if foreign is not None:
        raise BadInput(
            f'{place.name} holds files that are no build\'s ("{safe_text(foreign)}"): choose a new or empty --out',
            "not_empty",
        )


def read_work(place: Place, number: int) -> Work:
    """What a shard is made of. Raises BadInput."""
    value = parse_json(place.read(f"plan/{number:06d}.json"), what="plan")
    try:
        return Work(
            value["number"],
            tuple(MeshItem(**item) for item in value["meshes"]),
            tuple(PhotoItem(**item) for item in value["photos"]),
            value["samples"],
        )
    except (KeyError, TypeError):
        raise BadInput(f"plan/{number:06d}.json is not the work of a shard", "bad_plan") from None


def same_build(summary: Summary, settings: Settings) -> Settings:
    """The settings with what the plan made definite. Raises BadInput when the plan is that of another build."""
    if settings.renderer == "auto":
        settings = dataclasses.replace(settings, renderer=summary.settings.get("renderer", "auto"))
    wanted = {"variant": settings.variant, **portable(settings)}
    there = {"variant": summary.variant, **summary.settings}
    other = sorted(name for name in wanted if wanted[name] != there.get(name))
    if other:
        said = ", ".join(f"{name} {there.get(name)!r}, not {wanted[name]!r}" for name in other)
        raise BadInput(
            f"the plan in this place is another build's ({said}): choose a new --out", "other_plan"
        )
    return settings


def same_source(summary: Summary, settings: Settings, stock: Stock, meshes: Stock) -> None:
    """Raises BadInput when the sources would give another plan than the one that is there: they are listed again."""
    if stock.grows or meshes.grows:
        return
    now, _ = plan_of(settings, stock, meshes)
    if now.hash != summary.hash:
        then, there = (
            f"{one.counts['meshes']} meshes and {one.counts['photos']} photos" for one in (summary, now)
        )
        raise BadInput(
            f"the plan in this place is of another source, or the source has changed ({then} then, {there} now): choose a "
            "new --out",
            "other_source",
        )


def portable(settings: Settings) -> dict[str, Any]:
    """The settings that a plan depends on: no place of this machine."""
    values = dataclasses.asdict(settings)
    for name in ("variant", "source", "meshes"):
        values.pop(name)
    return {**values, "encoder": Path(settings.encoder).name}


def _nothing(settings: Settings, refused: list[Refused]) -> str:
    wants = {
        "iso3do": "no mesh (GLB, OBJ, PLY, STL, or a ZIP of one)",
        "rp3do-osr": "no photo with depth and masks, or no mesh to paste",
        "rp3do-osa": "no photo whose objects have an accepted mesh and pose (objects.json, or an SFT release)",
    }
    lacks = wants.get(settings.variant, "no photo, or no mesh to paste")
    told = "".join(f"; {one.name}: {one.reason}" for one in refused[:3])
    return f"there is nothing to build: the source has {lacks}{told}" + ("; ..." if len(refused) > 3 else "")


def _text(value: Any) -> str:
    return json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def _put(place: Place, folder: Path, name: str, text: str) -> None:
    path = folder / "file"
    path.write_text(text)
    place.put(name, path)
