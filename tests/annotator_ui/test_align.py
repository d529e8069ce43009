"""The align page in real Chromium: every tool clicked and keyed on an object of a composed scene."""

import io
import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image as Picture
from playwright.sync_api import Page, expect

from backend.annotation.models import Alignment, Assignment, Task
from backend.catalog.models import TargetObject
from backend.models import Job
from tests.annotator_ui import aligning
from tests.annotator_ui.aligning import iou, opened, picture, pose, value

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.browser, pytest.mark.usefixtures("left")]
SignIn = Callable[[str], Page]


@pytest.fixture
def task(people: SimpleNamespace, tmp_path: Path) -> Task:
    """An alignment that starts 15° off."""
    return aligning.open_align(aligning.scene_batch(tmp_path))


@pytest.fixture
def desk(task: Task, sign_in: SignIn) -> Page:
    """Ada's align page with the object on it."""
    return opened(sign_in("ada"))


def drag(page: Page, by: tuple[float, float], start: tuple[float, float] = (0.5, 0.5)) -> None:
    """Drag on the 3D view from a place (shares of it)."""
    box = page.locator("#gl").bounding_box()
    assert box
    x, y = box["x"] + start[0] * box["width"], box["y"] + start[1] * box["height"]
    page.mouse.move(x, y)
    page.mouse.down()
    for step in range(1, 9):
        page.mouse.move(x + by[0] * step / 8, y + by[1] * step / 8)
    page.mouse.up()


def undo_count(page: Page) -> int:
    """How many undo steps there are; all of them are undone."""
    count = 0
    while page.locator("[data-action=undo]").is_enabled():
        page.keyboard.press("z")
        count += 1
        assert count < 100, "a step is not undone"
    return count


def lit(page: Page, selector: str) -> np.ndarray:
    """(H, W, 3) of an element as it looks."""
    page.wait_for_timeout(150)
    return np.asarray(Picture.open(io.BytesIO(page.locator(selector).screenshot())).convert("RGB")).astype(int)


def test_it_opens_at_the_candidates_own_pose(desk: Page, task: Task) -> None:
    candidate = task.candidate
    assert candidate
    assert [value(desk, name) for name in ("tx", "ty", "tz")] == pytest.approx(candidate.t, abs=1e-4)
    assert 0.1 < iou(desk) < 0.95
    expect(desk.locator("#depth")).to_have_text(re.compile(r"^\d+\.\d\d %$"))
    picture(desk, "align-open")


def test_keys_move_turn_and_scale_coarse_and_fine(desk: Page) -> None:
    start = pose(desk)
    desk.keyboard.press("ArrowRight")
    coarse = value(desk, "tx") - start[0]
    desk.keyboard.press("Shift+ArrowRight")
    fine = value(desk, "tx") - start[0] - coarse
    assert coarse > 0 and fine == pytest.approx(coarse / 10, rel=0.05)
    for key, name in (("ArrowDown", "ty"), ("PageUp", "tz")):
        before = value(desk, name)
        desk.keyboard.press(key)
        assert value(desk, name) > before
    for key in ("a", "w", "q"):
        before = pose(desk)[3:6]
        desk.keyboard.press(key)
        assert pose(desk)[3:6] != before
    before = value(desk, "sx")
    desk.keyboard.press("+")
    desk.keyboard.press("Shift+_")
    assert value(desk, "sx") == pytest.approx(before * 1.02 / 1.002, rel=1e-3)
    assert undo_count(desk) == 9 and pose(desk) == pytest.approx(start, abs=1e-4)


def test_a_held_key_is_one_undo_step_and_so_is_a_drag(desk: Page) -> None:
    start = pose(desk)
    for _ in range(5):
        desk.keyboard.down("ArrowLeft")
    desk.keyboard.up("ArrowLeft")
    held = pose(desk)
    desk.keyboard.press("Control+z")
    assert pose(desk) == pytest.approx(start, abs=1e-4)
    desk.keyboard.press("y")
    assert pose(desk) == held and undo_count(desk) == 1
    drag(desk, (60, 0))
    dragged = pose(desk)
    assert dragged != start
    picture(desk, "align-dragged")
    assert undo_count(desk) == 1 and pose(desk) == pytest.approx(start, abs=1e-4)
    desk.keyboard.press("Control+Shift+Z")
    assert pose(desk) == pytest.approx(dragged, abs=1e-4)


def test_the_measures_follow_a_drag_and_are_exact_when_it_ends(desk: Page) -> None:
    texts = desk.evaluate_handle(
        "() => { const seen = []; new MutationObserver(() => seen.push(document.querySelector('#iou').textContent))"
        ".observe(document.querySelector('#iou'), {childList: true}); return seen; }"
    )
    drag(desk, (90, 10))
    desk.wait_for_timeout(500)
    seen = [float(text) for text in texts.json_value()]
    assert len(seen) >= 5
    assert abs(seen[-2] - seen[-1]) <= 0.01
    expect(desk.locator("#iou-change")).to_have_class(re.compile("good|bad"))


def test_numbers_are_typed_and_bad_ones_are_refused(desk: Page) -> None:
    desk.fill("[name=tx]", "0.25")
    desk.keyboard.press("Tab")
    assert value(desk, "tx") == 0.25
    before = pose(desk)[6:]
    desk.fill("[name=sx]", str(before[0] * 2))
    desk.keyboard.press("Tab")
    assert pose(desk)[6:] == pytest.approx([2 * side for side in before], rel=1e-3)
    desk.fill("[name=sy]", "-1")
    desk.keyboard.press("Tab")
    expect(desk.locator("#toasts")).to_contain_text("make no pose")
    assert value(desk, "sy") > 0


def test_one_axis_is_scaled_alone_by_key_and_number(desk: Page) -> None:
    start = pose(desk)[6:]
    desk.keyboard.press("u")
    expect(desk.locator("[data-axis='0']")).to_have_attribute("aria-pressed", "true")
    desk.keyboard.press("+")
    assert pose(desk)[6:] == pytest.approx([start[0] * 1.02, *start[1:]], rel=1e-3)
    desk.locator("[data-axis='2']").click()
    expect(desk.locator("[name=sx]")).to_be_disabled()
    desk.fill("[name=sz]", "0.5")
    desk.keyboard.press("Tab")
    assert pose(desk)[6:] == pytest.approx([start[0] * 1.02, start[1], 0.5], rel=1e-3)
    desk.locator("[data-axis='null']").click()
    desk.keyboard.press("s")
    before = pose(desk)[6:]
    drag(desk, (40, 0))
    factors = np.array(pose(desk)[6:]) / before
    assert factors == pytest.approx([factors[0]] * 3, rel=1e-2) and factors[0] != pytest.approx(1, abs=0.01)


def test_four_quarter_turns_come_round_and_hold_the_pivot(desk: Page) -> None:
    start = pose(desk)
    for key, action in (("j", "quarter-y"), ("k", "quarter-x"), ("n", "quarter-z")):
        desk.keyboard.press(key)
        assert pose(desk)[3:6] != pytest.approx(start[3:6], abs=1)
        for _ in range(3):
            desk.locator(f"[data-action={action}]").click()
        assert pose(desk) == pytest.approx(start, abs=2e-3)
    desk.keyboard.press("j")
    picture(desk, "align-quarter")


def test_a_pivot_is_picked_held_and_undone(desk: Page) -> None:
    desk.keyboard.press("c")
    expect(desk.locator("#picking")).to_be_visible()
    desk.keyboard.press("Escape")
    expect(desk.locator("#picking")).to_be_hidden()
    desk.keyboard.press("g")
    desk.locator("[data-action=pivot]").click()
    box = desk.locator("#gl").bounding_box()
    assert box
    desk.mouse.click(box["x"] + box["width"] * 0.5, box["y"] + box["height"] * 0.47)
    expect(desk.locator("#picking")).to_be_hidden()
    desk.keyboard.press("g")
    start = pose(desk)
    picture(desk, "align-pivot")
    desk.keyboard.press("d")
    about_picked = pose(desk)
    desk.keyboard.press("z")
    desk.keyboard.press("z")
    assert pose(desk) == pytest.approx(start, abs=1e-4)
    desk.keyboard.press("d")
    assert pose(desk)[:3] != pytest.approx(about_picked[:3], abs=1e-5)


def test_an_object_is_set_upright_on_the_ground(desk: Page, task: Task) -> None:
    for key in ("w", "w", "ArrowUp", "ArrowUp"):
        desk.keyboard.press(key)
    desk.locator("[data-action=upright]").click()
    desk.keyboard.press("b")
    desk.wait_for_timeout(300)
    truth = task.object.truth
    assert value(desk, "ty") == pytest.approx(truth.t[1], abs=0.03)
    assert undo_count(desk) == 6


def test_the_photo_shows_the_mesh_shaded_outlined_or_as_difference(desk: Page) -> None:
    looks = {}
    for look in ("shaded", "outline", "difference"):
        expect(desk.locator(f"[data-look={look}]")).to_have_attribute("aria-pressed", "true")
        looks[look] = lit(desk, ".overlay")
        picture(desk, f"align-{look}")
        desk.keyboard.press("o")
    expect(desk.locator("[data-look=shaded]")).to_have_attribute("aria-pressed", "true")
    assert np.abs(looks["shaded"] - looks["outline"]).max() > 60
    blue = looks["difference"]
    assert ((blue[..., 2] - blue[..., 0]) > 60).mean() > 0.002
    desk.locator("[data-look=outline]").click()
    expect(desk.locator(".legend")).to_be_hidden()


def test_opacity_goes_by_slider_and_key(desk: Page) -> None:
    full = lit(desk, ".overlay")
    desk.locator("#opacity").fill("0")
    assert np.abs(full - lit(desk, ".overlay")).max() > 30
    desk.keyboard.press("]")
    assert desk.locator("#opacity").input_value() == "0.1"


def test_the_photo_zooms_and_pans_with_the_mesh(desk: Page) -> None:
    small = lit(desk, ".overlay")
    box = desk.locator("#photo").bounding_box()
    assert box
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    desk.mouse.move(x, y)
    for _ in range(3):
        desk.mouse.wheel(0, -100)
    zoomed = lit(desk, ".overlay")
    assert np.abs(zoomed - small).mean() > 3
    desk.mouse.down()
    desk.mouse.move(x - 80, y - 20, steps=4)
    desk.mouse.up()
    assert np.abs(lit(desk, ".overlay") - zoomed).mean() > 3
    picture(desk, "align-zoomed")
    desk.keyboard.press("/")
    assert np.abs(lit(desk, ".overlay") - small).mean() < 1
    desk.keyboard.press(".")
    desk.keyboard.press(",")
    assert np.abs(lit(desk, ".overlay") - small).mean() < 1


def test_views_and_switches_change_what_is_seen(desk: Page) -> None:
    seen = [lit(desk, ".space")]
    for key in "234567":
        desk.keyboard.press(key)
        seen.append(lit(desk, ".space"))
        assert np.abs(seen[-1] - seen[-2]).mean() > 1, key
    desk.locator("[data-action=photo]").click()
    assert np.abs(lit(desk, ".space") - seen[0]).mean() < 1
    for key, action in (("g", "gizmo"), ("h", "target"), ("p", "points"), ("m", "mesh")):
        before = lit(desk, ".space")
        desk.keyboard.press(key)
        expect(desk.locator(f"[data-action={action}]")).to_have_attribute("aria-pressed", "false")
        assert np.abs(lit(desk, ".space") - before).max() > 20, action
    picture(desk, "align-all-off")
    for action in ("gizmo", "target", "points", "mesh"):
        desk.locator(f"[data-action={action}]").click()
    before = lit(desk, ".space")
    desk.locator("#point-size").fill("6")
    assert np.abs(lit(desk, ".space") - before).mean() > 0.5


def test_the_first_pose_is_a_key_away(desk: Page) -> None:
    start = pose(desk)
    desk.keyboard.press("d")
    desk.keyboard.press("0")
    assert pose(desk) == start and undo_count(desk) == 2


def test_a_draft_with_its_pivot_is_there_after_a_reload(desk: Page) -> None:
    desk.keyboard.press("ArrowLeft")
    desk.keyboard.press("Shift+C")
    left = pose(desk)
    desk.wait_for_timeout(3500)
    draft = Assignment.objects.get(prefetch=False).draft
    assert len(draft["pivot"]) == 3
    opened(desk, desk.url)
    assert pose(desk) == pytest.approx(left, abs=1e-4)


def test_the_answer_holds_pose_measures_and_time(desk: Page) -> None:
    desk.keyboard.press("ArrowLeft")
    desk.wait_for_timeout(400)
    shown = iou(desk)
    desk.keyboard.press("Control+Enter")
    desk.wait_for_url(lambda url: "/align/" not in url)
    stored = Alignment.objects.get()
    assert stored.iou == pytest.approx(shown, abs=6e-4) and stored.depth_residual and stored.active_ms > 0


def test_a_pose_stored_from_elsewhere_is_shown_beside_mine_and_nothing_is_lost(desk: Page) -> None:
    work = Assignment.objects.get(prefetch=False)
    candidate = work.task.candidate
    assert candidate
    other = {"R": candidate.R, "t": [0.2, *candidate.t[1:]], "s": candidate.s}
    reply = desk.evaluate(
        "async ([id, body]) => (await fetch(`/api/v1/assignments/${id}/alignment/`, {method: 'POST', headers:"
        " {'Content-Type': 'application/json', 'X-CSRFToken': document.cookie.match(/csrftoken=([^;]+)/)[1]},"
        " body: JSON.stringify(body)})).status",
        [work.pk, {"fence": work.fence, "key": "00000000-0000-4000-8000-000000000001", **other}],
    )
    assert reply == 200
    desk.keyboard.press("ArrowLeft")
    desk.keyboard.press("Control+Enter")
    expect(desk.get_by_role("dialog")).to_contain_text("Another pose was stored meanwhile")
    desk.wait_for_timeout(600)
    picture(desk, "align-conflict")
    desk.get_by_role("button", name="Store mine").click()
    desk.wait_for_url(lambda url: "/align/" not in url)
    assert list(Alignment.objects.order_by("version").values_list("version", flat=True)) == [1, 2]


def test_the_page_has_no_serious_accessibility_findings(desk: Page) -> None:
    assert aligning.findings(desk) == []


def test_it_works_on_a_narrow_screen(desk: Page) -> None:
    desk.set_viewport_size({"width": 400, "height": 800})
    desk.wait_for_timeout(500)
    assert desk.evaluate("document.documentElement.scrollWidth") <= 400
    picture(desk, "align-narrow")


def fitted(page: Page) -> str:
    """What the page says once the fit has ended."""
    line = page.locator("#fit p").first
    expect(line).to_contain_text(re.compile("^(Fit:|Fit |The fit)"), timeout=60_000)
    return line.inner_text()


def test_fit_is_one_step_and_never_overwrites_what_was_changed_meanwhile(desk: Page, worker: None) -> None:
    start, before = pose(desk), iou(desk)
    desk.keyboard.press("f")
    desk.keyboard.press("f")
    assert re.match(r"Fit: mask IoU 0\.\d+ → 0\.\d+, depth", fitted(desk))
    assert Job.objects.filter(kind="fit").count() == 1
    assert iou(desk) > max(0.85, before)
    picture(desk, "align-fitted")
    assert undo_count(desk) == 1 and pose(desk) == pytest.approx(start, abs=1e-4)
    desk.keyboard.press("f")
    desk.keyboard.press("ArrowLeft")
    mine = pose(desk)
    assert fitted(desk).startswith("The fit is ready, but you have changed")
    assert pose(desk) == mine
    picture(desk, "align-fit-offer")
    desk.locator("#fit-take").click()
    assert iou(desk) > 0.85 and undo_count(desk) == 2


def test_a_fit_that_fails_leaves_the_pose_and_says_why(desk: Page, worker: None, task: Task) -> None:
    candidate = task.candidate
    assert candidate
    Task.objects.filter(pk=task.pk).update(object=blind(task))
    start = pose(desk)
    desk.locator("[data-action=fit]").click()
    assert fitted(desk).startswith("Fit left the pose as it was: ")
    assert pose(desk) == start
    expect(desk.locator("[data-action=undo]")).to_be_disabled()


def blind(task: Task) -> TargetObject:
    """The task's object without its mask."""
    return TargetObject.objects.create(image=task.object.image, name="blind", category="goblet")
