"""The batch pages' part in comparing: protocol and scale of a new batch, and examples of ratings chosen from what was rated."""

import re
from collections.abc import Callable
from types import SimpleNamespace

import pytest
from playwright.sync_api import Page, expect

from backend.annotation.models import Anchor, Assignment, Rating, Task
from backend.catalog.models import Batch
from tests.annotator_ui import match

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.browser]
SignIn = Callable[[str], Page]


def test_an_admin_chooses_how_a_new_batch_compares_and_rates(people: SimpleNamespace, sign_in: SignIn) -> None:
    page = sign_in("leo")
    page.goto("/batches/")
    page.locator("#new summary").click()
    page.fill("[name=name]", "chairs")
    page.select_option("[name=protocol]", "grid")
    page.select_option("[name=judges]", "texture")
    page.fill("[name=scale]", "bad")
    page.get_by_role("button", name="Make the batch").click()
    expect(page.locator("#toasts")).to_contain_text("“bad” is no level")
    page.fill("[name=scale]", "0 Unusable\n0.5 So so\n\n1 As the photo")
    page.get_by_role("button", name="Make the batch").click()
    page.wait_for_url(re.compile(r"/batches/\d+/"))
    expect(page.locator("#facts")).to_contain_text("0 Unusable · 0.5 So so · 1 As the photo")
    made = Batch.objects.get()
    assert (made.protocol, made.judges) == ("grid", "texture")
    assert made.scale[1] == {"r": 0.5, "label": "So so"}


def test_an_admin_makes_a_rated_candidate_an_example_and_takes_it_away(
    people: SimpleNamespace, sign_in: SignIn
) -> None:
    batch = match.make_batch(2)
    task, candidate = Task.objects.get(), batch.candidates.earliest("id")
    work = Assignment.objects.create(
        task=task, user=people.ada, batch=batch, stage="compare", state="submitted", lease_until="2026-01-01T00:00Z"
    )
    Rating.objects.create(assignment=work, candidate=candidate, r=0.35)
    page = sign_in("leo")
    page.goto(f"/batches/{batch.pk}/")
    page.locator("#anchors summary").click()
    page.get_by_label("A word about it").fill("one wing is missing")
    page.wait_for_timeout(500)
    match.picture(page, "anchors")
    page.get_by_role("button", name="Make it an example").click()
    expect(page.locator("#anchors figcaption")).to_have_text(re.compile("0.35 one wing is missing"))
    anchor = Anchor.objects.get()
    assert (anchor.candidate, anchor.r, anchor.note) == (candidate, 0.35, "one wing is missing")
    page.get_by_role("button", name="Take away").click()
    expect(page.locator("#anchors")).to_contain_text("No examples yet.")
    assert not Anchor.objects.exists()
