"""Pages: empty shells whose modules fill themselves from the REST API. Nothing is read from the database here."""

import json
from collections.abc import Callable
from typing import Any

from csp.decorators import csp_update
from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.contrib.auth.views import LoginView, LogoutView
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import translation
from django.utils.translation import gettext_noop as _
from django.views.decorators.cache import cache_control, never_cache
from django.views.decorators.csrf import ensure_csrf_cookie
from django.views.i18n import JavaScriptCatalog

ANNOTATOR, ARTIST, REVIEWER, RESEARCHER, ADMIN = _("annotator"), _("artist"), _("reviewer"), _("researcher"), _("admin")
EVERYONE = (ANNOTATOR, ARTIST, REVIEWER, RESEARCHER, ADMIN)
# In the order of the menu: page, its address, its name there, who may open it (an admin may open all).
PAGES: tuple[tuple[str, str, str, tuple[str, ...]], ...] = (
    ("next", "/", _("Next task"), EVERYONE),
    ("select", "/select/", _("Select"), (ANNOTATOR, REVIEWER)),
    ("compare", "/compare/", _("Compare"), (ANNOTATOR, REVIEWER)),
    ("align", "/align/", _("Align"), (ANNOTATOR, REVIEWER)),
    ("art", "/art/", _("Art"), (ARTIST,)),
    ("review", "/review/", _("Review"), (REVIEWER,)),
    ("batches", "/batches/", _("Batches"), (RESEARCHER, REVIEWER)),
    ("releases", "/releases/", _("Releases"), (RESEARCHER,)),
    ("models", "/models/", _("Models"), (RESEARCHER,)),
    ("progress", "/progress/", _("Progress"), EVERYONE),
)
# Found elsewhere: under the person's name, or when it is their time.
OFF_MENU: tuple[tuple[str, str, str, tuple[str, ...]], ...] = (
    ("preferences", "/preferences/", _("Preferences"), EVERYONE),
    ("practice", "/practice/", _("Practice"), (ANNOTATOR, REVIEWER)),
)
# Pages that decode meshes, which needs WebAssembly.
VIEWERS = frozenset({"compare", "align", "art", "review", "practice"})


def may_open(role: str, roles: tuple[str, ...]) -> bool:
    """Whether a person of this role may open a page for these roles."""
    return role == ADMIN or role in roles


def shell(name: str) -> Callable[..., HttpResponse]:
    """View of one page: the login first, then the role, then the template of the page's name."""
    title, roles = next((label, allowed) for page, _, label, allowed in PAGES + OFF_MENU if page == name.split("_")[0])

    @login_required
    @never_cache
    @ensure_csrf_cookie
    def view(request: HttpRequest, **arguments: Any) -> HttpResponse:
        role, preferences = getattr(request.user, "role", ""), getattr(request.user, "preferences", {})
        language = preferences.get("language") or translation.get_language()
        translation.activate(language)
        request.LANGUAGE_CODE = language  # type: ignore[attr-defined]
        if not may_open(role, roles):
            message = translation.gettext("The page %(page)s is not for the role %(role)s.")
            raise PermissionDenied(message % {"page": translation.gettext(title), "role": translation.gettext(role)})
        menu = [
            {"page": page, "url": url, "label": translation.gettext(label), "here": page == name.split("_")[0]}
            for page, url, label, allowed in PAGES
            if may_open(role, allowed)
        ]
        values = {"menu": menu, "page": name, "title": translation.gettext(title), "arguments": arguments}
        values |= {"languages": settings.LANGUAGES, "viewer": name in VIEWERS}
        reply = render(request, f"annotator_ui/{name}.html", values | {"preferences": preferences, "preferences_json": json.dumps(preferences)})
        # The API answers in the same language.
        reply.set_cookie(settings.LANGUAGE_COOKIE_NAME, language, samesite="Lax")
        return reply

    if name in VIEWERS:
        view = csp_update({"script-src": ["'wasm-unsafe-eval'"]})(view)
    view.roles = frozenset(roles)  # type: ignore[attr-defined]  # read by the test that walks every route
    return view


login = LoginView.as_view(template_name="annotator_ui/login.html", redirect_authenticated_user=True)
logout = LogoutView.as_view()


@cache_control(max_age=3600)
def words(request: HttpRequest, language: str) -> HttpResponse:
    """The catalogue of one language for words.js. 404 for a language that is not in settings."""
    if language not in dict(settings.LANGUAGES):
        raise Http404
    with translation.override(language):
        return JavaScriptCatalog.as_view(packages=["annotator_ui"])(request)


def refused(request: HttpRequest, exception: Exception) -> HttpResponse:
    """403 as a page that says who may open it."""
    return render(request, "annotator_ui/refused.html", {"message": str(exception)}, status=403)
