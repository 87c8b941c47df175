"""Where lines stand: entries of a journal window laid out around a place, and no more than are near it."""

from __future__ import annotations

from typing import Protocol

from harness_core.reading.rows import Look
from tui.console.journal_entries import Entry
from tui.console.journal_lines import Step
from tui.console.journal_window import JournalWindow

Laid = tuple[tuple[Look, str], ...]
"""A line as it is drawn: pieces of text, each with its look."""
Pos = tuple[int, int]
"""A place: the offset of an entry, and one of its lines. It stays true whatever is read or dropped."""
PIECES = 64
"""Pieces that are read in one go where no line is wanted; more is a thread's work."""


class Drawer(Protocol):
    """Says what entries look like."""

    def lay(self, entry: Entry, width: int) -> list[Laid]:
        """The lines of an entry."""

    def laid_by(self, entry: Entry) -> object:
        """What those lines hang on, besides the entry and the width."""


class Layout:
    """Walks over lines. Reads on at the window's ends as it gets there."""

    def __init__(self, window: JournalWindow, drawer: Drawer) -> None:
        self.window = window
        self.width = 80
        self.height = 24
        self.pieces = PIECES
        self.hungry: Step | None = None
        """Where more has to be looked for, further than could be at once."""
        self._drawer = drawer

    def lines(self, index: int) -> list[Laid]:
        """The lines of the entry at `index`, one at least."""
        entry = self.window.entries[index]
        key = (self.width, self._drawer.laid_by(entry))
        if entry.laid is None or entry.laid[0] != key:
            entry.laid = (key, self._drawer.lay(entry, self.width) or [()])
        laid: list[Laid] = entry.laid[1]
        return laid

    def index(self, pos: Pos) -> int:
        """The place in the window of the entry at `pos`, or of one near it."""
        return max(0, min(self.window.index(pos[0]), len(self.window.entries) - 1))

    def end(self) -> Pos:
        """The last line in memory."""
        last = len(self.window.entries) - 1
        return self._at(last, len(self.lines(last)) - 1)

    def _at(self, index: int, line: int) -> Pos:
        return self.window.entries[index].offset, line

    def walk(self, pos: Pos, lines: int) -> Pos:
        """The place so many lines further on, or back; as far as there are any."""
        if not self.window.entries:
            return pos
        index = self.index(pos)
        line = max(0, min(pos[1], len(self.lines(index)) - 1)) + lines
        while line >= (count := len(self.lines(index))):
            following = self._next(index, 1)
            if following is None:
                return self.end()
            index, line = following, line - count
        while line < 0:
            following = self._next(index, -1)
            if following is None:
                return self._at(0, 0)
            index = following
            line += len(self.lines(index))
        return self._at(index, line)

    def _next(self, index: int, step: Step) -> int | None:
        """The place of the entry after or before that at `index`, read from the file if need be."""
        here = self.window.entries[index].offset
        if not 0 <= index + step < len(self.window.entries):
            self.more(step)
            index = self.window.index(here)
        return index + step if 0 <= index + step < len(self.window.entries) else None

    def more(self, step: Step) -> None:
        """Read on at one end until there is an entry more, within bounds."""
        if self.window.at_edge(step):
            return
        before = self._outermost(step)
        for _ in range(self.pieces):
            if not self.window.extend(step) or self._outermost(step) != before:
                return
        self.hungry = step

    def _outermost(self, step: Step) -> int | None:
        """The offset of the last entry in that direction."""
        entries = self.window.entries
        return entries[-1 if step > 0 else 0].offset if entries else None

    def page(self, top: Pos) -> list[tuple[Pos, Laid]]:
        """The lines from `top` on, a page of them where there are as many."""
        found: list[tuple[Pos, Laid]] = []
        index: int | None = self.index(top) if self.window.entries else None
        line = top[1]
        while index is not None and len(found) < self.height:
            laid = self.lines(index)
            line = min(line, len(laid) - 1)
            found += [(self._at(index, n), laid[n]) for n in range(line, len(laid))]
            index, line = self._next(index, 1), 0
        return found[: self.height]
