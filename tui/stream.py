"""A run as readable lines: what the agents say and do, as it happens."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from rich.console import Console
from rich.control import Control
from rich.segment import ControlType
from rich.text import Text

from harness_core import config
from harness_core.layout import RunDir
from harness_core.reading.rows import Look, lines, short_input, tool_name
from harness_core.record import events as ev
from harness_core.record.fold import Follower
from harness_core.safe import one_line, safe
from tui.summary import setup

POLL = 0.05
"""Seconds between two looks at the journal of a watched run."""
_WIDTH = 150
_ERASE = (ControlType.CARRIAGE_RETURN, (ControlType.ERASE_IN_LINE, 2))
_STYLES = {
    Look.PLAIN: "",
    Look.DIM: "dim",
    Look.STRONG: "bold",
    Look.SESSION: "bold cyan",
    Look.SESSION_END: "cyan",
    Look.GOOD: "green",
    Look.GOOD_HEAD: "bold green",
    Look.WARN: "yellow",
    Look.WARN_HEAD: "bold yellow",
    Look.ERROR: "red",
    Look.ERROR_HEAD: "bold red",
    Look.RECEIPT: "magenta",
    Look.CHECKPOINT: "bold magenta",
    Look.COMMIT: "blue",
}
_LEFT_OUT = (ev.Thinking, ev.PhaseStarted)
"""What only a console has room for."""


class StreamConsole(Console):
    """Standard output, as a stream of plain lines. Raises BrokenPipeError when its reader has gone away."""

    def __init__(self) -> None:
        super().__init__(highlight=False, markup=False)

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


class StreamPrinter:
    """Prints events of a run. Give it each event once, in order.

    With `at_work`, for a run whose engine is starting or working, each start is followed by what is set.
    """

    def __init__(self, console: Console, run: RunDir, *, at_work: bool = False) -> None:
        self._console = console
        self._run = run
        self._at_work = at_work
        self._calls: dict[str, str] = {}
        self._denied: set[str] = set()
        self._lock = threading.Lock()
        self._status = ""

    @property
    def has_status(self) -> bool:
        """Whether the output is a terminal whose last line can be rewritten."""
        return self._console.is_terminal and not self._console.is_dumb_terminal

    def status(self, text: str) -> None:
        """Keep `text` as a terminal's last line until anything is printed, or another text is given."""
        with self._lock:
            if text != self._status:
                self._erase()
                self._console.print(Text(one_line(text), style="yellow"), end="", soft_wrap=True)
                self._status = text

    def note(self, text: str) -> None:
        """Print a line that no event stands for."""
        self._line(text, "yellow")

    def _erase(self) -> None:
        if self._status:
            self._console.control(Control(*_ERASE))
            self._status = ""

    def __call__(self, event: ev.Event) -> None:
        """Print `event`, if it is one that an operator watches for."""
        if isinstance(event, ev.ToolUse):
            self._calls[event.tool_use_id] = self._call(event)
        elif isinstance(event, ev.ToolResult):
            self._result(event)
        elif isinstance(event, ev.GuardDecision):
            self._denial(event)
        elif not isinstance(event, _LEFT_OUT):
            for look, line in lines(event, _WIDTH):
                self._line(line, _STYLES[look])
        if isinstance(event, ev.RunStarted | ev.RunResumed) and self._at_work:
            self.setup(self._run)
        if isinstance(event, ev.CheckpointOpened):
            root = self._run.root
            self._line(f"    longwatch approve {root}", "magenta")
            self._line(f'    longwatch reject {root} --note "what is wrong"', "magenta")

    def setup(self, run: RunDir) -> None:
        """Print what is set for the run's present engine."""
        info = config.load_info(run)
        for line in setup(info.config) if info else ():
            self._line(f"  {line}", "yellow")

    def _line(self, line: str, style: str) -> None:
        with self._lock:
            self._erase()
            self._console.print(Text(safe(line).replace("\n", " "), style=style), soft_wrap=True)

    def _call(self, event: ev.ToolUse) -> str:
        """A call in a line, the run's files named from its root."""
        shown = short_input(event.input, str(self._run.root))
        return f"{tool_name(event.tool)} {one_line(shown, _WIDTH - 30)}".rstrip()

    def _denial(self, event: ev.GuardDecision) -> None:
        """A refused call is told once: its result only repeats the reason."""
        self._denied.add(event.tool_use_id)
        self._line(f"  ⊘ {self._calls.get(event.tool_use_id, tool_name(event.tool))}", "bold red")
        self._line(f"    denied ({event.guard}): {one_line(event.reason)}", "red")

    def _result(self, event: ev.ToolResult) -> None:
        call = self._calls.pop(event.tool_use_id, "a call begun before")
        if not event.ok and event.tool_use_id in self._denied:
            self._denied.discard(event.tool_use_id)
            return
        glyph, style = ("·", "dim") if event.ok else ("✗", "red")
        agent = "↳ " if event.agent else ""
        self._line(f"  {glyph} {agent}{call}  {event.ms} ms", style)
        if not event.ok and event.output:
            self._line(f"    {one_line(event.output, _WIDTH)}", "red")


def follow(follower: Follower, show: Callable[[ev.Event], None], alive: Callable[[], bool]) -> None:
    """Show what happens in a run, until its engine is gone."""
    while True:
        living = alive()
        for event in follower.poll():
            show(event)
        if not living:
            return
        time.sleep(POLL)
