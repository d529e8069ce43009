"""Releases in the browser: what fits together is offered, lineage is shown, and an admin takes a photo out."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from backend import storage
from backend.catalog.models import Batch, Image
from backend.datasets import services
from backend.datasets.models import Build, Release
from tests.annotator_ui import desk
from tests.backend.datasets.rows import PLAIN, World

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.browser, pytest.mark.usefixtures("left")]


def sealed(kind: str, batch: Batch, place: str = "", **options: Any) -> Release:
    """A frozen release with every current row of the batch that its bases do not hold; in a place of its own if given."""
    services.collect([batch])
    made = services.begin(kind=kind, batches=[batch], **options)
    if not made.base:
        (made.samples if kind == "sft" else made.pairs).set(
            (batch.samples if kind == "sft" else batch.pairs).all()
        )
    manifest = storage.put(f"manifest of {made.pk}".encode(), "application/json")
    counts = {"rows": 1200, "train": 1080, "validation": 120, "people": 1200}
    if made.base:
        counts |= {"removed: image removed": 3, "removed: answers changed": 12}
    return services.freeze(
        made,
        manifest=manifest,
        rows=1200,
        counts=counts,
        location=place,
        files=[] if place else [("manifest.json", manifest)],
    )


@pytest.fixture
def world(people: SimpleNamespace) -> SimpleNamespace:
    """A batch of each collection, two releases that build on each other and a textured one."""
    shape, coats = World(), World({"name": "coats", "judges": "texture"})
    shape.bracket(shape.target(), PLAIN, winner=0)
    coats.count = 50
    coats.bracket(coats.target(), PLAIN, winner=0)
    first = sealed("dpo", shape.batch)
    second = sealed("dpo", shape.batch, base=first, aesthetic=True)
    return SimpleNamespace(
        first=first,
        second=second,
        textured=sealed("sft", coats.batch, "/data/coats"),
        shape=shape,
        coats=coats,
    )


def test_the_form_offers_what_fits_and_builds_on_a_release(
    world: SimpleNamespace, sign_in: Callable[[str], Page]
) -> None:
    Image.objects.filter(targets__pairs__releases=world.first).update(removed_at="2026-11-20T00:00Z")
    for state, told in (
        ("done", {"counts": {"rows": 24, "shapes": 1, "refused": 3}}),
        ("failed", {"error": "disk full"}),
    ):
        Build.objects.create(
            variant="iso3do", source="library", out=f"/data/{state}", state=state, shards=2, **told
        )
    page = sign_in("res")
    page.goto("/releases/")
    expect(page.locator("#builds tbody tr", has_text="/data/done")).to_contain_text("24")
    expect(page.locator("#builds tbody tr", has_text="/data/failed")).to_contain_text("disk full")
    row = page.locator("#list tbody tr", has_text=f"dpo {world.first.pk}")
    expect(row).to_contain_text("holds removed photos: 1")
    expect(row).to_contain_text("1,080 / 120")
    page.get_by_role("button", name=f"dpo {world.second.pk}", exact=True).click()
    expect(page.locator("#one")).to_contain_text("of high aesthetics only")
    page.locator("#one").get_by_role("button", name=f"dpo {world.first.pk} (1,200 rows)").click()
    expect(page.locator("#one")).to_contain_text("Built on by")
    expect(page.locator("#one")).to_contain_text("This release holds removed photos: 1.")
    expect(page.locator("#one")).to_contain_text("manifest.json")
    page.get_by_role("button", name=f"sft {world.textured.pk}", exact=True).click()
    expect(page.locator("#one")).to_contain_text("Its files lie in the place that the command wrote them to:")
    expect(page.locator("#one")).to_contain_text("/data/coats/index/part-*.parquet")
    expect(page.locator("#one")).not_to_contain_text("Nothing here yet.")
    page.locator("#new summary").click()
    form = page.locator("#create")
    expect(form.get_by_label("street")).to_be_visible()
    expect(form.get_by_label("coats")).to_be_hidden()
    expect(form.get_by_label("Reject only what our own models made")).to_be_hidden()
    form.get_by_label("Collection").select_option("texture")
    expect(form.get_by_label("coats")).to_be_visible()
    expect(form.get_by_label("Build on").locator("option")).to_have_count(2)
    form.get_by_label("Collection").select_option("shape")
    form.get_by_label("Kind").select_option("dpo")
    form.get_by_label("Build on").select_option(str(world.second.pk))
    form.get_by_label("Reject only what our own models made").uncheck()
    with page.expect_response(lambda reply: reply.url.endswith("/releases/") and reply.request.method == "POST") as sent:  # fmt: skip
        form.get_by_role("button", name="Freeze").click()
    assert sent.value.status == 202
    made = Release.objects.latest("id")
    assert (made.kind, made.base, made.own_negatives, made.collection) == (
        "dpo",
        world.second,
        False,
        "shape",
    )


def test_an_admin_takes_a_photo_out(people: SimpleNamespace, sign_in: Callable[[str], Page]) -> None:
    batch = desk.make_batch()
    page = sign_in("leo")
    page.goto(f"/batches/{batch.pk}/")
    page.get_by_role("button", name="Remove photo").first.click()
    dialog = page.locator("dialog[open]")
    dialog.get_by_label("Reason").fill("asked by the owner")
    dialog.get_by_label("Also delete its bytes").check()
    dialog.get_by_role("button", name="Remove photo").click()
    expect(page.locator("dialog[open]")).to_contain_text("No release holds it.")
    page.get_by_role("button", name="Close").click()
    expect(page.locator("#objects")).to_contain_text("photo removed on request")
    gone = Image.objects.exclude(removed_at=None).get()
    assert (gone.removed_reason, gone.removed_by) == ("asked by the owner", people.leo)
    assert set(gone.targets.get().tasks.values_list("state", flat=True)) == {"cancelled"}
