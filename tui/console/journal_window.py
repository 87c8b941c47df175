"""A stretch of a journal in memory: what a reader has in view, and what lies near.

It is read by byte offset, backwards and forwards; what is far is dropped. So opening, moving and following
cost the same in a journal of a hundred events and in one of a million.
"""

from __future__ import annotations

from bisect import bisect_left
from pathlib import Path

from harness_core.record import events as ev
from tui.console.journal_entries import Accept, Entry, EntryReader, entry_of
from tui.console.journal_lines import CHUNK, LONG, Piece, Step, opened, piece_at, whole_end

ROOM = 3000
"""Entries that a window holds at most, and as many bytes of journal as `WEIGHT`."""
WEIGHT = 8 << 20
_SLACK = 500
"""Entries by which a window may grow over its size, so that it isn't cut with each event."""
_AHEAD = 4
"""Chunks that are read of what was appended. One who follows and is further behind goes to the end."""


class JournalWindow:
    """The entries around where a reader is: all wanted ones between the bytes `start` and `end`."""

    def __init__(
        self,
        path: Path,
        accept: Accept = lambda _: True,
        *,
        joined: bool = True,
        room: int = ROOM,
        chunk: int = CHUNK,
    ) -> None:
        self.path = path
        self.reader = EntryReader(path, accept, joined=joined, chunk=chunk)
        self.room = room
        self.entries: list[Entry] = []
        self.start = self.end = 0
        self.seen = 0
        """Up to where the file has been looked at for new entries; `end` stays behind it while a reader is
        elsewhere."""
        self.new = 0
        """Entries that came since `caught_up`."""
        self.size = 0
        """Bytes of the file."""
        self._inode = 0
        self._calls: dict[str, Entry] = {}
        """Calls whose end is still to come, by their ids."""
        self._unwanted: dict[str, Entry] = {}
        """The same of those that aren't wanted so far: what comes of them may make them so."""

    # --- Where it is ---------------------------------------------------------------------------------

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

    def caught_up(self) -> None:
        """The reader has seen what is new."""
        self.new = 0

    # --- Going somewhere -----------------------------------------------------------------------------

    def to_end(self) -> None:
        """Let go of everything and read the last piece."""
        with opened(self.path) as file:
            if file is None:
                self._put([], 0, 0)
                self.size = self.seen = 0
                return
            _, self.size, self._inode = file
            self.seen = whole_end(file)
            piece = piece_at(file.fd, self.seen, -1, self.reader.chunk)
        self._put(self.reader.entries(piece) if piece else [], piece.offset if piece else 0, self.seen)
        self.caught_up()

    def to(self, offset: int) -> None:
        """Let go of everything and read what is around `offset`, where a line begins."""
        before, start = self.reader.read(offset, -1)
        after, end = self.reader.read(offset, 1)
        self._put(self.reader.together(before, after), start, end)
        self.seen = max(self.seen, end)

    def _put(self, entries: list[Entry], start: int, end: int) -> None:
        self.entries, self.start, self.end = entries, start, end
        self._calls = {
            entry.event.tool_use_id: entry
            for entry in entries
            if isinstance(entry.event, ev.ToolUse) and entry.outcome is None
        }

    # --- Reading on at the edges ---------------------------------------------------------------------

    def edge(self, step: Step) -> int:
        """Where the window ends in that direction."""
        return self.end if step > 0 else self.start

    def at_edge(self, step: Step) -> bool:
        """Whether there is nothing more in that direction."""
        return self.at_end if step > 0 else self.at_start

    def extend(self, step: Step) -> bool:
        """Read one piece more in that direction; False when there is none."""
        edge = self.edge(step)
        entries, reached = self.reader.read(edge, step)
        if reached == edge:
            return False
        self.put(step, entries, reached)
        return True

    def put(self, step: Step, entries: list[Entry], reached: int) -> None:
        """Take in what was read beyond an edge, up to `reached`; what is far at the other end goes."""
        if step > 0:
            self._put(self.reader.together(self.entries, entries), self.start, reached)
            self.seen = max(self.seen, reached)
            self._drop_front()
        else:
            both = self.reader.together(entries, self.entries)
            kept = self._holds(both)
            self._put(both[:kept], reached, both[kept].offset if kept < len(both) else self.end)

    def _drop_front(self) -> None:
        kept = self._holds(self.entries[::-1])
        if kept < len(self.entries):
            self._put(self.entries[-kept:], self.entries[-kept].offset, self.end)

    def _holds(self, entries: list[Entry]) -> int:
        """How many of `entries`, from the first on, there is room for; one at least."""
        weight = 0
        for count, entry in enumerate(entries[: self.room]):
            weight += min(entry.size, LONG)
            if weight > WEIGHT and count:
                return count
        return min(len(entries), self.room)

    # --- The journal goes on -------------------------------------------------------------------------

    def advance(self, *, follow: bool) -> bool:
        """Look at what was appended; whether anything of what is held, or `new`, has changed.

        A reader who follows gets it; for another, what there is no room for is only counted.
        """
        most = _AHEAD * self.reader.chunk
        with opened(self.path) as file:
            if file is None:
                return False
            if file.inode != self._inode or file.size < self.seen:
                self.to_end()
                return True
            self.size = file.size
            if file.size == self.seen:
                return False
            if follow and file.size - self.end > most:
                self.to_end()
                return True
            piece = piece_at(file.fd, self.seen, 1, most)
        if piece is None:
            return False
        self._arrived(piece, follow=follow)
        return True

    def _arrived(self, piece: Piece, *, follow: bool) -> None:
        keeps = self.at_end and (follow or self._holds(self.entries) == len(self.entries) < self.room)
        fresh = [entry for line in piece.lines() if (entry := self._news(entry_of(line)))]
        self.new += len(fresh)
        self.seen = piece.end
        if not keeps:
            return
        # A call that only its end makes wanted stands where it began.
        late = any(entry.offset < self.end for entry in fresh)
        self.end = self.seen
        self.entries += fresh
        if late:
            self.entries = sorted((e for e in self.entries if e.offset >= self.start), key=lambda e: e.offset)
        held = len(self.entries)
        if held > self.room + _SLACK or self._holds(self.entries) < min(held, self.room):
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
