"""The languages: every marked string of server and templates is translated, and a person is answered in the own one."""

import pytest
from django.test import Client
from django.utils import translation

from backend import jobs
from backend.accounts.api import describe_job
from backend.models import Job
from deploy.messages import DOMAINS, LANGUAGES, Domain, faults


@pytest.mark.parametrize("domain", [entry for entry in DOMAINS if entry.name == "django"], ids=lambda entry: entry.app)
@pytest.mark.parametrize("language", LANGUAGES)
def test_every_marked_string_is_translated_and_the_files_are_fresh(domain: Domain, language: str) -> None:
    assert faults(domain, language) == []


def test_a_refusal_comes_in_the_language_of_the_browser(db: None) -> None:
    login = {"username": "nobody", "password": "wrong"}
    said = {}
    with translation.override("en"):  # the middleware leaves the language of the last request behind
        for language in ("en", "ko"):
            reply = Client(headers={"accept-language": language}).post("/api/v1/token/", login, "application/json")
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
