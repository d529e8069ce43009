"""HTTP of builds: what is built and how far it is. A build is started by a command, since it reads and writes places of
its own."""

from typing import Any

from django.shortcuts import get_object_or_404
from rest_framework.request import Request
from rest_framework.response import Response

from backend.accounts.access import endpoint
from backend.datasets import builds as verbs
from backend.datasets.api import READERS
from backend.datasets.models import Build
from backend.paging import page


@endpoint("GET", roles=READERS)
def builds(request: Request) -> Response:
    """List builds, newest first."""
    return page(request, Build.objects.select_related("created_by"), describe)


@endpoint("GET", roles=READERS)
def build(request: Request, pk: int) -> Response:
    """One build and how far it is, 0 to 1."""
    found = get_object_or_404(Build.objects.select_related("created_by"), pk=pk)
    return Response({**describe(found), "progress": verbs.progress(found)})


def describe(row: Build) -> dict[str, Any]:
    """A build as the pages show it."""
    return {
        "id": row.pk,
        "variant": row.variant,
        "source": row.source,
        "out": row.out,
        "options": row.options,
        "state": row.state,
        "shards": row.shards,
        "sha256": row.sha256,
        "counts": row.counts,
        "error": row.error,
        "created_by": row.created_by.username if row.created_by else None,
        "created_at": row.created_at,
    }
