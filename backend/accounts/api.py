"""Tokens, logging in again in place, the own account, and jobs as anyone logged in may see them."""

from typing import Any

from django.contrib.auth import authenticate, login
from django.core.cache import cache
from django.db import connection
from django.http import HttpRequest, JsonResponse
from django.utils.translation import gettext as _
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from backend import jobs
from backend.accounts.access import EVERYONE, ApiError, Role, endpoint, record
from backend.accounts.authentication import SessionAuthentication
from backend.accounts.models import Token, User
from backend.accounts.preferences import MeIn
from backend.models import Job
from backend.words import word

# Wrong passwords for one name from one address before it has to wait. Counted in each web process's own cache: enough
# against guessing by hand and small scripts; a proxy in front may be stricter.
FAILURES, WAIT_SECONDS = 10, 900


class Login(serializers.Serializer):
    username = serializers.CharField(max_length=150)
    password = serializers.CharField(max_length=200)


def describe_job(job: Job) -> dict[str, Any]:
    """A job for the person who waits for it: the first line of an error, never a traceback."""
    return {
        "id": job.pk,
        "kind": job.kind,
        "state": job.state,
        "progress": round(job.progress, 3),
        "message": job.message,
        "result": job.result,
        "error": _(jobs.DIED) if job.error == jobs.DIED else job.error.split("\n", 1)[0],
        "attempts": job.attempts,
        "cost_seconds": round(job.cost_seconds, 2),
    }


@endpoint("POST", roles=(), request=Login)
def token(request: Request) -> Response:
    """Exchange name and password for an API token that ends in 30 days."""
    parsed = Login(data=request.data)
    parsed.is_valid(raise_exception=True)
    user = authenticate(request, **parsed.validated_data)
    if user is None:
        raise ApiError(401, "bad_login", _("Name or password is wrong."))
    plain, expires = Token.issue(user)
    record(user, "token", f"user:{user.pk}")
    return Response({"token": plain, "expires_at": expires})


@endpoint("POST", roles=(), request=Login)
def session(request: Request) -> Response:
    """Log the browser in where it stands (a page whose login has ended). Needs the CSRF token; 429 after ten failures."""
    SessionAuthentication().enforce_csrf(request)
    parsed = Login(data=request.data)
    parsed.is_valid(raise_exception=True)
    name = parsed.validated_data["username"]
    counter = f"login:{name.lower()}:{request.META.get('REMOTE_ADDR', '')}"
    if cache.get(counter, 0) >= FAILURES:
        raise ApiError(429, "too_many_requests", _("Too many wrong passwords: try again in a quarter of an hour."))
    user = authenticate(request, **parsed.validated_data)
    if user is None:
        cache.set(counter, cache.get(counter, 0) + 1, WAIT_SECONDS)
        raise ApiError(401, "bad_login", _("Name or password is wrong."))
    cache.delete(counter)
    login(request._request, user)
    return Response(describe_user(user))


def describe_user(user: User) -> dict[str, Any]:
    """An account as its owner sees it."""
    return {"id": user.pk, "username": user.username, "role": user.role, "preferences": user.preferences}


@endpoint("GET", "PATCH", roles=EVERYONE, request=MeIn)
def me(request: Request) -> Response:
    """Who is logged in; change one's own preferences."""
    user = request.user
    if request.method == "PATCH":
        parsed = MeIn(data=request.data)
        parsed.is_valid(raise_exception=True)
        user.preferences = {**user.preferences, **parsed.validated_data["preferences"]}
        user.save(update_fields=["preferences"])
    return Response(describe_user(user))


@endpoint("GET", roles=EVERYONE)
def job(request: Request, pk: int) -> Response:
    """State, progress and result of a job."""
    row = Job.objects.filter(pk=pk).first()
    if row is None or (
        row.created_by_id != request.user.pk and request.user.role in {Role.ANNOTATOR, Role.ARTIST}
    ):
        raise ApiError(404, "not_found", _("There is no such job."))
    return Response(describe_job(row))


@endpoint("POST", roles={Role.ADMIN})
def retry_job(request: Request, pk: int) -> Response:
    """Queue a failed job again."""
    row = Job.objects.filter(pk=pk).first()
    if row is None:
        raise ApiError(404, "not_found", _("There is no such job."))
    if not jobs.retry(row):
        raise ApiError(
            409,
            "not_failed",
            _("This job is %(state)s; only a failed one can be tried again.") % {"state": word(row.state)},
        )
    record(request.user, "retry", f"job:{pk}")
    row.refresh_from_db()
    return Response(describe_job(row))


def healthz(request: HttpRequest) -> JsonResponse:
    """Whether the web process can reach its database."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return JsonResponse({"ok": True})
