"""The command line: starts services only when a command needs them, and fails in one line."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from manage import needs_services

PROJECT = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize(
    ("words", "needed"),
    [
        ("migrate", True),
        ("import_images photos --batch a", True),
        ("propose --help", False),
        ("collectstatic --noinput", False),
        ("help", False),
        ("", False),
    ],
)
def test_it_starts_services_for_commands_that_use_them(words: str, needed: bool) -> None:
    assert needs_services(["manage.py", *words.split()]) is needed


@pytest.mark.parametrize(
    ("name", "value"), [("DATABASE_URL", "sqlite:///x.db"), ("LEASE_SECONDS", "soon"), ("DEBUG", "maybe"), ("MAQUETTE_ADAPTER_X", "a 'b")]
)
def test_a_wrong_setting_is_one_line_and_exit_code_1(name: str, value: str) -> None:
    done = subprocess.run(
        [sys.executable, "manage.py", "check"],
        cwd=PROJECT,
        env={**os.environ, name: value},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert name in done.stderr
