"""A directory where hooks work without an engine: what is said of it, and what counts as having arrived."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from harness_core.hooks import settings
from harness_core.hooks.inbox import arrivals
from harness_core.hooks.shelf import Session, Waiting, last_call
from harness_core.layout import RunDir
from tests.guard_cases import Hook
from tests.guard_cases import run as run_case
from tests.test_doctor import only
from tests.test_hook import env, hook, root
from tui.cli import cli
from tui.doctor import agent, directory, tools
from tui.doctor.check import Mark, Patient

__all__ = ["env", "hook", "root", "run_case"]

TOLD = "[steering message 001 from the operator]"
USE, RESULT = "toolu_1", {"type": "user", "message": {"content": [{"tool_use_id": "toolu_1"}]}}
ANSWER = {"type": "assistant", "message": "Noted."}


def line(kind: str, text: str = TOLD) -> dict[str, object]:
    return {"type": kind, "content": text}


@pytest.mark.parametrize(
    ("lines", "arrived", "lost"),
    [
        ([line("user"), ANSWER], True, False),
        ([line("attachment"), ANSWER], True, False),
        ([line("attachment")], False, False),
        ([ANSWER, line("attachment")], False, False),
        ([line("queue-operation"), ANSWER], False, False),
        ([line("queue-operation"), RESULT, ANSWER], False, True),
        ([line("assistant"), ANSWER], False, False),
        ([line("user"), line("queue-operation", '"type":"assistant"')], False, False),
        ([RESULT, ANSWER], False, True),
        ([ANSWER, RESULT], False, False),
        ([line("attachment"), ANSWER, line("queue-operation")], True, False),
    ],
)
def test_only_what_was_said_has_arrived(
    tmp_path: Path, lines: list[object], arrived: bool, lost: bool
) -> None:
    record = tmp_path / "t.jsonl"
    record.write_text("".join(json.dumps(item, separators=(",", ":")) + "\n" for item in lines) + '{"torn')
    waiting = [Waiting("001", "s", USE, str(record))]
    found = arrivals(waiting, Session("s", 1, 0), lambda _: False)
    assert found == (["001"] if arrived else [], ["001"] if lost else [])


def said(*arguments: str) -> str:
    done = CliRunner().invoke(cli, arguments)
    assert done.exit_code == 0, done.output
    return done.output


def test_what_works_there_is_said_instead_of_an_engine(hook: Hook, root: Path) -> None:
    hook("SessionStart", source="startup")
    for command in (["attach", "--plain"], ["status"]):
        told = said(*command, str(root))
        assert "the hooks of plain Claude Code work here, last called 0:0" in told
        assert "longwatch resume" not in told
    assert 0 <= json.loads(said("status", "--json", str(root)))["hooked_ago_s"] < 600
    (root / ".longwatch" / "run.json").write_text("{}")
    assert last_call(RunDir.at(root)) is None


def test_the_doctor_looks_at_the_hooks(root: Path) -> None:
    run, file = RunDir.at(root), root / ".claude" / "settings.json"
    patient = Patient({}, run)
    assert only(directory.hooks(patient)).says.startswith("not installed")
    settings.install(run)
    found = json.loads(file.read_text())
    found["hooks"]["PreToolUse"].append({"matcher": "Bash", "hooks": []})
    file.write_text(json.dumps(found))
    assert only(directory.hooks(patient)).says == "installed for plain Claude Code"
    del found["hooks"]["PreToolUse"]
    file.write_text(json.dumps(found))
    assert only(directory.hooks(patient)).mark is Mark.WARN
    file.write_text("{")
    assert only(directory.hooks(patient)).mark is Mark.FAIL


def test_hooks_that_were_taken_out_are_a_warning(hook: Hook, root: Path) -> None:
    hook("SessionStart", source="startup")
    found = only(directory.hooks(Patient({}, RunDir.at(root))))
    assert found.mark is Mark.WARN and f"longwatch hooks install {root}" in found.mend


def test_the_doctor_says_whether_the_guards_were_tried_and_what_a_shell_does_not_get(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LONGWATCH_DRILL", str(tmp_path / "drill.json"))
    environ = {"PATH": "/usr/bin:/bin", "MY_TOKEN": "a", "TEST_TOKEN": "b"}
    assert "not tried" in only(agent.guards(Patient(environ))).says
    (root / "longwatch.toml").write_text('[sandbox]\nkeep = ["TEST_TOKEN"]\n')
    assert only(tools.environment(Patient(environ, RunDir.at(root)))).says.endswith("shells: MY_TOKEN")
    assert list(tools.environment(Patient({"PATH": "/bin"}))) == []
