"""Take the README's pictures from a running demo: python -m deploy.screenshots [--url URL] [NAME ...]

Works as the demo's own people, in a real Chromium, once the demo data is complete. Pages of work show real work: ada
does her practice and rates one object, the artist sends one mesh, a release is frozen; the rest is only looked at.
"""

import argparse
import io
import json
import sys
import time
import urllib.error
import urllib.request
import uuid
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import Browser, Error, FilePayload, Page, sync_playwright

from deploy import embedded

PROJECT = Path(__file__).resolve().parent.parent
CHROMIUM = "/usr/bin/chromium"
FLAGS = ["--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--no-sandbox", "--disable-dev-shm-usage"]
DESK = "#veil[hidden]"
CHECKED = 120_000  # ms for a mesh report on a busy machine


class Flower:
    """The photo that is outlined: its size, and x0, y0, x1, y1 around the object, in pixels."""

    width, height, box = 640, 427, (161, 78, 452, 366)


class Refused(RuntimeError):
    """The demo said no, or is not there; the message tells why."""


class Person:
    """Somebody of the demo, by HTTP."""

    def __init__(self, url: str, name: str, password: str) -> None:
        self.url, self.name, self.password, self.token = url, name, password, ""
        self.token = self.call("POST", "token/", {"username": name, "password": password})["token"]

    def call(self, method: str, path: str, body: Any = None, raw: tuple[bytes, str] | None = None) -> Any:
        """Parsed answer of one API request, None for an empty one."""
        data, kind = raw or (None if body is None else json.dumps(body).encode(), "application/json")
        request = urllib.request.Request(
            f"{self.url}/api/v1/{path}", data, {"Content-Type": kind}, method=method
        )
        if self.token:
            request.add_header("Authorization", f"Bearer {self.token}")
        try:
            with urllib.request.urlopen(request, timeout=60) as reply:
                content = reply.read()
        except urllib.error.HTTPError as failure:
            raise Refused(f"{method} {path}: {failure.code} {failure.read()[:300].decode()}") from None
        except OSError as failure:
            raise Refused(f"{self.url} does not answer ({failure}): start the demo with make demo") from None
        if not content or reply.headers.get_content_type() != "application/json":
            return content or None
        return json.loads(content)

    def answer(self, work: dict[str, Any], verb: str, **body: Any) -> Any:
        """One answer to an assignment."""
        body = {"fence": work["fence"], "key": str(uuid.uuid4()), "active_ms": 4000, **body}
        return self.call("POST", f"assignments/{work['id']}/{verb}/", body)

    def claim(self, stage: str, batch: int, category: str = "") -> dict[str, Any]:
        """The next work of a stage in a batch; up to three objects before one of the category are put aside."""
        for left in (3, 2, 1, 0):
            work = self.call("POST", "next/", {"stage": stage, "batch": batch})
            if work is None:
                raise Refused(f"nothing to {stage} is left: make demo-reset")
            if category in ("", work["object"]["category"]) or not left:
                break
            self.call("POST", f"assignments/{work['id']}/postpone/", {"fence": work["fence"], "reason": "after lunch"})
        return dict(work)

    def wait(self, job: dict[str, Any], seconds: float = 180) -> None:
        """Until a job has ended well."""
        stop = time.monotonic() + seconds
        while job["state"] in {"queued", "running"} and time.monotonic() < stop:
            time.sleep(0.5)
            job = self.call("GET", f"jobs/{job['id']}/")
        if job["state"] != "done":
            raise Refused(f"{job['kind']} is {job['state']}: {job['error'] or job['message']}")


@dataclass
class Studio:
    """The demo with its people (by name) and batches (by name without the prefix), and how pictures are taken."""

    browser: Browser
    url: str
    people: dict[str, Person]
    batches: dict[str, dict[str, Any]]
    out: Path
    size: tuple[int, int]
    scheme: Any
    missing: list[str] = field(default_factory=list)

    @contextmanager
    def page(self, name: str, address: str) -> Iterator[Page]:
        """The page as one of the people sees it."""
        width, height = self.size
        context = self.browser.new_context(
            base_url=self.url, viewport={"width": width, "height": height}, color_scheme=self.scheme, has_touch=width < 800
        )  # fmt: skip
        page = context.new_page()
        try:
            page.goto(f"/login/?next={address}")
            page.fill("input[name=username]", name)
            page.fill("input[name=password]", self.people[name].password)
            page.click("button[type=submit]")
            page.wait_for_url(lambda found: "/login/" not in found)
            yield page
            # Leaving a page of work gives its lease back; the next picture is of another stage.
            page.goto("about:blank")
            page.wait_for_timeout(500)
        finally:
            context.close()

    def take(
        self, name: str, who: str, address: str, needed: str, *,
        act: Callable[[Page], Any] = lambda page: None, then: Callable[[Page], Any] = lambda page: None,
        instructions: bool = False,
    ) -> None:  # fmt: skip
        """One picture, once `needed` is on the page and `act` has been done; `then` comes after. Failures go to `missing`."""
        try:
            with self.page(who, address) as page:
                page.wait_for_selector(needed, state="attached", timeout=60_000)
                page.wait_for_timeout(1500)
                if not instructions and page.locator("#drawer").is_visible():
                    page.locator("#drawer button").first.click()
                act(page)
                page.wait_for_timeout(2500)
                path = self.out / f"{name}.webp"
                Image.open(io.BytesIO(page.screenshot())).convert("RGB").save(path, quality=88, method=6)
                print(f"{path} {path.stat().st_size / 1000:.0f} kB")
                then(page)
        except Error as failure:
            self.missing.append(f"{name} ({str(failure).splitlines()[0]})")


def main(arguments: list[str]) -> int:
    """0 when every picture was taken, 1 when a page had nothing to show or the demo is not there."""
    parser = argparse.ArgumentParser(prog="python -m deploy.screenshots", description=__doc__)
    parser.add_argument("names", nargs="*", help=f"which pictures; all without a name: {', '.join(PICTURES)}")
    parser.add_argument("--url", default="http://127.0.0.1:8000", help="address of the running demo")
    parser.add_argument("--logins", type=Path, default=embedded.home() / "logins.json", help="the demo's logins")
    parser.add_argument("--out", type=Path, default=PROJECT / "deploy" / "screenshots", help="folder of the pictures")
    parser.add_argument("--size", default="1400x900", help="of the window, 390x844 for a telephone")
    parser.add_argument("--scheme", choices=("light", "dark"), default="light", help="what the system prefers")
    options = parser.parse_args(arguments)
    width, _, height = options.size.partition("x")
    if not (width.isdigit() and height.isdigit()) or set(options.names) - set(PICTURES):
        parser.error("--size is WIDTHxHEIGHT, and a name is one of the listed ones")
    options.out.mkdir(parents=True, exist_ok=True)
    missing: list[str] = []
    try:
        people = log_in(options.url, options.logins)
        batches = {row["name"].removeprefix("demo").strip("-"): row for row in people["leo"].call("GET", "batches/?limit=200")["results"]}
        with sync_playwright() as driver:
            browser = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
            studio = Studio(
                browser, options.url, people, batches, options.out, (int(width), int(height)), options.scheme
            )
            for name in options.names or PICTURES:
                PICTURES[name](studio)
            missing = studio.missing
            browser.close()
    except (Refused, Error, OSError) as failure:
        print(f"Error: {str(failure).splitlines()[0]}", file=sys.stderr)
        return 1
    except KeyError as failure:
        print(f"Error: the demo has no {failure}: wait until its data is complete", file=sys.stderr)
        return 1
    for line in missing:
        print(f"not taken: {line}", file=sys.stderr)
    return 1 if missing else 0


def log_in(url: str, logins: Path) -> dict[str, Person]:
    """The demo's people by name."""
    if not logins.is_file():
        raise Refused(f"{logins} is missing: start the demo with make demo, or name the file with --logins")
    rows = json.loads(logins.read_text())
    return {row["username"]: Person(url, row["username"], row["password"]) for row in rows}


def practice(studio: Studio) -> None:
    """The first object with its answer; the others are answered too, since they come before real work."""
    studio.take("practice", "ada", "/practice/", DESK, act=lambda page: page.keyboard.press("1"))
    practise(studio.people["ada"])


def practise(ada: Person) -> None:
    """Answer what is left of the practice."""
    for item in ada.call("GET", "practice/")["items"]:
        if not item["given"]:
            ada.call("POST", f"practice/{item['id']}/", {"key": str(uuid.uuid4()), "answer": "left", "active_ms": 4000})


def work(studio: Studio, name: str, stage: str, batch: str, category: str = "", **how: Any) -> None:
    """A page of work with an object of the batch."""
    ada = studio.people["ada"]
    practise(ada)
    found = ada.claim(stage, studio.batches[batch]["id"], category)
    studio.take(name, "ada", f"/{stage}/?assignment={found['id']}", DESK, **how)


def outline(page: Page) -> None:
    """A box around the flower of the first photo, which outlines it, and its category."""
    frame = page.locator("#mask").bounding_box() or {"x": 0, "y": 0, "width": 0, "height": 0}
    scale = min(frame["width"] / Flower.width, frame["height"] / Flower.height)
    left = frame["x"] + (frame["width"] - scale * Flower.width) / 2
    top = frame["y"] + (frame["height"] - scale * Flower.height) / 2
    x0, y0, x1, y1 = Flower.box
    page.mouse.move(left + scale * x0, top + scale * y0)
    page.mouse.down()
    page.mouse.move(left + scale * x1, top + scale * y1, steps=4)
    page.mouse.up()
    page.locator("#category").fill("flower")
    page.keyboard.press("Tab")


def store(page: Page) -> None:
    """Store the alignment, so that there is one of a person to review and to release."""
    page.keyboard.press("Control+Enter")
    page.get_by_text("Alignment stored.").wait_for(timeout=30_000)


def rating(studio: Studio) -> None:
    """The scale with its examples, once a bracket is played; its object is rated afterwards."""
    ada, batch = studio.people["ada"], studio.batches[""]["id"]
    practise(ada)
    found = ada.claim("compare", batch)
    state = found["compare"]
    while state["step"]:
        state = ada.answer(found, "comparisons", seq=state["step"]["seq"], answer="left")["assignment"]["compare"]
    studio.take("rating", "ada", f"/compare/?assignment={found['id']}", DESK, act=lambda page: page.keyboard.press("3"))
    found = ada.claim("compare", batch)
    if found["compare"]["survivor"]:
        ada.answer(found, "rating", r=0.5)


def art_case(studio: Studio) -> None:
    """A case in the artist's hands, with a first version and its report."""
    art = studio.people["art"]
    cases = art.call("GET", "art/tasks/")["results"]
    if not cases:
        raise Refused("no case waits for an artist: wait until the demo data is complete")
    found = art.call("POST", "next/", {"stage": "art", "task": cases[0]["id"]})
    address = f"/art/?assignment={found['id']}"
    studio.take("art", "art", address, "#work h2", act=lambda page: send(page, art, found))
    studio.take("report", "art", address, ".versions .finding", act=lambda page: scroll(page, ".versions"))


def scroll(page: Page, place: str) -> None:
    """Bring a part of the page to its top."""
    page.locator(place).evaluate("element => element.scrollIntoView()")


def send(page: Page, art: Person, found: dict[str, Any]) -> None:
    """Send the starter's own mesh as a first version, unless there is one."""
    if not page.locator(".versions .finding").count():
        starter = zipfile.ZipFile(io.BytesIO(art.call("GET", f"objects/{found['object']['id']}/starter.zip")))
        name = next(name for name in starter.namelist() if name.endswith(".glb"))
        file = FilePayload(name="first_version.glb", mimeType="model/gltf-binary", buffer=starter.read(name))
        page.locator("#mesh-file").set_input_files(file)
    page.wait_for_selector(".versions .finding", timeout=CHECKED)


def releases(studio: Studio) -> None:
    """A frozen release, opened."""
    res = studio.people["res"]
    if not any(row["state"] == "frozen" for row in res.call("GET", "releases/")["results"]):
        rev = studio.people["rev"]
        waiting = [row for stage in ("compare", "align") for row in rev.call("GET", f"reviews/?stage={stage}")["results"]]
        for row in waiting:
            if row["user"] == "ada":
                rev.call("POST", f"reviews/{row['assignment_id']}/", {"verdict": "accept"})
        wish = {"kind": "sft", "batches": [studio.batches[""]["id"]], "include_fallback_layout": True}
        res.wait(res.call("POST", "releases/", wish)["job"])
    studio.take("releases", "res", "/releases/", "#list tbody tr", act=lambda page: page.locator("#list button").first.click())


PICTURES: dict[str, Callable[[Studio], None]] = {
    "practice": practice,
    "select": lambda studio: work(studio, "select", "select", "outline", act=outline),
    "compare": lambda studio: work(studio, "compare", "compare", "", "cup"),
    "instructions": lambda studio: work(studio, "instructions", "compare", "", instructions=True),
    "grid": lambda studio: work(studio, "grid", "compare", "grid"),
    "rating": rating,
    "align": lambda studio: work(studio, "align", "align", "", act=lambda page: page.keyboard.press("f"), then=store),
    "review": lambda studio: studio.take("review", "rev", "/review/", "#work canvas"),
    "review_ratings": lambda studio: studio.take("review_ratings", "rev", "/review/?tab=compare", "#work canvas"),
    "review_meshes": lambda studio: studio.take("review_meshes", "rev", "/review/?tab=submissions", "#list button"),
    "art": art_case,
    "next": lambda studio: studio.take("next", "ada", "/?stay", "#links li"),
    "progress": lambda studio: studio.take("progress", "leo", "/progress/", "#batches table"),
    "preferences": lambda studio: studio.take(
        "preferences", "ada", "/preferences/", "#tables summary", act=lambda page: page.locator("#tables summary").nth(2).click()
    ),
    "batches": lambda studio: studio.take("batches", "leo", "/batches/", "main table"),
    "batch": lambda studio: studio.take("batch", "leo", f"/batches/{studio.batches['']['id']}/", "#objects .tile"),
    "releases": releases,
    "models": lambda studio: studio.take("models", "res", "/models/", "#checkpoints tbody tr"),
}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
