"""The copy of a candidate that pages load: alike for every proposer, so that nothing but the shape speaks.

Every copy has the same attributes, one 512 x 512 base colour picture, 50,000 triangles and beside them the same surface
in 10,000 for what moves on slow machines, no generator string, and a size rounded up to half mebibytes; then it is
compressed with meshopt by gltfpack. The coordinates stay those of the mesh, so that poses hold for the copy too.
"""

from __future__ import annotations

import json
import struct
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import trimesh
from PIL import Image
from trimesh.visual.material import PBRMaterial
from trimesh.visual.texture import TextureVisuals

from model_zoo.finish.clean import capped, places
from model_zoo.io.errors import BadInput
from model_zoo.render import base_colour

TRIANGLES = 50_000
COARSE = 10_000
PICTURE = 512
CREASE = 0.6  # cosine of the bend above which an edge looks sharp
BUCKET = 512 * 1024
SECONDS = 60
NEUTRAL = (190, 190, 190)
PACK = ["-cc", "-ce", "ext", "-kn", "-vp", "16", "-vpf", "-vn", "10", "-vtf"]


def viewer_copy(mesh: trimesh.Trimesh, gltfpack: Path) -> bytes:
    """GLB bytes for the viewer; `gltfpack` is the tool's path. The same mesh gives the same bytes.

    Raises BadInput when the mesh has no surface, RuntimeError with the tool's words when it fails.
    """
    both = trimesh.Scene()
    for name, triangles in (("full", TRIANGLES), ("coarse", COARSE)):
        both.add_geometry(alike(mesh, triangles), node_name=name, geom_name=name)
    return padded(_packed(both.export(file_type="glb", include_normals=True), gltfpack))


def alike(mesh: trimesh.Trimesh, triangles: int = TRIANGLES) -> trimesh.Trimesh:
    """The mesh as every candidate is shown: evenly so many triangles, texture coordinates and picture, crease normals."""
    picture, uv = _looks(mesh)
    coarse = mesh
    if len(mesh.faces) > triangles:
        coarse = capped(_joined(mesh, uv), triangles)
        uv = np.asarray(coarse.visual.uv)
    corner = places(coarse)[coarse.faces]
    points = np.zeros((corner.max() + 1, 3))
    points[corner] = coarse.vertices[coarse.faces]
    points, corner, uv_corner = subdivided(points, corner, uv[coarse.faces], triangles)
    normal = _crease_normals(points, corner)
    material = PBRMaterial(
        baseColorTexture=picture, metallicFactor=0.0, roughnessFactor=0.9, doubleSided=True
    )
    rows = np.column_stack(
        [corner.reshape(-1, 1), np.round(np.concatenate([uv_corner, normal], -1) * 4096).reshape(-1, 5)]
    )
    _, first, index = np.unique(rows, axis=0, return_index=True, return_inverse=True)
    flat_uv, flat_normal = uv_corner.reshape(-1, 2)[first], normal.reshape(-1, 3)[first]
    return trimesh.Trimesh(
        points[corner.reshape(-1)[first]],
        index.reshape(-1, 3),
        vertex_normals=flat_normal,
        visual=TextureVisuals(uv=flat_uv, material=material),
        process=False,
    )


def _joined(mesh: trimesh.Trimesh, uv: np.ndarray) -> trimesh.Trimesh:
    """The mesh without seams, so that simplifying opens none; of several texture coordinates at a place one stays."""
    place = places(mesh)
    _, first = np.unique(place, return_index=True)
    looks = TextureVisuals(uv=uv[first])
    return trimesh.Trimesh(mesh.vertices[first], place[mesh.faces], visual=looks, process=False)


def subdivided(
    points: np.ndarray, corner: np.ndarray, values: np.ndarray, wanted: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Splits edges, longest first, until there are `wanted` triangles (or at most two fewer); the shape stays.

    points (P,3), corner (F,3) indices into it, values (F,3,C) per corner. An edge is split with all its triangles, and
    only when it is the longest of each (Rivara 1997), so that no gaps open.
    """
    while len(corner) < wanted:
        ends = np.sort(np.stack([corner, np.roll(corner, -1, 1)], -1), -1).reshape(-1, 2)
        edges, edge_of = np.unique(
            ends[:, 0].astype(np.int64) * len(points) + ends[:, 1], return_inverse=True
        )
        low, high = np.divmod(edges, len(points))
        length = np.linalg.norm(points[low] - points[high], axis=1)
        edge_of = edge_of.reshape(-1, 3)
        # Equal lengths are told apart by the edge's number, or neighbours would wait for each other.
        rank = np.empty(len(edges), np.int64)
        rank[np.lexsort((np.arange(len(edges)), length))] = np.arange(len(edges))
        longest = rank[edge_of].argmax(1)
        chosen = edge_of[np.arange(len(corner)), longest]
        uses = np.bincount(edge_of.ravel(), minlength=len(edges))
        terminal = np.flatnonzero((np.bincount(chosen, minlength=len(edges)) == uses) & (uses > 0))
        terminal = terminal[np.argsort(-length[terminal], kind="stable")]
        terminal = terminal[length[terminal] > 0.45 * length[terminal[0]]]
        terminal = terminal[np.cumsum(uses[terminal]) <= wanted - len(corner)]
        if not len(terminal):
            break
        points, corner, values = _split(points, corner, values, low, high, terminal, chosen, longest)
    return points, corner, values


def _split(
    points: np.ndarray,
    corner: np.ndarray,
    values: np.ndarray,
    low: np.ndarray,
    high: np.ndarray,
    terminal: np.ndarray,
    chosen: np.ndarray,
    longest: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cuts every triangle whose longest edge is terminal into two at the edge's middle."""
    middle = np.full(len(low), -1)
    middle[terminal] = len(points) + np.arange(len(terminal))
    cut = np.flatnonzero(middle[chosen] >= 0)
    turn = (longest[cut][:, None] + np.arange(3)) % 3
    a, b, c = np.take_along_axis(corner[cut], turn, 1).T
    va, vb, vc = np.moveaxis(np.take_along_axis(values[cut], turn[:, :, None], 1), 1, 0)
    m, vm = middle[chosen[cut]], (va + vb) / 2
    corner, values = corner.copy(), values.copy()
    corner[cut], values[cut] = np.stack([a, m, c], 1), np.stack([va, vm, vc], 1)
    return (
        np.vstack([points, (points[low[terminal]] + points[high[terminal]]) / 2]),
        np.vstack([corner, np.stack([m, b, c], 1)]),
        np.concatenate([values, np.stack([vm, vb, vc], 1)]),
    )


def _crease_normals(points: np.ndarray, corner: np.ndarray) -> np.ndarray:
    """Unit normals (F,3,3) per corner: the mean over the faces there that bend gently from the corner's own face."""
    a, b, c = np.moveaxis(points[corner], 1, 0)
    cross = np.cross(b - a, c - a)
    own = cross / np.maximum(np.linalg.norm(cross, axis=1, keepdims=True), 1e-20)
    order = np.argsort(corner.ravel(), kind="stable")
    count = np.bincount(corner.ravel(), minlength=len(points))
    start = np.cumsum(count) - count
    # Every corner meets every corner at the same point: about six pairs each.
    each = count[corner.ravel()]
    first = np.repeat(np.arange(corner.size), each)
    rank = np.arange(len(first)) - np.repeat(np.cumsum(each) - each, each)
    second = order[start[corner.ravel()[first]] + rank]
    gentle = np.einsum("ij,ij->i", own[first // 3], own[second // 3]) > CREASE
    pairs = cross[second[gentle] // 3]
    sums = np.stack([np.bincount(first[gentle], column, corner.size) for column in pairs.T], 1)
    smooth = sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-20)
    return smooth.reshape(-1, 3, 3)


def _looks(mesh: trimesh.Trimesh) -> tuple[Image.Image, np.ndarray]:
    """The base colour as a 512 x 512 picture and texture coordinates (V,2), whatever the mesh came with."""
    visual = mesh.visual
    if visual.kind == "texture" and visual.uv is not None and len(visual.uv) == len(mesh.vertices):
        picture, factor = base_colour(visual.material)
        if picture is not None:
            tinted = Image.fromarray((picture * factor).astype(np.uint8))
            way = Image.Resampling.NEAREST if max(tinted.size) < 128 else Image.Resampling.BILINEAR
            return tinted.resize((PICTURE, PICTURE), way), np.asarray(visual.uv, float)
        return _plain((factor * 255).astype(int)), np.zeros((len(mesh.vertices), 2))
    if visual.kind in ("vertex", "face"):
        return _palette(np.asarray(visual.vertex_colors)[:, :3])
    return _plain(NEUTRAL), np.zeros((len(mesh.vertices), 2))


def _plain(colour: object) -> Image.Image:
    return Image.fromarray(np.full((PICTURE, PICTURE, 3), colour, np.uint8))


def _palette(colours: np.ndarray) -> tuple[Image.Image, np.ndarray]:
    """A picture of 32^3 colours in blocks of 2 x 2 pixels and the coordinates (V,2) of each vertex colour in it."""
    r, g, b = (colours.astype(int) >> 3).T
    number = np.arange(32**3)
    all_colours = np.stack([number >> 10, number >> 5 & 31, number & 31], -1) * 8 + 4
    cells = np.zeros((256, 256, 3), np.uint8)
    cells.reshape(-1, 3)[: 32**3] = all_colours
    index = (r << 10) + (g << 5) + b
    uv = np.column_stack([(index % 256 + 0.5) / 256, 1 - (index // 256 + 0.5) / 256])
    return Image.fromarray(cells.repeat(2, 0).repeat(2, 1)), uv


def _packed(glb: bytes, gltfpack: Path) -> bytes:
    with tempfile.TemporaryDirectory(prefix="maquette-pack-") as folder:
        given, made = Path(folder) / "in.glb", Path(folder) / "out.glb"
        given.write_bytes(glb)
        try:
            done = subprocess.run(
                [str(gltfpack), *PACK, "-i", str(given), "-o", str(made)],
                capture_output=True,
                text=True,
                timeout=SECONDS,
            )
        except FileNotFoundError:
            raise RuntimeError(f"gltfpack is not at {gltfpack}: run npm ci") from None
        except subprocess.TimeoutExpired:
            raise RuntimeError(f"gltfpack took longer than {SECONDS} s") from None
        if done.returncode or not made.is_file():
            words = (done.stderr or done.stdout).strip().splitlines() or ["no message"]
            raise RuntimeError(f"gltfpack failed: {words[-1]}")
        return made.read_bytes()


def padded(glb: bytes) -> bytes:
    """The GLB without generator string, filled with spaces in its JSON to a multiple of half a mebibyte."""
    magic, version, _, json_length, json_kind = struct.unpack("<4sIIII", glb[:20])
    if magic != b"glTF":
        raise BadInput("not a GLB file", "bad_glb")
    document = json.loads(glb[20 : 20 + json_length])
    document["asset"] = {"version": "2.0"}
    rest = glb[20 + json_length :]
    text = json.dumps(document, separators=(",", ":")).encode()
    size = 20 + len(text) + len(rest)
    total = -(-size // BUCKET) * BUCKET
    text += b" " * (total - 20 - len(rest) - len(text))
    return struct.pack("<4sIIII", magic, version, total, len(text), json_kind) + text + rest
