"""Stored bytes over HTTP: ranges, ETag, and never a wrong length."""

from typing import Any

import pytest
from rest_framework.request import Request
from rest_framework.test import APIRequestFactory

from backend import storage
from backend.serving import byte_range, serve

pytestmark = pytest.mark.django_db


def get(**headers: str) -> Any:
    blob = storage.put(b"0123456789", "image/png")
    request = Request(APIRequestFactory().get("/", headers=headers))
    return serve(request, storage.blob_name(blob.sha256), size=10, etag="tag", media_type="image/png")


def test_a_range_is_answered_with_just_those_bytes() -> None:
    reply = get(Range="bytes=2-4")
    assert (reply.status_code, b"".join(reply.streaming_content)) == (206, b"234")
    assert (reply["Content-Range"], reply["Content-Length"]) == ("bytes 2-4/10", "3")


def test_a_range_outside_is_416() -> None:
    assert (get(Range="bytes=50-").status_code, get(Range="bytes=50-")["Content-Range"]) == (
        416,
        "bytes */10",
    )


def test_a_known_etag_is_304() -> None:
    assert get(**{"If-None-Match": '"tag"'}).status_code == 304


def test_another_etag_in_if_range_sends_everything() -> None:
    assert get(Range="bytes=2-4", **{"If-Range": '"old"'}).status_code == 200


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("bytes=0-", (0, 9)),
        ("bytes=-3", (7, 9)),
        ("bytes=-30", (0, 9)),
        ("bytes=5-99", (5, 9)),
        ("bytes=-0", None),
        ("bytes=6-5", None),
        ("bytes=-", None),
        ("bytes=0-1,3-4", None),
        ("lines=0-1", None),
    ],
)
def test_ranges_are_read_strictly(header: str, expected: tuple[int, int] | None) -> None:
    assert byte_range(header, 10) == expected
