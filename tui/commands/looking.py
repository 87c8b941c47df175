"""Commands that look at a run and change nothing: attach, status, trace."""

from __future__ import annotations

import os
import re
from pathlib import Path

import click

from harness_core.errors import Mistake
from harness_core.layout import RunDir
from harness_core.machine.lock import engine_alive
from harness_core.safe import one_line, safe_json
from tui.commands.common import (
    directory_argument,
    for_console,
    known_run,
    plain_option,
    say,
    say_no_engine,
    show_stream,
    stream_printer,
)


@click.command()
@click.argument("directory", metavar="[DIR]", required=False)
@plain_option
def attach(directory: str | None, plain: bool) -> None:
    """Watch a run that is there, Longwatch's or another harness's.

    Without DIR: choose among the runs below this directory and those opened lately. Leaving ends the
    watching, not the run.
    """
    console = for_console(plain)
    if directory is None and console:
        from tui.console import launching  # noqa: PLC0415

        launching.begin()
        return
    run_dir = known_run(directory) if directory is not None else _only_run()
    if console:
        from tui.console import launching  # noqa: PLC0415

        launching.attach(run_dir)
    else:
        _stream(run_dir)


def _only_run() -> RunDir:
    """The one run below this directory. Lists what there is and raises Mistake where one must choose."""
    from tui import recent  # noqa: PLC0415

    here = recent.found(Path.cwd())
    if len(here) == 1:
        return here[0]
    offered = recent.candidates(Path.cwd())
    if not offered:
        raise Mistake("no run is below this directory, and none was opened lately: name one (DIR)")
    for run in offered:
        known = recent.look(run)
        count = f"{known.passing}/{known.total}" if known.total else "-"
        say(f"{one_line(known.lifecycle) or 'unreadable':16}  {count:>7}  {one_line(str(run.root))}")
    raise Mistake(f"there is more than one run to choose from: name one, such as {offered[0].root}")


def _stream(run_dir: RunDir) -> None:
    """Print where a run stands, then what happens in it."""
    from harness_core.record.fold import Follower  # noqa: PLC0415
    from harness_core.record.state import Lifecycle  # noqa: PLC0415
    from harness_core.record.status import report  # noqa: PLC0415
    from tui.summary import summary  # noqa: PLC0415

    follower = Follower(run_dir)
    stands = report(run_dir, follower.catch_up())
    say(summary(stands))
    if engine_alive(run_dir):
        show_stream(follower, lambda: engine_alive(run_dir))
    elif stands.lifecycle != Lifecycle.COMPLETE:
        say_no_engine(str(run_dir.root))


@click.command()
@directory_argument
@click.option("--json", "as_json", is_flag=True, help="As one JSON document.")
def status(directory: str, as_json: bool) -> None:
    """Say where a run stands."""
    import msgspec  # noqa: PLC0415

    from harness_core.record.status import status as read_status  # noqa: PLC0415
    from tui.summary import summary  # noqa: PLC0415

    report = read_status(known_run(directory))
    if as_json:
        say(safe_json(msgspec.json.format(msgspec.json.encode(report), indent=2).decode()))
    else:
        say(summary(report))


@click.command()
@directory_argument
@click.option("--grep", metavar="RE", help="Only events in whose JSON this is found.")
@click.option("--role", metavar="R", help="Only events of this role.")
@click.option("--json", "as_json", is_flag=True, help="As they stand in the journal, one a line.")
def trace(directory: str, grep: str | None, role: str | None, as_json: bool) -> None:
    """Show the whole journal."""
    from harness_core.output import json_line  # noqa: PLC0415
    from harness_core.record import events  # noqa: PLC0415
    from harness_core.record.journal import Tail  # noqa: PLC0415
    from tui.foreign import seen  # noqa: PLC0415

    run_dir, _keeper = seen(known_run(directory))
    try:
        wanted = re.compile(os.fsencode(grep)) if grep else None
    except (re.error, OverflowError, RecursionError) as error:
        raise Mistake(f"--grep {grep}: {error}: write a regular expression") from None
    show = None if as_json else stream_printer(run_dir, at_work=False)
    tail = Tail(run_dir.journal)
    calls: set[str] = set()
    for event in tail.read_all():
        found = role in (None, event.role) and (not wanted or bool(wanted.search(events.encode(event))))
        if show is None:
            if found:
                say(json_line(event).rstrip("\n"))
        elif isinstance(event, events.ToolUse):
            # Printed with its result: what is found in either shows both.
            calls.update([event.tool_use_id] if found else [])
            show(event)
        elif found or (isinstance(event, events.ToolResult) and event.tool_use_id in calls):
            show(event)
    if tail.damaged:
        say(f"{tail.damaged} damaged lines were left out.", err=True)
