"""Nothing that reaches the annotator's browser tells which model made a side: every byte of a bracket is searched."""

import re
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import connection
from playwright.sync_api import Response, expect

from backend.proposals.models import Candidate, Proposer
from backend.training.models import Checkpoint
from model_zoo.finish.viewer import BUCKET
from tests.annotator_ui import match
from tests.annotator_ui.test_compare import SignIn, press, shown, stored

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.browser]
# Ids that are found again wherever they turn up.
TELLING = {"proposals_candidate": 77_120_001, "proposals_proposer": 78_230_001, "backend_job": 79_340_001, "catalog_mesh": 76_450_001}
NAMES = re.compile(r"proposer|checkpoint|\bseed\b|\bscore\b|\bjob\b|generator|\b(flow|retrieval|inflation)\b", re.IGNORECASE)


class Tap:
    """Everything that comes into a page or leaves it, apart from the static files, as (where, text)."""

    def __init__(self, page: Any) -> None:
        self.texts: list[tuple[str, str]] = []
        self.replies: list[Response] = []
        page.on("response", lambda reply: self.replies.append(reply))

    def read(self) -> None:
        """Fetch what the page has got so far."""
        for reply in self.replies:
            request = reply.request
            self.texts.append(("url", reply.url))
            for headers in (request.all_headers(), reply.all_headers()):
                self.texts += [(f"header of {reply.url}", f"{name}: {value}") for name, value in headers.items()]
            self.texts.append((f"body to {reply.url}", request.post_data or ""))
            if "/static/" not in reply.url and reply.status == 200:
                self.texts.append((f"body of {reply.url}", reply.body().decode("latin-1")))
        self.replies.clear()

    def found(self, pattern: re.Pattern[str], *, bodies: str = "") -> list[tuple[str, str]]:
        """Where a pattern turns up; `bodies`: only in texts of places that hold this."""
        hits = [(where, pattern.search(text)) for where, text in self.texts if bodies in where]
        return [(where, hit[0]) for where, hit in hits if hit]


def secrets() -> re.Pattern[str]:
    """Names, ids, seeds, scores and hashes that only the database may know."""
    words = [*Proposer.objects.values_list("name", flat=True), *Checkpoint.objects.values_list("name", flat=True)]
    for row in Candidate.objects.all():
        words += [str(row.pk), str(row.seed), str(row.score), str(row.mesh_id), str(row.proposer_id), str(row.job_id)]
        words += [blob[:12] for blob in (row.viewer_id, row.thumbnail_id, row.turntable_id, row.mesh.blob_id) if blob]
    return re.compile("|".join(map(re.escape, set(words))))


@pytest.mark.parametrize("protocol", ["king_of_the_hill", "grid"])
def test_nothing_on_the_wire_or_on_screen_tells_the_makers_of_a_bracket(
    people: SimpleNamespace, sign_in: SignIn, page: Any, protocol: str
) -> None:
    with connection.cursor() as cursor:
        for table, first in TELLING.items():
            cursor.execute("SELECT setval(pg_get_serial_sequence(%s, 'id'), %s)", [table, first])
    match.make_batch(5, protocol=protocol)
    flow = Proposer.objects.get(kind="flow")
    weights = Candidate.objects.first().mesh.blob
    Checkpoint.objects.create(name="step-9081-best", weights=weights, config={}, card={}, proposer=flow)
    sign_in("ada").wait_for_load_state("networkidle")
    tap = Tap(page)
    match.opened(page)
    if protocol == "grid":
        press(page, "1", "2", "3", "4", "Enter")
    for _ in range(3 if protocol == "grid" else 4):
        expect(page.locator("#count")).to_have_text(re.compile(r"^\d of 4$"))
        expect(page.locator("#viewports[aria-busy]")).to_have_count(0)
        tap.texts += [("screen", page.locator("body").inner_text()), ("title", page.title()), ("markup", page.content())]
        press(page, "1")
    shown(page, "^Rate")
    stored(page, 4)
    tap.texts.append(("markup", page.content()))
    tap.read()
    assert tap.found(secrets()) == []
    for bodies in ("url", "header", "screen", "title", "body of http", "body to"):
        assert [hit for hit in tap.found(NAMES, bodies=bodies) if "/words/" not in hit[0]] == []
    assert len([1 for where, _ in tap.texts if where.endswith("model.glb")]) >= 4
    page.goto("about:blank")
    page.wait_for_timeout(400)


def test_copies_differ_neither_in_size_nor_in_the_form_of_their_tags(
    people: SimpleNamespace, sign_in: SignIn, page: Any
) -> None:
    match.make_batch(8, protocol="grid")
    match.opened(sign_in("ada"))
    for row in Candidate.objects.all():
        for name, suffix in (("model.glb", ".glb"), ("thumbnail.png", ".png"), ("turntable.png", ".turntable.png")):
            reply = page.request.get(f"/api/v1/candidates/{row.key}/{name}")
            assert reply.headers["etag"] == f'"{row.key}{suffix}"'
            assert {"last-modified", "content-disposition"}.isdisjoint(reply.headers)
            if name == "model.glb":
                assert len(reply.body()) % BUCKET == 0
                assert b"generator" not in reply.body()[:4096]
    page.goto("about:blank")
    page.wait_for_timeout(400)
