"""A small world in rows for the tests of what comes out: one batch, its objects, candidates and answers."""

import uuid
from dataclasses import dataclass, field
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import numpy as np
import trimesh
from django.contrib.auth import get_user_model
from django.utils import timezone

from backend import storage
from backend.annotation.models import Alignment, Assignment, Comparison, Rating, Task
from backend.catalog.models import Batch, Image, Mesh, Pointmap, TargetObject
from backend.datasets.models import Release
from backend.models import Job
from backend.proposals.models import Candidate, Proposer
from model_zoo.io.depth import Camera, encode_pointmap, unproject
from model_zoo.io.images import encode_jpeg, encode_png

IDENTITY = [1.0, 0, 0, 0, 1.0, 0, 0, 0, 1.0]
POSE = {"R": IDENTITY, "t": [0.0, 0.0, 2.0], "s": [1.0, 1.0, 1.0]}
SIZE = (64, 48)
LENS = Camera(60.0, 60.0, 31.5, 23.5, *SIZE)
CAMERA = {"fx": 60.0, "fy": 60.0, "cx": 31.5, "cy": 23.5, "width": 64, "height": 48}


def picture(number: int) -> bytes:
    """A noisy photo that differs by number."""
    return encode_jpeg(np.random.default_rng(number).integers(0, 255, (48, 64, 3), dtype=np.uint8))


def mask(number: int) -> bytes:
    """A tall box in the middle; one pixel differs by number."""
    inside = np.zeros((48, 64), np.uint8)
    inside[10:38, 24:40] = 255
    inside[9, 24 + number % 16] = 255
    return encode_png(inside)


def pointmap(number: int) -> bytes:
    """A wall two metres away, a little farther for each number."""
    return encode_pointmap(unproject(np.full((48, 64), 2 + number / 1000, np.float32), LENS), LENS)


def box(number: int, seed: int) -> bytes:
    """A GLB box, y up, no two alike."""
    return bytes(trimesh.creation.box((0.4 + seed / 10, 1.0, 0.4 + number / 1000)).export(file_type="glb"))


@dataclass
class World:
    """Grows row by row. `bracket` stores what one person answered about one object."""

    options: dict[str, Any] = field(default_factory=dict)
    source: str = "sensor"

    def __post_init__(self) -> None:
        users = get_user_model().objects
        self.ada = users.get_or_create(username="ada")[0]
        self.bot = users.get_or_create(username="bot", simulated=True)[0]
        options = {"name": "street", "asks_alignment": False, **self.options}
        self.batch = Batch.objects.create(**options)
        self.proposer = Proposer.objects.get_or_create(name="flow-tiny", defaults={"kind": "flow"})[0]
        self.count = 0

    def target(self, candidates: int = 3) -> SimpleNamespace:
        """An object with its photo, pointmap and ready candidates."""
        self.count += 1
        number = self.count
        display = storage.put(picture(number), "image/jpeg")
        image = Image.objects.create(
            blob=display, display=display, width=64, height=48, name=f"{number}.jpg", licence="CC0"
        )
        points = storage.put(pointmap(number), "application/x-npz")
        places = Pointmap.objects.create(image=image, blob=points, source=self.source, camera=CAMERA)
        outline = storage.put(mask(number), "image/png")
        made = TargetObject.objects.create(image=image, mask=outline, name="cup", category="cup")
        found = [self.candidate(made, seed) for seed in range(candidates)]
        return SimpleNamespace(row=made, image=image, pointmap=places, candidates=found)

    def candidate(self, target: TargetObject, seed: int, proposer: Proposer | None = None) -> Candidate:
        """One more candidate, with a mesh of its own."""
        blob = storage.put(box(self.count, seed), "model/gltf-binary")
        mesh = Mesh.objects.create(
            blob=blob, source="proposer", triangles=12, extents=[1, 1, 1], licence="MIT"
        )
        return Candidate.objects.create(
            batch=self.batch, object=target, proposer=proposer or self.proposer, seed=seed, mesh=mesh,
            viewer=blob, thumbnail=blob, pointmap_source=self.source, **POSE,
        )  # fmt: skip

    def assignment(self, target: TargetObject, stage: str, user: Any, **fields: Any) -> Assignment:
        """A submitted assignment on the object's task of this stage."""
        task, _ = Task.objects.get_or_create(
            batch=self.batch,
            object=target,
            stage=stage,
            round=fields.pop("round", 1),
            defaults={"needed": 20},
        )
        return Assignment.objects.create(
            task=task, user=user, batch=self.batch, stage=stage, state="submitted", lease_until=timezone.now(),
            origin="simulation" if user.simulated else "person", **fields,
        )  # fmt: skip

    def bracket(
        self,
        target: SimpleNamespace,
        answers: list[tuple[str, int, int]],
        winner: int,
        r: float | None = 0.9,
        by: Any = None,
        picked: list[int] | None = None,
    ) -> Assignment:
        """Comparisons as (answer, left, right) by candidate place, the survivor's place, and its rating.

        `picked`: places that went on from a grid before them.
        """
        ids = [candidate.pk for candidate in target.candidates]
        assignment = self.assignment(
            target.row, "compare", by or self.ada, bracket=ids, survivor_id=ids[winner]
        )
        if picked is not None:
            Comparison.objects.create(
                assignment=assignment, seq=1, answer="grid", picked=[ids[place] for place in picked], key=uuid.uuid4()
            )
        Comparison.objects.bulk_create(
            Comparison(
                assignment=assignment,
                seq=seq,
                answer=answer,
                left_id=ids[left],
                right_id=ids[right],
                key=uuid.uuid4(),
            )
            for seq, (answer, left, right) in enumerate(answers, 1 if picked is None else 2)
        )
        if r is not None:
            Rating.objects.create(assignment=assignment, candidate_id=ids[winner], r=r)
        return assignment

    def align(
        self, target: SimpleNamespace, candidate: Candidate, by: Any = None, **fields: Any
    ) -> Alignment:
        """A submitted pose of the candidate on the object's pointmap."""
        assignment = self.assignment(target.row, "align", by or self.ada, **fields)
        return Alignment.objects.create(
            assignment=assignment, candidate=candidate, pointmap=target.pointmap, by=assignment.user, **POSE
        )


def job_here(release: Release) -> Job:
    """The job of a release as if this process were its worker: no other worker hears of it."""
    return Job.objects.create(
        kind="release", queue="export", key=f"here:{release.pk}", args={"release": release.pk}, state="running",
        lease_until=timezone.now() + timedelta(hours=1),
    )  # fmt: skip


PLAIN = [("left", 0, 1), ("left", 0, 2)]
