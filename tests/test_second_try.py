"""The second try of browser tests: given once, to them alone, and told."""

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
