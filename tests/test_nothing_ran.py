"""Logs and results in which nothing ran, all was skipped or nothing was reached; and those that look so."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness_core.evidence.content import flaw
from harness_core.evidence.files import Kind

GO_ALL_SKIPPED = """=== RUN   TestLogin
    login_test.go:9: no database
--- SKIP: TestLogin (0.00s)
PASS
ok  \texample.com/app\t0.003s"""
NODE_ALL_SKIPPED = """TAP version 13
# Subtest: suite
    # Subtest: logs in
    ok 1 - logs in # SKIP
    1..1
ok 1 - suite
1..1
# tests 1
# suites 1
# pass 0
# fail 0
# skipped 1
# todo 0"""
CARGO_ALL_IGNORED = """running 1 test
test logs_in ... ignored
test result: ok. 0 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s
   Doc-tests app
running 0 tests
test result: ok. 0 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s"""
JEST_ALL_SKIPPED = """Test Suites: 1 skipped, 0 of 1 total
Tests:       5 skipped, 5 total
Snapshots:   0 total
Time:        0.4 s"""
VITEST_ALL_SKIPPED = """✓ 34 modules transformed.
 Test Files  1 skipped (1)
      Tests  4 skipped | 1 todo (5)
   Start at  10:00:00"""

HOLLOW = {
    "pytest, none": "collected 0 items\n\n===== no tests ran in 0.01s =====",
    "pytest, all skipped": "collected 5 items\n\na.py sssss [100%]\n\n===== 5 skipped in 0.02s =====",
    "pytest -q, all skipped": "sssss      [100%]\n5 skipped, 2 warnings in 0.02s",
    "pytest, skipped or failing as foreseen": "===== 2 skipped, 1 xfailed in 0.94s =====",
    "pytest, all deselected": "collected 5 items / 5 deselected / 0 selected\n== 5 deselected in 0.01s ==",
    "pytest, collected only": "tests/test_a.py::test_b\n\n3 tests collected in 0.65s",
    "unittest, none": "\n----------\nRan 0 tests in 0.000s\n\nOK",
    "unittest, none by a newer Python": "Ran 0 tests in 0.000s\n\nNO TESTS RAN",
    "unittest, all skipped": "Ran 4 tests in 0.001s\n\nOK (skipped=4)",
    "unittest, skipped and foreseen": "Ran 4 tests in 0.001s\n\nOK (skipped=3, expected failures=1)",
    "Jest, none": "No tests found, exiting with code 0",
    "Jest, all skipped": JEST_ALL_SKIPPED,
    "Jest, all to do": "Test Suites: 1 skipped, 0 of 1 total\nTests:       2 todo, 2 total",
    "Vitest, none": "include: **/*.test.ts\n\nNo test files found, exiting with code 0",
    "Vitest, all skipped": VITEST_ALL_SKIPPED,
    "Mocha, none": "\n  0 passing (2ms)\n",
    "Mocha, all pending": "  login\n    - logs in\n\n  0 passing (3ms)\n  5 pending",
    "Go, none": "ok  \texample.com/app\t0.003s [no tests to run]",
    "Go, no files": "?   \texample.com/app\t[no test files]",
    "Go, none matched": "testing: warning: no tests to run\nPASS\nok  \tapp\t0.2s [no tests to run]",
    "Go, all skipped": GO_ALL_SKIPPED,
    "Cargo, none": "running 0 tests\n\ntest result: ok. 0 passed; 0 failed; 0 ignored; 0 measured",
    "Cargo, all ignored": CARGO_ALL_IGNORED,
    "TAP, none": "TAP version 13\n1..0 # SKIP no database",
    "TAP, all skipped": "1..2\nok 1 # SKIP no database\nok 2 - logs in # skip no database",
    "Node, all skipped": NODE_ALL_SKIPPED,
    "Node, none": "\u2139 tests 0\n\u2139 pass 0\n\u2139 fail 0\n\u2139 skipped 0",
    "Playwright, all skipped": "Running 5 tests using 1 worker\n\n  5 skipped",
    "bare": "5 skipped",
    "RSpec, none": "No examples found.\n\nFinished in 0.0002 seconds\n0 examples, 0 failures",
    "RSpec, all pending": "Finished in 0.01 seconds\n4 examples, 0 failures, 4 pending",
    "Minitest, all skipped": "3 runs, 0 assertions, 0 failures, 0 errors, 3 skips",
    "ExUnit, all left out": "Finished in 0.01 seconds\n4 tests, 0 failures, 4 excluded",
    "Surefire, all skipped": "[INFO] Tests run: 5, Failures: 0, Errors: 0, Skipped: 5",
    "PHPUnit, all skipped": "OK, but some tests were skipped!\nTests: 4, Assertions: 0, Skipped: 4.",
    "PHPUnit, none": "No tests executed!",
    "database not reached": "could not connect to localhost:5432: Connection refused\nskipping",
    "server not reached": "GET http://localhost:3000/ ...\nconnect ECONNREFUSED 127.0.0.1:3000",
    "not reached after something was": "GET /login 200\nGET /todos: net::ERR_CONNECTION_REFUSED",
    "host not reached": "ping db\nhost db.local is unreachable",
    "tests that were left out": "lint\nintegration tests skipped: no database",
    "Cypress, all pending": "  Tests: 3\n  Passing:      0\n  Pending:      3",
    "left out for want of it": "DATABASE_URL isn't set, skipping the integration tests",
}
HELD = {
    "pytest": "collected 5 items\n===== 3 passed, 2 skipped in 0.12s =====",
    "pytest, deselected": "===== 1 passed, 40 deselected in 0.12s =====",
    "pytest, one foreseen": "5 passed, 1 xfailed, 2 warnings in 1.20s",
    "unittest": "Ran 4 tests in 0.001s\n\nOK (skipped=3)",
    "unittest, one foreseen": "Ran 4 tests in 0.001s\n\nOK (expected failures=1)",
    "Django": "Ran 12 tests in 0.101s\n\nOK\nDestroying test database for alias 'default'...",
    "Jest": "Test Suites: 1 skipped, 2 passed, 2 of 3 total\nTests:       1 skipped, 8 passed, 9 total",
    "Vitest": " Test Files  1 passed | 1 skipped (2)\n      Tests  2 passed | 3 skipped (5)",
    "Mocha": "  2 passing (40ms)\n  5 pending",
    "Go": "?   \tapp/cmd\t[no test files]\nok  \tapp/store\t0.003s",
    "Go from its cache": "ok  \tapp/store\t(cached)\nok  \tapp/web\t0.1s [no tests to run]",
    "Go -v": "=== RUN   A\n--- SKIP: A (0.0s)\n=== RUN   B\n--- PASS: B (0.0s)\nPASS\nok  \tapp\t0.1s",
    "Cargo": "test result: ok. 3 passed; 0 failed\nrunning 0 tests\ntest result: ok. 0 passed; 0 failed",
    "TAP": "1..2\nok 1 - adds\nok 2 - later # SKIP",
    "Node": "ok 1 - suite\n# tests 3\n# pass 2\n# fail 0\n# skipped 1",
    "Playwright": "Running 5 tests using 2 workers\n\n  2 skipped\n  3 passed (2.1s)",
    "RSpec": "4 examples, 0 failures, 1 pending",
    "Minitest": "3 runs, 7 assertions, 0 failures, 0 errors, 1 skips",
    "ExUnit of doctests": "5 doctests, 0 tests, 0 failures",
    "Surefire": "Tests run: 5, Failures: 0, Errors: 0, Skipped: 1",
    "PHPUnit": "OK (4 tests, 9 assertions)",
    "two runners": "3 passed in 0.1s\nNo tests found, exiting with code 0",
    "two runners, long apart": "ok  \tapp\t0.1s\n"
    + "building\n" * 60
    + "No test files found, exiting with code 0",
    "checks of one's own": "login: ok\n4/5 checks passed, 1 skipped\n5 skipped",
    "an app's words": "saved 3 todos\n0 errors, 0 warnings",
    "an importer": "imported 10 rows\n3 skipped",
    "an importer, in two lines": "10 rows imported\n3 skipped",
    "an app about tests": "\u2713 says \u201cno tests found\u201d for an empty list\n\u2713 adds one",
    "a build": "Skipping linting\n\u2713 Compiled successfully\nRoute (app)  Size",
    "a refused connection that has to be": "stopped\nGET / -> connection refused (expected)",
    "a check that it is refused": "curl: connection refused after the stop\nPASS: nothing listens any more",
    "a test's name": "\u2713 shows a banner when the connection is refused",
    "a wait for it": 'connect ECONNREFUSED ::1:3000\nconnect ECONNREFUSED ::1:3000\n{"todos": [1, 2]}',
    "a wait, then a status": "cannot connect, trying again\nGET / 200\nsaved\nreloaded\nstill there",
    "a banner": "stopped\nthe page shows: cannot connect to the server\nstarted\nbanner is gone",
    "a maze": "start at (0,0)\ncan't reach the exit from (3,4): cell unreachable\n12 steps by another way",
    "a count of one's own": "12 tests run, 0 failed, 2 tests skipped",
    "a count with nothing left out": "tests: 12 run, 0 failed, 0 skipped",
    "a play": "localhost : ok=5 changed=2 unreachable=0 failed=0 skipped=1",
    "a play, no more": "host a: done, unreachable: 0",
    "Cypress": "  Tests: 3\n  Passing:      3\n  Pending:      0\n  Skipped:      0",
    "a table": "id | title\n 1 | buy milk\n(1 row)",
    "a counter": "clicked 3 times\ncounter shows 0\nclicked again\ncounter shows 1",
}


@pytest.mark.parametrize("case", HOLLOW)
def test_a_log_in_which_nothing_passed_proves_nothing(case: str) -> None:
    assert "proves nothing" in str(flaw(f"> test\n\n{HOLLOW[case]}\n".encode(), "a.log", Kind.TEXT))


@pytest.mark.parametrize("case", HOLLOW)
def test_nor_does_one_that_ends_with_exit_status_0(case: str) -> None:
    assert flaw(f"{HOLLOW[case]}\nexit code 0\n".encode(), "a.log", Kind.TEXT)


@pytest.mark.parametrize("case", HELD)
def test_a_log_in_which_something_passed_holds(case: str) -> None:
    assert flaw(f"> test\n\n{HELD[case]}\n".encode(), "a.log", Kind.TEXT) is None


@pytest.mark.parametrize(
    ("name", "text", "holds"),
    [
        ("jest-results.json", '{"numTotalTests": 5, "numPassedTests": 3, "numPendingTests": 2}', True),
        ("jest-results.json", '{"numTotalTests": 5, "numPassedTests": 0, "numPendingTests": 5}', False),
        ("jest-results.json", '{"numTotalTests": 0, "numPassedTests": 0, "numFailedTests": 0}', False),
        ("results.json", '{"stats": {"expected": 4, "skipped": 1, "unexpected": 0, "flaky": 0}}', True),
        ("results.json", '{"stats": {"expected": 0, "skipped": 5, "unexpected": 0, "flaky": 0}}', False),
        ("results.json", '{"stats": {"tests": 5, "passes": 0, "pending": 5, "failures": 0}}', False),
        ("results.json", '{"summary": {"collected": 5, "total": 5, "skipped": 5}}', False),
        ("results.json", '{"summary": {"collected": 0, "total": 0}}', False),
        ("results.json", '{"summary": {"passed": 1, "skipped": 4, "total": 5, "collected": 5}}', True),
        ("results.json", '[{"name": "a", "status": "skipped"}, {"name": "b", "status": "skipped"}]', False),
        ("results.json", '[{"name": "a", "status": "skipped"}, {"name": "b", "status": "passed"}]', True),
        ("results.json", '{"total": 0, "items": []}', True),
        ("results.json", '{"id": 4, "status": "pending", "passed": 0}', True),
        ("results.json", "[1, 2]", True),
        ("result.json", '{"total": 3, "pending": 3}', True),
        ("results.json", '{"total": 10, "skipped": 0}', True),
        ("results.json", '{"total": 3, "skipped": 3}', False),
        ("junit.xml", '<testsuites tests="0"/>', False),
        ("junit.xml", '<testsuite tests="1" skipped="1"><testcase><skipped/></testcase></testsuite>', False),
        (
            "junit.xml",
            '<testsuite tests="2" skipped="1"><testcase name="a"><skipped message="x"/></testcase>'
            '<testcase name="b"/></testsuite>',
            True,
        ),
        ("test-results.xml", '<test-run total="5" passed="0" skipped="5"></test-run>', False),
        ("test-results.xml", '<test-run total="5" passed="4" skipped="1"></test-run>', True),
        ("results.xml", "<todos><todo/></todos>", True),
    ],
)  # fmt: skip
def test_a_result_file_counts_if_a_test_in_it_passed(name: str, text: str, holds: bool) -> None:
    found = flaw(text.encode(), name, Kind.TEXT)
    assert (found is None) is holds and (holds or "proves nothing" in str(found))


def test_endless_lines_are_judged_quickly() -> None:
    for piece in ("tests ", "1 ", "\n", " ", "skipping ", "1, ", "ran 1 test in 0.1s ", "ok 1", "="):
        flaw(b"x" + piece.encode() * (1_000_000 // len(piece)), "a.log", Kind.TEXT)


SUITE = """
import unittest
class Todos(unittest.TestCase):
    @unittest.skip("no database")
    def test_adds(self): pass
    {second}def test_counts(self): self.assertEqual(1 + 1, 2)
"""


@pytest.mark.parametrize(("second", "holds"), [("", True), ("@unittest.skip('none')\n    ", False)])
@pytest.mark.parametrize(
    "runner", [("-m", "unittest", "-v"), ("-m", "pytest", "-p", "no:cacheprovider", "-q")]
)
def test_what_runners_really_write_is_understood(
    tmp_path: Path, runner: tuple[str, ...], second: str, holds: bool
) -> None:
    (tmp_path / "test_todos.py").write_text(SUITE.format(second=second))
    done = subprocess.run(
        [sys.executable, *runner, "test_todos.py"],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        check=False,
    )
    assert (flaw(done.stdout + done.stderr, "a.log", Kind.TEXT) is None) is holds
