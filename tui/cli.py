"""The command `longwatch`. Loads neither Textual nor the SDK until a command needs them."""

from __future__ import annotations

import io
import os
import re
import signal
import sys
import time
from pathlib import Path
from typing import Any

import click

from harness_core import __version__, config, control
from harness_core.errors import Exit, LongwatchError, Mistake
from harness_core.layout import RunDir
from harness_core.lock import engine_alive, owner_of
from tui.safe import one_line, safe, safe_json

_LIMITS = ("max_usd", "max_tokens", "max_turns", "max_sessions", "max_hours")
_STOP_WITHIN = 15.0
"""Seconds that an engine has to end after `stop --now` before its processes are killed."""


class _Commands(click.Group):
    """Lists commands in the order of telling, and turns every mistake into one line."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)


@click.group(cls=_Commands, invoke_without_command=True)
@click.version_option(__version__, prog_name="longwatch")
@click.pass_context
def cli(ctx: click.Context) -> None:
    """Watch, steer and stop agents that build for hours.

    Exit codes: 0 done, 1 failed or features left, 2 your mistake, 3 stopped, 4 a limit was reached,
    5 waiting for you, 130 interrupted.
    """
    if ctx.invoked_subcommand is None:
        _say(ctx.get_help())


def _say(text: str, err: bool = False) -> None:
    """The one way of these commands to a terminal."""
    click.echo(safe(text), err=err)


def _directory(function: Any) -> Any:
    return click.argument("directory", metavar="DIR")(function)


def _run_options(function: Any) -> Any:
    options = [
        click.option("--preset", metavar="P", help=f"The harness: {', '.join(config.PRESETS)}."),
        click.option("--features", type=click.IntRange(1), metavar="N", help="Features to ask for (200)."),
        click.option(
            "--model", "models", multiple=True, metavar="[ROLE=]M", help="Model, of all roles or one."
        ),
        click.option(
            "--set", "sets", multiple=True, metavar="NAME=VALUE", help="Switch a piece of scaffolding."
        ),
        click.option("--max-usd", type=float, metavar="X", help="Dollars (50 when an API key pays)."),
        click.option("--max-tokens", type=int, metavar="N"),
        click.option("--max-turns", type=int, metavar="N"),
        click.option("--max-sessions", type=int, metavar="N"),
        click.option("--max-hours", type=float, metavar="X"),
        click.option("--session-timeout", type=float, metavar="MIN", help="Minutes of a session (120)."),
        click.option("--stall-timeout", type=float, metavar="MIN", help="Minutes of silence (10)."),
        click.option("--max-retries", type=click.IntRange(1), metavar="N", help="Attempts at a feature (3)."),
        click.option("--headless", is_flag=True, help="Run here, without a console; end instead of waiting."),
        click.option("--json", "as_json", is_flag=True, help="With --headless: the events, one a line."),
    ]
    for option in reversed(options):
        function = option(function)
    return function


def _options(given: dict[str, Any]) -> config.Options:
    return config.Options(
        preset=given["preset"],
        features=given["features"],
        models=list(given["models"]),
        sets=list(given["sets"]),
        limits={name: given[name] for name in _LIMITS if given[name] is not None},
        session_timeout=given["session_timeout"],
        stall_timeout=given["stall_timeout"],
        max_retries=given["max_retries"],
    )


@cli.command()
@click.argument("directory", metavar="[DIR]", default="longwatch-demo")
@click.option("--headless", is_flag=True, help="Run here, without a console.")
@click.option("--fast", is_flag=True, help="As fast as it goes, not at a human pace.")
@click.option("--json", "as_json", is_flag=True, help="With --headless: the events, one a line.")
def demo(directory: str, headless: bool, fast: bool, as_json: bool) -> None:
    """A rehearsal: the real engine, SDK and CLI against a scripted model. Needs no key, costs nothing."""
    from harness_core.rehearsal.scenarios.demo import SPEC  # noqa: PLC0415
    from harness_core.start import Request  # noqa: PLC0415

    checkpoints = "never" if headless else "on-needs-work"
    request = Request(
        directory=directory,
        spec=str(SPEC),
        options=config.Options(
            preset="two-agent", features=10, sets=["evaluator=feature", f"checkpoints={checkpoints}"]
        ),
        console=not headless,
        rehearsal="demo",
    )
    _start(request, headless=headless, as_json=as_json, fast=fast)


@cli.command()
@_directory
@click.option("--spec", metavar="FILE", help="What to build.")
@_run_options
def run(directory: str, spec: str | None, headless: bool, as_json: bool, **given: Any) -> None:
    """Build what a specification says, or go on with a run that is there."""
    from harness_core.start import Request  # noqa: PLC0415

    request = Request(
        directory=directory,
        spec=spec,
        options=_options(given),
        console=not headless,
        rehearsal=_rehearsal(directory),
    )
    _start(request, headless=headless, as_json=as_json, fast=headless)


def _rehearsal(directory: str) -> str | None:
    info = config.load_info(RunDir.at(directory))
    return info.rehearsal if info else None


def _start(request: Any, *, headless: bool, as_json: bool, fast: bool) -> None:
    from tui import launch  # noqa: PLC0415

    if headless:
        if as_json:
            from harness_core.__main__ import print_event as show  # noqa: PLC0415
        else:
            show = _printer()
        run_dir = Path(request.directory).expanduser()
        code = launch.in_process(request, [show], fast=fast)
        if code not in (Exit.DONE, Exit.INTERRUPTED) and not as_json:
            _say(f"To go on: longwatch resume {run_dir} --headless", err=True)
        sys.exit(code)
    if as_json:
        raise Mistake("--json needs --headless: a console has no use for it")
    process = launch.detached(request, fast)
    _watch(RunDir.at(request.directory), lambda: process.poll() is None)
    sys.exit(process.wait())


def _printer() -> Any:
    from rich.console import Console  # noqa: PLC0415

    from tui.stream import StreamPrinter  # noqa: PLC0415

    return StreamPrinter(Console(highlight=False, markup=False))


def _watch(run_dir: RunDir, alive: Any) -> None:
    """Print a run's stream until its engine is gone or the operator has seen enough."""
    from tui.launch import follow  # noqa: PLC0415

    try:
        follow(run_dir, _printer(), alive)
    except KeyboardInterrupt:
        _say(f"\nYou left; the run goes on. Back: longwatch attach {run_dir.root}", err=True)
        sys.exit(Exit.DONE)


@cli.command()
@_directory
def attach(directory: str) -> None:
    """Watch a run that is going on."""
    run_dir = _known(directory)
    _watch(run_dir, lambda: engine_alive(run_dir))


def _known(directory: str) -> RunDir:
    """The run in a directory. Raises Mistake when there is none, JournalError for a newer one's."""
    run_dir = RunDir.at(directory)
    if not run_dir.root.is_dir():
        raise Mistake(f"{run_dir.root} is no directory: name one that holds a run")
    info = config.load_info(run_dir)
    if info is None and not run_dir.contract.exists():
        raise Mistake(f"{run_dir.root} holds no run: start one with `longwatch run {directory} --spec FILE`")
    return run_dir


@cli.command()
@_directory
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
def status(directory: str, as_json: bool) -> None:
    """Where a run stands."""
    import msgspec  # noqa: PLC0415

    from harness_core.status import status as read_status  # noqa: PLC0415

    report = read_status(_known(directory))
    if as_json:
        _say(safe_json(msgspec.json.format(msgspec.json.encode(report), indent=2).decode()))
        return
    from tui.summary import summary  # noqa: PLC0415

    _say(summary(report))


@cli.command()
@_directory
@click.argument("text", nargs=-1, required=True)
@click.option(
    "--next", "for_next", is_flag=True, help="At the next session's start, not at the next tool boundary."
)
def steer(directory: str, text: tuple[str, ...], for_next: bool) -> None:
    """Tell the agent something: it gets it at its next tool boundary, once."""
    run_dir = _known(directory)
    words = " ".join(text)
    if not words.strip():
        raise Mistake("the steering message is empty: say what the agent should do")
    if not run_dir.run_json.exists():
        path = run_dir.steer_next_file if for_next else run_dir.steer_file
        with path.open("a", encoding="utf-8", errors="replace") as stream:
            stream.write(words + "\n")
        _say(f"Written to {path.name}.")
        return
    message = control.steer(run_dir, words, "next" if for_next else "now")
    _say(f"Queued as {message}.")


@cli.command()
@_directory
@click.option("--finish", is_flag=True, help="Finish the feature in hand first (AGENT_FINISH).")
@click.option("--now", is_flag=True, help="Also end the process tree and the engine.")
def stop(directory: str, finish: bool, now: bool) -> None:
    """Stop a run: no tool call starts while AGENT_STOP is there."""
    run_dir = _known(directory)
    if finish and now:
        raise Mistake("--finish and --now exclude each other: choose one")
    if finish:
        control.request_finish(run_dir)
        _say("The feature in hand will be finished, then the run stops.")
        return
    control.request_stop(run_dir)
    if now:
        _end_engine(run_dir)
    _say(f"Stopped. To go on: longwatch resume {directory}" if now else "AGENT_STOP is there.")


def _end_engine(run_dir: RunDir) -> None:
    from harness_core import processes  # noqa: PLC0415

    owner = owner_of(run_dir)
    info = config.load_info(run_dir)
    if owner is not None and owner.alive:
        os.kill(owner.pid, signal.SIGTERM)
        deadline = time.monotonic() + _STOP_WITHIN
        while owner.alive and time.monotonic() < deadline:
            time.sleep(0.05)
        if owner.alive:
            os.kill(owner.pid, signal.SIGKILL)
    if info is not None:
        for left in processes.terminate(processes.marked(processes.RUN_MARK, f"{info.run_id}:")):
            _say(f"Still alive: {one_line(str(left))}", err=True)


@cli.command()
@_directory
@click.option("--headless", is_flag=True, help="If an engine has to be started: here, without a console.")
@click.pass_context
def resume(ctx: click.Context, directory: str, headless: bool) -> None:
    """Clear the stop and go on, in the same session; starts an engine if there is none."""
    run_dir = _known(directory)
    control.clear_stop(run_dir)
    if engine_alive(run_dir):
        _say("The stop is cleared; the run goes on.")
    elif run_dir.run_json.exists():
        ctx.invoke(run, directory=directory, headless=headless, **_nothing_given())
    else:
        _say("The stop is cleared.")


def _nothing_given() -> dict[str, Any]:
    names = ("spec", "preset", "features", "session_timeout", "stall_timeout", "max_retries", *_LIMITS)
    return {**dict.fromkeys(names), "models": (), "sets": (), "as_json": False}


def _decide(directory: str, number: str | None, decision: control.Decision, note: str) -> None:
    from harness_core.state import fold  # noqa: PLC0415

    run_dir = _known(directory)
    asked = fold(run_dir).checkpoint
    checkpoint = control.read_checkpoint(run_dir, int(asked.id)) if asked else None
    if checkpoint is None:
        raise Mistake(f"{directory} has no open checkpoint: nothing waits for you")
    if number is not None and number.lstrip("0") != checkpoint.id.lstrip("0"):
        raise Mistake(f"{number} is not the open checkpoint: the one that waits for you is {checkpoint.id}")
    control.decide(run_dir, checkpoint, decision, note)
    _say(f"Checkpoint {checkpoint.id}: {decision}.")
    if not engine_alive(run_dir):
        _say(f"No engine is running. To go on: longwatch resume {directory}")


@cli.command()
@_directory
@click.argument("number", metavar="[N]", required=False)
@click.option("--note", default="", help="A word for the agents.")
def approve(directory: str, number: str | None, note: str) -> None:
    """Agree with what a checkpoint shows."""
    _decide(directory, number, "approve", note)


@cli.command()
@_directory
@click.argument("number", metavar="[N]", required=False)
@click.option("--note", default="", help="What is wrong; the agents work from it.")
def reject(directory: str, number: str | None, note: str) -> None:
    """Send the work back."""
    _decide(directory, number, "reject", note)


@cli.command()
@_directory
@click.option("--grep", metavar="RE", help="Only events in which this is found.")
@click.option("--role", metavar="R", help="Only events of this role.")
@click.option("--json", "as_json", is_flag=True, help="As they stand in the journal.")
def trace(directory: str, grep: str | None, role: str | None, as_json: bool) -> None:
    """The whole journal, readable, searchable."""
    from harness_core import events  # noqa: PLC0415
    from harness_core.journal import Tail  # noqa: PLC0415

    run_dir = _known(directory)
    try:
        wanted = re.compile(os.fsencode(grep)) if grep else None
    except (re.error, OverflowError, RecursionError) as error:
        raise Mistake(f"--grep {grep}: {error}: write a regular expression") from None
    show = None if as_json else _printer()
    tail = Tail(run_dir.journal)
    for event in tail.read_all():
        line = events.encode(event)
        shown = (role is None or event.role == role) and (wanted is None or wanted.search(line))
        if show is not None and shown:
            show(event)
        elif shown:
            _say(safe_json(line.decode().rstrip("\n")))
    if tail.damaged:
        _say(f"{tail.damaged} damaged lines were left out.", err=True)


def main() -> None:
    """Entry point of the script: every mistake becomes one line on stderr and an exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    try:
        cli.main(prog_name="longwatch", standalone_mode=False)
    except LongwatchError as error:
        _fail(str(error), error.exit_code)
    except click.exceptions.NoArgsIsHelpError as error:
        _say(error.format_message(), err=True)
        sys.exit(Exit.MISTAKE)
    except click.ClickException as error:
        _fail(_sentence(error), Exit.MISTAKE)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(Exit.INTERRUPTED)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        sys.exit(Exit.DONE)
    except OSError as error:
        where = f" {error.filename}" if error.filename else ""
        _fail(f"the system refused{where}: {error.strerror or error}", Exit.FAILED)


def _sentence(error: click.ClickException) -> str:
    message = error.format_message().rstrip(".")
    command = error.ctx.command_path if isinstance(error, click.UsageError) and error.ctx else "longwatch"
    return f"{message}: see `{command} --help`"


def _fail(sentence: str, code: int) -> None:
    _say(f"longwatch: {one_line(sentence)}", err=True)
    sys.exit(code)


if __name__ == "__main__":
    main()
