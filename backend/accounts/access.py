"""Who may call what: the `endpoint` decorator with its roles, the one shape of every error, and the audit line."""

import functools
from collections.abc import Callable, Iterable
from typing import Any

from django.core.exceptions import PermissionDenied
from django.core.paginator import InvalidPage
from django.http import Http404
from django.utils.translation import gettext as _
from drf_spectacular.utils import OpenApiTypes, extend_schema
from rest_framework import exceptions, permissions, serializers, status
from rest_framework.decorators import api_view, parser_classes, permission_classes
from rest_framework.request import Request
from rest_framework.response import Response

from backend.accounts.authentication import OTHER_PERSON
from backend.accounts.models import AuditEvent, User

Role = User.Role
EVERYONE = frozenset(Role)


class ApiError(exceptions.APIException):
    """An error a client can act on: HTTP status, short code, message, and the fields at fault."""

    def __init__(
        self, status_code: int, code: str, message: str, fields: dict[str, Any] | None = None
    ) -> None:
        super().__init__(detail=message, code=code)
        self.status_code = status_code
        self.code = code
        self.message = message
        self.fields = fields or {}


def _role_permission(readers: frozenset[str], writers: frozenset[str]) -> type[permissions.BasePermission]:
    class HasRole(permissions.BasePermission):
        def has_permission(self, request: Request, view: Any) -> bool:
            user = request.user
            roles = readers if request.method in permissions.SAFE_METHODS else writers
            return bool(user and user.is_authenticated and (user.role in roles or user.role == Role.ADMIN))

    return HasRole


def endpoint(
    *methods: str,
    roles: Iterable[str],
    writers: Iterable[str] | None = None,
    request: Any = None,
    response: Any = OpenApiTypes.OBJECT,
    parsers: list[Any] | None = None,
    parameters: list[Any] | None = None,
) -> Callable[[Callable[..., Response]], Callable[..., Any]]:
    """Make a function an API view for these methods, open to these roles (admins always), described in OpenAPI.

    `writers`, where given, are the roles for every method but GET. `roles` empty means the route needs no login.
    Both sets are kept on the view so that a test can walk every route as every role.
    """
    allowed = frozenset(roles)
    writing = allowed if writers is None else frozenset(writers)

    def decorate(function: Callable[..., Response]) -> Callable[..., Any]:
        @functools.wraps(function)
        def call(request: Request, *args: Any, **kwargs: Any) -> Response:
            if "\0" in request.path or "%00" in request.META["QUERY_STRING"]:  # PostgreSQL keeps no such text
                raise Http404
            return function(request, *args, **kwargs)

        if parsers is not None:
            parser_classes(parsers)(call)
        permission_classes([_role_permission(allowed, writing)] if allowed else [permissions.AllowAny])(call)
        view = api_view(list(methods))(call)
        app = function.__module__.split(".")[1]
        for method in methods:
            view = extend_schema(
                methods=[method],
                operation_id=f"{app}_{function.__name__}_{method.lower()}",
                request=request if method not in permissions.SAFE_METHODS else None,
                responses=response,
                parameters=parameters,
            )(view)
        view.roles, view.writers = allowed, writing
        return view

    return decorate


_CODES = {
    400: "bad_request",
    401: "not_authenticated",
    403: "not_allowed",
    404: "not_found",
    405: "method_not_allowed",
    406: "not_acceptable",
    413: "too_large",
    415: "unsupported_media_type",
    429: "too_many_requests",
}


def error_body(code: str, message: str, fields: dict[str, Any] | None = None) -> dict[str, Any]:
    """The one shape of every error answer."""
    return {"error": {"code": code, "message": message, "fields": fields or {}}}


def errors(failure: Exception, context: dict[str, Any]) -> Response | None:
    """DRF exception handler: every refusal in one shape; what is not a refusal stays a 500."""
    if isinstance(failure, ApiError):
        return Response(error_body(failure.code, failure.message, failure.fields), status=failure.status_code)
    if isinstance(failure, Http404):
        return Response(
            error_body("not_found", _("There is no such thing here.")), status=status.HTTP_404_NOT_FOUND
        )
    if isinstance(failure, PermissionDenied):
        return Response(
            error_body("not_allowed", _("Your role may not do this.")), status=status.HTTP_403_FORBIDDEN
        )
    if isinstance(failure, InvalidPage):
        return Response(error_body("bad_request", str(failure)), status=status.HTTP_400_BAD_REQUEST)
    if isinstance(failure, exceptions.ValidationError):
        fields = failure.detail if isinstance(failure.detail, dict) else {"non_field_errors": failure.detail}
        first = next(iter(fields.items()))
        message = f"{first[0]}: {first[1][0] if isinstance(first[1], list) else first[1]}"
        return Response(error_body("invalid", message, fields), status=status.HTTP_400_BAD_REQUEST)
    if isinstance(failure, exceptions.APIException):
        headers = {"WWW-Authenticate": failure.auth_header} if getattr(failure, "auth_header", None) else None
        code = _CODES.get(failure.status_code, "error")
        if failure.get_codes() == OTHER_PERSON:
            code = OTHER_PERSON
        return Response(error_body(code, str(failure.detail)), status=failure.status_code, headers=headers)
    return None


def record(user: User | None, verb: str, subject: str, **detail: Any) -> None:
    """Append one line to the audit trail."""
    AuditEvent.objects.create(user=user, verb=verb, subject=subject, detail=detail)


def valid(kind: type[serializers.Serializer], request: Request) -> dict[str, Any]:
    """The request's fields, checked; a field that is not known is an error, not ignored."""
    data = kind(data=request.data)
    data.is_valid(raise_exception=True)
    unknown = set(request.data) - set(data.fields)
    if unknown:
        raise serializers.ValidationError({name: [_("unknown field")] for name in sorted(unknown)})
    return dict(data.validated_data)
