"""A session's clocks, with a time of the test's own."""

from __future__ import annotations

import pytest
from claude_agent_sdk import RateLimitEvent, RateLimitInfo, StreamEvent, SystemMessage, UserMessage

from harness_core.agent.clocks import TOOL_GRACE, Clocks
from harness_core.agent.transcriber import is_progress
from harness_core.config import Timeouts

LIMITS = Timeouts(session=60.0, stall=10.0, tool=15.0)
MINUTE = 60.0


def run_out(clocks: Clocks, now: float, *running: float) -> str | None:
    found = clocks.overdue(now, running)
    return found.clock if found else None


def test_silence_runs_out_and_a_sign_of_life_starts_it_anew() -> None:
    clocks = Clocks(LIMITS, 0)
    assert run_out(clocks, 9 * MINUTE) is None
    clocks.sign(9 * MINUTE)
    assert run_out(clocks, 18 * MINUTE) is None
    assert run_out(clocks, 19.1 * MINUTE) == "stall"


def test_a_running_tool_is_no_silence_but_has_a_bound_of_its_own() -> None:
    clocks = Clocks(LIMITS, 0)
    assert run_out(clocks, 14 * MINUTE, 0.0) is None
    assert run_out(clocks, 15.1 * MINUTE, 14 * MINUTE, 0.0) is None, "the CLI ends it, and tells the agent"
    assert run_out(clocks, 15.1 * MINUTE + TOOL_GRACE, 14 * MINUTE, 0.0) == "tool"


def test_an_announced_wait_is_neither_silence_nor_work() -> None:
    clocks = Clocks(LIMITS, 0)
    clocks.sign(0, wait=300 * MINUTE)
    for minute in range(0, 301, 5):
        assert run_out(clocks, minute * MINUTE) is None
    assert run_out(clocks, 309 * MINUTE) is None
    assert run_out(clocks, 310.1 * MINUTE) == "stall"


def test_a_session_runs_out_however_lively_it_is() -> None:
    clocks = Clocks(LIMITS, 0)
    for minute in range(61):
        clocks.sign(minute * MINUTE)
        assert run_out(clocks, minute * MINUTE) is None
    clocks.sign(60.1 * MINUTE)
    assert run_out(clocks, 60.1 * MINUTE) == "session"


def test_who_was_stopped_has_heard_no_silence() -> None:
    clocks = Clocks(LIMITS, 0)
    clocks.absent(20 * MINUTE)
    assert run_out(clocks, 29 * MINUTE) is None
    assert run_out(clocks, 30.1 * MINUTE) == "stall"


def test_a_call_that_nobody_could_watch_has_its_time_left() -> None:
    clocks = Clocks(LIMITS, 0)
    assert run_out(clocks, 5 * MINUTE, 0.0) is None
    clocks.absent(20 * MINUTE)
    assert run_out(clocks, 30 * MINUTE, 0.0) is None
    assert run_out(clocks, 30 * MINUTE + TOOL_GRACE + 1, 0.0) == "tool"
    clocks = Clocks(LIMITS, 0)
    clocks.absent(20 * MINUTE)
    assert run_out(clocks, 35 * MINUTE + TOOL_GRACE + 1, 20 * MINUTE) == "tool", "begun after that"


def test_what_a_session_worked_before_it_was_resumed_counts() -> None:
    clocks = Clocks(LIMITS, 0, worked=50 * MINUTE)
    clocks.sign(9 * MINUTE)
    assert run_out(clocks, 9 * MINUTE) is None
    clocks.sign(11 * MINUTE)
    assert run_out(clocks, 11 * MINUTE) == "session"


def test_an_announced_wait_outlasts_a_stop() -> None:
    clocks = Clocks(LIMITS, 0)
    clocks.sign(0, wait=60 * MINUTE)
    clocks.absent(20 * MINUTE)
    assert run_out(clocks, 69 * MINUTE) is None


@pytest.mark.parametrize("lively", [False, True])
@pytest.mark.parametrize(("clock", "runs_out"), [("tool", 15), ("session", 60), ("stall", 10)])
def test_each_clock_runs_out_at_its_time_whatever_arrives(clock: str, runs_out: int, lively: bool) -> None:
    clocks = Clocks(LIMITS, 0)
    found, minute = None, 0
    while found is None and minute < 200:
        minute += 1
        # What keeps a session from being silent: a tool that runs, one call after the other, or words.
        running = [] if clock == "stall" else [0.0 if clock == "tool" else (minute - 1) * MINUTE]
        if lively and clock != "stall":
            clocks.sign(minute * MINUTE)
        found = run_out(clocks, minute * MINUTE, *running)
    assert (found, minute) == (clock, runs_out + 1)


def test_a_ping_a_notice_and_a_rate_limits_news_are_no_progress() -> None:
    def stream(kind: str) -> StreamEvent:
        return StreamEvent(uuid="u", session_id="s", event={"type": kind})

    assert is_progress(stream("content_block_delta")) and is_progress(stream("message_start"))
    assert is_progress(UserMessage(content="done"))
    assert is_progress(SystemMessage(subtype="compact_boundary", data={}))
    assert not is_progress(stream("ping"))
    assert not is_progress(SystemMessage(subtype="informational", data={}))
    assert not is_progress(SystemMessage(subtype="api_retry", data={}))
    news = RateLimitEvent(rate_limit_info=RateLimitInfo(status="allowed"), uuid="u", session_id="s")
    assert not is_progress(news)
