"""The installed hooks in the real Claude Code, `claude -p`, against the rehearsal's model."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from harness_core.agent.sdk import bundled_cli
from harness_core.record import events as ev
from harness_core.record.foreign import transcripts_folder
from harness_core.rehearsal import start
from harness_core.rehearsal.scenarios import plain, tiny
from tests.guard_cases import LONGWATCH
from tests.test_hook import events, passing

Claude = Callable[[str], str]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    place = tmp_path / "run"
    place.mkdir()
    (place / "feature_list.json").write_text(tiny.contract(3))
    (place / "flags.py").write_text(tiny.FLAGS_PY)
    (place / "Makefile").write_text(plain.MAKEFILE)
    for words in (["init", "-q", "-b", "main"], ["add", "-A"], ["commit", "-q", "-m", "Lay out"]):
        identity = ["-c", "user.name=a", "-c", "user.email=a@localhost"]
        subprocess.run(["git", *identity, *words], cwd=place, check=True)
    longwatch("hooks", "install", str(place))
    return place


@pytest.fixture
def claude(root: Path, tmp_path: Path) -> Iterator[Claude]:
    """Runs `claude -p` on a scenario to its end; gives back what it said."""

    def run(scenario: str) -> str:
        with start(scenario) as model:
            done = subprocess.run(
                [
                    *(bundled_cli(), "-p", "Go.", "--model", "claude-sonnet-4-5"),
                    *("--append-system-prompt", f"# Role: generator\nWorking directory: {root}"),
                    *("--permission-mode", "bypassPermissions"),
                ],
                cwd=root,
                env={**os.environ, **model.env(), **own, "IS_SANDBOX": "1"},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=120,
                check=True,
            )
        return done.stdout

    own = {"HOME": str(tmp_path), "CLAUDE_CONFIG_DIR": str(tmp_path / "config")}
    (tmp_path / "config").mkdir()
    yield run


def longwatch(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([LONGWATCH, *arguments], capture_output=True, text=True, check=False)


def of(found: list[ev.Event], kind: type[ev.Event]) -> list[Any]:
    return [event for event in found if isinstance(event, kind)]


def test_a_session_is_guarded_steered_and_journaled(root: Path, claude: Claude, tmp_path: Path) -> None:
    claude("plain")
    found = events(root)
    assert [event.guard for event in of(found, ev.GuardDecision)] == ["shell", "evidence"]
    claimed = of(found, ev.FeatureChanged)
    assert [(event.feature, event.to, len(event.evidence)) for event in claimed] == [("F001", "claimed", 1)]
    assert "F002" in of(found, ev.ContractTampered)[0].what
    assert passing(root) == [True, False, False]
    once = (ev.SteerQueued, ev.SteerDelivered, ev.SteerAcknowledged, ev.SessionStarted, ev.SessionEnded)
    assert [len(of(found, kind)) for kind in once] == [1, 1, 1, 1, 1]
    calls = {event.tool_use_id for event in of(found, ev.ToolUse)}
    denied = {event.tool_use_id for event in of(found, ev.GuardDecision)}
    assert {event.tool_use_id for event in of(found, ev.ToolResult)} == calls - denied

    folder = transcripts_folder(root, {"CLAUDE_CONFIG_DIR": str(tmp_path / "config")})
    conversation = next(folder.glob("*.jsonl")).read_text()
    assert conversation.count("[steering message 001 from the operator]") >= 1
    assert f"Noted, operator: “{plain.WORDS}”" in conversation

    report = json.loads(longwatch("status", str(root), "--json").stdout)
    assert (report["features"]["claimed"], report["sessions"], report["denials"]) == (1, 1, 2)
    assert "1/3 pass" in longwatch("attach", str(root), "--plain").stdout


@pytest.mark.slow
def test_the_brake_ends_the_turn_and_the_next_session_goes_on_without_it(root: Path, claude: Claude) -> None:
    claude("plain:stop")
    assert [event.guard for event in of(events(root), ev.GuardDecision)] == ["stop"]
    assert not (root / "after.txt").exists()
    (root / "AGENT_STOP").unlink()
    (root / "Makefile").write_text("halt:\n")
    claude("plain:stop")
    assert (root / "after.txt").exists()


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["kill -9 $$", "exit 1", "exec sleep 60", "raise"])
def test_a_hook_that_fails_blocks(root: Path, claude: Claude, fault: str) -> None:
    """By a signal to hook and shell, an ordinary failure, its time being up, an exception of its own."""
    path = root / ".claude/settings.json"
    settings = json.loads(path.read_text())
    hook = settings["hooks"]["PreToolUse"][0]["hooks"][0]
    if fault == "raise":
        (root / ".longwatch").write_text("no folder")
    else:
        assert str(LONGWATCH) in hook["command"]
        hook |= {
            "command": hook["command"].replace(str(LONGWATCH), "false") if "exit" in fault else fault,
            "timeout": 2,
        }
    path.write_text(json.dumps(settings))
    claude("plain:stop")
    assert not (root / "AGENT_STOP").exists() and not (root / "after.txt").exists()


# --- Into settings.json and out -------------------------------------------------------------------------

THEIRS = """\
{"model": "opus",
   "hooks": {"PreToolUse": [{"matcher": "Bash", "hooks": [{"type": "command", "command": "true"}]}]}}"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / ".claude").mkdir()
    return tmp_path


def settings_of(project: Path) -> dict[str, Any]:
    read: dict[str, Any] = json.loads((project / ".claude/settings.json").read_text())
    return read


def test_what_was_there_stays_and_comes_back_to_the_byte(project: Path) -> None:
    (project / ".claude/settings.json").write_text(THEIRS)
    for _ in range(2):
        assert longwatch("hooks", "install", str(project)).returncode == 0
    hooks = settings_of(project)["hooks"]["PreToolUse"]
    assert [group["matcher"] for group in hooks] == ["Bash", "*"]
    assert hooks[0] == json.loads(THEIRS)["hooks"]["PreToolUse"][0]
    assert settings_of(project)["model"] == "opus"
    assert longwatch("hooks", "remove", str(project)).returncode == 0
    assert (project / ".claude/settings.json").read_text() == THEIRS
    assert [path.name for path in (project / ".claude").iterdir()] == ["settings.json"]


def test_what_was_changed_meanwhile_stays_changed(project: Path) -> None:
    (project / ".claude/settings.json").write_text(THEIRS)
    longwatch("hooks", "install", str(project))
    changed = settings_of(project)
    changed["model"] = "sonnet"
    changed["hooks"]["PreToolUse"][1]["hooks"].append({"type": "command", "command": "mine"})
    (project / ".claude/settings.json").write_text(json.dumps(changed))
    longwatch("hooks", "remove", str(project))
    left = settings_of(project)
    assert left["model"] == "sonnet" and list(left["hooks"]) == ["PreToolUse"]
    commands = [hook["command"] for group in left["hooks"]["PreToolUse"] for hook in group["hooks"]]
    assert commands == ["true", "mine"]


def test_where_there_was_nothing_nothing_is_left(project: Path) -> None:
    shutil.rmtree(project / ".claude")
    longwatch("hooks", "install", str(project))
    assert longwatch("hooks", "remove", str(project)).returncode == 0
    assert not (project / ".claude").exists()
    assert "no hooks of ours" in longwatch("hooks", "remove", str(project)).stdout


@pytest.mark.parametrize("text", ["{", "[]", '{"hooks": []}', '{"hooks": {"Stop": 1}}'])
@pytest.mark.parametrize("command", ["install", "remove"])
def test_settings_that_can_not_be_read_are_left_alone(project: Path, text: str, command: str) -> None:
    path = project / ".claude/settings.json"
    path.write_text(text)
    done = longwatch("hooks", command, str(project))
    if command == "install":
        assert done.returncode == 2 and str(path) in done.stderr and done.stderr.count("\n") == 1
    assert "Traceback" not in done.stderr
    assert path.read_text() == text
