"""The stop, against commands that don't want to end: what ran is gone within two seconds, or named."""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path

import pytest

from harness_core.guards import GuardContext, ToolCall, stop
from harness_core.machine import processes
from harness_core.machine.alive import start_time
from tests.harness import Event, Stage, named, open_stage, until

BROOD = ("child", "loner", "orphan", "stranger")


def pids(stage: Stage) -> list[int]:
    """Of the processes that the mischief has started, as soon as all have written theirs down."""

    def read() -> list[int]:
        files = [stage.root / f"{name}.pid" for name in BROOD]
        texts = [file.read_text() for file in files if file.exists()]
        return [int(text) for text in texts if text] if len(texts) == len(files) and all(texts) else []

    found: list[int] = until(read, 60, "the command has started its children")
    return found


@pytest.mark.parametrize("mode", ["off", pytest.param("require", marks=pytest.mark.slow)])
def test_nothing_is_left_two_seconds_after_a_stop(tmp_path: Path, mode: str) -> None:
    if mode == "require" and (why := boxless()):
        pytest.skip(why)
    with open_stage(tmp_path, "tiny+brood") as stage:
        stage.lay_out()
        engine = stage.run("--sandbox", mode)
        started = pids(stage)
        if mode == "off":
            born = {pid: start_time(pid) for pid in started}
            assert all(born.values())
        else:
            # Inside their box they have other numbers.
            until(lambda: len(brood(stage)) >= 2, 20, "the box shows them")
            born = {item.pid: item.started for item in brood(stage)}
        stage.stop_file.touch()
        since = time.monotonic()
        until(lambda: not any(start_time(pid) == at for pid, at in born.items()), 10, "all have gone")
        took = time.monotonic() - since
        assert engine.wait(15) == 3, engine.err
        confirmed: Event = stage.journal(named("stop_confirmed"))[0]
        assert confirmed["survivors"] == []
        assert stage.alive() == []
        assert took < 2


def brood(stage: Stage) -> list[processes.Found]:
    marked = processes.marked(processes.RUN_MARK, f"{stage.run_id()}:")
    return [item for item in marked if "brood.py" in item.command and "bash" not in item.command]


def boxless() -> str:
    from harness_core.box import sandbox  # noqa: PLC0415

    return sandbox.lacks()


@pytest.mark.parametrize("agent", [None, "a subagent"])
@pytest.mark.parametrize("tool", ["Bash", "Read", "Agent", "mcp__longwatch__app", "mcp__other__go", "New"])
def test_a_stop_holds_every_tool_of_every_agent(tool: str, agent: str | None, tmp_path: Path) -> None:
    call = ToolCall(tool, {"command": "true"}, "id", agent)
    assert stop.check(call, GuardContext(tmp_path)) is None
    denied = stop.check(call, GuardContext(tmp_path, stopping=True))
    assert denied is not None and "AGENT_STOP" in denied.reason


def test_what_survives_is_named_with_its_open_ports() -> None:
    mine = processes.Found(os.getpid(), start_time(os.getpid()) or 0, "pytest")
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        assert processes.told(mine).startswith(f"{os.getpid()} pytest")
        assert f":{port}" in processes.told(mine).split()
    assert f":{port}" not in processes.told(mine).split()
