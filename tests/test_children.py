"""Subagents count: each reply of theirs, when it comes, for what the whole of it takes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from harness_core.agent import sdk
from harness_core.agent.meter import Meter
from harness_core.record import events as ev
from harness_core.run import Run
from tests.conftest import OpenRun
from tests.harness import Stage, named, open_stage

SESSION = ev.SessionStarted(session=1, role="generator", sdk_session="s", model="m", phase="build")
A_REPLY = 42
"""Tokens that a scripted subagent writes at once; the CLI may write the last ones down a little late."""
CALL = "the call that started it"


def unaccounted(stage: Stage) -> int:
    """Tokens that were found only when the session's account came."""
    return sum(
        cost["tokens"] for cost in stage.journal(named("cost")) if not cost["turns"] and not cost["agent"]
    )


@pytest.mark.slow
def test_a_subagent_reaches_a_limit_and_its_session_ends_there(tmp_path: Path) -> None:
    with open_stage(tmp_path, "tiny+subagent:30") as stage:
        stage.lay_out()
        engine = stage.run("--max-turns", "8")
        assert engine.wait(60) == 4, engine.err
        assert stage.server is not None
        assert len(stage.server.requests) == 8
        assert len(stage.bodies("subagent")) == 6
        assert stage.status()["turns"] == 8
        assert unaccounted(stage) < A_REPLY


@pytest.mark.slow
def test_all_that_a_subagent_took_is_counted_when_it_reports(tmp_path: Path) -> None:
    with open_stage(tmp_path, "tiny+subagent:4") as stage:
        stage.lay_out()
        engine = stage.run()
        assert engine.wait(60) == 0, engine.err
        assert stage.server is not None
        assert stage.status()["turns"] == len(stage.server.requests)
        assert unaccounted(stage) < A_REPLY


def usage(read: int, written: int) -> dict[str, int]:
    return {"input_tokens": read, "output_tokens": written}


def line(reply: str, read: int, written: int) -> str:
    said = {"id": reply, "model": "sonnet", "usage": usage(read, written)}
    return json.dumps({"type": "assistant", "message": said}) + "\n"


def message(reply: str, read: int) -> Any:
    sdk.load()
    from claude_agent_sdk import AssistantMessage  # noqa: PLC0415

    return AssistantMessage([], "sonnet", usage=usage(read, 1), message_id=reply)


@pytest.fixture
def run(tmp_path: Path, open_run: OpenRun) -> Run:
    opened = open_run(tmp_path / "run")
    opened.emit(SESSION)
    return opened


def test_a_reply_is_counted_once_however_often_it_is_told_of(run: Run, tmp_path: Path) -> None:
    meter = Meter(run, "build")
    record = tmp_path / "agent.jsonl"
    meter.hear_subagent(message("one", 100), CALL, "a")
    meter.hear_subagent(message("one", 100), CALL, "a")
    assert (run.state.tokens, run.state.turns) == (101, 1)
    record.write_text(line("one", 100, 50) + line("one", 100, 50) + line("two", 200, 20)[:30])
    meter.read_subagent(CALL, "a", record)
    assert (run.state.tokens, run.state.turns) == (150, 1)
    record.write_text(line("one", 100, 50) * 2 + line("two", 200, 20) + "not a line of it\n{}\n")
    meter.read_subagent(CALL, "a", record)
    meter.hear_report(CALL, "a", {"usage": usage(200, 20), "resolvedModel": "sonnet"})
    assert (run.state.tokens, run.state.turns) == (370, 2)


def test_what_the_transcript_has_only_after_the_report_is_counted_then(run: Run, tmp_path: Path) -> None:
    meter = Meter(run, "build")
    record = tmp_path / "agent.jsonl"
    meter.hear_subagent(message("one", 100), CALL, "a")
    meter.hear_report(CALL, "a", {"usage": usage(200, 20), "resolvedModel": "sonnet"})
    record.write_text(line("one", 100, 50) + line("two", 200, 20))
    meter.read_subagent(CALL, "a", record)
    meter.forget_subagent(CALL)
    assert (run.state.tokens, run.state.turns) == (370, 2)


def test_without_a_transcript_the_last_reply_counts_by_the_report(run: Run, tmp_path: Path) -> None:
    meter = Meter(run, "build")
    meter.hear_subagent(message("one", 100), CALL, "a")
    meter.read_subagent(CALL, "a", tmp_path / "none")
    meter.hear_report(CALL, "a", {"usage": usage(200, 20), "resolvedModel": "sonnet"})
    assert (run.state.tokens, run.state.turns) == (101 + 220, 2)
    # A limit has ended the second one with the reply that is known already.
    meter.hear_subagent(message("two", 300), "another call", "b")
    meter.hear_report("another call", "b", {"usage": usage(300, 30), "resolvedModel": "sonnet"})
    assert (run.state.tokens, run.state.turns) == (321 + 330, 3)
