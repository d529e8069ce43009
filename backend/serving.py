"""Sending stored bytes to a browser: fixed type, immutable cache, ETag, byte ranges; on S3 a presigned link instead."""

import re

from django.http import HttpResponse, HttpResponseBase, HttpResponseRedirect, StreamingHttpResponse
from django.utils.http import quote_etag
from rest_framework.request import Request

from backend import storage

# Private: every route needs a login, so a shared cache may not keep the answer.
IMMUTABLE = "private, max-age=31536000, immutable"
LINK_SECONDS = 3600
RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")


def serve(
    request: Request, name: str, *, size: int, etag: str, media_type: str, filename: str = ""
) -> HttpResponseBase:
    """Answer with the bytes stored under `name`: 200, 206 for one range, 304, 416; 302 to the bucket on S3.

    `etag` identifies the content; for what annotators compare it must not tell two makers apart.
    """
    tag = quote_etag(etag)
    if tag in {part.strip() for part in request.headers.get("If-None-Match", "").split(",")}:
        return _headed(HttpResponse(status=304), tag)
    link = storage.store().link(name, media_type=media_type, filename=filename, seconds=LINK_SECONDS)
    if link:
        redirect = HttpResponseRedirect(link)
        redirect["Cache-Control"] = f"private, max-age={LINK_SECONDS // 2}"
        return redirect
    start, end = 0, size - 1
    wanted = request.headers.get("Range", "")
    partial = bool(wanted) and request.headers.get("If-Range", tag) == tag
    if partial:
        found = byte_range(wanted, size)
        if found is None:
            return _headed(HttpResponse(status=416, headers={"Content-Range": f"bytes */{size}"}), tag)
        start, end = found
    reply = StreamingHttpResponse(
        storage.store().open(name, start, end - start + 1),
        status=206 if partial else 200,
        content_type=media_type,
    )
    if partial:
        reply["Content-Range"] = f"bytes {start}-{end}/{size}"
    reply["Content-Length"] = str(end - start + 1)
    reply["Accept-Ranges"] = "bytes"
    if filename:
        reply["Content-Disposition"] = f'attachment; filename="{filename}"'
    return _headed(reply, tag)


def byte_range(header: str, size: int) -> tuple[int, int] | None:
    """First and last byte of a one-part Range header (RFC 9110, 14.2), None when it cannot be met."""
    match = RANGE.fullmatch(header.strip())
    if not match or match.groups() == ("", "") or size == 0:
        return None
    first, last = match.groups()
    if first == "":
        return (max(size - int(last), 0), size - 1) if int(last) else None
    start, end = int(first), min(int(last) if last else size - 1, size - 1)
    return (start, end) if start <= end else None


def _headed(reply: HttpResponseBase, tag: str) -> HttpResponseBase:
    reply["ETag"] = tag
    reply["Cache-Control"] = IMMUTABLE
    reply["X-Content-Type-Options"] = "nosniff"
    return reply
