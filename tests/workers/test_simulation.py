"""Simulated annotators play every protocol and rate on every scale, through the REST API."""

from types import SimpleNamespace

import pytest

from backend.annotation.models import Comparison, Rating
from backend.catalog import services as catalog
from tests.annotator_ui import match
from workers.simulation import simulate

pytestmark = pytest.mark.django_db(transaction=True)
LEVELS = [{"r": 0.0, "label": "no"}, {"r": 0.5, "label": "so so"}, {"r": 1.0, "label": "yes"}]


@pytest.mark.parametrize(("protocol", "answers"), [("grid", 4), ("king_of_the_hill", 4)])
def test_a_simulation_plays_a_protocol_to_its_rating(
    live_url: str, people: SimpleNamespace, protocol: str, answers: int
) -> None:
    batch = match.make_batch(5, protocol=protocol, scale=LEVELS, asks_alignment=False)
    best = batch.candidates.order_by("seed")[2]
    catalog.store_truth(best.object, best.mesh, R=best.R, t=best.t, s=best.s, measured=False)
    counts = simulate(live_url, batch, annotators=1, noise=0.0)
    assert (counts["comparisons"], counts["ratings"]) == (answers, 1)
    assert Comparison.objects.filter(answer="grid").exists() == (protocol == "grid")
    rating = Rating.objects.get()
    assert (rating.candidate, rating.r) == (best, 1.0)
