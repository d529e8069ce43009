"""The store keeps the same promises in a folder and in a bucket, over real HTTP; uploads are checked at finalise."""

import base64
import hashlib
import io
import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import requests

from backend import storage, uploads
from backend.catalog import services as catalog
from tests import processes

pytestmark = pytest.mark.django_db


@pytest.fixture(params=["folder", "bucket"])
def store(request: pytest.FixtureRequest) -> storage.Store:
    """Each test runs on both."""
    return request.getfixturevalue("bucket") if request.param == "bucket" else storage.store()


def test_bytes_come_back_whole_and_in_parts(store: storage.Store) -> None:
    blob = storage.put(b"0123456789", "text/plain")
    assert storage.read(blob) == b"0123456789"
    assert b"".join(storage.stream(blob, 2, 3)) == b"234"


def test_the_same_bytes_are_one_blob(store: storage.Store) -> None:
    assert storage.put(b"same", "text/plain").pk == storage.put(io.BytesIO(b"same"), "text/plain").pk


def test_an_empty_blob_is_a_blob(store: storage.Store) -> None:
    assert storage.read(storage.put(b"", "text/plain")) == b""


def test_a_large_blob_goes_up_in_parts(store: storage.Store, tmp_path: Path) -> None:
    path = tmp_path / "large"
    path.write_bytes(os.urandom(20 * 1024 * 1024))
    blob = storage.put(path, "application/octet-stream")
    assert storage.fetch(blob, tmp_path / "back").read_bytes() == path.read_bytes()


def test_what_is_not_there_is_said(store: storage.Store) -> None:
    with pytest.raises(storage.StorageError):
        storage.read("0" * 64)
    assert store.size("blobs/none") is None


def test_a_damaged_blob_is_not_handed_out(store: storage.Store, tmp_path: Path) -> None:
    blob = storage.put(b"right", "text/plain")
    store.write(storage.blob_name(blob.sha256), io.BytesIO(b"wrong"), "text/plain")
    with pytest.raises(storage.StorageError):
        storage.fetch(blob, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_large_object_in_the_bucket_was_written_in_parts(bucket: storage.S3Store) -> None:
    blob = storage.put(os.urandom(20 * 1024 * 1024), "application/octet-stream")
    head = bucket.client.head_object(Bucket="maquette", Key=storage.blob_name(blob.sha256))
    assert head["ETag"].strip('"').endswith("-3")


def send(link: dict[str, Any], data: bytes) -> int:
    """A browser's multipart POST to a presigned link."""
    return requests.post(link["url"], data=link["fields"], files={"file": data}, timeout=20).status_code


def begin(people: SimpleNamespace, data: bytes, **more: Any) -> tuple[Any, dict[str, Any]]:
    upload = uploads.begin(people.leo, filename="a.zip", size=len(data), **more)
    link = uploads.link(upload)
    assert link is not None
    return upload, link


def test_a_presigned_upload_becomes_a_blob_at_finalise(bucket: Any, people: SimpleNamespace) -> None:
    upload, link = begin(people, b"data", sha256=hashlib.sha256(b"data").hexdigest())
    assert send(link, b"data") < 300
    done = uploads.finalise(upload)
    assert (done.state, storage.read(done.blob)) == ("stored", b"data")
    assert bucket.size(storage.incoming_name(upload.pk)) is None


@pytest.mark.parametrize("sent", [b"datadata", b"other"[:4]])
def test_wrong_size_or_hash_is_refused_at_finalise(bucket: Any, people: SimpleNamespace, sent: bytes) -> None:
    upload, link = begin(people, b"data", sha256=hashlib.sha256(b"data").hexdigest())
    send(link, sent)
    with pytest.raises(uploads.Refused):
        uploads.finalise(upload)
    upload.refresh_from_db()
    assert (upload.state, upload.blob) == ("refused", None)


def test_finalise_before_any_byte_came_leaves_the_upload_open(bucket: Any, people: SimpleNamespace) -> None:
    upload, _ = begin(people, b"data")
    with pytest.raises(uploads.Refused):
        uploads.finalise(upload)
    upload.refresh_from_db()
    assert upload.state == "open"


def test_the_policy_of_a_presigned_upload_names_key_and_size(bucket: Any, people: SimpleNamespace) -> None:
    upload, link = begin(people, b"data")
    policy = json.loads(base64.b64decode(link["fields"]["policy"]))
    assert ["content-length-range", 0, 4] in policy["conditions"]
    assert {"key": storage.incoming_name(upload.pk)} in policy["conditions"]


def test_a_photo_in_a_bucket_is_sent_by_presigned_link(
    bucket: Any, people: SimpleNamespace, api: Any
) -> None:
    image, _ = catalog.store_image(
        original=b"given",
        media_type="image/png",
        display=b"shown",
        display_type="image/jpeg",
        size=(4, 3),
        name="cup",
    )
    reply = api(people.ada).get(f"/api/v1/images/{image.pk}/photo/")
    assert (reply.status_code, urllib.request.urlopen(reply["Location"]).read()) == (302, b"shown")


def test_the_bucket_refuses_who_has_no_link(bucket: storage.S3Store) -> None:
    blob = storage.put(b"private", "text/plain")
    with pytest.raises(urllib.error.HTTPError):
        urllib.request.urlopen(f"{bucket.client.meta.endpoint_url}/maquette/{storage.blob_name(blob.sha256)}")


def test_a_folder_store_survives_being_killed_in_a_write(tmp_path: Path) -> None:
    code = (
        "import django, io, os, pathlib, sys\n"
        "django.setup()\n"
        "from backend.storage import LocalStore\n"
        "class Dies(io.RawIOBase):\n"
        "    n = 0\n"
        "    def read(self, size=-1):\n"
        "        self.n += 1\n"
        "        return b'x' * size if self.n < 3 else os.kill(os.getpid(), 9)\n"
        "LocalStore(pathlib.Path(sys.argv[1])).write('blobs/a', Dies(), '')\n"
    )
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "backend.settings"}
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], cwd=processes.PROJECT, env=environment)
    assert (done.returncode, storage.LocalStore(tmp_path).size("blobs/a")) == (-9, None)
