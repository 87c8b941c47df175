"""What the API does in a day and a night, on the wire to the real CLI: a run waits, or says why it can't."""

from __future__ import annotations

import sys
from datetime import datetime
from pathlib import Path

import pytest
import time_machine

from harness_core.patience import FIRST_WAIT, LONGEST_WAIT, TRIES, Failures, backoff, until
from harness_core.record import events as ev
from harness_core.rehearsal import start
from tests.harness import Command, Stage, gapless, named, open_stage

_MAIN = "from harness_core import patience; patience.FIRST_WAIT = 0.1; from tui.script import main; main()"
IMPATIENT = (sys.executable, "-P", "-c", _MAIN)
"""`longwatch` with waits between two tries that begin at a tenth of a second."""


def impatient(stage: Stage, *more: str, features: int = 1) -> Command:
    """The same as `Stage.run`."""
    given = ("--preset", "two-agent", "--spec", str(stage.spec), "--features", str(features))
    return stage.start("run", str(stage.root), "--headless", *given, *more, program=IMPATIENT)


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


@pytest.mark.parametrize("fault", ["413:3:3", pytest.param("pictures:5:3", marks=pytest.mark.slow)])
def test_a_conversation_too_large_for_the_api_is_followed_by_a_fresh_one(tmp_path: Path, fault: str) -> None:
    with open_stage(tmp_path, f"tiny+{fault}") as stage:
        engine = begin(stage)
        ends_well(stage, engine, sessions=2)
        ended = [event["reason"] for event in stage.journal(named("session_ended"))]
        assert ended == ["too_long", "done"]


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["413", "pictures"])
def test_what_the_api_refuses_in_a_fresh_conversation_ends_the_run(tmp_path: Path, fault: str) -> None:
    with open_stage(tmp_path, f"tiny+{fault}:99:3") as stage:
        assert "API refused" in ends_with_a_sentence(stage, begin(stage))
        ended = [event["reason"] for event in stage.journal(named("session_ended"))]
        assert ended == ["too_long", "api_error"]


# Silence


def test_a_silent_api_is_waited_out_in_the_same_session_and_costs_no_attempt(tmp_path: Path) -> None:
    # No answer to the third and the fourth request, half of one to the sixth.
    with open_stage(tmp_path, "tiny+silent:2:3+stall:1:6") as stage:
        stage.lay_out()
        told = tmp_path / "told"
        notify = f"[notify]\ndesktop = false\ncommand = 'cat >> {told}'\n"
        (stage.root / "longwatch.toml").write_text(notify)
        engine = impatient(stage, "--max-retries", "1", "--stall-timeout", "0.03")
        ends_well(stage, engine)
        stalls = stage.journal(named("stall_detected", what="silence"))
        assert [event["session"] for event in stalls] == [1, 1, 1]
        waits = [(event["attempt"], event["delay_ms"]) for event in stage.journal(named("retry"))]
        assert [attempt for attempt, _ in waits[:2]] == [1, 2] and 0 < waits[0][1] < waits[1][1]
        assert "silence for" in told.read_text()
        assert [event["resumed"] for event in stage.journal(named("session_started"))][1:] == [True] * 3


@pytest.mark.slow
def test_an_api_that_stays_silent_ends_the_run_with_a_sentence_and_nothing_is_lost(tmp_path: Path) -> None:
    with open_stage(tmp_path, "tiny+silent:99:3") as stage:
        stage.lay_out(features=2)
        engine = impatient(stage, "--stall-timeout", "0.02", features=2)
        assert engine.wait(120) == 1
        (ended,) = stage.journal(named("run_ended"))
        assert f"failed {TRIES + 1} times in a row: silence" in ended["reason"]
        assert len(stage.journal(named("stall_detected", what="silence"))) == TRIES + 1
        assert stage.journal(named("feature_changed")) == stage.journal(named("session_ended")) == []
        assert stage.alive() == []
        with start("tiny") as mended:
            stage.env |= mended.env()
            assert stage.run(features=2).wait(90) == 0
        assert stage.passing() == [True, True]
        assert {event["session"] for event in stage.journal(named("session_started"))} == {1, 2}


@pytest.mark.slow
def test_a_silent_api_ends_neither_planning_nor_judging(tmp_path: Path) -> None:
    silences = "silent:1@planner+silent:1:2@initializer+silent:4@evaluator"
    with open_stage(tmp_path, f"sprints+{silences}") as stage:
        given = ("--preset", "sprints", "--prompt", "A program that draws flags.", "--features", "1")
        engine = stage.start(
            *("run", str(stage.root), "--headless", *given, "--stall-timeout", "0.02"), program=IMPATIENT
        )
        assert engine.wait(150) == 0, engine.err
        silent = [event["role"] for event in stage.journal(named("stall_detected"))]
        assert silent == ["planner", "initializer", *["evaluator"] * 4]
        ended = {event["reason"] for event in stage.journal(named("session_ended"))}
        assert ended == {"done"} and stage.passing() == [True]


# Usage limits


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
        engine = begin(stage, "--stall-timeout", "0.04")
        stage.wait_for(lambda event: event["type"] == "tool_use" and "os.path.exists" in str(event["input"]))
        assert stage.server is not None
        port = stage.server.port
        stage.server.kill()
        stage.release()
        told = stage.wait_for(named("stall_detected"))
        assert told["what"] == ev.NO_ANSWER and told["seconds"] >= 2.4
        stage.wait_for(named("retry"), count=len(stage.journal(named("retry"))) + 1)
        with start("tiny+hold", port=port):
            ends_well(stage, engine)
        assert len(stage.journal(named("stall_detected"))) == 1, "it is told once"


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


def test_to_start_a_silent_subagent_again_is_no_progress() -> None:
    failures = Failures()
    assert [failures.count(turns, inside=True) for turns in (3, 4, 5)] == [1, 2, 3]
    assert [failures.count(6), failures.count(7, inside=True)] == [1, 1]


def test_what_is_over_needs_no_wait() -> None:
    with time_machine.travel("2030-01-01T00:00:00Z", tick=False):
        assert until("2030-01-01T00:01:00+00:00") == 60
        assert until("2029-12-31T23:59:59+00:00") == 0 == until(None)
