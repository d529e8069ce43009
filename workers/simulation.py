"""Simulated annotators: noisy people who know the truth, driving the public REST API like any other client.

What they answer is marked as simulation by their accounts (User.simulated), from the assignment down to the release.
They judge only objects with a known truth (synthetic or fitted scenes) and skip the others with that reason.
"""

import http.client
import json
import random
import threading
import urllib.parse
import uuid
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import trimesh
from django.core.management.base import CommandError
from django.db import connection
from scipy.spatial import cKDTree

from backend import storage
from backend.accounts.models import Token, User
from backend.catalog.models import Batch, Truth
from backend.proposals.models import Candidate
from model_zoo.io.meshes import load_mesh
from model_zoo.io.poses import Pose

POINTS = 2000
PICKS = 4
TOLERANCE = 0.05
INDIFFERENT = 0.01
NO_TRUTH = "simulation: no known truth"


def surface(mesh: trimesh.Trimesh, R: np.ndarray, s: np.ndarray) -> np.ndarray:
    """POINTS points (N, 3) on a mesh as the camera sees it turned, centred, longest side 1."""
    sampled, _ = trimesh.sample.sample_surface(mesh, POINTS, seed=0)
    points = (np.asarray(sampled) * s) @ R.T
    low, high = points.min(0), points.max(0)
    return (points - (low + high) / 2) / max(float((high - low).max()), 1e-9)


def agreement(a: np.ndarray, b: np.ndarray) -> float:
    """F1 at TOLERANCE of two point sets (N, 3): what a person sees of two shapes' likeness, 0..1 (paper D.3.1)."""
    precision = float((cKDTree(b).query(a)[0] < TOLERANCE).mean())
    recall = float((cKDTree(a).query(b)[0] < TOLERANCE).mean())
    return 2 * precision * recall / max(precision + recall, 1e-9)


@dataclass
class Known:
    """What the simulation knows of an object: its true surface, pose and box in the camera frame."""

    points: np.ndarray
    low: np.ndarray
    high: np.ndarray


class Knowledge:
    """Truth and the quality of every candidate, computed once and shared by all simulated annotators."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._objects: dict[int, Known | None] = {}
        self._qualities: dict[str, float] = {}

    def known(self, object_id: int) -> Known | None:
        """The truth of an object, or None."""
        with self._lock:
            if object_id not in self._objects:
                truth = Truth.objects.select_related("mesh__blob").filter(object_id=object_id).first()
                self._objects[object_id] = None if truth is None else self._load(truth)
            return self._objects[object_id]

    def _load(self, truth: Truth) -> Known:
        mesh = load_mesh(storage.read(truth.mesh.blob)).mesh
        R, s = np.array(truth.R).reshape(3, 3), np.array(truth.s)
        posed = Pose(R, np.array(truth.t), s).apply(np.asarray(mesh.vertices))
        return Known(surface(mesh, R, s), posed.min(0), posed.max(0))

    def quality(self, object_id: int, key: str) -> float:
        """How like the truth a candidate is, 0..1."""
        known = self.known(object_id)
        assert known is not None
        with self._lock:
            if key not in self._qualities:
                row = Candidate.objects.select_related("mesh__blob").get(key=key)
                mesh = load_mesh(storage.read(row.mesh.blob)).mesh
                points = surface(mesh, np.array(row.R).reshape(3, 3), np.array(row.s))
                self._qualities[key] = agreement(points, known.points)
            return self._qualities[key]

    def fitted(self, object_id: int, key: str, pose: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
        """(s, t) that bring a candidate with its own rotation into the true object's box."""
        known = self.known(object_id)
        assert known is not None
        row = Candidate.objects.select_related("mesh__blob").get(key=key)
        mesh = load_mesh(storage.read(row.mesh.blob)).mesh
        R, s = np.array(pose["R"]).reshape(3, 3), np.array(pose["s"])
        turned = (np.asarray(mesh.vertices) * s) @ R.T
        low, high = turned.min(0), turned.max(0)
        factor = float(np.linalg.norm(known.high - known.low)) / max(float(np.linalg.norm(high - low)), 1e-9)
        return s * factor, (known.low + known.high) / 2 - factor * (low + high) / 2


class ApiClient:
    """One simulated annotator's connection to the REST API."""

    def __init__(self, url: str, token: str) -> None:
        parts = urllib.parse.urlsplit(url)
        self.connection = http.client.HTTPConnection(
            parts.hostname or "127.0.0.1", parts.port or 80, timeout=60
        )
        self.headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}

    def post(self, path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """(status, parsed body) of a POST below /api/v1/."""
        self.connection.request("POST", f"/api/v1/{path}", json.dumps(body), self.headers)
        reply = self.connection.getresponse()
        text = reply.read()
        return reply.status, json.loads(text) if text else {}


@dataclass
class Simulated:
    """One noisy annotator: with probability `noise` an answer is a coin's, else the truth's."""

    client: ApiClient
    knowledge: Knowledge
    batch: int
    noise: float
    dice: random.Random
    counts: Counter[str] = field(default_factory=Counter)

    def work(self, tick: Callable[[], object]) -> None:
        """Answer until the batch has nothing more for this person."""
        while True:
            status, task = self.client.post("next/", {"batch": self.batch})
            if status == 204:
                return
            if status != 200:
                raise CommandError(f"next/ answered {status}: {task.get('error', {}).get('message', '')}")
            self.answer(task)
            tick()

    def answer(self, task: dict[str, Any]) -> None:
        """Do one assignment to its end."""
        if task["stage"] == "select" or self.knowledge.known(task["object"]["id"]) is None:
            self.send(task, "skip", {"reason": NO_TRUTH})
            self.counts["skipped"] += 1
        elif task["stage"] == "compare":
            self.compare(task)
        else:
            self.align(task)

    def send(self, task: dict[str, Any], verb: str, body: dict[str, Any]) -> dict[str, Any]:
        """POST an answer with its key; a refusal ends the simulation."""
        body = {
            "fence": task["fence"],
            "key": str(uuid.uuid4()),
            "active_ms": self.dice.randint(4000, 16000),
            **body,
        }
        status, reply = self.client.post(f"assignments/{task['id']}/{verb}/", body)
        if status != 200:
            raise CommandError(f"{verb} answered {status}: {reply.get('error', {}).get('message', '')}")
        return reply

    def compare(self, task: dict[str, Any]) -> None:
        """Play the bracket, then rate the survivor."""
        object_id, bracket = task["object"]["id"], task["compare"]
        while bracket["step"] or bracket["picking"]:
            step = bracket["step"]
            if bracket["picking"]:
                bracket = self.pick(task)
                continue
            left, right = (self.knowledge.quality(object_id, step[side]["key"]) for side in ("left", "right"))
            if self.dice.random() < self.noise:
                answer = self.dice.choice(["left", "right"])
            elif abs(left - right) < INDIFFERENT:
                answer = "equal"
            else:
                answer = "left" if left > right else "right"
            reply = self.send(task, "comparisons", {"seq": step["seq"], "answer": answer})["assignment"]
            self.counts["comparisons"] += 1
            if reply["state"] == "submitted":
                return
            bracket = reply["compare"]
        r = self.knowledge.quality(object_id, bracket["survivor"]["key"]) + self.dice.gauss(0, self.noise / 4)
        r = min(max(r, 0.0), 1.0)
        levels = [level["r"] for level in task["batch"]["scale"]]
        self.send(task, "rating", {"r": min(levels, key=lambda level: abs(level - r)) if levels else r})
        self.counts["ratings"] += 1

    def pick(self, task: dict[str, Any]) -> dict[str, Any]:
        """Answer the grid with the four that look best, each put off by the noise; the bracket after it."""
        seen = {
            card["key"]: self.knowledge.quality(task["object"]["id"], card["key"]) + self.dice.gauss(0, self.noise)
            for card in task["compare"]["candidates"]
        }
        picked = sorted(seen, key=lambda key: -seen[key])[:PICKS]
        body = {"seq": task["compare"]["next_seq"], "answer": "grid", "picked": picked}
        self.counts["comparisons"] += 1
        bracket: dict[str, Any] = self.send(task, "comparisons", body)["assignment"]["compare"]
        return bracket

    def align(self, task: dict[str, Any]) -> None:
        """Put the chosen mesh into the true box, a little off."""
        chosen = task["align"]["candidate"]
        s, t = self.knowledge.fitted(task["object"]["id"], chosen["key"], chosen["pose"])
        off = self.noise * 0.02 * float(np.linalg.norm(t))
        t = t + np.array([self.dice.gauss(0, off) for _ in range(3)])
        pose = {"R": chosen["pose"]["R"], "t": t.tolist(), "s": s.tolist()}
        self.send(task, "alignment", {**pose, "version": task["align"]["version"]})
        self.counts["alignments"] += 1


def accounts(count: int) -> list[str]:
    """Tokens of the first `count` simulated annotators, whose accounts cannot log in by password."""
    tokens = []
    for number in range(1, count + 1):
        user, created = User.objects.get_or_create(
            username=f"simulated-{number}", defaults={"simulated": True}
        )
        if created:
            user.set_unusable_password()
            user.save(update_fields=["password"])
        tokens.append(Token.issue(user, days=1, name="simulate")[0])
    return tokens


def simulate(
    url: str,
    batch: Batch,
    *,
    annotators: int,
    noise: float,
    seed: int = 0,
    tick: Callable[[], object] = lambda: None,
) -> Counter[str]:
    """Let simulated annotators empty a batch's queue; how many answers of each kind they gave."""
    knowledge = Knowledge()
    people: Sequence[Simulated] = [
        Simulated(ApiClient(url, token), knowledge, batch.pk, noise, random.Random(f"{seed}:{number}"))
        for number, token in enumerate(accounts(annotators))
    ]
    failures: list[Exception] = []

    def loop(person: Simulated) -> None:
        try:
            person.work(tick)
        except Exception as failure:
            failures.append(failure)
        finally:
            connection.close()

    threads = [threading.Thread(target=loop, args=[person]) for person in people]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    return sum((person.counts for person in people), Counter())
