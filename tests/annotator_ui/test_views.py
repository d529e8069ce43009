"""The shells of the pages: who gets which, and what they may run."""

import re
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from django.contrib.staticfiles import finders

from annotator_ui.views import ADMIN, OFF_MENU, PAGES

pytestmark = pytest.mark.django_db
NAMES = {"annotator": "ada", "artist": "art", "reviewer": "rev", "researcher": "res", "admin": "leo"}
Api = Callable[..., Any]


@pytest.fixture(autouse=True)
def plain_static(settings: Any) -> None:
    """Static names without hashes: these tests need no collected files."""
    kept = {**settings.STORAGES}
    kept["staticfiles"] = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
    settings.STORAGES = kept


@pytest.mark.parametrize(("page", "address", "label", "roles"), PAGES + OFF_MENU)
def test_a_page_opens_for_its_roles_and_says_no_to_others(
    page: str, address: str, label: str, roles: tuple[str, ...], people: SimpleNamespace, api: Api
) -> None:
    for role, name in NAMES.items():
        reply = api(getattr(people, name)).get(address)
        wanted = 200 if role in roles or role == ADMIN else 403
        assert (role, reply.status_code) == (role, wanted)
        assert wanted == 200 or "is not for the role" in reply.content.decode()


@pytest.mark.parametrize("address", [row[1] for row in PAGES + OFF_MENU] + ["/batches/1/"])
def test_a_stranger_is_sent_to_the_login(address: str, api: Api) -> None:
    reply = api(None).get(address)
    assert (reply.status_code, reply["Location"]) == (302, f"/login/?next={address}")


def test_the_menu_holds_only_what_the_role_may_open(people: SimpleNamespace, api: Api) -> None:
    text = api(people.art).get("/").content.decode()
    assert 'href="/art/"' in text
    assert 'href="/batches/"' not in text and 'href="/admin/"' not in text


def test_the_import_map_is_the_only_inline_script_and_carries_the_nonce(
    people: SimpleNamespace, api: Api
) -> None:
    reply = api(people.ada).get("/compare/")
    policy = reply["Content-Security-Policy"]
    nonce = re.search(r"'nonce-([^']+)'", policy)
    scripts = re.findall(r"<script([^>]*)>", reply.content.decode())
    assert nonce and "'unsafe-inline'" not in re.search(r"script-src[^;]*", policy)[0]  # type: ignore[index]
    inline = [script for script in scripts if "src=" not in script]
    assert inline == [f' type="importmap" nonce="{nonce[1]}"']


def test_every_file_that_a_page_names_is_there(people: SimpleNamespace, api: Api) -> None:
    for _, address, _, _ in PAGES + OFF_MENU:
        text = api(people.leo).get(address).content.decode()
        named = re.findall(r'"/static/([^"]+)"', text)
        assert named and [name for name in named if finders.find(name) is None] == []


def test_webassembly_is_allowed_only_where_meshes_are_decoded(people: SimpleNamespace, api: Api) -> None:
    policies = {row[1]: api(people.leo).get(row[1])["Content-Security-Policy"] for row in PAGES + OFF_MENU}
    with_wasm = {address for address, policy in policies.items() if "wasm-unsafe-eval" in policy}
    assert with_wasm == {"/compare/", "/align/", "/art/", "/review/", "/practice/"}
    assert not [policy for policy in policies.values() if "unsafe-inline" in policy]


def test_a_page_speaks_the_language_of_its_reader(people: SimpleNamespace, api: Api) -> None:
    people.ada.preferences = {"language": "ko", "theme": "dark"}
    people.ada.save(update_fields=["preferences"])
    reply = api(people.ada).get("/")
    assert '<html lang="ko" data-theme="dark">' in reply.content.decode()
    assert reply.cookies["django_language"].value == "ko"


def test_words_come_in_the_languages_of_the_settings_only(api: Api) -> None:
    assert "gettext" in api(None).get("/words/ko.js").content.decode()
    assert api(None).get("/words/xx.js").status_code == 404
