"""Every page for everyone: no serious finding of axe in light and dark, and nothing left in English for a Korean reader."""

from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from playwright.sync_api import Page

from annotator_ui.views import OFF_MENU, PAGES
from tests.annotator_ui import at_work

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.browser, pytest.mark.usefixtures("left")]
AXE = Path(__file__).resolve().parents[2] / "node_modules/axe-core/axe.min.js"
WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
SignIn = Callable[[str], Page]
ADDRESSES = [address for _, address, _, _ in PAGES + OFF_MENU]
# Names of people, batches, models and units, keys of the keyboard and file formats stay as they are.
ENGLISH = """() => {
  const kept = new Set(JSON.parse(document.body.dataset.keptInTests ?? "[]"));
  const foreign = /[A-Za-z]{3,}/;
  const found = [];
  const look = (text, where) => {
    const bare = text.replace(/Maquette|English|IoU|Ctrl|Shift|Enter|Alt|Esc|[A-Z0-9]{2,}|[\\w.-]*[\\d_/.@][\\w./@-]*/g, " ");
    if (foreign.test(bare)) found.push(`${where}: ${text.trim()}`);
  };
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walk.nextNode(); node; node = walk.nextNode()) {
    const parent = node.parentElement;
    if (parent.closest("script, style, pre, code, kbd, [lang]:not(html), [translate=no]")) continue;
    look(node.data, parent.tagName.toLowerCase());
  }
  for (const element of document.querySelectorAll("[aria-label], [title], [placeholder], img[alt]"))
    if (!element.closest("[translate=no]"))
      for (const name of ["aria-label", "title", "placeholder", "alt"])
        if (element.getAttribute(name)) look(element.getAttribute(name), name);
  return [...new Set(found)];
}"""


@pytest.fixture
def work(people: SimpleNamespace) -> SimpleNamespace:
    """Something to see on every page."""
    people.leo.preferences = {"language": "ko"}
    people.leo.save(update_fields=["preferences"])
    return at_work.everywhere(people)


def settle(page: Page, address: str) -> None:
    """The page, with what it loads on screen."""
    page.goto(address)
    if page.locator("#veil").count():
        page.wait_for_selector("#veil[hidden]", state="attached", timeout=45_000)
    settled(page)


def settled(page: Page) -> None:
    page.wait_for_load_state("networkidle")
    page.wait_for_timeout(300)


def visits(page: Page, work: SimpleNamespace) -> Iterator[str]:
    """Every page with its work on screen, by the name of what is seen there."""
    for address in (
        "/?stay=1", "/select/", "/align/", f"/art/?assignment={work.case.pk}", "/review/?tab=align", "/review/?tab=compare",
        "/review/?tab=submissions", "/batches/", f"/batches/{work.batch.pk}/", "/progress/", "/preferences/",
    ):  # fmt: skip
        at_work.empty_hands(work.user)
        settle(page, address)
        yield address
    at_work.empty_hands(work.user)
    yield from _answering(page)
    for address, buttons in (
        ("/releases/", "#list button"),
        ("/models/", "#checkpoints button[translate], #runs button"),
    ):
        settle(page, address)
        for place in range(page.locator(buttons).count()):
            page.locator(buttons).nth(place).click()
            settled(page)
            yield f"{address} {place}"


def _answering(page: Page) -> Iterator[str]:
    """What comes while one answers: the comparison and its rating, questions, the practice with its feedback."""
    settle(page, "/compare/")
    yield "/compare/"
    for key in ("?", "x", "l"):
        page.keyboard.press(key)
        page.wait_for_timeout(200)
        if page.locator("dialog[open]").count():
            yield f"/compare/ {key}"
            page.keyboard.press("Escape")
    for _ in range(2):
        page.keyboard.press("1")
        page.wait_for_timeout(600)
    yield "/compare/ rating"
    settle(page, "/practice/")
    yield "/practice/"
    page.keyboard.press("1")
    page.wait_for_timeout(600)
    yield "/practice/ feedback"


def serious(page: Page) -> list[str]:
    """Serious and critical findings of axe on the page as it stands, with all that folds unfolded."""
    page.evaluate("document.querySelectorAll('main details').forEach((each) => (each.open = true))")
    page.evaluate(AXE.read_text())
    found = page.evaluate("(tags) => axe.run({ runOnly: tags })", WCAG)
    rules = [rule for rule in found["violations"] if rule["impact"] in {"serious", "critical"}]
    return [f"{rule['id']}: {node['html'][:160]}" for rule in rules for node in rule["nodes"]]


def test_axe_finds_nothing_serious_on_any_page_light_or_dark(work: SimpleNamespace, sign_in: SignIn) -> None:
    page = sign_in("leo")
    found = []
    for address in [*ADDRESSES, f"/batches/{work.batch.pk}/"]:
        settle(page, address)
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            found += [f"{address} {scheme} {line}" for line in serious(page)]
    assert found == []


def test_a_korean_reader_finds_no_english_at_work(work: SimpleNamespace, sign_in: SignIn) -> None:
    page = sign_in("leo")
    found, seen = [], set()
    for name in visits(page, work):
        seen.add(name)
        found += [f"{name} {line}" for line in [*page.evaluate(ENGLISH), *serious(page)]]
    assert found == []
    assert {"/compare/ rating", "/practice/ feedback", "/models/ 5"} <= seen


def test_the_doors_are_korean_too(people: SimpleNamespace, sign_in: SignIn) -> None:
    people.ada.preferences = {"language": "ko"}
    people.ada.save(update_fields=["preferences"])
    page = sign_in("ada")
    page.set_extra_http_headers({"Accept-Language": "ko"})
    english = []
    page.goto("/models/")  # not for annotators
    english += page.evaluate(ENGLISH)
    page.context.clear_cookies()
    page.goto("/login/")
    page.fill("input[name=username]", "ada")
    page.fill("input[name=password]", "wrong")
    page.click("button[type=submit]")
    page.wait_for_selector("[role=alert]")
    assert english + page.evaluate(ENGLISH) == []
