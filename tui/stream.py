"""A run as readable lines: what the agents say and do, as it happens."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from rich.console import Console
from rich.control import Control
from rich.segment import ControlType
from rich.text import Text

from harness_core import config
from harness_core import events as ev
from harness_core.fold import Follower
from harness_core.layout import RunDir
from harness_core.safe import one_line, safe
from tui.summary import setup

POLL = 0.05
"""Seconds between two looks at the journal of a watched run."""
_WIDTH = 150
_ERASE = (ControlType.CARRIAGE_RETURN, (ControlType.ERASE_IN_LINE, 2))
_Lines = list[tuple[str, str]]
"""What an event looks like: (style, text) per line."""


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
        else:
            show = _SHOWN.get(type(event))
            for style, line in show(event) if show else ():
                self._line(line, style)
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
        root = str(self._run.root)
        shown = _shown_input(event.input).replace(f"{root}/", "").replace(root, ".")
        return f"{_plain(event.tool)} {one_line(shown, _WIDTH - 30)}".rstrip()

    def _denial(self, event: ev.GuardDecision) -> None:
        """A refused call is told once: its result only repeats the reason."""
        self._denied.add(event.tool_use_id)
        self._line(f"  ⊘ {self._calls.get(event.tool_use_id, _plain(event.tool))}", "bold red")
        self._line(f"    denied ({event.guard}): {one_line(event.reason)}", "red")

    def _result(self, event: ev.ToolResult) -> None:
        call = self._calls.pop(event.tool_use_id, "a call")
        if not event.ok and event.tool_use_id in self._denied:
            self._denied.discard(event.tool_use_id)
            return
        glyph, style = ("·", "dim") if event.ok else ("✗", "red")
        agent = "↳ " if event.agent else ""
        self._line(f"  {glyph} {agent}{call}  {event.ms} ms", style)
        if not event.ok and event.output:
            self._line(f"    {one_line(event.output, _WIDTH)}", "red")


def _plain(tool: str) -> str:
    """A tool's name without its server's."""
    return tool.rpartition("__")[2]


def _shown_input(values: Mapping[str, Any]) -> str:
    for key in ("command", "file_path", "pattern", "feature", "action", "verdict", "description"):
        if key in values:
            return str(values[key])
    return json.dumps(values, ensure_ascii=False) if values else ""


def _started(event: ev.RunStarted) -> _Lines:
    return [("bold", f"● run {event.run_id} · {event.preset}")]


def _resumed(event: ev.RunResumed) -> _Lines:
    ended = [("yellow", f"  ended what was left alive: {one_line(item)}") for item in event.ended]
    return [("bold", "● the run goes on"), *ended]


def _session_started(event: ev.SessionStarted) -> _Lines:
    feature = f" · {one_line(event.feature)}" if event.feature else ""
    again = " · resumed" if event.resumed else ""
    return [
        ("", ""),
        ("bold cyan", f"━━ session {event.session} · {event.role}{feature} · {one_line(event.model)}{again}"),
    ]


def _session_ended(event: ev.SessionEnded) -> _Lines:
    took = f"{event.ms / 1000:.1f} s · {event.turns} turns · ${event.usd:.4f}"
    features = f" · {event.passing}/{event.total} pass" if event.total else ""
    return [("cyan", f"━━ {event.reason} · {took}{features}")]


def _text(event: ev.Text) -> _Lines:
    return [
        ("" if event.agent is None else "dim", f"  {line}")
        for line in safe(event.text).splitlines()
        if line.strip()
    ]


def _feature(event: ev.FeatureChanged) -> _Lines:
    style = "green" if event.to in ("claimed", "verified", "approved") else "yellow"
    note = f" · {one_line(event.note, _WIDTH)}" if event.note else ""
    return [(style, f"  ◆ {one_line(event.feature)}: {event.from_} → {event.to} (by {event.by}){note}")]


def _verdict(event: ev.Verdict) -> _Lines:
    style = "green" if event.verdict == "PASS" else "yellow"
    found = [(style, f"    {one_line(item.where, _WIDTH)}") for item in event.findings]
    return [(f"bold {style}", f"  ⚖ {event.verdict} on {one_line(', '.join(event.scope))}"), *found]


def _stopped(event: ev.StopConfirmed) -> _Lines:
    left = [("red", f"    still alive: {one_line(item)}") for item in event.survivors]
    return [("bold yellow", f"  ■ stopped ({event.mode}), confirmed"), *left]


def _line(style: str, form: Callable[[Any], str]) -> Callable[[Any], _Lines]:
    return lambda event: [(style, f"  {form(event)}")]


_SHOWN: dict[type[ev.Event], Callable[[Any], _Lines]] = {
    ev.RunStarted: _started,
    ev.RunResumed: _resumed,
    ev.SessionStarted: _session_started,
    ev.SessionEnded: _session_ended,
    ev.Text: _text,
    ev.FeatureChanged: _feature,
    ev.Verdict: _verdict,
    ev.StopConfirmed: _stopped,
    ev.CheckpointOpened: _line(
        "bold magenta", lambda e: f"? checkpoint {e.id} ({e.kind}): {one_line(e.summary)}"
    ),
    ev.RunEnded: lambda e: [("", ""), ("bold", f"● ended: {one_line(e.reason)} (exit {e.exit})")],
    ev.ContractFrozen: _line("green", lambda e: f"◆ contract frozen: {len(e.features)} features"),
    ev.ContractTampered: _line("bold red", lambda e: f"⚠ contract tampered and restored: {one_line(e.what)}"),
    ev.EvidenceCaptured: _line("dim", lambda e: f"▣ {one_line(e.path)} ({e.size} bytes)"),
    ev.Commit: _line("blue", lambda e: f"⎇ {e.sha[:8]} {one_line(e.subject, _WIDTH)} (by {e.by})"),
    ev.SteerQueued: _line(
        "magenta", lambda e: f"✎ steering {e.id} queued ({e.mode}): {one_line(e.text, _WIDTH)}"
    ),
    ev.SteerDelivered: _line("magenta", lambda e: f"✎ steering {e.id} delivered"),
    ev.SteerAcknowledged: _line("magenta", lambda e: f"✎ steering {e.id} acknowledged"),
    ev.StopRequested: _line("yellow", lambda e: f"■ stop requested ({e.mode})"),
    ev.StopCleared: _line("yellow", lambda e: "▶ stop cleared"),
    ev.CheckpointDecided: _line(
        "magenta", lambda e: f"? checkpoint {e.id}: {e.decision} by {one_line(e.by)}"
    ),
    ev.RateLimited: _line(
        "yellow", lambda e: f"⏳ rate limit {e.status} {e.window}, resets {e.resets_at or 'unknown'}"
    ),
    ev.Retry: _line(
        "yellow",
        lambda e: f"↻ retry {e.attempt} of {e.max} in {e.delay_ms / 1000:.1f} s ({e.status or e.error})",
    ),
    ev.StallDetected: _line("bold red", lambda e: f"⚠ {e.what} for {e.seconds:.0f} s"),
    ev.LimitReached: _line("bold red", lambda e: f"⚠ limit {e.limit} reached: {e.value:g} of {e.cap:g}"),
    ev.AppChanged: _line("dim", lambda e: f"⚙ app {e.action}: {one_line(e.detail, _WIDTH)}"),
    ev.Error: _line("bold red", lambda e: f"✗ {one_line(e.message, _WIDTH)}"),
}


def follow(follower: Follower, show: Callable[[ev.Event], None], alive: Callable[[], bool]) -> None:
    """Show what happens in a run, until its engine is gone."""
    while True:
        living = alive()
        for event in follower.poll():
            show(event)
        if not living:
            return
        time.sleep(POLL)
