"""Every route, every method, as everyone: who is let in is written down here, and nothing is left out."""

import re
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from django.urls import URLPattern, URLResolver

from backend.urls import urlpatterns

pytestmark = pytest.mark.django_db

NAMES = {"annotator": "ada", "artist": "art", "reviewer": "rev", "researcher": "res", "admin": "leo"}
ALL = frozenset(NAMES)
DESK = frozenset({"annotator", "reviewer", "admin"})
KEEPERS = frozenset({"researcher", "admin"})
ADMIN = frozenset({"admin"})
READERS = frozenset({"reviewer", "researcher", "admin"})
SENDERS = frozenset({"artist", "admin"})
# route -> method -> roles. A route that is not here fails the test.
UUID = "00000000-0000-4000-8000-000000000000"
ALLOWED: dict[str, dict[str, frozenset[str]]] = {
    "me/": {"GET": ALL, "PATCH": ALL},
    "jobs/1/": {"GET": ALL},
    "jobs/1/retry/": {"POST": ADMIN},
    "next/": {"POST": DESK | {"artist"}},
    "assignments/1/": {"GET": DESK | {"artist"}},
    "assignments/1/comparisons/": {"POST": DESK},
    "assignments/1/undo/": {"POST": DESK},
    "assignments/1/rating/": {"POST": DESK},
    "assignments/1/alignment/": {"POST": DESK},
    "assignments/1/mask/": {"POST": DESK},
    "assignments/1/fit/": {"POST": DESK},
    "assignments/1/segment/": {"POST": DESK},
    "assignments/1/confirm/": {"POST": DESK},
    "assignments/1/reject/": {"POST": DESK},
    "batches/1/taxonomy/": {"GET": DESK},
    "assignments/1/heartbeat/": {"POST": DESK | {"artist"}},
    "assignments/1/release/": {"POST": DESK | {"artist"}},
    "assignments/1/skip/": {"POST": DESK},
    "assignments/1/escalate/": {"POST": DESK},
    "assignments/1/draft/": {"PUT": DESK | {"artist"}},
    "assignments/1/postpone/": {"POST": DESK},
    "assignments/1/resume/": {"POST": DESK},
    "work/": {"GET": DESK | {"artist"}},
    "objects/1/problems/": {"POST": DESK | {"artist"}},
    "batches/1/problems/": {"GET": frozenset({"reviewer", "admin"})},
    "problems/1/settle/": {"POST": frozenset({"reviewer", "admin"})},
    "practice/": {"GET": DESK, "POST": ADMIN},
    "practice/1/": {"POST": DESK},
    "reviews/": {"GET": frozenset({"reviewer", "admin"})},
    "reviews/1/": {
        "GET": frozenset({"reviewer", "admin"}),
        "POST": frozenset({"reviewer", "admin"}),
    },
    "progress/": {"GET": ALL},
    "batches/": {"GET": READERS, "POST": ADMIN},
    "batches/1/": {"GET": READERS, "PATCH": ADMIN},
    "batches/1/objects/": {"GET": READERS},
    "batches/1/instructions/": {"GET": ALL},
    "batches/1/propose/": {"POST": ADMIN},
    "imports/images/": {"POST": ADMIN},
    "imports/meshes/": {"POST": ADMIN},
    "uploads/": {"POST": SENDERS},
    f"uploads/{UUID}/": {"GET": SENDERS},
    f"uploads/{UUID}/file/": {"PUT": SENDERS},
    f"uploads/{UUID}/parts/1/": {"PUT": SENDERS},
    f"uploads/{UUID}/finalise/": {"POST": SENDERS},
    "images/1/photo/": {"GET": ALL},
    "images/1/remove/": {"POST": ADMIN},
    "objects/1/mask.png": {"GET": ALL},
    "objects/1/points.bin": {"GET": ALL},
    f"candidates/{UUID}/model.glb": {"GET": ALL},
    f"candidates/{UUID}/thumbnail.png": {"GET": ALL},
    f"candidates/{UUID}/turntable.png": {"GET": ALL},
    "batches/1/anchors/": {"GET": ADMIN, "POST": ADMIN},
    "anchors/1/": {"DELETE": ADMIN},
    "batches/1/curate/": {"POST": ADMIN},
    "art/tasks/": {"GET": SENDERS},
    "assignments/1/case/": {"GET": SENDERS | {"reviewer"}},
    "assignments/1/submission/": {"POST": SENDERS},
    "submissions/": {"GET": SENDERS | {"reviewer"}},
    "submissions/1/": {"GET": SENDERS | {"reviewer"}},
    "submissions/1/model.glb": {"GET": SENDERS | {"reviewer"}},
    "submissions/1/pictures/1.png": {"GET": SENDERS | {"reviewer"}},
    "submissions/1/repair/": {"POST": SENDERS},
    "submissions/1/pins/": {"POST": SENDERS | {"reviewer"}},
    "submissions/1/verdict/": {"POST": frozenset({"reviewer", "admin"})},
    "objects/1/starter.zip": {"GET": SENDERS | {"reviewer"}},
    "releases/": {"GET": KEEPERS, "POST": KEEPERS},
    "releases/1/": {"GET": KEEPERS},
    "releases/1/files/": {"GET": KEEPERS},
    "releases/1/files/x": {"GET": KEEPERS},
    "releases/1/compare/1/": {"GET": KEEPERS},
    "releases/1/verify/": {"POST": KEEPERS},
    "builds/": {"GET": KEEPERS},
    "builds/1/": {"GET": KEEPERS},
    "checkpoints/": {"GET": KEEPERS},
    "checkpoints/1/": {"GET": KEEPERS},
    "checkpoints/1/promote/": {"POST": KEEPERS},
    "checkpoints/demote/": {"POST": KEEPERS},
    "runs/": {"GET": KEEPERS, "POST": KEEPERS},
    "runs/1/": {"GET": KEEPERS},
    "evaluations/": {"GET": KEEPERS, "POST": KEEPERS},
}
OPEN = {"token/", "session/", "schema/", "docs/"}
VALUES = {"int": "1", "uuid": UUID, "str": "x", "slug": "x", "path": "x"}


def routes(patterns: list[Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every route as a path with example values, and its view."""
    for pattern in patterns:
        where = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from routes(pattern.url_patterns, where)
        elif isinstance(pattern, URLPattern):
            yield re.sub(r"<(\w+):\w+>", lambda match: VALUES[match[1]], where), pattern.callback


API = {
    route.removeprefix("api/v1/"): view for route, view in routes(urlpatterns) if route.startswith("api/v1/")
}


def methods(view: Any) -> list[str]:
    """HTTP methods a view answers, apart from OPTIONS and HEAD."""
    return [
        name.upper()
        for name in view.cls.http_method_names
        if name in {"get", "post", "put", "patch", "delete"} and hasattr(view.cls, name)
    ]


def test_the_table_names_every_route_and_method_and_no_other() -> None:
    served = {route: set(methods(view)) for route, view in API.items() if route not in OPEN}
    assert served == {route: set(by_method) for route, by_method in ALLOWED.items()}


@pytest.mark.parametrize("route", [route for route in API if route not in OPEN])
def test_a_route_lets_in_whom_the_table_names(
    route: str, people: SimpleNamespace, api: Callable[..., Any]
) -> None:
    for method, roles in ALLOWED[route].items():
        stranger = api(None).generic(method, f"/api/v1/{route}")
        assert (stranger.status_code, stranger.json()["error"]["code"]) == (401, "not_authenticated")
        for role, name in NAMES.items():
            client = api(getattr(people, name))
            client.raise_request_exception = True
            status = client.generic(
                method, f"/api/v1/{route}", "{}", content_type="application/json"
            ).status_code
            if role in roles:
                assert status not in {401, 403, 405, 500}, f"{method} {route} refused {role}: {status}"
            else:
                assert status == 403, f"{method} {route} let in {role}: {status}"
