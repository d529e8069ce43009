"""One shard of a build, from its work to a tar, its rows and its report. Safe to repeat, to kill and to run twice.

A shard counts once its report is there, which is written last; until then nothing of it bears its name but files that
the next run replaces with the same bytes.
"""

import dataclasses
import hashlib
import json
from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import trimesh

from model_zoo.build.kinds import (
    Away,
    Encode,
    Made,
    MeshItem,
    PhotoItem,
    Refused,
    Room,
    Settings,
    Shape,
    Work,
)
from model_zoo.build.place import Place
from model_zoo.build.shapes import shape_members
from model_zoo.build.sources import Stock
from model_zoo.build.twins import photo_signature
from model_zoo.build.variants import VARIANTS
from model_zoo.io.errors import BadInput
from model_zoo.io.scenes import Scene
from model_zoo.io.shards import ShardWriter, span_of
from model_zoo.raster import Raster

KEPT_BYTES = 2**30  # opened meshes with their textures that one process holds
KEPT_SCENES = 4
TEXTURES = (  # of a material
    *(f"{name}Texture" for name in ("baseColor", "metallicRoughness", "normal", "occlusion", "emissive")),
    "image",
)
WHOLE = 2**62  # a planned shard is one file, however large

PLACE = [("shard", pa.string()), ("offset", pa.int64()), ("length", pa.int64()), ("sha256", pa.string())]
COMMON = [
    ("id", pa.string()),
    *PLACE,
    ("shape_id", pa.string()),
    *((f"shape_{name}", kind) for name, kind in PLACE[1:]),
    ("split", pa.string()),
    ("r", pa.float64()),
    ("category", pa.string()),
    ("licence", pa.string()),
    ("attribution", pa.string()),
    ("mesh_licence", pa.string()),
    ("mesh_attribution", pa.string()),
    ("mesh_sha256", pa.string()),
    ("photo_sha256", pa.string()),
    ("provenance", pa.string()),
]
# Only in the rows of a shard, for the split: what tells near twins. other: the second mesh of a sample that has one.
SIGNATURES = [
    ("shape_signature", pa.list_(pa.float32())),
    ("other_signature", pa.list_(pa.float32())),
    ("photo_signature", pa.uint64()),
]


def schema_of(variant: str, more: Sequence[tuple[str, pa.DataType]] = ()) -> pa.Schema:
    """Columns of a variant's index."""
    return pa.schema([*COMMON, *VARIANTS[variant].columns, *more])


def tar_name(variant: str, number: int) -> str:
    """File name of a shard."""
    return f"{variant}-{number:06d}.tar"


def report_name(number: int) -> str:
    """The file that says that a shard is done."""
    return f"parts/{number:06d}.json"


def rows_name(number: int) -> str:
    """A shard's rows until the index is made of them."""
    return f"parts/{number:06d}.parquet"


def open_raster(settings: Settings) -> Raster:
    """The renderer of a build. Raises BadInput where this machine has not got it."""
    try:
        return Raster(backend=settings.renderer)
    except RuntimeError as error:
        raise BadInput(
            f"{error}: build on a machine that has it, or plan with --renderer embree", "no_renderer"
        ) from None


class Opener:
    """Opens items for a builder and keeps the last of them; what was refused is refused again without being opened."""

    def __init__(self, stock: Stock, meshes: Stock) -> None:
        self.stock, self.meshes = stock, meshes
        self.signatures: dict[str, int] = {}  # of photos, by sha256
        self.noted: list[Refused] = []  # files beside photos that were refused
        self._shapes: OrderedDict[str, Shape | BadInput] = OrderedDict()
        # By name and sha256: a release has one photo under the name of every object in it.
        self._scenes: OrderedDict[tuple[str, str], Scene | BadInput] = OrderedDict()

    def shape(self, item: MeshItem) -> Shape:
        """The shape of a mesh file. Raises BadInput."""
        found = _kept(self._shapes, item.sha256, lambda: self.meshes.shape(item))
        while len(self._shapes) > 1 and sum(map(_size, self._shapes.values())) > KEPT_BYTES:
            self._shapes.popitem(last=False)
        return found

    def scene(self, item: PhotoItem) -> Scene:
        """A photo with what came with it. Raises BadInput."""
        key = item.name, item.sha256
        found = _kept(self._scenes, key, lambda: self.stock.scene(item, self.noted.append))
        if item.sha256 not in self.signatures:
            self.signatures[item.sha256] = int(photo_signature(found.image.rgb))
        while len(self._scenes) > KEPT_SCENES:
            self._scenes.popitem(last=False)
        return found


def _kept(kept: OrderedDict[Any, Any], key: Any, make: Callable[[], Any]) -> Any:
    if key not in kept:
        try:
            kept[key] = make()
        except BadInput as error:
            kept[key] = error
    kept.move_to_end(key)
    if isinstance(kept[key], BadInput):
        raise kept[key]
    return kept[key]


def _size(shape: Shape | BadInput) -> int:
    if isinstance(shape, BadInput):
        return 0
    mesh: trimesh.Trimesh = shape.mesh
    material = getattr(mesh.visual, "material", None)
    found = [getattr(material, name, None) for name in TEXTURES]
    pictures = {id(image): image for image in found if image is not None}.values()
    held = sum(4 * image.width * image.height for image in pictures)
    return mesh.vertices.nbytes + mesh.faces.nbytes + shape.occupancy.nbytes + held


def is_done(place: Place, number: int) -> bool:
    """Whether a shard is whole."""
    return place.exists(report_name(number))


def run_shard(
    settings: Settings,
    work: Work,
    place: Place,
    opener: Opener,
    encode: Encode | None = None,
    tick: Callable[[int], None] = lambda samples: None,
) -> dict[str, Any]:
    """Build one shard into its place and return its report. tick(samples so far) is called meanwhile.

    Raises BadInput when its source cannot be read now: then nothing of it is kept, and it is built when it is tried again.
    """
    with place.scratch() as folder:
        shard = _Shard(settings, work, folder, opener, encode)
        try:
            report = shard.write(tick)
        except Away as error:
            raise BadInput(
                f"{error}: the source cannot be read now, so shard {work.number} is not built; run the same command again "
                "to go on",
                "source_away",
            ) from None
        if report["rows"]:
            place.put(f"shards/{report['shard']}", folder / report["shard"])
            place.put(rows_name(work.number), folder / "rows.parquet")
        (folder / "report.json").write_text(json.dumps(report, indent=1, sort_keys=True) + "\n")
        place.put(report_name(work.number), folder / "report.json")
    return report


class _Shard:
    """One shard on its way into a folder."""

    def __init__(
        self, settings: Settings, work: Work, folder: Path, opener: Opener, encode: Encode | None
    ) -> None:
        self.settings, self.work, self.folder, self.opener, self.encode = (
            settings,
            work,
            folder,
            opener,
            encode,
        )
        self.rows: list[dict[str, Any]] = []
        self.ids: set[str] = set()
        self.refused: dict[tuple[str, str], Refused] = {}
        self.shapes: dict[str, dict[str, Any]] = {}

    def write(self, tick: Callable[[int], None]) -> dict[str, Any]:
        """Write tar and rows; the report."""
        variant = self.settings.variant
        room = Room(
            self.settings, self.opener.shape, self.opener.scene, self.encode, open_raster(self.settings)
        )
        with ShardWriter(self.folder, WHOLE, prefix=variant, first=self.work.number) as writer:
            for made in VARIANTS[variant].build(self.work, room):
                if not isinstance(made, Refused) and made.key in self.ids:
                    reason = "a sample of this id is there already"
                    made = Refused(f"{(made.photo or made.shape.item).name}: {made.key}", "duplicate", reason)
                if isinstance(made, Refused):
                    self.refused.setdefault((made.name, made.code), made)
                    continue
                self._add(writer, made)
                tick(len(self.rows))
        for one in self.opener.noted:
            self.refused.setdefault((one.name, one.code), one)
        shards = writer.shards
        if self.rows:
            table = pa.Table.from_pylist(self.rows, schema=schema_of(variant, SIGNATURES))
            pq.write_table(table, self.folder / "rows.parquet", compression="zstd")
        return {
            "shard": shards[0]["name"] if shards else tar_name(variant, self.work.number),
            "bytes": shards[0]["bytes"] if shards else 0,
            "sha256": shards[0]["sha256"] if shards else "",
            "rows": len(self.rows),
            "shapes": {key: row["measures"] for key, row in sorted(self.shapes.items())},
            "refused": [dataclasses.asdict(one) for one in self.refused.values()],
        }

    def _add(self, writer: ShardWriter, made: Made) -> None:
        shape = made.shape
        shape.item = self.opener.meshes.told(shape.item)
        if shape.key not in self.shapes:
            place = _write(writer, shape.key, shape_members(shape))
            self.shapes[shape.key] = {"place": place, "measures": shape.measures}
        place = _write(writer, made.key, made.members)
        self.ids.add(made.key)
        item, photo = shape.item, made.photo
        told = {"mesh": item.name, "seed": self.settings.seed} | ({"photo": photo.name} if photo else {})
        source = photo or item
        self.rows.append(
            {
                "id": made.key,
                **place,
                "shape_id": shape.key,
                **{f"shape_{n}": v for n, v in self.shapes[shape.key]["place"].items() if n != "shard"},
                "split": None,
                "r": photo.r if photo else None,
                "category": item.category,
                "licence": source.licence,
                "attribution": source.attribution,
                "mesh_licence": item.licence,
                "mesh_attribution": item.attribution,
                "mesh_sha256": item.sha256,
                "photo_sha256": photo.sha256 if photo else None,
                "provenance": json.dumps(told, sort_keys=True, ensure_ascii=False),
                **made.row,
                "shape_signature": shape.signature,
                "photo_signature": self.opener.signatures[photo.sha256] if photo else None,
            }
        )


def _write(writer: ShardWriter, key: str, members: dict[str, bytes]) -> dict[str, Any]:
    """Write one key; its span as columns shard, offset, length, sha256."""
    digest = hashlib.sha256()
    rows = writer.write(key, members, digest)
    offset, length = span_of(rows)
    return {"shard": rows[0]["shard"], "offset": offset, "length": length, "sha256": digest.hexdigest()}
