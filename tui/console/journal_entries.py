"""Entries of a journal: events, each with its place in the file, and calls with what came of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from harness_core.record import events as ev
from tui.console.journal_lines import CHUNK, Line, Piece, Step, opened, piece_at, seq_in

KEPT = 64 << 10
"""Characters of any one text that are kept for showing."""
DAMAGED = "damaged"
TOO_LONG = "too long"
"""Types of the stand-ins for lines that can't be read as events, or are too long to be."""


class Entry:
    """An event, where its line is, and, for a tool call, what came of it."""

    __slots__ = ("denial", "event", "laid", "offset", "outcome", "size", "takes")

    def __init__(self, offset: int, size: int, event: ev.Event) -> None:
        self.offset = offset
        self.size = size
        self.event = event
        self.outcome: ev.ToolResult | None = None
        self.denial: ev.GuardDecision | None = None
        self.takes: list[int] = []
        """Offsets of the events that are told on this one's line."""
        self.laid: Any = None
        """A drawer's own: the lines as laid out, until anything of it changes."""

    def take(self, other: Entry) -> None:
        """Take in what became of this call."""
        if isinstance(other.event, ev.ToolResult):
            self.outcome = other.event
        elif isinstance(other.event, ev.GuardDecision):
            self.denial = other.event
        self.takes.append(other.offset)
        self.laid = None


Accept = Callable[[Entry], bool]
"""Whether a reader wants to see an entry."""


def entry_of(line: Line) -> Entry:
    """The entry of a line; a stand-in for what is damaged or too long."""
    event: ev.Event
    if not line.whole:
        event = _stand_in(line, TOO_LONG, seq_in(line.data) or 0)
    else:
        try:
            event = ev.decode(line.data)
        except ev.BadEvent:
            event = _stand_in(line, DAMAGED)
        if line.size > KEPT:
            event = ev.with_text(event, lambda text: text[:KEPT])
    return Entry(line.offset, line.size, event)


def _stand_in(line: Line, kind: str, seq: int = 0) -> ev.Unknown:
    beginning = line.data[:4096].decode("utf-8", "replace")
    return ev.Unknown(seq=seq, fields={"type": kind, "bytes": line.size, "beginning": beginning})


def join(entries: list[Entry]) -> list[Entry]:
    """The same, with results and denials taken in by their calls, where these are among them."""
    calls: dict[str, Entry] = {}
    joined = []
    for entry in entries:
        event = entry.event
        if isinstance(event, ev.ToolUse):
            calls[event.tool_use_id] = entry
        elif isinstance(event, ev.ToolResult | ev.GuardDecision) and event.tool_use_id in calls:
            calls[event.tool_use_id].take(entry)
            continue
        joined.append(entry)
    return joined


class EntryReader:
    """Reads the wanted entries of a journal, joined or each by itself.

    It keeps no place: a thread may read with it while others do.
    """

    def __init__(self, path: Path, accept: Accept, *, joined: bool, chunk: int = CHUNK) -> None:
        self.path = path
        self.accept = accept
        self.may_hold: Callable[[bytes], bool] = lambda _: True
        """Whether bytes can hold anything wanted: a quick look, before they are read as events."""
        self.joined = joined
        self.chunk = chunk
        """Bytes that are read at a time."""

    def entries(self, piece: Piece) -> list[Entry]:
        """The wanted ones of a piece."""
        if not self.may_hold(piece.data):
            return []
        return [*filter(self.accept, self.together([entry_of(line) for line in piece.lines()], []))]

    def together(self, entries: list[Entry], later: list[Entry]) -> list[Entry]:
        """Both, in order; joined, if this reader joins."""
        both = [*entries, *later]
        return join(both) if self.joined else both

    def read(
        self,
        edge: int,
        step: Step,
        *,
        pieces: int = 1,
        enough: int = 1,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> tuple[list[Entry], int]:
        """What is wanted from `edge` on, or before it for `step` -1; and up to where it was looked for.

        Reads so many pieces (-1: all that there are), or until there are `enough` entries.
        """
        found: list[Entry] = []
        with opened(self.path) as file:
            while file and pieces and len(found) < enough and not cancelled():
                piece = piece_at(file.fd, edge, step, self.chunk)
                if piece is None:
                    break
                entries = self.entries(piece)
                found = self.together(found, entries) if step > 0 else self.together(entries, found)
                edge, pieces = piece.edge(step), pieces - 1
        return found, edge
