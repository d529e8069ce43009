"""HTTP of proposals: ask for candidates, and the copies of them that pages show."""

from uuid import UUID

from django.http import Http404, HttpResponseBase
from django.shortcuts import get_object_or_404
from django.utils.translation import gettext as _
from rest_framework.request import Request
from rest_framework.response import Response

from backend import storage
from backend.accounts.access import EVERYONE, ApiError, Role, endpoint, record
from backend.catalog.models import Batch
from backend.catalog.services import GLB, PNG
from backend.proposals import services
from backend.proposals.models import Candidate
from backend.serving import serve


@endpoint("POST", roles={Role.ADMIN})
def propose(request: Request, pk: int) -> Response:
    """Queue the candidates that the batch's objects still miss."""
    batch = get_object_or_404(Batch, pk=pk)
    try:
        sent = services.propose(batch, by=request.user)
    except services.NoProposers as failure:
        raise ApiError(409, "no_proposers", _("Nothing can be proposed: %(why)s.") % {"why": failure}) from None
    record(request.user, "propose", f"batch:{pk}", jobs=sent)
    return Response({"jobs": sent}, status=202)


@endpoint("GET", roles=EVERYONE, response=bytes)
def model(request: Request, key: UUID) -> HttpResponseBase:
    """The viewer copy of a candidate's mesh (GLB, meshopt)."""
    return _copy(request, key, "viewer", ".glb", GLB)


@endpoint("GET", roles=EVERYONE, response=bytes)
def thumbnail(request: Request, key: UUID) -> HttpResponseBase:
    """A picture of the candidate's shape (PNG)."""
    return _copy(request, key, "thumbnail", ".png", PNG)


@endpoint("GET", roles=EVERYONE, response=bytes)
def turntable(request: Request, key: UUID) -> HttpResponseBase:
    """Eight views of the candidate side by side (PNG), each turned 45 degrees further."""
    return _copy(request, key, "turntable", ".turntable.png", PNG)


def _copy(request: Request, key: UUID, field: str, suffix: str, media_type: str) -> HttpResponseBase:
    """Name, ETag and link hold the opaque key alone: a blob's hash would tell who made the candidate."""
    row = get_object_or_404(Candidate.objects.select_related(field).only("key", f"{field}__size"), key=key)
    blob = getattr(row, field)
    if blob is None:
        raise Http404
    return serve(
        request, storage.view_name(key, suffix), size=blob.size, etag=f"{key}{suffix}", media_type=media_type
    )
