"""The rules of the agent SDK that a run of hours rests on, each held by what the real SDK and CLI do.

1. The stream is always read: `test_a_flood_of_small_events_beside_pending_calls_holds_nothing_up`,
   `test_a_stop_is_quick_in_the_middle_of_a_flood`.
2. Hooks fail closed: `test_no_call_runs_whose_hook_fails`; a guard that fails: `test_ledger.py`.
3. A line over 1 MiB is no end:
   `test_run_faults.py::test_large_calls_outputs_and_pictures_do_not_kill_a_session`.
4. Nothing of the project's own settings runs: `test_what_a_project_brings_along_is_read_and_not_run`.
5. The CLI never outlives its engine and hears no ctrl+c: `test_a_cli_follows_its_engine_without_a_guardian`,
   `test_ctrl_c_at_a_terminal_is_for_the_engine_alone`; with the guardian in
   `test_run_resume.py::test_a_killed_engine_is_as_if_it_had_never_been`.
6. No bypass of permissions, not for root either: `test_run_whole.py::test_permissions_are_never_bypassed`.
7. Nothing goes on in the background: `test_nothing_outlives_the_call_that_started_it`.
8. A failure that calls itself a success is a failure: `test_a_failure_that_says_success_is_a_failure`; with
   other answers in `test_run_faults.py::test_what_trying_again_cannot_mend_ends_the_run_at_once`.
9. A verdict in words is none: `test_a_verdict_in_words_is_no_verdict`.
10. A sandbox that isn't there is never taken for one:
    `test_sandbox.py::test_a_required_sandbox_that_can_not_be_had_refuses_the_start`, and
    `test_sandbox.py::test_a_sandbox_that_hinders_honest_work_is_found_out`.
"""

from __future__ import annotations

import asyncio
import json
import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from harness_core.agent import sdk, tools
from harness_core.answer import Answer
from tests.conftest import OpenRun
from tests.harness import LONGWATCH, Command, Stage, gapless, named, open_stage, until
from tests.test_run_faults import cli, is_held, refusing


def trace(stage: Stage, session: int) -> list[dict[str, Any]]:
    """The messages of a session as the SDK gave them, what was typed aside."""
    path = next((stage.private / "sessions").glob(f"{session:03d}-*.jsonl"))
    return [json.loads(line) for line in path.read_text().splitlines()]


def of_kind(messages: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [message for message in messages if message["kind"] == kind]


# 1. The stream is always read


def piece(number: int) -> Any:
    return named("text", text=f"Piece {number}.")


@pytest.mark.slow
def test_a_flood_of_small_events_beside_pending_calls_holds_nothing_up(tmp_path: Path) -> None:
    with open_stage(tmp_path, "tiny+chatter:1000") as stage:
        stage.lay_out()
        engine = stage.run()
        assert engine.wait(60) == 0, engine.err
        assert stage.passing() == [True]
        said = [event["text"] for event in stage.journal(named("text"))]
        assert [text for text in said if text.startswith("Piece ")] == [f"Piece {n}." for n in range(1000)]
        assert gapless(stage.journal())


def test_a_stop_is_quick_in_the_middle_of_a_flood(tmp_path: Path) -> None:
    with open_stage(tmp_path, "tiny+chatter:6000") as stage:
        stage.lay_out()
        engine = stage.run()
        stage.wait_for(piece(200))
        stage.stop_file.touch()
        # Two seconds for what runs, and some for a busy machine; the flood alone takes twice that.
        assert engine.wait(5) == 3, engine.err
        assert stage.journal(piece(5999)) == []
        assert stage.journal(named("stop_confirmed"))[0]["survivors"] == []
        assert stage.alive() == []


# 2. Hooks fail closed


def test_no_call_runs_whose_hook_fails(
    tmp_path: Path, open_run: OpenRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []

    async def failing(payload: Any, tool_use_id: str | None, context: Any) -> Any:
        calls.append(payload["tool_name"])
        match len(calls) % 4:
            case 1:
                raise RuntimeError("a guard's own mistake")
            case 2:
                return None
            case 3:
                return {"hookSpecificOutput": {"hookEventName": "PreToolUse", "permissionDecision": "Deny"}}
        return {"hookSpecificOutput": object()}

    async def silent(payload: Any, tool_use_id: str | None, context: Any) -> Any:
        return {}

    async def no_app(action: str) -> Answer:
        return Answer(False, "")

    async def results() -> list[Any]:
        from claude_agent_sdk import ClaudeSDKClient, ToolResultBlock, UserMessage  # noqa: PLC0415

        found = []
        async with ClaudeSDKClient(options) as client:
            await client.query("Prepare exactly 1 features.")
            async for message in client.receive_response():
                if isinstance(message, UserMessage) and isinstance(message.content, list):
                    found += [block for block in message.content if isinstance(block, ToolResultBlock)]
        return found

    with open_stage(tmp_path, "tiny") as stage:
        for name, value in stage.env.items():
            monkeypatch.setenv(name, value)
        setup = sdk.Setup(
            role="initializer",
            model="sonnet",
            system_prompt="# Role: initializer\n",
            sdk_session="6f1c1d9e-5a7b-4c53-9d0e-0f6f3a5b7c11",
            resume=False,
            schema=None,
        )
        hooks = sdk.Hooks(failing, silent, silent, silent)
        server = tools.server(tools.Handlers(app=no_app))
        options = sdk.options(open_run(stage.root), setup, hooks, server, lambda line: None)
        refused = asyncio.run(results())
        assert len(calls) >= 6 and "Bash" in calls and "Write" in calls
        assert len(refused) == len(calls) and all(block.is_error for block in refused)
        assert {path.name for path in stage.root.iterdir()} == {".git", ".longwatch"}


# 4. Nothing of the project's own settings runs


def test_what_a_project_brings_along_is_read_and_not_run(tmp_path: Path) -> None:
    with open_stage(tmp_path, "tiny") as stage:
        stage.lay_out()
        marks = tmp_path / "marks"
        marks.mkdir()

        def settings(whose: str) -> str:
            events = ("SessionStart", "UserPromptSubmit", "PreToolUse", "PostToolUse", "Stop")
            hooks = {
                event: [{"hooks": [{"type": "command", "command": f"touch {marks}/{whose}-{event}"}]}]
                for event in events
            }
            return json.dumps({"hooks": hooks, "model": "opus", "env": {"FOREIGN": whose}})

        server = {"command": "/bin/sh", "args": ["-c", f"touch {marks}/mcp-server"]}
        files = {
            ".claude/settings.json": settings("project"),
            ".claude/settings.local.json": settings("local"),
            ".claude/commands/intrude.md": "Say that a command was loaded.",
            ".claude/skills/intrude/SKILL.md": "---\nname: intrude\ndescription: A foreign skill.\n---\n",
            ".mcp.json": json.dumps({"mcpServers": {"foreign": server}}),
            "CLAUDE.md": "All flags are upright, says the guidance.",
            "AGENTS.md": "Tabs are eight wide, says the other page.",
        }
        for name, text in files.items():
            (stage.root / name).parent.mkdir(parents=True, exist_ok=True)
            (stage.root / name).write_text(text)
        (Path(stage.env["CLAUDE_CONFIG_DIR"]) / "settings.json").write_text(settings("user"))
        stage.git("add", "-A")
        stage.git("commit", "-q", "-m", "Bring our own settings")

        engine = stage.run("--set", "evaluator=feature")
        assert engine.wait(60) == 0, engine.err
        assert list(marks.iterdir()) == []
        for role in ("generator", "evaluator"):
            for body in stage.bodies(role):
                system = "\n".join(block["text"] for block in body["system"])
                assert files["CLAUDE.md"] in system and files["AGENTS.md"] in system
                assert "opus" not in body["model"]
                assert not any("foreign" in tool["name"] for tool in body["tools"])
                assert "A foreign skill" not in json.dumps(body)
        init = of_kind(trace(stage, 1), "SystemMessage")[0]["data"]
        assert [server["name"] for server in init["mcp_servers"]] == ["longwatch"]
        assert "intrude" not in json.dumps(init)


# 5. The CLI never outlives its engine


def guardian_of(stage: Stage) -> psutil.Process:
    """The process that watches over this run's engine."""
    mark = f"{stage.run_id()}:"
    (found,) = [
        process
        for process in psutil.process_iter(["cmdline"])
        if any(word.startswith(mark) for word in process.info["cmdline"] or ())
    ]
    return found


def test_a_cli_follows_its_engine_without_a_guardian(tmp_path: Path) -> None:
    with open_stage(tmp_path, "tiny+hold") as stage:
        stage.lay_out()
        engine = stage.run()
        stage.wait_for(is_held)
        until(lambda: any("os.path.exists" in line for line in stage.alive()), 10, "the held command runs")
        guardian_of(stage).kill()
        engine.kill()
        until(lambda: cli(stage) is None, 15, "the CLI is gone")
        until(lambda: stage.alive() == [], 15, "its shell is gone, too")


def test_ctrl_c_at_a_terminal_is_for_the_engine_alone(tmp_path: Path) -> None:
    keyboard, screen = pty.openpty()
    with open_stage(tmp_path, "tiny+hold") as stage:
        stage.lay_out()
        engine = at_terminal(stage, screen, "run", str(stage.root), "--headless", "--preset", "two-agent")
        stage.wait_for(is_held)
        pid = until(lambda: cli(stage), 5, "the CLI is there")
        assert psutil.Process(engine.pid).terminal() == os.ttyname(screen)
        assert psutil.Process(pid).terminal() is None
        assert os.getsid(pid) != os.getsid(engine.pid)
        os.write(keyboard, b"\x03")
        assert engine.wait(15) == 3, engine.err
        assert [event["mode"] for event in stage.journal(named("stop_confirmed"))] == ["pause"]
        # A CLI that the ctrl+c had reached would not have answered the engine's interrupt.
        assert of_kind(trace(stage, 1), "ResultMessage")[-1]["terminal_reason"].startswith("aborted")
        assert stage.alive() == []
    os.close(keyboard)
    os.close(screen)


def at_terminal(stage: Stage, screen: int, *arguments: str) -> Command:
    """Start `longwatch ARGUMENTS` as the foreground job of the terminal whose program's end `screen` is."""
    out, err = stage.scratch / "terminal.out", stage.scratch / "terminal.err"
    with out.open("wb") as out_stream, err.open("wb") as err_stream:
        process = subprocess.Popen(
            ["setsid", "--ctty", LONGWATCH, *arguments],
            env=stage.env,
            cwd=stage.scratch,
            stdin=screen,
            stdout=out_stream,
            stderr=err_stream,
        )
    stage.commands.append(Command(process, out, err))
    return stage.commands[-1]


# 7. Nothing goes on in the background


def test_nothing_outlives_the_call_that_started_it(tmp_path: Path) -> None:
    with open_stage(tmp_path, "tiny+background+subagent:background") as stage:
        stage.lay_out()
        engine = stage.run()
        assert engine.wait(60) == 0, engine.err
        results = {event["tool_use_id"]: event for event in stage.journal(named("tool_result"))}
        slow = [event for event in stage.journal(named("tool_use")) if "late.txt" in str(event["input"])]
        assert len(slow) == 2 and not any(results[event["tool_use_id"]]["ok"] for event in slow)
        assert not (stage.root / "late.txt").exists()
        asked = stage.journal(named("tool_use", tool="Agent"))
        assert "I looked around as asked" in results[asked[0]["tool_use_id"]]["output"]
        assert len(of_kind(trace(stage, 1), "ResultMessage")) == 1
        assert stage.alive() == []


# 8. A failure that calls itself a success is a failure

BROKEN = b'{"type": "error", "error": {"type": "invalid_request_error", "message": "Something is wrong."}}'


def test_a_failure_that_says_success_is_a_failure(tmp_path: Path) -> None:
    with open_stage(tmp_path, "tiny") as stage, refusing(400, BROKEN) as url:
        stage.lay_out()
        assert stage.run().wait(60) == 0
        built = len(stage.journal(named("session_started")))
        stage.env["ANTHROPIC_BASE_URL"] = url
        judged = stage.run("--set", "evaluator=feature")
        assert judged.wait(60) == 1
        last = of_kind(trace(stage, built + 1), "ResultMessage")[-1]
        assert (last["subtype"], last["is_error"]) == ("success", True), "the CLI's habit has changed"
        assert stage.journal(named("session_ended", session=built + 1))[0]["reason"] == "api_error"
        assert "Something is wrong." in stage.journal(named("run_ended"))[-1]["reason"]
        assert stage.journal(named("verdict")) == []
        assert stage.status()["features"]["verified"] == 0


# 9. A verdict in words is none


@pytest.mark.slow
def test_a_verdict_in_words_is_no_verdict(tmp_path: Path) -> None:
    with open_stage(tmp_path, "tiny+no-verdict") as stage:
        stage.lay_out()
        engine = stage.run("--set", "evaluator=feature")
        assert engine.wait(90) == 1
        sessions = [event["session"] for event in stage.journal(named("session_started", role="evaluator"))]
        assert len(sessions) >= 2, "one that gives no verdict is followed by another"
        for session in sessions:
            last = of_kind(trace(stage, session), "ResultMessage")[-1]
            assert (last["subtype"], last["is_error"], last["structured_output"]) == ("success", False, None)
        assert stage.journal(named("verdict")) == []
        assert stage.status()["features"]["verified"] == 0
        assert "verdict" in stage.journal(named("run_ended"))[0]["reason"]


def test_what_the_sdk_does_not_need_is_left_to_others() -> None:
    script = (
        "import sys; from harness_core.agent import sdk; sdk.load(); "
        "assert 'uvicorn' not in sys.modules; "
        "from mcp.server.fastmcp import FastMCP; assert FastMCP.__module__.startswith('mcp.'); "
        "import httpx._main"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
