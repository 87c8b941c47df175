"""Starts engines: in this process for a headless run, as a process of its own for one that is watched."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from harness_core import config
from harness_core import events as ev
from harness_core.errors import Exit, LongwatchError
from harness_core.layout import RunDir
from harness_core.lock import owner_of
from harness_core.start import Request
from harness_core.state import Follower

POLL = 0.05
"""Seconds between two looks at the journal of a watched run."""


def in_process(request: Request, listeners: list[Callable[[ev.Event], None]], fast: bool = True) -> Exit:
    """Run the engine here, and the model of a rehearsal beside it."""
    from harness_core import start  # noqa: PLC0415  (the engine's imports; only a run pays for them)

    if request.rehearsal is None:
        return start.run(request, listeners)
    from harness_core import rehearsal  # noqa: PLC0415

    with rehearsal.start(request.rehearsal, "fast" if fast else "human") as model:
        os.environ.update(model.env())
        for name in ("CLAUDE_CODE_OAUTH_TOKEN", "ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_MODEL"):
            os.environ.pop(name, None)
        home = RunDir.at(request.directory).private / "claude"
        os.environ["CLAUDE_CONFIG_DIR"] = str(home)
        return start.run(request, listeners)


def detached(request: Request, fast: bool) -> subprocess.Popen[bytes]:
    """Start an engine that outlives this process, and wait until it has its run or has refused.

    Raises LongwatchError with the engine's own sentence when it refused.
    """
    run = RunDir.at(request.directory)
    log = run.private / "engine.log"
    run.private.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [sys.executable, "-m", "tui.launch", msgspec.json.encode(request).decode(), str(int(fast))],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=stream,
            start_new_session=True,
        )
    while (owner := owner_of(run)) is None or owner.pid != process.pid:
        code = process.poll()
        if code is not None:
            raise refusal(log, code)
        time.sleep(POLL)
    return process


def refusal(log: Path, code: int) -> LongwatchError:
    """The error of an engine that ended before it had begun."""
    lines = log.read_text(errors="replace").strip().splitlines()
    error = LongwatchError(lines[-1] if lines else f"the engine ended with status {code}: see {log}")
    error.exit_code = Exit(code) if code in set(Exit) else Exit.FAILED
    return error


def follow(run: RunDir, show: Callable[[ev.Event], None], alive: Callable[[], bool]) -> Follower:
    """Show a run's events from now on, until its engine is gone. Ctrl+c ends the watching, not the run."""
    follower = Follower(run)
    follower.catch_up()
    while True:
        living = alive()
        for event in follower.poll():
            show(event)
        if not living:
            return follower
        time.sleep(POLL)


def known_rehearsal(run: RunDir) -> str | None:
    """The scenario of a run that is a rehearsal."""
    info = config.load_info(run) if run.run_json.is_file() else None
    return info.rehearsal if info else None


def main(arguments: list[str]) -> int:
    request = msgspec.json.decode(arguments[0], type=Request)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        return in_process(request, [], fast=arguments[1] == "1")
    except LongwatchError as error:
        print(error, file=sys.stderr)
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
