"""The Select page in a real browser: clicks answered by a real worker, drawing, judging, naming, touch, drafts."""

import io
import os
import statistics
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image as Picture
from playwright.sync_api import Page, expect
from scipy import ndimage

from backend import storage
from backend.annotation.intake import enqueue
from backend.annotation.models import Assignment, Problem, Task
from backend.catalog import services as catalog
from backend.catalog.models import Batch, TargetObject
from model_zoo.io.images import load_image
from model_zoo.io.segmentations import rasterise_polygons
from tests.annotator_ui import desk
from tests.annotator_ui.test_pages import opened

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.browser, pytest.mark.usefixtures("left")]
SignIn = Callable[[str], Page]
SCREENSHOTS = Path(os.environ.get("MAQUETTE_SCREENSHOTS", "var/screenshots"))
SIZE = (desk.WIDTH, desk.HEIGHT)
BALL = desk.disc(75)


@pytest.fixture
def drawn(people: SimpleNamespace) -> Batch:
    """A batch with one photo whose object nobody has outlined."""
    batch = catalog.create_batch(name="balls")
    enqueue(batch, [desk.store_target(1, drawn=False)])
    return batch


@pytest.fixture
def checked(people: SimpleNamespace) -> Batch:
    """A batch with a taxonomy that has its imported mask checked."""
    batch = catalog.create_batch(
        name="balls", checks_masks=True, taxonomy=["bowl", "ball", "football", "cup"]
    )
    enqueue(batch, [desk.store_target(1)])
    return batch


def shoot(page: Page, name: str) -> None:
    """Keep a picture of the page for people to look at."""
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"select_{name}.png")


def at(page: Page, x: float, y: float, size: tuple[int, int] = SIZE) -> tuple[float, float]:
    """Place on the screen of a photo pixel while the whole photo is shown."""
    box = page.locator("#mask").bounding_box()
    assert box
    scale = min(box["width"] / size[0], box["height"] / size[1])
    left, top = (box["width"] - size[0] * scale) / 2, (box["height"] - size[1] * scale) / 2
    return box["x"] + left + x * scale, box["y"] + top + y * scale


def drag(
    page: Page, *places: tuple[float, float], size: tuple[int, int] = SIZE, button: str = "left"
) -> None:
    """Press at the first photo pixel, go through the others, release."""
    page.mouse.move(*at(page, *places[0], size))
    page.mouse.down(button=button)  # type: ignore[arg-type]
    for place in places[1:]:
        page.mouse.move(*at(page, *place, size), steps=6)
    page.mouse.up(button=button)  # type: ignore[arg-type]


def answers(page: Page, count: int) -> None:
    """Wait until the segmenter's reply number `count` is on screen."""
    expect(page.locator("#mask")).to_have_attribute("data-answers", str(count), timeout=30_000)


def submitted(page: Page) -> Assignment:
    """The answer of the page, once it has arrived."""
    for _ in range(150):
        row = Assignment.objects.filter(stage="select", state="submitted").first()
        if row:
            return row
        page.wait_for_timeout(100)
    raise AssertionError(f"no answer arrived; {page.url} says: {page.locator('body').inner_text()}")


def stored(page: Page, size: tuple[int, int] = SIZE) -> np.ndarray:
    """(H, W) bool of the polygons that the page stores."""
    page.keyboard.press("Control+Enter")
    row = submitted(page)
    assert row.draft
    return rasterise_polygons(row.draft["polygons"], size)


def iou(first: np.ndarray, second: np.ndarray) -> float:
    return float((first & second).sum() / max((first | second).sum(), 1))


def photographed(batch: Batch, path: Path) -> tuple[TargetObject, np.ndarray]:
    """A real photo in the batch, waiting for its mask, and the given mask."""
    rgb = load_image(path.read_bytes()).rgb
    truth = np.asarray(Picture.open(next(path.parent.glob(f"{path.stem}.mask_*.png"))).convert("L")) > 127
    picture = desk.png(rgb)
    image, _ = catalog.store_image(
        original=picture, media_type=catalog.PNG, display=picture, display_type=catalog.PNG,
        size=(rgb.shape[1], rgb.shape[0]), name=path.stem,
    )  # fmt: skip
    target = TargetObject.objects.create(image=image, name=path.stem)
    enqueue(batch, [target])
    return target, truth


def middle(region: np.ndarray) -> tuple[float, float]:
    """x, y of the pixel farthest inside a region (H, W) bool."""
    depth = ndimage.distance_transform_edt(np.pad(region, 1))[1:-1, 1:-1]
    y, x = np.unravel_index(int(depth.argmax()), depth.shape)
    return float(x) + 0.5, float(y) + 0.5


class Replies:
    """The segmenter's outlines as the page receives them."""

    def __init__(self, page: Page) -> None:
        self.polygons: list[Any] = []
        self.seconds: list[float] = []
        page.on("response", self.keep)

    def keep(self, response: Any) -> None:
        if "/jobs/" not in response.url or not response.ok:
            return
        result = response.json().get("result") or {}
        if result.get("polygons"):
            self.polygons = result["polygons"]
            self.seconds.append(result["seconds"])


# Notes the milliseconds from the release of the button to the frame that shows the outline.
STOPWATCH = """() => {
  window.waits = [];
  const canvas = document.querySelector("#mask");
  let since = 0;
  canvas.addEventListener("pointerup", () => (since = performance.now()), true);
  new MutationObserver(() => requestAnimationFrame(() => setTimeout(() => window.waits.push(performance.now() - since))))
    .observe(canvas, { attributeFilter: ["data-answers"] });
}"""


def test_a_real_photo_is_outlined_by_clicks_and_stored(
    people: SimpleNamespace, test_data: Path, worker: None, sign_in: SignIn
) -> None:
    target, truth = photographed(
        catalog.create_batch(name="real"), test_data / "dev/images/davis_blackswan_00000.jpg"
    )
    size = (truth.shape[1], truth.shape[0])
    page = opened(sign_in("ada"), "/select/")
    replies = Replies(page)
    page.evaluate(STOPWATCH)
    wrong, overlaps = truth, []
    for number in range(1, 5):
        x, y = middle(wrong)
        page.mouse.click(*at(page, x, y, size), button="left" if truth[int(y), int(x)] else "right")
        answers(page, number)
        found = rasterise_polygons(replies.polygons, size)
        overlaps.append(iou(found, truth))
        missed, extra = truth & ~found, found & ~truth
        wrong = missed if missed.sum() > extra.sum() else extra
        if number == 1:
            shoot(page, "first_click")
    shoot(page, "four_clicks")
    waits = sorted(page.evaluate("window.waits"))
    print(
        f"click to outline: median {statistics.median(waits):.0f} ms, most {waits[-1]:.0f} ms; at work {replies.seconds} s; IoU {overlaps}"
    )
    mask = stored(page, size)
    for _ in range(100):
        target.refresh_from_db()
        if target.mask_id:
            break
        page.wait_for_timeout(200)
    kept = np.asarray(Picture.open(io.BytesIO(storage.read(target.mask_id)))) > 127
    assert iou(kept, mask) > 0.999 and iou(kept, truth) > 0.8 and iou(kept, truth) > overlaps[0] - 0.02


def test_a_box_outlines_what_is_in_it_and_a_right_click_corrects(
    drawn: Batch, worker: None, sign_in: SignIn
) -> None:
    page = opened(sign_in("ada"), "/select/")
    page.mouse.click(*at(page, 160, 120), button="right")
    expect(page.locator("#toasts")).to_contain_text("First click on the object")
    drag(page, (78, 38), (242, 202))
    answers(page, 1)
    page.mouse.click(*at(page, 20, 20), button="right")
    answers(page, 2)
    shoot(page, "box")
    page.keyboard.press("z")
    page.keyboard.press("y")
    assert iou(stored(page), BALL) > 0.9


def test_brush_eraser_and_polygons_make_the_mask_they_show(drawn: Batch, sign_in: SignIn) -> None:
    page = opened(sign_in("ada"), "/select/")
    wanted = np.zeros((desk.HEIGHT, desk.WIDTH), bool)
    for key, corners in (("p", (100, 60, 220, 180)), ("c", (150, 100, 180, 130))):
        x0, y0, x1, y1 = corners
        page.keyboard.press(key)
        for corner in ((x0, y0), (x1, y0), (x1, y1), (x0, y1)):
            page.mouse.click(*at(page, *corner))
        page.keyboard.press("Enter")
        wanted[y0:y1, x0:x1] = key == "p"
    page.keyboard.press("b")
    drag(page, (40, 30), (80, 30))
    page.keyboard.press("e")
    drag(page, (100, 170), (220, 170))
    shoot(page, "by_hand")
    radius = 12 / (at(page, 1, 0)[0] - at(page, 0, 0)[0])
    y, x = np.mgrid[: desk.HEIGHT, : desk.WIDTH] + 0.5
    wanted |= np.hypot(x - x.clip(40, 80), y - 30) <= radius
    wanted &= ~(np.hypot(x - x.clip(100, 220), y - 170) <= radius)
    assert iou(stored(page), wanted) > 0.98


def test_all_edits_are_undone_and_done_again(drawn: Batch, sign_in: SignIn) -> None:
    page = opened(sign_in("ada"), "/select/")
    page.keyboard.press("b")
    for x in (60, 120, 180):
        drag(page, (x, 100), (x + 20, 100))
    page.get_by_role("button", name="Clear").click()
    for key in ("z", "z", "z", "z"):
        page.keyboard.press(key)
    expect(page.locator("#submit")).to_be_disabled()
    for key in ("y", "y"):
        page.keyboard.press(key)
    mask = stored(page)
    assert mask[100, 70] and mask[100, 130] and not mask[100, 190]


def test_what_is_drawn_zoomed_in_lies_at_its_pixels(drawn: Batch, sign_in: SignIn) -> None:
    page = opened(sign_in("ada"), "/select/")
    x, y = at(page, 200, 80)
    page.mouse.move(x, y)
    before = page.locator("#photo").screenshot()
    for _ in range(3):
        page.mouse.wheel(0, -400)
    page.mouse.move(x, y)
    page.keyboard.down("Space")
    page.mouse.down()
    page.mouse.move(x - 60, y + 40, steps=4)
    page.mouse.up()
    page.keyboard.up("Space")
    page.keyboard.press("b")
    page.mouse.click(x - 60, y + 40)
    shoot(page, "zoomed")
    assert page.locator("#photo").screenshot() != before
    page.keyboard.press("0")
    expect(page.get_by_role("button", name="Undo")).to_be_enabled()
    rows, columns = np.nonzero(stored(page))
    assert abs(columns.mean() + 0.5 - 200) < 1 and abs(rows.mean() + 0.5 - 80) < 1 and 0 < len(rows) < 60


def test_holes_are_filled_and_specks_dropped_on_request(drawn: Batch, sign_in: SignIn) -> None:
    page = opened(sign_in("ada"), "/select/")
    page.keyboard.press("b")
    drag(page, (60, 60), (140, 60), (140, 140), (60, 140), (60, 60))
    page.keyboard.press("[")
    page.keyboard.press("[")
    page.mouse.click(*at(page, 280, 200))
    page.keyboard.press("h")
    page.keyboard.press("k")
    mask = stored(page)
    assert mask[100, 100] and not mask[200, 280]


def test_an_imported_mask_is_confirmed_with_a_category_of_the_taxonomy(
    checked: Batch, sign_in: SignIn
) -> None:
    page = opened(sign_in("ada"), "/select/")
    box = page.locator("#category")
    box.fill("teapot")
    page.keyboard.press("Control+Enter")
    expect(page.locator("#category-problem")).to_contain_text("not in the taxonomy")
    box.fill("")
    box.press_sequentially("ball")
    expect(page.locator("#categories li")).to_have_text(["ball", "football"])
    shoot(page, "imported")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(box).to_have_value("football")
    page.get_by_role("button", name="Confirm the mask").click()
    assert submitted(page).draft == {"polygons": None, "category": "football"}


def test_a_category_outside_the_taxonomy_is_said_to_be(checked: Batch, sign_in: SignIn) -> None:
    page = opened(sign_in("ada"), "/select/")
    page.fill("#category", "teapot")
    page.get_by_label("Not in the taxonomy").check()
    page.get_by_role("button", name="Confirm the mask").click()
    draft = submitted(page).draft
    assert draft and draft["category"] == "teapot"


def test_an_imported_mask_is_rejected_with_a_reason(checked: Batch, sign_in: SignIn) -> None:
    page = opened(sign_in("ada"), "/select/")
    page.keyboard.press("r")
    shoot(page, "reject")
    page.get_by_role("button", name="several objects").click()
    assert submitted(page).reason == "several objects"
    assert (Task.objects.get().state, Task.objects.get().reason) == ("cancelled", "several objects")


def test_an_imported_mask_is_mended_by_the_same_tools(checked: Batch, sign_in: SignIn) -> None:
    page = opened(sign_in("ada"), "/select/")
    page.keyboard.press("e")
    drag(page, (160, 40), (160, 200))
    page.fill("#category", "ball")
    mask = stored(page)
    assert not mask[120, 160] and mask[120, 120] and mask[120, 200]


def test_a_salient_object_outside_the_taxonomy_is_flagged_at_its_place(
    checked: Batch, sign_in: SignIn
) -> None:
    page = opened(sign_in("ada"), "/select/")
    page.keyboard.press("t")
    page.mouse.click(*at(page, 40, 200))
    page.fill("dialog [name=note]", "umbrella")
    page.get_by_role("button", name="Flag it").click()
    expect(page.locator("#toasts")).to_contain_text("Flagged")
    shoot(page, "flagged")
    row = Problem.objects.get()
    assert (row.kind, row.note, row.stage) == ("outside_taxonomy", "umbrella", "select")
    assert np.hypot(row.place[0] - 40, row.place[1] - 200) < 1.5


def test_the_keyboard_alone_draws(drawn: Batch, sign_in: SignIn) -> None:
    page = opened(sign_in("ada"), "/select/")
    page.keyboard.press("b")
    for key in ("ArrowRight", "ArrowLeft", "a"):
        page.keyboard.press(key)
    assert stored(page)[desk.HEIGHT // 2, desk.WIDTH // 2]


def test_a_draft_is_there_again_after_a_reload(checked: Batch, sign_in: SignIn) -> None:
    page = opened(sign_in("ada"), "/select/")
    page.keyboard.press("b")
    drag(page, (30, 30), (60, 30))
    page.fill("#category", "cup")
    with page.expect_response(lambda reply: reply.url.endswith("/draft/")):
        pass
    opened(page, page.url)
    expect(page.locator("#category")).to_have_value("cup")
    mask = stored(page)
    assert mask[30, 45] and iou(mask & BALL, BALL) > 0.98


def test_one_finger_draws_and_two_fingers_zoom(drawn: Batch, sign_in: SignIn) -> None:
    page = opened(sign_in("ada"), "/select/")
    page.set_viewport_size({"width": 390, "height": 844})
    page.wait_for_timeout(300)
    page.keyboard.press("b")
    touch = page.context.new_cdp_session(page)

    def send(kind: str, *places: tuple[float, float]) -> None:
        points = [{"x": x, "y": y, "id": number} for number, (x, y) in enumerate(places)]
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    (x, y), (u, v) = at(page, 100, 120), at(page, 200, 120)
    send("touchStart", (x, y))
    send("touchMove", ((x + u) / 2, y))
    send("touchMove", (u, v))
    send("touchEnd")
    before = page.locator("#photo").screenshot()
    send("touchStart", (x, y))
    send("touchStart", (x, y), (u, v))
    send("touchMove", (x - 40, y), (u + 40, v))
    send("touchEnd")
    page.wait_for_timeout(300)
    shoot(page, "touch")
    assert page.locator("#photo").screenshot() != before
    page.keyboard.press("0")
    mask = stored(page)
    assert mask[120, 110] and mask[120, 190] and not mask[120, 230] and not mask[20].any()


def test_an_admin_sets_the_taxonomy_and_has_masks_checked(people: SimpleNamespace, sign_in: SignIn) -> None:
    page = sign_in("leo")
    page.goto("/batches/")
    page.locator("#new summary").click()
    page.fill("[name=name]", "mugs")
    page.get_by_label("Imported masks are checked first").check()
    page.fill("[name=taxonomy]", "cup\n\n bowl \ncup")
    page.get_by_role("button", name="Make the batch").click()
    page.wait_for_url("**/batches/*/")
    made = Batch.objects.get()
    assert (made.checks_masks, made.taxonomy) == (True, ["cup", "bowl"])
    page.get_by_text("Settings", exact=True).click()
    page.fill("[name=taxonomy]", "mug")
    page.get_by_label("Imported masks are checked first").uncheck()
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#toasts")).to_contain_text("Changed")
    made.refresh_from_db()
    assert (made.checks_masks, made.taxonomy) == (False, ["mug"])


FRAMES = """() => {
  window.frames_ms = [];
  document.querySelector("#mask").addEventListener("pointermove", () => {
    const since = performance.now();
    requestAnimationFrame(() => setTimeout(() => window.frames_ms.push(performance.now() - since)));
  }, true);
}"""


def test_a_photo_of_twelve_megapixels_is_painted_on_without_lag(
    people: SimpleNamespace, sign_in: SignIn
) -> None:
    size = (4000, 3000)
    shades = np.linspace(0, 255, size[0], dtype=np.uint8)
    picture = desk.png(np.broadcast_to(shades[None, :, None], (size[1], size[0], 3)).copy())
    image, _ = catalog.store_image(
        original=picture,
        media_type=catalog.PNG,
        display=picture,
        display_type=catalog.PNG,
        size=size,
        name="large",
    )
    enqueue(catalog.create_batch(name="large"), [TargetObject.objects.create(image=image, name="large")])
    page = opened(sign_in("ada"), "/select/")
    page.keyboard.press("b")
    page.evaluate(FRAMES)
    drag(page, (1000, 1000), (1500, 2000), (2500, 1200), (3000, 2400), size=size)
    waits = sorted(page.evaluate("window.frames_ms"))
    print(f"stroke on 12 MP: median {statistics.median(waits):.0f} ms to the frame, most {waits[-1]:.0f} ms")
    assert statistics.median(waits) < 150
    mask = stored(page, size)
    assert mask[1500, 1250] and mask[2398, 2998] and mask.mean() < 0.1
