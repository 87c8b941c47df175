"""The whole journal, as it stands in the file: one event a line."""

from __future__ import annotations

import json
from typing import ClassVar

import msgspec
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.screen import Screen
from textual.widgets import Footer

from harness_core.layout import RunDir
from harness_core.reading.rows import Look
from harness_core.record import events as ev
from harness_core.safe import one_line, safe
from tui.console.journal_entries import DAMAGED, TOO_LONG, Entry
from tui.console.journal_layout import Laid
from tui.console.journal_view import JournalView, local_time
from tui.console.sinks import line
from tui.console.wrapping import cut, wrap

POLL = 0.1
"""Seconds between two looks at the journal."""
_TROUBLE = (ev.Error, ev.GuardDecision, ev.ContractTampered, ev.LimitReached, ev.StallDetected)
_HEADS = {"seq", "ts", "session", "role"}


class TraceView(JournalView):
    """The journal's lines: number, time, session, role, type, and the event's own fields."""

    def can_open(self, entry: Entry) -> bool:
        return True

    def lay(self, entry: Entry, width: int) -> list[Laid]:
        event = entry.event
        name, fields = _fields(event)
        who = f"{event.session or '-':>3} {one_line(event.role or '-')[:11]:11}"
        first = f"{event.seq:>7} {local_time(event.ts):8} {who} "
        look = _look(event, name)
        rest = max(width - len(first) - 19, 10)
        laid: list[Laid] = [
            (
                (Look.DIM, first),
                (look, f"{cut(name, 18):18} "),
                (Look.DIM if look is Look.PLAIN else look, cut(one_line(_json(fields)[:2000]), rest)),
            )
        ]
        if entry.offset in self.opened:
            whole = {"seq": event.seq, "ts": event.ts, "session": event.session, "role": event.role, **fields}
            rows = safe(_json(whole, indent=2)).splitlines()
            laid += [
                ((Look.DIM, "        │ "), (Look.PLAIN, piece))
                for row in rows
                for piece in wrap(row, width - 10)
            ]
        return laid


def _fields(event: ev.Event) -> tuple[str, dict[str, object]]:
    """An event's type and what it has of its own."""
    if isinstance(event, ev.Unknown):
        return one_line(str(event.fields.get("type", "unknown"))), dict(event.fields)
    plain = msgspec.to_builtins(event)
    name = str(plain.pop("type"))
    own = {key: value for key, value in plain.items() if key not in _HEADS}
    # What says least stands last, where a line is cut.
    return name, dict(sorted(own.items(), key=lambda item: item[0] == "tool_use_id" or item[1] in (None, [])))


def _json(value: object, indent: int | None = None) -> str:
    return json.dumps(value, ensure_ascii=False, indent=indent, default=str)


def _look(event: ev.Event, name: str) -> Look:
    failed = isinstance(event, ev.ToolResult | ev.AppChanged) and not event.ok
    if (
        failed
        or isinstance(event, _TROUBLE)
        or (isinstance(event, ev.Unknown) and name in (DAMAGED, TOO_LONG))
    ):
        return Look.ERROR
    if isinstance(event, ev.SessionStarted | ev.SessionEnded | ev.RunStarted | ev.RunEnded):
        return Look.SESSION
    if name.startswith(("steer", "checkpoint", "stop")):
        return Look.RECEIPT
    return Look.PLAIN


class TraceScreen(Screen[None]):
    """Goes with escape and q. It follows the end."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q,t", "dismiss", "back", show=True)]
    DEFAULT_CSS = """
    TraceScreen { background: $background; layers: base card; }
    TraceScreen #trace {
        border: round $primary; padding: 0 1; height: 1fr;
        border-title-color: $primary; border-title-style: bold; border-subtitle-color: $text-muted;
    }
    """

    def __init__(self, run: RunDir) -> None:
        super().__init__()
        self.view = TraceView(run.journal, joined=False)

    def compose(self) -> ComposeResult:
        with Container(id="trace"):
            yield self.view
        yield Footer(compact=True, show_command_palette=False)

    def on_mount(self) -> None:
        self.view.focus()
        self.set_interval(POLL, self.view.advance)

    def on_journal_view_moved(self, message: JournalView.Moved) -> None:
        message.stop()
        frame = self.query_one("#trace")
        frame.border_title = line(self.view.title("Trace"))
        frame.border_subtitle = line(self.view.where())
