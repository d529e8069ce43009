"""Every page for everyone: no serious finding of axe in light and dark, and nothing left in English for a Korean reader."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from playwright.sync_api import Page

from annotator_ui.views import PAGES
from backend.annotation.intake import enqueue
from backend.annotation.models import Task
from backend.catalog.models import Batch
from tests.annotator_ui import desk

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.browser]
AXE = Path(__file__).resolve().parents[2] / "node_modules/axe-core/axe.min.js"
WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
SignIn = Callable[[str], Page]
# Names of people, batches, models and units, keys of the keyboard and file formats stay as they are.
ENGLISH = """() => {
  const kept = new Set(JSON.parse(document.body.dataset.keptInTests ?? "[]"));
  const foreign = /[A-Za-z]{3,}/;
  const found = [];
  const look = (text, where) => {
    const bare = text.replace(/Maquette|English|[A-Z0-9]{2,}|[\\w.-]*[\\d_/.@][\\w./@-]*/g, " ");
    if (foreign.test(bare)) found.push(`${where}: ${text.trim()}`);
  };
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walk.nextNode(); node; node = walk.nextNode()) {
    const parent = node.parentElement;
    if (parent.closest("script, style, pre, code, kbd, [lang], [translate=no]")) continue;
    look(node.data, parent.tagName.toLowerCase());
  }
  for (const element of document.querySelectorAll("[aria-label], [title], [placeholder], img[alt]"))
    if (!element.closest("[translate=no]"))
      for (const name of ["aria-label", "title", "placeholder", "alt"])
        if (element.getAttribute(name)) look(element.getAttribute(name), name);
  return [...new Set(found)];
}"""


@pytest.fixture
def work(people: SimpleNamespace) -> Batch:
    """A batch with something to do on every work page."""
    batch = desk.make_batch()
    enqueue(batch, [desk.store_target(7, drawn=False)])
    first = batch.candidates.order_by("seed").first()
    Task.objects.create(batch=batch, object=first.object, stage="align", state="open", candidate=first)
    return batch


@pytest.fixture
def page(page: Page) -> Any:
    """The shared page, left before the database is emptied: a closing work page gives its lease back."""
    yield page
    page.goto("about:blank")
    page.wait_for_timeout(400)


def settle(page: Page, address: str) -> None:
    """The page, with what it loads on screen."""
    page.goto(address)
    page.wait_for_load_state("networkidle")
    page.wait_for_timeout(300)


ADDRESSES = [address for _, address, _, _ in PAGES]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious_on_any_page(work: Batch, sign_in: SignIn, scheme: str) -> None:
    page = sign_in("leo")
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    serious = []
    for address in [*ADDRESSES, f"/batches/{work.pk}/"]:
        settle(page, address)
        page.evaluate(AXE.read_text())
        found = page.evaluate("(tags) => axe.run({ runOnly: tags })", WCAG)
        serious += [
            f"{address} {rule['id']}: {rule['nodes'][0]['html'][:160]}"
            for rule in found["violations"]
            if rule["impact"] in {"serious", "critical"}
        ]
    assert serious == []


def test_a_korean_reader_finds_no_english(work: Batch, people: SimpleNamespace, sign_in: SignIn) -> None:
    people.leo.preferences = {"language": "ko"}
    people.leo.save(update_fields=["preferences"])
    page = sign_in("leo")
    english = []
    for address in [*ADDRESSES, f"/batches/{work.pk}/"]:
        settle(page, address)
        english += [f"{address} {line}" for line in page.evaluate(ENGLISH)]
    assert english == []
