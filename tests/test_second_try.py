"""The second try: of browser tests that failed and of tests whose process died; given once and told."""

from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

TESTS = """
import pytest
seen = []
@pytest.mark.browser
def test_stalls_once():
    seen.append(1)
    assert len(seen) > 1, "stalled"
@pytest.mark.browser
def test_is_broken():
    assert False
def test_needs_no_browser():
    seen.append(1)
    assert len(seen) > 5
"""


def test_only_browser_tests_get_a_second_try_and_it_is_told(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(TESTS)
    pytester.makeini("[pytest]\nmarkers = browser: in Chromium")
    done = pytester.runpytest_inprocess("-p", "tests.second_try", "-p", "no:xdist", "-p", "no:django")
    done.assert_outcomes(passed=1, failed=2)
    done.stdout.fnmatch_lines(["SECOND TRY *test_stalls_once", "*stalled*"])


DYING = """
import os, pathlib, time
def test_hangs_once():
    mark = pathlib.Path("mark")
    if not mark.exists():
        mark.touch()
        time.sleep(60)
def test_dies_always():
    os._exit(1)
"""


def test_a_test_whose_process_hung_runs_in_another_one(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1]))
    pytester.makepyfile(DYING)
    pytester.makeini("[pytest]\nfaulthandler_timeout = 3\nfaulthandler_exit_on_timeout = true")
    words = ("-n", "1", "--dist", "loadfile", "--max-worker-restart", "2", "-p", "tests.second_try")
    done = pytester.runpytest_subprocess(*words, "-p", "no:django")
    done.stdout.fnmatch_lines(
        ["SECOND TRY *test_hangs_once", "*died or hung*", "SECOND TRY *test_dies_always"]
    )
    assert done.ret == 1 and done.parseoutcomes() == {"rerun": 2, "failed": 1, "passed": 1}
