"""Every page in a real browser with real WebGL; a script error on any of them fails the test (fixture `page`)."""

import re
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from backend.annotation.intake import enqueue
from backend.annotation.models import Alignment, Assignment, Task
from backend.catalog.models import Batch
from tests.annotator_ui import desk

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.browser, pytest.mark.usefixtures("left")]
SignIn = Callable[[str], Page]
READY = "#veil[hidden]"


@pytest.fixture
def batch(people: SimpleNamespace) -> Batch:
    """Two objects to compare."""
    return desk.make_batch()


def opened(page: Page, path: str) -> Page:
    """The work page, with its object on screen."""
    page.goto(path)
    page.wait_for_selector(READY, state="attached")
    return page


def test_a_mesh_is_aligned_and_the_overlap_is_measured(batch: Batch, sign_in: SignIn) -> None:
    first = batch.candidates.order_by("seed").first()
    Task.objects.create(batch=batch, object=first.object, stage="align", state="open", candidate=first)
    page = opened(sign_in("ada"), "/align/")
    iou = page.locator("#iou")
    expect(iou).to_have_text(re.compile(r"0\.9"))
    for _ in range(4):
        page.keyboard.press("ArrowLeft")
    expect(iou).not_to_have_text(re.compile(r"0\.9"))
    for _ in range(4):
        page.keyboard.press("z")
    page.keyboard.press("Shift+ArrowRight")
    expect(page.locator("[name=tx]")).not_to_have_value("0")
    page.keyboard.press("Control+Enter")
    page.wait_for_url("**/compare/**")
    stored = Alignment.objects.get()
    assert stored.iou > 0.9 and 0 < stored.t[0] < 0.01


def test_an_outline_is_drawn_and_stored(batch: Batch, sign_in: SignIn) -> None:
    enqueue(batch, [desk.store_target(7, drawn=False)])
    page = opened(sign_in("leo"), "/select/")
    box = page.locator("#mask").bounding_box()
    assert box
    page.keyboard.press("p")
    for u, v in ((0.4, 0.3), (0.6, 0.3), (0.6, 0.7), (0.4, 0.7)):
        page.mouse.click(box["x"] + u * box["width"], box["y"] + v * box["height"])
    page.keyboard.press("Enter")
    page.fill("#category", "ball")
    page.keyboard.press("Control+Enter")
    page.wait_for_url("**/compare/**")
    stored = Assignment.objects.get(stage="select", state="submitted")
    assert len(stored.draft["polygons"]) == 1 and stored.draft["category"] == "ball"


def test_a_reviewer_sees_the_pose_and_accepts(batch: Batch, people: SimpleNamespace, sign_in: SignIn) -> None:
    candidate = batch.candidates.order_by("seed").first()
    Batch.objects.update(asks_review=True)
    task = Task.objects.create(
        batch=batch, object=candidate.object, stage="align", state="done", candidate=candidate
    )
    work = Assignment.objects.create(
        task=task, user=people.ada, batch=batch, stage="align", state="submitted",
        survivor=candidate, lease_until="2026-01-01T00:00Z", finished_at="2026-01-01T00:00Z",
    )  # fmt: skip
    pointmap = candidate.object.image.pointmaps.get()
    Alignment.objects.create(
        assignment=work, candidate=candidate, pointmap=pointmap, by=people.ada,
        R=candidate.R, t=candidate.t, s=candidate.s, iou=0.97,
    )  # fmt: skip
    page = sign_in("rev")
    page.goto("/review/")
    expect(page.locator("#work")).to_contain_text(re.compile(r"Mask IoU\s*0\.9"))
    page.get_by_role("button", name="Accept").click()
    expect(page.locator("#list")).to_contain_text("Nothing waits")
    assert work.review.verdict == "accept"


def test_an_admin_makes_a_batch_and_pauses_it(people: SimpleNamespace, sign_in: SignIn) -> None:
    page = sign_in("leo")
    page.goto("/batches/")
    page.locator("#new summary").click()
    page.fill("[name=name]", "mugs")
    page.fill("[name=alpha]", "0.65")
    page.get_by_role("button", name="Make the batch").click()
    page.wait_for_url(re.compile(r"/batches/\d+/"))
    page.get_by_role("button", name="Pause").click()
    expect(page.locator("h1")).to_contain_text("paused")
    made = Batch.objects.get()
    assert (made.name, made.alpha, made.state) == ("mugs", 0.65, "paused")


@pytest.mark.parametrize("name", ["res", "leo"])
def test_everyone_finds_the_pages_of_the_own_role_in_the_menu(
    batch: Batch, sign_in: SignIn, name: str
) -> None:
    page = sign_in(name)
    page.goto("/progress/")
    links: list[Any] = page.locator("header nav a").evaluate_all(
        "links => links.map((link) => link.pathname)"
    )
    refused: list[str] = []
    for path in (link for link in links if link not in {"/", "/admin/"}):
        tab = page.context.new_page()  # work pages go on to the task they find, sooner or later
        tab.on("response", lambda reply: refused.append(reply.url) if reply.status >= 400 else None)
        tab.goto(path)
        tab.wait_for_load_state("networkidle")
        expect(tab.locator("h1")).to_have_count(1)
        tab.close()
    assert refused == []


def test_a_page_of_another_role_says_so(people: SimpleNamespace, sign_in: SignIn) -> None:
    page = sign_in("ada")
    reply = page.goto("/models/")
    assert reply and reply.status == 403
    expect(page.locator("main")).to_contain_text("not for the role annotator")


def test_a_stranger_is_asked_to_log_in(people: SimpleNamespace, page: Page) -> None:
    page.goto("/compare/?assignment=1")
    expect(page).to_have_url(re.compile(r"/login/\?next="))
