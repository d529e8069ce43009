"""The same loop in Chromium, clicking: a batch, a photo, candidates, answers, a release, a checkpoint, a promotion."""

import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from backend.annotation.models import Task
from backend.datasets.models import Release
from backend.models import Job
from backend.proposals.models import Candidate
from backend.training.models import Checkpoint, Promotion
from tests.loop import bundle

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.browser]
SignIn = Callable[[str], Page]


def until(condition: Callable[[], Any], what: str, seconds: float = 180) -> None:
    """Wait for the worker."""
    stop = time.monotonic() + seconds
    while not condition():
        # A proposer may fail on an object; anything else may not.
        failed = (
            Job.objects.filter(state="failed").exclude(kind="propose").values_list("kind", "error").first()
        )
        assert failed is None, f"job {failed}"
        assert time.monotonic() < stop, f"{what} did not happen in {seconds:.0f} s"
        time.sleep(0.3)


def leave(page: Page) -> None:
    """Log out; a work page gives its lease back on the way."""
    page.locator("header .who summary").click()
    page.get_by_role("button", name="Log out").click()
    page.wait_for_url("**/login/**")


def make_batch(page: Page, name: str, photo: Path) -> None:
    """Create, upload, propose; returns when every object is ready."""
    page.goto("/batches/")
    page.locator("#new summary").click()
    page.fill("[name=name]", name)
    page.fill("[name=n_candidates]", "4")
    page.fill("[name=alpha]", "0.3")
    page.get_by_role("button", name="Make the batch").click()
    page.wait_for_url("**/batches/*/")
    page.set_input_files("input[type=file]", str(photo))
    page.get_by_role("button", name="Upload").click()
    until(lambda: Task.objects.filter(batch__name=name).exists(), "the import")
    page.get_by_role("button", name="Propose candidates").click()
    until(lambda: Task.objects.filter(batch__name=name, state="open").exists(), "an object ready to compare")
    until(lambda: not Task.objects.filter(batch__name=name, state="waiting").exists(), "the last object")


def annotate(page: Page) -> None:
    """Press keys until nothing is left to do; after each answer the page brings the next task by itself."""
    page.goto("/")
    while Task.objects.filter(state="open", stage__in=["compare", "align"]).exists():
        page.wait_for_selector("#veil[hidden]", state="attached")
        done = Task.objects.filter(state="done").count()
        if "/align/" in page.url:
            page.keyboard.press("Control+Enter")
        else:
            total = int(page.locator("#count").inner_text().split(" of ")[1].split()[0])
            for number in range(total):
                expect(page.locator("#count")).to_contain_text(f"{number + 1} of")
                expect(page.locator("#viewports[aria-busy]")).to_have_count(0)  # before that no key answers
                page.keyboard.press("1")
            expect(page.locator("#count")).to_contain_text("Rate the survivor")
            for key in ("8", "Enter"):
                page.keyboard.press(key)
        until(lambda done=done: Task.objects.filter(state="done").count() > done, "the answer is stored", 30)
        # The next object takes the place of this one, on this page or on the other stage's.
        page.wait_for_timeout(1500)
    expect(page.locator("#message")).to_contain_text("Nothing to do")


def freeze_and_train(page: Page, kind: str) -> None:
    """A release of a kind, and a training run on it from the newest checkpoint."""
    page.goto("/releases/")
    page.locator("#new summary").click()
    page.select_option("#create [name=kind]", kind)
    page.locator("#create input[type=checkbox][name=batches]").first.check()
    page.get_by_role("button", name="Freeze").click()
    until(lambda: Release.objects.filter(kind=kind, state="frozen").exists(), f"release {kind}")
    known = Checkpoint.objects.count()
    newest, release = Checkpoint.objects.latest("id"), Release.objects.get(kind=kind)
    page.goto("/models/")
    page.get_by_text("Start a training run").click()
    page.select_option("#train [name=stage]", kind)
    page.locator(f"#train input[name=releases][value='{release.pk}']").check()
    page.select_option("#train [name=init]", str(newest.pk))
    page.fill("#train [name=steps]", "2")
    page.get_by_role("button", name="Start").click()
    until(lambda: Checkpoint.objects.count() > known, f"a checkpoint from {kind}")


def test_the_whole_loop_is_clicked(
    people: SimpleNamespace, proposers: None, worker: None, sign_in: SignIn, page: Page, tmp_path: Path
) -> None:
    for number, seed in ((1, 3), (2, 4)):
        (tmp_path / f"scene{number}.zip").write_bytes(bundle(seed))
    sign_in("leo")
    make_batch(page, "first", tmp_path / "scene1.zip")
    leave(page)
    sign_in("ada")
    annotate(page)
    leave(page)
    sign_in("res")
    freeze_and_train(page, "sft")
    freeze_and_train(page, "dpo")
    page.goto("/models/")
    page.get_by_role("button", name="Promote").first.click()
    page.get_by_role("dialog").get_by_role("button", name="Promote").click()
    newest = Checkpoint.objects.latest("id")
    until(lambda: Promotion.objects.filter(checkpoint=newest, ended_at=None).exists(), "the promotion", 30)
    leave(page)
    sign_in("leo")
    make_batch(page, "second", tmp_path / "scene2.zip")
    made_by = Candidate.objects.filter(batch__name="second").values_list(
        "proposer__checkpoint__name", flat=True
    )
    assert newest.name in set(made_by)
