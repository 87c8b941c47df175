"""Commands that tell of a run as a whole: report and replay."""

from __future__ import annotations

from pathlib import Path

import click

from harness_core.errors import Mistake
from harness_core.machine.files import write_whole
from harness_core.safe import one_line
from tui.commands.common import directory_argument, for_console, known_run, say

HTML = (".html", ".htm")
MARKDOWN = (".md", ".markdown")


@click.command()
@directory_argument
@click.option("-o", "--output", metavar="FILE", help="Write it there: x.html is one page, x.md Markdown.")
def report(directory: str, output: str | None) -> None:
    """Tell what came of a run, as Markdown or as one page of HTML.

    What came of it, what to look at, features with their evidence, costs, timeline, denials, what the
    operator said, commits. The page holds its pictures and needs nothing else.
    """
    from harness_core.report import as_html, as_markdown  # noqa: PLC0415
    from tui.foreign import seen  # noqa: PLC0415

    run_dir, _keeper = seen(known_run(directory))
    if output is None:
        say(as_markdown(run_dir))
        return
    path = _writable(output)
    text = as_html(run_dir) if path.suffix.lower() in HTML else as_markdown(run_dir, path.parent)
    write_whole(path, text.encode(), durable=False)
    say(f"Written: {one_line(str(path))}")


@click.command()
@directory_argument
@click.option(
    "--speed", metavar="X", type=float, default=1.0, show_default=True, help="How many times as fast."
)
def replay(directory: str, speed: float) -> None:
    """Play a past run in the console: pause, faster, slower, on to the next session, denial, verdict, error.

    Where nothing happens for long, the next event comes after three seconds. Nothing that is done there
    reaches the run.
    """
    from tui.console.replay import FASTEST, SLOWEST  # noqa: PLC0415
    from tui.foreign import seen  # noqa: PLC0415

    if not SLOWEST <= speed <= FASTEST:
        raise Mistake(f"--speed {speed:g}: name a number from {SLOWEST:g} to {FASTEST:g}")
    run_dir, _keeper = seen(known_run(directory))
    if not for_console(plain=False):
        raise Mistake(f"a replay needs a terminal: see `longwatch trace {directory}` for the events as lines")
    from tui.console import launching  # noqa: PLC0415

    launching.replay(run_dir, speed)


def _writable(output: str) -> Path:
    """Where a report goes. Raises Mistake for what can't be one."""
    path = Path(output).expanduser().absolute()
    if path.suffix.lower() not in (*HTML, *MARKDOWN):
        raise Mistake(f"-o {output}: write x.html for a page or x.md for Markdown")
    if not path.parent.is_dir():
        raise Mistake(f"-o {output}: {path.parent} is no directory: name one that is there")
    if path.is_dir():
        raise Mistake(f"-o {output} is a directory: name a file")
    return path
