"""Commands for plain Claude Code: hook, hooks install, hooks remove."""

from __future__ import annotations

import sys

import click

from harness_core.layout import RunDir
from harness_core.safe import one_line
from tui.commands.common import directory_argument, say


@click.command()
@directory_argument
@click.option("--jsonl", is_flag=True, help="One payload a line, each answered at once.")
def hook(directory: str, jsonl: bool) -> None:
    """Answer a hook of Claude Code.

    The payload is on standard input, the answer on standard output. A call that can't be judged is denied:
    exit code 2, which blocks it.
    """
    from harness_core.hooks.main import main  # noqa: PLC0415

    sys.exit(main([directory, *(["--jsonl"] if jsonl else [])]))


@click.group()
def hooks() -> None:
    """Guards, steering, brake and journal for plain Claude Code in a directory."""


@hooks.command()
@directory_argument
def install(directory: str) -> None:
    """Put Longwatch's hooks into DIR/.claude/settings.json.

    What is there stays; a copy of the file is kept beside it until the hooks are removed.
    """
    from harness_core.hooks import settings  # noqa: PLC0415

    run = RunDir.at(directory)
    done = settings.install(run)
    where = one_line(str(run.root / ".claude" / "settings.json"))
    say(f"The hooks are in {where}." if done else f"The hooks were in {where} already.")
    if done:
        say(f"To watch: longwatch attach {directory}\nTo take them out: longwatch hooks remove {directory}")


@hooks.command()
@directory_argument
def remove(directory: str) -> None:
    """Take Longwatch's hooks out of DIR/.claude/settings.json, and nothing else."""
    from harness_core.hooks import settings  # noqa: PLC0415

    run = RunDir.at(directory)
    where = one_line(str(run.root / ".claude" / "settings.json"))
    say(
        f"The hooks are out of {where}."
        if settings.remove(run)
        else f"There are no hooks of ours in {where}."
    )
