"""The command that shows a run's limits and changes them, live or for its next start."""

from __future__ import annotations

import time

import click
import msgspec

from harness_core import config
from harness_core.errors import Mistake
from harness_core.layout import RunDir
from harness_core.limits import changes, lines, scope_in, usage
from harness_core.machine.lock import engine_alive
from harness_core.operator import control
from harness_core.operator.bounds import PHASES, RUN, Limits, limited
from harness_core.operator.limit_requests import on_top, pending
from harness_core.record.fold import fold
from tui.commands.common import directory_argument, known_run, say, say_no_engine

TAKEN_WITHIN = 3.0
"""Seconds in which an engine at work takes a request up; it looks twice a second."""
_POLL = 0.05


@click.command()
@directory_argument
@click.option(
    "--per",
    metavar="SCOPE",
    default=RUN,
    help=f"What they bound: run (the default), session, phase (each one), or one of {', '.join(PHASES)}.",
)
@click.option("--max-usd", metavar="X", help="Dollars; `none` takes the limit away, here and below.")
@click.option("--max-tokens", metavar="N", help="Tokens.")
@click.option("--max-turns", metavar="N", help="Replies of a model.")
@click.option("--max-sessions", metavar="N", help="Sessions.")
@click.option("--max-hours", metavar="X", help="Hours of work.")
@click.option("--json", "as_json", is_flag=True, help="As one JSON document.")
def limits(directory: str, per: str, as_json: bool, **given: str | None) -> None:
    """Show a run's limits, or change them.

    A change holds from the next request on where an engine works, else from the next start on. A session's
    limit ends that session, a phase's the run.
    """
    asked = changes(given, scope_in(per))
    run_dir = known_run(directory)
    if not run_dir.run_json.exists():
        raise Mistake(f"{run_dir.root} isn't run by Longwatch: it has no limits here")
    if asked:
        _wait_for(run_dir, int(control.change_limits(run_dir, asked)))
    state = fold(run_dir)
    shown = usage(_holding(run_dir).given(), state)
    if as_json:
        say(msgspec.json.format(msgspec.json.encode(shown), indent=2).decode())
        return
    for line in lines(shown):
        say(line)
    if not asked:
        return
    if engine_alive(run_dir):
        if pending(run_dir):
            say("The engine hasn't taken the change up yet: look again with `longwatch limits`.")
    elif not state.complete:
        say_no_engine(directory)


def _wait_for(run: RunDir, number: int) -> None:
    """Return when the engine at work has taken the request up, or lets one wait for it."""
    until = time.monotonic() + TAKEN_WITHIN
    while engine_alive(run) and fold(run).limits_newest < number and time.monotonic() < until:
        time.sleep(_POLL)


def _holding(run: RunDir) -> Limits:
    """The limits that hold, with what is asked for and not taken up. Raises Mistake."""
    info = config.load_info(run)
    assert info is not None
    return limited(info.config.limits, on_top(config.Options(), pending(run)).limits)
