"""The whole loop over HTTP, with a real web server and a real worker: photo in, checkpoint out, its candidates next."""

import json
import time
import urllib.error
import urllib.request
import uuid
from types import SimpleNamespace
from typing import Any

import pytest

from backend.proposals.models import Candidate
from tests.conftest import PASSWORD
from tests.loop import bundle

pytestmark = pytest.mark.django_db(transaction=True)


class Person:
    """Somebody with a token and no other way in than HTTP."""

    def __init__(self, url: str, name: str) -> None:
        self.url, self.token = f"{url}/api/v1/", ""
        self.token = self.call("POST", "token/", {"username": name, "password": PASSWORD})["token"]

    def call(self, method: str, path: str, body: Any = None, *, raw: tuple[bytes, str] | None = None) -> Any:
        """Parsed answer of a request; an error status fails the test with its text."""
        data, kind = raw or (json.dumps(body or {}).encode() if method != "GET" else None, "application/json")
        request = urllib.request.Request(self.url + path, data, {"Content-Type": kind}, method=method)
        if self.token:
            request.add_header("Authorization", f"Bearer {self.token}")
        try:
            with urllib.request.urlopen(request, timeout=60) as reply:
                text = reply.read()
                return (
                    json.loads(text)
                    if reply.headers.get_content_type() == "application/json" and text
                    else text
                )
        except urllib.error.HTTPError as refusal:
            raise AssertionError(f"{method} {path}: {refusal.code} {refusal.read()[:500]!r}") from None

    def send(self, path: str, name: str, content: bytes, **fields: Any) -> Any:
        """A multipart POST with one file."""
        edge = uuid.uuid4().hex
        parts = [
            f'--{edge}\r\nContent-Disposition: form-data; name="{k}"\r\n\r\n{v}\r\n'.encode()
            for k, v in fields.items()
        ]
        head = f'--{edge}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'.encode()
        body = b"".join([*parts, head, content, f"\r\n--{edge}--\r\n".encode()])
        return self.call("POST", path, raw=(body, f"multipart/form-data; boundary={edge}"))

    def wait(self, job: dict[str, Any], seconds: float = 150) -> dict[str, Any]:
        """Poll a job until it is done."""
        stop = time.monotonic() + seconds
        while job["state"] in {"queued", "running"}:
            assert time.monotonic() < stop, f"job {job['kind']} is still {job['state']}"
            time.sleep(0.3)
            job = self.call("GET", f"jobs/{job['id']}/")
        assert job["state"] == "done", f"job {job['kind']} failed: {job['error']}"
        return job

    def answer(self, work: dict[str, Any], verb: str, **body: Any) -> Any:
        """An answer to an assignment."""
        body = {"fence": work["fence"], "key": str(uuid.uuid4()), "active_ms": 900, **body}
        return self.call("POST", f"assignments/{work['id']}/{verb}/", body)


def fill(leo: Person, name: str, seed: int) -> dict[str, Any]:
    """A batch with a scene in it and all its candidates."""
    batch = leo.call("POST", "batches/", {"name": name, "n_candidates": 4, "alpha": 0.3})
    report = leo.wait(leo.send("imports/images/", "scene.zip", bundle(seed), batch=batch["id"]))["result"]
    assert report["counts"]["taken"] == 1, report
    assert leo.call("POST", f"batches/{batch['id']}/propose/")["jobs"] > 0
    stop = time.monotonic() + 150
    while True:
        rows = leo.call("GET", f"batches/{batch['id']}/objects/")["results"]
        if all(row["jobs"]["queued"] + row["jobs"]["running"] == 0 for row in rows):
            assert all(row["candidates_ready"] >= 2 for row in rows), rows
            return dict(batch)
        assert time.monotonic() < stop, rows
        time.sleep(0.5)


def annotate(ada: Person) -> dict[str, int]:
    """Ada works until there is nothing left: brackets, ratings, alignments."""
    counts = {"compare": 0, "align": 0}
    while work := ada.call("POST", "next/", {}):
        counts[work["stage"]] += 1
        if work["stage"] == "align":
            pose = work["align"]["candidate"]["pose"]
            ada.answer(work, "alignment", **pose, iou=0.7, version=work["align"]["version"])
            continue
        state = work["compare"]
        while state["step"]:
            state = ada.answer(work, "comparisons", seq=state["step"]["seq"], answer="left")["assignment"][
                "compare"
            ]
        ada.answer(work, "rating", r=0.8)
    return counts


def test_a_photo_becomes_a_sample_a_release_a_checkpoint_and_the_next_batchs_candidates(
    live_url: str, worker: None, people: SimpleNamespace, proposers: None
) -> None:
    leo, ada, res = (Person(live_url, name) for name in ("leo", "ada", "res"))
    first = fill(leo, "first", seed=3)
    counts = annotate(ada)
    assert counts["compare"] == counts["align"] >= 1
    checkpoint = None
    for kind in ("sft", "dpo"):
        made = res.call("POST", "releases/", {"kind": kind, "batches": [first["id"]]})
        res.wait(made["job"])
        release = res.call("GET", f"releases/{made['release']['id']}/")
        assert (release["state"], release["rows"] > 0, len(release["sha256"])) == ("frozen", True, 64)
        init = checkpoint or res.call("GET", "checkpoints/")["results"][0]["id"]
        run = {"stage": kind, "recipe": "tiny", "releases": [release["id"]], "init": init, "steps": 2}
        reply = res.call("POST", "runs/", run)
        res.wait(reply["job"])
        checkpoint = res.call("GET", "checkpoints/")["results"][0]["id"]
    res.call("POST", f"checkpoints/{checkpoint}/promote/")
    second = fill(leo, "second", seed=4)
    name = res.call("GET", f"checkpoints/{checkpoint}/")["name"]
    made_by = set(
        Candidate.objects.filter(batch_id=second["id"]).values_list("proposer__checkpoint__name", flat=True)
    )
    assert name in made_by
