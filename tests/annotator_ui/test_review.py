"""The review page in real Chromium: before and after, and accept, fix and send back for both stages, by keyboard."""

import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from backend.annotation.models import Alignment, Assignment, Rating, Review, Task
from backend.catalog.models import Batch
from tests.annotator_ui import aligning, desk
from tests.annotator_ui.aligning import picture

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.browser, pytest.mark.usefixtures("left")]
SignIn = Callable[[str], Page]
FIGURES = ".figures table"


@pytest.fixture
def work(people: SimpleNamespace, tmp_path: Path) -> Assignment:
    """Ada's alignment of a candidate that was 5 cm off; she brought it back, but not its turn and size."""
    batch = aligning.scene_batch(tmp_path, asks_review=True)
    return aligning.submitted(aligning.open_align(batch), people.ada)


def reviewing(sign_in: SignIn, tab: str = "align") -> Page:
    page = sign_in("rev")
    page.goto(f"/review/?tab={tab}")
    expect(page.locator("#work [data-action=accept]")).to_be_visible()
    return page


def measured(page: Page) -> list[float]:
    """Mask IoU before and after, as the page measures it."""
    expect(page.locator(FIGURES)).to_contain_text("Mask IoU")
    cells = page.locator(f"{FIGURES} tbody tr").first.locator("td").all_inner_texts()
    return [float(cells[1]), float(cells[2])]


def test_before_and_after_are_measured_swapped_wiped_and_side_by_side(work: Assignment, sign_in: SignIn) -> None:
    page = reviewing(sign_in)
    before, after = measured(page)
    assert after > before + 0.1
    expect(page.locator(".figures")).to_contain_text("1 min 23 s")
    compared = page.locator(".compared")
    for key, mode in (("b", "before"), ("b", "after"), ("w", "wipe"), ("w", "after"), ("s", "beside")):
        page.keyboard.press(key)
        expect(compared).to_have_attribute("data-mode", mode)
        page.wait_for_timeout(400)
        picture(page, f"review-{mode}")
    page.keyboard.press("w")
    page.locator(".compared + input").fill("20")
    assert page.locator(".layer.after").evaluate("layer => layer.style.clipPath") == "inset(0px 0px 0px 20%)"
    for key in ("o", "o", ".", ",", "/"):
        page.keyboard.press(key)
    page.wait_for_timeout(400)
    picture(page, "review-difference")
    assert aligning.findings(page) == []


def test_an_alignment_is_accepted_by_key_and_leaves_the_list(work: Assignment, sign_in: SignIn) -> None:
    page = reviewing(sign_in)
    measured(page)
    page.keyboard.press("a")
    expect(page.locator("#list")).to_contain_text("Nothing waits")
    assert Review.objects.get().verdict == "accept"


def test_an_alignment_is_sent_back_only_with_a_note(work: Assignment, sign_in: SignIn) -> None:
    page = reviewing(sign_in)
    page.keyboard.press("r")
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Send back").click()
    expect(page.locator("#toasts")).to_contain_text("Say what is to be done again")
    page.keyboard.press("r")
    page.get_by_role("dialog").locator("textarea").fill("it is turned")
    picture(page, "review-return")
    page.get_by_role("dialog").get_by_role("button", name="Send back").click()
    expect(page.locator("#list")).to_contain_text("Nothing waits")
    assert Task.objects.get(round=2).note == "it is turned"


def test_a_fix_has_the_tools_of_align_and_stores_a_new_version(
    work: Assignment, sign_in: SignIn, worker: None
) -> None:
    page = reviewing(sign_in)
    measured(page)
    page.keyboard.press("f")
    expect(page.locator("#iou")).to_have_text(re.compile(r"^0\.\d{3}$"))
    page.locator("#leave-fix").click()
    measured(page)
    page.keyboard.press("f")
    expect(page.locator("#iou")).to_have_text(re.compile(r"^0\.\d{3}$"))
    page.keyboard.press("ArrowRight")
    page.keyboard.press("z")
    page.keyboard.press("f")
    expect(page.locator("#fit p").first).to_contain_text("Fit: mask IoU", timeout=60_000)
    picture(page, "review-fix")
    page.keyboard.press("Control+Enter")
    expect(page.locator("#list")).to_contain_text("Nothing waits")
    fixed = Alignment.objects.get(version=2)
    assert fixed.by.username == "rev" and fixed.iou and fixed.iou > 0.85 and fixed.depth_residual
    assert fixed.active_ms > 0 and Review.objects.get().verdict == "fix"


@pytest.fixture
def rated(people: SimpleNamespace) -> Batch:
    """Two objects with a bracket and a rating of Ada's each: 0.9 and 0.2, and their alignments as they come."""
    batch = desk.make_batch(asks_review=True)
    for number, task in enumerate(Task.objects.filter(stage="compare").order_by("id")):
        candidates = list(task.object.candidates.order_by("seed"))
        r = (0.9, 0.2)[number]
        row = Assignment.objects.create(
            task=task, user=people.ada, batch=batch, stage="compare", state="submitted", active_ms=41_000,
            survivor=candidates[0], bracket=[each.pk for each in candidates],
            lease_until="2026-01-01T00:00Z", finished_at="2026-01-01T00:00Z",
        )  # fmt: skip
        Rating.objects.create(assignment=row, candidate=candidates[0], r=r, reasons=["occlusion"])
        Task.objects.filter(pk=task.pk).update(state="done" if r > batch.alpha else "escalated", n_done=1)
    first = Rating.objects.earliest("id")
    Task.objects.create(
        batch=batch, object=first.candidate.object, stage="align", state="open", candidate=first.candidate
    )
    return batch


def shown(page: Page, r: float) -> None:
    """The rating with its survivor on the turntable is on screen."""
    expect(page.locator("#r-value")).to_have_text(f"{r:.2f}")
    expect(page.locator(".thumbs .thumb")).to_have_count(3)


def test_ratings_are_walked_through_fixed_and_the_objects_go_where_they_belong(
    rated: Batch, sign_in: SignIn
) -> None:
    page = reviewing(sign_in, "compare")
    shown(page, 0.9)
    page.keyboard.press("j")
    shown(page, 0.2)
    page.keyboard.press("k")
    shown(page, 0.9)
    page.locator(".thumb").nth(1).click()
    expect(page.locator("#work")).to_contain_text("Candidate 1, which did not survive")
    page.wait_for_timeout(600)
    picture(page, "review-rating")
    assert aligning.findings(page) == []
    for _ in range(12):
        page.keyboard.press("-")
    expect(page.locator("#r-value")).to_have_text("0.30")
    page.keyboard.press("f")
    shown(page, 0.2)
    assert Task.objects.get(stage="align").state == "cancelled"
    page.locator("#r").fill("0.85")
    page.locator("#store-r").click()
    expect(page.locator("#list")).to_contain_text("Nothing waits")
    states = Task.objects.order_by("stage", "id").values_list("stage", "state")
    assert list(states) == [("align", "cancelled"), ("align", "open"), ("compare", "escalated"), ("compare", "done")]
    assert list(Review.objects.order_by("id").values_list("verdict", "r")) == [("fix", 0.3), ("fix", 0.85)]


def test_a_rating_is_accepted_and_another_sent_back(rated: Batch, sign_in: SignIn) -> None:
    page = reviewing(sign_in, "compare")
    shown(page, 0.9)
    page.keyboard.press("a")
    shown(page, 0.2)
    page.keyboard.press("r")
    page.get_by_role("dialog").locator("textarea").fill("look at the back")
    page.get_by_role("dialog").get_by_role("button", name="Send back").click()
    expect(page.locator("#list")).to_contain_text("Nothing waits")
    assert list(Review.objects.order_by("id").values_list("verdict", flat=True)) == ["accept", "return"]


def test_the_batch_filter_and_the_tabs_say_what_waits(rated: Batch, people: Any, sign_in: SignIn) -> None:
    Batch.objects.update(asks_review=False)
    page = sign_in("rev")
    page.goto("/review/?tab=compare")
    expect(page.locator("#list")).to_contain_text("Nothing waits")
    page.select_option("#batch", str(rated.pk))
    expect(page.locator("#list tbody tr")).to_have_count(2)
    page.get_by_role("button", name="Alignments").click()
    expect(page.locator("#list")).to_contain_text("Nothing waits")
    page.get_by_role("button", name="Artists' meshes").click()
    expect(page.locator("#list")).to_contain_text("Nothing waits")


def test_a_verdict_that_somebody_else_gave_first_is_told(rated: Batch, people: Any, sign_in: SignIn) -> None:
    page = reviewing(sign_in, "compare")
    shown(page, 0.9)
    row = Assignment.objects.filter(rating__r=0.9).get()
    Review.objects.create(assignment=row, reviewer=people.leo, verdict="accept")
    page.keyboard.press("a")
    expect(page.locator("#toasts")).to_contain_text("Somebody else has judged")
    shown(page, 0.2)
