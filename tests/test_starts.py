"""What a start says and shows: what is set, what it keeps, how far a contract is that is being written."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
from pathlib import Path

import pytest

from tests.harness import LONGWATCH, Stage, gapless, named, open_stage, until

SET_UP = re.compile(r"preset .*\n.*model .*\n.*limits .*\n.*timeouts .*\n.*shell .*\n")


def stopped(stage: Stage, *more: str, within: float = 20) -> str:
    """What a headless start says in a run that AGENT_STOP holds: it ends before the first session."""
    stage.root.mkdir(exist_ok=True)
    stage.stop_file.touch()
    engine = stage.start("run", str(stage.root), "--headless", *more)
    assert engine.wait(within) == 3, engine.err
    return engine.out


def test_a_start_says_what_is_set_each_time(tmp_path: Path) -> None:
    with open_stage(tmp_path, None) as stage:
        stage.env["ANTHROPIC_API_KEY"] = "none"
        first = stopped(
            stage, "--spec", str(stage.spec), "--model", "evaluator=opus", "--max-turns", "1234567"
        )
        assert "continuous" in first and "sonnet (evaluator: opus)" in first
        assert "max-usd 50, max-turns 1,234,567" in first
        assert "session 120 min, silence 10 min, tool call 15 min" in first
        again = stopped(stage, "--max-usd", "7.5", "--stall-timeout", "3", "--session-timeout", "45")
        assert "max-usd 7.5, max-turns 1,234,567" in again
        assert "session 45 min, silence 3 min" in again
        assert "sonnet (evaluator: opus)" in again
        for said in (first, again):
            assert len(SET_UP.findall(said)) == 1


def test_a_start_says_that_no_limit_is_set(tmp_path: Path) -> None:
    with open_stage(tmp_path, None) as stage:
        stage.env["CLAUDE_CODE_OAUTH_TOKEN"] = "none"
        assert "no limit is set" in stopped(stage, "--spec", str(stage.spec))
        (stage.root / "longwatch.toml").write_text("[limits]\nmax_hours = 9\n")
        assert "max-hours 9\n" in stopped(stage)


def test_git_without_an_identity_is_no_mistake(tmp_path: Path) -> None:
    with open_stage(tmp_path, None) as stage:
        stage.env = {name: value for name, value in stage.env.items() if not name.startswith("GIT_")}
        stage.env |= {
            "ANTHROPIC_API_KEY": "none",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_NOSYSTEM": "1",
        }
        stopped(stage, "--spec", str(stage.spec))
        assert stage.git("config", "user.name") == "Longwatch\n"


def test_a_run_keeps_its_specification_and_its_contract_and_says_so(tmp_path: Path) -> None:
    with open_stage(tmp_path) as stage:
        stage.lay_out()
        assert stage.run().wait(60) == 0
        same = stage.run()
        assert (same.wait(20), same.err) == (0, "")
        other = tmp_path / "other.txt"
        other.write_text("Something else.\n")
        asked = stage.start("run", str(stage.root), "--spec", str(other), "--features", "7", "--headless")
        assert asked.wait(20) == 0
        assert asked.err.splitlines() == [
            f"the run keeps the specification that it began with: {other} isn't read",
            "the run keeps the contract that is frozen: --features 7 changes nothing",
        ]
        watched = stage.start("run", str(stage.root), "--spec", str(other))
        until(lambda: f"{other} isn't read" in watched.err, 20, "who watches is told as well")
        assert (stage.root / "app_spec.txt").read_bytes() == stage.spec.read_bytes()


# --- How far a contract is --------------------------------------------------------------------


@pytest.mark.slow
def test_a_contract_that_is_being_written_is_counted(tmp_path: Path) -> None:
    with open_stage(tmp_path, "tiny", pace="human") as stage:
        engine = stage.run("--max-sessions", "1", features=200)
        counted = until(
            lambda: re.search(r"features written: (\d+) of 200\n", engine.out), 30, "a count is printed"
        )
        assert int(counted[1]) <= 200
        stage.wait_for(named("contract_frozen"))
        assert engine.wait(60) == 4, engine.err
        assert engine.out.index(counted[0]) < engine.out.index("contract frozen: 200 features")


@pytest.mark.slow
def test_a_terminal_shows_the_count_in_its_last_line(tmp_path: Path) -> None:
    with open_stage(tmp_path, "tiny", pace="human") as stage:
        shown = on_terminal(stage, "run", str(stage.root), "--spec", str(stage.spec), "--features", "200",
                            "--max-sessions", "1", "--headless")  # fmt: skip
        counts = [int(count) for count in re.findall(r"\r\x1b\[2K.*?features written: (\d+) of 200", shown)]
        assert len(counts) > 2 and counts == sorted(counts) and counts[-1] > counts[0]
        assert not re.search(r"features written: \d+ of 200\x1b\[0m\r\n", shown)
        assert "contract frozen: 200 features" in shown


def on_terminal(stage: Stage, *arguments: str) -> str:
    """All that a command writes to a terminal of its own."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [LONGWATCH, *arguments],
        env={**stage.env, "TERM": "xterm"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    written = bytearray()
    while True:
        try:
            written += os.read(ours, 65536)
        except OSError:
            break
    os.close(ours)
    process.wait()
    return written.decode()


def test_json_holds_events_and_nothing_else(tmp_path: Path) -> None:
    attack = "\x1b[31mred\x9b31m\u202e\u2028\x7f"
    with open_stage(tmp_path, "tiny", pace="human") as stage:
        stage.root.mkdir()
        (stage.root / "STEER.md").write_text(attack)
        engine = stage.run("--max-sessions", "1", features=200, json_lines=True)
        assert engine.wait(60) == 4, engine.err
        assert [json.loads(line) for line in engine.out.split("\n")[:-1]] == stage.journal()
        assert any(attack in event.get("text", "") for event in stage.journal(named("steer_queued")))
        assert not {"\x1b", "\x9b", "\u202e", "\u2028", "\x7f"} & set(engine.out)


# --- Who watches, and who goes away ---------------------------------------------------------------


@pytest.mark.parametrize(
    "more", [[], pytest.param(["--json"], marks=pytest.mark.slow)], ids=["lines", "json"]
)
def test_a_run_outlives_the_reader_of_its_output(tmp_path: Path, more: list[str]) -> None:
    with open_stage(tmp_path) as stage:
        stage.lay_out()
        command = [LONGWATCH, "run", str(stage.root), "--headless", *more]
        engine = subprocess.Popen(command, env=stage.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert engine.stdout is not None and engine.stderr is not None
        assert engine.stdout.readline()
        engine.stdout.close()
        said = engine.stderr.read()
        assert (engine.wait(60), said) == (0, b"")
        assert stage.passing() == [True] and gapless(stage.journal())


def test_who_watches_sees_a_run_from_its_start_and_is_told_of_its_death(tmp_path: Path) -> None:
    with open_stage(tmp_path, "tiny+hold") as stage:
        stage.lay_out()
        watcher = stage.start("run", str(stage.root))
        stage.wait_for(named("tool_use"), within=30)
        pid = stage.engine_pid()
        assert pid is not None
        os.kill(pid, 9)
        assert watcher.wait(10) == 1
        assert len(SET_UP.findall(watcher.out)) == 1 and watcher.out.startswith("● run ")
        assert watcher.err.splitlines()[-1].endswith(
            f"the engine was killed (signal 9): go on with `longwatch resume {stage.root}`"
        )
        assert watcher.err.count("\n") == 1


def test_attach_says_where_a_run_without_an_engine_stands(tmp_path: Path) -> None:
    with open_stage(tmp_path, None) as stage:
        stage.env["ANTHROPIC_API_KEY"] = "none"
        stopped(stage, "--spec", str(stage.spec))
        shown = stage.do("attach", str(stage.root))
        assert shown.wait() == 0
        assert shown.out.startswith("stopped") and f"longwatch resume {stage.root}" in shown.out
