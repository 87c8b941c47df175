"""What the API does in a day and a night, on the wire to the real CLI: a run waits, or says why it can't."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest
import time_machine

from harness_core.patience import FIRST_WAIT, LONGEST_WAIT, Failures, backoff, until
from harness_core.rehearsal import start
from tests.harness import Command, Stage, gapless, named, open_stage


def begin(stage: Stage, *more: str, login: bool = False) -> Command:
    """An engine whose first session builds; `login` for a subscription in place of a key."""
    if login:
        del stage.env["ANTHROPIC_API_KEY"]
        stage.env["CLAUDE_CODE_OAUTH_TOKEN"] = "not-a-token"
    stage.lay_out()
    return stage.run(*more)


def ends_well(stage: Stage, engine: Command, sessions: int = 1) -> None:
    assert engine.wait(90) == 0, engine.err
    assert stage.passing() == [True]
    numbers = {event["session"] for event in stage.journal(named("session_started"))}
    assert numbers == set(range(1, sessions + 1))
    assert len(stage.journal(named("feature_changed"))) == 1
    assert gapless(stage.journal())


def ends_with_a_sentence(stage: Stage, engine: Command) -> str:
    assert engine.wait(60) == 1
    (ended,) = stage.journal(named("run_ended"))
    assert "\n" not in ended["reason"] and "Traceback" not in engine.out + engine.err
    assert stage.alive() == []
    return str(ended["reason"])


def test_a_conversation_that_is_too_long_is_compacted_and_goes_on(tmp_path: Path) -> None:
    with open_stage(tmp_path, "tiny+long:1:4") as stage:
        engine = begin(stage)
        ends_well(stage, engine)
        (compacted,) = stage.journal(named("compacted"))
        assert compacted["trigger"] == "auto" and compacted["before"] > compacted["after"] > 0
        assert compacted["session"] == 1


@pytest.mark.slow
def test_one_that_stays_too_long_is_followed_by_a_fresh_session(tmp_path: Path) -> None:
    with open_stage(tmp_path, "tiny+long:7:4") as stage:
        engine = begin(stage)
        ends_well(stage, engine, sessions=2)
        ended = [event["reason"] for event in stage.journal(named("session_ended"))]
        assert ended == ["too_long", "done"]


def test_a_usage_limit_is_waited_for_though_the_cli_gives_up(tmp_path: Path) -> None:
    with open_stage(tmp_path, "tiny+limit-short:1:3") as stage:
        engine = begin(stage, login=True)
        told = stage.wait_for(named("rate_limited", status="rejected"))
        wait = stage.wait_for(named("retry", status=429))
        assert (wait["attempt"], wait["max"] > 0) == (0, True), "being told to wait is no failure"
        ends_well(stage, engine)
        back = stage.journal(named("session_started", resumed=True))[0]
        assert datetime.fromisoformat(back["ts"]) >= datetime.fromisoformat(told["resets_at"])


@pytest.mark.slow
def test_a_limit_of_hours_ends_a_wait_for_a_usage_limit(tmp_path: Path) -> None:
    with open_stage(tmp_path, "tiny+limit:1:3") as stage:
        engine = begin(stage, "--max-hours", "0.004", login=True)
        stage.wait_for(named("retry", status=429))
        status = stage.status()
        assert status["lifecycle"] == "waiting_limit" and status["waiting_until"]
        assert engine.wait(60) == 4, engine.err
        assert stage.alive() == []


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["401", "404"])
def test_a_key_or_model_that_stops_being_good_ends_the_run(tmp_path: Path, fault: str) -> None:
    with open_stage(tmp_path, f"tiny+{fault}:99:4") as stage:
        said = ends_with_a_sentence(stage, begin(stage))
        assert "API refused" in said and "model" in said
        assert len(stage.journal(named("session_started"))) == 1
        with start("tiny") as mended:
            stage.env |= mended.env()
            ends_well(stage, stage.run(), sessions=2)


@pytest.mark.slow
def test_an_address_that_is_not_known_is_asked_for_again(tmp_path: Path) -> None:
    with open_stage(tmp_path, "tiny") as stage:
        right = stage.env["ANTHROPIC_BASE_URL"]
        stage.env["ANTHROPIC_BASE_URL"] = "http://nowhere.invalid:9"
        engine = begin(stage)
        stage.wait_for(named("retry"), count=3)
        assert all(event["status"] is None for event in stage.journal(named("retry")))
        engine.interrupt()
        assert engine.wait(20) == 3
        assert stage.alive() == []
        stage.env["ANTHROPIC_BASE_URL"] = right
        ends_well(stage, stage.run())


@pytest.mark.slow
def test_a_refused_connection_is_waited_out(tmp_path: Path) -> None:
    with open_stage(tmp_path, "tiny+hold") as stage:
        engine = begin(stage)
        stage.wait_for(lambda event: event["type"] == "tool_use" and "os.path.exists" in str(event["input"]))
        assert stage.server is not None
        port = stage.server.port
        stage.server.kill()
        stage.release()
        stage.wait_for(named("retry"), count=2)
        with start("tiny+hold", port=port):
            ends_well(stage, engine)


# How long


def test_waits_grow_to_a_ceiling_and_are_spread() -> None:
    waits = [backoff(times) for times in range(1, 12)]
    for times, wait in enumerate(waits):
        least = min(FIRST_WAIT * 2**times, LONGEST_WAIT)
        assert least <= wait <= least + FIRST_WAIT
    for times in (1, 12):
        assert len({backoff(times) for _ in range(20)}) > 10


def test_progress_starts_the_count_anew() -> None:
    failures = Failures()
    assert [failures.count(turns) for turns in (3, 3, 3, 4, 4)] == [1, 2, 3, 1, 2]


def test_what_is_over_needs_no_wait() -> None:
    with time_machine.travel("2030-01-01T00:00:00Z", tick=False):
        assert until("2030-01-01T00:01:00+00:00") == 60
        assert until("2029-12-31T23:59:59+00:00") == 0 == until(None)
