"""A batch with one object that waits for candidates, and three proposers."""

from types import SimpleNamespace

import pytest

from backend.annotation.intake import enqueue
from backend.catalog import services as catalog
from backend.catalog.models import Batch, Mesh, TargetObject
from backend.proposals.models import Proposer

POSE = {"R": [1, 0, 0, 0, 1, 0, 0, 0, 1], "t": [0, 0, 1], "s": [1, 1, 1]}


def make_object(number: int = 0) -> TargetObject:
    image, _ = catalog.store_image(
        original=b"photo %d" % number,
        media_type="image/jpeg",
        display=b"d",
        display_type="image/jpeg",
        size=(4, 3),
        name="cup",
    )
    return catalog.store_object(image, mask=b"mask", name="cup")[0]


def make_mesh() -> Mesh:
    return catalog.store_mesh(b"glb", source="proposer", triangles=4, extents=[1, 1, 1])[0]


@pytest.fixture
def stage(db: None) -> SimpleNamespace:
    """batch (N = 8), target (waits for candidates), and proposers sketch (share 1), flow (3), library (4)."""
    batch, target = Batch.objects.create(name="first"), make_object()
    enqueue(batch, [target])
    rows = [("sketch", "inflation", 1), ("flow", "flow", 3), ("library", "retrieval", 4)]
    proposers = {
        name: Proposer.objects.create(name=name, kind=kind, share=share) for name, kind, share in rows
    }
    return SimpleNamespace(batch=batch, target=target, **proposers)
