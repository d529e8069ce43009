"""The languages are complete: every string that a person sees has its translation, and the compiled files are fresh."""

import gettext
import io

import pytest

from deploy import messages


@pytest.mark.parametrize("language", messages.LANGUAGES)
@pytest.mark.parametrize("domain", messages.DOMAINS, ids=lambda domain: f"{domain.app}-{domain.name}")
def test_every_string_is_translated(domain: messages.Domain, language: str) -> None:
    assert messages.faults(domain, language) == []


def test_strings_of_scripts_templates_and_python_are_found() -> None:
    found = {string for domain in messages.DOMAINS for string in messages.strings(domain)}
    assert {"Log out", "Next task", "Left is better"} <= found


def test_compiled_files_read_back_and_are_the_same_every_time() -> None:
    catalog = messages.collected(messages.DOMAINS[1], "ko")
    catalog["Log out"].string = "로그아웃"
    compiled = messages.as_mo(catalog)
    assert compiled == messages.as_mo(catalog)
    assert gettext.GNUTranslations(io.BytesIO(compiled)).gettext("Log out") == "로그아웃"
