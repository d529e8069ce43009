"""Pages: empty shells whose modules fill themselves from the REST API. Nothing is read from the database here."""

from collections.abc import Callable
from typing import Any

from django.contrib.auth.decorators import login_required
from django.contrib.auth.views import LoginView, LogoutView
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import ensure_csrf_cookie

ANNOTATOR, ARTIST, REVIEWER, RESEARCHER, ADMIN = "annotator", "artist", "reviewer", "researcher", "admin"
EVERYONE = (ANNOTATOR, ARTIST, REVIEWER, RESEARCHER, ADMIN)
# In the order of the menu: page, its address, its name there, who may open it (an admin may open all).
PAGES: tuple[tuple[str, str, str, tuple[str, ...]], ...] = (
    ("next", "/", "Next task", EVERYONE),
    ("select", "/select/", "Select", (ANNOTATOR, REVIEWER)),
    ("compare", "/compare/", "Compare", (ANNOTATOR, REVIEWER)),
    ("align", "/align/", "Align", (ANNOTATOR, REVIEWER)),
    ("art", "/art/", "Art", (ARTIST,)),
    ("review", "/review/", "Review", (REVIEWER,)),
    ("batches", "/batches/", "Batches", (RESEARCHER, REVIEWER)),
    ("releases", "/releases/", "Releases", (RESEARCHER,)),
    ("models", "/models/", "Models", (RESEARCHER,)),
    ("progress", "/progress/", "Progress", EVERYONE),
)


def may_open(role: str, roles: tuple[str, ...]) -> bool:
    """Whether a person of this role may open a page for these roles."""
    return role == ADMIN or role in roles


def shell(name: str) -> Callable[..., HttpResponse]:
    """View of one page: the login first, then the role, then the template of the page's name."""
    title, roles = next((label, allowed) for page, _, label, allowed in PAGES if page == name.split("_")[0])

    @login_required
    @never_cache
    @ensure_csrf_cookie
    def view(request: HttpRequest, **arguments: Any) -> HttpResponse:
        role = getattr(request.user, "role", "")
        if not may_open(role, roles):
            raise PermissionDenied(f"The page {title} is not for the role {role}.")
        menu = [
            {"page": page, "url": url, "label": label, "here": page == name.split("_")[0]}
            for page, url, label, allowed in PAGES
            if may_open(role, allowed)
        ]
        return render(
            request,
            f"annotator_ui/{name}.html",
            {"menu": menu, "page": name, "title": title, "arguments": arguments},
        )

    view.roles = frozenset(roles)  # type: ignore[attr-defined]  # read by the test that walks every route
    return view


login = LoginView.as_view(template_name="annotator_ui/login.html", redirect_authenticated_user=True)
logout = LogoutView.as_view()


def refused(request: HttpRequest, exception: Exception) -> HttpResponse:
    """403 as a page that says who may open it."""
    return render(request, "annotator_ui/refused.html", {"message": str(exception)}, status=403)
