"""The simulated people of the demo leave work on every page: to align, to review, for the artists, and anchors."""

from types import SimpleNamespace

import pytest
import trimesh

from backend.annotation.intake import enqueue
from backend.annotation.models import Alignment, Anchor, Assignment, Rating, Task
from backend.annotation.services import open_tasks
from backend.art3do.models import ArtSubmission
from backend.catalog import services as catalog
from backend.catalog.models import Batch
from tests.annotator_ui import desk
from workers import demo

pytestmark = pytest.mark.django_db(transaction=True)
LEVELS = [{"r": 0.0, "label": "no"}, {"r": 0.5, "label": "so so"}, {"r": 1.0, "label": "yes"}]


@pytest.fixture
def batch() -> Batch:
    """Eight objects with known truth, each with three candidates, ready to compare."""
    made = catalog.create_batch(name="demo", instructions="Judge.", scale=LEVELS, asks_review=True)
    ball = trimesh.creation.icosphere(subdivisions=3, radius=1.0).export(file_type="glb")
    for number in range(8):
        target = desk.store_target(number)
        mesh, _ = catalog.store_mesh(ball, source="truth", triangles=1280, extents=[2, 2, 2])
        catalog.store_truth(
            target, mesh, R=[1, 0, 0, 0, -1, 0, 0, 0, -1], t=[0, 0, desk.DEPTH], s=[0.5] * 3, measured=True
        )
        enqueue(made, [target])
        desk.store_candidates(made, target)
        open_tasks(made.pk, target.pk)
    return made


def test_every_page_has_work_afterwards_and_the_rest_is_untouched(
    live_url: str, people: SimpleNamespace, batch: Batch
) -> None:
    tasks = demo.ready(batch)
    demo.play(batch, tasks, live_url)
    compare = batch.tasks.filter(stage="compare")
    assert [compare.filter(state=state).count() for state in ("escalated", "done", "open")] == [2, 5, 1]
    assert Rating.objects.count() == 5 and Alignment.objects.count() == 2
    assert batch.tasks.filter(stage="align", state="open").count() == 3
    cases = Batch.objects.get(name="demo-art")
    assert cases.tasks.filter(stage="art").count() == 2 and "one mesh" in cases.instructions
    assert ArtSubmission.objects.get().assignment.user.simulated
    assert Task.objects.filter(batch=cases, n_leased=0).count() == 1
    assert not Assignment.objects.filter(user__simulated=False).exists()


def test_the_scale_has_examples_for_both_its_ends_and_the_instructions_show_them(
    live_url: str, people: SimpleNamespace, batch: Batch
) -> None:
    demo.play(batch, demo.ready(batch), live_url)
    anchors = Anchor.objects.filter(batch=batch).order_by("r").select_related("candidate")
    assert [row.r for row in anchors] == [0.0, 1.0]
    batch.refresh_from_db()
    assert batch.instructions_version == 2
    assert all(f"/candidates/{row.candidate.key}/thumbnail.png" in batch.instructions for row in anchors)
