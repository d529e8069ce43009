"""What the tests of the shared parts of the pages use: work pages with an object on screen, pictures, axe."""

import os
import re
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, expect

from tests.processes import PROJECT

PICTURES = Path(os.environ.get("MAQUETTE_SCREENSHOTS") or PROJECT / "var" / "screenshots")
AXE = PROJECT / "node_modules" / "axe-core" / "axe.min.js"


def opened(page: Page, path: str) -> Page:
    """The work page, with its object on screen."""
    page.goto(path)
    page.wait_for_selector("#veil[hidden]", state="attached")
    return page


FETCHED = "() => performance.getEntriesByType('resource').filter((e) => /(model.glb|mask.png)$/.test(e.name) && e.responseEnd).length === 8"


def ahead(page: Page) -> Page:
    """The page once it has all of two objects, three meshes and a mask each: no request of its own is still to come."""
    page.wait_for_function(FETCHED)
    return page


def count(page: Page, text: str) -> None:
    """Wait until the page says how far the bracket is."""
    expect(page.locator("#count")).to_have_text(re.compile(text))


def picture(page: Page, name: str) -> None:
    """Keep a picture of the page."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=PICTURES / f"{name}.png")


def faults(page: Page) -> list[tuple[str, Any]]:
    """Serious and critical findings of axe: rule and the elements at fault."""
    page.evaluate(AXE.read_text())
    found = page.evaluate("axe.run({ resultTypes: ['violations'] })")
    return [
        (each["id"], [node["html"][:120] for node in each["nodes"]][:3])
        for each in found["violations"]
        if each["impact"] in {"serious", "critical"}
    ]
