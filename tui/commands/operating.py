"""Commands of the operator on a run: steer, stop, approve, reject, skip."""

from __future__ import annotations

import sys

import click

from harness_core.errors import Mistake
from harness_core.machine.files import MAX_TEXT
from harness_core.machine.lock import engine_alive
from harness_core.operator import control
from harness_core.safe import one_line
from tui.commands.common import directory_argument, known_run, say, say_no_engine


@click.command()
@directory_argument
@click.argument("text", nargs=-1, required=True)
@click.option(
    "--next", "for_next", is_flag=True, help="At the next session's start, not at the next tool boundary."
)
def steer(directory: str, text: tuple[str, ...], for_next: bool) -> None:
    """Tell the agent something.

    It gets the message once, at its next tool boundary. With `-` as TEXT it is read from standard input.
    """
    run_dir = known_run(directory)
    words = _standard_input() if text == ("-",) else " ".join(text)
    if run_dir.run_json.exists():
        message = control.steer(run_dir, words, "next" if for_next else "now")
        say(f"Queued as {message}.")
        if not engine_alive(run_dir):
            say_no_engine(directory)
        return
    path = control.leave_words(run_dir, words, "next" if for_next else "now")
    say(f"Written to {path.name}.")


def _standard_input() -> str:
    return sys.stdin.buffer.read(MAX_TEXT + 1).decode("utf-8", "replace")


@click.command()
@directory_argument
@click.option("--finish", is_flag=True, help="Finish the feature in hand first (AGENT_FINISH).")
@click.option("--now", is_flag=True, help="Also end the engine and every process of the run.")
def stop(directory: str, finish: bool, now: bool) -> None:
    """Stop a run.

    Puts AGENT_STOP into DIR: no tool call starts while it is there, and what runs is interrupted.
    """
    run_dir = known_run(directory)
    if finish and now:
        raise Mistake("--finish and --now exclude each other: choose one")
    if finish:
        control.request_finish(run_dir)
        say("AGENT_FINISH is there: the feature in hand is finished, then the run stops.")
    else:
        control.request_stop(run_dir)
        if now:
            from tui.launch import end_engine  # noqa: PLC0415  (loads the engine)

            for left in end_engine(run_dir):
                say(f"Still alive: {one_line(left)}", err=True)
        say("AGENT_STOP is there: no tool call starts until it is gone.")
    say(f"To go on: longwatch resume {directory}")


@click.command()
@directory_argument
@click.argument("number", metavar="[N]", required=False)
@click.option("--note", default="", help="A word for the agents.")
@click.option(
    "--override",
    "overrides",
    multiple=True,
    metavar="CRITERION",
    help="The evaluator is wrong by this criterion: its findings count no more. Can be repeated.",
)
@click.option(
    "--choose",
    "choice",
    type=int,
    metavar="ITERATION",
    help="At the end of a design: the iteration that is to stand, in place of the best one.",
)
def approve(
    directory: str, number: str | None, note: str, overrides: tuple[str, ...], choice: int | None
) -> None:
    """Agree with what waits for you.

    That is the open checkpoint; with a number N only if it is that one.
    """
    _decide(directory, number, "approve", note, overrides, choice)


@click.command()
@directory_argument
@click.argument("number", metavar="[N]", required=False)
@click.option("--note", default="", help="What is wrong; the agents work from it. Needed.")
def reject(directory: str, number: str | None, note: str) -> None:
    """Send back what waits for you.

    That is the open checkpoint; with a number N only if it is that one.
    """
    _decide(directory, number, "reject", note)


@click.command()
@directory_argument
@click.argument("feature", metavar="FEATURE")
@click.option("--note", default="", help="Why; it stays with the feature. Needed.")
def skip(directory: str, feature: str, note: str) -> None:
    """Give a feature up for now.

    Nothing more is built or judged of it; an agent that is at work on it is told.
    """
    from harness_core.operator import skips  # noqa: PLC0415
    from harness_core.record.fold import fold  # noqa: PLC0415

    run_dir = known_run(directory)
    skips.ask(run_dir, fold(run_dir), feature, note)
    say(f"{feature}: skip.")
    if not engine_alive(run_dir):
        say_no_engine(directory)


def _decide(
    directory: str,
    number: str | None,
    decision: control.Decision,
    note: str,
    overrides: tuple[str, ...] = (),
    choice: int | None = None,
) -> None:
    from harness_core.record.fold import fold  # noqa: PLC0415

    run_dir = known_run(directory)
    state = fold(run_dir)
    asked = state.checkpoint
    checkpoint = control.checkpoint_of(run_dir, asked.id) if asked else None
    if checkpoint is None:
        raise Mistake(f"{directory} has no open checkpoint: nothing waits for you")
    if number is not None and number.lstrip("0") != checkpoint.id.lstrip("0"):
        raise Mistake(f"{number} is not the open checkpoint: the one that waits for you is {checkpoint.id}")
    known = {finding.criterion for finding in state.verdict.findings} if state.verdict else set()
    for criterion in overrides:
        if criterion not in known:
            there = ", ".join(sorted(known)) or "none"
            raise Mistake(f"--override {criterion}: the findings name no such criterion; there are {there}")
    control.decide(run_dir, checkpoint, decision, note, overrides, choice)
    stands = f", iteration {choice} stands" if choice is not None else ""
    say(f"Checkpoint {checkpoint.id}: {decision}{stands}.")
    if not engine_alive(run_dir):
        say_no_engine(directory)
