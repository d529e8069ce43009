"""The artist's page and the artists' tab of the review, in real Chromium with a real worker: from a claim to an approval."""

import io
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import trimesh
from PIL import Image as Picture
from playwright.sync_api import Page, Route, expect

from backend import storage
from backend.annotation.models import Assignment, Task
from backend.art3do import services
from backend.art3do.models import ArtSubmission, Pin
from backend.catalog.models import TargetObject
from backend.models import Upload
from backend.uploads import PART_BYTES
from model_zoo.io.meshes import load_mesh
from tests.annotator_ui import aligning
from tests.annotator_ui.aligning import picture

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.browser, pytest.mark.usefixtures("left")]
SignIn = Callable[[str], Page]
CHECKED = 90_000  # ms for a check on a machine that is busy
PADDING = b"#" * 1023 + b"\n"


@pytest.fixture
def case(people: SimpleNamespace, tmp_path: Path) -> Task:
    """An object of a composed scene that no candidate could do, free to claim; people said why."""
    batch = aligning.scene_batch(tmp_path / "scene")
    batch.tasks.update(state="escalated", reason="occlusion", note="its foot is behind the box")
    made, _ = services.curate(batch, name="hard", by=people.leo)
    return made.tasks.get()


def true_mesh() -> trimesh.Trimesh:
    """The object's own mesh."""
    mesh = load_mesh(storage.read(TargetObject.objects.get(truth__isnull=False).truth.mesh.blob_id)).mesh
    return trimesh.Trimesh(mesh.vertices, mesh.faces, process=False)


def spoilt() -> trimesh.Trimesh:
    """It with three specks floating beside it and a tenth of its faces turned."""
    mesh = true_mesh()
    turned = np.array(mesh.faces)
    turned[: len(turned) // 10] = turned[: len(turned) // 10, ::-1]
    parts = [trimesh.Trimesh(mesh.vertices, turned, process=False)]
    for number in range(3):
        speck = trimesh.creation.icosphere(subdivisions=1, radius=0.002 * float(mesh.extents.max()))
        parts.append(speck.apply_translation(mesh.bounds[1] * 1.02 + [0, 0.02 * number, 0]))
    return trimesh.util.concatenate(parts)


def large_obj(folder: Path) -> Path:
    """The spoilt mesh as an OBJ that takes three parts."""
    path = folder / "vase.obj"
    text = spoilt().export(file_type="obj").encode()
    path.write_bytes(text + PADDING * ((2 * PART_BYTES + PART_BYTES // 2 - len(text)) // len(PADDING)))
    return path


def claimed(sign_in: SignIn) -> Page:
    """The artist's page with the case claimed and open."""
    page = sign_in("art")
    page.goto("/art/")
    page.get_by_role("button", name="Claim").click()
    expect(page.locator("#work h2")).to_be_visible()
    expect(page.locator("#list")).to_contain_text("In your hands")
    return page


def sent(page: Page, path: Path, version: int, state: str = "in review") -> None:
    """Send a file and wait for its report."""
    page.locator("#mesh-file").set_input_files(path)
    checked(page, version, state)


def checked(page: Page, version: int, state: str = "in review") -> None:
    tab = page.locator(f".versions [data-version='{version}']")
    expect(tab).to_contain_text(state, timeout=CHECKED)
    expect(tab).to_have_attribute("aria-pressed", "true")
    expect(page.locator(".versions .finding").first).to_be_visible()


def as_other(page: Page, sign_in: SignIn, name: str, path: str) -> Page:
    """The page, as another person sees it."""
    page.context.clear_cookies()
    sign_in(name)
    page.goto(path)
    return page


def settled(page: Page) -> None:
    """Wait for what is drawn on demand."""
    page.wait_for_load_state("networkidle")
    page.wait_for_timeout(600)


def test_a_case_shows_why_it_failed_and_what_to_start_from(
    case: Task, sign_in: SignIn, tmp_path: Path
) -> None:
    page = sign_in("art")
    page.goto("/art/")
    expect(page.locator("#list")).to_contain_text("Free to claim")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    work = page.locator("#work")
    expect(work).to_contain_text("What makes it hard: occlusion")
    expect(work).to_contain_text("its foot is behind the box")
    expect(work.locator(".thumbs .thumb")).to_have_count(2)
    expect(work).to_contain_text("Mask IoU 0.")
    work.locator(".thumbs .thumb").nth(1).click()
    expect(work.locator(".thumbs .thumb").nth(1)).to_have_attribute("aria-pressed", "true")
    for key in ("o", ".", ".", "/", "t", "t"):
        page.keyboard.press(key)
    settled(page)
    picture(page, "art-case")
    assert lit(page.locator("#work canvas").nth(2).screenshot()) > 0.02
    with page.expect_download() as download:
        page.keyboard.press("d")
    download.value.save_as(tmp_path / "starter.zip")
    with zipfile.ZipFile(tmp_path / "starter.zip") as archive:
        assert {"photo.jpg", "mask.png", "camera.json", "candidate.glb", "README.txt"} <= set(
            archive.namelist()
        )
    page.keyboard.press("?")
    page.get_by_role("dialog").locator("textarea").fill("the mask is of the box")
    page.get_by_role("dialog").get_by_role("button", name="Send").click()
    expect(page.locator("#toasts")).to_contain_text("Reported")
    assert aligning.findings(page) == []


def lit(data: bytes) -> float:
    """Share of the picture that is not background."""
    grey = np.asarray(Picture.open(io.BytesIO(data)).convert("L"))
    return float((np.abs(grey.astype(int) - int(np.median(grey))) > 24).mean())


def test_what_cannot_be_read_is_refused_at_once(case: Task, sign_in: SignIn, tmp_path: Path) -> None:
    page = claimed(sign_in)
    for name, data, words in (
        ("a.fbx", b"Kaydara FBX Binary  ", "export GLB"),
        ("a.blend", b"BLENDER", "Send GLB"),
    ):
        (tmp_path / name).write_bytes(data)
        page.locator("#mesh-file").set_input_files(tmp_path / name)
        expect(page.locator("#toasts")).to_contain_text(words)
    assert not Upload.objects.exists()


def test_an_upload_that_the_network_cut_off_goes_on_after_a_reload(
    case: Task, sign_in: SignIn, tmp_path: Path, worker: None
) -> None:
    page = claimed(sign_in)
    path = large_obj(tmp_path)
    put: list[str] = []

    def cut(route: Route) -> None:
        if re.search(r"/parts/1/$", route.request.url):
            route.continue_()
        else:
            route.abort("connectionreset")

    page.route("**/parts/*/", cut)
    page.locator("#mesh-file").set_input_files(path)
    expect(page.locator(".sending")).to_contain_text("the connection is lost")
    assert page.locator(".sending progress").evaluate("bar => bar.value") == pytest.approx(0.4, abs=0.02)
    picture(page, "art-upload-waiting")
    page.keyboard.press("p")
    expect(page.locator(".sending")).to_contain_text("paused")
    page.unroute("**/parts/*/")
    page.reload()
    expect(page.locator(".sending")).to_contain_text("vase.obj")
    expect(page.locator(".sending")).to_contain_text("Choose the same file again")
    page.locator(".send").screenshot(path=aligning.PICTURES / "art-upload-resume.png")
    page.on("request", lambda request: put.append(request.url) if "/parts/" in request.url else None)
    sent(page, path, 1)
    assert sorted(url.rstrip("/").split("/")[-1] for url in put) == ["2", "3"]
    upload = Upload.objects.get()
    assert upload.state == "stored" and ArtSubmission.objects.get().upload == upload
    assert storage.read(upload.blob) == path.read_bytes()


def test_from_the_first_version_to_the_approval(
    case: Task, sign_in: SignIn, tmp_path: Path, worker: None
) -> None:
    page = claimed(sign_in)
    first = tmp_path / "vase.glb"
    first.write_bytes(spoilt().export(file_type="glb"))
    sent(page, first, 1)
    _reads_the_report(page)
    _has_it_repaired(page)
    _reviewer_pins_and_returns(as_other(page, sign_in, "rev", "/review/?tab=submissions"))
    good = tmp_path / "better.glb"
    good.write_bytes(true_mesh().export(file_type="glb"))
    _artist_answers(as_other(page, sign_in, "art", "/art/"), good)
    _reviewer_approves(as_other(page, sign_in, "rev", "/review/?tab=submissions"))
    assert Assignment.objects.get(task=case).state == "submitted"
    assert list(ArtSubmission.objects.order_by("version").values_list("state", flat=True)) == [
        "returned", "returned", "approved",
    ]  # fmt: skip


def _reads_the_report(page: Page) -> None:
    """The first version has specks and turned faces: said in words, with pictures and places."""
    floaters = page.locator("[data-check=floaters]")
    expect(floaters).to_contain_text("3 tiny loose parts")
    expect(floaters).to_contain_text("Look at it")
    expect(page.locator("[data-check=inverted_normals]")).to_contain_text("look inwards")
    floaters.get_by_role("button", name="Show on the mesh").click()
    settled(page)
    page.locator(".versions").screenshot(path=aligning.PICTURES / "art-report.png")
    floaters.get_by_role("button", name="Enlarge").click()
    expect(page.get_by_role("dialog").locator("img")).to_be_visible()
    settled(page)
    picture(page, "art-report-picture")
    page.get_by_role("dialog").get_by_role("button", name="Close").click()
    assert aligning.findings(page) == []


def _has_it_repaired(page: Page) -> None:
    """The safe fixes make version 2, whose report has neither finding left."""
    for code in ("remove_floaters", "orient_normals"):
        page.locator(f"[name=fix][value={code}]").check()
    page.get_by_role("button", name="Fix these for me").click()
    checked(page, 2)
    page.locator("[data-version='1']").click()
    expect(page.locator(".about .note")).to_have_text("Replaced by version 2.")
    page.locator("[data-version='2']").click()
    expect(page.locator(".about")).to_contain_text("Repaired from version 1")
    page.get_by_text("Compare with another version").click()
    parts = page.locator(".other-version tr", has_text="Loose parts").locator("td")
    assert int(parts.nth(1).inner_text()) == int(parts.nth(2).inner_text()) + 3
    page.get_by_text("Checks that found nothing wrong").click()
    expect(page.locator(".finding.ok[data-check=floaters]")).to_be_visible()
    settled(page)
    page.locator(".versions").screenshot(path=aligning.PICTURES / "art-repaired.png")


def _reviewer_pins_and_returns(page: Page) -> None:
    expect(page.locator("#work")).to_contain_text("Mask IoU 0.")
    canvas = page.locator(".bench canvas")
    page.keyboard.press("p")
    canvas.scroll_into_view_if_needed()
    canvas.click()
    page.get_by_role("dialog").locator("textarea").fill("too thick here")
    page.get_by_role("dialog").get_by_role("button", name="Pin it").click()
    expect(page.locator(".markers .marker")).to_have_text("1")
    expect(page.locator(".remark.draft")).to_contain_text("not sent yet")
    page.reload()
    expect(page.locator(".markers .marker")).to_have_text("1")
    settled(page)
    picture(page, "review-art-top")
    page.locator("#work").screenshot(path=aligning.PICTURES / "review-art.png")
    assert aligning.findings(page) == []
    page.keyboard.press("r")
    expect(page.get_by_role("dialog")).to_contain_text("Pinned remarks that go with it: 1")
    page.get_by_role("dialog").locator("textarea").fill("make the wall thinner")
    page.get_by_role("dialog").get_by_role("button", name="Send back").click()
    expect(page.locator("#list")).to_contain_text("Nothing waits for review")
    pin = Pin.objects.get()
    mesh = true_mesh()
    assert pin.point and pin.by.username == "rev"
    assert abs(trimesh.proximity.signed_distance(mesh, [pin.point])[0]) < 0.02 * float(mesh.extents.max())


def _artist_answers(page: Page, path: Path) -> None:
    """What came back is on top with the reviewer's words; the pin is answered and another version sent."""
    expect(page.locator("#list section").first).to_contain_text("Sent back to you")
    page.locator("#list .case").click()
    expect(page.locator(".note.returned")).to_contain_text("make the wall thinner")
    expect(page.locator(".markers .marker")).to_have_text("1")
    thread = page.locator(".thread")
    expect(thread).to_contain_text("too thick here")
    thread.get_by_role("button", name="Answer").click()
    page.get_by_role("dialog").locator("textarea").fill("thinner in the next one")
    page.get_by_role("dialog").get_by_role("button", name="Pin it").click()
    expect(thread.locator(".remark")).to_have_count(2)
    settled(page)
    picture(page, "art-returned")
    page.locator(".versions").screenshot(path=aligning.PICTURES / "art-pins.png")
    sent(page, path, 3)
    page.set_viewport_size({"width": 360, "height": 800})
    settled(page)
    page.screenshot(path=aligning.PICTURES / "art-narrow.png", full_page=True)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    page.set_viewport_size({"width": 1400, "height": 900})


def _reviewer_approves(page: Page) -> None:
    expect(page.locator(".version[aria-pressed=true]")).to_contain_text("Version 3")
    page.locator("[data-version='2']").click()
    expect(page.locator(".remarks .remark")).to_have_count(2)
    page.keyboard.press("a")
    expect(page.locator("#list")).to_contain_text("Nothing waits for review")
