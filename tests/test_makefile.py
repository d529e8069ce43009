"""The public make targets exist, and each can be planned without running anything."""

import subprocess
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize("target", ["demo", "demo-reset", "test", "bench", "bench-model", "bench-data", "soak"])
def test_a_public_target_can_be_planned(target: str) -> None:
    planned = subprocess.run(["make", "-n", target], cwd=PROJECT, capture_output=True, text=True)
    assert planned.returncode == 0, planned.stderr


def test_the_lock_file_names_no_registry() -> None:
    assert '"resolved"' not in (PROJECT / "package-lock.json").read_text()
