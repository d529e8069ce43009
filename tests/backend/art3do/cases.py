"""An art case for tests: an escalated object curated into an Art-3DO batch and claimed by the artist."""

import uuid
from types import SimpleNamespace
from typing import Any

from backend import storage
from backend.annotation import services as queue
from backend.annotation.models import Assignment, Task
from backend.art3do import services
from backend.art3do.models import ArtSubmission
from backend.catalog.models import Mesh
from backend.models import Upload
from tests.backend.datasets.rows import POSE, World


def escalated(world: World, reason: str = "occlusion") -> Task:
    """One more object of the world that no candidate can do."""
    target = world.target()
    return Task.objects.create(
        batch=world.batch, object=target.row, stage="compare", state="escalated", reason=reason
    )


def claimed(artist: Any, **options: Any) -> SimpleNamespace:
    """The world, the Art-3DO batch and the artist's assignment on its only case."""
    world = World(options)
    escalated(world)
    batch, _ = services.curate(world.batch, name="hard")
    assignment = Assignment.objects.get(pk=queue.claim_art(artist))
    return SimpleNamespace(world=world, batch=batch, assignment=assignment)


def sent(artist: Any, assignment: Assignment, key: uuid.UUID | None = None) -> ArtSubmission:
    """A mesh that the artist sent."""
    blob = storage.put(b"mesh of an artist", "application/octet-stream")
    upload = Upload.objects.create(user=artist, filename="cup.glb", size=blob.size, state="stored", blob=blob)
    return services.submit(
        artist, assignment.pk, fence=assignment.fence, key=key or uuid.uuid4(), upload=upload
    )


def checked(submission: ArtSubmission, ok: bool = True) -> ArtSubmission:
    """As if a worker had found it good (or bad)."""
    blob = storage.put(f"glTF checked {submission.pk}".encode(), "model/gltf-binary")
    mesh = Mesh.objects.create(blob=blob, source="artist", triangles=12, extents=[1, 1, 1])
    figures = {
        "viewer": blob.pk,
        "thumbnail": blob.pk,
        "placement": POSE,
        "pointmap_source": "sensor",
        "triangles": 12,
    }
    services.conclude(submission, ok=ok, findings=[], figures=figures, mesh=mesh if ok else None)
    submission.refresh_from_db()
    return submission
