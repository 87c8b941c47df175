"""The command that shows a feature's text in the contract, and changes it."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from harness_core.errors import Mistake
from harness_core.machine.files import MAX_TEXT
from harness_core.machine.lock import engine_alive
from tui.commands.common import directory_argument, known_run, say, say_no_engine


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
        say(rewordings.as_text(known).rstrip())
        return
    if edit:
        before = rewordings.as_text(known)
        rewordings.ask_edited(run_dir, feature, before, _edited(before))
    else:
        steps = None if steps_from is None else rewordings.steps_of(_content(steps_from))
        rewordings.ask(run_dir, feature, description, steps)
    say(f"{feature}: its text is to be changed.")
    if not engine_alive(run_dir):
        say_no_engine(directory)


def _edited(before: str) -> str:
    """The text as the operator leaves it in an editor."""
    try:
        after = click.edit(before, extension=".md")
    except click.ClickException as error:
        raise Mistake(
            f"no editor could be used ({error.message}): set EDITOR, or use --description"
        ) from None
    if after is None:
        raise Mistake("nothing was saved in the editor: nothing is changed")
    return after


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
