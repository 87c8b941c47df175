"""The command that looks whether a run can work here."""

from __future__ import annotations

import sys
import textwrap

import click
import msgspec

from harness_core.errors import Exit
from harness_core.layout import RunDir
from harness_core.safe import one_line, safe_json
from tui.commands.common import say
from tui.doctor.check import Check, failed

_NAME, _WIDTH = 15, 100


@click.command()
@click.argument("directory", metavar="[DIR]", required=False)
@click.option("--json", "as_json", is_flag=True, help="As one JSON document.")
def doctor(directory: str | None, as_json: bool) -> None:
    """Look whether a run can work here, and say how to mend what it lacks.

    With DIR also at that directory: its longwatch.toml, its MCP servers, its journal. Ends with 1 where
    something fails that no run can do without.
    """
    from tui.doctor.examination import examine  # noqa: PLC0415  (its looks load what other commands don't need)

    run = RunDir.at(directory) if directory else None
    found: list[Check] = []
    for check in examine(run):
        found.append(check)
        if not as_json:
            say(_shown(check))
    if as_json:
        say(safe_json(msgspec.json.format(msgspec.json.encode(found), indent=2).decode()))
    sys.exit(Exit.FAILED if failed(found) else Exit.DONE)


def _shown(check: Check) -> str:
    head = f"{check.mark:5} {one_line(check.name):{_NAME}} "
    lines = textwrap.wrap(one_line(check.says), _WIDTH - len(head)) or [""]
    if check.mend:
        lines += textwrap.wrap(f"→ {one_line(check.mend)}", _WIDTH - len(head))
    return head + f"\n{'':{len(head)}}".join(lines)
