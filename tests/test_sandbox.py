"""The operating system's sandbox, with real boxes: what it closes, what it leaves open, and who is told."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness_core import config
from harness_core.agent import sdk
from harness_core.box import drill, reviews, sandbox
from harness_core.box.drill import Found
from harness_core.box.sandbox import Sandbox, SandboxTable
from harness_core.errors import Mistake
from harness_core.layout import RunDir
from harness_core.machine import processes
from harness_core.machine.app import App
from harness_core.run import Run
from tests.conftest import OpenRun
from tests.harness import Stage, named, open_stage, until
from tests.test_run_faults import is_held

BOXLESS = sandbox.lacks()
boxed = pytest.mark.skipif(bool(BOXLESS), reason=f"no sandbox here: {BOXLESS}")


# --- The app ------------------------------------------------------------------------------------------

LOOKS = """\
touch inside; touch ../outside; cat .longwatch/secret; touch .git/hooks/pre-commit
echo spoilt >> longwatch.toml
env | sort > seen; echo "$$" >> seen
exit 7
"""


@pytest.fixture
def run(open_run: OpenRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    made = open_run(tmp_path / "run")
    made.sandbox = Sandbox(on=True)
    return made


def script(run: Run, text: str) -> None:
    run.dir.init_script.write_text(f"#!/bin/sh\n{text}\n")
    run.dir.init_script.chmod(0o755)


@boxed
def test_a_boxed_app_writes_in_its_project_alone_and_gets_no_key(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    (run.dir.private / "secret").write_text("a secret of the harness\n")
    run.dir.config_file.write_text("features = 2\n")
    for name in ("ANTHROPIC_BASE_URL", "SOME_API_KEY", "CLAUDE_CODE_X", "SSH_AUTH_SOCK", "PLAIN"):
        monkeypatch.setenv(name, "a value")
    script(run, LOOKS)
    answer = asyncio.run(App(run).start())
    assert not answer.ok and "exit status 7" in answer.text
    assert "a secret of the harness" not in answer.text
    root = run.dir.root
    assert (root / "inside").exists()
    assert not (root.parent / "outside").exists() and not (root / ".git/hooks/pre-commit").exists()
    assert run.dir.config_file.read_text() == "features = 2\n"
    *environment, pid = (root / "seen").read_text().splitlines()
    names = {line.partition("=")[0] for line in environment}
    assert "PLAIN" in names
    assert not names & {"ANTHROPIC_BASE_URL", "SOME_API_KEY", "CLAUDE_CODE_X", "SSH_AUTH_SOCK"}
    assert int(pid) < 20


@boxed
def test_what_a_boxed_script_leaves_running_is_reached_and_stopped(run: Run) -> None:
    script(run, "python3 -m http.server --bind 127.0.0.1 0 &")

    async def story() -> None:
        app = App(run)
        try:
            started = await app.start()
            assert started.ok, started.text
            while not app.ports():
                await asyncio.sleep(0.05)
            address = f"http://127.0.0.1:{app.ports()[0]}/init.sh"
            assert b"http.server" in await asyncio.to_thread(lambda: urllib.request.urlopen(address).read())
        finally:
            stopped = await app.stop()
        assert stopped.ok, stopped.text

    asyncio.run(asyncio.wait_for(story(), 60))
    assert processes.marked(processes.APP_MARK, run.mark) == []


# --- The shell ----------------------------------------------------------------------------------------


def test_a_command_that_needs_nothing_is_left_as_it_is() -> None:
    assert sandbox.linked("make test", []) == "make test"


def test_an_evaluators_command_begins_in_its_clone_whatever_that_is_called(tmp_path: Path) -> None:
    clone = tmp_path / "it's a $(clone)"
    clone.mkdir()
    command = sandbox.linked("cat <<EOF\n$PWD\nEOF", [], clone)
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True)
    assert done.stdout == f"{clone}\n"
    gone = sandbox.linked("echo ran", [], tmp_path / "gone")
    done = subprocess.run(["bash", "-c", gone], capture_output=True, text=True, check=False)
    assert done.stdout == "" and done.returncode != 0


def test_a_shell_reaches_the_indexes_that_the_machine_names_and_gets_no_credential(tmp_path: Path) -> None:
    (tmp_path / ".npmrc").write_text("registry=https://name:word@npm.example.org/all/\n")
    (tmp_path / ".netrc").write_text("machine example.org login me password secret\n")
    environ = {"HOME": str(tmp_path), "PIP_INDEX_URL": "http://pip.example.org:81/simple"}
    environ |= {"ANTHROPIC_API_KEY": "a", "GITHUB_TOKEN": "b", "TEST_TOKEN": "c", "PLAIN": "d"}
    box = Sandbox(on=True, table=SandboxTable(hosts=["db.example.org"], keep=["TEST_TOKEN"]))
    settings = sandbox.for_shell(box, RunDir(tmp_path / "run"), tmp_path / "scratch", None, environ)
    hosts = settings["network"]["allowedDomains"]
    assert {"npm.example.org", "pip.example.org", "db.example.org", "127.0.0.1", "pypi.org"} <= set(hosts)
    assert not [host for host in hosts if "name" in host]
    withheld = [item["name"] for item in settings["credentials"]["envVars"]]
    assert withheld == ["ANTHROPIC_API_KEY", "GITHUB_TOKEN"]
    assert str(tmp_path / ".netrc") in settings["filesystem"]["denyRead"]


def test_a_clone_has_what_is_committed_and_changes_nothing(open_run: OpenRun, tmp_path: Path) -> None:
    run = open_run(tmp_path / "run")
    root, clone = run.dir.root, tmp_path / "clone"
    reviews.lay_out(root, clone)
    assert (clone / ".git").is_dir()
    (root / "kept").write_text("kept\n")
    run.git.commit_all("Keep it")
    (root / "loose").write_text("loose\n")
    reviews.lay_out(root, clone)
    assert {path.name for path in clone.iterdir()} == {".git", "kept"}
    before = run.git.head()
    subprocess.run(["git", "rm", "-q", "kept"], cwd=clone, check=True)
    reviews.clear(clone)
    assert not clone.exists() and run.git.head() == before and (root / "kept").exists()


# --- The drill ----------------------------------------------------------------------------------------


@boxed
def test_a_sound_machine_passes_the_drill_once_and_is_remembered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_home(tmp_path, monkeypatch)
    assert drill.known(True) is None
    found = drill.find(True)
    assert found == Found(at=found.at)
    assert drill.find(True) == drill.known(True) == found
    monkeypatch.setattr("harness_core.box.sandbox.PACKAGES", {"bwrap": "bubblewrap"})
    assert drill.known(True) is None


def test_hooks_that_let_a_failure_pass_are_found_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def spoil(options: Any) -> None:
        for matcher in options.hooks["PreToolUse"]:
            matcher.on_failure = None

    found = drilled(tmp_path, monkeypatch, spoil)
    assert found.hooks == "a call whose hook failed was run all the same"
    assert drill.known(False) is None


@pytest.mark.slow
def test_hooks_that_are_not_asked_are_found_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def spoil(options: Any) -> None:
        options.hooks = {}

    assert drilled(tmp_path, monkeypatch, spoil).hooks == "a call that its hook denied was run all the same"


@boxed
@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("MASKED", (), "`git add -A` fails"),
        ("LOOPBACK", (), "can't be reached"),
        ("linked", lambda command, ports, folder=None: command, "can't be reached"),
    ],
)
def test_a_sandbox_that_hinders_honest_work_is_found_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: object, says: str
) -> None:
    at_home(tmp_path, monkeypatch)
    monkeypatch.setattr(sandbox, name, value)
    found = drill.find(True)
    assert says in found.sandbox and not found.hooks
    assert drill.known(True) is None


def at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("LONGWATCH_DRILL", str(tmp_path / "drill.json"))


def drilled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spoil: Callable[[Any], None]) -> Found:
    """What a drill without a sandbox finds when its sessions start with spoilt options."""
    at_home(tmp_path, monkeypatch)
    sound = sdk.options

    def spoilt(*given: Any) -> Any:
        options = sound(*given)
        spoil(options)
        return options

    monkeypatch.setattr(sdk, "options", spoilt)
    return drill.find(False)


# --- A run --------------------------------------------------------------------------------------------


def test_what_a_killed_cli_has_left_is_swept_and_nothing_else(open_run: OpenRun, tmp_path: Path) -> None:
    run = open_run(tmp_path / "run")
    root = run.dir.root
    (root / ".gitmodules").touch()
    run.git.commit_all("An empty file of the project's own")
    (root / ".zshrc").write_text("of somebody's\n")
    for name in (".bashrc", ".mcp.json", ".idea", ".git/config.lock"):
        (root / name).touch()
    os.utime(root / ".git/config.lock", (1, 1))
    sandbox.sweep(run.dir)
    assert {path.name for path in root.iterdir()} == {".git", ".longwatch", ".gitmodules", ".zshrc"}
    subprocess.run(["git", "config", "some.key", "value"], cwd=root, check=True)


@boxed
@pytest.mark.slow
def test_a_kill_in_the_middle_of_a_boxed_command_leaves_no_trace(tmp_path: Path) -> None:
    with open_stage(tmp_path, "tiny+hold") as stage:
        stage.lay_out()
        engine = stage.run("--sandbox", "require")
        stage.wait_for(is_held, 120)
        until((stage.root / ".bashrc").exists, 60, "the command's covers are there")
        engine.kill()
        until(lambda: not stage.alive(), 10, "the guardian has cleaned up")
        time.sleep(1.1)
        stage.release()
        assert stage.run().wait(120) == 0
        assert stage.passing() == [True]
        assert not [name for name in sandbox.MASKED if (stage.root / name.strip("/")).is_file()]
        stage.git("config", "some.key", "value")


@boxed
@pytest.mark.slow
def test_an_evaluator_has_a_shell_in_a_clone_and_none_in_the_project(tmp_path: Path) -> None:
    with open_stage(tmp_path, "tiny+meddle") as stage:
        stage.lay_out()
        engine = stage.run("--sandbox", "require", "--set", "evaluator=feature")
        assert engine.wait(120) == 0, engine.err
        assert outcome(stage, "evaluator", "touch meddled.txt")["ok"]
        assert not (stage.root / "meddled.txt").exists()
        assert outcome(stage, "generator", "git add -A && git commit -q -m 'Draw F001'")["ok"]
        assert stage.git("status", "--short") == ""
        assert stage.journal(named("run_started"))[0]["sandbox"].endswith("run in a sandbox")
        assert not [path for path in Path(stage.env["HOME"]).rglob("reviews/*")]


def outcome(stage: Stage, role: str, command: str) -> Any:
    calls = stage.journal(named("tool_use", role=role, tool="Bash"))
    call = next(event for event in calls if event["input"]["command"] == command)
    return stage.journal(named("tool_result", tool_use_id=call["tool_use_id"]))[0]


def test_a_required_sandbox_that_can_not_be_had_refuses_the_start(tmp_path: Path) -> None:
    with open_stage(tmp_path, None) as stage:
        programs = tmp_path / "programs"
        programs.mkdir()
        for name, text in (("bwrap", "echo 'No permissions to create a namespace'; exit 1"), ("socat", "")):
            (programs / name).write_text(f"#!/bin/sh\n{text}\n")
            (programs / name).chmod(0o755)
        stage.env |= {"PATH": f"{programs}{os.pathsep}{stage.env['PATH']}", "ANTHROPIC_API_KEY": "no-key"}
        engine = stage.run("--sandbox", "require")
        assert engine.wait() == 2
        assert re.search(
            r"a sandbox is required and can't be had: .*No permissions.*--sandbox off", engine.err
        )
        assert "Traceback" not in engine.err
        assert not stage.private.exists()


@pytest.mark.parametrize(
    ("table", "asked", "environ", "mode"),
    [
        (None, None, {}, "auto"),
        (None, None, {"LONGWATCH_SANDBOX": "off"}, "off"),
        (SandboxTable(mode="require"), None, {"LONGWATCH_SANDBOX": "off"}, "require"),
        (SandboxTable(mode="require"), "auto", {}, "auto"),
    ],
)
def test_the_nearest_word_on_the_sandbox_counts(
    table: SandboxTable | None, asked: str | None, environ: dict[str, str], mode: str
) -> None:
    file, options = config.FileConfig(sandbox=table), config.Options(sandbox=asked)
    assert config.resolve(file, options, environ).sandbox.mode == mode


def test_an_unknown_mode_gets_a_sentence() -> None:
    with pytest.raises(Mistake, match="--sandbox maybe: choose auto, require, off"):
        config.resolve(config.FileConfig(), config.Options(sandbox="maybe"), {})
