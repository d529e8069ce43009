"""The guided practice in a real browser: before the first real object, with feedback after each answer, once."""

import re
from collections.abc import Callable
from types import SimpleNamespace

import pytest
from playwright.sync_api import Page, expect

from backend.annotation.models import GoldPair, PracticeAnswer
from tests.annotator_ui import desk
from tests.annotator_ui.shell import faults, picture

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.browser, pytest.mark.usefixtures("left")]
SignIn = Callable[[str], Page]


def test_six_objects_with_feedback_come_before_the_first_real_one(people: SimpleNamespace, sign_in: SignIn) -> None:
    desk.make_practice()
    desk.make_batch()
    page = sign_in("ada")
    page.goto("/")
    page.wait_for_url("**/practice/")
    for place in range(1, 7):
        expect(page.locator("#count")).to_have_text(f"{place} of 6")
        page.wait_for_selector("#veil[hidden]", state="attached")
        if place == 1:
            page.keyboard.press("r")
            page.wait_for_timeout(700)
            left, right = desk.lit(page.locator("#viewports").screenshot())
            assert left > 0.05 and right > 0.05
        page.keyboard.press("1" if place % 2 else "2")
        feedback = page.locator("#feedback")
        expect(feedback).to_contain_text(re.compile("Right|Not quite"))
        expect(page.locator(".viewport.better")).to_have_count(1)
        page.wait_for_timeout(300)
        picture(page, f"practice-{place}-{GoldPair.objects.get(place=place).lesson}")
        if place == 1:
            assert faults(page) == []
            page.reload()  # the answer is stored: the page goes on with the second object
            continue
        page.keyboard.press("Enter")
    summary = page.locator("#summary")
    right = PracticeAnswer.objects.filter(right=True).count()
    expect(summary).to_contain_text(f"{right} of 6 were right")
    assert faults(page) == [] and PracticeAnswer.objects.count() == 6
    picture(page, "practice-summary")
    page.get_by_role("link", name="Start").click()
    page.wait_for_url(re.compile(r"/compare/\?assignment="))


def test_an_admin_makes_the_practice_on_the_batches_page(
    people: SimpleNamespace, worker: None, sign_in: SignIn
) -> None:
    desk.make_practice()
    GoldPair.objects.all().delete()
    page = sign_in("leo")
    page.goto("/batches/")
    page.get_by_role("button", name="Make the practice").click()
    expect(page.locator("#practice")).to_be_hidden(timeout=60_000)
    assert GoldPair.objects.count() == 6
