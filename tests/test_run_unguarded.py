"""A tool that runs past its guard ends the session, whatever came of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness_core import config, start
from harness_core.agent import sdk
from harness_core.agent.gate import Gate
from harness_core.agent.transcriber import Transcriber
from harness_core.brake import Brake
from harness_core.contract.ledger import Ledger
from harness_core.evidence.seen import SessionEvidence
from harness_core.guards import ToolCall
from harness_core.operator.steering import Steering
from harness_core.record.history import History
from harness_core.request import Request
from tests.conftest import OpenRun
from tests.harness import named, open_stage


def test_a_call_without_its_guard_ends_the_run_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sound = sdk.options

    def without_hooks(*given: Any) -> Any:
        options = sound(*given)
        options.hooks = {}
        return options

    with open_stage(tmp_path, "tiny") as stage:
        stage.lay_out()
        for name, value in stage.env.items():
            monkeypatch.setenv(name, value)
        options = config.Options(preset="two-agent", sandbox="off")
        request = Request(directory=str(stage.root), options=options)
        with monkeypatch.context() as patch:
            # The drill's sessions are sound: what breaks, breaks while the run is under way.
            patch.setattr("harness_core.agent.session.sdk.options", without_hooks)
            patch.setattr("harness_core.start._box", lambda plan, why: start.Sandbox())
            assert start.run(request, []) == 1
        ended = stage.journal(named("session_ended"))
        assert [event["reason"] for event in ended] == ["unguarded"]
        assert stage.journal(named("run_ended"))[0]["reason"].startswith("a tool ran without its guard")
        assert len(stage.journal(named("tool_use"))) == 1
        assert stage.passing() == [False]
        assert stage.alive() == []


@pytest.mark.parametrize(
    ("said", "failed", "ran"),
    [
        ("done", False, True),
        ("Exit code 3\nfailed", True, True),
        ("<tool_use_error>Error: No such tool available: Nothing</tool_use_error>", True, False),
        ("<tool_use_error>InputValidationError: Bash failed</tool_use_error>", True, False),
    ],
)
def test_what_a_result_says_tells_whether_its_call_ran(
    open_run: OpenRun, tmp_path: Path, said: str, failed: bool, ran: bool
) -> None:
    sdk.load()
    from claude_agent_sdk import ToolResultBlock, UserMessage  # noqa: PLC0415

    run = open_run(tmp_path / "run")
    gate = Gate(
        run,
        Ledger(run),
        Steering(run),
        History(run),
        Brake(run),
        "generator",
        "an id",
        SessionEvidence.of_now(),
        tmp_path / "notes.json",
    )
    transcriber = Transcriber(run, gate, "build", tmp_path / "trace.jsonl")
    gate.announce(ToolCall("Bash", {"command": "false"}, "call"))
    transcriber.take(UserMessage([ToolResultBlock("call", said, failed)]))
    assert bool(transcriber.unguarded) == ran
    transcriber.close()
