"""Compare and rate in a real browser: both protocols, what is instant, what survives a lost network, keys and touch."""

import re
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import numpy as np
import pytest
from PIL import Image as Picture
from playwright.sync_api import Page, expect

from backend.annotation.models import Anchor, Assignment, Comparison, Rating, Task
from backend.catalog.models import Batch
from backend.proposals.models import Candidate
from tests.annotator_ui import desk, match
from tests.annotator_ui.match import opened, picture

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.browser]
SignIn = Callable[[str], Page]
FETCHED = "(key) => performance.getEntriesByType('resource').some(({ name, responseEnd }) => name.includes(key) && responseEnd)"
SCALE = [{"r": 0.0, "label": "Unusable"}, {"r": 0.4, "label": "Poor"}, {"r": 0.7, "label": "Good"}, {"r": 1.0, "label": "As the photo"}]


@pytest.fixture
def page(page: Page) -> Iterator[Page]:
    """The shared page, left before the database is emptied: a closing work page gives its lease back."""
    yield page
    page.context.set_offline(False)
    page.goto("about:blank")
    page.wait_for_timeout(400)


@pytest.fixture
def balls(people: SimpleNamespace) -> Batch:
    """Two objects of three candidates."""
    return desk.make_batch()


def count(page: Page, text: str) -> None:
    expect(page.locator("#count")).to_have_text(re.compile(text))


def shown(page: Page, text: str) -> None:
    """The pair (or what it is) is named and its meshes stand."""
    count(page, text)
    expect(page.locator("#viewports[aria-busy]")).to_have_count(0)


def press(page: Page, *keys: str) -> None:
    for key in keys:
        page.keyboard.press(key)


def answers() -> list[str]:
    return list(Comparison.objects.order_by("assignment", "seq").values_list("answer", flat=True))


def stored(page: Page, n: int) -> None:
    """Wait until the server has n comparisons."""
    for _ in range(100):
        if Comparison.objects.count() == n:
            return
        page.wait_for_timeout(100)
    assert Comparison.objects.count() == n


def test_a_bracket_is_answered_by_keys_undone_resumed_and_rated(balls: Batch, sign_in: SignIn) -> None:
    page = opened(sign_in("ada"))
    for key, then in (("1", "^2 of 2"), ("z", "^1 of 2"), ("3", "^2 of 2")):
        press(page, key)
        shown(page, then)
    stored(page, 3)
    page.reload()
    shown(opened(page), "^2 of 2")
    press(page, "d")
    shown(page, "^Rate the survivor of 3")
    picture(page, "rating")
    press(page, "8", "Enter")
    count(page, "^1 of 2")
    assert (answers(), Rating.objects.get().r) == (["left", "undo", "equal", "right"], 0.8)


def test_undo_leads_from_the_rating_back_through_the_whole_bracket(balls: Batch, sign_in: SignIn) -> None:
    page = opened(sign_in("ada"))
    for key, then in (("1", "^2 of 2"), ("2", "^Rate"), ("z", "^2 of 2"), ("z", "^1 of 2")):
        press(page, key)
        shown(page, then)
    expect(page.locator("[data-action=undo]")).to_be_disabled()
    stored(page, 4)


# Milliseconds from the key to the next pair's frame, and whether the page named that pair in the same moment.
PACE = """async (key) => {
  const [started, count] = [performance.now(), document.querySelector("#count")];
  const before = count.textContent;
  document.dispatchEvent(new KeyboardEvent("keydown", {key, bubbles: true}));
  const named = count.textContent !== before;
  do await new Promise((done) => setTimeout(done)); while (document.querySelector("#viewports[aria-busy]"));
  await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
  return [performance.now() - started, named];
}"""


def test_the_next_pair_is_on_screen_before_the_server_has_answered(people: SimpleNamespace, sign_in: SignIn) -> None:
    match.make_batch(8)
    page = sign_in("ada")
    held: list[Any] = []
    page.route("**/comparisons/", lambda route: held.append(route) if len(held) < 1 else route.continue_())
    opened(page)
    page.wait_for_load_state("networkidle")
    press(page, "r")
    picture(page, "pair")
    times, named = zip(*(page.evaluate(PACE, key) for key in "1212"), strict=True)
    shown(page, "^5 of 7")
    assert all(named) and not Comparison.objects.exists()
    print("milliseconds to the next pair:", [round(ms) for ms in times])
    held[0].continue_()
    stored(page, 4)


def test_without_network_the_bracket_is_played_to_its_end_and_sent_later_in_order(balls: Batch, sign_in: SignIn) -> None:
    page = opened(sign_in("ada"))
    for candidate in Candidate.objects.all():  # of this object, and of the next one, which is leased ahead
        page.wait_for_function(FETCHED, arg=str(candidate.key))
    page.context.set_offline(True)
    for key, then in (("1", "^2 of 2"), ("z", "^1 of 2"), ("2", "^2 of 2"), ("3", "^Rate")):
        press(page, key)
        shown(page, then)
    expect(page.locator("#status")).to_have_text(re.compile("kept here"))
    press(page, "9", "Enter")
    expect(page.locator("#veil-text")).to_have_text(re.compile("This object is finished"))
    assert Comparison.objects.count() == 0
    page.context.set_offline(False)
    shown(page, "^1 of 2")
    assert (answers(), Rating.objects.get().r) == (["left", "undo", "right", "equal"], 0.9)


def test_a_refused_answer_takes_the_page_back_to_the_servers_state(balls: Batch, sign_in: SignIn) -> None:
    page = opened(sign_in("ada"))
    work = Assignment.objects.get(prefetch=False)
    left, right = work.bracket[:2]
    Comparison.objects.create(assignment=work, seq=1, answer="left", left_id=left, right_id=right, kept_id=left, key=uuid4())
    press(page, "2")
    expect(page.locator("#toasts")).to_contain_text("The page shows again what the server has stored.")
    shown(page, "^2 of 2")
    press(page, "1")
    shown(page, "^Rate")
    stored(page, 2)
    assert answers() == ["left", "left"]


def test_a_bracket_that_the_server_sees_otherwise_is_not_believed(balls: Batch, sign_in: SignIn) -> None:
    page = opened(sign_in("ada"))
    work = Assignment.objects.get(prefetch=False)
    Assignment.objects.filter(pk=work.pk).update(bracket=[work.bracket[at] for at in (0, 2, 1)])
    press(page, "1")
    expect(page.locator("#toasts")).to_contain_text("The page shows again what the server has stored.")
    shown(page, "^2 of 2")


def test_a_lost_lease_is_a_choice_and_not_silence(balls: Batch, sign_in: SignIn) -> None:
    page = opened(sign_in("ada"))
    Assignment.objects.filter(prefetch=False).update(fence=9)
    press(page, "1")
    page.get_by_role("button", name="Try to take it back").click()
    shown(page, "^1 of 2")
    press(page, "1")
    shown(page, "^2 of 2")
    stored(page, 1)


def test_skipping_asks_why_and_brings_the_next_object(balls: Batch, sign_in: SignIn) -> None:
    page = opened(sign_in("ada"))
    press(page, "x")
    before = page.url
    page.get_by_role("button", name="Skip it").click()
    expect(page).not_to_have_url(before)
    opened(page)
    assert Assignment.objects.get(state="skipped").reason == "cannot tell"


def test_reasons_coverage_and_active_time_go_with_the_answers(balls: Batch, sign_in: SignIn) -> None:
    page = opened(sign_in("ada"))
    page.wait_for_timeout(1500)
    press(page, "6")
    page.get_by_role("button", name="artefacts").click()
    picture(page, "chips")
    press(page, "1")
    shown(page, "^2 of 2")
    expect(page.locator("#chips [aria-pressed=true]")).to_have_count(0)
    press(page, "1")
    shown(page, "^Rate")
    page.wait_for_timeout(1000)
    press(page, "9", "Enter")
    count(page, "^1 of 2")
    first, second = Comparison.objects.order_by("seq")
    assert (first.reasons, second.reasons) == (["completeness", "artefacts"], [])
    assert len(first.coverage) == 2 and all(0 < share <= 1 for share in first.coverage) and first.active_ms > 0
    assert 0 < Rating.objects.get().coverage <= 1 and Rating.objects.get().active_ms > 0


def test_neither_drops_both_and_is_offered_only_where_the_batch_allows_it(balls: Batch, sign_in: SignIn) -> None:
    page = opened(sign_in("ada"))
    press(page, "n")
    shown(page, "^Rate the survivor")
    stored(page, 1)
    Batch.objects.update(allows_neither=False)
    Task.objects.exclude(assignments__prefetch=False).update(priority=9)
    press(page, "2", "Enter")
    page.get_by_role("button", name="Store and escalate").click()
    shown(page, "^1 of 2")
    page.reload()
    opened(page)
    expect(page.locator("[data-action=neither]")).to_have_count(0)
    press(page, "4")
    count(page, "^1 of 2")
    assert (answers(), Rating.objects.get().r) == (["neither"], 0.2)


def still(page: Page, selector: str) -> np.ndarray:
    """(H, W, 3) uint8 of an element as it is on screen, once it stands still."""
    page.wait_for_timeout(600)
    path = match.picture(page, "part")
    box = page.locator(selector).bounding_box()
    assert box
    whole = Picture.open(path).convert("RGB")
    ratio = whole.width / page.evaluate("window.innerWidth")
    area = (box["x"], box["y"], box["x"] + box["width"], box["y"] + box["height"])
    return np.asarray(whole.crop(tuple(int(side * ratio) for side in area)))


def test_shading_modes_change_both_sides_alike_and_shape_is_never_textured(people: SimpleNamespace, sign_in: SignIn) -> None:
    match.make_batch(2)
    page = opened(sign_in("ada"))
    press(page, "r", "v")
    seen = {}
    for key in "mbgw":
        press(page, key)
        seen[key] = still(page, "#viewports")
        expect(page.locator("#looks [aria-pressed=true]")).to_have_count(1)
        picture(page, f"shading-{key}")
    assert len({view.tobytes() for view in seen.values()}) == 4
    assert colourfulness(seen["m"]) < 20 < colourfulness(seen["b"])
    assert page.locator("#looks").get_by_text("Texture").count() == 0


def colourfulness(view: np.ndarray) -> int:
    """The largest difference between a pixel's channels, below the tags."""
    below = view[60:].astype(int)
    return int(np.ptp(below, axis=-1).max())


def test_in_a_texture_batch_the_meshes_have_their_colours(people: SimpleNamespace, sign_in: SignIn) -> None:
    match.make_batch(2, judges="texture")
    page = opened(sign_in("ada"))
    press(page, "r", "v")
    assert colourfulness(still(page, "#viewports")) > 40
    expect(page.locator("#looks [aria-pressed=true]")).to_have_text(re.compile("Texture"))
    expect(page.get_by_role("button", name="texture", exact=False)).not_to_have_count(0)
    picture(page, "texture")


def test_the_photo_is_zoomed_by_wheel_and_keys_and_moved_by_drag(balls: Batch, sign_in: SignIn) -> None:
    page = opened(sign_in("ada"))
    box = page.locator("#photo").bounding_box()
    assert box
    middle = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    views = [still(page, "#photo")]

    def look() -> None:
        views.append(still(page, "#photo"))
        assert not np.array_equal(views[-1], views[-2])

    page.mouse.move(*middle)
    page.mouse.wheel(0, -600)
    look()
    page.mouse.down()
    page.mouse.move(middle[0] + 60, middle[1] + 40, steps=4)
    page.mouse.up()
    look()
    press(page, "Shift+ArrowRight")
    look()
    press(page, "j")
    look()
    press(page, "f")
    look()
    picture(page, "photo-full")
    press(page, "f")
    assert np.array_equal(still(page, "#photo"), views[0])


def test_four_of_eight_are_picked_and_three_comparisons_find_the_survivor(people: SimpleNamespace, sign_in: SignIn) -> None:
    match.make_batch(8, protocol="grid", allows_neither=False)
    page = opened(sign_in("ada"))
    count(page, "^1 of 4: pick the 4 most plausible, 0 picked")
    press(page, "1", "3", "5", "Enter")
    count(page, "3 picked")
    press(page, "3", "8", "2", "4")
    expect(page.locator("#tiles [aria-pressed=true]")).to_have_count(4)
    picture(page, "grid")
    keys = page.locator("#tiles [aria-pressed=true]").evaluate_all("tiles => tiles.map((tile) => tile.ariaLabel.split(' ')[1])")
    assert keys == ["1", "2", "5", "8"]
    press(page, "Enter")
    shown(page, "^2 of 4")
    press(page, "z")
    count(page, "^1 of 4.*4 picked")
    page.locator("#tiles button").nth(7).click()
    page.locator("#tiles button").nth(6).click()
    press(page, "Enter")
    for key, then in (("1", "^3 of 4"), ("2", "^4 of 4"), ("1", "^Rate the survivor of 8")):
        shown(page, r"^\d of 4")
        press(page, key)
        count(page, then)
    press(page, "9", "Enter")
    page.wait_for_url(lambda url: "/compare/?assignment" not in url)
    assert answers() == ["grid", "undo", "grid", "left", "right", "left"]
    work = Assignment.objects.get(stage="compare", state="submitted")
    last = Comparison.objects.filter(answer="grid").latest("seq")
    assert len(last.picked) == 4 and work.survivor_id in last.picked
    assert work.bracket[6] in last.picked and work.bracket[7] not in last.picked


def test_turntables_turn_by_themselves_by_keys_and_under_the_pointer(people: SimpleNamespace, sign_in: SignIn) -> None:
    match.make_batch(5, protocol="grid")
    page = opened(sign_in("ada"))
    strips = page.locator("#tiles .strip")

    def places() -> list[str]:
        return strips.evaluate_all("all => all.map((one) => one.style.backgroundPositionX)")

    before = places()
    page.wait_for_timeout(900)
    assert places() != before
    press(page, "t")
    before = places()
    page.wait_for_timeout(900)
    assert places() == before
    press(page, "ArrowRight")
    assert places() != before
    box = strips.nth(0).bounding_box()
    assert box
    page.mouse.move(box["x"] + 5, box["y"] + 40)
    held = places()
    page.mouse.move(box["x"] + box["width"] - 5, box["y"] + 40, steps=5)
    assert places()[0] != held[0] and places()[1:] == held[1:]


def test_none_of_eight_is_usable(people: SimpleNamespace, sign_in: SignIn) -> None:
    match.make_batch(5, protocol="grid")
    page = opened(sign_in("ada"))
    press(page, "n")
    page.wait_for_url(lambda url: "/compare/" not in url)
    assert (answers(), Task.objects.get().state) == (["grid"], "escalated")


def test_reduced_motion_stops_every_turntable(people: SimpleNamespace, sign_in: SignIn, page: Page) -> None:
    match.make_batch(5, protocol="grid")
    page.emulate_media(reduced_motion="reduce")
    opened(sign_in("ada"))
    place = page.locator("#tiles .strip").first
    before = place.get_attribute("style")
    page.wait_for_timeout(900)
    assert place.get_attribute("style") == before
    press(page, "1", "2", "3", "4", "Enter")
    shown(page, "^2 of 4")
    expect(page.locator("#looks [data-action=turn]")).to_have_attribute("aria-pressed", "false")


def test_a_scale_has_a_key_per_level_and_anchors_beside_it(people: SimpleNamespace, sign_in: SignIn) -> None:
    batch = match.make_batch(3, objects=2, scale=SCALE)
    for candidate, r, note in zip(batch.candidates.order_by("-id"), (0.4, 1.0), ("one leg is missing", "")):
        Anchor.objects.create(batch=batch, candidate=candidate, r=r, note=note)
    page = opened(sign_in("ada"))
    press(page, "1")
    shown(page, "^2 of 2")
    press(page, "1")
    shown(page, "^Rate the survivor")
    expect(page.locator("#store")).to_be_disabled()
    expect(page.locator("#anchors figure")).to_have_count(2)
    expect(page.locator("#anchors")).to_contain_text("one leg is missing")
    press(page, "4", "-")
    expect(page.locator("#levels [aria-pressed=true]")).to_have_text(re.compile("Good"))
    page.wait_for_timeout(500)
    picture(page, "scale")
    press(page, "Enter")
    count(page, "^1 of 2")
    assert Rating.objects.get().r == 0.7


@pytest.fixture
def phone(browser: Any, live_url: str) -> Iterator[Page]:
    """A phone in portrait, with fingers instead of a mouse."""
    context = browser.new_context(base_url=live_url, viewport={"width": 360, "height": 740}, has_touch=True, is_mobile=True, device_scale_factor=2)
    page = context.new_page()
    page.set_default_timeout(15_000)
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto("/login/")
    page.fill("input[name=username]", "ada")
    page.fill("input[name=password]", "correct horse battery")
    page.tap("button[type=submit]")
    page.wait_for_url(lambda url: "/login/" not in url)
    yield page
    page.goto("about:blank")
    page.wait_for_timeout(400)
    context.close()
    assert not errors


def pinch(page: Page, selector: str, factor: float) -> None:
    """Two fingers that move apart around the middle of an element."""
    box = page.locator(selector).bounding_box()
    assert box
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    session = page.context.new_cdp_session(page)

    def touch(kind: str, reach: float) -> None:
        points = [{"x": x - reach, "y": y, "id": 1}, {"x": x + reach, "y": y, "id": 2}] if reach else []
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    touch("touchStart", 20)
    for part in (0.25, 0.5, 0.75, 1):
        touch("touchMove", 20 * (1 + (factor - 1) * part))
    touch("touchEnd", 0)


def fits(page: Page) -> None:
    """Nothing sticks out at the sides, and every answer is a big target."""
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    for button in page.locator("#buttons .answer").all():
        box = button.bounding_box()
        assert box and box["height"] >= 44 and box["width"] >= 100


def test_a_phone_shows_everything_and_fingers_answer(people: SimpleNamespace, phone: Page) -> None:
    match.make_batch(3)
    opened(phone)
    fits(phone)
    lowest = phone.locator("#buttons .answer").last.bounding_box()
    assert lowest and lowest["y"] + lowest["height"] <= 740
    picture(phone, "phone")
    whole = still(phone, "#photo")
    pinch(phone, "#photo", 2.5)
    assert not np.array_equal(still(phone, "#photo"), whole)
    phone.locator("#looks [data-action=reset]").tap()
    before = still(phone, "#viewports")
    pinch(phone, "#gl", 0.5)
    assert not np.array_equal(still(phone, "#viewports"), before)
    phone.get_by_role("button", name="Left is better").tap()
    shown(phone, "^2 of 2")
    phone.get_by_role("button", name="Equal").tap()
    shown(phone, "^Rate")
    fits(phone)
    picture(phone, "phone-rating")


def test_a_phone_shows_the_grid(people: SimpleNamespace, phone: Page) -> None:
    match.make_batch(8, protocol="grid")
    opened(phone)
    for at in (0, 3, 4, 7):
        phone.locator("#tiles button").nth(at).tap()
    fits(phone)
    picture(phone, "phone-grid")
    phone.get_by_role("button", name="Go on").tap()
    shown(phone, "^2 of 4")


def test_pages_in_the_light_scheme_stay_light(people: SimpleNamespace, sign_in: SignIn, page: Page) -> None:
    page.emulate_media(color_scheme="light")
    sign_in("leo").goto("/batches/")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(246, 246, 244)"
    assert page.locator("link[href*='compare']").count() == 0
