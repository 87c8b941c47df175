"""Drives runs from outside, through the `longwatch` command alone; the witnesses are journal, wire and git.

with open_stage(tmp_path, "tiny") as stage:
    engine = stage.run("--features", "1")
    stage.wait_for(named("contract_frozen"))
    assert engine.wait() == 0
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import psutil

from harness_core.machine import processes
from harness_core.rehearsal import Rehearsal, start
from harness_core.rehearsal.scenarios import tiny

LONGWATCH = Path(sys.executable).with_name("longwatch")
POLL = 0.02
PASSING = ("claimed", "verified", "approved")

Event = Mapping[str, Any]
Fits = Callable[[Event], bool]


def named(kind: str, **fields: object) -> Fits:
    """Fits events of that type whose fields have these values (`from_` stands for `from`)."""
    wanted = {name.rstrip("_"): value for name, value in fields.items()}
    return lambda event: event["type"] == kind and all(event.get(name) == wanted[name] for name in wanted)


def until(holds: Callable[[], object], within: float, what: str) -> Any:
    """What `holds` returns as soon as that is true. Fails after `within` seconds."""
    deadline = time.monotonic() + within
    while not (found := holds()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within} s: {what}")
        time.sleep(POLL)
    return found


@dataclass
class Command:
    """A `longwatch` command that runs, or has ended."""

    process: subprocess.Popen[bytes]
    out_file: Path
    err_file: Path

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def out(self) -> str:
        return self.out_file.read_text(encoding="utf-8", errors="surrogateescape")

    @property
    def err(self) -> str:
        return self.err_file.read_text(encoding="utf-8", errors="surrogateescape")

    @property
    def ended(self) -> bool:
        return self.process.poll() is not None

    def wait(self, within: float = 60) -> int:
        """The exit code. Fails with what the command has said when it takes longer."""
        try:
            return self.process.wait(within)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still running after {within} s:\n{self.out[-3000:]}\n{self.err}") from None

    def interrupt(self) -> None:
        self.process.send_signal(signal.SIGINT)

    def kill(self) -> None:
        """End it as the kernel's out-of-memory killer would."""
        self.process.kill()
        self.process.wait()


@dataclass
class Stage:
    """A run's directory, what its commands find in their environment, and the scripted model beside it."""

    root: Path
    scratch: Path
    env: dict[str, str]
    server: Rehearsal | None = None
    commands: list[Command] = field(default_factory=list)

    # What the operator does

    def start(
        self, *arguments: str, cwd: Path | None = None, program: Sequence[str | Path] = (LONGWATCH,)
    ) -> Command:
        """Start `longwatch ARGUMENTS`, or those of another program, in a session of its own."""
        number = len(self.commands)
        out, err = self.scratch / f"{number}.out", self.scratch / f"{number}.err"
        with out.open("wb") as out_stream, err.open("wb") as err_stream:
            process = subprocess.Popen(
                [*program, *arguments],
                env=self.env,
                cwd=cwd or self.scratch,
                stdin=subprocess.DEVNULL,
                stdout=out_stream,
                stderr=err_stream,
                start_new_session=True,
            )
        self.commands.append(Command(process, out, err))
        return self.commands[-1]

    def do(self, *arguments: str, within: float = 30) -> Command:
        """`longwatch ARGUMENTS`, to its end."""
        command = self.start(*arguments)
        command.wait(within)
        return command

    def run(self, *more: str, features: int = 1, json_lines: bool = False) -> Command:
        """Start a headless engine of the two-agent preset, or go on with the run that is there."""
        return self.start(
            *("run", str(self.root), "--preset", "two-agent", "--spec", str(self.spec)),
            *("--features", str(features), "--headless"),
            *(["--json"] if json_lines else []),
            *more,
        )

    def lay_out(self, features: int = 1) -> None:
        """What `tiny`'s initializer leaves behind, as somebody else's project: the first session builds."""
        self.root.mkdir(exist_ok=True)
        self.contract_file.write_text(tiny.contract(features))
        (self.root / "flags.py").write_text(tiny.FLAGS_PY)
        (self.root / "init.sh").write_text(tiny.INIT_SH)
        (self.root / "init.sh").chmod(0o755)
        (self.root / "PROGRESS.md").write_text(tiny.NOTES)
        for arguments in (
            ["init", "-q", "-b", "main"],
            ["add", "-A"],
            ["commit", "-q", "-m", "Lay out the flags"],
        ):
            self.git(*arguments)

    def release(self) -> None:
        """Let the agent's held command end (the rehearsal's mischief `hold`)."""
        (self.root / "go").touch()

    # What is seen

    @property
    def spec(self) -> Path:
        return self.scratch / "spec.txt"

    @property
    def private(self) -> Path:
        return self.root / ".longwatch"

    @property
    def contract_file(self) -> Path:
        return self.root / "feature_list.json"

    @property
    def stop_file(self) -> Path:
        return self.root / "AGENT_STOP"

    def contract(self) -> list[dict[str, Any]]:
        read: list[dict[str, Any]] = json.loads(self.contract_file.read_text())
        return read

    def passing(self) -> list[bool]:
        return [feature["passes"] for feature in self.contract()]

    def journal(self, fits: Fits | None = None) -> list[Event]:
        """The journal's events, in order; a line that is still being written isn't one."""
        path = self.private / "journal.jsonl"
        whole = path.read_bytes().split(b"\n")[:-1] if path.exists() else []
        events = [json.loads(line) for line in whole]
        return [event for event in events if fits is None or fits(event)]

    def wait_for(self, fits: Fits, within: float = 30, count: int = 1) -> Event:
        """The `count`-th event that fits, as soon as the journal has it."""

        def found() -> list[Event]:
            over = (
                self.commands and not self.engine_alive() and all(command.ended for command in self.commands)
            )
            events = self.journal(fits)
            assert len(events) >= count or not over, f"it ended without that event\n{self._story()}"
            return events[count - 1 : count]

        deadline = time.monotonic() + within
        while not (events := found()):
            assert time.monotonic() < deadline, f"no such event within {within} s\n{self._story()}"
            time.sleep(POLL)
        event: Event = events[0]
        return event

    def _story(self) -> str:
        tail = [json.dumps(event, ensure_ascii=False)[:300] for event in self.journal()[-15:]]
        return "\n".join([*tail, *(command.err for command in self.commands)])

    def status(self) -> dict[str, Any]:
        command = self.do("status", str(self.root), "--json")
        assert command.wait() == 0, command.err
        read: dict[str, Any] = json.loads(command.out)
        return read

    def run_id(self) -> str:
        return str(json.loads((self.private / "run.json").read_text())["run_id"])

    def engine_pid(self) -> int | None:
        """The pid of the engine that holds the run or held it last."""
        with contextlib.suppress(OSError, ValueError):
            return int(json.loads((self.private / "owner.json").read_text())["pid"])
        return None

    def engine_alive(self) -> bool:
        pid = self.engine_pid()
        with contextlib.suppress(psutil.Error):
            return pid is not None and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
        return False

    def alive(self) -> list[str]:
        """The processes that an engine of this run has started and that still live: `pid command`."""
        if not (self.private / "run.json").exists():
            return []
        return [str(found) for found in processes.marked(processes.RUN_MARK, f"{self.run_id()}:")]

    def git(self, *arguments: str) -> str:
        done = subprocess.run(
            ["git", *arguments], cwd=self.root, env=self.env, check=True, capture_output=True, text=True
        )
        return done.stdout

    def subjects(self) -> list[str]:
        """The commits' subjects, oldest first."""
        return self.git("log", "--reverse", "--format=%s").splitlines()

    def bodies(self, role: str = "") -> list[dict[str, Any]]:
        """The requests' bodies as they came over the wire, in order."""
        paths = sorted((self.scratch / "bodies").glob(f"*-{role or '*'}.json"))
        return [json.loads(path.read_text()) for path in paths]

    # The end

    def end_everything(self) -> None:
        """Leave no process behind, whatever the test has seen."""
        pids = {command.pid for command in self.commands if not command.ended} | {self.engine_pid() or 0} - {
            0
        }
        for pid in pids:
            with contextlib.suppress(psutil.Error):
                process = psutil.Process(pid)
                if str(self.root) in " ".join(process.cmdline()):
                    process.kill()
        if (self.private / "run.json").exists():
            processes.terminate(processes.marked(processes.RUN_MARK, f"{self.run_id()}:"), grace=0)
        for command in self.commands:
            command.process.wait()


@contextlib.contextmanager
def open_stage(
    scratch: Path, scenario: str | None = "tiny", pace: str = "fast", record: bool = True
) -> Iterator[Stage]:
    """A directory for a run and, where a scenario is named, a scripted model for it, which keeps what it was
    asked where that is to be recorded."""
    home, config = scratch / "home", scratch / "claude"
    home.mkdir(parents=True)
    config.mkdir()
    (scratch / "spec.txt").write_text("A program that draws flags as PNG files.\n")
    server = start(scenario, pace=pace, record=scratch / "bodies" if record else None) if scenario else None
    stage = Stage(scratch / "run", scratch, environment(home, config), server)
    stage.env |= server.env() if server else {}
    try:
        yield stage
    finally:
        stage.end_everything()
        if server:
            server.close()


def environment(home: Path, config: Path) -> dict[str, str]:
    """This process's environment without anything that would reach a real model or the user's own files:
    a shell's start-up files take seconds, and a killed one may leave locks in the user's home. The agents'
    `python3` is the one that runs the tests: what stands for it elsewhere may be a slow script. No desktop
    hears of a test."""
    foreign = re.compile(
        r"^(ANTHROPIC|CLAUDE|LONGWATCH|GIT|XDG)_|^CLAUDECODE$|_proxy$|DISPLAY$|^DBUS_", re.IGNORECASE
    )
    kept = {name: value for name, value in os.environ.items() if not foreign.search(name)}
    return kept | {
        "HOME": str(home),
        "PATH": os.pathsep.join([str(LONGWATCH.parent), os.environ.get("PATH", os.defpath)]),
        "CLAUDE_CONFIG_DIR": str(config),
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_AUTHOR_NAME": "Agent",
        "GIT_AUTHOR_EMAIL": "agent@localhost",
        "GIT_COMMITTER_NAME": "Agent",
        "GIT_COMMITTER_EMAIL": "agent@localhost",
        "NO_PROXY": "127.0.0.1",
        "LONGWATCH_SANDBOX": "off",
        "LONGWATCH_DRILL": str(drill_file()),
    }


@cache
def drill_file() -> Path:
    """What the first engine of these tests finds out about this machine, the others need not try again."""
    folder = tempfile.TemporaryDirectory(prefix="longwatch-drill-")
    atexit.register(folder.cleanup)
    return Path(folder.name) / "drill.json"


def gapless(events: list[Event]) -> bool:
    """Whether `seq` counts from 1 without a gap."""
    return [event["seq"] for event in events] == list(range(1, len(events) + 1))


def text_of(content: object) -> str:
    """All text in a message's content, tool results included."""
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else [content]
    found = []
    for part in parts:
        if isinstance(part, Mapping):
            found.append(str(part.get("text", "")))
            found.append(text_of(part["content"]) if "content" in part else "")
    return "\n".join(found)
