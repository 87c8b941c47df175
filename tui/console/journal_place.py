"""Where a reader is in a journal: some lines with a cursor on one of them, or the end, as it comes."""

from __future__ import annotations

from typing import Protocol

from harness_core.reading.rows import Look
from tui.console.journal_entries import Entry
from tui.console.journal_layout import Drawer, Laid, Layout, Pos
from tui.console.journal_lines import Step
from tui.console.journal_window import JournalWindow

_NEAR = 100
"""Entries from either end of what is in memory at which more is read."""


class Front(Drawer, Protocol):
    """Shows a place."""

    @property
    def size(self) -> tuple[int, int]:
        """Cells and lines that there is room for."""

    def last_lines(self) -> list[Laid]:
        """Lines below the last entry."""

    def nothing(self, *, looking: bool) -> str:
        """A sentence for where there is no entry; `looking` says that one may still be found."""

    def look_further(self, step: Step) -> None:
        """Find more in that direction, however far that is."""


class Place:
    """A reader's place. Moves change it; `page` has the lines, and is made anew after `renew`."""

    def __init__(self, window: JournalWindow, front: Front) -> None:
        self.window = window
        self.layout = Layout(window, front)
        self.follow = True
        """Whether the newest line stays in view."""
        self.cursor: Pos = (0, 0)
        self._top: Pos = (0, 0)
        self._front = front
        self._page: list[tuple[Pos, Laid]] | None = None

    @property
    def entry(self) -> Entry | None:
        """The entry under the cursor."""
        return self.window.entries[self.layout.index(self.cursor)] if self.window.entries else None

    @property
    def lines(self) -> list[Laid]:
        """All lines of that entry."""
        return self.layout.lines(self.layout.index(self.cursor)) if self.window.entries else []

    @property
    def share(self) -> float:
        """How far through the journal this is, from 0 to 1."""
        if self.follow or not self.page:
            return 1.0
        last = self.page[-1][0]
        if last[0] >= self.window.seen or (self.window.at_end and last == self.layout.end()):
            return 1.0
        return last[0] / max(self.window.size, 1)

    # --- What is in view -----------------------------------------------------------------------------

    @property
    def page(self) -> list[tuple[Pos, Laid]]:
        """The lines in view."""
        if self._page is None:
            self._page = self._make_page()
        return self._page

    def renew(self) -> None:
        """Have the page made anew: at the same place, or at the end for one who follows."""
        if self.follow:
            self.window.caught_up()
        self._page = None

    def has_changed(self) -> bool:
        """Whether the page, made anew, is another than before."""
        before, self._page = self._page, None
        return self.page != before

    def _make_page(self) -> list[tuple[Pos, Laid]]:
        layout = self.layout
        layout.width, layout.height = self._front.size
        layout.hungry = None
        page = self._lines_in_view()
        if layout.hungry:
            self._front.look_further(layout.hungry)
        elif self.window.entries:
            self._read_ahead()
        return page

    def _lines_in_view(self) -> list[tuple[Pos, Laid]]:
        layout, window = self.layout, self.window
        if not window.entries:
            layout.more(-1)
        if not window.entries:
            layout.more(1)
        tail = [((window.seen, n), line) for n, line in enumerate(self._front.last_lines())]
        tail = tail[-max(layout.height - 1, 1) :]
        if not window.entries:
            sentence = self._front.nothing(looking=layout.hungry is not None)
            return tail or [((window.seen, 0), ((Look.DIM, sentence),))]
        if not self.follow:
            page = layout.page(self._top)
            if len(page) == layout.height or not window.at_end:
                return page
        end = layout.end()
        self._top = layout.walk(end, len(tail) + 1 - layout.height)
        if self.follow:
            self.cursor = end
        return (layout.page(self._top) + tail)[-layout.height :]

    def _read_ahead(self) -> None:
        """Have more in memory before the reader gets there."""
        index = self.layout.index(self._top)
        if index < _NEAR and not self.follow and not self.window.at_start:
            self.window.extend(-1)
        elif index > len(self.window.entries) - _NEAR and not self.window.at_end:
            self.window.extend(1)

    # --- Moving --------------------------------------------------------------------------------------

    def move(self, lines: int) -> bool:
        """Move the cursor; down from the last line, follow. False where there is no way to go."""
        if not self.page or (lines > 0 and self.follow):
            return False
        before = self.cursor
        self._leave_end()
        self.cursor = self.layout.walk(before, lines)
        if lines > 0 and self.cursor == before and self.window.at_end:
            self.to_end()
        else:
            self._keep_in_view()
        return True

    def scroll(self, lines: int) -> bool:
        """Move what is in view, and the cursor along; past the end, follow. False as for `move`."""
        if not self.page or (lines > 0 and self.follow):
            return False
        before = self._top
        self._leave_end()
        self._top = self.layout.walk(before, lines)
        self._page = None
        shown = [pos for pos, _ in self.page]
        if lines > 0 and self._top == before and self.window.at_end:
            self.to_end()
        elif lines < 0 and self._top == before:
            self.cursor = shown[0]
        else:
            self.cursor = min(max(self.cursor, shown[0]), shown[-1])
        return True

    def to_start(self) -> None:
        self._leave_end()
        if not self.window.at_start:
            self.window.to(0)
        entries = self.window.entries
        self._top = self.cursor = (entries[0].offset, 0) if entries else (0, 0)

    def to_end(self) -> None:
        """To the newest line, and stay there."""
        if not self.window.at_end:
            self.window.to_end()
        self.follow = True

    def to(self, offset: int) -> None:
        """To the event at `offset`, a third below the top."""
        self._leave_end()
        self.follow = False
        if not (self.window.start <= offset < self.window.end):
            self.window.to(offset)
        entry = self.window.owner(offset)
        if entry is not None:
            self.cursor = (entry.offset, 0)
            self._top = self.layout.walk(self.cursor, -(self._front.size[1] // 3))

    def to_row(self, row: int) -> bool:
        """Put the cursor on a line in view, counted from the top; False where there is none."""
        if not 0 <= row < len(self.page):
            return False
        pos = self.page[row][0]
        self._leave_end()
        if pos[0] < self.window.seen:
            self.cursor = pos
        return True

    def to_entry(self, entry: Entry) -> None:
        """Put the cursor on the first line of an entry."""
        self._leave_end()
        self.cursor = (entry.offset, 0)
        self._keep_in_view()

    def _leave_end(self) -> None:
        """From here on what comes is only counted."""
        if self.follow and self.page:
            self.follow = False
            self.window.caught_up()

    def _keep_in_view(self) -> None:
        height = self._front.size[1]
        if self.cursor < self._top:
            self._top = self.cursor
        elif self.cursor > self.layout.walk(self._top, height - 1):
            self._top = self.layout.walk(self.cursor, 1 - height)
