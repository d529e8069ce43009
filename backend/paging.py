"""Keyset pagination, one for all lists: each page is one indexed statement, however deep it lies."""

from collections.abc import Callable
from typing import Any

from django.core.exceptions import ValidationError as FieldError
from django.db.models import QuerySet
from django.utils.translation import gettext as _
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

DEFAULT_LIMIT = 50
MAX_LIMIT = 200


def page(
    request: Request, queryset: QuerySet[Any], serialise: Callable[[Any], dict[str, Any]], order: str = "-id"
) -> Response:
    """Answer `{"results": [...], "next": cursor or null}` for `?cursor=&limit=`.

    `order` is one unique, never-null field of the model, descending with a leading "-". A cursor or limit that makes
    no sense is a 400.
    """
    name, below = order.removeprefix("-"), order.startswith("-")
    field = queryset.model._meta.pk if name in {"id", "pk"} else queryset.model._meta.get_field(name)
    limit = _limit(request.query_params.get("limit", ""))
    if cursor := request.query_params.get("cursor", ""):
        try:
            last = field.to_python(cursor)
        except FieldError:
            raise ValidationError({"cursor": _("not a cursor of this list")}) from None
        queryset = queryset.filter(**{f"{field.attname}__{'lt' if below else 'gt'}": last})
    rows = list(queryset.order_by(f"{'-' if below else ''}{field.attname}")[: limit + 1])
    following = str(getattr(rows[limit - 1], field.attname)) if len(rows) > limit else None
    return Response({"results": [serialise(row) for row in rows[:limit]], "next": following})


def _limit(text: str) -> int:
    if not text:
        return DEFAULT_LIMIT
    if not text.isascii() or not text.isdigit() or len(text) > 9 or int(text) < 1:
        raise ValidationError({"limit": _("a whole number from 1 to %(limit)s") % {"limit": MAX_LIMIT}})
    return min(int(text), MAX_LIMIT)
