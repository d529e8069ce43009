"""What all work pages share, in a real browser: nothing is lost, nothing is given twice, everything is found again."""

import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from django.contrib.sessions.models import Session
from django.utils import timezone
from playwright.sync_api import BrowserContext, Page, expect

from backend.annotation.models import Assignment, Comparison, Problem
from backend.catalog import services as catalog
from backend.catalog.models import Batch
from tests import processes
from tests.annotator_ui import desk
from tests.annotator_ui.shell import ahead, count, faults, opened, picture
from tests.conftest import PASSWORD

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.browser]
SignIn = Callable[[str], Page]
KEPT = re.compile(r"1 answer kept here")


@pytest.fixture
def batch(people: SimpleNamespace) -> Batch:
    """Two objects to compare."""
    return desk.make_batch()


@pytest.fixture
def page(page: Page) -> Iterator[Page]:
    """The shared page, left before the database is emptied: a closing work page gives its lease back."""
    yield page
    for each in page.context.pages:
        each.goto("about:blank")
    time.sleep(0.4)


def stored(n: int) -> None:
    """Wait until the server has n comparisons: the page goes on before it has the reply."""
    stop = time.monotonic() + 20
    while Comparison.objects.count() != n:
        assert time.monotonic() < stop, f"{Comparison.objects.count()} comparisons instead of {n}"
        time.sleep(0.1)


WAITING = """() => new Promise((done, fail) => {
    const open = indexedDB.open("maquette");
    open.onerror = fail;
    open.onsuccess = () => {
        try {
            const all = open.result.transaction("waiting").objectStore("waiting").getAll();
            all.onsuccess = () => { open.result.close(); done(all.result.length); };
        } catch (problem) { fail(problem); }
    };
})"""


def delivered(page: Page) -> None:
    """Wait until this browser has nothing left to send."""
    stop = time.monotonic() + 20
    while page.evaluate(WAITING):
        assert time.monotonic() < stop, "the answers were not delivered"
        page.wait_for_timeout(100)


def log_in(page: Page, name: str) -> Page:
    page.goto("/login/?next=/progress/")
    page.fill("input[name=username]", name)
    page.fill("input[name=password]", PASSWORD)
    page.click("button[type=submit]")
    page.wait_for_url("**/progress/")
    return page


def test_no_network_and_a_killed_server_in_mid_bracket_lose_nothing(batch: Batch, browser: Any) -> None:
    port = processes.free_port()
    with processes.running_web(port=port) as (url, child):
        context: BrowserContext = browser.new_context(base_url=url)
        page = log_in(context.new_page(), "ada")
        opened(page, "/compare/")
        page.keyboard.press("1")
        count(page, "^2 of 2")
        stored(1)
        context.set_offline(True)
        page.keyboard.press("2")
        expect(page.locator("#status")).to_have_text(KEPT)
        picture(page, "shell-offline")
        os.killpg(child.pid, signal.SIGKILL)
        context.set_offline(False)
        page.wait_for_timeout(1500)
        expect(page.locator("#status")).to_have_text(KEPT)
        page.close()
    acknowledged = list(Comparison.objects.values_list("key", flat=True))
    assert len(acknowledged) == 1
    with processes.running_web(port=port):
        page = context.new_page()
        page.goto("/progress/")
        delivered(page)
        rows = Comparison.objects.order_by("seq").values_list("seq", "answer", "key")
        assert [row[:2] for row in rows] == [(1, "left"), (2, "right")]
        assert rows[0][2] == acknowledged[0] and len({row[2] for row in rows}) == 2
        opened(page, "/compare/")
        count(page, "^Rate the survivor")
        page.goto("about:blank")
        context.close()


def test_a_login_that_ends_in_mid_bracket_is_asked_for_in_place(batch: Batch, sign_in: SignIn) -> None:
    page = ahead(opened(sign_in("ada"), "/compare/"))
    Session.objects.all().delete()
    page.keyboard.press("1")
    dialog = page.get_by_role("dialog", name="Your login has ended")
    expect(dialog).to_be_visible()
    assert faults(page) == []
    picture(page, "shell-login-again")
    dialog.get_by_label("Password").fill("wrong")
    page.keyboard.press("Enter")
    expect(dialog.get_by_role("alert")).to_have_text("Name or password is wrong.")
    dialog.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    count(page, "^2 of 2")
    expect(dialog).to_have_count(0)
    stored(1)


def test_answers_of_one_person_are_not_sent_under_the_login_of_another(batch: Batch, sign_in: SignIn) -> None:
    page = ahead(opened(sign_in("ada"), "/compare/"))
    Session.objects.all().delete()
    page.keyboard.press("1")
    dialog = page.get_by_role("dialog", name="Your login has ended")
    dialog.get_by_label("User name").fill("rev")
    dialog.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.locator("body")).to_have_attribute("data-user", "rev", timeout=15_000)
    expect(page.locator("#veil-text")).to_contain_text("No object waits here", timeout=15_000)
    assert Comparison.objects.count() == 0
    page.context.clear_cookies()
    log_in(page, "ada")
    delivered(page)
    assert Comparison.objects.get().assignment.user.username == "ada"


def test_a_page_that_stays_open_does_not_answer_for_who_logs_in_elsewhere(batch: Batch, sign_in: SignIn) -> None:
    page = ahead(opened(sign_in("ada"), "/compare/"))
    page.context.clear_cookies()
    log_in(page.context.new_page(), "rev")
    page.bring_to_front()
    page.keyboard.press("1")
    dialog = page.get_by_role("dialog", name="Somebody else is logged in now")
    expect(dialog).to_contain_text("rev is logged in")
    assert Comparison.objects.count() == 0


def test_a_second_tab_says_so_at_once_and_the_person_chooses(batch: Batch, sign_in: SignIn) -> None:
    first = opened(sign_in("ada"), "/compare/")
    second = first.context.new_page()
    second.goto(first.url)
    dialog = second.get_by_role("dialog", name="This object is open in another tab")
    expect(dialog).to_be_visible()
    picture(second, "shell-second-tab")
    dialog.get_by_role("button", name="Work here").click()
    expect(first.locator("#veil-text")).to_contain_text("You go on with this object in another tab.")
    expect(dialog).to_have_count(0)
    second.wait_for_selector("#veil[hidden]", state="attached")
    second.keyboard.press("1")
    count(second, "^2 of 2")
    stored(1)
    first.bring_to_front()
    first.keyboard.press("2")
    first.get_by_role("button", name="Work here").click()
    first.wait_for_selector("#veil[hidden]", state="attached")
    count(first, "^2 of 2")
    first.keyboard.press("1")
    count(first, "^Rate the survivor")
    stored(2)


def test_a_second_tab_that_goes_back_leaves_the_work_where_it_is(batch: Batch, sign_in: SignIn) -> None:
    first = opened(sign_in("ada"), "/compare/")
    second = first.context.new_page()
    second.goto(first.url)
    second.get_by_role("dialog").get_by_role("button", name="Go back").click()
    expect(second.locator("[data-list=live] li")).to_have_count(1)
    first.bring_to_front()
    first.keyboard.press("1")
    count(first, "^2 of 2")


def test_an_object_put_aside_is_found_on_the_first_page_as_it_was_left(batch: Batch, sign_in: SignIn) -> None:
    page = opened(sign_in("ada"), "/compare/")
    left = page.url
    page.context.set_offline(True)
    page.keyboard.press("1")
    count(page, "^2 of 2")
    page.keyboard.press("l")
    page.get_by_role("button", name="Later", exact=True).click()
    expect(page.locator("#toasts")).to_have_text(KEPT)  # leaving now would lose the answer
    page.context.set_offline(False)
    stored(1)
    page.keyboard.press("l")
    page.get_by_label("Note to yourself").fill("ask about the lid")
    page.get_by_role("button", name="Later", exact=True).click()
    expect(page).not_to_have_url(left)
    page.wait_for_selector("#veil[hidden]", state="attached")
    assert Assignment.objects.filter(state="postponed").count() == 1
    page.goto("/")
    aside = page.locator("[data-list=postponed]")
    expect(aside).to_contain_text("ask about the lid")
    assert faults(page) == []
    picture(page, "shell-first-page")
    aside.get_by_role("button", name="Continue").click()
    count(page, "^2 of 2")
    assert page.url == left


def test_an_answer_that_cannot_be_delivered_is_shown_with_the_servers_words(batch: Batch, sign_in: SignIn) -> None:
    page = opened(sign_in("ada"), "/compare/")
    page.context.set_offline(True)
    page.keyboard.press("1")
    expect(page.locator("#status")).to_have_text(KEPT)
    page.close()
    Assignment.objects.update(fence=9)
    other = page.context.new_page()
    page.context.set_offline(False)
    other.goto("/")
    lost = other.locator("[data-list=undelivered]")
    expect(lost).to_contain_text("no longer yours")
    picture(other, "shell-undelivered")
    lost.get_by_role("button", name="I have read it").click()
    expect(lost).to_have_count(0)
    assert Assignment.objects.get(prefetch=False).draft["answer"] == "left"


def test_a_problem_is_reported_from_the_work_page_and_settled_on_the_batchs(batch: Batch, sign_in: SignIn) -> None:
    page = opened(sign_in("ada"), "/compare/")
    page.keyboard.press("?")
    dialog = page.get_by_role("dialog", name="Report a problem")
    dialog.get_by_label("What have you seen?").fill("two mugs in one mask")
    assert faults(page) == []
    picture(page, "shell-problem")
    dialog.get_by_role("button", name="Send").click()
    expect(page.locator("#toasts")).to_contain_text("Reported")
    row = Problem.objects.get()
    assert (row.note, row.stage, row.user.username) == ("two mugs in one mask", "compare", "ada")
    page.goto("about:blank")
    page.context.clear_cookies()
    sign_in("rev")
    page.goto(f"/batches/{batch.pk}/")
    reported = page.locator("#problems")
    expect(reported).to_contain_text("two mugs in one mask")
    reported.get_by_role("button", name="Settled").click()
    expect(reported).to_be_empty()


def test_new_instructions_open_by_themselves_once_and_by_key(batch: Batch, sign_in: SignIn) -> None:
    catalog.write_instructions(batch, "# Shape first\n\nSee [the guide](https://example.org/).\n\n<script>alert(1)</script>")
    page = opened(sign_in("ada"), "/compare/")
    drawer = page.get_by_role("complementary", name="Instructions")
    expect(drawer.get_by_role("heading", name="Shape first")).to_be_visible()
    expect(drawer).to_contain_text("<script>alert(1)</script>")
    assert faults(page) == []
    picture(page, "shell-instructions")
    opened(page, page.url)
    page.wait_for_timeout(500)
    expect(drawer).to_have_count(0)
    page.keyboard.press("i")
    expect(drawer).to_be_visible()
    page.keyboard.press("Escape")
    expect(drawer).to_be_hidden()
    catalog.write_instructions(batch, "Shape only.")
    opened(page, page.url)
    expect(drawer).to_contain_text("Shape only.")


def test_a_persons_own_key_is_bound_listed_and_written_on_the_button(batch: Batch, sign_in: SignIn) -> None:
    page = sign_in("ada")
    page.goto("/progress/")
    page.locator("header .who summary").click()
    page.get_by_role("link", name="Preferences").click()
    page.locator("[data-table=compare] summary").click()
    row = page.locator("[data-table=compare] tr[data-action=left]")
    row.get_by_role("button", name="New key").click()
    page.keyboard.press("2")
    expect(page.locator("#toasts")).to_contain_text("2 is taken: Right is better")
    row.get_by_role("button", name="New key").click()
    page.keyboard.press("q")
    expect(row.locator("kbd").first).to_have_text("Q")
    assert faults(page) == []
    picture(page, "shell-preferences")
    opened(page, "/compare/")
    expect(page.locator("#buttons [data-action=left] kbd")).to_have_text("Q")
    page.keyboard.press("q")
    count(page, "^2 of 2")
    page.goto("/preferences/")
    page.locator("[data-table=compare] summary").click()
    row.get_by_role("button", name="As delivered").click()
    expect(row.locator("kbd").first).to_have_text("1")


def test_language_theme_and_motion_are_the_persons_own(people: SimpleNamespace, sign_in: SignIn) -> None:
    page = sign_in("ada")
    page.goto("/preferences/")
    page.get_by_label("Language").select_option("ko")
    page.get_by_label("Theme").select_option("dark")
    page.get_by_label("Motion").select_option("still")
    page.get_by_role("button", name="Save").click()
    root = page.locator("html")
    expect(root).to_have_attribute("lang", "ko")
    expect(root).to_have_attribute("data-theme", "dark")
    expect(root).to_have_attribute("data-motion", "still")
    assert faults(page) == []
    picture(page, "shell-preferences-dark")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_own_progress_shows_days_and_figures(
    batch: Batch, people: SimpleNamespace, sign_in: SignIn, scheme: Any
) -> None:
    task = batch.tasks.first()
    Assignment.objects.create(
        task=task, user=people.ada, batch=batch, stage="compare", state="submitted", active_ms=90_000,
        lease_until=timezone.now(), finished_at=timezone.now(),
    )  # fmt: skip
    page = sign_in("ada")
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": 360, "height": 800})
    page.goto("/progress/")
    expect(page.locator("#own .bar")).to_have_count(14)
    expect(page.locator("#own")).to_contain_text("Days in a row1")
    page.get_by_text("As a table").click()
    expect(page.locator("#own table").first.locator("tbody tr")).to_have_count(14)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    assert faults(page) == []
    picture(page, f"shell-progress-{scheme}")
