"""What the tests of workers share."""

import pytest

from backend import jobs


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """No worker of another test hears of the jobs: `work` is the only one."""
    monkeypatch.setattr(jobs, "ring", lambda rows: None)
