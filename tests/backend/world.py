"""A small world in the database: batches with objects and ready candidates, without files."""

import hashlib
from typing import Any

from backend.annotation.models import Task
from backend.catalog.models import Batch, Image, Mesh, Pointmap, TargetObject
from backend.models import Blob
from backend.proposals.models import Candidate, Proposer

IDENTITY = [1.0, 0, 0, 0, 1, 0, 0, 0, 1]


def blob(text: str, media_type: str = "image/png") -> Blob:
    """A blob row (its bytes are not in the store)."""
    sha = hashlib.sha256(text.encode()).hexdigest()
    return Blob.objects.get_or_create(sha256=sha, defaults={"size": 1, "media_type": media_type})[0]


def batch(name: str = "mugs", **options: Any) -> Batch:
    """A batch with the default configuration."""
    return Batch.objects.create(name=name, **options)


def target(name: str) -> TargetObject:
    """An object with photo, mask and pointmap."""
    image = Image.objects.create(
        blob=blob(f"photo {name}"), display=blob(f"display {name}"), width=64, height=48, name=name
    )
    Pointmap.objects.create(
        image=image,
        blob=blob(f"points {name}"),
        points=blob(f"thin {name}"),
        source="sensor",
        camera={"fx": 60, "fy": 60, "cx": 32, "cy": 24, "width": 64, "height": 48},
    )
    return TargetObject.objects.create(image=image, mask=blob(f"mask {name}"), name=name, category="mug")


def propose(into: Batch, thing: TargetObject, n: int) -> list[Candidate]:
    """N ready candidates of an object."""
    proposer, _ = Proposer.objects.get_or_create(name="inflation", defaults={"kind": "inflation"})
    mesh, _ = Mesh.objects.get_or_create(
        blob=blob("mesh", "model/gltf-binary"),
        source="proposer",
        defaults={"triangles": 12, "extents": [1, 1, 1]},
    )
    rows = [
        Candidate(
            batch=into,
            object=thing,
            proposer=proposer,
            seed=seed,
            mesh=mesh,
            viewer=mesh.blob,
            thumbnail=mesh.blob,
            R=IDENTITY,
            t=[0, 0, 1],
            s=[1, 1, 1],
        )
        for seed in range(n)
    ]
    return Candidate.objects.bulk_create(rows)


def task(into: Batch, name: str, n: int = 3) -> Task:
    """An object of a batch with n candidates, open for comparison."""
    thing = target(name)
    propose(into, thing, n)
    return Task.objects.create(
        batch=into, object=thing, stage="compare", state="open", needed=into.overlap, sort_key=thing.pk
    )
