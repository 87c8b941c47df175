"""A stretch of a journal in memory: what a reader has in view, and what lies near.

Read by byte offset, backwards and forwards, a bounded piece at a time; what is far is dropped. So opening,
moving and following cost the same in a journal of a hundred events and in one of a million.
"""

from __future__ import annotations

import contextlib
import os
import re
from bisect import bisect_left
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from harness_core import events as ev

CHUNK = 64 << 10
"""Bytes that are read at a time."""
ENTRIES = 3000
"""Entries that a window holds at most, and as many bytes of journal as `WEIGHT`."""
WEIGHT = 8 << 20
LONG = 1 << 20
"""A longer line isn't decoded: its beginning stands for it."""
KEPT = 64 << 10
"""Characters of any one text that are kept for showing."""
_BEGINNING = 4096
_SLACK = 500
"""Entries by which a window may grow over its size, so that it isn't cut with each event."""
DAMAGED = "damaged"
TOO_LONG = "too long"
"""Types of the stand-ins for lines that can't be read as events, or are too long to be."""


class Line(NamedTuple):
    """A line of the file, and its bytes without the newline; of one over `LONG` only the first."""

    offset: int
    size: int
    data: bytes


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


class Head(msgspec.Struct):
    """What every line says of itself, read without the rest."""

    type: str = ""
    seq: int = 0
    session: int | None = None
    role: str | None = None
    ok: bool | None = None


_heads = msgspec.json.Decoder(Head)


def head(data: bytes) -> Head | None:
    """The head of a line, or None where it is damaged or too long to tell."""
    try:
        return _heads.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


# --- Lines by offset -----------------------------------------------------------------------------


@contextlib.contextmanager
def opened(path: Path) -> Iterator[tuple[int, int, int] | None]:
    """A descriptor, the file's size and its inode; None where there is no such file."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        yield None
        return
    try:
        found = os.fstat(fd)
        yield fd, found.st_size, found.st_ino
    finally:
        os.close(fd)


def line_start(fd: int, offset: int) -> int:
    """Where the line begins that holds the byte before `offset`; a newline belongs to the line it ends."""
    position = offset - 1
    while position > 0:
        start = max(0, position - CHUNK)
        found = os.pread(fd, position - start, start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        position = start
    return 0


def line_end(fd: int, offset: int) -> int | None:
    """Where the line that holds the byte at `offset` ends, newline included; None where it isn't whole."""
    while piece := os.pread(fd, CHUNK, offset):
        found = piece.find(b"\n")
        if found >= 0:
            return offset + found + 1
        offset += len(piece)
    return None


def whole_end(fd: int, size: int) -> int:
    """Where the last whole line ends: a line that is being written isn't one yet."""
    return size if size and os.pread(fd, 1, size - 1) == b"\n" else line_start(fd, size)


class Piece(NamedTuple):
    """Whole lines of the file that stand together; of one long line, only the beginning of its bytes."""

    offset: int
    size: int
    data: bytes

    @property
    def end(self) -> int:
        return self.offset + self.size

    def lines(self) -> list[Line]:
        if self.size > len(self.data):
            return [Line(*self)]
        lines, offset = [], self.offset
        for text in self.data[:-1].split(b"\n"):
            lines.append(Line(offset, len(text) + 1, text))
            offset += len(text) + 1
        return lines


def _one(fd: int, start: int, end: int) -> Piece:
    size = end - start
    return Piece(start, size, os.pread(fd, _BEGINNING if size > LONG else size, start))


def piece_before(fd: int, end: int, want: int) -> Piece | None:
    """The lines before `end`, where a line begins: about `want` bytes of them, one line at least."""
    if end <= 0:
        return None
    start = max(0, end - want)
    data = os.pread(fd, end - start, start)
    if start > 0:
        first = data.find(b"\n", 0, len(data) - 1)
        if first < 0:
            return _one(fd, line_start(fd, end), end)
        start, data = start + first + 1, data[first + 1 :]
    return Piece(start, len(data), data)


def piece_after(fd: int, start: int, want: int) -> Piece | None:
    """The lines from `start` on: about `want` bytes of them, one line at least where one is whole."""
    data = os.pread(fd, want, start)
    last = data.rfind(b"\n")
    if last >= 0:
        return Piece(start, last + 1, data[: last + 1])
    end = line_end(fd, start + len(data)) if data else None
    return None if end is None else _one(fd, start, end)


_SEQ = re.compile(rb'"seq":(\d+)')


def offset_of(path: Path, seq: int) -> int | None:
    """Where the first event from `seq` on begins, or None where there is none."""
    with opened(path) as file:
        if file is None:
            return None
        fd, size, _ = file
        low, high = 0, size
        while low < high:
            middle = line_start(fd, (low + high) // 2 + 1)
            number, after = _seq_from(fd, middle, size)
            if number is None or number >= seq:
                high = min(middle, (low + high) // 2)
            else:
                low = after
        return low if low < size else None


def _seq_from(fd: int, start: int, size: int) -> tuple[int | None, int]:
    """The `seq` of the first sound line from `start` on, and where the next one begins."""
    while start < size:
        end = line_end(fd, start)
        if end is None:
            break
        found = _SEQ.search(os.pread(fd, 256, start))
        if found:
            return int(found[1]), end
        start = end
    return None, size


# --- Entries -----------------------------------------------------------------------------


def entry_of(line: Line) -> Entry:
    """The entry of a line; a stand-in for what is damaged or too long."""
    event: ev.Event
    if line.size > len(line.data) + 1:
        event = _stand_in(line, TOO_LONG)
    else:
        try:
            event = ev.decode(line.data)
        except ev.BadEvent:
            event = _stand_in(line, DAMAGED)
        if line.size > KEPT:
            event = ev.with_text(event, lambda text: text[:KEPT])
    return Entry(line.offset, line.size, event)


def _stand_in(line: Line, kind: str) -> ev.Unknown:
    beginning = line.data[:_BEGINNING].decode("utf-8", "replace")
    found = _SEQ.search(line.data[:256])
    fields = {"type": kind, "bytes": line.size, "beginning": beginning}
    return ev.Unknown(seq=int(found[1]) if found and kind == TOO_LONG else 0, fields=fields)


def join(entries: list[Entry], later: list[Entry]) -> list[Entry]:
    """Both, in order, with results and denials of calls taken in by their calls."""
    calls: dict[str, Entry] = {}
    whole = []
    for entry in (*entries, *later):
        event = entry.event
        if isinstance(event, ev.ToolUse):
            calls[event.tool_use_id] = entry
        elif isinstance(event, ev.ToolResult | ev.GuardDecision) and event.tool_use_id in calls:
            calls[event.tool_use_id].take(entry)
            continue
        whole.append(entry)
    return whole


class Reader:
    """Reads entries, joined or each by itself, those that are wanted. Shares nothing: fit for a thread."""

    def __init__(self, path: Path, accept: Accept, *, joined: bool) -> None:
        self.path = path
        self.may_hold: Callable[[bytes], bool] = lambda _: True
        """Whether bytes can hold anything wanted: a quick look, before they are read as events."""
        self.accept = accept
        self.joined = joined

    def entries(self, piece: Piece) -> list[Entry]:
        """The wanted ones of a piece."""
        if not self.may_hold(piece.data):
            return []
        found = [entry_of(line) for line in piece.lines()]
        return [*filter(self.accept, join(found, []) if self.joined else found)]

    def together(self, entries: list[Entry], later: list[Entry]) -> list[Entry]:
        return join(entries, later) if self.joined else [*entries, *later]

    def back(
        self, end: int, *, pieces: int = 1, enough: int = 1, cancelled: Callable[[], bool] = lambda: False
    ) -> tuple[list[Entry], int]:
        """What is wanted before `end`, and from where on: of so many pieces, until there is `enough`."""
        found: list[Entry] = []
        with opened(self.path) as file:
            while file and end > 0 and pieces and len(found) < enough and not cancelled():
                piece = piece_before(file[0], end, CHUNK)
                if piece is None:
                    break
                found = self.together(self.entries(piece), found)
                end, pieces = piece.offset, pieces - 1
        return found, end

    def on(
        self, start: int, *, pieces: int = 1, enough: int = 1, cancelled: Callable[[], bool] = lambda: False
    ) -> tuple[list[Entry], int]:
        """What is wanted from `start` on, and up to where."""
        found: list[Entry] = []
        with opened(self.path) as file:
            while file and pieces and len(found) < enough and not cancelled():
                piece = piece_after(file[0], start, CHUNK)
                if piece is None:
                    break
                found = self.together(found, self.entries(piece))
                start, pieces = piece.end, pieces - 1
        return found, start


class JournalWindow:
    """The entries around where a reader is: all wanted ones between the bytes `start` and `end`."""

    def __init__(self, path: Path, accept: Accept = lambda _: True, *, joined: bool = True) -> None:
        self.path = path
        self.reader = Reader(path, accept, joined=joined)
        self.entries: list[Entry] = []
        self.start = self.end = 0
        self.seen = 0
        """Up to where the file has been looked at for new entries; `end` stays behind it while a reader is
        elsewhere."""
        self.new = 0
        """Entries that came since `caught_up`."""
        self.size = 0
        self._inode = 0
        self._calls: dict[str, Entry] = {}
        self._unwanted: dict[str, Entry] = {}
        """Calls that run and aren't wanted so far: what comes of them may make them so."""

    # --- Where it is -----------------------------------------------------------------------------

    @property
    def at_start(self) -> bool:
        return self.start == 0

    @property
    def at_end(self) -> bool:
        """Whether nothing that has been looked at lies behind the window."""
        return self.end >= self.seen

    def index(self, offset: int) -> int:
        """The place of the first entry from `offset` on."""
        return bisect_left(self.entries, offset, key=lambda entry: entry.offset)

    def owner(self, offset: int) -> Entry | None:
        """The entry on whose line the event at `offset` is told, else the next one, else the last."""
        for entry in self.entries:
            if offset in entry.takes:
                return entry
        return self.entries[min(self.index(offset), len(self.entries) - 1)] if self.entries else None

    # --- Going somewhere -----------------------------------------------------------------------------

    def to_end(self) -> None:
        """Let go of everything and read the last piece."""
        with opened(self.path) as file:
            if file is None:
                self._put([], 0, 0)
                self.size = self.seen = 0
                return
            fd, self.size, self._inode = file
            end = whole_end(fd, self.size)
            piece = piece_before(fd, end, CHUNK)
            self._put(self.reader.entries(piece) if piece else [], piece.offset if piece else 0, end)
            self.seen = end
        self.caught_up()

    def to(self, offset: int) -> None:
        """Let go of everything and read what is around `offset`, where a line begins."""
        before, start = self.reader.back(offset)
        after, end = self.reader.on(offset)
        self._put(self.reader.together(before, after), start, end)
        self.seen = max(self.seen, self.end)

    def caught_up(self) -> None:
        """The reader has seen what is new."""
        self.new = 0

    def _put(self, entries: list[Entry], start: int, end: int) -> None:
        self.entries, self.start, self.end = entries, start, end
        self._note_calls()

    def _note_calls(self) -> None:
        self._calls = {
            entry.event.tool_use_id: entry
            for entry in self.entries
            if isinstance(entry.event, ev.ToolUse) and entry.outcome is None
        }

    # --- Reading on -----------------------------------------------------------------------------

    def before(self) -> bool:
        """Read one piece further back; False when there is none."""
        entries, start = self.reader.back(self.start)
        if start == self.start:
            return False
        self.put_before(entries, start)
        return True

    def after(self) -> bool:
        """Read one piece further on; False when there is none."""
        entries, end = self.reader.on(self.end)
        if end == self.end:
            return False
        self.put_after(entries, end)
        return True

    def put_before(self, entries: list[Entry], start: int) -> None:
        """Take in what was read before `start` until now; what is far at the other end goes."""
        both = self.reader.together(entries, self.entries)
        kept = _within(both)
        if kept < len(both):
            self.end = both[kept].offset
        self._put(both[:kept], start, self.end)

    def put_after(self, entries: list[Entry], end: int) -> None:
        """Take in what was read from `end` on; what is far at the other end goes."""
        both = self.reader.together(self.entries, entries)
        self.end = end
        self.seen = max(self.seen, end)
        self._put(both, self.start, end)
        self._drop_front()

    def _drop_front(self) -> None:
        kept = _within(self.entries[::-1])
        if kept < len(self.entries):
            self.entries = self.entries[-kept:]
            self.start = self.entries[0].offset
            self._note_calls()

    def advance(self, *, follow: bool) -> bool:
        """Look at what was appended; whether anything of what is held, or `new`, has changed.

        A reader who follows gets it; for another there is only counted what has no room any more.
        """
        with opened(self.path) as file:
            if file is None:
                return False
            fd, size, inode = file
            if inode != self._inode or size < self.seen:
                self.to_end()
                return True
            self.size = size
            if size == self.seen:
                return False
            if follow and size - self.end > 4 * CHUNK:
                self.to_end()
                return True
            piece = piece_after(fd, self.seen, 4 * CHUNK)
        if piece is None:
            return False
        self._arrived(piece, follow=follow)
        return True

    def _arrived(self, piece: Piece, *, follow: bool) -> None:
        keeps = self.at_end and (follow or _within(self.entries) == len(self.entries) < ENTRIES)
        fresh = []
        for line in piece.lines():
            entry = self._news(entry_of(line))
            if entry is not None:
                self.new += 1
                fresh.append(entry)
        self.seen = piece.end
        if not keeps:
            return
        late = any(entry.offset < self.end for entry in fresh)
        self.end = self.seen
        self.entries += fresh
        if late:
            self.entries = sorted((e for e in self.entries if e.offset >= self.start), key=lambda e: e.offset)
        if len(self.entries) > ENTRIES + _SLACK or _within(self.entries) < min(len(self.entries), ENTRIES):
            self._drop_front()

    def _news(self, entry: Entry) -> Entry | None:
        """What a reader gets to see because an entry came: itself, the call that it ends, or nothing."""
        event = entry.event
        if self.reader.joined and isinstance(event, ev.ToolResult | ev.GuardDecision):
            done = isinstance(event, ev.ToolResult)
            for calls in (self._calls, self._unwanted):
                call = calls.get(event.tool_use_id)
                if call is None:
                    continue
                call.take(entry)
                turned = calls is self._unwanted and self.reader.accept(call)
                if done or turned:
                    del calls[event.tool_use_id]
                if turned and not done:
                    self._calls[event.tool_use_id] = call
                return call if turned else None
        wanted = self.reader.accept(entry)
        if self.reader.joined and isinstance(event, ev.ToolUse):
            (self._calls if wanted else self._unwanted)[event.tool_use_id] = entry
        return entry if wanted else None


def _within(entries: list[Entry]) -> int:
    """How many of `entries`, from the first on, a window holds; one at least."""
    weight = 0
    for count, entry in enumerate(entries[:ENTRIES]):
        weight += min(entry.size, LONG)
        if weight > WEIGHT and count:
            return count
    return min(len(entries), ENTRIES)
