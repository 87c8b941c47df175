"""Commands that start an engine: demo, run, resume."""

from __future__ import annotations

import sys
from typing import Any, NoReturn

import click

from harness_core import config
from harness_core.errors import Exit, LongwatchError, Mistake
from harness_core.layout import RunDir
from harness_core.limits import among
from harness_core.machine.lock import engine_alive
from harness_core.operator import control
from harness_core.operator.bounds import NAMES
from harness_core.request import Request
from tui.commands.common import (
    directory_argument,
    for_console,
    known_run,
    plain_option,
    say,
    show_stream,
    stream_printer,
)

_headless = click.option(
    "--headless", is_flag=True, help="Run in this process, and end where you would have to answer."
)
_as_json = click.option(
    "--json", "as_json", is_flag=True, help="With --headless: the events as JSON, one a line."
)


def _run_options(function: Any) -> Any:
    options = [
        click.option(
            "--preset", metavar="P", help=f"How the work is organised: {', '.join(config.PRESETS)}."
        ),
        click.option(
            "--prompt", metavar="TEXT", help="What to build, to add or to mend, in 1 to 4 sentences."
        ),
        click.option(
            "--mode",
            metavar="M",
            help="build (the default), enhancement of what is there, or bugfix; both need --prompt.",
        ),
        click.option("--goal", metavar="TEXT", help="What ends a run without a contract, in words."),
        click.option("--features", type=int, metavar="N", help="Features to ask for (200)."),
        click.option(
            "--model",
            "models",
            multiple=True,
            metavar="[ROLE=]M",
            help=f"The model of all roles, or of one ({', '.join(config.ROLES)}). Can be repeated.",
        ),
        click.option(
            "--set",
            "sets",
            multiple=True,
            metavar="NAME=VALUE",
            help="Switch a part of the harness, or set a limit of each session or of a phase "
            "(limits.session.max_usd=2, limits.phase.build.max_usd=40). Can be repeated. "
            f"There are {config.switches_in_words()}.",
        ),
        click.option(
            "--max-usd", type=float, metavar="X", help="End at so many dollars (50 when an API key pays)."
        ),
        click.option("--max-tokens", type=int, metavar="N", help="End at so many tokens."),
        click.option("--max-turns", type=int, metavar="N", help="End at so many replies of a model."),
        click.option("--max-sessions", type=int, metavar="N", help="End after so many sessions."),
        click.option("--max-hours", type=float, metavar="X", help="End after so many hours of work."),
        click.option(
            "--session-timeout", type=float, metavar="MIN", help="End a session after so many minutes (120)."
        ),
        click.option(
            "--stall-timeout", type=float, metavar="MIN", help="End a session that is silent so long (10)."
        ),
        click.option(
            "--sandbox",
            metavar="MODE",
            help="The operating system's sandbox: auto (the default, where it works), require, off.",
        ),
        click.option("--max-retries", type=int, metavar="N", help="Sessions that may try a feature (3)."),
        _headless,
        plain_option,
        _as_json,
    ]
    for option in reversed(options):
        function = option(function)
    return function


def _options(given: dict[str, Any]) -> config.Options:
    sets, limits = among(given["sets"])
    return config.Options(
        preset=given["preset"],
        features=given["features"],
        mode=given["mode"],
        prompt=given["prompt"],
        goal=given["goal"],
        models=list(given["models"]),
        sets=sets,
        limits={**limits, **{name: given[name] for name in NAMES if given[name] is not None}},
        session_timeout=given["session_timeout"],
        stall_timeout=given["stall_timeout"],
        max_retries=given["max_retries"],
        sandbox=given["sandbox"],
    )


@click.command()
@click.argument("directory", metavar="[DIR]", default="longwatch-demo")
@_headless
@plain_option
@click.option("--fast", is_flag=True, help="As fast as it goes, not at a human pace.")
@_as_json
def demo(directory: str, headless: bool, plain: bool, fast: bool, as_json: bool) -> None:
    """Watch a rehearsal: no key, no cost.

    The real engine, SDK and CLI build something small; only the model is scripted. DIR (longwatch-demo) is
    made where it doesn't exist.
    """
    from tui.launch import demo_request  # noqa: PLC0415

    request = demo_request(directory, console=not headless)
    _start(request, as_json=as_json, fast=fast, plain=plain)


@click.command()
@directory_argument
@click.option("--spec", metavar="FILE", help="What to build, in words.")
@_run_options
def run(directory: str, spec: str | None, headless: bool, plain: bool, as_json: bool, **given: Any) -> None:
    """Start a run, or go on with one.

    The agents build in DIR what the specification says. Without --headless the engine is a process of its
    own, and the console shows what it does; where there is no terminal, lines do. Leaving ends the showing,
    not the run.
    """

    request = Request(
        directory=directory,
        spec=spec,
        options=_options(given),
        console=not headless,
        rehearsal=_rehearsal(directory),
    )
    _start(request, as_json=as_json, fast=headless, plain=plain)


@click.command()
@directory_argument
@_headless
@plain_option
def resume(directory: str, headless: bool, plain: bool) -> None:
    """Clear the stop and go on.

    The session that was stopped goes on; where no engine is running, one is started.
    """

    run_dir = known_run(directory)
    if run_dir.run_json.exists() and not engine_alive(run_dir):
        from tui.launch import resume_request  # noqa: PLC0415

        _start(resume_request(directory, console=not headless), fast=headless, plain=plain)
    there = control.clear_stop(run_dir)
    say("The stop is cleared." if there else "There was no stop to clear.")


def _rehearsal(directory: str) -> str | None:
    info = config.load_info(RunDir.at(directory))
    return info.rehearsal if info else None


def _start(request: Request, *, as_json: bool = False, fast: bool, plain: bool) -> NoReturn:
    """Start an engine, here or as a process of its own, and end with its exit code."""
    if as_json and request.console:
        raise Mistake("--json needs --headless: without it the run is shown to people")
    if not request.console:
        code = _headless_run(request, as_json, fast)
    elif not for_console(plain):
        code = _watched(request, fast)
    else:
        from tui.console import launching  # noqa: PLC0415

        ended = launching.start(request, fast)
        if ended is None:
            sys.exit(Exit.DONE)
        code = ended
    if not as_json and (hint := _hint(code, request)):
        say(hint, err=True)
    sys.exit(code)


def _hint(code: Exit, request: Request) -> str:
    """What to do after a run has ended so."""
    place = request.directory
    headless = "" if request.console else " --headless"
    match code:
        case Exit.DONE if request.rehearsal:
            return f"What the agents have built is in {place}, its pictures are in {place}/screenshots."
        case Exit.LIMIT:
            return f"To go on, raise the limit: longwatch limits {place}, longwatch resume {place}{headless}"
        case Exit.WAITING:
            return f"To go on: longwatch approve {place}, then longwatch resume {place}{headless}"
        case Exit.DONE | Exit.INTERRUPTED:
            return ""
    return f"To go on: longwatch resume {place}{headless}"


def _headless_run(request: Request, as_json: bool, fast: bool) -> Exit:
    from harness_core.output import print_event, unhindered  # noqa: PLC0415
    from tui import launch  # noqa: PLC0415
    from tui.progress import Progress  # noqa: PLC0415

    if as_json:
        return launch.in_process(request, [unhindered(print_event)], fast)
    run_dir = RunDir.at(request.directory)
    printer = stream_printer(run_dir)
    with Progress(run_dir, printer):
        return launch.in_process(request, [unhindered(printer)], fast)


def _watched(request: Request, fast: bool) -> Exit:
    from harness_core.record.fold import Follower  # noqa: PLC0415
    from tui import launch  # noqa: PLC0415

    run_dir = RunDir.at(request.directory)
    follower = Follower(run_dir)
    if run_dir.journal.exists():
        follower.catch_up()
    engine = launch.Detached(request, fast)
    for note in engine.notes:
        say(note, err=True)
    show_stream(follower, engine.alive)
    code = engine.wait()
    if not follower.state.ended:
        raise LongwatchError(f"the engine broke down: what it said is in {engine.log}")
    return code
