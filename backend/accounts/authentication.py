"""Who is calling: a bearer token, or the browser's session. Apart from access.py because DRF imports this by name."""

from django.utils import timezone
from django.utils.translation import gettext as _
from drf_spectacular.authentication import SessionScheme
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework import authentication, exceptions
from rest_framework.request import Request

from backend.accounts.models import Token, User

OTHER_PERSON = "other_person"


class TokenAuthentication(authentication.BaseAuthentication):
    """`Authorization: Bearer TOKEN`, looked up by hash."""

    def authenticate(self, request: Request) -> tuple[User, Token] | None:
        """The token's user, None without a token, 401 for one that is unknown or over."""
        header = request.META.get("HTTP_AUTHORIZATION", "")
        if not header.startswith("Bearer "):
            return None
        token = Token.objects.select_related("user").filter(sha256=Token.digest(header[7:].strip())).first()
        if token is None or token.expires_at < timezone.now() or not token.user.is_active:
            raise exceptions.AuthenticationFailed(_("This token is unknown or has expired."))
        return token.user, token

    def authenticate_header(self, request: Request) -> str:
        """Makes a missing login a 401 instead of a 403."""
        return "Bearer"


class SessionAuthentication(authentication.SessionAuthentication):
    """The browser's login; writing needs the CSRF token, and the person whom the page was made for (X-Person)."""

    def authenticate(self, request: Request) -> tuple[User, None] | None:
        """The session's user; 401 other_person when a page of somebody else is still open and sends."""
        found = super().authenticate(request)
        meant = request.META.get("HTTP_X_PERSON")
        if found and meant and meant != str(found[0].pk):
            message = _("%(name)s is logged in in this browser now. Log in again to go on here.")
            raise exceptions.AuthenticationFailed(message % {"name": found[0].username}, code=OTHER_PERSON)
        return found


class TokenScheme(OpenApiAuthenticationExtension):
    """How the schema names the token."""

    target_class = TokenAuthentication
    name = "token"

    def get_security_definition(self, auto_schema: object) -> dict[str, str]:
        """HTTP bearer."""
        return {"type": "http", "scheme": "bearer"}


class OwnSessionScheme(SessionScheme):
    """How the schema names the session cookie."""

    target_class = "backend.accounts.authentication.SessionAuthentication"
    name = "session"
