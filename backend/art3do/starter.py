"""The artist's starter package: a ZIP of everything to begin from, streamed from the store without a copy on disk."""

import json
import struct
import zipfile
from collections.abc import Iterator
from typing import Any

from backend import storage
from backend.art3do.services import best_candidates
from backend.catalog.models import TargetObject
from backend.catalog.services import best_pointmap
from backend.models import Blob
from backend.proposals.models import Candidate

ZIP_DATE = (1980, 1, 1, 0, 0, 0)
POINT = struct.Struct("<6f")  # x y z r g b, as points.bin holds them
PLY_POINT = struct.Struct("<3f3B")
PLY_HEAD = """ply
format binary_little_endian 1.0
comment OpenCV camera: x right, y down, z forward
element vertex {count}
property float x
property float y
property float z
property uchar red
property uchar green
property uchar blue
end_header
"""
README = """Start from these files; model the object that mask.png marks in photo.jpg.

photo.jpg       the photo, upright
mask.png        the object, white inside, of the photo's size
camera.json     the camera's intrinsics in pixels (fx, fy, cx, cy, width, height) and the pose of candidate.glb
pointmap.npz    a 3D point for every pixel, in the camera's frame
pointmap.ply    the points around the object with their colours, in the same frame, for your 3D tool
candidate.glb   the best mesh so far, to compare with or to start from

Frames. The camera's frame is OpenCV's: x to the right, y down, z into the scene; {unit}.
A GLB is y up: x to the right, y up, z towards you. Deliver yours y up, in metres if you can.
Pose. A point p of candidate.glb lies in the camera's frame at R diag(s) p + t, where R is a 3 x 3 matrix given row by
row, s scales each axis of the mesh, and t moves it. A pixel is u = fx x/z + cx, v = fy y/z + cy.
To bring pointmap.ply into a y-up tool beside the mesh, turn it by 180 degrees about x: (x, y, z) becomes (x, -y, -z).

Send back one GLB, or an OBJ with its MTL and textures as ZIP, a PLY or an STL. FBX is not read: export GLB.
You need not place the mesh in the photo: that is found, and aligned by others later.
"""


class _Pipe:
    """A file that zipfile writes to and that gives the bytes on."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def write(self, data: bytes) -> int:
        self._parts.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        """Nothing is held back."""

    def take(self) -> bytes:
        """What was written since the last call."""
        data, self._parts = b"".join(self._parts), []
        return data


def starter(target: TargetObject) -> Iterator[bytes]:
    """A ZIP for the artist's own tool, streamed: photo, mask, camera, pointmap (NPZ, PLY), best candidate, README."""
    pointmap = best_pointmap(target.image)
    candidate = best_candidates([target.pk]).get(target.pk)
    parts: list[tuple[str, Blob | None]] = [("photo.jpg", target.image.display), ("mask.png", target.mask)]
    parts.append(("pointmap.npz", pointmap.blob if pointmap else None))
    parts.append(("candidate.glb", candidate.mesh.blob if candidate else None))
    pipe: Any = _Pipe()
    with zipfile.ZipFile(pipe, "w") as archive:
        for name, blob in parts:
            if blob is not None:
                yield from _member(archive, pipe, name, storage.stream(blob))
        if pointmap and pointmap.points:
            yield from _member(archive, pipe, "pointmap.ply", ply(pointmap.points))
        archive.writestr(zipfile.ZipInfo("camera.json", ZIP_DATE), _camera(pointmap, candidate))
        metric = pointmap is not None and pointmap.source == "sensor"
        unit = "metres" if metric else "its unit is not measured, so sizes are relative"
        archive.writestr(zipfile.ZipInfo("README.txt", ZIP_DATE), README.format(unit=unit))
    yield pipe.take()


def ply(points: Blob) -> Iterator[bytes]:
    """A binary PLY of a points.bin blob: float x y z and 8-bit colours."""
    yield PLY_HEAD.format(count=points.size // POINT.size).encode("ascii")
    rest = b""
    for chunk in storage.stream(points):
        data = rest + chunk
        whole = len(data) - len(data) % POINT.size
        rest = data[whole:]
        yield b"".join(
            PLY_POINT.pack(x, y, z, *(min(max(round(value * 255), 0), 255) for value in colour))
            for x, y, z, *colour in POINT.iter_unpack(data[:whole])
        )


def _member(archive: zipfile.ZipFile, pipe: Any, name: str, chunks: Iterator[bytes]) -> Iterator[bytes]:
    with archive.open(zipfile.ZipInfo(name, ZIP_DATE), "w", force_zip64=True) as member:
        for chunk in chunks:
            member.write(chunk)
            yield pipe.take()


def _camera(pointmap: Any, candidate: Candidate | None) -> str:
    """Intrinsics of the photo, and the pose p_cam = R diag(s) p_glb + t of candidate.glb in that camera (OpenCV)."""
    pose = {"R": candidate.R, "t": candidate.t, "s": candidate.s} if candidate else None
    facts = {
        "camera": pointmap.camera if pointmap else None,
        "pointmap_source": pointmap.source if pointmap else None,
    }
    return json.dumps({**facts, "candidate_pose": pose}, indent=1) + "\n"
