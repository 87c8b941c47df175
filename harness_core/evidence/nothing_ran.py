"""Whether a log or a result file tells that nothing was tried: no test ran, or all were skipped, or cut off.

Test runners call that a success. It proves nothing, so no claim rests on it. One test that passed is enough.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

_NEAR_END = 5
"""In how many of a log's last lines a refused connection counts as its end."""
_LONGEST_LINE = 2000
_SOME = ""


@dataclass(frozen=True, slots=True)
class _Summary:
    """How a runner tells what came of its tests.

    The group `passed` is how many passed; `all` and `more` are how many there were, with those that
    the same words call skipped. Without a group, none passed; `one` stands for a single test that did.
    """

    expression: str
    one: bool = False
    unless: str | None = None
    """A pattern of a better account by the same runner, which makes this one worthless."""


_SKIPPED = r"(?:skipped|skips?|pending|deselected|excluded|ignored|todo|undefined|incomplete|xfailed)"
_TESTS = r"(?:tests?|test (?:files?|suites?|modules?|cases?)|examples?|specs?|scenarios?)"
_SUMMARIES = (
    # "3 passed", "0 passing", "5 tests passed", "4/5 checks passed", "# pass 3", "Passed: 0".
    _Summary(
        r"(?<![\d.:/#-])(?P<passed>\d{1,7})(?: *(?:/|of|out of) *\d+)?"
        r"[ \t]+(?:(?:tests?|specs?|checks?|examples?|scenarios?|suites?|files?) +)?"
        r"(?:xpassed|passed|passing|pass|succeeded)\b"
    ),
    _Summary(r"\bpass(?:ed|es|ing)?[ \t]*[:=]?[ \t]+(?P<passed>\d{1,7})\b(?![.]|\s*(?:ms|s|%)\b)"),
    # pytest: a last line without a word of one that passed.
    _Summary(rf"^=*\s*\d+ (?:skipped|deselected|xfailed)(?:, \d+ {_SKIPPED}|, \d+ warnings?)* in [\d.]+s"),
    _Summary(r"^=*\s*\d+(?:/\d+)? tests? collected\b|^collected 0 items"),
    # unittest and what is built on it.
    _Summary(r"^Ran (?P<all>\d+) tests? in [\d.]+s(?:\s+(?:OK|NO TESTS RAN)\b(?: \([^)\n]*\))?)?"),
    # Jest and Vitest.
    _Summary(rf"^\s*Test(?:s| Suites):\s+(?:\d+ {_SKIPPED}, )*(?:\d+ of )?\d+ total"),
    _Summary(rf"^\s*Test(?:s| Files)\s+(?:no tests|\d+ {_SKIPPED}(?: \| \d+ {_SKIPPED})* \(\d+\))"),
    # Go: with -v each test is told, and "ok" is said of a package in which all were skipped too.
    _Summary(r"^\s*--- PASS: ", one=True),
    _Summary(r"^\s*--- SKIP: |\bmatched no packages\b"),
    _Summary(r"^ok\s+\S+\s+(?:\(cached\)|[\d.]+s)(?!.*\[no tests)", one=True, unless=r"^=== RUN "),
    _Summary(r"^DONE (?P<all>\d+) tests?\b.*"),
    # RSpec, Minitest, ExUnit, Bats, Cucumber, Surefire, PHPUnit.
    _Summary(
        r"^\s*(?:(?P<more>\d+) doctests?, )?(?P<all>\d+) (?:tests?|examples?|runs?),"
        r"(?: \d+ assertions,)? \d+ failures?\b.*"
    ),
    _Summary(r"^\s*(?P<all>\d+) scenarios?(?:$| \(.*\))"),
    _Summary(r"\bTests(?: run)?: (?P<all>\d+), (?:Failures|Assertions): \d+.*"),
    _Summary(r"^OK \((?P<all>\d+) tests?\b.*"),
    # TAP; Node's own totals know of tests within tests.
    _Summary(r"^\s*ok \d+\b(?!.*#\s*(?:skip|todo))", one=True, unless=r"^\W*\bpass \d"),
    _Summary(r"^\s*ok\b.*#\s*skip|^\s*1\.\.0\b|^Result: NOTESTS"),
    # Words alone.
    _Summary(rf"\bno {_TESTS} (?:(?:were|was|have been) )?(?:found|to run|ran|run|executed|collected)\b"),
    _Summary(rf"\bno test files\b|\ball {_TESTS} (?:were|have been) (?:filtered out|excluded|skipped)\b"),
    # A line of its own, as Playwright writes it; of rows or files it stands beside what was done to others.
    _Summary(
        r"^\s*\d+ (?:(?:tests?|specs?) )?(?:skipped|did not run)\s*$",
        unless=rf"\b(?!{_SKIPPED}|collected)\w+ed:?\s+[1-9]|(?<![\d.])[1-9]\d*\s+(?!{_SKIPPED}|collected)\w+ed\b",
    ),
)
_TICK = re.compile(r"^\s*[✓✔√☑✅]")
_LEFT_OUT = rf"(\d+) {_SKIPPED}\b|\b(?:skipped|skip|expected failures|incomplete)\s*[:=]\s*(\d+)"

_OTHERS = r"(?:host|server|database|db|service|api|network|daemon|https?:|localhost|\S+:\d+)"
_UNREACHED = (
    r"\bconnection (?:was )?refused\b|\bECONNREFUSED\b|\bENOTFOUND\b|\bEAI_AGAIN\b|\bERR_CONNECTION_\w+"
    r"|\b(?:could not|couldn't|cannot|can't|unable to) (?:connect to|(?:reach|resolve) (?:the )?{others})"
    r"|\bno route to host\b|\b{others}.{0,30}\b(?:not reachable|unreachable)\b(?!\s*[:=]?\s*0)"
).replace("{others}", _OTHERS)
_EXPECTED = r"\b(?:expect(?:ed|s)|should|shows?|shown|handled|caught|as it must)\b"
_LEFT_UNTRIED = (
    r"\bskipp(?:ed|ing)(?: [\w-]+){0,3} (?:tests?|specs?|suites?|e2e)\b|^\W*skipp(?:ed|ing)\W*$"
    r"|(?<!\d )\b(?:tests?|specs?|suites?|e2e)(?: (?:are|were|was|have been))? skipp(?:ed|ing)\b"
)
_WORKED = (
    r"^\s*[✓✔√☑✅]|(?<!not )(?<!\b0 )\b(?:ok|pass(?:ed|es)?|succe(?:ss|eded|ssful|ssfully)|connected|ready)\b"
    r"|(?<![\d.:])20\d\b|^\s*(?:[{<]|\[[\s{\"\d])"
)
"""What shows that something was reached: a tick, a word, a status of HTTP, or data."""


@cache
def _compiled(expression: str) -> re.Pattern[str]:
    return re.compile(expression, re.IGNORECASE | re.MULTILINE)


def _has(expression: str, text: str) -> bool:
    return _compiled(expression).search(text) is not None


def nothing_tried(lines: Sequence[str], reach: int) -> tuple[str, str] | None:
    """Why a log proves nothing, and the words by which it tells so; or None.

    `lines` are those that aren't blank; the last `reach` are its end. None where a test passed, wherever.
    """
    lines = [line[:_LONGEST_LINE] for line in lines]
    text = "\n".join(lines)
    told = _counted(text, len(text) - len("\n".join(lines[-reach:])))
    if told == _SOME:
        return None
    if told:
        return "no test in it ran and passed", told
    line = _not_reached(lines)
    return ("what it tries wasn't reached; mend that, then run it again", line) if line else None


def _counted(text: str, end: int) -> str | None:
    """`_SOME` where a runner tells of a test that passed; else its words, past `end`, by which none did."""
    told: re.Match[str] | None = None
    for summary in _SUMMARIES:
        if summary.unless and _has(summary.unless, text):
            continue
        for found in _compiled(summary.expression).finditer(text):
            if summary.one or _passed(found) > 0:
                return _SOME
            line = text[text.rfind("\n", 0, found.start()) + 1 : found.end()]
            if found.end() > end and not _TICK.match(line) and (told is None or found.end() > told.end()):
                told = found
    return told.group() if told else None


def _not_reached(lines: Sequence[str]) -> str | None:
    """The line by which a log ends with what it needs not reached, or with its tests left out; or None.

    A connection that has to be refused is no such line where it says so, or where something worked after it.
    """
    worked = any(_has(_WORKED, line) for line in lines)
    for line in reversed(lines[-_NEAR_END:]):
        if _has(_WORKED, line) or _has(_EXPECTED, line):
            return None
        if _has(_UNREACHED, line) or (not worked and _has(_LEFT_UNTRIED, line)):
            return line
    return None


def _passed(found: re.Match[str]) -> int:
    groups = found.groupdict()
    if "passed" in groups:
        return int(groups["passed"])
    count = sum(int(groups[name] or 0) for name in ("all", "more") if name in groups)
    left_out = _compiled(_LEFT_OUT).findall(found.group())
    return count - sum(int(one or other) for one, other in left_out)


# --- Result files -----------------------------------------------------------------------------------------

_PASSED_KEYS = {"numPassedTests", "passed", "passes", "pass", "expected", "succeeded", "successes"}
_LEFT_OUT_KEYS = {
    "numPendingTests",
    "numTodoTests",
    "skipped",
    "pending",
    "ignored",
    "deselected",
    "xfailed",
    "todo",
}
_SKIPPED_KEYS = {"skipped", "deselected", "xfailed"}
_FAILED_KEYS = {"numFailedTests", "failed", "failures", "fail", "unexpected", "errors"}
_TOTAL_KEYS = ("numTotalTests", "total", "tests", "collected")
_OUTCOME_KEYS = {"status", "outcome", "result", "state"}


def none_passed_in_json(found: object) -> str | None:
    """What a result in JSON says by which no test in it passed, or None."""
    counts = [one for each in _objects(found) if (one := _counts(each)) is not None]
    if counts:
        return None if any(passed for passed, _ in counts) else counts[0][1]
    outcomes = {
        value.lower()
        for each in _objects(found)
        for key, value in each.items()
        if key in _OUTCOME_KEYS and isinstance(value, str)
    }
    return (
        ", ".join(sorted(outcomes)) if outcomes and outcomes <= {"skipped", "ignored", "deselected"} else None
    )


def _counts(found: Mapping[str, object]) -> tuple[int, str] | None:
    """How many tests passed by an object that counts tests, and its words; None of any other object."""
    numbers = {key: value for key, value in found.items() if type(value) is int}
    left_out, failed = numbers.keys() & _LEFT_OUT_KEYS, numbers.keys() & _FAILED_KEYS
    passed = numbers.keys() & _PASSED_KEYS
    of_tests = (left_out | failed) if passed else (numbers.keys() & {*_SKIPPED_KEYS, "collected"})
    if not of_tests:
        return None
    words = ", ".join(f"{key}: {value}" for key, value in numbers.items())
    if passed:
        return sum(numbers[key] for key in passed), words
    total = next((numbers[key] for key in _TOTAL_KEYS if key in numbers), None)
    return None if total is None else (total - sum(numbers[key] for key in left_out | failed), words)


def _objects(found: object) -> Iterator[Mapping[str, object]]:
    left = [found]
    while left:
        one = left.pop()
        if isinstance(one, dict):
            yield one
            left.extend(one.values())
        elif isinstance(one, list):
            left.extend(one)


def none_passed_in_xml(text: str) -> str | None:
    """What a result in XML, JUnit's or another's, says by which no test in it passed; or None."""
    counted = re.findall(r'\bpassed\s*=\s*["\'](\d+)["\']', text)
    if counted:
        return None if any(int(count) for count in counted) else 'passed="0"'
    cases, left_out = len(re.findall(r"<testcase\b", text)), len(re.findall(r"<skipped\b", text))
    if "<testsuite" not in text or cases > left_out:
        return None
    return f"{cases} test cases, {left_out} skipped"
