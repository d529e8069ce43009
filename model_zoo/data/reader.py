"""The reader of built data sets and releases, on disk or in a bucket: rows by filter, samples by number, bytes until asked.

data = DataSet("s3://bucket/iso3do", where="r >= 0.8 and split == 'train'", cache="/scratch")
data.sample(12).rgb()
"""

import hashlib
import io
import json
import pickle
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow.compute as pc
import trimesh
from numpy.typing import NDArray
from PIL import Image

from model_zoo.build.encode import read_depth_png, read_occupancy
from model_zoo.data.cache import Cache, Cached, made
from model_zoo.data.index import IDS, SAMPLE, SHAPE, Span, open_index
from model_zoo.data.locks import ThreadLock
from model_zoo.data.places import Place, open_place
from model_zoo.io.depth import decode_pointmap
from model_zoo.io.errors import BadInput, safe_text
from model_zoo.io.images import check_size, load_image, load_mask
from model_zoo.io.meshes import load_mesh
from model_zoo.io.shards import BLOCK

MANIFEST = "manifest.json"
GAP = 2**16  # bytes between two spans that are read along rather than asked for twice
LONGEST = 2**24  # of one joined read
KEPT_SHAPES = 2**26  # bytes of shapes that stay in memory
KEPT = 2  # of the indexes that are kept in a cache: another number where the same filter gives other rows or columns
CACHE_BYTES = 50 * 2**30
Bytes = bytes | memoryview


class Problem(NamedTuple):
    """A row that could not be read: its shard, its id, and why."""

    shard: str
    id: str
    code: str
    reason: str


class Pose(NamedTuple):
    """p_cam = R diag(s) p + t, OpenCV camera, p the mesh as delivered (y-up). R (3,3), t (3,), s (3,) float64."""

    R: NDArray[np.float64]
    t: NDArray[np.float64]
    s: NDArray[np.float64]


class Members(Mapping[str, bytes]):
    """The members of one tar span, by name up to the first dot ("image", "mask", "json"): a dict over one buffer."""

    def __init__(self, data: Bytes, key: str) -> None:
        """Reads the tar headers. Raises BadInput when the span is no whole sample of this key."""
        self.data, self.ends, at = data, {}, 0
        while at < len(data):
            name, end = _header(data, at)
            if name.partition(".")[0] != key:
                raise BadInput(
                    f'the bytes of "{safe_text(key)}" are those of "{safe_text(name)}"', "wrong_member"
                )
            self.ends[name[len(key) + 1 :].partition(".")[0]] = (at + BLOCK, end)
            at = end + -end % BLOCK

    def __getitem__(self, name: str) -> bytes:
        start, end = self.ends[name]
        return bytes(self.data[start:end])

    def __iter__(self) -> Iterator[str]:
        return iter(self.ends)

    def __len__(self) -> int:
        return len(self.ends)


def _header(data: Bytes, at: int) -> tuple[str, int]:
    """Name and end of the member whose USTAR header is at `at`."""
    head = bytes(data[at : at + BLOCK])
    try:
        name = head[: head.index(b"\0", 0, 100)].decode("ascii")
        end = at + BLOCK + int(head[124:135], 8)
    except ValueError:
        name, end = "", -1
    if not name or head[257:262] != b"ustar" or not at + BLOCK <= end <= len(data):
        raise BadInput("the bytes that the index names are no tar members", "broken_sample")
    return name, end


def _opened_picture(data: bytes) -> Image.Image:
    """A decoded picture within the limits of model_zoo.io.images. Raises BadInput."""
    try:
        picture = Image.open(io.BytesIO(data), formats=("JPEG", "PNG", "WEBP"))
        check_size(*picture.size, min_side=1)
        picture.load()
    except BadInput:
        raise
    except Exception:  # a decoder may raise anything on bytes that are broken
        raise BadInput("a picture is corrupt and cannot be decoded", "corrupt_image") from None
    return picture


class Sample:
    """One row with its bytes. Nothing is decoded until it is asked for; every method raises BadInput for bad bytes."""

    def __init__(self, data: "DataSet", index: int, members: Mapping[str, bytes]) -> None:
        self.data, self.index, self.members = data, index, members
        self.shard = data.shard_of(index)  # of what was last asked for

    @property
    def id(self) -> str:
        """Its id in the index."""
        return self.data.id(self.index)

    @property
    def row(self) -> dict[str, Any]:
        """Its columns, those that say where bytes lie left out."""
        return self.data.row(self.index)

    @property
    def shape(self) -> Mapping[str, bytes]:
        """Members of the shape of a built sample ("mesh", "occupancy", "json", "latent"); read when first asked for."""
        return self.data.shape(self.index)

    def get(self, name: str) -> bytes | None:
        """Bytes of a member of the sample or its shape: "image", "mask", "mesh", "chosen", ...; None without one."""
        self.shard = self.data.shard_of(self.index, name)
        if name in self.members:
            return self.members[name]
        if SHAPE in self.data.spans:
            return self.shape.get(name)
        return self.data.member(self.index, name) if name in self.data.spans else None

    def __getitem__(self, name: str) -> bytes:
        found = self.get(name)
        if found is None:
            raise BadInput(f"sample {self.id} of {self.data.name} has no {safe_text(name)}", "no_member")
        return found

    def facts(self) -> dict[str, Any]:
        """The sample's JSON member (R, t, s, K, camera, lights); of a release, its row."""
        if "json" not in self.members:
            return self.row
        try:
            return dict(json.loads(self.members["json"]))
        except ValueError:
            raise BadInput(f"the facts of sample {self.id} are not JSON", "bad_json") from None

    def rgb(self, name: str = "image") -> NDArray[np.uint8]:
        """The condition image, or "target": (H,W,3) uint8."""
        data = self[name]
        picture = _opened_picture(data)
        if picture.format == "JPEG" and picture.mode == "RGB" and "exif" not in picture.info:
            return np.asarray(picture)  # as our encoders write it
        return load_image(data).rgb

    def mask(self, name: str = "mask") -> NDArray[np.bool_]:
        """The object's visible pixels, or "whole": (H,W) bool."""
        data = self[name]
        picture = _opened_picture(data)
        if picture.format == "PNG" and picture.mode in ("1", "L"):
            return np.asarray(picture) != 0
        return load_mask(data).mask

    def depth(self) -> NDArray[np.float32]:
        """z at pixel centres (H,W) float32, NaN where there is none."""
        facts = self.facts()
        if facts.get("near") is None or facts.get("far") is None:
            raise BadInput(f"sample {self.id} does not say how its depth is stored", "no_depth")
        return read_depth_png(self["depth"], float(facts["near"]), float(facts["far"]))

    def points(self) -> NDArray[np.float32] | None:
        """The pointmap (H,W,3) float32, OpenCV axes, NaN where there is no point; from the depth and K where it is stored
        so; None where the sample has neither."""
        stored = self.get("pointmap")
        if stored is not None:
            return decode_pointmap(stored)[0]
        if "depth" not in self.members:
            return None
        z, K = self.depth(), np.asarray(self.facts().get("K"), np.float64)
        if K.shape != (3, 3):
            raise BadInput(f"sample {self.id} has a depth without its K", "no_camera")
        v, u = np.mgrid[: z.shape[0], : z.shape[1]]
        rays = np.stack([u, v, np.ones_like(u)], -1) @ np.linalg.inv(K).T
        return (rays * z[..., None]).astype(np.float32)

    def occupancy(self) -> NDArray[np.bool_]:
        """Solid voxels of the shape (64,64,64) bool in the model's z-up axes."""
        return read_occupancy(self["occupancy"])

    def mesh(self, name: str = "mesh") -> trimesh.Trimesh:
        """The mesh as delivered, or "chosen" and "rejected" of a pair."""
        return load_mesh(self[name], maps=True).mesh

    def pose(self) -> Pose | None:
        """Where the mesh stands; None where nobody knows."""
        facts = self.facts()
        if any(facts.get(name) is None for name in "Rts"):
            return None
        R, t, s = (np.asarray(facts[name], np.float64) for name in "Rts")
        if R.size != 9 or t.shape != (3,) or s.shape != (3,):
            raise BadInput(f"sample {self.id} has no pose of R (3,3), t (3,), s (3,)", "bad_pose")
        return Pose(R.reshape(3, 3), t, s)


class DataSet:
    """The rows of a built data set or release that pass a filter, in the order of its index.

    manifest: its manifest.json. kind: "sft" and "dpo" (releases), or a variant such as "iso3do". facts: what is held of
    the index, a pyarrow Table. spans: where the bytes lie.
    """

    def __init__(
        self,
        place: str | Path,
        *,
        where: str | pc.Expression | None = None,
        columns: Sequence[str] | None = None,
        base: Sequence[str | Path] = (),
        check: bool = True,
        endpoint: str = "",
        cache: str | Path | None = None,
        cache_bytes: int = CACHE_BYTES,
        whole_shards: bool = False,
    ) -> None:
        """place: a folder or s3://BUCKET/PREFIX (endpoint: an argument, or what boto3 finds in the AWS environment).

        where: a filter such as "r >= 0.8 and split == 'train'" (model_zoo.data.where), or a pyarrow expression.
        columns: those to hold in memory, None for all; a large index needs few. base: the releases that an incremental
        one builds on, in any order: their rows come first, those that a later one removed are gone; without them only
        the new rows are read. check: compare the sha256 of whatever is read with the index's. cache: a folder that
        keeps the index ready to map and, of a bucket, spans (or whole shards) within cache_bytes.
        Raises BadInput for a place that is no data set, a bad filter, a missing base.
        """
        self._arguments = (
            place,
            {
                "where": where, "columns": columns, "base": tuple(base), "check": check, "endpoint": endpoint,
                "cache": cache, "cache_bytes": cache_bytes, "whole_shards": whole_shards,
            },
        )  # fmt: skip
        found = open_place(place, endpoint)
        self.name, self.manifest, self.check = found.name, _manifest(found), check
        chain = _chain(found, self.manifest, [open_place(other, endpoint) for other in base])
        content = "\0".join([*(_text(manifest) for _, manifest in chain), _filter(where)])
        self.identity = _digest(content)  # the same for the same rows
        held = _digest(f"{KEPT}\0{content}\0{columns}\0{check}")
        kept = None if cache is None else made(Path(cache)) / f"index-{held}.arrow"
        index = open_index([p for p, _ in chain], where=where, columns=columns, digests=check, kept=kept)
        self.facts, self.spans, self.shards = index.facts, index.spans, index.shards
        self._places: list[Place] = [p for p, _ in chain]
        if cache is not None and str(place).startswith("s3://"):
            shared = Cache(Path(cache) / "shards", cache_bytes)
            self._places = [
                Cached(p, shared, _digest(_text(manifest)), whole=whole_shards) for p, manifest in chain
            ]
        ids = [self.facts[name] for name in IDS if name in self.facts.column_names]
        self._ids = ids[0] if ids else None
        if self._ids is not None and self._ids.num_chunks == 1:
            self._ids = self._ids.chunk(0)
        self.first = (
            (SAMPLE,)
            if SAMPLE in self.spans
            else tuple(n for n in ("image", "mask", "pointmap") if n in self.spans)
        )
        self._shapes: OrderedDict[tuple[int, int], Members] = OrderedDict()
        self._shape_bytes = 0
        self._lock = ThreadLock()

    def __reduce__(self) -> Any:
        return _opened, self._arguments

    def __len__(self) -> int:
        return self.facts.num_rows if self.facts.num_columns else len(self.spans[self.first[0]].shards)

    @property
    def kind(self) -> str:
        """ "sft" or "dpo" of a release, else the variant."""
        return str(self.manifest.get("kind") or self.manifest.get("variant") or "")

    def require(self, *kinds: str) -> None:
        """Raises BadInput unless it is of one of these kinds."""
        if self.kind not in kinds:
            wanted = " or ".join(repr(kind) for kind in kinds)
            raise BadInput(
                f"{self.name} is a data set of kind {self.kind!r}, this reads {wanted}", "wrong_kind"
            )

    def id(self, row: int) -> str:
        """The id of a row."""
        return str(row) if self._ids is None else str(self._ids[row].as_py())

    def row(self, row: int) -> dict[str, Any]:
        """The held columns of a row."""
        return dict(self.facts.slice(row, 1).to_pylist()[0])

    def column(self, name: str) -> NDArray[Any]:
        """A held column as numpy (nulls are NaN or None)."""
        return self.facts[name].to_numpy()

    def shard_of(self, row: int, name: str = "") -> str:
        """File name of the shard of a row, or of one member of it where that has a place of its own."""
        first = self.spans[self.first[0]]
        number = int(self.spans.get(name, first).shards[row])
        number = number if number >= 0 else int(first.shards[row])
        return self.shards[number][1] if number >= 0 else ""

    def sample(self, row: int) -> Sample:
        """A row with its bytes, in one read where they lie together. Raises BadInput."""
        found = self.load([row])[0]
        if isinstance(found, Problem):
            raise BadInput(f"{found.shard}: {found.reason}", found.code)
        return found

    def load(self, rows: Sequence[int], *, shapes: bool = False) -> list[Sample | Problem]:
        """Many rows, in this order; what lies close together is read at once. shapes: read those along."""
        names = (*self.first, SHAPE) if shapes and SHAPE in self.spans else self.first
        wanted = [{name: self.spans[name].at(row) for name in names} for row in rows]
        got = self._read({span for spans in wanted for span in spans.values() if span is not None})
        return [self._sample(row, spans, got) for row, spans in zip(rows, wanted, strict=True)]

    def member(self, row: int, name: str) -> bytes | None:
        """Bytes that one span of a row names; None where it has none."""
        span = self.spans[name].at(row)
        return None if span is None else self._checked(span, self._at(span))

    def shape(self, row: int) -> Members:
        """The members of the shape of a row of a built set."""
        span = self.spans[SHAPE].at(row)
        if span is None:
            raise BadInput(f"row {self.id(row)} of {self.name} has no shape", "no_member")
        with self._lock:
            found = self._shapes.get(span[:2])
        return found or self._keep_shape(span, self._at(span))

    def _keep_shape(self, span: Span, data: Bytes) -> Members:
        data = bytes(self._checked(span, data))  # no view: it would keep all that was read with it
        members = Members(data, data[: data.find(b".", 0, 100)].decode("ascii", "replace"))
        with self._lock:
            if span[:2] not in self._shapes:
                self._shapes[span[:2]] = members
                self._shape_bytes += span.length
                while self._shape_bytes > KEPT_SHAPES and len(self._shapes) > 1:
                    self._shape_bytes -= len(self._shapes.popitem(last=False)[1].data)
        return members

    def _sample(
        self, row: int, spans: Mapping[str, Span | None], got: Mapping[Span, Bytes | BadInput]
    ) -> Sample | Problem:
        try:
            members: dict[str, bytes] | Members = {}
            for name, span in spans.items():
                if span is None:
                    continue
                data = got[span]
                if isinstance(data, BadInput):
                    raise data
                if name == SAMPLE:
                    members = Members(self._checked(span, data), self.id(row))
                elif name == SHAPE:
                    self._keep_shape(span, data)
                else:
                    members[name] = bytes(self._checked(span, data))  # type: ignore[index]
        except BadInput as error:
            return Problem(self.shard_of(row, name), self.id(row), error.code, error.message)
        return Sample(self, row, members)

    def _checked(self, span: Span, data: Bytes) -> Bytes:
        if not self.check or span.sha256 is None or hashlib.sha256(data).digest() == span.sha256:
            return data
        number, name = self.shards[span.shard]
        place = self._places[number]
        if isinstance(place, Cached):  # is it the copy that is broken?
            data = place.read_again(f"shards/{name}", span.offset, span.length)
            if hashlib.sha256(data).digest() == span.sha256:
                return data
        raise BadInput(
            f"the bytes at {span.offset} of {safe_text(name)} do not match their sha256", "hash_mismatch"
        )

    def _at(self, span: Span, length: int | None = None) -> bytes:
        place, name = self.shards[span.shard]
        return self._places[place].read_at(
            f"shards/{name}", span.offset, span.length if length is None else length
        )

    def _read(self, spans: set[Span]) -> dict[Span, Bytes | BadInput]:
        """The bytes of spans: neighbours in one read; where that fails, one by one."""
        got: dict[Span, Bytes | BadInput] = {}
        for group in _joined(spans):
            first, last = group[0], group[-1]
            if len(group) > 1:
                try:
                    data = memoryview(self._at(first, last.offset + last.length - first.offset))
                except BadInput:
                    pass
                else:
                    for span in group:
                        start = span.offset - first.offset
                        got[span] = data[start : start + span.length]
                    continue
            for span in group:
                try:
                    got[span] = self._at(span)
                except BadInput as error:
                    got[span] = error
        return got


def _joined(spans: set[Span]) -> Iterator[list[Span]]:
    """Spans that lie close together in a shard, in order."""
    group: list[Span] = []
    for span in sorted(spans, key=lambda s: s[:2]) if len(spans) > 1 else spans:
        if group and (
            span.shard != group[0].shard
            or span.offset > group[-1].offset + group[-1].length + GAP
            or span.offset + span.length - group[0].offset > LONGEST
        ):
            yield group
            group = []
        group.append(span)
    if group:
        yield group


def _opened(place: str | Path, arguments: dict[str, Any]) -> DataSet:
    return DataSet(place, **arguments)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:32]


def _filter(where: str | pc.Expression | None) -> str:
    """What tells a filter from others; an expression as text would leave out most of a long list."""
    if isinstance(where, pc.Expression):
        return hashlib.sha256(pickle.dumps(where, protocol=5)).hexdigest()
    return str(where)


def _text(manifest: Mapping[str, Any]) -> str:
    return json.dumps(manifest, sort_keys=True)


def manifest_of(place: str | Path, endpoint: str = "") -> dict[str, Any]:
    """The manifest of a data set or release, which is not opened. Raises BadInput."""
    return _manifest(open_place(place, endpoint))


def _manifest(place: Place) -> dict[str, Any]:
    try:
        manifest = json.loads(place.read(MANIFEST))
    except (BadInput, ValueError) as error:
        raise BadInput(f"{place.name} is not a release or data set: {error}", "no_manifest") from None
    if not isinstance(manifest, dict):
        raise BadInput(
            f"{place.name} is not a release or data set: {MANIFEST} holds no object", "no_manifest"
        )
    return manifest


def _chain(
    place: Place, manifest: dict[str, Any], bases: Sequence[Place]
) -> list[tuple[Place, dict[str, Any]]]:
    """The places to read, the oldest first. Raises BadInput unless every base is one that the next builds on."""
    given = {}
    for base in bases:
        found = _manifest(base)
        given[found.get("hash")] = (base, found)
    chain = [(place, manifest)]
    while given:
        wanted = (chain[0][1].get("lineage") or {}).get("base") or {}
        if wanted.get("hash") not in given:
            told = f"builds on {wanted['id']}" if wanted.get("id") else "builds on no other release"
            raise BadInput(
                f"{chain[0][0].name} {told}; given is {next(iter(given.values()))[0].name}", "wrong_base"
            )
        chain.insert(0, given.pop(wanted["hash"]))
    return chain
