"""Logging in again in place, whose answers a session may store, and what a person may set for oneself."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.core.cache import cache
from rest_framework.test import APIClient

from backend.accounts.preferences import ACTIONS
from tests.conftest import PASSWORD

pytestmark = pytest.mark.django_db
Api = Callable[..., Any]
ROOT = Path(__file__).resolve().parents[3]
ME = "/api/v1/me/"


@pytest.fixture(autouse=True)
def no_failures() -> None:
    """Failed logins of other tests are forgotten."""
    cache.clear()


def browser() -> APIClient:
    """A client that must bring its CSRF token, as a browser does."""
    client = APIClient(enforce_csrf_checks=True)
    client.default_format = "json"
    client.get("/login/")
    return client


def log_in(client: APIClient, name: str, password: str = PASSWORD, **headers: str) -> Any:
    token = client.cookies["csrftoken"].value if "csrftoken" in client.cookies else ""
    return client.post(
        "/api/v1/session/", {"username": name, "password": password}, headers={"X-CSRFToken": token, **headers}
    )


def test_a_page_logs_in_where_it_stands(people: SimpleNamespace, static_files: None) -> None:
    client = browser()
    reply = log_in(client, "ada")
    assert (reply.status_code, reply.json()["username"], reply.json()["role"]) == (200, "ada", "annotator")
    assert client.get(ME).json()["id"] == people.ada.pk


def test_logging_in_needs_the_csrf_token(people: SimpleNamespace, static_files: None) -> None:
    client = browser()
    client.cookies.clear()
    assert log_in(client, "ada").status_code == 403


def test_a_wrong_password_is_said_and_the_eleventh_has_to_wait(people: SimpleNamespace, static_files: None) -> None:
    client = browser()
    for _ in range(10):
        assert log_in(client, "ada", "wrong").json()["error"]["code"] == "bad_login"
    assert log_in(client, "ada").status_code == 429
    assert log_in(client, "rev").status_code == 200


def test_a_page_of_one_person_stores_nothing_under_the_session_of_another(people: SimpleNamespace, api: Api) -> None:
    client = api(people.leo)
    reply = client.post("/api/v1/next/", {}, headers={"X-Person": str(people.ada.pk)})
    assert (reply.status_code, reply.json()["error"]["code"]) == (401, "other_person")
    assert client.post("/api/v1/next/", {}, headers={"X-Person": str(people.leo.pk)}).status_code == 204


def test_preferences_are_kept_one_by_one(people: SimpleNamespace, api: Api) -> None:
    client = api(people.ada)
    keys = {"compare": {"left": ["q", "ctrl+arrowleft"]}}
    assert client.patch(ME, {"preferences": {"language": "ko", "keys": keys}}).status_code == 200
    assert client.patch(ME, {"preferences": {"theme": "dark", "motion": "still"}}).status_code == 200
    kept = client.get(ME).json()["preferences"]
    assert kept == {"language": "ko", "keys": keys, "theme": "dark", "motion": "still"}


@pytest.mark.parametrize(
    "preferences",
    [
        {"language": "xx"},
        {"theme": "pink"},
        {"motion": "fast"},
        {"role": "admin"},
        {"keys": {"compare": {"fly": ["q"]}}},
        {"keys": {"cockpit": {"left": ["q"]}}},
        {"keys": {"compare": {"left": []}}},
        {"keys": {"compare": {"left": ["Q"]}}},
        {"keys": {"compare": {"left": ["tab"]}}},
        {"keys": {"compare": {"left": ["<script>"]}}},
        {"keys": {"compare": {"left": ["q"], "right": ["q"]}}},
        {"keys": {"compare": {"left": ["q", "w", "e", "r", "t"]}}},
        {"keys": {"compare": "q"}},
        ["dark"],
    ],
)
def test_what_is_no_preference_is_refused_and_nothing_changes(
    preferences: Any, people: SimpleNamespace, api: Api
) -> None:
    reply = api(people.ada).patch(ME, {"preferences": preferences})
    assert reply.status_code == 400
    people.ada.refresh_from_db()
    assert (people.ada.preferences, people.ada.role) == ({}, "annotator")


def test_the_server_knows_exactly_the_actions_of_the_pages_key_tables() -> None:
    script = """
    import { TABLES } from "./annotator_ui/static/annotator_ui/keys.js";
    const free = (table) => table.filter((entry) => !entry.shown).map(({ action }) => action);
    console.log(JSON.stringify(Object.fromEntries(TABLES.map(({ name, table }) => [name, free(table)]))));
    """
    run = subprocess.run(["node", "--input-type=module", "-e", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert {name: actions.split() for name, actions in ACTIONS.items()} == json.loads(run.stdout)
