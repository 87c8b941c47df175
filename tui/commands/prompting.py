"""The command that shows what roles are told."""

from __future__ import annotations

import click

from harness_core import config
from harness_core.errors import Mistake
from harness_core.layout import RunDir
from tui.commands.common import directory_argument, say


@click.command()
@directory_argument
@click.option("--show", metavar="ROLE|PAGE", help="All that it would be told now.")
@click.option("--preset", metavar="P", help="As with this preset.")
@click.option("--set", "sets", multiple=True, metavar="NAME=VALUE", help="As with a part switched.")
@click.option("--mode", metavar="M", help="As in this mode: build, enhancement or bugfix.")
def prompts(
    directory: str, show: str | None, preset: str | None, sets: tuple[str, ...], mode: str | None
) -> None:
    """List the pages that roles are told, or show what one of them would get.

    A role's page is that of the run's settings, with names, switches, the rubric and the repository's own
    guidance; a page of your own takes its place. DIR may be a directory where nothing ran yet.
    """
    from harness_core import preview  # noqa: PLC0415
    from harness_core.prompting import override_of  # noqa: PLC0415

    if not directory.strip():
        raise Mistake("DIR is empty: name a directory, of a run or for one")
    run_dir = RunDir.at(directory)
    if show is None:
        for page in preview.pages():
            own = override_of(run_dir, page.name)
            say(f"{page.name:24} {page.role:12} {'yours: ' if own.is_file() else 'yours would be: '}{own}")
        return
    options = config.Options(preset=preset, sets=list(sets), mode=mode)
    found = preview.told(run_dir, show, options)
    whose = "yours" if found.overridden else f"put your own at {found.override}"
    say(f"━━ the system page of {found.page.role}: {found.page.name}.md ({whose})\n")
    say(found.system.rstrip())
    say("\n━━ the first message\n")
    say(found.first or "(It can't be known yet: it depends on what the run has come to by then.)")
    say(f"\n━━ its MCP servers besides Longwatch's own: {', '.join(found.servers) or 'none'}")
