"""Uploads in parts: resumed after a break, on the folder and on a bucket over HTTP, and never joined half."""

import hashlib
import os
import uuid
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import requests

from backend import storage, uploads
from backend.models import Upload

pytestmark = pytest.mark.django_db
API = "/api/v1/uploads/"
DATA = b"glTF" + os.urandom(12 * 1024 * 1024)  # two parts: 8 MiB and the rest
FIRST, SECOND = DATA[: uploads.PART_BYTES], DATA[uploads.PART_BYTES :]


@pytest.fixture(params=["folder", "bucket"])
def store(request: pytest.FixtureRequest) -> storage.Store:
    """Each test runs on both."""
    return request.getfixturevalue("bucket") if request.param == "bucket" else storage.store()


@pytest.fixture
def client(people: SimpleNamespace, api: Any) -> Any:
    """The artist's."""
    return api(people.art)


def begun(client: Any, data: bytes = DATA, **more: Any) -> dict[str, Any]:
    form = {"filename": "cup.glb", "size": len(data), "in_parts": True, **more}
    reply = client.post(API, form)
    assert reply.status_code == 201
    return dict(reply.json())


def send(client: Any, part: dict[str, Any], data: bytes) -> int:
    """As a page does: PUT to wherever the part says."""
    if part["url"].startswith("/"):
        return int(client.put(part["url"], data, content_type="application/octet-stream").status_code)
    return requests.put(part["url"], data=data, timeout=20).status_code


def stored(client: Any, upload: dict[str, Any]) -> list[bool]:
    return [part["stored"] for part in client.get(f"{API}{upload['id']}/").json()["parts"]]


def finalise(client: Any, upload: dict[str, Any], **form: Any) -> Any:
    return client.post(f"{API}{upload['id']}/finalise/", form)


def test_parts_in_any_order_become_one_blob(store: storage.Store, client: Any) -> None:
    upload = begun(client, sha256=hashlib.sha256(DATA).hexdigest())
    assert (upload["method"], upload["part_size"], len(upload["parts"])) == ("parts", 8 * 1024 * 1024, 2)
    assert send(client, upload["parts"][1], SECOND) == 200
    assert send(client, upload["parts"][0], FIRST) == 200
    assert finalise(client, upload).json()["state"] == "stored"
    row = Upload.objects.get()
    assert storage.read(row.blob) == DATA
    assert store.parts(storage.incoming_name(row.pk), row.ticket) == {}


def test_a_reload_finds_what_has_arrived_and_sends_only_the_rest(store: storage.Store, client: Any) -> None:
    key = str(uuid.uuid4())
    upload = begun(client, key=key)
    send(client, upload["parts"][0], FIRST)
    again = begun(client, key=key)
    assert again["id"] == upload["id"] and [part["stored"] for part in again["parts"]] == [True, False]
    assert again["parts"][0]["url"] and finalise(client, upload).status_code == 400
    send(client, again["parts"][1], SECOND)
    assert finalise(client, upload, sha256=hashlib.sha256(DATA).hexdigest()).json()["state"] == "stored"


def test_a_repeated_part_counts_once(store: storage.Store, client: Any) -> None:
    upload = begun(client)
    for _ in range(2):
        assert send(client, upload["parts"][0], FIRST) == 200
    send(client, upload["parts"][1], SECOND)
    assert finalise(client, upload).status_code == 200
    assert storage.read(Upload.objects.get().blob) == DATA


def test_a_part_that_broke_off_is_not_stored_and_may_be_sent_again(store: storage.Store, client: Any) -> None:
    upload = begun(client)
    send(client, upload["parts"][0], FIRST)
    send(client, upload["parts"][1], SECOND[:-5])
    assert stored(client, upload) == [True, False]
    refusal = finalise(client, upload)
    assert refusal.status_code == 400 and "Parts 2 " in refusal.json()["error"]["message"]
    send(client, upload["parts"][1], SECOND)
    assert finalise(client, upload).status_code == 200


def test_a_broken_part_through_the_server_leaves_the_whole_one_in_place(client: Any) -> None:
    upload = begun(client)
    assert send(client, upload["parts"][0], FIRST) == 200
    assert send(client, upload["parts"][0], FIRST[:1000]) == 400
    assert stored(client, upload) == [True, False]


def test_more_bytes_than_a_part_has_are_413(client: Any) -> None:
    upload = begun(client)
    assert send(client, upload["parts"][1], SECOND + b"x") == 413
    assert stored(client, upload) == [False, False]


@pytest.mark.parametrize("number", [0, 3, 10**30])
def test_a_part_number_that_is_none_is_refused(store: storage.Store, client: Any, number: int) -> None:
    upload = begun(client)
    reply = client.put(f"{API}{upload['id']}/parts/{number}/", b"x", content_type="application/octet-stream")
    assert (reply.status_code, reply.json()["error"]["code"]) == (400, "part_refused")


@pytest.mark.parametrize("number", ["-1", "..%2f..%2fblobs", "1e3"])
def test_a_part_number_that_is_no_number_is_no_route(client: Any, number: str) -> None:
    upload = begun(client)
    reply = client.put(f"{API}{upload['id']}/parts/{number}/", b"x", content_type="application/octet-stream")
    assert reply.status_code == 404


def test_a_part_can_go_through_the_server_to_a_bucket(bucket: storage.S3Store, client: Any) -> None:
    upload = begun(client)
    for number, data in ((1, FIRST), (2, SECOND)):
        url = f"{API}{upload['id']}/parts/{number}/"
        assert client.put(url, data, content_type="application/octet-stream").status_code == 200
    assert finalise(client, upload).status_code == 200


def test_parts_with_another_hash_are_refused_and_cleared_away(store: storage.Store, client: Any) -> None:
    upload = begun(client, sha256="0" * 64)
    for part, data in zip(upload["parts"], (FIRST, SECOND), strict=True):
        send(client, part, data)
    assert finalise(client, upload).json()["error"]["code"] == "upload_refused"
    row = Upload.objects.get()
    assert (row.state, store.size(storage.incoming_name(row.pk))) == ("refused", None)


def test_finalising_parts_twice_is_one_blob(store: storage.Store, client: Any) -> None:
    upload = begun(client)
    for part, data in zip(upload["parts"], (FIRST, SECOND), strict=True):
        send(client, part, data)
    assert [finalise(client, upload).json()["state"] for _ in range(2)] == ["stored", "stored"]


def test_a_key_is_for_one_file(client: Any) -> None:
    key = str(uuid.uuid4())
    begun(client, key=key)
    reply = client.post(API, {"filename": "other.glb", "size": 5, "in_parts": True, "key": key})
    assert (reply.status_code, reply.json()["error"]["code"]) == (409, "key_used")


def test_a_key_is_ones_own(client: Any, people: SimpleNamespace, api: Callable[..., Any]) -> None:
    key = str(uuid.uuid4())
    assert begun(client, key=key)["id"] != begun(api(people.leo), key=key)["id"]


def test_nobody_sees_or_fills_another_persons_parts(client: Any, people: SimpleNamespace, api: Any) -> None:
    upload, other = begun(client), api(people.leo)
    assert other.get(f"{API}{upload['id']}/").status_code == 404
    assert send(other, upload["parts"][0], FIRST) == 404


@pytest.mark.parametrize("data", [b"Kaydara FBX Binary  \0\x1a\0" + b"x" * 90, b"; FBX 7.3.0 project file\n"])
def test_an_fbx_file_is_refused_with_what_to_do(client: Any, data: bytes) -> None:
    upload = begun(client, data)
    send(client, upload["parts"][0], data)
    assert "export GLB" in finalise(client, upload).json()["error"]["message"]
