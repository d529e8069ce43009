"""HTTP of a batch's instructions, as those who work on it read them."""

from django.utils.translation import gettext as _
from rest_framework.request import Request
from rest_framework.response import Response

from backend.accounts.access import EVERYONE, ApiError, endpoint
from backend.catalog.markdown import render
from backend.catalog.models import Batch, Instructions


@endpoint("GET", roles=EVERYONE)
def instructions(request: Request, pk: int) -> Response:
    """The instructions of a batch, its current version or `?version=`; version 0 where it has none."""
    rows = Instructions.objects.filter(batch_id=pk)
    wanted = request.query_params.get("version", "")
    if wanted:
        if not wanted.isascii() or not wanted.isdigit() or len(wanted) > 9:
            raise ApiError(400, "invalid", _("version is a number"), {"version": [_("not a number")]})
        rows = rows.filter(version=int(wanted))
    row = rows.order_by("-version").first()
    if row is None:
        if wanted or not Batch.objects.filter(pk=pk).exists():
            raise ApiError(404, "not_found", _("There are no such instructions."))
        return Response({"version": 0, "html": "", "text": "", "at": None})
    reply = Response({"version": row.version, "html": render(row.text), "text": row.text, "at": row.at})
    if wanted:
        # A version never changes.
        reply["Cache-Control"] = "private, max-age=31536000, immutable"
    return reply
