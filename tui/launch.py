"""Starts engines: in this process for a headless run, as a process of its own for one that is watched."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable

import msgspec

from harness_core import config
from harness_core.errors import Exit, LongwatchError, refused_by_system
from harness_core.layout import RunDir
from harness_core.machine.lock import owner_of
from harness_core.output import tell
from harness_core.record import events as ev
from harness_core.request import Request

Listener = Callable[[ev.Event], None]
LOG_NAME = "engine.log"
"""Below `.longwatch/`: what an engine without a terminal has said outside its journal."""
_STARTED = b"."
_FOREIGN = ("CLAUDE_CODE_OAUTH_TOKEN", "ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_MODEL")
"""What a rehearsal must not find in its environment."""


def in_process(request: Request, listeners: list[Listener], fast: bool = True) -> Exit:
    """Run the engine here, and the model of a rehearsal beside it."""
    # Who starts an engine as a process of its own, a console above all, needn't load it.
    from harness_core.start import run  # noqa: PLC0415

    if request.rehearsal is None:
        return run(request, listeners)
    from harness_core import rehearsal  # noqa: PLC0415

    with rehearsal.start(request.rehearsal, "fast" if fast else "human") as model:
        for name in _FOREIGN:
            os.environ.pop(name, None)
        os.environ.update(model.env())
        os.environ["CLAUDE_CONFIG_DIR"] = str(RunDir.at(request.directory).private / "claude")
        return run(request, listeners)


def demo_request(directory: str, *, console: bool) -> Request:
    """The demo as a request; with a console, it asks on the way."""
    from harness_core.rehearsal.scenarios.demo import SPEC  # noqa: PLC0415

    checkpoints = "on-needs-work" if console else "never"
    options = config.Options(
        preset="two-agent", features=10, sets=["evaluator=feature", f"checkpoints={checkpoints}"]
    )
    return Request(directory=directory, spec=str(SPEC), options=options, console=console, rehearsal="demo")


def resume_request(directory: str, *, console: bool) -> Request:
    """To go on with a run where it was stopped."""
    info = config.load_info(RunDir.at(directory))
    rehearsal = info.rehearsal if info else None
    return Request(directory=directory, console=console, rehearsal=rehearsal, clear_stop=True)


class Detached:
    """An engine that outlives this process."""

    def __init__(self, request: Request, fast: bool) -> None:
        """Start it, and wait until it has its run.

        Raises LongwatchError with the engine's own sentence when it refused; then nothing was changed.
        """
        self.run = RunDir.at(request.directory)
        self.log = self.run.private / LOG_NAME
        arguments = [request.encoded(), str(int(fast))]
        with tempfile.TemporaryFile() as said:
            self._process = subprocess.Popen(
                # -P: no module of the working directory, which is often the run's own.
                [sys.executable, "-P", "-m", "tui.launch", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=said,
                start_new_session=True,
            )
            assert self._process.stdout is not None
            with self._process.stdout as signs:
                started = signs.read(1) == _STARTED
            said.seek(0)
            self.notes = said.read().decode(errors="replace").splitlines()
            """What the engine had to say about its start."""
        if not started:
            code = self._process.wait()
            error = LongwatchError(
                self.notes[-1] if self.notes else f"the engine ended with status {code} before it had begun"
            )
            error.exit_code = _exit(code)
            raise error

    def alive(self) -> bool:
        return self._process.poll() is None

    def wait(self) -> Exit:
        """Its exit code, when it ends. Raises LongwatchError when it was killed."""
        code = self._process.wait()
        if code < 0:
            raise LongwatchError(
                f"the engine was killed (signal {-code}): go on with `longwatch resume {self.run.root}`"
            )
        return _exit(code)


END_WITHIN = 15.0
"""Seconds that an engine has to end by itself before its processes are killed."""


def end_engine(run: RunDir) -> list[str]:
    """End a run's engine and every process that it has started; returns what survived even that."""
    from harness_core.machine import processes  # noqa: PLC0415  (psutil costs 10 ms)

    owner = owner_of(run)
    info = config.load_info(run)
    if owner is not None and owner.alive:
        os.kill(owner.pid, signal.SIGTERM)
        deadline = time.monotonic() + END_WITHIN
        while owner.alive and time.monotonic() < deadline:
            time.sleep(0.05)
        if owner.alive:
            os.kill(owner.pid, signal.SIGKILL)
    if info is None:
        return []
    return [
        str(left) for left in processes.terminate(processes.marked(processes.RUN_MARK, f"{info.run_id}:"))
    ]


def _exit(code: int) -> Exit:
    return Exit(code) if code in set(Exit) else Exit.FAILED


def _leave(request: Request) -> Listener:
    """What makes the engine independent of the process that started it, at its first event."""
    left = False

    def at_first(_: ev.Event) -> None:
        nonlocal left
        if left:
            return
        left = True
        path = RunDir.at(request.directory).private / LOG_NAME
        log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        with contextlib.suppress(BrokenPipeError):
            os.write(1, _STARTED)
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.close(log)

    return at_first


def main(arguments: list[str]) -> int:
    request = msgspec.json.decode(arguments[0], type=Request)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        return in_process(request, [_leave(request)], fast=arguments[1] == "1")
    except LongwatchError as error:
        tell(str(error))
        return error.exit_code
    except OSError as error:
        tell(refused_by_system(error))
        return Exit.FAILED


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
