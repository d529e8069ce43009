"""A proposer that is a command in an environment of its own: files in, meshes out (PROTOCOL.md).

What it writes is as untrusted as an upload. The command and its environment come from whoever runs the machine.
"""

from __future__ import annotations

import json
import math
import os
import stat
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import trimesh

from model_zoo.finish.clean import capped
from model_zoo.io.errors import BadInput, safe_text
from model_zoo.io.images import encode_png
from model_zoo.io.meshes import MAX_BYTES, load_mesh
from model_zoo.io.poses import Pose, pose_from_opengl, pose_from_pytorch3d
from model_zoo.io.records import parse_json
from model_zoo.proposers import child
from model_zoo.proposers.interface import ObjectInput, Proposal
from model_zoo.proposers.placing import camera_of, score_of, window_of
from model_zoo.proposers.turning import found_pose
from model_zoo.render import RayTree

PROTOCOL = 1
RESULT_BYTES = 1 << 20
PLACED_FACES = 20_000  # a pose is found on a mesh of at most this many triangles
FRAMES = {"opencv": lambda pose: pose, "opengl": pose_from_opengl, "pytorch3d": pose_from_pytorch3d}


@dataclass(frozen=True)
class Made:
    """One candidate as the command gave it: the mesh, its pose if the model knows one, and its cost."""

    mesh: trimesh.Trimesh
    pose: Pose | None
    seconds: float


@dataclass(frozen=True)
class Answer:
    """What one call gave: candidate i is None where the model failed on it, `why` says how the first failure went."""

    made: list[Made | None]
    model: str
    why: str


class CommandProposer:
    """Candidates of an external command, one call for all candidates of an object."""

    def __init__(
        self, command: Sequence[str], *, environment: Mapping[str, str], seconds: float, name: str = "command"
    ) -> None:
        self.command, self.name = list(command), name
        self.environment, self.seconds = environment, seconds

    def propose(self, obj: ObjectInput, *, seed: int, count: int) -> list[Proposal]:
        """At most `count` candidates, best silhouette first; candidate i is made from seed + i.

        Raises BadInput with one line for an empty mask or pointmap and for whatever the command does wrong.
        """
        camera_of(obj.pointmap)
        if not obj.mask.any():
            raise BadInput("the mask is empty", "empty_mask")
        return self.placed(self.ask(obj, seed=seed, count=count), obj, seed)

    def placed(self, answer: Answer, obj: ObjectInput, seed: int) -> list[Proposal]:
        """What a command gave for an object and a seed as proposals, best silhouette first. Raises BadInput when it gave nothing."""
        window = window_of(obj.mask, obj.pointmap, camera_of(obj.pointmap))
        found = []
        for number, made in enumerate(answer.made):
            if made is not None:
                began = time.perf_counter()
                small = capped(made.mesh, PLACED_FACES)
                pose = made.pose or found_pose(small, obj)
                score = score_of(RayTree(small), pose, window)
                cost = made.seconds + time.perf_counter() - began
                found.append(Proposal(made.mesh, pose, score, cost, answer.model, seed + number))
        if not found:
            raise BadInput(f"it made nothing of this object{answer.why}", "nothing_made")
        return sorted(found, key=lambda proposal: -proposal.score)

    def ask(self, obj: ObjectInput, *, seed: int, count: int) -> Answer:
        """Runs the command once and reads what it wrote. Raises BadInput."""
        with tempfile.TemporaryDirectory(prefix="maquette-", ignore_cleanup_errors=True) as name:
            folder = Path(name)
            write_request(folder, obj, seed=seed, count=count)
            # What the command does to the folder's name cannot lead the reading elsewhere.
            handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
            try:
                began = time.perf_counter()
                child.run([*self.command, name], folder, environment=self.environment, seconds=self.seconds)
                return read_result(handle, count, time.perf_counter() - began)
            finally:
                os.close(handle)


def write_request(folder: Path, obj: ObjectInput, *, seed: int, count: int) -> None:
    """image.png, mask.png, pointmap.npy and request.json, as PROTOCOL.md has them."""
    K = camera_of(obj.pointmap)
    height, width = obj.mask.shape
    camera = {"fx": K[0, 0], "fy": K[1, 1], "cx": K[0, 2], "cy": K[1, 2], "width": width, "height": height}
    request = {
        "protocol": PROTOCOL,
        "seed": seed,
        "count": count,
        "camera": camera,
        "category": obj.category,
    }
    (folder / "image.png").write_bytes(encode_png(obj.rgb))
    (folder / "mask.png").write_bytes(encode_png(obj.mask.astype(np.uint8) * 255))
    np.save(folder / "pointmap.npy", obj.pointmap.astype(np.float32))
    (folder / "request.json").write_text(json.dumps(request))


def read_result(folder: int, count: int, wall: float) -> Answer:
    """The answer in an open folder to a request for `count` candidates that took `wall` seconds. Raises BadInput."""
    fields = parse_json(read_file(folder, "result.json", RESULT_BYTES), what="result.json")
    if not isinstance(fields, dict) or fields.get("protocol") != PROTOCOL:
        raise BadInput(f"result.json: it does not say protocol {PROTOCOL}", "bad_result")
    rows, frame = fields.get("candidates"), fields.get("frame", "opencv")
    known = isinstance(rows, list) and all(isinstance(row, dict) for row in rows)
    if not known or not 1 <= len(rows) <= count:
        raise BadInput(f"result.json: candidates must be a list of 1 to {count} objects", "bad_result")
    if frame not in FRAMES:
        raise BadInput(f"result.json: frame must be one of {', '.join(FRAMES)}", "bad_result")
    named = [fields.get("model"), fields.get("version")]
    if not all(isinstance(word, str) and word.strip() for word in named):
        raise BadInput("result.json: model and version must be texts that say what ran", "bad_result")
    made, why = [], ""
    for number, row in enumerate(rows):
        if "error" in row:
            made.append(None)
            why = why or f": {safe_text(row['error'], 300)}"
        else:
            made.append(_made(folder, number, row, frame, wall / len(rows)))
    return Answer(made, " ".join(safe_text(word.strip()) for word in named), why)


def _made(folder: int, number: int, row: dict[str, Any], frame: str, share: float) -> Made:
    name = f"{number}.glb"
    data = read_file(folder, name, MAX_BYTES)
    if data[:4] != b"glTF":
        raise BadInput(f"{name} is not a GLB (its first bytes are wrong)", "not_a_mesh")
    try:
        mesh = load_mesh(data, name=name).mesh
        given = row.get("pose")
        pose = None if given is None else FRAMES[frame](Pose.from_json(given))
    except BadInput as error:
        raise BadInput(f"{name}: {error.message}", error.code) from None
    seconds = row.get("seconds", share)
    if not isinstance(seconds, int | float) or isinstance(seconds, bool) or not 0 <= seconds < math.inf:
        raise BadInput(f"{name}: seconds must be a number that is not negative", "bad_result")
    return Made(mesh, pose, float(seconds))


def read_file(folder: int, name: str, most: int) -> bytes:
    """The bytes of a plain file in an open folder. Raises BadInput when it is missing, a link, a pipe or too large."""
    try:
        # Not blocking: opening a pipe that nobody writes to would wait for ever.
        handle = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
    except FileNotFoundError:
        raise BadInput(f"it wrote no {name}", "missing_file") from None
    except OSError:
        raise BadInput(f"{name} is not a plain file", "not_a_file") from None
    try:
        facts = os.fstat(handle)
        if not stat.S_ISREG(facts.st_mode):
            raise BadInput(f"{name} is not a plain file", "not_a_file")
        if facts.st_size > most:
            raise BadInput(f"{name} is larger than {most >> 20} MB", "too_large")
        with os.fdopen(handle, "rb", closefd=False) as file:
            return file.read(most)
    finally:
        os.close(handle)
