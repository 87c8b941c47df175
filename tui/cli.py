"""The command `longwatch`. Loads neither Textual nor the SDK until a command needs them."""

from __future__ import annotations

import io
import sys
from importlib import import_module
from typing import Any

import click

from harness_core import __version__
from harness_core.errors import Exit, LongwatchError, refused_by_system
from harness_core.output import give_up_output
from harness_core.safe import one_line
from tui.commands import breakdown
from tui.commands.common import for_console, say

_MODULES = {
    "starting": ("demo", "run", "resume"),
    "looking": ("attach", "status", "trace"),
    "operating": ("steer", "stop", "approve", "reject", "skip"),
    "rewording": ("contract",),
    "limiting": ("limits",),
    "calibrating": ("calibration",),
    "hooking": ("hook", "hooks"),
    "reporting": ("replay", "report"),
    "doctoring": ("doctor",),
    "prompting": ("prompts",),
}
"""Where each command is, below `tui/commands/`."""
_ORDER = (
    *("demo", "run", "attach", "status", "steer", "stop", "resume", "approve", "reject", "skip", "contract"),
    *("limits", "calibration", "hook", "hooks", "trace", "replay", "report", "doctor", "prompts"),
)


class _Commands(click.Group):
    """Lists commands in the order of telling, loads one when it is called; one whose reader goes away ends
    quietly."""

    def list_commands(self, ctx: click.Context | None) -> list[str]:
        return list(_ORDER)

    def get_command(self, ctx: click.Context | None, cmd_name: str) -> click.Command | None:
        module = next((name for name, commands in _MODULES.items() if cmd_name in commands), None)
        if module is None:
            return None
        found: click.Command = getattr(import_module(f"tui.commands.{module}"), cmd_name)
        return found

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            give_up_output()


@click.group(cls=_Commands, invoke_without_command=True)
@click.version_option(__version__, prog_name="longwatch")
@click.pass_context
def cli(ctx: click.Context) -> None:
    """Watch, steer and stop agents that build for hours.

    Alone, in a terminal: opens the start screen.

    Exit codes: 0 done, 1 failed or features left, 2 your mistake, 3 stopped, 4 a limit was reached,
    5 waiting for you, 130 interrupted.
    """
    if ctx.invoked_subcommand is not None:
        return
    if for_console(plain=False):
        from tui.console import launching  # noqa: PLC0415

        launching.begin()
    else:
        say(ctx.get_help())


def main() -> None:
    """Entry point of the script: every mistake becomes one line on stderr and an exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    try:
        cli.main(prog_name="longwatch", standalone_mode=False)
    except LongwatchError as error:
        _fail(str(error), error.exit_code)
    except click.ClickException as error:
        _fail(_sentence(error), Exit.MISTAKE)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(Exit.INTERRUPTED)
    except OSError as error:
        _fail(refused_by_system(error), Exit.FAILED)
    except Exception as error:
        _fail(breakdown.sentence("Longwatch", error), Exit.FAILED)


def _sentence(error: click.ClickException) -> str:
    message = error.format_message().rstrip(".")
    command = error.ctx.command_path if isinstance(error, click.UsageError) and error.ctx else "longwatch"
    return f"{message}: see `{command} --help`"


def _fail(sentence: str, code: int) -> None:
    say(f"longwatch: {one_line(sentence)}", err=True)
    sys.exit(code)


if __name__ == "__main__":
    main()
