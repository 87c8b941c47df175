"""What the commands share: the run that is named, the one way to the terminal, a run's stream."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from harness_core import config
from harness_core.errors import Exit, Mistake
from harness_core.layout import RunDir
from harness_core.safe import safe

if TYPE_CHECKING:
    from harness_core.record.fold import Follower
    from tui.stream import StreamPrinter

directory_argument = click.argument("directory", metavar="DIR")
plain_option = click.option(
    "--plain", is_flag=True, help="Print the stream, in a terminal too, instead of opening the console."
)


def say(text: str, err: bool = False) -> None:
    """The one way of the commands to a terminal."""
    click.echo(safe(text), err=err)


def known_run(directory: str) -> RunDir:
    """The run in a directory, Longwatch's or another harness's. Raises Mistake when there is none."""
    if not directory.strip():
        raise Mistake("DIR is empty: name a directory that holds a run")
    run_dir = RunDir.at(directory)
    if not run_dir.root.is_dir():
        raise Mistake(f"{run_dir.root} is no directory: name one that holds a run")
    info = config.load_info(run_dir)
    if info is None and not run_dir.contract.exists() and not run_dir.journal.exists():
        raise Mistake(f"{run_dir.root} holds no run: start one with `longwatch run {directory} --spec FILE`")
    return run_dir


def for_console(plain: bool) -> bool:
    """Whether a command shows its run in the console: there is a terminal at both ends that can hold it."""
    return not plain and os.isatty(0) and os.isatty(1) and os.environ.get("TERM", "dumb") != "dumb"


def say_no_engine(directory: str) -> None:
    """Say that no engine works on a run, and how to change that or what does."""
    from harness_core.hooks.shelf import last_call  # noqa: PLC0415

    if (called := last_call(RunDir.at(directory))) is not None:
        from tui.summary import hooked  # noqa: PLC0415

        say(f"No engine is needed: {hooked(max(0.0, time.time() - called))}.")
        return
    say(f"No engine is running. To go on: longwatch resume {directory}")


def stream_printer(run_dir: RunDir, *, at_work: bool = True) -> StreamPrinter:
    """What prints a run's events on standard output; `at_work`: its engine is starting or at work."""
    from tui.stream import StreamConsole, StreamPrinter  # noqa: PLC0415

    return StreamPrinter(StreamConsole(), run_dir, at_work=at_work)


def show_stream(follower: Follower, alive: Callable[[], bool]) -> None:
    """Print what happens in a run until its engine is gone or the operator has seen enough."""
    from tui.progress import Progress  # noqa: PLC0415
    from tui.stream import follow  # noqa: PLC0415

    printer = stream_printer(follower.run)
    try:
        with Progress(follower.run, printer):
            follow(follower, printer, alive)
    except KeyboardInterrupt:
        say(f"\nYou left; the run goes on. Back: longwatch attach {follower.run.root}", err=True)
        sys.exit(Exit.DONE)
