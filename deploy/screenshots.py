"""Take the README's pictures from a running demo: python -m deploy.screenshots [--url URL] [--look-only]

Works as the demo's own people, in a real Chromium. Pages of work need work: unless --look-only is given, one photo
without a mask is imported, one bracket is answered well and one badly, one mesh is aligned, and a release is frozen.
"""

import argparse
import io
import json
import sys
import time
import urllib.error
import urllib.request
import uuid
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import Browser, Error, Page, sync_playwright

from deploy import embedded

PROJECT = Path(__file__).resolve().parent.parent
CHROMIUM = "/usr/bin/chromium"
FLAGS = ["--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--no-sandbox", "--disable-dev-shm-usage"]
SIZE = (1280, 800)
# Picture, address, who looks, what must be on the page before the picture is taken.
PAGES = (
    ("next", "/", "leo", "#links li"),
    ("select", "/select/", "ada", "#veil[hidden]"),
    ("compare", "/compare/", "ada", "#veil[hidden]"),
    ("align", "/align/", "ada", "#veil[hidden]"),
    ("art", "/art/", "art", "#list tbody tr"),
    ("review", "/review/?batch={batch}", "rev", "#list tbody tr"),
    ("progress", "/progress/", "leo", "#batches table"),
    ("batches", "/batches/{batch}/", "leo", "#objects .tile"),
    ("releases", "/releases/", "res", "#list tbody tr"),
    ("models", "/models/", "res", "#checkpoints tbody tr"),
)
OPEN_FIRST = {"art": "#list button", "review": "#list button", "releases": "#list button"}


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

    def wait(self, job: dict[str, Any], seconds: float = 180) -> None:
        """Until a job has ended well."""
        stop = time.monotonic() + seconds
        while job["state"] in {"queued", "running"} and time.monotonic() < stop:
            time.sleep(0.5)
            job = self.call("GET", f"jobs/{job['id']}/")
        if job["state"] != "done":
            raise Refused(f"{job['kind']} is {job['state']}: {job['error'] or job['message']}")


def main(arguments: list[str]) -> int:
    """0 when every picture was taken, 1 when a page had nothing to show or the demo is not there."""
    parser = argparse.ArgumentParser(prog="python -m deploy.screenshots", description=__doc__)
    parser.add_argument("--url", default="http://127.0.0.1:8000", help="address of the running demo")
    parser.add_argument(
        "--logins", type=Path, default=embedded.home() / "logins.json", help="the demo's logins"
    )
    parser.add_argument(
        "--out", type=Path, default=PROJECT / "deploy" / "screenshots", help="folder of the PNGs"
    )
    parser.add_argument("--batch", default="demo", help="name of the batch that is shown")
    parser.add_argument("--look-only", action="store_true", help="answer and import nothing")
    options = parser.parse_args(arguments)
    try:
        people = log_in(options.url, options.logins)
        batch = find_batch(people["leo"], options.batch)
        with sync_playwright() as driver:
            browser = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
            if not options.look_only:
                make_work(browser, people, options.url, batch)
            missing = take_all(browser, people, options.url, batch["id"], options.out)
            browser.close()
    except (Refused, Error, OSError) as failure:
        print(f"Error: {str(failure).splitlines()[0]}", file=sys.stderr)
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


def find_batch(leo: Person, name: str) -> dict[str, Any]:
    """The batch of this name."""
    for row in leo.call("GET", "batches/?limit=200")["results"]:
        if row["name"] == name:
            return dict(row)
    raise Refused(f"there is no batch {name}")


def make_work(browser: Browser, people: dict[str, Person], url: str, batch: dict[str, Any]) -> None:
    """Something to see on every page; what is there already is not made again."""
    leo, ada, res = people["leo"], people["ada"], people["res"]
    stages = batch["counts"]["stages"]
    if not stages.get("select"):
        import_unmasked(leo, batch["id"])
    for rating, needed in (
        (0.8, not stages.get("align")),
        (0.8, not stages.get("align", {}).get("done")),
        (0.2, not batch["counts"]["escalated"]),
    ):
        if needed:
            answer_bracket(ada, batch["id"], rating)
    if not stages.get("align", {}).get("done"):
        align_one(browser, ada, url)
    if not leo.call("GET", "art/tasks/")["results"]:
        leo.call("POST", f"batches/{batch['id']}/curate/", {"name": f"{batch['name']}-art"})
    if not res.call("GET", "releases/")["results"]:
        wish = {"kind": "sft", "batches": [batch["id"]], "include_fallback_layout": True}
        res.wait(res.call("POST", "releases/", wish)["job"])


def import_unmasked(leo: Person, batch: int) -> None:
    """A part of one of the batch's own photos, without a mask: somebody has to outline its object."""
    first = leo.call("GET", f"batches/{batch}/objects/?limit=1")["results"][0]
    photo = Image.open(io.BytesIO(leo.call("GET", first["photo_url"].removeprefix("/api/v1/"))))
    packed = io.BytesIO()
    photo.crop((8, 8, photo.width - 8, photo.height - 8)).convert("RGB").save(packed, "PNG")
    edge = uuid.uuid4().hex
    head = f'--{edge}\r\nContent-Disposition: form-data; name="batch"\r\n\r\n{batch}\r\n'
    head += f'--{edge}\r\nContent-Disposition: form-data; name="file"; filename="to_outline.png"\r\n\r\n'
    body = head.encode() + packed.getvalue() + f"\r\n--{edge}--\r\n".encode()
    leo.wait(leo.call("POST", "imports/images/", raw=(body, f"multipart/form-data; boundary={edge}")))


def answer_bracket(ada: Person, batch: int, rating: float) -> None:
    """One object compared and rated."""
    work = ada.call("POST", "next/", {"stage": "compare", "batch": batch})
    if work is None or work["stage"] != "compare":
        raise Refused("no object waits for comparison: wait until candidates are ready")
    state = work["compare"]
    while state["step"]:
        reply = ada.answer(work, "comparisons", seq=state["step"]["seq"], answer="left")
        state = reply["assignment"]["compare"]
    if state["survivor"]:
        ada.answer(work, "rating", r=rating)


def align_one(browser: Browser, ada: Person, url: str) -> None:
    """One alignment stored as it was proposed, with the overlap that the page measures."""
    context = browser.new_context(base_url=url, viewport={"width": SIZE[0], "height": SIZE[1]})
    page = context.new_page()
    sign_in(page, ada, "/align/")
    page.wait_for_selector("#veil[hidden]", state="attached", timeout=60_000)
    page.keyboard.press("Control+Enter")
    page.get_by_text("Alignment stored.").wait_for(timeout=30_000)
    page.goto("about:blank")
    page.wait_for_timeout(500)
    context.close()


def take_all(browser: Browser, people: dict[str, Person], url: str, batch: int, out: Path) -> list[str]:
    """Every picture into `out`; returns what could not be taken and why."""
    out.mkdir(parents=True, exist_ok=True)
    missing = []
    for name, address, person, needed in PAGES:
        try:
            take(browser, people[person], url, address.format(batch=batch), needed, out / f"{name}.png")
            print(out / f"{name}.png")
        except Error as failure:
            missing.append(f"{name} ({str(failure).splitlines()[0]})")
    return missing


def take(browser: Browser, person: Person, url: str, address: str, needed: str, path: Path) -> None:
    """One picture, as one person sees the page."""
    context = browser.new_context(base_url=url, viewport={"width": SIZE[0], "height": SIZE[1]})
    page = context.new_page()
    try:
        sign_in(page, person, address)
        page.wait_for_selector(needed, state="attached", timeout=60_000)
        if path.stem in OPEN_FIRST:
            page.locator(OPEN_FIRST[path.stem]).first.click()
        page.wait_for_timeout(2500)
        picture = Image.open(io.BytesIO(page.screenshot()))
        picture.convert("RGB").quantize(256).save(path, optimize=True)
        # Leaving a page of work gives its lease back; the next picture is of another stage.
        page.goto("about:blank")
        page.wait_for_timeout(500)
    finally:
        context.close()


def sign_in(page: Page, person: Person, address: str) -> None:
    """Through the form, straight to the page."""
    page.goto(f"/login/?next={address}")
    page.fill("input[name=username]", person.name)
    page.fill("input[name=password]", person.password)
    page.click("button[type=submit]")
    page.wait_for_url(lambda found: "/login/" not in found)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
