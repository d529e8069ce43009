"""A browser test that failed runs once more: on a loaded machine Chromium may stall for longer than any wait. So does
a test whose process died, or hung until faulthandler_timeout ended it, in another process.

Nothing is hidden: the summary names every test that needed its second try, and why; a process that was ended has printed
the stacks of all its threads.
"""

import pytest
from _pytest.runner import runtestprotocol

WHY = "second try"
_crashed: list[str] = []


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
    """Run the test, and where one in a browser fails, all of it again."""
    if not item.get_closest_marker("browser"):
        return None
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    reports = runtestprotocol(item, nextitem=nextitem, log=False)
    failed = [report for report in reports if report.failed]
    if failed:
        reports = runtestprotocol(item, nextitem=nextitem, log=False)
        for report in reports:
            report.user_properties.append((WHY, failed[0].longreprtext))
            report.sections.append(("First try", failed[0].longreprtext))
    for report in reports:
        item.ihook.pytest_runtest_logreport(report=report)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True


@pytest.hookimpl(optionalhook=True)
def pytest_handlecrashitem(crashitem: str, report: pytest.TestReport) -> None:
    """The controller's: xdist gives the test to another process by itself; the first time, that is no failure yet."""
    if crashitem not in _crashed:
        _crashed.append(crashitem)
        report.outcome = "rerun"  # type: ignore[assignment]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Name the tests that needed a second try, with the end of what was wrong the first time."""
    for name in _crashed:
        terminalreporter.write_line(
            f"SECOND TRY {name}\n  its process died or hung the first time, see above"
        )
    passed = terminalreporter.stats.get("passed", [])
    for report in passed:
        for name, words in report.user_properties:
            if name == WHY:
                terminalreporter.write_line(
                    f"SECOND TRY {report.nodeid}\n  " + "\n  ".join(words.splitlines()[-6:])
                )
