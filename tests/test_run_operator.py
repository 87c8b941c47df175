"""The operator's brake and wheel on a run that is going on."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import psutil
import pytest

from tests.harness import Command, Event, Stage, gapless, named, open_stage, text_of, until


@contextlib.contextmanager
def held(
    scratch: Path, scenario: str = "tiny+hold", *more: str, features: int = 1
) -> Iterator[tuple[Stage, Command]]:
    """A run whose first generator waits in a long command until `stage.release()`."""
    with open_stage(scratch, scenario) as stage:
        stage.lay_out(features)
        engine = stage.run(*more, features=features)
        wait_until_held(stage)
        yield stage, engine


def wait_until_held(stage: Stage, count: int = 1) -> None:
    stage.wait_for(is_held, count=count)
    until(lambda: any("os.path.exists" in line for line in stage.alive()), 10, "the held command runs")


def is_held(event: Event) -> bool:
    return event["type"] == "tool_use" and "os.path.exists" in json.dumps(event["input"])


def seconds(event: Event) -> float:
    return datetime.fromisoformat(event["ts"].replace("Z", "+00:00")).timestamp()


def sdk_sessions(stage: Stage, role: str = "generator") -> list[str]:
    return [event["sdk_session"] for event in stage.journal(named("session_started", role=role))]


def occurrences(stage: Stage, words: str, role: str = "generator") -> list[int]:
    """How often each request of a role, in order, says the words to the agent."""
    return [
        sum(text_of(one["content"]).count(words) for one in body["messages"] if one["role"] != "assistant")
        for body in stage.bodies(role)
    ]


def receipts(stage: Stage, number: str = "001") -> list[Event]:
    return [
        event
        for event in stage.journal()
        if event["type"] in ("steer_queued", "steer_delivered", "steer_acknowledged")
        and event["id"] == number
    ]


RECEIPTS = ["steer_queued", "steer_delivered", "steer_acknowledged"]


# The brake


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Stage, float, list[str]]]:
    """A run that AGENT_STOP held in a command, and that `resume` brought to its end: with when the file came,
    and what was alive when the engine had ended."""
    with held(tmp_path_factory.mktemp("stopped"), "tiny+hold:child") as (stage, engine):
        stage.stop_file.touch()
        since = time.time()
        assert engine.wait(15) == 3, engine.err
        left = stage.alive()
        assert stage.status()["lifecycle"] == "stopped"
        stage.release()
        again = stage.do("resume", str(stage.root), "--headless", within=60)
        assert again.wait() == 0, again.err
        yield stage, since, left


def test_stop_is_confirmed_within_seconds(stopped: tuple[Stage, float, list[str]]) -> None:
    stage, since, _ = stopped
    confirmed = stage.journal(named("stop_confirmed"))
    assert [event["mode"] for event in confirmed] == ["pause"]
    assert confirmed[0]["survivors"] == []
    assert seconds(confirmed[0]) - since < 3


def test_no_call_starts_while_the_stop_file_is_there(stopped: tuple[Stage, float, list[str]]) -> None:
    stage, since, _ = stopped
    resumed = stage.journal(named("run_resumed"))[0]
    calls = [event for event in stage.journal(named("tool_use")) if event["seq"] < resumed["seq"]]
    assert all(seconds(event) < since for event in calls)


def test_a_stopped_run_has_no_process(stopped: tuple[Stage, float, list[str]]) -> None:
    stage, _, left = stopped
    assert left == []
    assert stage.alive() == []


def test_the_same_session_goes_on_when_the_stop_is_gone(stopped: tuple[Stage, float, list[str]]) -> None:
    stage, _, _ = stopped
    starts = stage.journal(named("session_started", role="generator"))
    assert [(event["session"], event["resumed"]) for event in starts] == [(1, False), (1, True)]
    assert len({event["sdk_session"] for event in starts}) == 1
    ends = [(event["session"], event["reason"]) for event in stage.journal(named("session_ended"))]
    assert ends == [(1, "done")]
    assert stage.passing() == [True]
    assert gapless(stage.journal())
    assert not stage.stop_file.exists()
    assert not any("AGENT_STOP" in line for line in stage.git("log", "--name-only").splitlines())


def test_a_headless_start_under_a_stop_ends_at_once(tmp_path: Path) -> None:
    with open_stage(tmp_path) as stage:
        stage.lay_out()
        stage.stop_file.touch()
        engine = stage.run()
        assert engine.wait(15) == 3, engine.err
        assert stage.server is not None and stage.server.requests == []
        assert stage.journal(named("session_started")) == []
        assert stage.status()["stop"]["confirmed"] == "pause"
        assert stage.alive() == []


def test_finish_lets_the_session_end_by_itself(tmp_path: Path) -> None:
    with held(tmp_path, features=2) as (stage, engine):
        assert stage.do("stop", str(stage.root), "--finish").wait() == 0
        stage.wait_for(named("stop_requested", mode="finish"))
        stage.release()
        assert engine.wait(30) == 3, engine.err
        assert [event["reason"] for event in stage.journal(named("session_ended"))] == ["done"]
        assert stage.passing() == [True, False]
        assert stage.status()["lifecycle"] == "stopped"
        assert "AGENT_FINISH" not in stage.git("ls-files", "-o", "--exclude-standard")
        again = stage.do("resume", str(stage.root), "--headless", within=60)
        assert again.wait() == 0, again.err
        assert stage.passing() == [True, True]


@pytest.mark.slow
def test_a_finish_that_is_withdrawn_is_forgotten(tmp_path: Path) -> None:
    with held(tmp_path, features=2) as (stage, engine):
        finish = stage.root / "AGENT_FINISH"
        finish.touch()
        stage.wait_for(named("stop_requested", mode="finish"))
        finish.unlink()
        stage.wait_for(named("stop_cleared"))
        assert stage.status()["stop"]["requested"] is None
        stage.release()
        assert engine.wait(60) == 0, engine.err
        assert stage.passing() == [True, True]


def test_stop_now_ends_the_engine_too(tmp_path: Path) -> None:
    with held(tmp_path) as (stage, engine):
        before = time.monotonic()
        assert stage.do("stop", str(stage.root), "--now").wait() == 0
        assert engine.wait(1) == 3
        assert time.monotonic() - before < 6
        assert stage.alive() == []
        assert stage.stop_file.exists()
        assert stage.status()["engine"]["alive"] is False


def test_one_interrupt_pauses_and_the_same_command_goes_on(tmp_path: Path) -> None:
    with held(tmp_path) as (stage, engine):
        engine.interrupt()
        assert engine.wait(15) == 3, engine.err
        assert stage.alive() == []
        stage.release()
        again = stage.run()
        assert again.wait(40) == 0, again.err
        assert len(set(sdk_sessions(stage))) == 1
        assert stage.passing() == [True]


def test_two_interrupts_at_once_give_130(tmp_path: Path) -> None:
    with held(tmp_path, "tiny+hold:child") as (stage, engine):
        engine.interrupt()
        time.sleep(0.01)
        engine.interrupt()
        assert engine.wait(3) == 130
        until(lambda: not stage.alive(), 3, "everything is gone")
        assert gapless(stage.journal())


# The wheel


def test_a_message_arrives_once_at_the_next_tool_boundary(tmp_path: Path) -> None:
    with held(tmp_path) as (stage, engine):
        held_call = stage.journal(is_held)[0]
        (stage.root / "STEER.md").write_text("Use only warm colours.\n")
        stage.wait_for(named("steer_queued"))
        assert not (stage.root / "STEER.md").exists()
        stage.release()
        assert engine.wait(60) == 0, engine.err
        found = receipts(stage)
        assert [event["type"] for event in found] == RECEIPTS
        assert found[0]["text"] == "Use only warm colours." and found[0]["mode"] == "now"
        assert found[1]["tool_use_id"] == held_call["tool_use_id"]
        assert {event["session"] for event in found[1:]} == {1}
        counts = occurrences(stage, "Use only warm colours.")
        assert counts == [0, 0] + [1] * (len(counts) - 2), counts
        status = stage.status()
        assert status["steering"] == {"queued": 1, "delivered": 1, "acknowledged": 1}
        assert not any("STEER" in line for line in stage.git("log", "--name-only").splitlines())


def test_steer_takes_messages_in_order_and_next_waits_for_the_next_session(tmp_path: Path) -> None:
    with held(tmp_path, features=2) as (stage, engine):
        for words, more in (("First this.", []), ("Later that.", ["--next"]), ("Second this.", [])):
            assert stage.do("steer", str(stage.root), words, *more).wait() == 0
        stage.wait_for(named("steer_queued"), count=3)
        stage.release()
        assert engine.wait(60) == 0, engine.err
        delivered = stage.journal(named("steer_delivered"))
        assert [(event["id"], event["session"]) for event in delivered] == [
            ("001", 1),
            ("003", 1),
            ("002", 2),
        ]
        assert delivered[2]["tool_use_id"] is None
        for number in ("001", "002", "003"):
            assert [event["type"] for event in receipts(stage, number)] == RECEIPTS
            receipt = json.loads((stage.private / "steering" / f"{number}.json").read_text())
            assert receipt["delivered"] and receipt["acknowledged"]
        for words in ("First this.", "Later that.", "Second this."):
            assert max(occurrences(stage, words)) == 1
        second = [body for body in stage.bodies("generator") if "Later that." in json.dumps(body["messages"])]
        assert "session 2" in text_of(second[0]["messages"][0]["content"])


def test_parallel_calls_are_told_once(tmp_path: Path) -> None:
    with open_stage(tmp_path, "tiny+parallel:8+hold") as stage:
        stage.lay_out()
        (stage.root / "STEER.next.md").write_text("At the start.\n")
        stage.release()
        engine = stage.run()
        stage.wait_for(named("session_started"))
        (stage.root / "STEER.md").write_text("Among the calls.\n")
        assert engine.wait(60) == 0, engine.err
        for words in ("At the start.", "Among the calls."):
            assert max(occurrences(stage, words)) == 1
        assert len(stage.journal(named("steer_delivered"))) == 2


def test_a_message_for_an_agent_that_wants_to_end_keeps_it(tmp_path: Path) -> None:
    # The seventh request, after the last tool call, has to wait a second for its answer.
    with open_stage(tmp_path, "tiny+429:1:7") as stage:
        stage.lay_out()
        engine = stage.run()
        stage.wait_for(named("retry"))
        (stage.root / "STEER.md").write_text("One more thing.\n")
        assert engine.wait(60) == 0, engine.err
        assert [event["type"] for event in receipts(stage)] == RECEIPTS
        assert receipts(stage)[1]["tool_use_id"] is None
        assert max(occurrences(stage, "One more thing.")) == 1


@pytest.mark.slow
def test_messages_outlive_a_crash_and_one_for_the_next_session_passes_a_resumed_one_by(
    tmp_path: Path,
) -> None:
    with held(tmp_path, features=2) as (stage, engine):
        stage.do("steer", str(stage.root), "Mind the edges.")
        stage.wait_for(named("steer_queued"))
        (stage.root / "STEER.next.md").write_text("Sign your work.\n")
        stage.wait_for(named("steer_queued", mode="next"))
        engine.kill()
        until(lambda: not stage.alive(), 3, "the guardian has cleaned up")
        stage.release()
        assert stage.run(features=2).wait(60) == 0
        starts = [(event["session"], event["resumed"]) for event in stage.journal(named("session_started"))]
        assert starts == [(1, False), (1, True), (2, False)]
        for number, session, words in (("001", 1, "Mind the edges."), ("002", 2, "Sign your work.")):
            found = receipts(stage, number)
            assert [event["type"] for event in found] == RECEIPTS
            assert found[1]["session"] == session
            assert max(occurrences(stage, words)) == 1


def test_an_empty_message_is_a_mistake(tmp_path: Path) -> None:
    with open_stage(tmp_path, None) as stage:
        stage.lay_out()
        empty = stage.do("steer", str(stage.root), " ")
        assert empty.wait() == 2
        assert empty.err.count("\n") == 1 and empty.out == ""


# One engine, and its watchers


def test_a_second_engine_is_refused_and_named(tmp_path: Path) -> None:
    with held(tmp_path) as (stage, engine):
        before = len(stage.journal())
        second = stage.run()
        assert second.wait(20) == 2
        assert str(engine.pid) in second.err and second.err.count("\n") == 1
        assert not engine.ended
        assert len(stage.journal()) == before
        stage.release()
        assert engine.wait(40) == 0


@pytest.mark.slow
def test_an_engine_outlives_its_watcher_and_waits_for_the_operator(tmp_path: Path) -> None:
    with open_stage(tmp_path, "tiny+hold") as stage:
        stage.lay_out()
        watcher = stage.start("run", str(stage.root))
        wait_until_held(stage)
        pid = stage.status()["engine"]["pid"]
        assert pid != watcher.pid
        watcher.interrupt()
        assert watcher.wait(10) == 0
        assert psutil.pid_exists(pid)

        stage.stop_file.touch()
        stage.wait_for(named("stop_confirmed"))
        until(lambda: stage.status()["lifecycle"] == "stopped", 5, "it says that it is stopped")
        assert stage.status()["engine"] == {"pid": pid, "alive": True}
        assert not any("os.path.exists" in line for line in stage.alive())

        stage.release()
        stage.stop_file.unlink()
        stage.wait_for(named("stop_cleared"))
        stage.wait_for(named("checkpoint_opened"))
        assert stage.status()["lifecycle"] == "waiting_approval"
        assert stage.status()["engine"] == {"pid": pid, "alive": True}
        assert stage.do("approve", str(stage.root)).wait() == 0
        ended = until(lambda: stage.journal(named("run_ended")), 10, "the run ends")
        assert ended[0]["exit"] == 0
        assert len(set(sdk_sessions(stage))) == 1
        assert stage.passing() == [True]
        until(lambda: not stage.alive() and not psutil.pid_exists(pid), 5, "all is gone")


@pytest.mark.slow
def test_what_is_said_while_an_evaluator_judges_is_kept_for_the_builder(tmp_path: Path) -> None:
    with open_stage(tmp_path, "tiny") as stage:
        stage.lay_out(2)
        engine = stage.run("--set", "evaluator=feature", features=2)
        stage.wait_for(named("session_started", role="evaluator"))
        stage.do("steer", str(stage.root), "Use blue for the next one.")
        assert engine.wait(60) == 0, engine.err
        (delivered,) = stage.journal(named("steer_delivered"))
        assert delivered["role"] == "generator"
        heard = [role for role in ("generator", "evaluator") if "Use blue" in str(stage.bodies(role))]
        assert heard == ["generator"]
