"""The command that shows a feature's text in the contract, and changes it."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import click

from harness_core.errors import Mistake
from harness_core.machine.files import MAX_TEXT
from harness_core.machine.lock import engine_alive
from tui.commands.common import directory_argument, known_run, say, say_no_engine

_STEP = re.compile(r"^\s*(?:[-*]|\d+[.)])\s+")


@click.command()
@directory_argument
@click.argument("feature", metavar="FEATURE")
@click.option("--description", metavar="TEXT", help="What must be true.")
@click.option(
    "--steps-from", metavar="FILE", help="How a person checks it: one step a line; `-`: what is piped in."
)
@click.option("--edit", is_flag=True, help="Change both in your editor.")
def contract(
    directory: str, feature: str, description: str | None, steps_from: str | None, edit: bool
) -> None:
    """Show a feature's text in the contract, or change it.

    The contract is frozen anew with that text; a feature that passes has to be built and proved again.
    """
    from harness_core.operator import rewordings  # noqa: PLC0415

    run_dir = known_run(directory)
    known = rewordings.present(run_dir, feature)
    if edit and (description is not None or steps_from is not None):
        raise Mistake("--edit changes both: leave --description and --steps-from away")
    if not edit and description is None and steps_from is None:
        say(_shown(known.description, known.steps).rstrip())
        return
    steps = None if steps_from is None else _steps(_content(steps_from))
    if edit:
        description, steps = _edited(known.description, known.steps)
    rewordings.ask(run_dir, feature, description, steps)
    say(f"{feature}: its text is to be changed.")
    if not engine_alive(run_dir):
        say_no_engine(directory)


def _shown(description: str, steps: tuple[str, ...]) -> str:
    return "\n".join([description, "", *(f"- {step}" for step in steps)]) + "\n"


def _edited(description: str, steps: tuple[str, ...]) -> tuple[str, list[str]]:
    """The text as the operator leaves it in an editor: steps begin with `- `, the description is above."""
    try:
        text = click.edit(_shown(description, steps), extension=".md")
    except click.ClickException as error:
        raise Mistake(
            f"no editor could be used ({error.message}): set EDITOR, or use --description"
        ) from None
    if text is None:
        raise Mistake("nothing was saved in the editor: nothing is changed")
    lines = text.splitlines()
    first = next((at for at, line in enumerate(lines) if _STEP.match(line)), len(lines))
    return " ".join(" ".join(lines[:first]).split()), _steps("\n".join(lines[first:]))


def _steps(text: str) -> list[str]:
    return [_STEP.sub("", line).strip() for line in text.splitlines() if line.strip()]


def _content(name: str) -> str:
    if name == "-":
        return sys.stdin.buffer.read(MAX_TEXT).decode("utf-8", "replace")
    try:
        with Path(name).expanduser().open("rb") as stream:
            return stream.read(MAX_TEXT).decode("utf-8", "replace")
    except (OSError, RuntimeError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise Mistake(
            f"the steps in {name} can't be read ({why}): name a file with one step a line"
        ) from None
