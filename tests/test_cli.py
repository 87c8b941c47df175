"""The command line: a mistake gets one line and exit 2, and a run of any origin can be looked at."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from harness_core import config as configuration
from harness_core.operator import checkpoints, control
from harness_core.record import events as ev
from harness_core.record.journal import Tail
from harness_core.run import Run
from tests.commands import ROOT, from_scratch, longwatch, said, sentence
from tests.conftest import OpenRun

LIST = '[{"description": "a", "passes": true}, {"description": "b", "passes": false}]'


@pytest.fixture
def foreign(tmp_path: Path) -> Path:
    """A directory that another harness works in."""
    path = tmp_path / "foreign"
    path.mkdir()
    (path / "feature_list.json").write_text(LIST)
    return path


@pytest.fixture
def run(open_run: OpenRun, tmp_path: Path) -> Run:
    """A run of Longwatch's own, with no engine."""
    made = open_run(tmp_path / "run")
    info = configuration.RunInfo(1, "test", "two-agent", "now", configuration.RunConfig())
    configuration.save_info(made.dir, info)
    made.emit(ev.RunStarted(format=1, preset="two-agent", run_id="test"))
    made.emit(ev.ContractFrozen(features=["F1", "F2"], sha256="x", name="feature_list.json"))
    return made


# --- Mistakes ----------------------------------------------------------------

MISTAKES: list[tuple[list[str | bytes], str]] = [
    (["fly"], "No such command 'fly'"),
    (["status"], "Missing argument 'DIR'"),
    (["status", "DIR", "--wrong"], "No such option"),
    (["status", "NOWHERE"], "is no directory"),
    (["status", "FILE"], "is no directory"),
    (["status", "EMPTY"], "holds no run"),
    (["status", "~nobody-of-this-name"], "can't be a directory"),
    (["status", "x" * 300], "can't be a directory"),
    (["status", b"caf\xe9"], "is no directory"),
    (["status", "evil\x1b[2J\nname"], "is no directory"),
    (["attach", "EMPTY"], "holds no run"),
    (["steer", "DIR"], "Missing argument"),
    (["steer", "DIR", " "], "the steering message is empty"),
    (["stop", "DIR", "--finish", "--now"], "exclude each other"),
    (["approve", "DIR"], "nothing waits for you"),
    (["reject", "DIR", "7", "--note", "x"], "nothing waits for you"),
    (["trace", "DIR", "--grep", "("], "write a regular expression"),
    (["trace", "DIR", "--grep", "a{99999999999999}"], "write a regular expression"),
    (["run", "NEW", "--headless"], "nothing says what to build"),
    (["run", "NEW", "--headless", "--spec", "NOWHERE"], "doesn't exist"),
    (["run", "NEW", "--headless", "--spec", "EMPTY"], "can't be read: Is a directory"),
    (["run", "NEW", "--headless", "--spec", "/dev/null"], "is empty"),
    (["run", "NEW", "--headless", "--spec", "/dev/zero"], "over 4 MiB"),
    (["run", "FILE", "--headless", "--spec", "FILE"], "is a file"),
    (["run", "NOWHERE/below", "--headless", "--spec", "FILE"], "make that first"),
    (
        ["run", "NEW", "--headless", "--spec", "FILE", "--preset", "magic"],
        "--preset magic: there is no such preset",
    ),
    (["run", "NEW", "--headless", "--spec", "FILE", "--set", "x=1"], "unknown switch"),
    (["run", "NEW", "--headless", "--spec", "FILE", "--model", "tester=x"], "is no role"),
    (
        ["run", "NEW", "--headless", "--spec", "FILE", "--max-usd", "nan"],
        "--max-usd nan: give a number above 0",
    ),
    (
        ["run", "NEW", "--headless", "--spec", "FILE", "--max-usd", "inf"],
        "--max-usd inf: give a number up to",
    ),
    (
        ["run", "NEW", "--headless", "--spec", "FILE", "--max-turns", "0"],
        "--max-turns 0: give a whole number from 1",
    ),
    (["run", "NEW", "--headless", "--spec", "FILE", "--max-tokens", "many"], "--max-tokens"),
    (["run", "NEW", "--headless", "--spec", "FILE", "--features", "0"], "--features"),
    (["run", "NEW", "--headless", "--spec", "FILE"], "no way to reach a model"),
    (["run", "NEW", "--json", "--spec", "FILE"], "--json needs --headless"),
    (["run", "BROKEN", "--headless"], "line 1"),
]


@pytest.mark.parametrize(("arguments", "expected"), MISTAKES, ids=range(len(MISTAKES)))
def test_a_mistake_gets_one_line_and_exit_2(
    tmp_path: Path, foreign: Path, arguments: list[str | bytes], expected: str
) -> None:
    names = {"DIR": foreign}
    for name in ("EMPTY", "NEW", "BROKEN"):
        names[name] = tmp_path / name
        names[name].mkdir()
    (tmp_path / "BROKEN" / "feature_list.json").write_text("{")
    (tmp_path / "FILE").write_text("build it\n")
    given = [
        item.replace(
            item.partition("/")[0], str(names.get(item.partition("/")[0], tmp_path / item.partition("/")[0]))
        )
        if isinstance(item, str) and item.partition("/")[0] in {*names, "FILE", "NOWHERE"}
        else item
        for item in arguments
    ]
    environ = {"ANTHROPIC_API_KEY": "no-key"} if expected == "line 1" else {}
    done = longwatch(*given, **environ)
    assert expected in sentence(done)
    assert done.stdout == b""
    assert b"\x1b" not in done.stderr


def test_a_command_started_from_a_shell_does_the_same(foreign: Path) -> None:
    for arguments in (["status", str(foreign)], ["status", str(foreign / "none")], ["fly"], ["--help"]):
        forked, started = longwatch(*arguments), from_scratch(*arguments)
        assert (started.returncode, started.stdout, started.stderr) == (
            forked.returncode,
            forked.stdout,
            forked.stderr,
        )


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b'{"format": 1}'])
def test_a_damaged_run_gets_one_line(run: Run, content: bytes) -> None:
    run.dir.run_json.write_bytes(content)
    assert "restore it" in sentence(longwatch("status", str(run.dir.root)))


def test_a_run_of_a_newer_version_is_refused_with_a_sentence(run: Run) -> None:
    run.dir.run_json.write_text('{"format": 2}')
    for command in (["status"], ["stop"], ["run"]):
        extra = ["--headless"] if command == ["run"] else []
        assert "update Longwatch" in sentence(longwatch(*command, str(run.dir.root), *extra))
    assert not run.dir.stop_file.exists()


# --- Help ----------------------------------------------------------------


@pytest.mark.parametrize("arguments", [["--help"], [], ["run", "--help"], ["approve", "--help"]])
def test_help_is_told_on_stdout(arguments: list[str]) -> None:
    text = said(longwatch(*arguments))
    assert "Usage:" in text and "--help" in text


def test_the_version_is_told() -> None:
    assert said(longwatch("--version")).startswith("longwatch, version ")


# --- Status ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "content", "count"),
    [
        ("feature_list.json", LIST, "1/2"),
        ("test-results.json", '{"one": {"passes": true}, "two": {"passes": 1}}', "1/2"),
    ],
)
def test_status_of_a_directory_of_another_harness(
    tmp_path: Path, name: str, content: str, count: str
) -> None:
    (tmp_path / name).write_text(content)
    assert f"{count} pass" in said(longwatch("status", str(tmp_path)))
    report = json.loads(said(longwatch("status", str(tmp_path), "--json")))
    assert f"{report['features']['passing']}/{report['features']['total']}" == count
    assert report["lifecycle"] == "idle"
    assert sorted(path.name for path in tmp_path.iterdir()) == [name]


def test_status_of_a_contract_that_can_not_be_read_says_where(foreign: Path) -> None:
    (foreign / "feature_list.json").write_text('[\n  {"description": "a",,}\n]')
    shown = said(longwatch("status", str(foreign)))
    assert "line 2" in shown and "0/0" not in shown
    assert "line 2" in json.loads(said(longwatch("status", str(foreign), "--json")))["contract_error"]


def test_status_has_what_others_rely_on(run: Run) -> None:
    report = json.loads(said(longwatch("status", str(run.dir.root), "--json")))
    assert report.keys() >= {
        "run_id", "preset", "phase", "role", "session", "lifecycle", "features", "stop", "steering",
        "checkpoint", "cost_usd", "phases", "tokens", "turns", "sessions", "elapsed_s", "last_seq", "engine",
    }  # fmt: skip
    assert report["features"].keys() >= {
        "total", "failing", "claimed", "verified", "approved", "regressed", "skipped", "passing",
    }  # fmt: skip
    assert (report["run_id"], report["lifecycle"], report["last_seq"]) == ("test", "lost", 2)
    assert report["stop"].keys() >= {"requested", "confirmed"}
    assert report["steering"] == {"queued": 0, "delivered": 0, "acknowledged": 0}
    assert report["engine"] == {"pid": None, "alive": False}


def test_a_terminal_that_knows_no_unicode_is_no_reason_to_fail(run: Run) -> None:
    said(longwatch("status", str(run.dir.root), PYTHONIOENCODING="ascii"))


def test_nothing_of_an_agent_reaches_the_terminal_as_a_control_sequence(run: Run) -> None:
    attack = "\x1b[2J\x9b31m\u202e[red]"
    asked = ev.CheckpointOpened(id="001", kind=attack, subject_hash="h", summary=attack)
    run.emit(asked)
    run.emit(ev.Text(text=attack))
    run.emit(ev.RunEnded(reason=attack, exit=1))
    for arguments in (["status"], ["status", "--json"], ["trace"], ["trace", "--json"]):
        out = longwatch(arguments[0], str(run.dir.root), *arguments[1:]).stdout.decode()
        assert not {"\x1b", "\x9b", "\u202e"} & set(out)
        assert "[red]" in out


# --- Steering, stopping, deciding ----------------------------------------------


def test_steer_queues_in_a_run_and_writes_the_file_elsewhere(run: Run, foreign: Path) -> None:
    assert "001" in said(longwatch("steer", str(run.dir.root), "be", "brief"))
    assert "002" in said(longwatch("steer", str(run.dir.root), b"caf\xe9", "--next"))
    found = [control.read_steer(run.dir, number) for number in (1, 2)]
    assert [(message.text, message.mode) for message in found if message] == [
        ("be brief", "now"),
        ("caf?", "next"),
    ]
    said(longwatch("steer", str(foreign), "be brief"))
    said(longwatch("steer", str(foreign), b"caf\xe9"))
    assert (foreign / "STEER.md").read_text() == "be brief\ncaf?\n"
    assert not (foreign / ".longwatch").exists()


def test_several_commands_at_once_lose_none(run: Run) -> None:
    command = [sys.executable, "-m", "tui.cli", "steer", str(run.dir.root)]
    started = [subprocess.Popen([*command, f"say {n}"], cwd=ROOT, stdout=subprocess.PIPE) for n in range(5)]
    told = sorted(process.communicate()[0].decode() for process in started)
    assert [line.splitlines()[0] for line in told] == [f"Queued as {number:03d}." for number in range(1, 6)]
    texts = {message.text for n in range(1, 6) if (message := control.read_steer(run.dir, n))}
    assert texts == {f"say {n}" for n in range(5)}


def test_a_message_can_come_by_standard_input(run: Run, foreign: Path) -> None:
    for directory in (run.dir.root, foreign):
        command = [sys.executable, "-m", "tui.cli", "steer", str(directory), "-"]
        told = subprocess.run(command, cwd=ROOT, input=b"be\nbr\xefef\n", capture_output=True, check=True)
        assert told.stderr == b""
    message = control.read_steer(run.dir, 1)
    assert message is not None and message.text == "be\nbr\ufffdef\n"
    assert (foreign / "STEER.md").read_text() == message.text
    nothing = longwatch("steer", str(run.dir.root), "-")
    assert "the steering message is empty" in sentence(nothing)


def test_without_an_engine_a_command_says_what_needs_one(run: Run, foreign: Path) -> None:
    root = str(run.dir.root)
    told = f"No engine is running. To go on: longwatch resume {root}\n"
    assert said(longwatch("steer", root, "be brief")) == f"Queued as 001.\n{told}"
    assert said(longwatch("attach", root)).endswith(told)
    checkpoints.open_checkpoint(run, "end", ["F1"], "good?")
    assert said(longwatch("approve", root)) == f"Checkpoint 001: approve.\n{told}"
    for options in ([], ["--now"], ["--finish"]):
        assert f"To go on: longwatch resume {root}\n" in said(longwatch("stop", root, *options))
    assert said(longwatch("resume", str(foreign))) == "There was no stop to clear.\n"


@pytest.mark.parametrize("form", [Path.touch, Path.mkdir, lambda path: path.symlink_to("nowhere")])
def test_stop_and_resume_in_a_directory_of_another_harness(
    foreign: Path, form: Callable[[Path], None]
) -> None:
    said(longwatch("stop", str(foreign)))
    assert (foreign / "AGENT_STOP").is_file()
    said(longwatch("stop", str(foreign), "--finish"))
    said(longwatch("resume", str(foreign)))
    assert not (foreign / "AGENT_STOP").exists() and not (foreign / "AGENT_FINISH").exists()
    form(foreign / "AGENT_STOP")
    assert json.loads(said(longwatch("status", str(foreign), "--json")))["stop"]["requested"] == "pause"
    said(longwatch("resume", str(foreign)))
    assert not os.path.lexists(foreign / "AGENT_STOP")


def test_only_the_open_checkpoint_can_be_decided_and_only_once(run: Run) -> None:
    root = str(run.dir.root)
    checkpoints.open_checkpoint(run, "end", ["F1"], "good?")
    for number in ("2", "x", "0", "-1x", "9" * 5000):
        assert "the one that waits for you is 001" in sentence(longwatch("approve", root, "--", number))
    assert "say why with --note" in sentence(longwatch("reject", root, "1"))
    assert "say why with --note" in sentence(longwatch("reject", root, "1", "--note", " "))
    assert "Checkpoint 001: reject" in said(longwatch("reject", root, "1", "--note", b"caf\xe9"))
    assert "already has a decision" in sentence(longwatch("approve", root))
    answer = control.read_decision(run.dir, "001")
    assert answer is not None and (answer.decision, answer.note) == ("reject", "caf?")
    run.emit(ev.CheckpointDecided(id="001", decision="reject", by="operator"))
    assert "nothing waits for you" in sentence(longwatch("approve", root))


def test_an_iteration_is_chosen_where_a_design_has_ended_and_nowhere_else(run: Run) -> None:
    root = str(run.dir.root)
    checkpoints.open_checkpoint(run, "pass", ["F1"], "good?")
    assert "isn't the end of a design" in sentence(longwatch("approve", root, "--choose", "1"))
    run.emit(ev.CheckpointDecided(id="001", decision="approve", by="operator"))
    for number, total in ((1, 5.0), (2, 9.0)):
        run.emit(ev.Verdict(verdict="PASS", scope=[], iteration=number, total=total))
    checkpoints.open_checkpoint(run, "end", [], "which one?")
    for number in ("0", "3", "-1"):
        assert "choose one of 1 (5.0), 2 (9.0)" in sentence(longwatch("approve", root, "--choose", number))
    for number in ("best", "1.5", "", "9" * 5000):
        assert "not a valid integer" in sentence(longwatch("approve", root, "--choose", number))
    assert control.read_decision(run.dir, "002") is None
    assert "iterations 1: 5.0 · 2: 9.0\n" in said(longwatch("status", root))
    assert [one["total"] for one in json.loads(said(longwatch("status", root, "--json")))["iterations"]] == [
        5,
        9,
    ]
    assert "Checkpoint 002: approve, iteration 1 stands." in said(longwatch("approve", root, "--choose", "1"))
    run.emit(ev.IterationChosen(iteration=1, by="operator"))
    assert "2: 9.0 · 1 stands\n" in said(longwatch("status", root))
    answer = control.read_decision(run.dir, "002")
    assert answer is not None and answer.choice == 1


# --- Trace ----------------------------------------------------------------


def test_trace_finds_by_pattern_and_role_and_counts_what_it_left_out(run: Run) -> None:
    run.emit(ev.Text(text="needle one", role="generator", session=1))
    run.emit(ev.Text(text="needle two", role="evaluator", session=2))
    with run.dir.journal.open("ab") as stream:
        stream.write(b"damage\n" + b'{"type":"novel","seq":6,"plot":[1]}\n')
    root = str(run.dir.root)
    done = longwatch("trace", root, "--grep", "needle", "--role", "evaluator")
    assert done.stdout.decode() == "  needle two\n"
    assert done.stderr.decode() == "1 damaged lines were left out.\n"
    lines = [json.loads(line) for line in longwatch("trace", root, "--json").stdout.splitlines()]
    assert [line["seq"] for line in lines] == [event.seq for event in Tail(run.dir.journal).read_all()]
    assert (lines[-1]["type"], lines[-1]["plot"]) == ("novel", [1])


@pytest.mark.parametrize("form", ["", "--json"])
def test_a_reader_that_goes_away_is_no_error(run: Run, form: str) -> None:
    for number in range(2000):
        run.emit(ev.Text(text=f"{number} " + "x" * 100))
    command = f"{sys.executable} -m tui.cli trace {run.dir.root} {form} | head -1"
    script = f"set -o pipefail; {command}"
    done = subprocess.run(["bash", "-c", script], cwd=ROOT, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.count(b"\n") == 1
