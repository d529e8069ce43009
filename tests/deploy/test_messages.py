"""The languages: every string that a person sees is translated, the compiled files are fresh, each is answered in theirs."""

import gettext
import io
import json
import re

import pytest
from django.apps import apps
from django.test import Client
from django.utils import translation

from backend import jobs
from backend.accounts.api import describe_job
from backend.annotation.answers import MASK_REASONS
from backend.annotation.routing import REASONS
from backend.models import Job
from deploy import messages


@pytest.mark.parametrize("language", messages.LANGUAGES)
@pytest.mark.parametrize("domain", messages.DOMAINS, ids=lambda domain: f"{domain.app}-{domain.name}")
def test_every_string_is_translated(domain: messages.Domain, language: str) -> None:
    assert messages.faults(domain, language) == []


def test_strings_of_scripts_templates_and_python_are_found() -> None:
    found = {string for domain in messages.DOMAINS for string in messages.strings(domain)}
    assert {"Log out", "Next task", "Left is better"} <= found


def test_no_string_of_a_script_hides_from_the_collector() -> None:
    """It does not look into template literals, nor at a string that is no call's first word."""
    found, hidden = set(messages.strings(messages.DOMAINS[2])), []
    for path in sorted((messages.PROJECT / "annotator_ui" / "static").rglob("*.js")):
        script = re.sub(r"^\s*(//|/?\*).*$", "", path.read_text(), flags=re.MULTILINE)
        for call in re.finditer(r"""\b[tw]\(\s*(?:("(?:[^"\\]|\\.)*")\s*[,)]|([^,()]*["'`].*))""", script):
            if call[2] or json.loads(call[1]) not in found:
                hidden.append(f"{path.name}: {call[0]}")
    assert hidden == []


def test_every_state_stage_role_and_reason_that_pages_show_has_a_name() -> None:
    """Pages put codes through words(), which finds only what is marked somewhere."""
    found = set(messages.strings(messages.DOMAINS[2]))
    codes = {*REASONS, *MASK_REASONS, "below alpha"}
    for model in apps.get_models():
        if model.__module__.startswith("backend.") and model.__name__ != "Candidate":
            for field in model._meta.fields:
                if field.name in {"state", "stage", "role"}:
                    codes |= {str(code).replace("_", " ") for code, _ in field.choices or ()}
    assert codes - found == set()


def test_compiled_files_read_back_and_are_the_same_every_time() -> None:
    catalog = messages.collected(messages.DOMAINS[1], "ko")
    catalog["Log out"].string = "로그아웃"
    compiled = messages.as_mo(catalog)
    assert compiled == messages.as_mo(catalog)
    assert gettext.GNUTranslations(io.BytesIO(compiled)).gettext("Log out") == "로그아웃"


def test_a_refusal_comes_in_the_language_of_the_browser(db: None) -> None:
    login = {"username": "nobody", "password": "wrong"}
    said = {}
    with translation.override("en"):  # the middleware leaves the language of the last request behind
        for language in ("en", "ko"):
            reply = Client(headers={"accept-language": language}).post(
                "/api/v1/token/", login, "application/json"
            )
            said[language] = reply.json()["error"]
    assert said["en"]["message"] == "Name or password is wrong."
    assert said["ko"]["message"] == "사용자 이름 또는 비밀번호가 틀렸습니다."
    assert said["en"]["code"] == said["ko"]["code"]


def test_a_job_whose_worker_died_says_so_to_each_reader() -> None:
    row = Job(kind="fit", state="failed", error=jobs.DIED)
    with translation.override("ko"):
        assert describe_job(row)["error"] == "작업 프로세스가 죽었고 남은 시도 횟수가 없습니다"
    with translation.override("en"):
        assert describe_job(row)["error"] == jobs.DIED
